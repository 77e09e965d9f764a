//! A job execution: the record at the heart of the service (lifecycle.md, "Records").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    ClusterId, DataSourceId, ExecutionId, JobId, ProjectId, Tag, Timestamp, UserId,
    direct::Direct,
    status::{Duty, FINER, Outcome, Phase, Wish},
};

/// One run of a job template on a cluster, with all that we know and owe.
///
/// The API reads it through the view of live rows; a deleted execution is the same row with [`Execution::deleted_at`] set
/// (the tombstone), which only its owner still sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    /// Its id; never used again.
    pub id: ExecutionId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Who submitted it.
    pub user: UserId,
    /// The submitter's name at that time; rows of older versions lack it.
    pub user_name: Option<String>,
    /// The job template; nothing for executions without one, and in a tombstone.
    pub job: Option<JobId>,
    /// Wire name of the job type (`Shell`, `MapReduce.Streaming`, ...), kept because a template may go.
    pub job_type: String,
    /// Name of the job template at submit.
    pub job_name: String,
    /// Where it runs.
    pub cluster: ClusterId,
    /// Input data source; nothing in a tombstone.
    pub input: Option<DataSourceId>,
    /// Output data source; nothing in a tombstone.
    pub output: Option<DataSourceId>,
    /// `job_configs` as the API shows them: merged with the interface, credentials replaced by `""`.
    pub job_configs: Value,
    /// Credentials that were taken out of `job_configs`: key to value, sealed in the database.
    pub secret_configs: Map<String, Value>,
    /// Set when it came in one call, without a template.
    pub direct: Option<Direct>,
    /// Data source id to expanded native url; set while staging.
    pub data_source_urls: Option<Map<String, Value>>,
    /// Others may read it.
    pub is_public: bool,
    /// It may not be deleted, cancelled or changed.
    pub is_protected: bool,
    /// What the user wants.
    pub wish: Wish,
    /// The user asked to suspend it, and the engine has not answered yet.
    pub suspend_wanted: bool,
    /// Where it stands.
    pub phase: Phase,
    /// The engine's own word where it is finer than the phase (`PREP`, `SUSPENDED`, `TOBESUSPENDED`, `SUSPENDFAILED`).
    pub engine_state: Option<String>,
    /// What we owe the engine.
    pub duty: Duty,
    /// Host that it was placed on; set when it leaves `waiting`.
    pub place: Option<String>,
    /// Counts from 1.
    pub attempt: u32,
    /// Name of this attempt at the engine; written before the launch.
    pub tag: Option<Tag>,
    /// What the engine calls it (`engine_job_id` on the wire).
    pub engine_ref: Option<String>,
    /// Incarnation of the engine that launched it (boot id for `local`).
    pub incarnation: Option<String>,
    /// When the launch was committed to be sent.
    pub launch_sent_at: Option<Timestamp>,
    /// When the first stop was committed to be sent; decides KILLED (lifecycle.md).
    pub stop_sent_at: Option<Timestamp>,
    /// When there was evidence that no process of it is left.
    pub gone_at: Option<Timestamp>,
    /// Which evidence.
    pub gone_evidence: Option<String>,
    /// How it ended; set with phase `ended`, earlier as soon as the engine's last word is known.
    pub outcome: Option<Outcome>,
    /// Why it waits, failed or was killed: one line for a person.
    pub reason: Option<String>,
    /// Exit code as text.
    pub return_code: Option<String>,
    /// What it used, as the engine reports it.
    pub usage: Option<Usage>,
    /// How far it is, as the engine told some seconds ago; after the end what was told last. Written past [`Execution::version`],
    /// without an event, and no change of it moves [`Execution::updated_at`].
    pub progress: Option<Progress>,
    /// When the present non-final phase must have changed.
    pub deadline: Option<Timestamp>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// Last change that a user can see; nothing until then.
    pub updated_at: Option<Timestamp>,
    /// When its files were ready.
    pub staged_at: Option<Timestamp>,
    /// When the launch began (`start_time` on the wire).
    pub start_time: Option<Timestamp>,
    /// When it was seen running.
    pub running_at: Option<Timestamp>,
    /// When it ended (`end_time` on the wire).
    pub end_time: Option<Timestamp>,
    /// When it was deleted: the row is a tombstone.
    pub deleted_at: Option<Timestamp>,
    /// Counts the writes of this row; a writer that read an older one has to read again.
    pub version: i64,
}

