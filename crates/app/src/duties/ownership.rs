//! Which clusters this server works for (lifecycle.md "Owners").
//!
//! With SQLite there is one server, and the lock of the data directory is its lease. With PostgreSQL each server renews one
//! counter; another takes a cluster over only after it saw the owner's counter unchanged for [`TTL`] + [`MARGIN`] on its own
//! CLOCK_BOOTTIME, and a holder that could not renew for [`TTL`] counts itself out before that. No wall clock is compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use foggara_db::{clusters, ownership};
use foggara_domain::{ClusterId, ProjectId, Result, cluster::Cluster};
use foggara_engines::{Plugin, plugin::Binding};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    ANYWHERE,
    cluster::{Room, own},
    lost_hosts::LostHosts,
    provision,
};
use crate::{App, rows::Owned};

/// How often a server renews its counter and looks at the others'.
pub const RENEW: Duration = Duration::from_secs(5);
/// How long a renewal holds.
pub const TTL: Duration = Duration::from_secs(15);
/// How much longer the others wait.
pub const MARGIN: Duration = Duration::from_secs(5);

struct Running {
    own: Owned,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Another server's counter, and since when it has not moved by our clock.
struct Seen {
    renewals: i64,
    since: Duration,
}

/// Keeps this server's clusters until `stop`, then hands them back.
pub(super) struct Keeper {
    app: App,
    server: String,
    running: BTreeMap<ClusterId, Running>,
    seen: BTreeMap<String, Seen>,
    lost: LostHosts,
    /// Clusters that a wake has told of.
    known: BTreeSet<ClusterId>,
    /// Rings when a loop has ended.
    ended: Arc<Notify>,
    /// Before when the last renewal that is known to be stored was sent.
    renewed_at: Duration,
}

impl Keeper {
    pub(super) fn new(app: App) -> Self {
        Self {
            app,
            server: Uuid::new_v4().to_string(),
            running: BTreeMap::new(),
            seen: BTreeMap::new(),
            lost: LostHosts::default(),
            known: BTreeSet::new(),
            ended: Arc::new(Notify::new()),
            renewed_at: boottime(),
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(RENEW);
        let mut wakes = self.app.wakes();
        loop {
            let renew = tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => true,
                // A cluster may be new, or a loop has ended because its engine has to be made anew.
                Ok(()) = wakes.changed() => false,
                () = self.ended.notified() => false,
            };
            if !renew && !self.has_news().await {
                continue;
            }
            if let Err(error) = self.round().await {
                tracing::warn!("ownership cannot be looked after: {error}");
            }
            if boottime().saturating_sub(self.renewed_at) >= TTL {
                tracing::error!("no renewal was stored for {} s: this server drops its clusters", TTL.as_secs());
                self.drop_all().await;
            }
        }
        self.hand_back().await;
    }

    /// Whether a cluster is there that no loop of this process works for. Wakes come with every job; a round is for few of them.
    async fn has_news(&mut self) -> bool {
        if self.running.values().any(|running| running.task.is_finished()) {
            return true;
        }
        let Ok(mut conn) = self.app.db().read().await else { return false };
        let ids = clusters::ids(&mut conn).await.unwrap_or_default();
        ids.iter().any(|id| !self.running.contains_key(id) && self.known.insert(id.clone()))
    }

    async fn round(&mut self) -> Result<()> {
        let sent = boottime();
        let (server, host) = (self.server.clone(), self.app.settings().host.clone());
        self.app
            .db()
            .write(move |conn| {
                let (server, host) = (server.clone(), host.clone());
                Box::pin(async move { ownership::renew(conn, &server, &host).await })
            })
            .await?;
        // A renewal of unknown outcome came out by the question mark: it does not extend.
        self.renewed_at = sent;
        if let Err(error) = provision::sweep(&self.app).await {
            tracing::warn!("the sweep could not look for stray nodes: {error}");
        }
        self.running.retain(|cluster, running| {
            let ended = running.task.is_finished();
            if ended {
                self.app.loops().remove(cluster);
            }
            !ended
        });
        let (clusters, owners) = {
            let mut conn = self.app.db().read().await?;
            (clusters::all(&mut conn).await?, ownership::owners(&mut conn).await?)
        };
        self.watch(&owners);
        for owner in owners.iter().filter(|owner| owner.place != ANYWHERE && owner.place != self.app.settings().host) {
            let has_server = owner.server.as_ref().is_some_and(|server| !self.stands_still(server));
            self.lost.look(&self.app, (&owner.cluster, &owner.place), has_server, boottime()).await?;
        }
        for cluster in clusters {
            let Some(plugin) = self.app.plugins().get(&cluster.plugin).cloned() else { continue };
            if self.running.contains_key(&cluster.id) || !self.is_ours(&cluster, plugin.as_ref()).await? {
                continue;
            }
            let place = match plugin.binding() {
                Binding::Host => self.app.settings().host.clone(),
                Binding::Anywhere => ANYWHERE.to_owned(),
            };
            let owner = owners.iter().find(|owner| owner.cluster == cluster.id && owner.place == place);
            if owner.is_none_or(|owner| self.may_take(owner)) {
                self.take(cluster, plugin, place, owner.map_or(0, |owner| owner.epoch)).await?;
            }
        }
        Ok(())
    }

