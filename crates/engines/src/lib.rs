//! Where jobs run. An engine gets local paths and hands back a reference; it knows neither the database nor HTTP.
//!
//! The promises that every engine keeps, and that `tests/contract.rs` checks (lifecycle.md):
//! - `launch` is called only after `find` found nothing, and at most one effect comes of it for one tag, whatever dies when;
//! - `stop` may be repeated, and is not an error for a job that is gone or never was;
//! - `observe` answers [`Observed::Absent`] rather than failing for an unknown job, and fails only when the engine cannot
//!   be asked: unreachable is not gone;
//! - "ended" is said only when no process of the job is left.

pub mod failpoint;
pub mod flink;
pub mod hive;
mod jars;
pub mod kubernetes;
pub mod local;
mod missing;
pub mod plugin;
pub mod plugins;
pub mod remote;
pub mod sim;
pub mod spark_rest;
pub mod storm;
pub mod table;
mod yarn;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

pub use plugin::{Plugin, Plugins, Proof};

use async_trait::async_trait;
use foggara_domain::{
    Tag, Timestamp,
    execution::{Progress, Usage},
    plan::{Plan, PlanKind},
    sql::SqlAnswer,
    status::Outcome,
};
use thiserror::Error;
use tokio::{io::AsyncRead, sync::Notify};

/// What an engine is asked to start.
#[derive(Debug)]
pub struct Launch<'a> {
    /// Name of the attempt; the engine must be able to find the job by it for ever after.
    pub tag: &'a Tag,
    /// Wire name of the job type.
    pub job_type: &'a str,
    /// Name of the job template.
    pub job_name: &'a str,
    /// What to run; nothing for an engine that does not stage (the simulated one).
    pub plan: Option<&'a Plan>,
    /// Where the plan's files lie for the engine's nodes: local path to url. Empty without [`Engine::artifacts`].
    pub urls: &'a BTreeMap<PathBuf, String>,
    /// Working directory, made and filled by staging.
    pub workspace: PathBuf,
    /// Folder for the files `stdout` and `stderr`.
    pub logs: PathBuf,
    /// How long a gentle stop may take before it becomes hard.
    pub kill_grace: Duration,
}

/// A job of ours, as an engine is asked about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JobRef<'a> {
    /// Name of the attempt.
    pub tag: &'a Tag,
    /// What the engine called it when it was launched, where that is known.
    pub reference: Option<&'a str>,
    /// When its launch was committed to be sent, where that is known.
    pub sent_at: Option<Timestamp>,
}

impl<'a> From<&'a Tag> for JobRef<'a> {
    fn from(tag: &'a Tag) -> Self {
        Self { tag, reference: None, sent_at: None }
    }
}

/// Answer to a launch.
#[derive(Clone, Debug, PartialEq)]
pub struct Launched {
    /// What the engine calls the job (`engine_job_id` on the wire).
    pub reference: String,
    /// Incarnation of the engine, to notice a restart that forgot jobs (boot id for `local`).
    pub incarnation: String,
    /// What a person may want to know of the way it was launched (which SQL engine was taken).
    pub note: Option<String>,
}

/// What an engine says of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// It accepted it and has not started it.
    Queued {
        /// Its own word (`PREP`).
        state: Option<String>,
    },
    /// It runs, or at least the engine has not seen its end.
    Running {
        /// Its own word where it is finer (`SUSPENDED`).
        state: Option<String>,
    },
    /// It ended, and no process of it is left.
    Ended(Ended),
    /// The engine is ready, and does not know it.
    Absent {
        /// Present incarnation of the engine.
        incarnation: String,
    },
}

/// The end of a job in the engine's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// How; `Killed` only when the engine itself says so.
    pub outcome: Outcome,
    /// Exit code (128 + signal when a signal ended it).
    pub exit_code: Option<i32>,
    /// One line for a person: "exit code 3", "killed by signal 9", "lost: ...".
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What it used.
    pub usage: Option<Usage>,
}

/// How hard to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The job may clean up; the engine makes it hard by itself after the grace where it can.
    Gently,
    /// Now.
    Hard,
}

/// Answer to [`Engine::void`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voided {
    /// A launch with this tag can never have an effect any more.
    Yes,
    /// It was launched: find it and stop it.
    TooLate,
}

/// A piece of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogPiece {
    /// The bytes from the asked offset on; empty at the present end.
    pub bytes: Vec<u8>,
    /// Where to read on.
    pub next_offset: u64,
    /// Present size of the stream.
    pub size: u64,
}

/// The rows of an SQL job.
pub struct Results {
    /// What is known of each statement.
    pub answer: SqlAnswer,
    /// The JSON document of mrs-v2.md section 5, `{"sql_results": ..}`, made while it is read.
    pub body: Box<dyn AsyncRead + Send + Unpin>,
}

/// Which output of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The word in urls and file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// Reads the word.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Stdout, Self::Stderr].into_iter().find(|stream| stream.name() == name)
    }
}

