//! Writing: content as one object, or, when it is more than a segment, as segments and a manifest.
//!
//! A body is a stream that is made once. Its first bytes are kept, so that what Swift refuses at its beginning (a token that has
//! ended, a server that is busy) can be sent again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use md5::{Digest, Md5};
use reqwest::{Body, Method, StatusCode};
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::Instant};

use super::{
    blocks::{self, Begun},
    client::{Ask, Dialog, Sending, etag},
    slo,
    target::Target,
};
use crate::{Content, StoreError, exactly, part};

/// Content of so many bytes is read before anything is sent, and goes with its hash ahead.
const SMALL: u64 = 4 << 20;
/// Bytes of a body that are kept: what may be on its way, in buffers on both sides, before a refusal is seen.
const KEPT: u64 = 8 << 20;
/// How long nothing may move on the way up.
const STALL: Duration = Duration::from_secs(300);
/// Swift takes 1000 segments; by default no object of more than 5 GiB.
const MOST_SEGMENTS: u64 = 900;

/// Writes content to the object of a dialog's url; gives its size. Segments of one that was there go when it is replaced.
pub(super) async fn put(dialog: &Dialog, content: Content, segment: u64) -> Result<u64, StoreError> {
    let told = content.size;
    let mut pieces = exactly(content);
    let mut first = Vec::new();
    let mut size = 0;
    let is_whole = loop {
        if size > SMALL.min(segment) {
            break false;
        }
        match pieces.next().await {
            Some(piece) => {
                let piece = piece?;
                size += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                first.push(piece);
            }
            None => break true,
        }
    };
    let old = slo::segments(dialog).await?;
    let hash = is_whole.then(|| {
        let mut hash = Md5::new();
        first.iter().for_each(|piece| hash.update(piece));
        hex::encode(hash.finalize())
    });
    let pieces = stream::iter(first).map(Ok).chain(pieces).boxed();
    let feed = Arc::new(Feed::of(pieces));
    let Target { container, object } = &dialog.target;
    let size = if is_whole || told.is_some_and(|told| told <= segment) {
        one(dialog, &feed, u64::MAX, (container, object), hash).await?.0
    } else {
        let segment = segment.max(told.unwrap_or(0).div_ceil(MOST_SEGMENTS));
        many(dialog, &feed, segment).await?
    };
    if let Err(error) = slo::remove(dialog, &old).await {
        // The new object is there, and whoever reads it is none the wiser.
        tracing::warn!("segments that nothing needs any more are left: {error}");
    }
    Ok(size)
}

/// Writes a portion as an object; gives its size and MD5, which is what Swift has seen, too.
pub(super) async fn one(
    dialog: &Dialog,
    feed: &Arc<Feed>,
    limit: u64,
    (container, object): (&str, &str),
    hash: Option<String>,
) -> Result<(u64, String), StoreError> {
    let part = Part::of(feed, limit);
    let mut ask = Ask::new(Method::PUT, container, object);
    if let Some(hash) = hash {
        // Then Swift itself refuses what has come otherwise.
        ask = ask.header("ETag", hash);
    }
    let answer = dialog.send(ask, &part).await?;
    let damaged = || {
        StoreError::Unreachable(format!("{}: it came to Swift otherwise than it was sent (MD5)", dialog.target.name()))
    };
    match answer.status() {
        status if status.is_success() => {}
        StatusCode::NOT_FOUND => return Err(dialog.no_container()),
        StatusCode::UNPROCESSABLE_ENTITY => return Err(damaged()),
        _ => return Err(dialog.unexpected(&answer, "a writing")),
    }
    let (size, sum) = part.sum().await;
    if etag(answer.headers()).is_some_and(|seen| !seen.eq_ignore_ascii_case(&sum)) {
        // Nobody is to find it. What does not work here is told by the first error.
        let _ = dialog.ask(Ask::new(Method::DELETE, container, object)).await;
        return Err(damaged());
    }
    Ok((size, sum))
}

/// Segments of an object that is not there yet; whoever drops it has them removed.
struct Unfinished(Option<Begun>);

