//! Writes that a client may repeat (contract.md section 2.2): the key of a request is stored in the transaction of its wish,
//! its answer right after. How an answer looks is the HTTP layer's business; here it is a status and a text.

use std::{fmt::Write, sync::Arc, time::Duration};

use foggara_db::once;
pub use foggara_db::once::{Key, Stored};
use foggara_domain::{Result, Timestamp};
use sha2::{Digest, Sha256};

use crate::App;

/// How long a key is kept.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);

/// A request that stores its key with its first durable write.
#[derive(Clone)]
pub struct Request {
    key: Key,
    inner: Arc<once::Request>,
}

/// Hash of a body, to tell the same request from another one with its key.
pub fn hash(body: &[u8]) -> String {
    Sha256::digest(body).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What is stored for a key.
pub async fn find(app: &App, key: &Key) -> Result<Option<Stored>> {
    once::find(&mut app.db().read().await?, key).await
}

/// Runs a request; its first write stores the key.
pub async fn run<F: Future>(app: &App, key: Key, body_hash: String, work: F) -> (Request, F::Output) {
    let inner = once::Request::new(key.clone(), body_hash, app.now());
    let outcome = once::scope(Arc::clone(&inner), work).await;
    (Request { key, inner }, outcome)
}

/// Stores the answer of a request that wrote something; one that wrote nothing leaves no trace.
pub async fn answer(app: &App, request: &Request, status: u16, answer: String) -> Result<()> {
    if !request.inner.is_stored() {
        return Ok(());
    }
    let key = request.key.clone();
    app.db()
        .write_part(move |conn| {
            let (key, answer) = (key.clone(), answer.clone());
            Box::pin(async move { once::answer(conn, &key, status, &answer).await })
        })
        .await
}

/// Removes keys whose time is over.
pub async fn sweep(app: &App) -> Result<u64> {
    let keep = i64::try_from(KEEP.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp::from_micros(app.now().as_micros().saturating_sub(keep));
    app.db().write_part(move |conn| Box::pin(async move { once::sweep(conn, before).await })).await
}
