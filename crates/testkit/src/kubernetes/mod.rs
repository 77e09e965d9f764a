//! A fake API server of Kubernetes with a fake kubelet behind it: pods, Secrets, logs, selectors, pages, dry runs, rights, and
//! objects that go with their owner. A test double: it knows what the tests need and no more. Its kubelet works whenever
//! somebody asks: a pod runs when its Secrets are there, and a pod that is deleted goes at the next request.

mod api;
mod fill;
mod kubelet;
mod tls;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::Router;
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub use self::tls::CA;
pub(crate) use self::tls::TlsListener;

/// The namespace that the fake has.
pub const NAMESPACE: &str = "jobs";
/// The account that its pods may have.
pub const ACCOUNT: &str = "spark";

/// What happens to one of the next requests.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    /// It has its effect and no answer.
    LostAnswer,
    /// It has neither.
    Lost,
    /// A POST of a pod: no answer, and its effect when it is told.
    Held,
    /// It is answered with this status.
    Status(u16),
}

#[derive(Debug, Default)]
struct Held {
    namespace_uid: String,
    pods: BTreeMap<String, Value>,
    secrets: BTreeMap<String, Value>,
    /// Lines of logs with their times.
    logs: BTreeMap<String, Vec<(String, String)>>,
    /// The newest version; uids and times of log lines are made of it too.
    made: u64,
    changes: watch::Changes,
    /// Tokens that count; without one everybody may ask.
    token: Option<String>,
    /// Rights that nobody has: `create pods`.
    denied: BTreeSet<String>,
    /// Faults of requests whose method and path begin so.
    faults: Vec<(String, Fault)>,
    late: Option<Value>,
    is_deaf: bool,
    /// Why new pods do not start: reason and message.
    obstacle: Option<(String, String)>,
    /// Pods that may be there and not have ended.
    quota: Option<usize>,
    /// The node is lost: nothing starts, ends or goes.
    is_lost: bool,
    /// Method and path with query of each request.
    asked: Vec<String>,
}