impl Unfinished {
    async fn give_up(mut self) {
        if let Some(begun) = self.0.take() {
            // What does not work here is told by the first error; the note stays for whoever comes later.
            let _ = begun.give_up().await;
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let (Some(begun), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { begun.give_up().await });
        }
    }
}

/// Writes a feed as segments and a manifest. When that fails, the segments go, and what was there stays.
async fn many(dialog: &Dialog, feed: &Arc<Feed>, segment: u64) -> Result<u64, StoreError> {
    if let Err(error) = blocks::remove_old(dialog).await {
        tracing::warn!("segments of a writing that was killed are left: {error}");
    }
    let begun = Begun::of(dialog, &part::unique()).await?;
    let mut unfinished = Unfinished(Some(begun.clone()));
    match upload(dialog, feed, segment, &begun).await {
        Ok(size) => {
            unfinished.0 = None;
            begun.done().await;
            Ok(size)
        }
        Err(error) => {
            unfinished.give_up().await;
            Err(error)
        }
    }
}

/// Makes the container of segments; first makes sure that the object's own is there.
pub(super) async fn prepare(dialog: &Dialog, segments: &str) -> Result<(), StoreError> {
    let answer = dialog.ask(Ask::new(Method::HEAD, &dialog.target.container, "")).await?;
    if answer.status() == StatusCode::NOT_FOUND {
        return Err(dialog.no_container());
    }
    let answer = dialog.ask(Ask::new(Method::PUT, segments, "")).await?;
    if answer.status().is_success() { Ok(()) } else { Err(dialog.unexpected(&answer, "a container for segments")) }
}

async fn upload(dialog: &Dialog, feed: &Arc<Feed>, segment: u64, begun: &Begun) -> Result<u64, StoreError> {
    let mut pieces = Vec::new();
    while !feed.is_ended().await? {
        let (container, object) = begun.segment(u64::try_from(pieces.len()).unwrap_or(u64::MAX));
        let (size, hash) = one(dialog, feed, segment, (container, &object), None).await?;
        pieces.push(Piece { path: format!("/{container}/{object}"), hash, size });
    }
    let whole = pieces.iter().map(|piece| piece.size).sum();
    manifest(dialog, pieces).await?;
    Ok(whole)
}

/// A segment in a manifest.
pub(super) struct Piece {
    /// `/container/object`
    pub path: String,
    /// MD5.
    pub hash: String,
    /// Bytes.
    pub size: u64,
}

/// Makes an object of segments, in their order.
pub(super) async fn manifest(dialog: &Dialog, pieces: Vec<Piece>) -> Result<(), StoreError> {
    let mut of_all = Md5::new();
    let mut listed: Vec<Value> = Vec::new();
    for Piece { path, hash, size } in pieces {
        of_all.update(&hash);
        listed.push(json!({"path": path, "etag": hash, "size_bytes": size}));
    }
    let ask = dialog.about(Method::PUT).query("multipart-manifest", "put");
    let answer = dialog.send(ask, &Bytes::from(Value::from(listed).to_string())).await?;
    if !answer.status().is_success() {
        return Err(dialog.unexpected(&answer, "a manifest"));
    }
    let sum = hex::encode(of_all.finalize());
    if etag(answer.headers()).is_some_and(|seen| !seen.eq_ignore_ascii_case(&sum)) {
        let _ = dialog.ask(dialog.about(Method::DELETE)).await;
        return Err(StoreError::Unreachable(format!(
            "{}: its segments are not those that were sent (MD5)",
            dialog.target.name()
        )));
    }
    Ok(())
}

/// Content that is taken in portions.
pub(super) struct Feed(Mutex<Taken>);

struct Taken {
    pieces: BoxStream<'static, Result<Bytes, StoreError>>,
    /// Came, and was not taken.
    next: Option<Bytes>,
}

impl Feed {
    pub fn of(pieces: BoxStream<'static, Result<Bytes, StoreError>>) -> Self {
        Self(Mutex::new(Taken { pieces, next: None }))
    }

    /// Whether there is no more.
    async fn is_ended(&self) -> Result<bool, StoreError> {
        self.0.lock().await.is_ended().await
    }

