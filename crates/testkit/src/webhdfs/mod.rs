//! A fake HDFS that keeps state and speaks WebHDFS as Hadoop's documentation shows it: two namenodes with one name space, and a
//! datanode, each on a port of its own, so that redirects are real. It can be told to misbehave. A test double: it knows what
//! the tests need and no more.

mod datanode;
mod namenode;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::Request,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::service::{Port, Service};

/// Nobody of this name may use anything.
pub const STRANGER: &str = "stranger";
/// The delegation token that the fake takes.
pub const TOKEN: &str = "KAAEdGVzdAR0ZXN0-a-very-secret-token";
/// 2026-01-01 in milliseconds: the time of the first change; each one after it is a second later.
const BEGAN: u64 = 1_767_225_600_000;

/// What was asked of one of the servers.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `nn0`, `nn1` or `dn`.
    pub server: &'static str,
    /// Method and path with query.
    pub line: String,
    /// Whether it had a header `Authorization`.
    pub authorization: bool,
}

#[derive(Clone, Debug)]
struct File {
    bytes: Bytes,
    changed: u64,
    id: u64,
}

#[derive(Debug, Default)]
struct Held {
    files: BTreeMap<String, File>,
    folders: BTreeSet<String>,
    made: u64,
    /// The number of the namenode that is active.
    active: usize,
    /// Requests to namenodes that are answered with RetriableException first.
    busy: u32,
    kerberos: bool,
    without_options: bool,
    /// Renames that are done and answered with 500.
    lost: u32,
    /// Bytes after which a read breaks.
    break_after: Option<usize>,
    /// Where namenodes redirect to in place of the datanode.
    elsewhere: Option<String>,
    datanode: String,
    asked: Vec<Asked>,
}

type Shared = Arc<Mutex<Held>>;

/// The fake; it ends when it is dropped.
#[derive(Debug)]
pub struct FakeHdfs {
    namenodes: [SocketAddr; 2],
    held: Shared,
    _services: [Service; 3],
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeHdfs {
    /// Starts it on free ports without files, on a thread of its own. The first namenode is active.
    pub fn start() -> anyhow::Result<Self> {
        let (first, second, data) = (Port::free()?, Port::free()?, Port::free()?);
        let held: Shared =
            Arc::new(Mutex::new(Held { datanode: format!("http://{}", data.address), ..Held::default() }));
        let namenode = |number: usize| {
            let held = Arc::clone(&held);
            Router::new().fallback(move |request| namenode::answer(held, number, request))
        };
        let of_data = Arc::clone(&held);
        let datanode = Router::new().fallback(move |request| datanode::answer(of_data, request));
        let namenodes = [first.address, second.address];
        let services = [first.serve(namenode(0))?, second.serve(namenode(1))?, data.serve(datanode)?];
        Ok(Self { namenodes, held, _services: services })
    }

    /// `host:port` of a namenode, 0 or 1.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.namenodes[number]
    }

    /// Both namenodes as urls with a comma between.
    pub fn urls(&self) -> String {
        format!("http://{},http://{}", self.namenodes[0], self.namenodes[1])
    }

    /// Puts a file, and the folders above it.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        lock(&self.held).put(path, Bytes::copy_from_slice(bytes));
    }

    /// A file's bytes.
    pub fn get(&self, path: &str) -> Option<Bytes> {
        Some(lock(&self.held).files.get(path)?.bytes.clone())
    }

    /// The paths of all files.
    pub fn files(&self) -> Vec<String> {
        lock(&self.held).files.keys().cloned().collect()
    }

    /// The paths of all folders.
    pub fn folders(&self) -> Vec<String> {
        lock(&self.held).folders.iter().cloned().collect()
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.held).asked.clone()
    }

    /// From now on this namenode is active, and the other one in standby.
    pub fn set_active(&self, number: usize) {
        lock(&self.held).active = number;
    }

    /// Answers so many requests to namenodes with RetriableException before it works again.
    pub fn set_busy(&self, requests: u32) {
        lock(&self.held).busy = requests;
    }

    /// From now on namenodes ask for Kerberos where no delegation token comes.
    pub fn set_kerberos(&self) {
        lock(&self.held).kerberos = true;
    }

    /// From now on RENAME knows no options, as with HttpFS.
    pub fn set_without_options(&self) {
        lock(&self.held).without_options = true;
    }

    /// Does so many renames and answers them with 500.
    pub fn set_lost_renames(&self, requests: u32) {
        lock(&self.held).lost = requests;
    }

    /// Each read breaks after so many bytes.
    pub fn set_break_after(&self, bytes: usize) {
        lock(&self.held).break_after = Some(bytes);
    }

    /// Namenodes redirect to this address, `http://host:port`.
    pub fn set_datanode(&self, address: &str) {
        lock(&self.held).elsewhere = Some(address.to_owned());
    }
}

impl Held {
    /// Makes a folder and those above it.
    fn make_folder(&mut self, path: &str) {
        self.folders.insert(path.to_owned());
        self.make_above(path);
    }

    fn make_above(&mut self, path: &str) {
        let mut folder = path;
        while let Some((above, _)) = folder.rsplit_once('/') {
            self.folders.insert(if above.is_empty() { "/".to_owned() } else { above.to_owned() });
            folder = above;
        }
    }

    /// Gives the file's id.
    fn put(&mut self, path: &str, bytes: Bytes) -> u64 {
        self.make_above(path);
        self.made += 1;
        let id = 16_385 + self.made;
        self.files.insert(path.to_owned(), File { bytes, changed: BEGAN + self.made * 1000, id });
        id
    }

    fn note(&mut self, server: &'static str, request: &Request) {
        self.asked.push(Asked {
            server,
            line: format!("{} {}", request.method(), request.uri()),
            authorization: request.headers().contains_key(header::AUTHORIZATION),
        });
    }
}

/// `RemoteException`, with the status that Hadoop gives it.
fn exception(status: StatusCode, class: &str, message: &str) -> Response {
    let name = class.rsplit(['.', '$']).next().unwrap_or(class);
    let body = json!({"RemoteException": {"exception": name, "javaClassName": class, "message": message}});
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn not_found(path: &str) -> Response {
    exception(StatusCode::NOT_FOUND, "java.io.FileNotFoundException", &format!("File does not exist: {path}"))
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// The path below `/webhdfs/v1`, without a slash at its end.
fn path_of(uri: &Uri) -> Option<String> {
    let path = percent_decode_str(uri.path().strip_prefix("/webhdfs/v1")?).decode_utf8().ok()?;
    let path = path.trim_end_matches('/');
    Some(if path.is_empty() { "/".to_owned() } else { path.to_owned() })
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (decoded(key), decoded(value))).collect()
}
