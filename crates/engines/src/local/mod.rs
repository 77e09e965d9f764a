//! The local engine: jobs are processes of this host, each supervised by a shim that outlives the server.
//!
//! Everything is found again by the tag: the attempt's folder says who supervises it, the lock says whether that one lives,
//! the exit record says how it ended (lifecycle.md "Local"). See [`attempt`] and [`shim`] for the two sides.

mod attempt;
mod cgroup;
mod client;
mod command;
mod distcp;
mod exec;
mod find;
pub(crate) mod hadoop;
pub mod install;
mod launch;
pub(crate) mod launcher;
mod limit;
mod logs;
mod look;
mod lost;
mod on_yarn;
mod pig;
mod processes;
mod progress;
mod raw;
mod shim;
mod shuffle;
mod spark;
mod sql;
mod streaming;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use foggara_domain::{Tag, execution::Progress, plan::PlanKind};
use tokio::sync::Notify;

pub(crate) use self::{
    attempt::create,
    client::{ClientState, Role},
    command::{Command, private},
    find::python_of_spark,
    logs::read as read_log,
    on_yarn::{TAG_KEYS, YarnClients, ability as ability_on_yarn},
    processes::{Found, signal_all, tagged},
    spark::properties,
    sql::{TIME_LIMIT, results_folder, time_limit},
};
use self::{
    attempt::{Attempt, Decision},
    lost::Lost,
    processes::boot_id,
    watch::Watch,
};
pub use self::{
    distcp::{CopySettings, CopyTask},
    progress::tell_progress,
    sql::{SqlEngine, SqlSettings},
};
use crate::{
    Ability, Engine, EngineError, JobRef, Launch, Launched, LogPiece, Observed, Results, Stop, Stream, Voided,
    flink::home::Java,
    hive::{self, HiveSettings},
};

/// Configuration of the local engine, `[local]`.
#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The program whose hidden subcommands `shim`, `streaming`, `hive` and `distcp` are ours.
    pub program: PathBuf,
    /// Name of the plugin whose jobs these are.
    pub plugin: &'static str,
    /// How many jobs run at once.
    pub max_running: usize,
    /// MiB of memory that each process of a job may have.
    pub memory_mb: Option<u64>,
    /// Bytes kept of each output stream of a job.
    pub log_limit: u64,
    /// `N` of `--master local[N]`.
    pub spark_cores: usize,
    /// The cluster that Spark jobs go to; nothing for `local[N]`.
    pub spark_cluster: Option<SparkCluster>,
    /// Settings of SQL jobs.
    pub sql: SqlSettings,
    /// The server that statements go to; nothing where they run on this host.
    pub hive: Option<HiveSettings>,
    /// Where Spark is.
    pub spark_home: Option<PathBuf>,
    /// Where Java is.
    pub java_home: Option<PathBuf>,
    /// Where Pig is.
    pub pig_home: Option<PathBuf>,
    /// What a copying job is told of the stores.
    pub copying: CopySettings,
    /// A control group below which jobs get theirs; without it the server's own, where that can be written.
    pub cgroup_root: Option<PathBuf>,
}

/// A Spark cluster that jobs go to in client mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparkCluster {
    /// `spark://host:port`
    pub master: String,
    /// MiB of an executor when the job does not say; more than a worker offers would wait for ever.
    pub executor_mb: Option<u64>,
}

/// Where the processes of a Spark cluster are started from.
#[derive(Clone, Debug)]
pub struct SparkHome {
    /// Spark's home.
    pub home: PathBuf,
    /// Java's home.
    pub java_home: Option<PathBuf>,
}

/// The Spark and the Java of this host. The error says how to get them.
pub fn spark_home(settings: &LocalSettings) -> Result<SparkHome, String> {
    let spark = find::spark(settings).ok_or(find::SPARK_MISSING)?;
    let java = find::java_of_spark(settings).ok_or(find::JAVA_MISSING)?;
    Ok(SparkHome { home: spark.home, java_home: find::java_home(&java) })
}

/// The Flink of this host, as configured, in the environment or as it was installed, and the Java for it. The error says how to
/// get them.
pub fn flink_home(settings: &LocalSettings, configured: Option<&Path>) -> Result<Java, String> {
    let home = find::flink(settings, configured).ok_or(find::FLINK_MISSING)?;
    let program = find::java_of_spark(settings).ok_or(find::JAVA_MISSING)?;
    Ok(Java { program, home })
}