    /// Whether the cluster's jobs and nodes may be processes of this host. A project's cluster is bound to the first host whose
    /// server looks at it; the program's own are everywhere.
    async fn is_ours(&self, cluster: &Cluster, plugin: &dyn Plugin) -> Result<bool> {
        let host = self.app.settings().host.clone();
        if plugin.binding() == Binding::Anywhere || cluster.project == ProjectId::system() {
            return Ok(true);
        }
        if let Some(bound) = &cluster.host {
            return Ok(*bound == host);
        }
        let id = cluster.id.clone();
        self.app
            .db()
            .write(move |conn| {
                let (id, host) = (id.clone(), host.clone());
                Box::pin(async move { clusters::bind_to_host(conn, &id, &host).await })
            })
            .await
    }

    fn watch(&mut self, owners: &[ownership::Owner]) {
        let now = boottime();
        for owner in owners {
            let Some(server) = &owner.server else { continue };
            match self.seen.get_mut(server) {
                Some(seen) if seen.renewals == owner.renewals => {}
                _ => {
                    self.seen.insert(server.clone(), Seen { renewals: owner.renewals, since: now });
                }
            }
        }
        self.seen.retain(|server, _| owners.iter().any(|owner| owner.server.as_ref() == Some(server)));
    }

    /// A place without a server; one whose server runs on this data directory, which we hold the lock of; one whose server's
    /// counter stood still long enough.
    fn may_take(&self, owner: &ownership::Owner) -> bool {
        let Some(server) = &owner.server else { return true };
        let dead_neighbour = owner.host.as_ref() == Some(&self.app.settings().host);
        *server == self.server || dead_neighbour || self.stands_still(server)
    }

    /// Whether a server's counter has not moved for so long that the server counts as gone.
    fn stands_still(&self, server: &str) -> bool {
        self.seen.get(server).is_some_and(|seen| boottime().saturating_sub(seen.since) >= TTL + MARGIN)
    }

    async fn take(&mut self, cluster: Cluster, plugin: Arc<dyn Plugin>, place: String, epoch: i64) -> Result<()> {
        let (id, spot, server) = (cluster.id.clone(), place.clone(), self.server.clone());
        let claimed = self
            .app
            .db()
            .write(move |conn| {
                let (id, spot, server) = (id.clone(), spot.clone(), server.clone());
                Box::pin(async move { ownership::claim(conn, &id, &spot, &server, epoch).await })
            })
            .await?;
        let Some(epoch) = claimed else { return Ok(()) };
        let engine = match self.app.plugins().engine(&cluster) {
            Ok(engine) => engine,
            Err(why) => {
                tracing::error!(cluster = %cluster.name, "no engine can be made for it: {why}");
                return Ok(());
            }
        };
        tracing::info!(cluster = %cluster.name, %place, epoch, "this server works for the cluster");
        let claim = Owned { cluster: cluster.id.clone(), place, epoch };
        let room = Room::new(self.app.clone(), claim.clone(), engine, cluster.revision);
        let stop = CancellationToken::new();
        let (requests, requested) = mpsc::channel(64);
        let jobs = own(room, requested, stop.clone());
        // The program's own clusters have no nodes.
        let looks_after = cluster.project != ProjectId::system();
        let nodes = provision::run(self.app.clone(), claim.clone(), plugin, stop.clone());
        let ended = self.ended.clone();
        let task = tokio::spawn(async move {
            // When the jobs' loop ends, because the cluster is gone or its engine is another, the nodes' ends with it: no call of
            // either is in flight that the next owner would not find again.
            tokio::pin!(jobs);
            if looks_after {
                tokio::select! {
                    () = &mut jobs => {}
                    () = nodes => jobs.await,
                }
            } else {
                jobs.await;
            }
            ended.notify_one();
        });
        self.app.loops().insert(cluster.id.clone(), requests);
        self.running.insert(cluster.id, Running { own: claim, stop, task });
        Ok(())
    }

    async fn drop_all(&mut self) {
        for running in self.running.values() {
            running.stop.cancel();
        }
        for (cluster, running) in std::mem::take(&mut self.running) {
            self.app.loops().remove(&cluster);
            running.task.abort();
        }
    }

    /// Stops the loops (launches in flight are awaited a little) and releases the clusters, so that another server need not
    /// wait.
    async fn hand_back(mut self) {
        for running in self.running.values() {
            running.stop.cancel();
        }
        for (cluster, running) in std::mem::take(&mut self.running) {
            self.app.loops().remove(&cluster);
            if running.task.await.is_err() {
                continue;
            }
            let own = running.own;
            let released = self.app.db().write(move |conn| {
                let own = own.clone();
                Box::pin(async move { ownership::release(conn, &own.cluster, &own.place, own.epoch).await })
            });
            if let Err(error) = released.await {
                tracing::warn!(%cluster, "could not hand the cluster back, others will wait for it: {error}");
            }
        }
    }
}

/// Time since boot, with suspended time counted.
fn boottime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
