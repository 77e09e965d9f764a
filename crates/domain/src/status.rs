//! Statuses as Sahara shows them, and how an execution's phase becomes one (lifecycle.md, table of phases).

use serde::{Deserialize, Serialize};

/// How an execution ended. Never changes once it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The engine reported success.
    #[serde(rename = "SUCCEEDED")]
    Succeeded,
    /// The job failed, could not be started, or was lost.
    #[serde(rename = "FAILED")]
    Failed,
    /// A cancel, timeout or delete stopped it.
    #[serde(rename = "KILLED")]
    Killed,
    /// An engine's own word for a job that ended with errors (oozie, simulated engine).
    #[serde(rename = "DONEWITHERROR")]
    DoneWithError,
}

impl Outcome {
    /// Sahara's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
            Self::DoneWithError => "DONEWITHERROR",
        }
    }

    /// Reads Sahara's word.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Succeeded, Self::Failed, Self::Killed, Self::DoneWithError].into_iter().find(|o| o.name() == name)
    }
}

/// Where an execution stands. Within an attempt it only goes down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The cluster is not Active, a cap is reached, or nobody looked at it yet.
    Waiting,
    /// Workspace, binaries, data sources, plan; may be repeated in a fresh folder.
    Staging,
    /// The tag is written; the engine may or may not know it, or queues it.
    Launching,
    /// The engine's reference is known.
    Running,
    /// A cancel or a timeout wants it gone.
    Stopping,
    /// The engine is done: outputs, logs, workspace.
    Settling,
    /// Final, with outcome, reason and times.
    Ended,
}

impl Phase {
    /// All phases in order.
    pub const ALL: [Self; 7] =
        [Self::Waiting, Self::Staging, Self::Launching, Self::Running, Self::Stopping, Self::Settling, Self::Ended];

    /// The word in the database and in our own API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Staging => "staging",
            Self::Launching => "launching",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Settling => "settling",
            Self::Ended => "ended",
        }
    }

    /// Reads the word.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }
}

/// What the user wants of an execution. A delete is not a wish but a tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// Run to its end.
    Run,
    /// Be stopped.
    Cancel,
}

/// What we owe the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// Nothing.
    None,
    /// Stop the job until there is evidence that it is gone.
    StopUntilGone,
}

/// Statuses of Sahara that are an engine's own word (sahara-v1.1.md section 8.3).
pub const FINER: [&str; 8] =
    ["PENDING", "PREP", "PREPSUSPENDED", "READYTORUN", "RUNNING", "SUSPENDED", "TOBESUSPENDED", "SUSPENDFAILED"];

/// Statuses from which a job can be suspended.
pub const SUSPENDABLE: [&str; 2] = ["PREP", "RUNNING"];
