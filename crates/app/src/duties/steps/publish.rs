//! What is put into stores at the end of an execution: it ends when somebody wants the execution stopped.

use std::time::Duration;

use foggara_db::executions;
use foggara_domain::{Execution, drive::stop_wanted};

use crate::duties::cluster::Room;

/// How often the row is looked at without a wake, and at most how often with them.
const LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(100));

/// Why something is not where it belongs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unpublished {
    /// Somebody cancelled or deleted the execution meanwhile.
    Stopped,
    /// It could not be put there; the text is the reason with which the execution fails.
    Failed(String),
}

/// Does something until it is done, or until somebody wants the execution stopped; then it is dropped where it is.
pub(super) async fn unless_stopped(
    room: &Room,
    row: &Execution,
    work: impl Future<Output = Result<(), String>>,
) -> Result<(), Unpublished> {
    tokio::select! {
        done = work => done.map_err(Unpublished::Failed),
        () = stopped(room, row) => Err(Unpublished::Stopped),
    }
}

async fn stopped(room: &Room, row: &Execution) {
    let mut wakes = room.app.wakes();
    loop {
        let now = match room.app.db().read().await {
            Ok(mut conn) => executions::find(&mut conn, &row.id).await.ok(),
            Err(_) => None,
        };
        // A database that does not answer is no reason to stop.
        if now.is_some_and(|now| now.is_none_or(|now| stop_wanted(&now))) {
            return;
        }
        let _ = tokio::time::timeout(LOOK.0, wakes.changed()).await;
        tokio::time::sleep(LOOK.1).await;
    }
}
