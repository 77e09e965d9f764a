//! What an engine can be asked to run. Job types become plans and plans go to engines, so that a new job type needs no
//! change in an engine and a new engine none in a job type.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::sql::SqlDialect;

/// Work for an engine, with local paths: everything is staged already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Plan {
    /// A script or program, started in the workspace by its shebang or else by /bin/sh.
    Program {
        /// The main file.
        main: PathBuf,
        /// Its arguments.
        args: Vec<String>,
        /// Additional environment (Shell's params).
        env: BTreeMap<String, String>,
    },
    /// `java -cp .. main_class args`.
    Java {
        /// Jars in order.
        class_path: Vec<PathBuf>,
        /// Class with `main`.
        main_class: String,
        /// Options of the JVM, already split.
        java_opts: Vec<String>,
        /// Arguments of the class.
        args: Vec<String>,
        /// Hadoop style settings that the job may read (`job.properties` in the workspace, mode 0600).
        properties: BTreeMap<String, String>,
    },
    /// spark-submit of a jar or a Python file.
    Spark {
        /// Jar or `.py`.
        main: PathBuf,
        /// Class with `main`; not used for Python.
        main_class: Option<String>,
        /// Arguments of the application.
        args: Vec<String>,
        /// The arguments hold secrets, so that they may not stand on a command line.
        #[serde(default)]
        secret_args: bool,
        /// `spark.*` and other settings; they go into a properties file of mode 0600, never on the command line.
        conf: BTreeMap<String, String>,
        /// Libraries ending in `.py`, `.zip` or `.egg`.
        py_files: Vec<PathBuf>,
        /// Libraries ending in `.jar`.
        jars: Vec<PathBuf>,
        /// Other files, put beside the job.
        files: Vec<PathBuf>,
    },
    /// Mapper and reducer commands over local files with a sort between them (decision 24).
    Streaming {
        /// Words of the mapper command.
        mapper: Vec<String>,
        /// Words of the reducer command.
        reducer: Vec<String>,
        /// Input file or directory: a path of this host, or a url on a cluster.
        input: String,
        /// Output directory; must not exist.
        output: String,
        /// How many reducers, and so how many part files; 0 means that the mappers' output is the result.
        reducers: u32,
        /// Additional environment.
        env: BTreeMap<String, String>,
        /// Settings of Hadoop, for an engine that has one.
        #[serde(default)]
        properties: BTreeMap<String, String>,
    },
    /// A jar for Hadoop, as `hadoop jar` runs it.
    HadoopJar {
        /// The jar.
        jar: PathBuf,
        /// Class, unless the jar's manifest names it, and its arguments.
        args: Vec<String>,
        /// The arguments hold secrets, so that they may not stand on a command line.
        secret_args: bool,
        /// Settings of Hadoop.
        properties: BTreeMap<String, String>,
    },
    /// MapReduce by the classes of mapper and reducer, which stand among the settings (`mapred.mapper.class`,
    /// `mapreduce.job.map.class`, ...).
    MapReduce {
        /// Jars with the classes, in order.
        jars: Vec<PathBuf>,
        /// Input file or directory: a path of this host, or a url on a cluster.
        input: String,
        /// Output directory; must not exist.
        output: String,
        /// Settings of Hadoop.
        properties: BTreeMap<String, String>,
    },
    /// A script of Pig.
    Pig {
        /// The script.
        script: PathBuf,
        /// Jars and files that it registers by their name.
        libs: Vec<PathBuf>,
        /// Values for `$name`; INPUT and OUTPUT among them.
        params: BTreeMap<String, String>,
        /// Further words for Pig.
        args: Vec<String>,
        /// Settings of Hadoop and Pig.
        properties: BTreeMap<String, String>,
    },
    /// A topology of Storm, or of Pyleus. Its name is ours.
    Storm {
        /// The topology's jar.
        jar: PathBuf,
        /// Further jars.
        libs: Vec<PathBuf>,
        /// Class with `main`; nothing for a jar that Pyleus built.
        main_class: Option<String>,
        /// Arguments after the topology's name.
        args: Vec<String>,
        /// Settings of the topology.
        settings: BTreeMap<String, String>,
    },
    /// A program for Flink.
    Flink {
        /// The program: a jar, a script of SQL (`.sql`) or a program in Python (`.py`).
        #[serde(alias = "jar")]
        main: PathBuf,
        /// Jars with further classes, for a script of SQL.
        #[serde(default)]
        libs: Vec<PathBuf>,
        /// Class with `main` in a jar, unless its manifest names it.
        entry_class: Option<String>,
        /// Its arguments.
        args: Vec<String>,
        /// Parallelism; nothing for the cluster's default.
        parallelism: Option<u32>,
        /// A savepoint to begin from.
        savepoint: Option<String>,
        /// Begin although the savepoint holds state that the program does not know.
        allow_non_restored: bool,
        /// Settings of Flink.
        settings: BTreeMap<String, String>,
    },
    /// Statements of SQL.
    Sql {
        /// Where they are.
        script: SqlScript,
        /// In which words.
        dialect: SqlDialect,
        /// Database to begin in; nothing for `default`.
        database: Option<String>,
        /// Values for `${name}`.
        variables: BTreeMap<String, String>,
        /// Settings.
        settings: BTreeMap<String, String>,
        /// The engine that the user wants; nothing for the one that the host has.
        engine: Option<String>,
        /// Whose catalogue.
        project: String,
    },
    /// A copy of files and folders between stores.
    DistCp {
        /// Files or folders: urls, or absolute paths.
        sources: Vec<String>,
        /// Where to.
        destination: String,
        /// How.
        options: CopyOptions,
        /// `fs.s3a.*`, `fs.obs.*` and `fs.swift.*`, keys among them.
        settings: HiddenSettings,
        /// The project, for which log-ins to Swift are that name none.
        project: String,
        /// A file with a token for Swift, where the job has no user and password for it. Whoever wrote it renews it.
        #[serde(default)]
        ticket: Option<PathBuf>,
    },
}