    /// The next piece of at most so many bytes.
    async fn take(&self, most: u64) -> Result<Option<Bytes>, StoreError> {
        let mut taken = self.0.lock().await;
        if most == 0 || taken.is_ended().await? {
            return Ok(None);
        }
        let Some(mut piece) = taken.next.take() else { return Ok(None) };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if piece.len() > most {
            taken.next = Some(piece.split_off(most));
        }
        Ok(Some(piece))
    }
}

impl Taken {
    async fn is_ended(&mut self) -> Result<bool, StoreError> {
        while self.next.as_ref().is_none_or(Bytes::is_empty) {
            match self.pieces.next().await {
                Some(piece) => self.next = Some(piece?),
                None => return Ok(true),
            }
        }
        Ok(false)
    }
}

/// A portion of a feed on its way into an object.
struct Part {
    state: Arc<Mutex<Sent>>,
    /// Number of tries; a stream of an earlier one is over.
    tries: Arc<AtomicU64>,
    moved: Arc<AtomicU64>,
}

struct Sent {
    feed: Arc<Feed>,
    limit: u64,
    kept: Vec<Bytes>,
    /// The try with which bytes went away that were not kept: no other can follow it.
    gone_with: Option<u64>,
    size: u64,
    hash: Md5,
    fault: Option<StoreError>,
}

impl Sent {
    /// The next bytes of the feed, for a try.
    async fn pull(&mut self, own: u64) -> Result<Option<Bytes>, StoreError> {
        let piece = self.feed.take(self.limit - self.size).await;
        let Some(piece) = piece.inspect_err(|fault| self.fault = Some(fault.clone()))? else { return Ok(None) };
        self.size += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.hash.update(&piece);
        if self.size <= KEPT {
            self.kept.push(piece.clone());
        } else {
            self.gone_with = Some(own);
            self.kept = Vec::new();
        }
        Ok(Some(piece))
    }
}

impl Part {
    fn of(feed: &Arc<Feed>, limit: u64) -> Self {
        let sent = Sent {
            feed: Arc::clone(feed),
            limit,
            kept: Vec::new(),
            gone_with: None,
            size: 0,
            hash: Md5::new(),
            fault: None,
        };
        Self { state: Arc::new(Mutex::new(sent)), tries: Arc::default(), moved: Arc::default() }
    }

    /// Size and MD5 of what was sent.
    async fn sum(&self) -> (u64, String) {
        let sent = self.state.lock().await;
        (sent.size, hex::encode(sent.hash.clone().finalize()))
    }
}

impl Sending for Part {
    fn body(&self) -> Option<Body> {
        let own = self.tries.fetch_add(1, Ordering::SeqCst) + 1;
        // Held by a stream of an earlier try: it is waiting for content, and what it gets then is not lost.
        if self.state.try_lock().is_ok_and(|sent| sent.gone_with.is_some()) {
            return None;
        }
        let (state, tries, moved) = (Arc::clone(&self.state), Arc::clone(&self.tries), Arc::clone(&self.moved));
        let pieces = stream::try_unfold(0usize, move |number| {
            let (state, tries, moved) = (Arc::clone(&state), Arc::clone(&tries), Arc::clone(&moved));
            async move {
                let mut sent = state.lock().await;
                if tries.load(Ordering::SeqCst) != own || sent.gone_with.is_some_and(|gone| gone != own) {
                    return Err(std::io::Error::other("given up"));
                }
                let piece = match sent.kept.get(number).cloned() {
                    Some(piece) => Some(piece),
                    None => sent.pull(own).await.map_err(|_| std::io::Error::other("the content broke off"))?,
                };
                moved.fetch_add(1, Ordering::SeqCst);
                Ok(piece.map(|piece| (piece, number + 1)))
            }
        });
        Some(Body::wrap_stream(pieces))
    }

    fn fault(&self) -> Option<StoreError> {
        self.state.try_lock().ok()?.fault.clone()
    }

    async fn stalled(&self) {
        let mut last = (self.moved.load(Ordering::SeqCst), Instant::now());
        loop {
            tokio::time::sleep_until(last.1 + STALL).await;
            let moved = self.moved.load(Ordering::SeqCst);
            if moved == last.0 {
                return;
            }
            last = (moved, Instant::now());
        }
    }
}
