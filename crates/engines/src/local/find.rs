//! Where Java and Spark are on this host: in the configuration, in the environment of the server, on its PATH, and in what
//! `foggara engines install spark` put below the data directory.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use super::LocalSettings;

/// What to say when there is no Java.
pub(super) const JAVA_MISSING: &str = "there is no Java on this host: install a JDK 17 or newer and set [local] java_home, \
     JAVA_HOME or PATH, or run `foggara engines install spark`, which brings one";
/// What to say when there is no Spark.
pub(super) const SPARK_MISSING: &str = "there is no Spark on this host: run `foggara engines install spark`, or set \
     [local] spark_home, SPARK_HOME or PATH";
/// What to say when there is no Pig.
pub(super) const PIG_MISSING: &str = "there is no client of Pig on this host: unpack a release of Apache Pig (pig-0.17.0.tar.gz or \
     newer), and set [local] pig_home or PIG_HOME to its folder, or put its `pig` on PATH";
/// What to say when there is no Flink.
pub(super) const FLINK_MISSING: &str = "there is no Flink on this host: run `foggara engines install flink`, or set \
     [local] flink_home or FLINK_HOME to the folder that has its lib";
/// What to say when nothing runs SQL.
pub(super) const SQL_MISSING: &str = "nothing on this host runs SQL: put the program `foggara-sql` beside `foggara` or on PATH \
     (`cargo build --release -p foggara-sqljob` makes it), or run `foggara engines install spark`";
pub(super) const PRESTO_MISSING: &str = "nothing on this host runs Presto's statements: put the program `foggara-sql` beside `foggara` or \
     on PATH (`cargo build --release -p foggara-sqljob` makes it)";
/// The embedded SQL engine.
const SQL_PROGRAM: &str = "foggara-sql";
/// Oldest Java that Spark 4 and Flink 2 run on.
const JAVA_OF_SPARK: u32 = 17;

/// The folder of what was installed for this server.
pub(super) fn installed(data_dir: &Path) -> PathBuf {
    data_dir.join("engines").join("spark")
}

/// The folder of the Flink that was installed for this server.
pub(super) fn installed_flink(data_dir: &Path) -> PathBuf {
    data_dir.join("engines").join("flink")
}

/// The Flink in a Python environment with its jars.
pub(super) fn flink_in_venv(venv: &Path) -> Option<PathBuf> {
    package(venv, "pyflink").filter(|home| is_flink(home))
}

fn is_flink(home: &Path) -> bool {
    home.join("lib").is_dir()
}

/// The Flink to use.
pub(super) fn flink(settings: &LocalSettings, configured: Option<&Path>) -> Option<PathBuf> {
    let named = configured.map(Path::to_owned).into_iter().chain(env::var_os("FLINK_HOME").map(PathBuf::from));
    let venv = installed_flink(&settings.data_dir);
    let installed = || flink_in_venv(&venv).filter(|_| mark(&venv).is_file());
    named.into_iter().find(|home| is_flink(home)).or_else(installed)
}

/// A file that the installer makes when everything is there.
pub(super) fn mark(venv: &Path) -> PathBuf {
    venv.join("foggara-installed")
}

pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The embedded SQL engine: as configured, beside our program, or on PATH.
pub(super) fn sql_program(settings: &LocalSettings) -> Option<PathBuf> {
    let beside = || settings.program.parent().map(|folder| folder.join(SQL_PROGRAM));
    let known = settings.sql.program.clone().or_else(beside).filter(|path| path.is_file());
    known.or_else(|| on_path(SQL_PROGRAM))
}

/// The program `pig`.
pub(super) fn pig(settings: &LocalSettings) -> Option<PathBuf> {
    let homes = settings.pig_home.clone().into_iter().chain(env::var_os("PIG_HOME").map(PathBuf::from));
    homes.map(|home| home.join("bin/pig")).find(|path| path.is_file()).or_else(|| on_path("pig"))
}

/// What the configuration names and does not hold what it should: a mistake, even where another place serves instead.
pub(super) fn broken(settings: &LocalSettings) -> Vec<String> {
    let at = |home: &Option<PathBuf>, file: &str| home.as_ref().map(|home| home.join(file));
    let named = [
        ("[local] java_home", at(&settings.java_home, "bin/java")),
        ("[local] spark_home", at(&settings.spark_home, "bin/spark-submit")),
        ("[local] pig_home", at(&settings.pig_home, "bin/pig")),
        ("[sql] program", settings.sql.program.clone()),
    ];
    let lacking = named.into_iter().filter_map(|(name, file)| Some((name, file.filter(|file| !file.is_file())?)));
    lacking.map(|(name, file)| format!("{name} is set, and there is no {}", file.display())).collect()
}

