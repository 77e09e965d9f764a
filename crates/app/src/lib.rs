//! What each request means (`ops`), and the work behind it (`duties`).
//!
//! The two never call each other: an op writes a wish into the database in one short transaction and may wake a duty;
//! duties read the database and make the engines agree with it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use foggara_db::{Db, Wakes};
use foggara_domain::{ClusterId, Timestamp};
use foggara_engines::Plugins;
use foggara_identity::keystone::{Cloud, Trusts};
use foggara_stores::{Mounts, Roots, Stores};
use tokio::sync::{mpsc, oneshot, watch};

pub mod duties;
pub mod ops;
mod rows;

/// What the operations and duties need, put together by `serve`.
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Bytes by URL.
    pub stores: Stores,
    /// Which files of this host jobs may use.
    pub roots: Arc<dyn Roots>,
    /// Shares that are mounted on this host.
    pub mounts: Mounts,
    /// Where jobs run.
    pub plugins: Plugins,
    /// Trusts for jobs that outlive their caller's token; none with the embedded identity.
    pub trusts: Option<Arc<dyn Trusts>>,
    /// The rest of the cloud; none with the embedded identity.
    pub cloud: Option<Arc<dyn Cloud>>,
    /// The configuration.
    pub settings: Settings,
}

/// Configuration of the operations and duties; `[jobs]`, `[limits]` and `[server]` of the program's configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The data directory; workspaces and logs lie below it.
    pub data_dir: PathBuf,
    /// Prefix of our tags: a short random text per installation, kept in the database.
    pub installation: String,
    /// This host, as the place of local jobs (kept in the data directory).
    pub host: String,
    /// How long a gentle stop may take.
    pub kill_grace: Duration,
    /// How long a ready engine may not know a job that nobody stopped before it counts as lost.
    pub unknown_for: Duration,
    /// How long a tombstone is kept after the evidence that the job is gone.
    pub tombstone_keep: Duration,
    /// Deleted executions stay visible as TOBEKILLED until they are gone.
    pub sahara_strict: bool,
    /// Waiting executions per project.
    pub max_waiting: u64,
    /// Largest internal binary in bytes.
    pub internal_binary: u64,
    /// Largest staged binary in bytes.
    pub staged_binary: u64,
    /// Largest input in bytes that is fetched for a job of this host.
    pub staged_data: u64,
    /// How long one fetch of a binary may take.
    pub fetch_timeout: Duration,
    /// Clusters of the operator's configuration.
    pub clusters: Vec<ops::clusters::OperatorCluster>,
    /// After how long without a server at their place executions end as `host lost`.
    pub host_lost_after: Duration,
}

/// The application. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    parts: Parts,
    /// Counts the wakes; every owner's loop watches it.
    wake: watch::Sender<u64>,
    /// Tells the other servers.
    others: Wakes,
    /// The loops of this process, to ask one for a poll out of turn.
    loops: Mutex<BTreeMap<ClusterId, mpsc::Sender<oneshot::Sender<()>>>>,
}

/// How long a caller waits for a poll out of turn.
const POLL_PATIENCE: Duration = Duration::from_secs(3);

impl App {
    /// Puts it together, inside a runtime; nothing runs until [`duties::start`].
    pub fn new(parts: Parts) -> Self {
        let others = parts.db.wakes();
        Self(Arc::new(Inner { parts, wake: watch::Sender::new(0), others, loops: Mutex::default() }))
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.0.parts.db
    }

    /// Bytes by URL.
    pub fn stores(&self) -> &Stores {
        &self.0.parts.stores
    }

    /// Which files of this host jobs may use.
    pub fn roots(&self) -> &dyn Roots {
        self.0.parts.roots.as_ref()
    }

    /// Shares that are mounted on this host.
    pub fn mounts(&self) -> &Mounts {
        &self.0.parts.mounts
    }

    /// Where jobs run.
    pub fn plugins(&self) -> &Plugins {
        &self.0.parts.plugins
    }

    /// Trusts for jobs that outlive their caller's token.
    pub fn trusts(&self) -> Option<&dyn Trusts> {
        self.0.parts.trusts.as_deref()
    }

    /// The rest of the cloud, for what requests refer to.
    pub fn cloud(&self) -> Option<&dyn Cloud> {
        self.0.parts.cloud.as_deref()
    }

    /// The configuration.
    pub fn settings(&self) -> &Settings {
        &self.0.parts.settings
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// Tells the duties, of this process and of other servers, that a wish was committed. They poll too, since a wake may be
    /// lost.
    pub fn wake(&self) {
        self.wake_from_elsewhere();
        self.0.others.send();
    }

    /// Another server committed a wish: only the duties of this process are told.
    pub fn wake_from_elsewhere(&self) {
        self.0.wake.send_modify(|count| *count += 1);
    }

    /// Where the duties of this process see wakes.
    pub(crate) fn wakes(&self) -> watch::Receiver<u64> {
        self.0.wake.subscribe()
    }

    /// Has the engine of a cluster asked at once, if this process owns the cluster, and waits a little for it.
    pub(crate) async fn poll_now(&self, cluster: &ClusterId) {
        let Some(requests) = self.loops().get(cluster).cloned() else { return };
        let (done, polled) = oneshot::channel();
        if requests.send(done).await.is_ok() {
            // No answer in time only means that the caller sees the state before the poll.
            let _ = tokio::time::timeout(POLL_PATIENCE, polled).await;
        }
    }

    pub(crate) fn loops(&self) -> std::sync::MutexGuard<'_, BTreeMap<ClusterId, mpsc::Sender<oneshot::Sender<()>>>> {
        self.0.loops.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