/// The engine.
pub struct Local {
    settings: LocalSettings,
    attempts: PathBuf,
    cgroups: Option<PathBuf>,
    watch: Watch,
    lost: Mutex<BTreeMap<Tag, Lost>>,
    /// Attempts that are over, so that the sweep does not read their records again.
    over: Mutex<BTreeSet<Tag>>,
}

/// Where things are and what applies, for `doctor`.
#[derive(Clone, Debug)]
pub struct Report {
    /// The Java program.
    pub java: Option<PathBuf>,
    /// Home of Spark.
    pub spark: Option<PathBuf>,
    /// The client of Pig.
    pub pig: Option<PathBuf>,
    /// The embedded SQL engine.
    pub sql: Option<PathBuf>,
    /// Where control groups of jobs are made.
    pub cgroups: Option<PathBuf>,
}

impl Local {
    /// Makes the folder of attempts.
    pub fn new(mut settings: LocalSettings) -> io::Result<Self> {
        // A shim works elsewhere.
        settings.data_dir = std::path::absolute(&settings.data_dir)?;
        let attempts = settings.data_dir.join("attempts");
        fs::create_dir_all(&attempts)?;
        boot_id()?;
        let cgroups = cgroup::usable_root(settings.cgroup_root.as_deref());
        Ok(Self { attempts, cgroups, watch: Watch::new(), lost: Mutex::default(), over: Mutex::default(), settings })
    }

    /// What this host offers.
    pub fn report(settings: &LocalSettings) -> Report {
        Report {
            java: find::java(settings),
            spark: find::spark(settings).map(|spark| spark.home),
            pig: find::pig(settings),
            sql: find::sql_program(settings),
            cgroups: cgroup::usable_root(settings.cgroup_root.as_deref()),
        }
    }

    /// What the configuration names and this host does not have, a line each.
    pub fn broken(settings: &LocalSettings) -> Vec<String> {
        find::broken(settings)
    }

    /// What runs SQL on this host soonest. The error says how to get an engine.
    pub fn sql_engine(settings: &LocalSettings) -> Result<SqlEngine, String> {
        sql::light(settings)
    }

    /// What a job's own process told of its progress.
    pub(crate) fn told_progress(&self, tag: &Tag) -> Option<Progress> {
        progress::told(&progress::file(&self.attempt(tag).fault_file()))
    }

    fn attempt(&self, tag: &Tag) -> Attempt {
        Attempt::of(&self.attempts, tag)
    }
}

fn unreadable(attempt: &Attempt, error: &io::Error) -> EngineError {
    EngineError::Unreachable(format!("{}: {error}", attempt.folder().display()))
}

