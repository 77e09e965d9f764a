//! Reading what is left of a body that was refused.
//!
//! A server that answers and closes while the client still sends makes the client's system throw the answer away (a reset
//! overtakes it), and the user sees "connection reset" instead of the reason. So the rest is read and dropped, within
//! bounds.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use http_body_util::BodyExt;
use tokio::sync::Mutex;

/// Most bytes that are read for nothing.
const BYTES: usize = 256 * 1024 * 1024;
/// Longest time that is spent on it.
const TIME: Duration = Duration::from_secs(10);

/// Reads the rest and drops it.
pub async fn rest(body: &mut Body) {
    let read = async {
        let mut left = BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            if length > left {
                return;
            }
            left -= length;
        }
    };
    // Whoever is slower than that sees a reset.
    let _ = tokio::time::timeout(TIME, read).await;
}

/// A body that can be given away as a stream and still be drained afterwards.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Body>>);

impl Shared {
    /// Takes the body in.
    pub fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// Its bytes as they come.
    pub fn stream(&self) -> BoxStream<'static, std::io::Result<Bytes>> {
        let body = Arc::clone(&self.0);
        stream::unfold(body, |body| async move {
            loop {
                let frame = body.lock().await.frame().await?;
                match frame.map(|frame| frame.into_data()) {
                    Ok(Ok(data)) => return Some((Ok(data), body)),
                    // Trailers hold no bytes.
                    Ok(Err(_)) => {}
                    Err(error) => return Some((Err(std::io::Error::other(error)), body)),
                }
            }
        })
        .boxed()
    }

    /// Reads the rest and drops it.
    pub async fn rest(&self) {
        rest(&mut *self.0.lock().await).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_rest_can_be_read_after_the_stream_was_dropped() {
        let pieces = ["one", "two", "three"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
        let shared = Shared::new(Body::from_stream(stream::iter(pieces)));
        let mut stream = shared.stream();
        assert_eq!(stream.next().await.expect("a piece").expect("bytes"), "one");
        drop(stream);
        shared.rest().await;
        assert!(shared.stream().next().await.is_none());
    }
}