/// The Java home that the installer makes in its environment when the host has none.
pub(super) fn installed_java(venv: &Path) -> PathBuf {
    venv.join("java")
}

/// The folder of a package in a Python environment.
pub(super) fn package(venv: &Path, name: &str) -> Option<PathBuf> {
    let folders = fs::read_dir(venv.join("lib")).ok()?.flatten();
    folders.map(|folder| folder.path().join("site-packages").join(name)).find(|path| path.is_dir())
}

/// The `java` programs of this host, the one to use first.
fn javas(settings: &LocalSettings) -> impl Iterator<Item = PathBuf> {
    let homes = settings.java_home.clone().into_iter().chain(env::var_os("JAVA_HOME").map(PathBuf::from));
    let installed = installed_java(&installed(&settings.data_dir)).join("bin/java");
    let programs = homes.map(|home| home.join("bin/java")).chain(on_path("java"));
    programs.chain([installed]).filter(|path| path.is_file())
}

/// The `java` program.
pub(super) fn java(settings: &LocalSettings) -> Option<PathBuf> {
    javas(settings).next()
}

/// The `java` program for Spark: the first that is new enough.
pub(super) fn java_of_spark(settings: &LocalSettings) -> Option<PathBuf> {
    javas(settings).find(|java| major(java).is_some_and(|major| major >= JAVA_OF_SPARK))
}

/// The home of the Java program, links resolved.
pub(super) fn java_home(java: &Path) -> Option<PathBuf> {
    java.canonicalize().ok()?.parent()?.parent().map(Path::to_owned)
}

/// The major version of a Java program; asked once per program.
fn major(java: &Path) -> Option<u32> {
    static KNOWN: Mutex<BTreeMap<PathBuf, u32>> = Mutex::new(BTreeMap::new());
    let path = java.canonicalize().ok()?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(major) = known.get(&path) {
        return Some(*major);
    }
    let release = java_home(java).and_then(|home| fs::read_to_string(home.join("release")).ok());
    let major = release.as_deref().and_then(of_release).or_else(|| {
        let output = Command::new(java).arg("-version").stdin(Stdio::null()).output().ok()?;
        of_version(String::from_utf8_lossy(&output.stderr).split('"').nth(1)?)
    })?;
    known.insert(path, major);
    Some(major)
}

/// From the file `release` that lies in a Java home.
fn of_release(text: &str) -> Option<u32> {
    let version = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    of_version(version.trim_matches('"'))
}

/// `17.0.15` and, as it was written up to 8, `1.8.0_292`.
fn of_version(text: &str) -> Option<u32> {
    let mut parts = text.split(['.', '-', '+']);
    match parts.next()?.parse().ok()? {
        1 => parts.next()?.parse().ok(),
        major => Some(major),
    }
}

/// A Spark: its home, and the Python that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spark {
    pub home: PathBuf,
    pub python: Option<PathBuf>,
}

impl Spark {
    pub fn submit(&self) -> PathBuf {
        self.home.join("bin/spark-submit")
    }

    fn checked(self) -> Option<Self> {
        self.submit().is_file().then_some(self)
    }

    /// In a Python environment with pyspark.
    pub fn in_venv(venv: &Path) -> Option<Self> {
        let home = package(venv, "pyspark")?;
        Self { home, python: Some(venv.join("bin/python")) }.checked()
    }

    /// The one that was installed for this server, whole.
    pub fn installed(data_dir: &Path) -> Option<Self> {
        let venv = installed(data_dir);
        Self::in_venv(&venv).filter(|_| mark(&venv).is_file())
    }
}

/// The Spark to use.
pub(super) fn spark(settings: &LocalSettings) -> Option<Spark> {
    let homes = settings.spark_home.clone().into_iter().chain(env::var_os("SPARK_HOME").map(PathBuf::from));
    let python = || on_path("python3");
    let known = homes.filter_map(|home| Spark { home, python: python() }.checked()).next();
    known
        .or_else(|| {
            let submit = on_path("spark-submit")?.canonicalize().ok()?;
            let home = submit.parent()?.parent()?.to_owned();
            Spark { home, python: python() }.checked()
        })
        .or_else(|| Spark::installed(&settings.data_dir))
}

/// The Python that goes with the Spark of this host.
pub(crate) fn python_of_spark(settings: &LocalSettings) -> Option<PathBuf> {
    spark(settings)?.python
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_java() {
        assert_eq!(of_version("17.0.15"), Some(17));
        assert_eq!(of_version("21-ea"), Some(21));
        assert_eq!(of_version("1.8.0_292"), Some(8));
        assert_eq!(of_release("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"11.0.2\"\n"), Some(11));
        assert_eq!(of_version("x"), None);
    }
}
