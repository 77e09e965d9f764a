//! Content that goes on where it was when a connection breaks.

use std::{
    future::Future,
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

use tokio::time::Instant;

use crate::{Access, Content, Store, StoreError};

/// Tries after the first where another may help, from [`PAUSE`] on, each pause twice as long as the one before.
pub(crate) const RETRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// Bytes on their way.
pub(crate) type Pieces = BoxStream<'static, Result<Bytes, StoreError>>;

/// Why something did not work, and whether the same once more may.
#[derive(Debug)]
pub(crate) struct Fault {
    pub error: StoreError,
    pub again: bool,
}

impl Fault {
    /// Another try may help.
    pub fn passing(error: StoreError) -> Self {
        Self { error, again: true }
    }
}

impl From<StoreError> for Fault {
    /// Another try cannot help.
    fn from(error: StoreError) -> Self {
        Self { error, again: false }
    }
}

/// Waits before a try after the first, which is number 1.
pub(crate) async fn pause(number: u32) {
    tokio::time::sleep(PAUSE * 2u32.saturating_pow(number.saturating_sub(1))).await;
}

/// Does something, and again where that may help.
pub(crate) async fn tried<T, F>(work: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut tries = 0;
    loop {
        match work().await {
            Ok(done) => return Ok(done),
            Err(fault) if !fault.again || tries >= RETRIES => return Err(fault.error),
            Err(_) => {
                tries += 1;
                pause(tries).await;
            }
        }
    }
}

/// How many pieces have gone by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moved(Arc<AtomicU64>);

impl Moved {
    /// The pieces, counted as they are taken.
    pub fn counting(&self, pieces: Pieces) -> Pieces {
        let moved = Arc::clone(&self.0);
        pieces
            .inspect(move |_| {
                moved.fetch_add(1, Ordering::Relaxed);
            })
            .boxed()
    }

    /// Waits until none was taken for so long.
    pub async fn stalled(&self, silence: Duration) {
        let mut last = (self.0.load(Ordering::Relaxed), Instant::now());
        loop {
            tokio::time::sleep_until(last.1 + silence).await;
            let now = self.0.load(Ordering::Relaxed);
            if now == last.0 {
                return;
            }
            last = (now, Instant::now());
        }
    }
}

/// Writes a file as [`Store::put`] does, as long as the store takes something: one that takes no byte for `silence`, or does not
/// say for so long that it has all, is given up.
pub async fn put_while_moving(
    store: &dyn Store,
    url: &url::Url,
    content: Content,
    access: &Access<'_>,
    silence: Duration,
) -> Result<u64, StoreError> {
    let moved = Moved::default();
    let content = Content { size: content.size, stream: moved.counting(content.stream) };
    tokio::select! {
        done = store.put(url, content, access) => done,
        () = moved.stalled(silence) => Err(StoreError::Unreachable(format!(
            "{}://{}{}: the store took no byte for {} s",
            url.scheme(),
            url.host_str().unwrap_or_default(),
            url.path(),
            silence.as_secs()
        ))),
    }
}

struct Reading<A> {
    pieces: Pieces,
    came: u64,
    size: Option<u64>,
    /// Tries since the last byte came.
    tries: u32,
    again: A,
    ended: bool,
}

/// Pieces, and after a break those that `again` gives from the number of bytes that came, at most [`RETRIES`] times without a
/// byte between. Of the errors of a stream only [`StoreError::Unreachable`] is a break; fewer bytes than the size are one too.
pub(crate) fn resuming<A, F>(first: Pieces, size: Option<u64>, again: A) -> Pieces
where
    A: Fn(u64) -> F + Send + 'static,
    F: Future<Output = Result<Pieces, Fault>> + Send,
{
    let reading = Reading { pieces: first, came: 0, size, tries: 0, again, ended: false };
    stream::unfold(reading, |mut reading| async move {
        if reading.ended {
            return None;
        }
        loop {
            let fault = match reading.pieces.next().await {
                Some(Ok(piece)) => {
                    reading.came = reading.came.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                    if !piece.is_empty() {
                        reading.tries = 0;
                    }
                    return Some((Ok(piece), reading));
                }
                None => match reading.size {
                    Some(size) if reading.came < size => {
                        StoreError::Unreachable(format!("it broke off after {} of {size} bytes", reading.came))
                    }
                    _ => return None,
                },
                Some(Err(fault)) => fault,
            };
            if let Err(fault) = reading.take_up(fault).await {
                reading.ended = true;
                return Some((Err(fault), reading));
            }
        }
    })
    .boxed()
}

impl<A, F> Reading<A>
where
    A: Fn(u64) -> F,
    F: Future<Output = Result<Pieces, Fault>>,
{
    async fn take_up(&mut self, error: StoreError) -> Result<(), StoreError> {
        let mut fault = Fault { again: matches!(error, StoreError::Unreachable(_)), error };
        while fault.again && self.tries < RETRIES {
            self.tries += 1;
            pause(self.tries).await;
            match (self.again)(self.came).await {
                Ok(pieces) => {
                    self.pieces = pieces;
                    return Ok(());
                }
                Err(next) => fault = next,
            }
        }
        Err(fault.error)
    }
}
