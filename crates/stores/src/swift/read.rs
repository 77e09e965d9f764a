//! Reading: one version of an object from its first byte to its last, taken up again where it broke off.

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{Method, Response, StatusCode, header::HeaderMap};
use tokio::time::timeout;

use super::client::{self, Dialog, RETRIES, SILENCE, etag, header};
use crate::{Content, StoreError, Version, resume::Pieces};

/// What tells a version of an object from others.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mark {
    Etag(String),
    /// Large objects with very many segments have no ETag.
    Changed(String),
}

impl Mark {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let changed = || header(headers, "last-modified").map(|text| Self::Changed(text.to_owned()));
        etag(headers).map(|text| Self::Etag(text.to_owned())).or_else(changed)
    }
}

struct Reading {
    dialog: Dialog,
    /// Nothing before the first request for a part.
    answer: Option<Response>,
    version: Option<Mark>,
    /// Where it ends.
    size: Option<u64>,
    /// Only bytes up to the end are asked for, not all that there are.
    is_part: bool,
    /// Where the next byte is.
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
    let version = Mark::of(answer.headers());
    let reading = Reading { dialog, version, answer: Some(answer), size, is_part: false, at: 0, breaks: 0 };
    Ok(Content { size, stream: reading.pieces() })
}

/// The object as it is now; nothing where Swift tells nothing by which versions could be told apart.
pub(super) async fn version(dialog: &Dialog) -> Result<Option<Version>, StoreError> {
    let answer = dialog.ask(dialog.about(Method::HEAD)).await?;
    match answer.status() {
        status if status.is_success() => {}
        StatusCode::NOT_FOUND => return Err(dialog.missing().await),
        _ => return Err(dialog.unexpected(&answer, "a question about an object")),
    }
    let size = header(answer.headers(), "content-length").and_then(|text| text.parse().ok());
    let mark = etag(answer.headers()).map(ToOwned::to_owned);
    Ok(size.zip(mark).map(|(size, mark)| Version { size, mark }))
}

/// Opens so many bytes from an offset on, of that version.
pub(super) async fn open_part(
    dialog: Dialog,
    version: &Version,
    (from, length): (u64, u64),
) -> Result<Content, StoreError> {
    let version = Some(Mark::Etag(version.mark.clone()));
    let size = Some(from + length);
    let mut reading = Reading { dialog, version, answer: None, size, is_part: true, at: from, breaks: 0 };
    reading.ask().await?;
    Ok(Content { size: Some(length), stream: reading.pieces() })
}

impl Reading {
    fn pieces(self) -> Pieces {
        let pieces = stream::try_unfold(self, |mut reading| async move {
            Ok::<_, StoreError>(reading.piece().await?.map(|piece| (piece, reading)))
        });
        pieces.boxed()
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            let Some(answer) = &mut self.answer else { return Ok(None) };
            let why = match timeout(SILENCE, answer.chunk()).await {
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
        if self.breaks >= RETRIES || self.version.is_none() {
            return Err(broken());
        }
        client::pause(self.breaks).await;
        self.breaks += 1;
        self.ask().await
    }

    /// Asks for what is left of the version.
    async fn ask(&mut self) -> Result<(), StoreError> {
        let name = self.dialog.target.name();
        let mut ask = self.dialog.about(Method::GET);
        let last = self.size.filter(|_| self.is_part).map(|end| end.saturating_sub(1));
        let is_range = self.at > 0 || last.is_some();
        if is_range {
            let last = last.map(|last| last.to_string()).unwrap_or_default();
            ask = ask.header("Range", format!("bytes={}-{last}", self.at));
        }
        if let Some(Mark::Etag(etag)) = &self.version {
            ask = ask.header("If-Match", format!("\"{etag}\""));
        }
        let answer = self.dialog.ask(ask).await?;
        let changed = || StoreError::Unreachable(format!("{name} was changed while it was read: try again"));
        let wanted = if is_range { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        match answer.status() {
            status if status == wanted && Mark::of(answer.headers()) == self.version => {
                self.answer = Some(answer);
                Ok(())
            }
            StatusCode::NOT_FOUND => Err(StoreError::NotFound(format!("{name} was deleted while it was read"))),
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::PRECONDITION_FAILED => Err(changed()),
            StatusCode::RANGE_NOT_SATISFIABLE => Err(changed()),
            _ => Err(self.dialog.unexpected(&answer, "a reading that was taken up again")),
        }
    }
}