/// Resources that a job used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Seconds of CPU in user mode.
    pub user_seconds: f64,
    /// Seconds of CPU in the kernel.
    pub system_seconds: f64,
    /// Largest resident set in bytes.
    pub max_rss_bytes: u64,
}

/// How far a job is in its engine's words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Percent of the work, 0 to 100.
    pub percent: f64,
    /// What it counts: counters by the name of their group. Empty where the engine counts nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, BTreeMap<String, i64>>,
}

impl Progress {
    /// So many percent, cut to what a percentage can be and to one decimal; a value that is no number is 0.
    pub fn of(percent: f64) -> Self {
        let percent = if percent.is_finite() { (percent.clamp(0.0, 100.0) * 10.0).round() / 10.0 } else { 0.0 };
        Self { percent, counters: BTreeMap::new() }
    }
}

/// A change of an execution, numbered per execution from 1 without a hole.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Public position over all executions; readers use only this as cursor.
    pub position: i64,
    /// The execution.
    pub execution: ExecutionId,
    /// Its project.
    pub project: ProjectId,
    /// Counts from 1 within the execution.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// What happened: `submitted`, `staged`, `launching`, `running`, `cancel_wanted`, `stopping`, `ended`, `deleted`, `gone`, ...
    pub kind: String,
    /// Status that the API shows after it.
    pub status: String,
    /// One line for a person.
    pub text: Option<String>,
}

impl Execution {
    /// A first attempt that waits on a cluster; nothing was done for it yet.
    pub fn waiting(id: ExecutionId, project: ProjectId, user: UserId, cluster: ClusterId, at: Timestamp) -> Self {
        Self {
            id,
            project,
            user,
            user_name: None,
            job: None,
            job_type: String::new(),
            job_name: String::new(),
            cluster,
            input: None,
            output: None,
            job_configs: Value::Object(Map::new()),
            secret_configs: Map::new(),
            direct: None,
            data_source_urls: None,
            is_public: false,
            is_protected: false,
            wish: Wish::Run,
            suspend_wanted: false,
            phase: Phase::Waiting,
            engine_state: None,
            duty: Duty::None,
            place: None,
            attempt: 1,
            tag: None,
            engine_ref: None,
            incarnation: None,
            launch_sent_at: None,
            stop_sent_at: None,
            gone_at: None,
            gone_evidence: None,
            outcome: None,
            reason: None,
            return_code: None,
            usage: None,
            progress: None,
            deadline: None,
            created_at: at,
            updated_at: None,
            staged_at: None,
            start_time: None,
            running_at: None,
            end_time: None,
            deleted_at: None,
            version: 1,
        }
    }

    /// The status that Sahara's API shows (lifecycle.md, table of phases).
    pub fn status(&self) -> &str {
        if self.phase == Phase::Ended {
            return self.outcome.map_or("FAILED", Outcome::name);
        }
        if self.deleted_at.is_some() || self.wish == Wish::Cancel || self.phase == Phase::Stopping {
            return "TOBEKILLED";
        }
        if self.suspend_wanted {
            return "TOBESUSPENDED";
        }
        match self.phase {
            Phase::Waiting | Phase::Staging => "PENDING",
            Phase::Launching => self.finer_status().unwrap_or("READYTORUN"),
            Phase::Running | Phase::Stopping | Phase::Settling | Phase::Ended => {
                self.finer_status().unwrap_or("RUNNING")
            }
        }
    }

    /// The engine's word where Sahara has it too; what else an engine says is for our own API.
    fn finer_status(&self) -> Option<&str> {
        self.engine_state.as_deref().filter(|state| FINER.contains(state))
    }

    /// Percent of its work as clients of MRS read it: 100 of every ended one, 0 where the engine tells nothing.
    pub fn percent(&self) -> f64 {
        if self.phase == Phase::Ended {
            return 100.0;
        }
        self.progress.as_ref().map_or(0.0, |progress| progress.percent)
    }

    /// Whether nothing changes any more and nothing is owed.
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Ended && self.duty == Duty::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_one_whatever_an_engine_says() {
        for (told, wanted) in [(33.333, 33.3), (-1.0, 0.0), (250.0, 100.0), (f64::NAN, 0.0)] {
            assert!((Progress::of(told).percent - wanted).abs() < 1e-9, "{told}");
        }
    }
}
