//! A fake Swift with the Keystone v3 beside it that lets its users in, and the log-in of a Swift alone. It keeps state: users,
//! tokens, trusts, containers, objects, large objects of both kinds; and it can be told to misbehave. A test double: it knows
//! what the tests need and no more.

mod keystone;
mod objects;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use md5::{Digest, Md5};
use objects::Object;

use crate::service::{Port, Service};

/// A user, in the domain `Default`.
pub const USER: &str = "ada";
/// The user's password.
pub const PASSWORD: &str = "a-very-secret-password-of-the-fake";
/// The id of the user's project; the Swift account is `AUTH_` with this.
pub const PROJECT: &str = "p-demo";
/// Its name.
pub const PROJECT_NAME: &str = "demo";
/// The service user, in the project `service`; it may examine tokens and bear trusts.
pub const SERVICE: &str = "foggara";
/// Its password.
pub const SERVICE_PASSWORD: &str = "the-service-password-of-the-fake";
/// A container that nobody may do anything with.
pub const FORBIDDEN: &str = "forbidden";

#[derive(Debug, Default)]
struct Held {
    address: String,
    containers: BTreeMap<String, BTreeMap<String, Object>>,
    /// The user of each token.
    tokens: BTreeMap<String, String>,
    trusts: BTreeSet<String>,
    made: u64,
    logins: usize,
    page: usize,
    busy: u32,
    busy_writes: u32,
    /// After so many more segments the next ones get no answer.
    stuck_after: Option<u32>,
    break_after: Option<usize>,
    damages: bool,
    has_catalogue: bool,
    /// Method and path with query of each request to Swift.
    asked: Vec<String>,
}

impl Held {
    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }
}

/// The fake; it ends when it is dropped.
#[derive(Debug)]
pub struct FakeSwift {
    address: SocketAddr,
    held: Arc<Mutex<Held>>,
    _service: Service,
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// MD5 in hexadecimal letters.
pub fn md5_of(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

impl FakeSwift {
    /// Starts it on a free port with empty containers, on a thread of its own.
    pub fn start(containers: &[&str]) -> anyhow::Result<Self> {
        let port = Port::free()?;
        let address = port.address;
        let held = Held {
            address: address.to_string(),
            containers: containers.iter().map(|container| ((*container).to_owned(), BTreeMap::new())).collect(),
            page: 10_000,
            has_catalogue: true,
            ..Held::default()
        };
        let held = Arc::new(Mutex::new(held));
        let service = port.serve(Router::new().fallback(answer).with_state(Arc::clone(&held)))?;
        Ok(Self { address, held, _service: service })
    }

    /// `http://host:port/v3`
    pub fn keystone(&self) -> String {
        format!("http://{}/v3", self.address)
    }

    /// The log-in of a Swift alone, where users have the name `project:user`.
    pub fn v1(&self) -> String {
        format!("http://{}/auth/v1.0", self.address)
    }

    /// The address of Swift without the account.
    pub fn endpoint(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// A token of the user, as if the user had logged in.
    pub fn token(&self) -> String {
        keystone::new_token(&mut lock(&self.held), USER)
    }

    /// Puts an object; its container has to be there.
    pub fn put(&self, container: &str, name: &str, bytes: &[u8]) {
        let mut held = lock(&self.held);
        let object = Object::plain(bytes.to_vec().into(), held.number());
        held.containers.get_mut(container).expect("a container").insert(name.to_owned(), object);
    }

    /// Puts a sign for a folder, as some programs do.
    pub fn put_folder(&self, container: &str, name: &str) {
        let mut held = lock(&self.held);
        let mut object = Object::plain(Vec::new().into(), held.number());
        "application/directory".clone_into(&mut object.content_type);
        held.containers.get_mut(container).expect("a container").insert(name.to_owned(), object);
    }

    /// Puts an object that is made of those whose names begin so: a dynamic large object.
    pub fn put_dynamic(&self, container: &str, name: &str, prefix: &str) {
        let mut held = lock(&self.held);
        let object = Object::dynamic(format!("{container}/{prefix}"), held.number());
        held.containers.get_mut(container).expect("a container").insert(name.to_owned(), object);
    }

    /// Puts an object that is made of others of the same container: a static large object.
    pub fn put_static(&self, container: &str, name: &str, segments: &[&str]) {
        let mut held = lock(&self.held);
        let object = Object::fixed(&mut held, container, segments);
        held.containers.get_mut(container).expect("a container").insert(name.to_owned(), object);
    }

    /// An object as a reader gets it.
    pub fn get(&self, container: &str, name: &str) -> Option<Vec<u8>> {
        let held = lock(&self.held);
        objects::whole(&held, held.containers.get(container)?.get(name)?)
    }

    /// The names in a container.
    pub fn names(&self, container: &str) -> Vec<String> {
        lock(&self.held).containers.get(container).map(|objects| objects.keys().cloned().collect()).unwrap_or_default()
    }

    /// Method and path with query of each request to Swift so far.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.held).asked.clone()
    }

    /// Log-ins so far that were let in.
    pub fn logins(&self) -> usize {
        lock(&self.held).logins
    }

    /// No token that was given counts any more.
    pub fn expire_tokens(&self) {
        lock(&self.held).tokens.clear();
    }

    /// Entries in a page of a listing.
    pub fn set_page(&self, page: usize) {
        lock(&self.held).page = page;
    }

    /// Answers so many requests to Swift with 503 before it works again.
    pub fn set_busy(&self, requests: u32) {
        lock(&self.held).busy = requests;
    }

    /// Answers so many writings of objects with 503, before anything of them is read.
    pub fn set_busy_for_writes(&self, requests: u32) {
        lock(&self.held).busy_writes = requests;
    }

    /// Writings of objects that are still to be answered with 503.
    pub fn busy_writes(&self) -> u32 {
        lock(&self.held).busy_writes
    }

    /// Breaks the connection after so many bytes of an object.
    pub fn set_break_after(&self, bytes: Option<usize>) {
        lock(&self.held).break_after = bytes;
    }

    /// After so many more segments the next ones get no answer; nothing for no end of answers.
    pub fn set_stuck_after(&self, segments: Option<u32>) {
        lock(&self.held).stuck_after = segments;
    }

    /// What is written is stored otherwise than it came.
    pub fn set_damages(&self) {
        lock(&self.held).damages = true;
    }

    /// Keystone's catalogue names no Swift.
    pub fn take_from_catalogue(&self) {
        lock(&self.held).has_catalogue = false;
    }
}

async fn answer(State(held): State<Arc<Mutex<Held>>>, request: Request) -> Response {
    let path = request.uri().path();
    if path.starts_with("/v3/") || path.starts_with("/auth/") {
        return keystone::answer(&held, request).await;
    }
    objects::answer(&held, request).await.unwrap_or_else(IntoResponse::into_response)
}
