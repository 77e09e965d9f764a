//! What the server and the embedded SQL engine (`foggara-sql`) say to each other: a request file, an answer folder.
//!
//! The request lies in the job's workspace with mode 0600 and may hold credentials; nothing of it stands on a command line.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

/// A script to run, and everything that bounds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlRequest {
    /// The statements, separated by `;`.
    pub script: String,
    /// In which words they are written.
    pub dialect: SqlDialect,
    /// Values for `${name}`, `${hiveconf:name}` and `${hivevar:name}`.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Settings as with `SET key=value` before the first statement.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Database to begin in; `default` exists always.
    pub database: String,
    /// Folder of the project's catalogue: databases and tables that outlive the job. Made when absent; several jobs may use
    /// it at the same time.
    pub catalogue: PathBuf,
    /// Folder below which managed tables keep their data.
    pub warehouse: PathBuf,
    /// Folders below which files may be read and written, besides `warehouse` and `workspace`.
    pub roots: Vec<PathBuf>,
    /// Folder of the job; relative paths start here, and spilled data goes below it.
    pub workspace: PathBuf,
    /// Buckets that may be read and written.
    #[serde(default)]
    pub buckets: Vec<SqlBucket>,
    /// Folder of the answer: [`SqlAnswer`] as `answer.json`, and the rows as Parquet files beside it.
    pub results: PathBuf,
    /// Rows kept of each statement; 0 means all.
    pub result_rows: u64,
    /// Memory that operators may take before they spill, in bytes.
    pub memory_bytes: u64,
    /// Seconds that the whole script may take; 0 means no limit.
    pub time_limit_seconds: u64,
    /// File for the one line that says why the script failed; read by the supervisor.
    pub fault: PathBuf,
}

/// How statements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlDialect {
    /// HiveQL.
    Hive,
    /// Spark SQL.
    Spark,
    /// Presto: a single statement.
    Presto,
}

/// A bucket of an object store that speaks S3.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlBucket {
    /// Name; urls `s3://`, `s3a://`, `s3n://` and `obs://` with this host lead to it. `*` for every bucket without an entry of its own.
    pub bucket: String,
    /// Address of the service, with scheme.
    pub endpoint: String,
    /// Region; `us-east-1` where the service does not care.
    pub region: String,
    /// Access key; without one requests are not signed.
    pub access_key: Option<String>,
    /// Secret key.
    pub secret_key: Option<String>,
    /// Token of temporary credentials.
    pub session_token: Option<String>,
    /// Whether the bucket's name stands in the path instead of the host.
    pub path_style: bool,
}

impl std::fmt::Debug for SqlBucket {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlBucket")
            .field("bucket", &self.bucket)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// What came of the statements so far; written anew (by rename) after each, so that a reader sees progress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SqlAnswer {
    /// How many statements the script has.
    pub total: usize,
    /// Those that ended well, in order.
    pub statements: Vec<SqlStatement>,
}

/// The end of one statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SqlStatement {
    /// The word it begins with, in capitals (`SELECT`, `SHOW`, `INSERT`).
    pub kind: String,
    /// Column names of its rows; none when it gives no rows.
    pub columns: Option<Vec<String>>,
    /// Rows that were kept.
    pub rows: u64,
    /// Whether more rows existed than were kept.
    pub truncated: bool,
    /// File of the rows beside `answer.json`; none without rows. `.parquet`, or `.jsonl` with one array of strings per line.
    pub file: Option<String>,
    /// Seconds it took.
    pub seconds: f64,
}
