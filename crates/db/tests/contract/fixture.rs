//! A fresh database per test, on either kind, and rows to put into it.

use std::path::PathBuf;

use foggara_db::{Db, SealKeys, Settings};
use foggara_domain::{Execution, ExecutionId, ProjectId, Secret, Timestamp};
use serde_json::{Map, Value, json};

/// A database and what has to live as long as it.
pub struct Fresh {
    pub db: Db,
    pub settings: Settings,
    /// The SQLite file.
    pub file: Option<PathBuf>,
    _dir: tempfile::TempDir,
}

pub const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// Runs a test on both databases.
#[macro_export]
macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::contract::fixture::sqlite().await).await }
        )* }
        mod postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::contract::fixture::postgres(stringify!($name)).await).await }
        )* }
    };
}

pub async fn sqlite() -> Fresh {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("db.sqlite");
    let url = format!("sqlite:{}", file.display());
    fresh(url, Some(file), dir).await
}

pub async fn postgres(name: &str) -> Fresh {
    let url = foggara_testkit::postgres::url_of_new_database(name).expect("a PostgreSQL for the tests");
    fresh(url, None, tempfile::tempdir().expect("a folder")).await
}

async fn fresh(url: String, file: Option<PathBuf>, dir: tempfile::TempDir) -> Fresh {
    let settings = Settings { url: Secret::new(url), connections: 4, seal_keys: SealKeys::generate() };
    let db = Db::open(settings.clone()).await.expect("the database opens");
    db.migrate(NOW).await.expect("the database is brought up to date");
    Fresh { db, settings, file, _dir: dir }
}

pub fn project() -> ProjectId {
    ProjectId::from("11111111111111111111111111111111")
}

pub fn other_project() -> ProjectId {
    ProjectId::from("22222222222222222222222222222222")
}

/// An execution that waits.
pub fn execution(job_name: &str) -> Execution {
    Execution {
        job_type: "Shell".to_owned(),
        job_name: job_name.to_owned(),
        job_configs: json!({"job_execution_info": {}}),
        secret_configs: Map::from_iter([("fs.s3a.secret.key".to_owned(), Value::from("hush-hush"))]),
        ..Execution::waiting(ExecutionId::new(), project(), "u".into(), "c".into(), NOW)
    }
}

/// Stores an execution with its first event.
pub async fn store(db: &Db, row: &Execution) {
    let row = row.clone();
    db.write(move |conn| {
        let row = row.clone();
        Box::pin(async move {
            foggara_db::executions::insert(conn, &row).await?;
            foggara_db::events::append(conn, &row.id, &row.project, NOW, "submitted", row.status(), None).await
        })
    })
    .await
    .expect("stored");
}
