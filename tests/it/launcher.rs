//! The launcher for programs with secret arguments: what is committed is what its source says, and it does what it has to.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};

/// Runs a launcher class on a file of words; gives what the program printed.
fn launch(classes: &Path, words: &Path) -> Result<(String, Option<i32>)> {
    let output =
        Command::new("java").arg("-cp").arg(classes).arg("io.foggara.Launch").arg(words).output().context("java")?;
    Ok((
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        output.status.code(),
    ))
}

#[test]
fn the_launcher_is_what_its_source_says() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let java = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/engines/java");
    let source = java.join("io/foggara/Launch.java");
    let rebuilt = dir.path().join("rebuilt");
    // A program that shows its arguments and fails as it is told.
    let program = dir.path().join("Show.java");
    std::fs::write(
        &program,
        "public class Show { public static void main(String[] a) { System.out.println(String.join(\"|\", a)); \
         if (a.length == 0) throw new IllegalStateException(\"empty\"); } }",
    )?;
    for file in [&source, &program] {
        let compiled =
            Command::new("javac").args(["--release", "17", "-g:none", "-d"]).arg(&rebuilt).arg(file).output();
        let compiled = compiled.context("javac: scripts/setup-spark.sh installs a JDK")?;
        ensure!(compiled.status.success(), "javac: {}", String::from_utf8_lossy(&compiled.stderr));
    }
    let committed = dir.path().join("committed");
    std::fs::create_dir_all(committed.join("io/foggara"))?;
    let class = "io/foggara/Launch.class";
    std::fs::copy(java.join(class), committed.join(class))?;
    std::fs::copy(rebuilt.join("Show.class"), committed.join("Show.class"))?;
    let version = Command::new("javac").arg("-version").output()?;
    if String::from_utf8_lossy(&version.stdout).starts_with("javac 17") {
        assert_eq!(
            std::fs::read(java.join(class))?,
            std::fs::read(rebuilt.join(class))?,
            "build it anew and commit it"
        );
    }
    // `a b`, an empty word, and an umlaut, in Base64.
    let words = dir.path().join("words");
    for (lines, says, code) in [
        ("Show\n\nYSBi\n\nw7w=", "a b||ü\n", Some(0)),
        // The second line is the jar, which is of no use where the class is named.
        ("Show\n\n", "IllegalStateException: empty", Some(1)),
        ("Missing\n\n", "ClassNotFoundException: Missing", Some(1)),
    ] {
        std::fs::write(&words, lines)?;
        for classes in [&committed, &rebuilt] {
            let (told, ended) = launch(classes, &words)?;
            assert!(told.contains(says), "{told}");
            assert_eq!(ended, code);
        }
    }
    Ok(())
}
