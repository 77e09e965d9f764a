//! A fake of YARN's web services: ResourceManagers of which one is active, the NodeManager of all containers, the history server.
//! It keeps applications and answers in the documented shapes; it runs nothing. Applications are submitted to a real ResourceManager
//! by Hadoop's RPC, which the fake does not speak: the programs that tests put in the place of `spark-submit` and `hadoop` ask for
//! `POST /fake/submit` instead.

mod answers;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::Router;

use crate::service::{Port, Service};

/// The cookie that the fake takes when it asks for Kerberos.
pub const COOKIE: &str = "u=foggara&p=foggara@EXAMPLE&t=kerberos&e=1&s=the-signature-of-the-fake";

/// An application.
#[derive(Clone, Debug)]
struct App {
    number: u32,
    /// When the ResourceManager that took it was started.
    cluster: i64,
    tags: String,
    user: String,
    queue: String,
    kind: String,
    state: String,
    last: &'static str,
    diagnostics: String,
    finished: i64,
    logs: BTreeMap<&'static str, String>,
}

#[derive(Debug, Default)]
struct Held {
    /// When the active ResourceManager was started.
    started: i64,
    apps: Vec<App>,
    made: u32,
    active: usize,
    addresses: Vec<SocketAddr>,
    deaf: bool,
    unauthorized: bool,
    negotiates: bool,
    is_something_else: bool,
    full: bool,
    collected: bool,
    lose_answer: bool,
    lose_look: bool,
    late: bool,
    aside: Vec<App>,
    asked: Vec<String>,
}

/// The fake; it ends when it is dropped.
#[derive(Debug)]
pub struct FakeYarn {
    held: Arc<Mutex<Held>>,
    _services: Vec<Service>,
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeYarn {
    /// Starts so many ResourceManagers on free ports, on threads of their own. The first is active.
    pub fn start(managers: usize) -> anyhow::Result<Self> {
        let held = Arc::new(Mutex::new(Held { started: 1_700_000_000_000, ..Held::default() }));
        let mut services = Vec::new();
        for index in 0..managers {
            let port = Port::free()?;
            lock(&held).addresses.push(port.address);
            let routes = Router::new().fallback(answers::answer).with_state((Arc::clone(&held), index));
            services.push(port.serve(routes)?);
        }
        Ok(Self { held, _services: services })
    }

    /// The addresses with commas between them.
    pub fn urls(&self) -> String {
        let urls: Vec<String> = lock(&self.held).addresses.iter().map(|address| format!("http://{address}")).collect();
        urls.join(",")
    }

    /// Method and path with query of each request so far.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.held).asked.clone()
    }

    /// Ids of the applications whose tags hold this one, and their states.
    pub fn applications(&self, tag: &str) -> Vec<(String, String)> {
        let held = lock(&self.held);
        let tagged = held.apps.iter().filter(|app| app.tags.split(',').any(|one| one == tag));
        tagged.map(|app| (app.id(), app.state.clone())).collect()
    }

    /// From now on no request gets an answer, or again.
    pub fn set_deaf(&self, deaf: bool) {
        lock(&self.held).deaf = deaf;
    }

    /// The next request is answered with 401.
    pub fn refuse_next(&self) {
        lock(&self.held).unauthorized = true;
    }

    /// From now on only those with the cookie [`COOKIE`] are answered.
    pub fn set_negotiates(&self) {
        lock(&self.held).negotiates = true;
    }

    /// From now on a page in HTML answers whatever is asked for.
    pub fn set_something_else(&self) {
        lock(&self.held).is_something_else = true;
    }

    /// Whether the queue has room: without it applications stay ACCEPTED.
    pub fn set_full(&self, full: bool) {
        lock(&self.held).full = full;
    }

    /// The logs are collected: the NodeManager has them no longer, the history server does.
    pub fn collect_logs(&self) {
        lock(&self.held).collected = true;
    }