#[async_trait]
impl Engine for Local {
    fn plugin(&self) -> &'static str {
        self.settings.plugin
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        let lacks = |what: &str| Ability::Lacks(what.to_owned());
        let spark = || {
            if find::java_of_spark(&self.settings).is_none() {
                lacks(find::JAVA_MISSING)
            } else if find::spark(&self.settings).is_none() {
                lacks(find::SPARK_MISSING)
            } else {
                Ability::Yes
            }
        };
        match kind {
            PlanKind::Program | PlanKind::Streaming | PlanKind::DistCp => Ability::Yes,
            PlanKind::Java if find::java(&self.settings).is_none() => lacks(find::JAVA_MISSING),
            PlanKind::Java => Ability::Yes,
            PlanKind::Spark => spark(),
            PlanKind::HadoopJar | PlanKind::MapReduce => match hadoop::Client::of(&self.settings) {
                Ok(_) => Ability::Yes,
                Err(what) => Ability::Lacks(what),
            },
            PlanKind::Pig if find::pig(&self.settings).is_none() => lacks(find::PIG_MISSING),
            // Pig needs a Java and says nothing useful without.
            PlanKind::Pig if find::java(&self.settings).is_none() => lacks(find::JAVA_MISSING),
            PlanKind::Pig => Ability::Yes,
            PlanKind::Sql if find::sql_program(&self.settings).is_some() || spark() == Ability::Yes => Ability::Yes,
            PlanKind::Presto if find::sql_program(&self.settings).is_some() => Ability::Yes,
            PlanKind::Sql => lacks(find::SQL_MISSING),
            PlanKind::Presto => lacks(find::PRESTO_MISSING),
            PlanKind::Storm | PlanKind::Flink => Ability::Never,
        }
    }

    fn max_running(&self) -> Option<usize> {
        Some(self.settings.max_running)
    }

    fn changed(&self) -> Arc<Notify> {
        self.watch.rings()
    }

    async fn find(&self, job: JobRef<'_>) -> Result<Option<Launched>, EngineError> {
        let attempt = self.attempt(job.tag);
        match attempt.decision().map_err(|error| unreadable(&attempt, &error))? {
            Some(Decision::Launch(identity)) => Ok(Some(self.launched(job.tag, &identity))),
            Some(Decision::Void { .. }) | None => Ok(None),
        }
    }

    async fn launch(&self, launch: Launch<'_>) -> Result<Launched, EngineError> {
        self.start(&launch).await
    }

    async fn void(&self, job: JobRef<'_>, why: &str) -> Result<Voided, EngineError> {
        let attempt = self.attempt(job.tag);
        match attempt.void(why).map_err(|error| unreadable(&attempt, &error))? {
            Decision::Void { .. } => Ok(Voided::Yes),
            Decision::Launch(_) => Ok(Voided::TooLate),
        }
    }

    async fn observe(&self, job: JobRef<'_>) -> Result<Observed, EngineError> {
        let observed = self.look(job.tag).map_err(|error| unreadable(&self.attempt(job.tag), &error))?;
        if matches!(observed, Observed::Ended(_)) {
            self.watch.leave(job.tag);
        }
        Ok(observed)
    }

    async fn progress(&self, job: JobRef<'_>) -> Option<Progress> {
        self.told_progress(job.tag)
    }

    async fn stop(&self, job: JobRef<'_>, how: Stop) -> Result<(), EngineError> {
        self.send_stop(job.tag, how).map_err(|error| unreadable(&self.attempt(job.tag), &error))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Tag>, EngineError> {
        self.alive(prefix).map_err(|error| EngineError::Unreachable(format!("{}: {error}", self.attempts.display())))
    }

    async fn logs(&self, job: JobRef<'_>, stream: Stream, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
        let attempt = self.attempt(job.tag);
        let read = || -> io::Result<LogPiece> {
            match attempt.spec()? {
                Some(spec) => logs::read(&spec.logs.join(stream.name()), offset, limit),
                None => Ok(LogPiece { bytes: Vec::new(), next_offset: offset, size: 0 }),
            }
        };
        read().map_err(|error| unreadable(&attempt, &error))
    }

    async fn results(&self, tag: &Tag) -> Result<Option<Results>, EngineError> {
        let attempt = self.attempt(tag);
        let Some(spec) = attempt.spec().map_err(|error| unreadable(&attempt, &error))? else { return Ok(None) };
        let folder = results_folder(&spec.logs);
        let found = sql::results_of(&self.settings, &folder).await;
        found.map_err(|error| EngineError::Unreachable(format!("{}: {error}", folder.display())))
    }

    async fn forget(&self, job: JobRef<'_>) -> Result<(), EngineError> {
        let attempt = self.attempt(job.tag);
        self.over.lock().unwrap_or_else(PoisonError::into_inner).remove(job.tag);
        let mut removed = fs::remove_dir_all(attempt.folder());
        // Its supervisor may be about to put its last file there.
        for _ in 0..3 {
            if removed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::DirectoryNotEmpty) {
                removed = fs::remove_dir_all(attempt.folder());
            }
        }
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unreadable(&attempt, &error)),
            _ => Ok(()),
        }
    }
}

/// The hidden subcommands: `shim --attempt DIR`, `shim --exec DIR`, `streaming --task FILE`, `hive --task FILE`. Nothing when it is none of them.
#[allow(clippy::print_stderr, reason = "stderr of a shim is its log, of streaming the job's log")]
pub fn run_hidden(args: &[OsString]) -> Option<ExitCode> {
    let words: Vec<&str> = args.iter().filter_map(|word| word.to_str()).collect();
    let code = match (words.as_slice(), args.last().map(Path::new)) {
        (["shim", "--attempt", _], Some(folder)) => match shim::run(folder) {
            Ok(ending) => ending.exit_code(),
            Err(error) => {
                eprintln!("{error}");
                1
            }
        },
        (["shim", "--exec", _], Some(folder)) => exec::run(folder),
        (["streaming", "--task", _], Some(task)) => match streaming::run(task) {
            Ok(()) => 0,
            Err(fault) => {
                eprintln!("{fault}");
                1
            }
        },
        (["hive", "--task", _], Some(task)) => hive::run_task(task),
        _ => return None,
    };
    Some(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