/// The fake; it ends when it is dropped.
#[derive(Debug)]
pub struct FakeKubernetes {
    address: SocketAddr,
    is_tls: bool,
    held: Arc<Mutex<Held>>,
    _end: oneshot::Sender<()>,
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeKubernetes {
    /// Starts it on a free port, on a thread of its own.
    pub fn start() -> anyhow::Result<Self> {
        Self::on_free_port(false)
    }

    /// Starts it with TLS; its certificate is for 127.0.0.1 and of [`CA`].
    pub fn start_tls() -> anyhow::Result<Self> {
        Self::on_free_port(true)
    }

    fn on_free_port(is_tls: bool) -> anyhow::Result<Self> {
        let held = Arc::new(Mutex::new(Held { namespace_uid: "life-1".to_owned(), ..Held::default() }));
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (end, ended) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let routes = Router::new().fallback(api::answer).with_state(Arc::clone(&held));
        std::thread::spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let serve = async {
                    if is_tls {
                        let listener = TlsListener::new(listener).expect("a certificate");
                        let _ = axum::serve(listener, routes).await;
                    } else {
                        let _ = axum::serve(listener, routes).await;
                    }
                };
                tokio::select! {
                    () = serve => {}
                    _ = ended => {}
                }
            });
        });
        Ok(Self { address, is_tls, held, _end: end })
    }

    /// `http://127.0.0.1:port`
    pub fn url(&self) -> String {
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.address)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The names of the pods that are there.
    pub fn pods(&self) -> Vec<String> {
        let mut held = lock(&self.held);
        held.work();
        held.pods.keys().cloned().collect()
    }

    /// A pod.
    pub fn pod(&self, name: &str) -> Option<Value> {
        lock(&self.held).pods.get(name).cloned()
    }

    /// A Secret.
    pub fn secret(&self, name: &str) -> Option<Value> {
        lock(&self.held).secrets.get(name).cloned()
    }

    /// Puts a pod there as it is, whoever it belongs to.
    pub fn put_pod(&self, pod: Value) {
        lock(&self.held).add_pod(pod);
    }

    /// An executor of a driver, as the driver would make it with the labels of its settings.
    pub fn add_executor(&self, driver: &str, name: &str) {
        let mut held = lock(&self.held);
        let Some(owner) = held.pods.get(driver) else { return };
        let labels = &owner["metadata"]["labels"];
        let pod = json!({
            "metadata": {
                "name": name,
                "labels": {
                    "spark-role": "executor",
                    "foggara-id": labels["foggara-id"], "foggara-installation": labels["foggara-installation"],
                },
                "ownerReferences": [{"kind": "Pod", "name": driver, "uid": owner["metadata"]["uid"]}],
            },
            "spec": {"containers": [{"name": "spark-kubernetes-executor"}]},
        });
        held.add_pod(pod);
    }

    /// The pod prints; each line has the time of its beginning.
    pub fn print(&self, name: &str, text: &str) {
        let mut held = lock(&self.held);
        for line in text.split_inclusive('\n') {
            held.made += 1;
            let time = format!("2026-01-01T00:00:00.{:09}Z", held.made);
            let lines = held.logs.entry(name.to_owned()).or_default();
            match lines.last_mut().filter(|(_, begun)| !begun.ends_with('\n')) {
                Some((_, begun)) => begun.push_str(line),
                None => lines.push((time, line.to_owned())),
            }
        }
    }

    /// The pod's container ends with a code and Kubernetes' word for the reason.
    pub fn end(&self, name: &str, code: i32, reason: &str) {
        lock(&self.held).change_pod(name, |pod| kubelet::end(pod, code, reason));
    }

    /// The pod shows a phase.
    pub fn set_phase(&self, name: &str, phase: &str) {
        lock(&self.held).change_pod(name, |pod| pod["status"]["phase"] = json!(phase));
    }

    /// Puts running drivers of these names there, as large as real ones.
    pub fn fill(&self, installation: &str, names: impl IntoIterator<Item = String>) {
        let mut held = lock(&self.held);
        for name in names {
            held.add_pod(fill::driver(installation, &name));
        }
    }

    /// Pods that have not started do not, for this reason; or do again.
    pub fn set_obstacle(&self, obstacle: Option<(&str, &str)>) {
        let obstacle = obstacle.map(|(reason, message)| (reason.to_owned(), message.to_owned()));
        lock(&self.held).obstacle = obstacle;
    }

    /// So many pods may be there that have not ended.
    pub fn set_quota(&self, pods: Option<usize>) {
        lock(&self.held).quota = pods;
    }

    /// The node is lost, or back.
    pub fn lose_node(&self, lost: bool) {
        lock(&self.held).is_lost = lost;
    }

    /// All watches break off; they may be begun again.
    pub fn break_watches(&self) {
        lock(&self.held).changes.break_off();
    }

    /// Forgets what changed up to now: a watch from an earlier version is told 410.
    pub fn compact(&self) {
        let mut held = lock(&self.held);
        let version = held.made;
        held.changes.compact(version);
    }

    /// The watches of pods with this role (`driver`) that are there are told nothing from now on and do not end, as behind a
    /// connection that is dead. Later ones are.
    pub fn mute_watches(&self, role: &str) {
        lock(&self.held).changes.mute(role);
    }

    /// How many watches somebody listens to.
    pub fn watches(&self) -> usize {
        lock(&self.held).changes.open
    }

    /// A pod is gone without a request.
    pub fn remove(&self, name: &str) {
        lock(&self.held).remove(name);
    }

    /// Only this token counts from now on.
    pub fn set_token(&self, token: &str) {
        lock(&self.held).token = Some(token.to_owned());
    }

    /// Nobody has this right: `create pods`.
    pub fn deny(&self, right: &str) {
        lock(&self.held).denied.insert(right.to_owned());
    }

    /// The next request whose method and path begin so (`PATCH /api/v1/namespaces/jobs/pods`) has its effect and no answer.
    pub fn lose_answer(&self, of: &str) {
        lock(&self.held).faults.push((of.to_owned(), Fault::LostAnswer));
    }

    /// The next such request is lost.
    pub fn lose(&self, of: &str) {
        lock(&self.held).faults.push((of.to_owned(), Fault::Lost));
    }

    /// The next such request is answered with a status.
    pub fn fail(&self, of: &str, status: u16) {
        lock(&self.held).faults.push((of.to_owned(), Fault::Status(status)));
    }

    /// The next pod that is made is not made before [`FakeKubernetes::make_late`], and its answer is lost.
    pub fn hold_pod(&self) {
        lock(&self.held).faults.push(("POST ".to_owned(), Fault::Held));
    }

    /// What was held is made now.
    pub fn make_late(&self) {
        let mut held = lock(&self.held);
        if let Some(pod) = held.late.take() {
            held.add_pod(pod);
        }
    }

    /// From now on no request is answered, or again.
    pub fn set_deaf(&self, deaf: bool) {
        let mut held = lock(&self.held);
        held.is_deaf = deaf;
        held.changes.ring();
    }

    /// Another cluster is at this address: it knows nothing of before.
    pub fn new_life(&self) {
        let mut held = lock(&self.held);
        held.made += 1;
        let namespace_uid = format!("life-{}", held.made);
        let asked = std::mem::take(&mut held.asked);
        let changes = std::mem::take(&mut held.changes);
        *held = Held { namespace_uid, made: held.made, asked, changes, ..Held::default() };
        // Whoever goes on watching is told nothing of what was before, as by a cluster that was never anything else.
        held.changes.new_life();
    }

    /// Method and path with query of all requests.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.held).asked.clone()
    }
}
