//! The way of a cluster: from Validating to Active, through scaling, to its end. The rows say what is wanted (counts of node
//! groups, nodes that are to go, the status Deleting); each round does what is missing and moves the status on. Whatever is cut
//! off is taken up by the next round, of this server or of the next one: nodes are found again by their tags.
//!
//! The words of the statuses are Sahara's; what a node is, is the plugin's business (`engines::plugin`).

mod log;
mod nodes;
mod rounds;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use foggara_db::{Conn, clusters, ownership};
use foggara_domain::{Error, InstanceId, Result, cluster::ClusterStatus};
use foggara_engines::Plugin;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) use self::nodes::sweep;
use crate::{App, rows::Owned};

/// How soon the next round follows while something is under way.
const BUSY: Duration = Duration::from_millis(200);
/// How often a cluster that stands still is looked after.
const IDLE: Duration = Duration::from_secs(2);

/// What the rounds of one cluster share.
struct Provision {
    app: App,
    own: Owned,
    plugin: Arc<dyn Plugin>,
    /// How often in a row a node ended before it served.
    failures: BTreeMap<InstanceId, u32>,
    /// Where the round found the cluster.
    read: Option<ClusterStatus>,
    /// Since when something is under way.
    since: Option<Instant>,
    /// When the services of a cluster without nodes were last looked at.
    looked: Option<Instant>,
}

/// What a round came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// Go on soon.
    Busy,
    /// Nothing to do for a while.
    Idle,
    /// The cluster is gone, or another server's.
    Over,
}

/// Looks after a cluster until `stop`, until it is gone, or until another server took it.
pub(super) async fn run(app: App, own: Owned, plugin: Arc<dyn Plugin>, stop: CancellationToken) {
    let mut wakes = app.wakes();
    let mut this = Provision { app, own, plugin, failures: BTreeMap::new(), read: None, since: None, looked: None };
    loop {
        let pause = match this.round().await {
            Ok(Round::Over) => return,
            Ok(Round::Busy) => BUSY,
            Ok(Round::Idle) => IDLE,
            Err(error @ Error::Unavailable { .. }) => {
                tracing::warn!(cluster = %this.own.cluster, "its nodes cannot be looked after at the moment: {error}");
                IDLE
            }
            // What is wrong with the rows themselves is wrong in the next round too.
            Err(error) => {
                tracing::error!(cluster = %this.own.cluster, "its nodes cannot be looked after: {error}");
                let _ = this.fail(&error.to_string()).await;
                IDLE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            Ok(()) = wakes.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Provision {
    /// Runs a transaction as the cluster's owner; nothing when another server owns it by now.
    async fn write<T, F>(&self, work: F) -> Result<Option<T>>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Conn) -> futures::future::BoxFuture<'c, Result<T>> + Clone + Send + Sync + 'static,
    {
        let own = self.own.clone();
        self.app
            .db()
            .write(move |conn| {
                let (own, work) = (own.clone(), work.clone());
                Box::pin(async move {
                    if !ownership::fence(conn, &own.cluster, &own.place, own.epoch).await? {
                        return Ok(None);
                    }
                    work(conn).await.map(Some)
                })
            })
            .await
    }

    /// Moves the cluster on from where the round found it; false when somebody wants something else of it meanwhile, or it is
    /// another server's.
    async fn set_status(&self, status: ClusterStatus, why: &str) -> Result<bool> {
        let (id, why, now, read) = (self.own.cluster.clone(), why.to_owned(), self.app.now(), self.read);
        let done = self
            .write(move |conn| {
                let (id, why) = (id.clone(), why.clone());
                Box::pin(async move { clusters::set_status(conn, &id, read, status, &why, now).await })
            })
            .await?;
        self.app.wake();
        Ok(done.unwrap_or(false))
    }
}
