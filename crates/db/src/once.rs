//! Writes that a client may repeat: the key of a request is stored in the same transaction as its wish (contract.md section
//! 2.2), so that after a crash either both are there or neither.
//!
//! The HTTP layer runs a request inside [`scope`]; the first durable write of the request ([`crate::Db::write`]) then also
//! stores the key. A second request with the same key finds it and is given the stored answer instead.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use foggara_domain::{Error, ProjectId, Result, Timestamp, UserId};

use crate::{Conn, Row, sql};

/// What makes a request the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The caller's project.
    pub project: ProjectId,
    /// The caller.
    pub user: UserId,
    /// HTTP method.
    pub method: String,
    /// Path without project and suffix.
    pub path: String,
    /// The client's key.
    pub key: String,
}

/// What is stored of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Hash of its body.
    pub body_hash: String,
    /// Id of what it made, where it made something.
    pub made: Option<String>,
    /// Status of its answer; nothing when a crash came between the wish and the storing of the answer.
    pub status: Option<u16>,
    /// Body of its answer.
    pub answer: Option<String>,
}

/// A request that stores its key with its first write.
pub struct Request {
    key: Key,
    body_hash: String,
    at: Timestamp,
    made: Mutex<Option<String>>,
    stored: AtomicBool,
}

tokio::task_local! {
    static REQUEST: Arc<Request>;
}

impl Request {
    /// A request that came at the given time.
    pub fn new(key: Key, body_hash: String, at: Timestamp) -> Arc<Self> {
        Arc::new(Self { key, body_hash, at, made: Mutex::new(None), stored: AtomicBool::new(false) })
    }

    /// Whether a write of the request is durable, and the key with it.
    pub fn is_stored(&self) -> bool {
        self.stored.load(Ordering::SeqCst)
    }

    pub(crate) fn note_stored(&self) {
        self.stored.store(true, Ordering::SeqCst);
    }

    /// Stores the key inside the transaction of the wish. Somebody else with the same key was quicker:
    /// [`foggara_domain::Code::IdempotencyConflict`], and the wish is rolled back with it.
    pub(crate) async fn store(&self, conn: &mut Conn) -> Result<()> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let done = conn
            .run(
                sql("INSERT INTO idempotency (project_id, user_id, method, path, key, body_hash, made, created_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING")
                .bind(&self.key.project)
                .bind(&self.key.user)
                .bind(&self.key.method)
                .bind(&self.key.path)
                .bind(&self.key.key)
                .bind(&self.body_hash)
                .bind(made)
                .bind(self.at),
            )
            .await?;
        if done == 1 {
            return Ok(());
        }
        Err(Error::refused(
            foggara_domain::Code::IdempotencyConflict,
            format!("another request with the key '{}' is being answered", self.key.key),
        ))
    }
}

/// Runs a request so that its first write stores its key.
pub async fn scope<F: Future>(request: Arc<Request>, work: F) -> F::Output {
    REQUEST.scope(request, work).await
}

/// The request of the present task, if it has a key that is not stored yet.
pub(crate) fn current() -> Option<Arc<Request>> {
    REQUEST.try_with(Arc::clone).ok().filter(|request| !request.is_stored())
}

/// Notes what the request makes, before the write that makes it.
pub fn makes(id: impl ToString) {
    // Without a key there is nothing to note it for.
    let _ = REQUEST.try_with(|request| {
        *request.made.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.to_string());
    });
}

/// What is stored for a key.
pub async fn find(conn: &mut Conn, key: &Key) -> Result<Option<Stored>> {
    let row = conn
        .first(
            sql("SELECT body_hash, made, status, answer FROM idempotency \
                 WHERE project_id = $1 AND user_id = $2 AND method = $3 AND path = $4 AND key = $5")
            .bind(&key.project)
            .bind(&key.user)
            .bind(&key.method)
            .bind(&key.path)
            .bind(&key.key),
        )
        .await?;
    row.as_ref().map(stored).transpose()
}

fn stored(row: &Row) -> Result<Stored> {
    let status = row.int_or_null("status")?.map(u16::try_from).transpose();
    Ok(Stored {
        body_hash: row.text("body_hash")?,
        made: row.text_or_null("made")?,
        status: status.map_err(|error| Error::Internal(format!("idempotency.status: {error}")))?,
        answer: row.text_or_null("answer")?,
    })
}

/// Stores the answer of a request whose key is stored.
pub async fn answer(conn: &mut Conn, key: &Key, status: u16, answer: &str) -> Result<()> {
    conn.run(
        sql("UPDATE idempotency SET status = $6, answer = $7 \
             WHERE project_id = $1 AND user_id = $2 AND method = $3 AND path = $4 AND key = $5")
        .bind(&key.project)
        .bind(&key.user)
        .bind(&key.method)
        .bind(&key.path)
        .bind(&key.key)
        .bind(i64::from(status))
        .bind(answer),
    )
    .await?;
    Ok(())
}

/// Removes keys from before a time; they are kept for seven days.
pub async fn sweep(conn: &mut Conn, before: Timestamp) -> Result<u64> {
    conn.run(sql("DELETE FROM idempotency WHERE created_at < $1").bind(before)).await
}
