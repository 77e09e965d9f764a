//! Reading: one version of an object from its first byte to its last, taken up again where it broke off.

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{Method, Response, StatusCode, header::HeaderMap};
use tokio::time::timeout;

use super::client::{self, Dialog, RETRIES, SILENCE, etag, header};
use crate::{Content, StoreError};

/// What tells a version of an object from others.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    Etag(String),
    /// Large objects with very many segments have no ETag.
    Changed(String),
}

impl Version {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let changed = || header(headers, "last-modified").map(|text| Self::Changed(text.to_owned()));
        etag(headers).map(|text| Self::Etag(text.to_owned())).or_else(changed)
    }
}

struct Reading {
    dialog: Dialog,
    answer: Response,
    version: Option<Version>,
    size: Option<u64>,
    /// Bytes that came.
    at: u64,
    /// Breaks since the last byte.
    breaks: u32,
}

/// Opens the object of a dialog's url. Segments of large objects are put together by Swift.
pub(super) async fn open(dialog: Dialog) -> Result<Content, StoreError> {
    let answer = dialog.ask(dialog.about(Method::GET)).await?;
    match answer.status() {
        status if status.is_success() => {}
        StatusCode::NOT_FOUND => return Err(dialog.missing().await),
        _ => return Err(dialog.unexpected(&answer, "a reading")),
    }
    let size = answer.content_length();
    let reading = Reading { dialog, version: Version::of(answer.headers()), answer, size, at: 0, breaks: 0 };
    let pieces = stream::try_unfold(reading, |mut reading| async move {
        Ok::<_, StoreError>(reading.piece().await?.map(|piece| (piece, reading)))
    });
    Ok(Content { size, stream: pieces.boxed() })
}

impl Reading {
    async fn piece(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            let why = match timeout(SILENCE, self.answer.chunk()).await {
                Ok(Ok(Some(piece))) => {
                    self.at += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                    self.breaks = 0;
                    return Ok(Some(piece));
                }
                Ok(Ok(None)) if self.size.is_none_or(|size| self.at >= size) => return Ok(None),
                Ok(Ok(None)) => "ended too early".to_owned(),
                Ok(Err(error)) => client::broken(&error),
                Err(_) => "sent nothing any more".to_owned(),
            };
            if self.size == Some(self.at) {
                return Ok(None);
            }
            self.again(&why).await?;
        }
    }

    /// Asks for the rest of the same version.
    async fn again(&mut self, why: &str) -> Result<(), StoreError> {
        let name = self.dialog.target.name();
        let broken = || StoreError::Unreachable(format!("{name}: the reading {why} after {} bytes", self.at));
        let Some(version) = self.version.clone().filter(|_| self.breaks < RETRIES) else { return Err(broken()) };
        client::pause(self.breaks).await;
        self.breaks += 1;
        let mut ask = self.dialog.about(Method::GET);
        if self.at > 0 {
            ask = ask.header("Range", format!("bytes={}-", self.at));
        }
        if let Version::Etag(etag) = &version {
            ask = ask.header("If-Match", format!("\"{etag}\""));
        }
        let answer = self.dialog.ask(ask).await?;
        let changed = || StoreError::Unreachable(format!("{name} was changed while it was read: try again"));
        let wanted = if self.at > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        match answer.status() {
            status if status == wanted && Version::of(answer.headers()).as_ref() == Some(&version) => {
                self.answer = answer;
                Ok(())
            }
            StatusCode::NOT_FOUND => Err(StoreError::NotFound(format!("{name} was deleted while it was read"))),
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::PRECONDITION_FAILED => Err(changed()),
            StatusCode::RANGE_NOT_SATISFIABLE => Err(changed()),
            _ => Err(self.dialog.unexpected(&answer, "a reading that was taken up again")),
        }
    }
}
