//! What the fake remembers of changes, and the watches that tell of them: ADDED, MODIFIED, DELETED as a selector sees them, a BOOKMARK
//! at the end, ERROR 410 for a version that is forgotten.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use super::{Held, lock};

/// Changes that are remembered.
const REMEMBERED: usize = 4096;

/// A change of a pod: how it was and how it is, and its version.
#[derive(Debug)]
struct Change {
    version: u64,
    before: Option<Value>,
    after: Option<Value>,
}

/// The changes of late.
#[derive(Debug, Default)]
pub(super) struct Changes {
    late: VecDeque<Change>,
    /// The newest version whose change is forgotten.
    forgotten: u64,
    /// Watches of an earlier number break.
    life: u64,
    /// Watches of pods with this role up to this number are told nothing, and do not end either.
    mute: BTreeMap<String, u64>,
    /// The newest watch.
    newest: u64,
    /// Watches that somebody listens to.
    pub(super) open: usize,
    rings: watch::Sender<()>,
}

impl Changes {
    pub(super) fn note(&mut self, version: u64, before: Option<Value>, after: Option<Value>) {
        self.late.push_back(Change { version, before, after });
        if self.late.len() > REMEMBERED {
            self.forget(1);
        }
        self.rings.send_replace(());
    }

    fn forget(&mut self, count: usize) {
        for change in self.late.drain(..count) {
            self.forgotten = change.version;
        }
    }

    /// Forgets all changes up to now.
    pub(super) fn compact(&mut self, version: u64) {
        self.late.clear();
        self.forgotten = version;
        self.rings.send_replace(());
    }

    /// Whoever watches looks anew.
    pub(super) fn ring(&self) {
        self.rings.send_replace(());
    }

    /// Nothing is told of what was; a watch that is there goes on, and so does one from an old version.
    pub(super) fn new_life(&mut self) {
        self.late.clear();
    }

    /// The watches that are there fall silent for ever.
    pub(super) fn mute(&mut self, role: &str) {
        self.mute.insert(role.to_owned(), self.newest);
    }

    fn is_mute(&self, ear: &Ear) -> bool {
        let role = ear.selector.labels.iter().find(|(key, _)| key == "spark-role");
        role.and_then(|(_, role)| self.mute.get(role)).is_some_and(|last| ear.number <= *last)
    }

    /// All watches break off.
    pub(super) fn break_off(&mut self) {
        self.life += 1;
        self.rings.send_replace(());
    }
}

/// Labels and fields that a request selects by.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<(String, String)>,
    /// Phases that are not meant.
    not: Vec<String>,
    /// Only names and labels are told.
    pub only_metadata: bool,
}

impl Selector {
    pub(super) fn of(query: &BTreeMap<String, String>, only_metadata: bool) -> Self {
        let empty = String::new();
        let pairs = |name: &str, sign: &str| -> Vec<(String, String)> {
            let text = query.get(name).unwrap_or(&empty);
            let pairs = text.split(',').filter_map(|one| one.split_once(sign));
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let phases = pairs("fieldSelector", "!=").into_iter().filter(|(key, _)| key == "status.phase");
        Self { labels: pairs("labelSelector", "="), not: phases.map(|(_, phase)| phase).collect(), only_metadata }
    }

    pub(super) fn matches(&self, pod: &Value) -> bool {
        self.labels.iter().all(|(key, value)| pod["metadata"]["labels"][key] == value.as_str())
            && self.not.iter().all(|phase| pod["status"]["phase"] != phase.as_str())
    }

    /// A pod as it is told.
    pub(super) fn shown(&self, pod: &Value) -> Value {
        if !self.only_metadata {
            return pod.clone();
        }
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": pod["metadata"]})
    }

    /// The change as those see it who select so.
    fn event(&self, change: &Change) -> Option<String> {
        let matches = |pod: &Option<Value>| pod.as_ref().is_some_and(|pod| self.matches(pod));
        let (kind, pod) = match (matches(&change.before), matches(&change.after)) {
            (false, true) => ("ADDED", &change.after),
            (true, true) => ("MODIFIED", &change.after),
            // As it is now, if it is; the version is the change's.
            (true, false) => ("DELETED", if change.after.is_some() { &change.after } else { &change.before }),
            (false, false) => return None,
        };
        let mut object = self.shown(pod.as_ref()?);
        object["metadata"]["resourceVersion"] = json!(change.version.to_string());
        Some(line(kind, &object))
    }
}

fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

/// A watch that goes on.
struct Ear {
    held: Arc<Mutex<Held>>,
    selector: Selector,
    version: u64,
    number: u64,
    life: u64,
    until: Instant,
    bookmarks: bool,
    is_over: bool,
    rings: watch::Receiver<()>,
}

/// Answers a watch.
pub(super) fn follow(
    held: &mut Held,
    shared: &Arc<Mutex<Held>>,
    selector: Selector,
    query: &BTreeMap<String, String>,
) -> Response {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok());
    held.changes.newest += 1;
    held.changes.open += 1;
    let ear = Ear {
        number: held.changes.newest,
        held: Arc::clone(shared),
        selector,
        // Without a version it would begin with what is there; nobody asks so.
        version: number("resourceVersion").unwrap_or(held.made),
        life: held.changes.life,
        until: Instant::now() + Duration::from_secs(number("timeoutSeconds").unwrap_or(1800)),
        bookmarks: query.get("allowWatchBookmarks").is_some_and(|wanted| wanted == "true"),
        is_over: false,
        rings: held.changes.rings.subscribe(),
    };
    let lines = stream::unfold(ear, |mut ear| async move { Some((ear.next().await?, ear)) });
    ([(header::CONTENT_TYPE, "application/json;stream=watch")], Body::from_stream(lines)).into_response()
}

impl Drop for Ear {
    fn drop(&mut self) {
        lock(&self.held).changes.open -= 1;
    }
}

impl Ear {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.is_over {
            return None;
        }
        loop {
            match self.now() {
                Now::Say(text) => return Some(Ok(text.into())),
                Now::Last(text) => {
                    self.is_over = true;
                    return Some(Ok(text.into()));
                }
                Now::Break => return Some(Err(io::Error::other("it breaks"))),
                Now::Wait => {}
            }
            let rings = tokio::time::timeout_at(self.until, self.rings.changed()).await;
            if !matches!(rings, Ok(Ok(()))) {
                if lock(&self.held).changes.is_mute(self) {
                    let _ = self.rings.changed().await;
                    continue;
                }
                self.is_over = true;
                let held = lock(&self.held);
                let at = self.version.max(held.made);
                let say = self.bookmarks && self.life == held.changes.life && !held.is_deaf;
                let object =
                    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": at.to_string()}});
                return say.then(|| Ok(line("BOOKMARK", &object).into()));
            }
        }
    }

    fn now(&mut self) -> Now {
        let held = lock(&self.held);
        let changes = &held.changes;
        if self.life != changes.life {
            return Now::Break;
        }
        if changes.is_mute(self) || held.is_deaf {
            return Now::Wait;
        }
        if self.version < changes.forgotten {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Expired", "code": 410,
                "message": format!("too old resource version: {} ({})", self.version, changes.forgotten),
            });
            return Now::Last(line("ERROR", &status));
        }
        let begin = changes.late.partition_point(|change| change.version <= self.version);
        let mut text = String::new();
        for change in changes.late.range(begin..) {
            self.version = change.version;
            text.extend(self.selector.event(change));
        }
        if text.is_empty() { Now::Wait } else { Now::Say(text) }
    }
}

enum Now {
    Say(String),
    Last(String),
    Break,
    Wait,
}