    /// The next application is taken, and whoever asks for it next gets no answer.
    pub fn lose_answer(&self) {
        lock(&self.held).lose_answer = true;
    }

    /// The next application is taken only at [`FakeYarn::let_in`], and whoever submits it gets no answer.
    pub fn delay(&self) {
        lock(&self.held).late = true;
    }

    /// What was delayed happens.
    pub fn let_in(&self) {
        let mut held = lock(&self.held);
        let aside = std::mem::take(&mut held.aside);
        held.apps.extend(aside);
    }

    /// Takes so many applications with the tags that are made of their number.
    pub fn fill(&self, many: u32, tags: impl Fn(u32) -> String) {
        let mut held = lock(&self.held);
        for number in 0..many {
            held.take(&BTreeMap::from([("tags".to_owned(), tags(number))]));
        }
    }

    /// Takes an application of a user with these tags, as a server submits one that works for the user.
    pub fn submitted(&self, user: &str, tags: &str) {
        let given = [("tags", tags), ("user", user)].map(|(key, value)| (key.to_owned(), value.to_owned()));
        lock(&self.held).take(&given.into());
    }

    /// The ResourceManager is restarted; it recovers its applications or knows none.
    pub fn restart(&self, recovers: bool) {
        let mut held = lock(&self.held);
        held.started += 60_000;
        if !recovers {
            held.apps.clear();
        }
    }

    /// The next ResourceManager becomes the active one; it recovers the applications.
    pub fn fail_over(&self) {
        let mut held = lock(&self.held);
        held.started += 60_000;
        held.active = (held.active + 1) % held.addresses.len();
    }

    /// Applications that are over are forgotten, as when there are many.
    pub fn forget_completed(&self) {
        lock(&self.held).apps.retain(|app| !app.is_over());
    }

    /// An application shows this state.
    pub fn set_state(&self, tag: &str, state: &str) {
        self.change(tag, |app| state.clone_into(&mut app.state));
    }

    /// An application ends.
    pub fn finish(&self, tag: &str, last: &'static str, diagnostics: &str) {
        self.change(tag, |app| app.end("FINISHED", last, diagnostics));
    }

    /// The master of an application writes into a log.
    pub fn print(&self, tag: &str, log: &'static str, text: &str) {
        self.change(tag, |app| app.logs.entry(log).or_default().push_str(text));
    }

    fn change(&self, tag: &str, change: impl Fn(&mut App)) {
        let mut held = lock(&self.held);
        held.apps.iter_mut().filter(|app| app.tags.split(',').any(|one| one == tag)).for_each(change);
    }
}

impl Held {
    /// Makes an application of what was given for it.
    fn make(&mut self, given: &BTreeMap<String, String>) -> App {
        let given = |key: &str| given.get(key).cloned().unwrap_or_default();
        self.made += 1;
        App {
            number: self.made,
            cluster: self.started,
            // As the real one does.
            tags: given("tags").to_lowercase(),
            user: given("user"),
            queue: given("queue"),
            kind: given("type"),
            state: "ACCEPTED".to_owned(),
            last: "UNDEFINED",
            diagnostics: String::new(),
            finished: 0,
            logs: BTreeMap::from([("stdout", String::new()), ("stderr", String::new())]),
        }
    }

    fn take(&mut self, given: &BTreeMap<String, String>) -> String {
        let app = self.make(given);
        let id = app.id();
        self.apps.push(app);
        id
    }
}

impl App {
    fn id(&self) -> String {
        format!("application_{}_{:04}", self.cluster, self.number)
    }

    fn container(&self) -> String {
        format!("container_{}_{:04}_01_000001", self.cluster, self.number)
    }

    fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "FINISHED" | "FAILED" | "KILLED")
    }

    fn end(&mut self, state: &str, last: &'static str, diagnostics: &str) {
        state.clone_into(&mut self.state);
        self.last = last;
        diagnostics.clone_into(&mut self.diagnostics);
        self.finished = self.cluster + 5000;
    }
}
