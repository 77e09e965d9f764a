//! Jobs that come in one call, without a template: MRS's submit-job, its V2 API and its SQL calls (mrs-v1.1.md section 3,
//! mrs-v2.md sections 2 and 6). Whatever the call, such a job is a kind and a list of words in the order of V2.

pub mod flink_run;
pub mod hql;
pub mod rules;
pub mod secret;
pub mod spark_submit;
pub mod task;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ClusterId, Timestamp, plan::PlanKind};

/// What kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A jar with the program's name or class and its words.
    MapReduce,
    /// The words of spark-submit.
    Spark,
    /// A file of HiveQL.
    HiveScript,
    /// HiveQL.
    HiveSql,
    /// Copies trees of files.
    DistCp,
    /// A file of Spark SQL.
    SparkScript,
    /// Spark SQL.
    SparkSql,
    /// The words of Flink's client.
    Flink,
    /// One statement of Presto's SQL (mrs-v2.md section 6).
    Presto,
}

/// Kind, name among the job objects (and in [`crate::Execution::job_type`]), number in V1.1 (0: none), name in V2.
const NAMES: [(Kind, &str, i64, &str); 9] = [
    (Kind::MapReduce, "MapReduce", 1, "MapReduce"),
    (Kind::Spark, "Spark", 2, "SparkSubmit"),
    (Kind::HiveScript, "Hive", 3, "HiveScript"),
    (Kind::HiveSql, "hql", 4, "HiveSql"),
    (Kind::DistCp, "DistCp", 5, "DistCp"),
    (Kind::SparkScript, "SparkScript", 6, "SparkScript"),
    (Kind::SparkSql, "SparkSql", 7, "SparkSql"),
    (Kind::Flink, "Flink", 0, "Flink"),
    (Kind::Presto, "Presto", 0, "Presto"),
];

impl Kind {
    /// The name in the table of job types, kept with the execution.
    pub fn job_type(self) -> &'static str {
        self.row().1
    }

    /// All of them, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|row| row.0)
    }

    /// What kind of plan it becomes.
    pub const fn plan_kind(self) -> PlanKind {
        match self {
            Self::MapReduce => PlanKind::HadoopJar,
            Self::Spark => PlanKind::Spark,
            Self::HiveScript | Self::HiveSql | Self::SparkScript | Self::SparkSql => PlanKind::Sql,
            Self::Presto => PlanKind::Presto,
            Self::DistCp => PlanKind::DistCp,
            Self::Flink => PlanKind::Flink,
        }
    }

    /// The number of V1.1, where it has one.
    pub fn number(self) -> Option<i64> {
        Some(self.row().2).filter(|number| *number > 0)
    }

    /// The name in V2.
    pub fn v2_name(self) -> &'static str {
        self.row().3
    }

    /// The kind with a number of V1.1.
    pub fn of_number(number: i64) -> Option<Self> {
        NAMES.iter().find(|row| row.2 == number && number > 0).map(|row| row.0)
    }

    /// The kind with a name of V2 that a client may send. `SparkPython` is another word for SparkSubmit.
    pub fn of_v2_name(name: &str) -> Option<Self> {
        let name = if name == "SparkPython" { "SparkSubmit" } else { name };
        NAMES.iter().find(|row| row.3 == name && row.0 != Self::Presto).map(|row| row.0)
    }

    /// The kind of an execution by its job type; nothing for Sahara's other types.
    pub fn of_job_type(job_type: &str) -> Option<Self> {
        NAMES.iter().find(|row| row.1 == job_type).map(|row| row.0)
    }

    fn row(self) -> &'static (Self, &'static str, i64, &'static str) {
        NAMES.iter().find(|row| row.0 == self).unwrap_or(&NAMES[0])
    }
}

/// Which call a job came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// `POST /v1.1/{project}/jobs/submit-job`, or a job of `run-job-flow`.
    SubmitJob,
    /// `POST /v2/{project}/clusters/{cluster}/job-executions`
    V2,
    /// `POST /v2/{project}/clusters/{cluster}/sql-execution`
    Sql,
}

/// What an execution without a template keeps beside its words: the request as it is shown again. Secrets are masked in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Direct {
    /// What kind.
    pub kind: Kind,
    /// Which call.
    pub origin: Origin,
    /// Members of the request that a view shows again (`jar_path`, `input`, `arguments`, `hql`, `archive_path`, ...).
    #[serde(default)]
    pub shown: Map<String, Value>,
}

/// A job to submit. Words and properties still hold their secrets.
#[derive(Clone, Debug)]
pub struct Order {
    /// Name; need not be unique.
    pub name: String,
    /// Where to run.
    pub cluster: ClusterId,
    /// The words in the order of V2 (mrs-v2.md section 2); `@name=value` marks a secret.
    pub args: Vec<String>,
    /// Settings of the job.
    pub properties: BTreeMap<String, String>,
    /// What is kept to be shown.
    pub direct: Direct,
}

/// A question to the list of executions as MRS asks it: by equality, newest or oldest first, with the number of all matches
/// (mrs-v1.1.md section 4.1, mrs-v2.md section 3).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Search {
    /// Only those of a cluster.
    pub cluster: Option<ClusterId>,
    /// Only this execution.
    pub id: Option<String>,
    /// Only those with this name of the job.
    pub name: Option<String>,
    /// Only those of this user, by name.
    pub user: Option<String>,
    /// Only those with this job type.
    pub job_type: Option<String>,
    /// Only those with one of these statuses of Sahara.
    pub statuses: Option<Vec<&'static str>>,
    /// Only those that were submitted at this time or later.
    pub submitted_from: Option<Timestamp>,
    /// Only those that were submitted at this time or earlier.
    pub submitted_to: Option<Timestamp>,
    /// The oldest first instead of the newest.
    pub ascending: bool,
    /// Matches to leave out at the beginning.
    pub skip: u64,
    /// Matches to give at most.
    pub limit: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_kinds() {
        for (kind, job_type, number, v2) in NAMES {
            assert_eq!(Kind::of_job_type(job_type), Some(kind));
            assert_eq!(kind.v2_name(), v2);
            assert_eq!(Kind::of_number(number), (number > 0).then_some(kind));
        }
        assert_eq!(Kind::of_v2_name("SparkPython"), Some(Kind::Spark));
        assert_eq!((Kind::of_v2_name("Presto"), Kind::of_v2_name("sparksql"), Kind::of_number(0)), (None, None, None));
    }
}
