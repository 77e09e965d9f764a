//! Reconcilers: idempotent, woken by a signal and by a timer, over what the database says is wanted. There is one code path
//! for the usual case and for repair after a crash.

mod cluster;
mod housekeeping;
mod live;
mod lost_hosts;
mod ownership;
mod provision;
mod steps;
mod sweep;

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::App;

/// Place of executions whose engine is not bound to a host.
pub const ANYWHERE: &str = "anywhere";

/// How long the duties may take to stop.
const STOP_WITHIN: Duration = Duration::from_millis(4500);

/// The running duties of this process.
pub struct Duties {
    stop: CancellationToken,
    keeper: JoinHandle<()>,
}

/// Starts them. From now on this server claims clusters and works for their executions.
pub fn start(app: &App) -> Duties {
    let stop = CancellationToken::new();
    tokio::spawn(housekeeping::run(app.clone(), stop.clone()));
    let keeper = tokio::spawn(ownership::Keeper::new(app.clone()).run(stop.clone()));
    Duties { stop, keeper }
}

impl Duties {
    /// Stops them: no new launch, those in flight are awaited a little, clusters are handed back. Jobs go on.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_WITHIN, self.keeper).await.is_err() {
            tracing::warn!("the duties did not stop in time; what they had begun is taken up at the next start");
        }
    }
}
