//! The committed Java classes: what is committed is what its source says, and the launcher for programs with secret arguments does
//! what it has to.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{engines::spark_home, flink::flink_home};

/// Runs a launcher class on a file of words; gives what the program printed.
fn launch(classes: &Path, words: &Path) -> Result<(String, Option<i32>)> {
    let output =
        Command::new("java").arg("-cp").arg(classes).arg("io.foggara.Launch").arg(words).output().context("java")?;
    Ok((
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        output.status.code(),
    ))
}

/// The files of a folder that end in a word.
fn files(folder: &Path, ending: &str) -> Result<BTreeSet<PathBuf>> {
    let paths = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths = paths.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension() == Some(OsStr::new(ending))).collect())
}

fn compile(into: &Path, class_path: &str, sources: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    let mut javac = Command::new("javac");
    javac.args(["--release", "17", "-g:none", "-cp", class_path, "-d"]).arg(into).args(sources);
    let compiled = javac.output().context("javac: scripts/setup-spark.sh installs a JDK")?;
    ensure!(compiled.status.success(), "javac: {}", String::from_utf8_lossy(&compiled.stderr));
    Ok(())
}

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/engines/java/io/foggara")
}

#[test]
fn the_classes_are_what_their_sources_say() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let class_path = format!("{}/jars/*:{}/lib/*", spark_home()?.display(), flink_home()?.display());
    compile(dir.path(), &class_path, files(&package(), "java")?)?;
    let (committed, rebuilt) = (files(&package(), "class")?, files(&dir.path().join("io/foggara"), "class")?);
    let names = |paths: &BTreeSet<PathBuf>| -> BTreeSet<_> {
        paths.iter().filter_map(|path| path.file_name().map(OsStr::to_owned)).collect()
    };
    assert_eq!(names(&committed), names(&rebuilt));
    // Another compiler may order its tables otherwise.
    let version = Command::new("javac").arg("-version").output()?;
    if String::from_utf8_lossy(&version.stdout).starts_with("javac 17") {
        for (committed, rebuilt) in committed.iter().zip(&rebuilt) {
            assert!(fs::read(committed)? == fs::read(rebuilt)?, "{}: build it anew and commit it", committed.display());
        }
    }
    Ok(())
}

#[test]
fn the_launcher_calls_a_program_with_words_of_a_file() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let source = package().join("Launch.java");
    let rebuilt = dir.path().join("rebuilt");
    // A program that shows its arguments and fails as it is told.
    let program = dir.path().join("Show.java");
    fs::write(
        &program,
        "public class Show { public static void main(String[] a) { System.out.println(String.join(\"|\", a)); \
         if (a.length == 0) throw new IllegalStateException(\"empty\"); } }",
    )?;
    compile(&rebuilt, ".", [source, program])?;
    let committed = dir.path().join("committed");
    fs::create_dir_all(committed.join("io/foggara"))?;
    fs::copy(package().join("Launch.class"), committed.join("io/foggara/Launch.class"))?;
    fs::copy(rebuilt.join("Show.class"), committed.join("Show.class"))?;
    // `a b`, an empty word, and an umlaut, in Base64.
    let words = dir.path().join("words");
    for (lines, says, code) in [
        ("Show\n\nYSBi\n\nw7w=", "a b||ü\n", Some(0)),
        // The second line is the jar, which is of no use where the class is named.
        ("Show\n\n", "IllegalStateException: empty", Some(1)),
        ("Missing\n\n", "ClassNotFoundException: Missing", Some(1)),
    ] {
        fs::write(&words, lines)?;
        for classes in [&committed, &rebuilt] {
            let (told, ended) = launch(classes, &words)?;
            assert!(told.contains(says), "{told}");
            assert_eq!(ended, code);
        }
    }
    Ok(())
}