/// Why an engine did not do what it was asked.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum EngineError {
    /// It said no, and the job does not exist there: the execution ends FAILED with this text.
    #[error("{0}")]
    Refused(String),
    /// It has no room for one more job (a quota, a full queue): nothing of it is there, and the launch is tried again later, for as long
    /// as it takes. The text says what is full.
    #[error("{0}")]
    Full(String),
    /// The launch was voided before.
    #[error("the launch was voided")]
    Voided,
    /// It cannot be asked, or the answer was lost: nothing is known, ask again.
    #[error("{0}")]
    Unreachable(String),
    /// No connection came about, so that nothing was sent: as [`EngineError::Unreachable`], and a launch certainly had no effect.
    #[error("{0}")]
    NotSent(String),
    /// It lacks the operation (suspend on `local`).
    #[error("{0}")]
    Unsupported(String),
}

/// Whether a server can run a kind of plan on an engine, for `doctor` and for the check at execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ability {
    /// It can.
    Yes,
    /// It cannot at present; the text says what is missing and how to get it.
    Lacks(String),
    /// It never can.
    Never,
}

/// An engine: one per cluster that this server can own.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Name of the plugin.
    fn plugin(&self) -> &'static str;

    /// Whether it runs this kind of plan.
    fn ability(&self, kind: PlanKind) -> Ability;

    /// Whether executions need a workspace with fetched files. The simulated engine fetches nothing.
    fn stages(&self) -> bool {
        true
    }

    /// How many executions may run at once; nothing means no cap.
    fn max_running(&self) -> Option<usize>;

    /// How long a launch may take before its answer counts as lost.
    fn launch_limit(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Whether a launch whose answer was lost may be sent again: the engine refuses a second one with the same tag, or
    /// [`Engine::find`] is certain to know the first. Where neither holds such a launch ends as `launch_unknown` (lifecycle.md).
    fn repeats(&self) -> bool {
        true
    }

    /// Where the files of jobs have to lie so that the engine's nodes can fetch them: a url of a store, below which staging puts
    /// them by their hash. Nothing where local paths serve.
    fn artifacts(&self) -> Option<&str> {
        None
    }

    /// Whether a job's input and output may be urls that it opens itself. Where not, staging fetches the input and puts the output
    /// where it belongs.
    fn opens_urls(&self) -> bool {
        false
    }

    /// Rings when a job may have changed, so that the owner need not wait for its next poll.
    fn changed(&self) -> Arc<Notify>;

    /// The reference of the job, if the engine knows one with this tag.
    async fn find(&self, job: JobRef<'_>) -> Result<Option<Launched>, EngineError>;

    /// Starts the job. See the promises above.
    async fn launch(&self, launch: Launch<'_>) -> Result<Launched, EngineError>;

    /// Makes a launch that has not happened impossible.
    async fn void(&self, job: JobRef<'_>, why: &str) -> Result<Voided, EngineError>;

    /// What the job does at present.
    async fn observe(&self, job: JobRef<'_>) -> Result<Observed, EngineError>;

    /// How far the job is, where the engine knows. Asked with each [`Engine::observe`] and once more at the end, so it has to be as
    /// cheap: what was read for the observation, or a small file. Nothing is no error.
    async fn progress(&self, job: JobRef<'_>) -> Option<Progress> {
        let _ = job;
        None
    }

    /// Sends a stop; returns when it is sent, not when the job is gone.
    async fn stop(&self, job: JobRef<'_>, how: Stop) -> Result<(), EngineError>;

    /// Suspends the job and gives the engine's word for it, where the engine can (decision 20).
    async fn suspend(&self, job: JobRef<'_>) -> Result<String, EngineError> {
        let _ = job;
        Err(EngineError::Unsupported(format!("plugin '{}' cannot suspend jobs", self.plugin())))
    }

    /// Whether [`Engine::suspend`] exists.
    fn suspends(&self) -> bool {
        false
    }

    /// Every job with this prefix that may have live processes, for the sweep.
    async fn list(&self, prefix: &str) -> Result<Vec<Tag>, EngineError>;

    /// Bytes of a log; an unknown or not yet begun log is empty.
    async fn logs(&self, job: JobRef<'_>, stream: Stream, offset: u64, limit: usize) -> Result<LogPiece, EngineError>;

    /// The rows of an SQL job's statements, as far as it got; nothing for a job that keeps none.
    async fn results(&self, tag: &Tag) -> Result<Option<Results>, EngineError> {
        let _ = tag;
        Ok(None)
    }

    /// The end of a job that was stopped is stored, and nobody asks the engine for it again: what it keeps only to tell of the end may go.
    /// A hint that may be lost with a crash; what goes by itself in time needs none. `logs`: somebody may still read its logs.
    async fn release(&self, job: JobRef<'_>, logs: bool) -> Result<(), EngineError> {
        let _ = (job, logs);
        Ok(())
    }

    /// Removes what the engine keeps of an ended job (records, logs). Called when the execution's row is removed.
    async fn forget(&self, job: JobRef<'_>) -> Result<(), EngineError>;
}
