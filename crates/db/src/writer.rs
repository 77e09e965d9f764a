//! SQLite's one writer: it takes whatever writes have gathered, runs each in a savepoint of one transaction, and answers all
//! of them after one COMMIT with full durability (lifecycle.md "Durability and speed").

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc};

use foggara_domain::{Error, Result};
use futures::{FutureExt, future::BoxFuture};
use sqlx::sqlite::SqlitePool;
use tokio::sync::{mpsc, oneshot};

use crate::{Conn, error::from_sqlx, pools::Link, seal::SealKeys};

/// How many writes are committed together at most.
const BATCH: usize = 256;

type Outcome = Result<Box<dyn Any + Send>>;
type Work = Arc<dyn for<'c> Fn(&'c mut Conn) -> BoxFuture<'c, Outcome> + Send + Sync>;

struct Job {
    work: Work,
    answer: oneshot::Sender<Outcome>,
}

/// The door to the writer task, which ends with the last of its doors.
#[derive(Clone)]
pub(crate) struct Writer(mpsc::Sender<Job>);

impl Writer {
    /// Starts the task on a pool of one connection.
    pub(crate) fn start(pool: SqlitePool, seal_keys: SealKeys) -> Self {
        let (jobs, queue) = mpsc::channel(4096);
        tokio::spawn(run(pool, seal_keys, queue));
        Self(jobs)
    }

    /// Queues a write and waits until it is durable or refused.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Conn) -> BoxFuture<'c, Result<T>> + Send + Sync + 'static,
    {
        let work: Work = Arc::new(move |conn| {
            let done = work(conn);
            Box::pin(async move { done.await.map(|done| Box::new(done) as Box<dyn Any + Send>) })
        });
        let (answer, answered) = oneshot::channel();
        let gone = |_| Error::unavailable("the database writer has stopped");
        self.0.send(Job { work, answer }).await.map_err(|_| Error::unavailable("the database writer has stopped"))?;
        let done = answered.await.map_err(gone)??;
        done.downcast::<T>().map(|done| *done).map_err(|_| Error::Internal("a write gave another type".to_owned()))
    }
}

async fn run(pool: SqlitePool, seal_keys: SealKeys, mut queue: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let jobs = std::mem::take(&mut batch);
        let mut conn = match pool.acquire().await {
            Ok(conn) => Conn::new(Link::Sqlite(conn), seal_keys.clone()),
            Err(error) => {
                let error = from_sqlx(error);
                for job in jobs {
                    let _ = job.answer.send(Err(error.clone()));
                }
                continue;
            }
        };
        match together(&mut conn, &jobs).await {
            Ok(outcomes) => {
                for (job, outcome) in jobs.into_iter().zip(outcomes) {
                    // The caller may have gone; its write is durable all the same.
                    let _ = job.answer.send(outcome);
                }
            }
            Err(error) => {
                tracing::warn!(writes = jobs.len(), "a batch of writes was undone, each is tried alone: {error}");
                for job in jobs {
                    let outcome = alone(&mut conn, &job).await;
                    let _ = job.answer.send(outcome);
                }
            }
        }
    }
}

/// All in one transaction. An error means that nothing of it is stored.
async fn together(conn: &mut Conn, jobs: &[Job]) -> Result<Vec<Outcome>> {
    begin(conn).await?;
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        match in_savepoint(conn, job).await {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                rollback(conn).await;
                return Err(error);
            }
        }
    }
    commit(conn).await?;
    Ok(outcomes)
}

/// A refusal of ours undoes only its own write; trouble of the database undoes the batch.
async fn in_savepoint(conn: &mut Conn, job: &Job) -> Result<Outcome> {
    conn.script("SAVEPOINT one").await.map_err(from_sqlx)?;
    let outcome = call(conn, job).await;
    match &outcome {
        Ok(_) => conn.script("RELEASE one").await.map_err(from_sqlx)?,
        Err(Error::Internal(_) | Error::Unavailable { .. }) => {
            return outcome.map(|_| Err(Error::Internal(String::new())));
        }
        Err(_) => conn.script("ROLLBACK TO one; RELEASE one").await.map_err(from_sqlx)?,
    }
    Ok(outcome)
}

async fn alone(conn: &mut Conn, job: &Job) -> Outcome {
    begin(conn).await?;
    let outcome = call(conn, job).await;
    if outcome.is_err() {
        rollback(conn).await;
        return outcome;
    }
    commit(conn).await?;
    outcome
}

async fn call(conn: &mut Conn, job: &Job) -> Outcome {
    let done = AssertUnwindSafe((job.work)(conn)).catch_unwind().await;
    done.unwrap_or_else(|_| Err(Error::Internal("a write panicked, see the message before".to_owned())))
}

async fn begin(conn: &mut Conn) -> Result<()> {
    // IMMEDIATE: a transaction that reads first and then wants to write is refused at once without waiting.
    conn.script("BEGIN IMMEDIATE").await.map_err(from_sqlx)
}

async fn rollback(conn: &mut Conn) {
    if let Err(error) = conn.script("ROLLBACK").await {
        // SQLite has rolled back by itself after some errors; BEGIN tells if not.
        tracing::debug!("rollback: {error}");
    }
}

async fn commit(conn: &mut Conn) -> Result<()> {
    let Err(error) = conn.script("COMMIT").await else { return Ok(()) };
    let code = error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned());
    // SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC: nobody knows what is on the disk now, and another try could lie.
    if matches!(code.as_deref(), Some("1034" | "1290")) {
        tracing::error!(
            "the disk refused to store a write for good ({error}); the process ends so that nothing is answered wrongly"
        );
        std::process::abort();
    }
    let error = from_sqlx(error);
    rollback(conn).await;
    Err(error)
}
