//! A proxy in front of a real HTTP service, which brings about the faults that a service cannot be asked for: an answer that is
//! lost, a request that arrives too late, silence, a refusal. One request goes over each connection.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What is done to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// The service gets it, and its answer is thrown away.
    LoseAnswer,
    /// The service gets it when [`Proxy::release`] says so, and whoever asked gets no answer.
    HoldBack,
    /// The service does not get it; the answer has this status.
    Answer(u16),
}

/// Tells by the first line of a request (`POST /jobs HTTP/1.1`) whether it is meant.
pub type Meant = fn(&str) -> bool;

/// See the module. It ends when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    task: JoinHandle<()>,
}

/// Of another word of the same length.
#[derive(Clone)]
struct Rewrite {
    after: String,
    from: String,
    to: String,
}

struct Inner {
    service: SocketAddr,
    deaf: bool,
    tricks: Vec<(Meant, Trick)>,
    held: Vec<Vec<u8>>,
    rewritten: Vec<Rewrite>,
    seen: Vec<String>,
}

impl Proxy {
    /// Before a service, on a free port of 127.0.0.1.
    pub async fn before(service: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let inner = Inner {
            service,
            deaf: false,
            tricks: Vec::new(),
            held: Vec::new(),
            rewritten: Vec::new(),
            seen: Vec::new(),
        };
        let inner = Arc::new(Mutex::new(inner));
        let shared = Arc::clone(&inner);
        let task = tokio::spawn(async move {
            while let Ok((asker, _)) = listener.accept().await {
                // A connection that breaks is what it is for.
                drop(tokio::spawn(serve(asker, Arc::clone(&shared))));
            }
        });
        Ok(Self { address, inner, task })
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `http://127.0.0.1:port`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on requests go to another service.
    pub fn lead_to(&self, service: SocketAddr) {
        self.inner().service = service;
    }

    /// Whether connections end without an answer and the service gets nothing.
    pub fn deaf(&self, deaf: bool) {
        self.inner().deaf = deaf;
    }

    /// Plays a trick on the next request that is meant.
    pub fn next(&self, meant: Meant, trick: Trick) {
        self.inner().tricks.push((meant, trick));
    }

    /// From now on answers show, where `from` stands next after `after`, another word of the same length.
    pub fn rewrite(&self, after: &str, from: &str, to: &str) {
        assert_eq!(from.len(), to.len(), "the length of the body would change");
        let rewrite = Rewrite { after: after.to_owned(), from: from.to_owned(), to: to.to_owned() };
        self.inner().rewritten.push(rewrite);
    }

    /// From now on answers are as the service gives them.
    pub fn rewrite_no_more(&self) {
        self.inner().rewritten.clear();
    }

    /// First lines of all requests so far, in their order.
    pub fn seen(&self) -> Vec<String> {
        self.inner().seen.clone()
    }

    /// Sends on what was held back, and waits until the service has answered it. Gives how many there were.
    pub async fn release(&self) -> io::Result<usize> {
        let held = std::mem::take(&mut self.inner().held);
        let service = self.inner().service;
        for request in &held {
            ask(service, request).await?;
        }
        Ok(held.len())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut asker: TcpStream, inner: Arc<Mutex<Inner>>) -> io::Result<()> {
    let request = read_request(&mut asker).await?;
    let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
    let (trick, service) = {
        let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.seen.push(line.clone());
        if inner.deaf {
            return Ok(());
        }
        let meant = inner.tricks.iter().position(|(meant, _)| meant(&line));
        let trick = meant.map(|index| inner.tricks.remove(index).1);
        if trick == Some(Trick::HoldBack) {
            inner.held.push(request);
            return Ok(());
        }
        (trick, inner.service)
    };
    if let Some(Trick::Answer(status)) = trick {
        let answer = format!("HTTP/1.1 {status} By-the-proxy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        return asker.write_all(answer.as_bytes()).await;
    }
    let answer = ask(service, &request).await?;
    if trick == Some(Trick::LoseAnswer) {
        return Ok(());
    }
    let rewritten = inner.lock().unwrap_or_else(PoisonError::into_inner).rewritten.clone();
    let answer = rewritten.iter().fold(answer, |bytes, rewrite| rewrite.apply(bytes));
    asker.write_all(&told_to_close(answer)).await?;
    asker.shutdown().await
}

/// The answer with the word that its connection is closed after it. Not every service says so where it was asked for it (Flink does not),
/// and whoever asked would send the next request into a connection that is just being closed.
fn told_to_close(mut answer: Vec<u8>) -> Vec<u8> {
    if let Some(end) = answer.windows(2).position(|window| window == b"\r\n") {
        answer.splice(end..end, *b"\r\nconnection: close");
    }
    answer
}

/// A request with its body, and with the wish that the connection be closed after it.
async fn read_request(asker: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if asker.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length = header("content-length").and_then(|text| text.parse::<usize>().ok());
    let chunked = header("transfer-encoding").is_some();
    let body = end + 4;
    let whole = |bytes: &[u8]| match length {
        Some(length) => bytes.len() >= body + length,
        None => !chunked || bytes.ends_with(b"0\r\n\r\n"),
    };
    while !whole(&bytes) {
        if asker.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let lines = head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let mut request = lines.fold(String::new(), |all, line| all + line + "\r\n");
    request.push_str("connection: close\r\n\r\n");
    Ok([request.as_bytes(), &bytes[body..]].concat())
}

async fn ask(service: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect(service).await?;
    connection.write_all(request).await?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await?;
    Ok(answer)
}

impl Rewrite {
    fn apply(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let find = |bytes: &[u8], from: usize, word: &str| {
            let mut windows = bytes.get(from..)?.windows(word.len());
            windows.position(|window| window == word.as_bytes()).map(|at| from + at)
        };
        let mut from = 0;
        while let Some(after) = find(&bytes, from, &self.after) {
            from = after + self.after.len();
            if let Some(at) = find(&bytes, from, &self.from) {
                bytes[at..at + self.to.len()].copy_from_slice(self.to.as_bytes());
            }
        }
        bytes
    }
}