/// How a copy is made; the names are those of Hadoop's `distcp`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyOptions {
    /// `-update`: copy what differs in size or is older at the destination.
    pub update: bool,
    /// `-overwrite`: copy all, whatever is there.
    pub overwrite: bool,
    /// `-delete`: remove at the destination what the source does not have.
    pub delete: bool,
    /// `-i`: go on after a file that cannot be copied.
    pub ignore_failures: bool,
    /// `-skipcrccheck`: what was written is not read back; with `-update`, the same size is enough.
    pub skip_check: bool,
    /// `-m`: how many files at once.
    pub at_once: u32,
}

/// Settings with secrets among them: Debug shows the keys only. What is written of them belongs into a file of mode 0600.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenSettings(pub BTreeMap<String, String>);

impl fmt::Debug for HiddenSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Statements of SQL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlScript {
    /// The statements themselves.
    Text(String),
    /// A file with them.
    File(PathBuf),
}

/// The kinds of plans, to ask an engine what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlanKind {
    /// [`Plan::Program`]
    Program,
    /// [`Plan::Java`]
    Java,
    /// [`Plan::Spark`]
    Spark,
    /// [`Plan::Streaming`]
    Streaming,
    /// [`Plan::HadoopJar`]
    HadoopJar,
    /// [`Plan::MapReduce`]
    MapReduce,
    /// [`Plan::Pig`]
    Pig,
    /// [`Plan::Storm`]
    Storm,
    /// [`Plan::Flink`]
    Flink,
    /// [`Plan::Sql`] in the words of Hive or Spark
    Sql,
    /// [`Plan::Sql`] in the words of Presto, which fewer engines understand
    Presto,
    /// [`Plan::DistCp`]
    DistCp,
}

impl PlanKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Program,
        Self::Java,
        Self::Spark,
        Self::Streaming,
        Self::HadoopJar,
        Self::MapReduce,
        Self::Pig,
        Self::Storm,
        Self::Flink,
        Self::Sql,
        Self::Presto,
        Self::DistCp,
    ];
}

impl Plan {
    /// The staged files that it names, without inputs and outputs.
    pub fn files(&self) -> Vec<&Path> {
        let paths: Vec<&PathBuf> = match self {
            Self::Program { main, .. } => vec![main],
            Self::Java { class_path, .. } => class_path.iter().collect(),
            Self::Spark { main, py_files, jars, files, .. } => {
                std::iter::once(main).chain(py_files).chain(jars).chain(files).collect()
            }
            Self::HadoopJar { jar, .. } => vec![jar],
            Self::Flink { main, libs, .. } => std::iter::once(main).chain(libs).collect(),
            Self::MapReduce { jars, .. } => jars.iter().collect(),
            Self::Pig { script, libs, .. } => std::iter::once(script).chain(libs).collect(),
            Self::Storm { jar, libs, .. } => std::iter::once(jar).chain(libs).collect(),
            Self::Sql { script: SqlScript::File(file), .. } => vec![file],
            Self::Sql { .. } | Self::Streaming { .. } | Self::DistCp { .. } => Vec::new(),
        };
        paths.into_iter().map(PathBuf::as_path).collect()
    }

    /// Which kind it is.
    pub const fn kind(&self) -> PlanKind {
        match self {
            Self::Program { .. } => PlanKind::Program,
            Self::Java { .. } => PlanKind::Java,
            Self::Spark { .. } => PlanKind::Spark,
            Self::Streaming { .. } => PlanKind::Streaming,
            Self::HadoopJar { .. } => PlanKind::HadoopJar,
            Self::MapReduce { .. } => PlanKind::MapReduce,
            Self::Pig { .. } => PlanKind::Pig,
            Self::Storm { .. } => PlanKind::Storm,
            Self::Flink { .. } => PlanKind::Flink,
            Self::Sql { dialect: SqlDialect::Presto, .. } => PlanKind::Presto,
            Self::Sql { .. } => PlanKind::Sql,
            Self::DistCp { .. } => PlanKind::DistCp,
        }
    }
}
