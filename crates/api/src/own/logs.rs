//! A job's output: a piece from an offset, or followed until the job has ended (contract.md section 3).

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use foggara_app::ops::executions::{self, LogPiece, Stream};
use foggara_domain::{Caller, Code, Error, ExecutionId, status::Phase};
use futures::stream;
use serde_json::json;

use crate::{
    ApiState,
    call::Call,
    fault::{Fault, Outcome},
    page::Query,
};

/// Bytes of one piece when the caller does not say, and at most.
const PIECE: usize = 64 * 1024;
const LARGEST_PIECE: usize = 4 * 1024 * 1024;
/// How long a follower waits before it looks again for more.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

const NEXT_OFFSET: HeaderName = HeaderName::from_static("x-next-offset");
const SIZE: HeaderName = HeaderName::from_static("x-log-size");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// `GET /api/v1/executions/{id}/logs/{stream}?offset=&limit=&follow=`
pub async fn read(call: Call) -> Outcome<Response> {
    let id: ExecutionId = call.id();
    let name = call.parameter("stream");
    let stream = Stream::parse(name).ok_or(Error::NotFound { key: "stream", value: name.to_owned() })?;
    let mut offset = number(&call.query, "offset", 0)?;
    let limit = usize::try_from(number(&call.query, "limit", PIECE as u64)?).unwrap_or(usize::MAX);
    if limit == 0 {
        return Err(Fault::refused(Code::InvalidParamsOnRequest, "limit is 0; it has to be at least 1"));
    }
    let limit = limit.min(LARGEST_PIECE);
    if !flag(&call.query, "follow")? {
        return Ok(piece(executions::logs(&call.app, &call.caller, &id, stream, offset, limit).await?));
    }
    // Unknown ids are refused before the stream begins.
    executions::get(&call.app, &call.caller, &id).await?;
    if let Some(seen) = call.headers.get(LAST_EVENT_ID) {
        let text = seen.to_str().unwrap_or_default();
        offset = text.parse().map_err(|_| {
            let text = format!("Last-Event-ID is '{text}'; it has to be the id of an event of this stream");
            Fault::refused(Code::InvalidParamsOnRequest, text)
        })?;
    }
    let follower = Follower {
        state: call.state,
        caller: call.caller,
        id,
        stream,
        offset,
        limit,
        held: Vec::new(),
        ready: VecDeque::new(),
        over: false,
    };
    Ok(Sse::new(stream::unfold(follower, Follower::next)).keep_alive(KeepAlive::default()).into_response())
}

fn piece(piece: LogPiece) -> Response {
    let mut response = Response::new(Body::from(piece.bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(NEXT_OFFSET, HeaderValue::from(piece.next_offset));
    headers.insert(SIZE, HeaderValue::from(piece.size));
    response
}

fn number(query: &Query, key: &str, default: u64) -> Outcome<u64> {
    let Some(text) = query.get(key) else { return Ok(default) };
    text.parse().map_err(|_| {
        let text = format!("{key} is '{text}'; it has to be a whole number of bytes");
        Fault::refused(Code::InvalidParamsOnRequest, text)
    })
}

fn flag(query: &Query, key: &str) -> Outcome<bool> {
    match query.get(key) {
        None | Some("false" | "0") => Ok(false),
        Some("" | "true" | "1") => Ok(true),
        Some(text) => {
            Err(Fault::refused(Code::InvalidParamsOnRequest, format!("{key} is '{text}'; it has to be true or false")))
        }
    }
}

/// Somebody who reads a log while it grows.
///
/// Events: `log` with text as data and the offset after it as id, so that a reconnect with `Last-Event-ID` goes on where the
/// last event ended; `end` with the status when the job has ended and its log is read; `error` when the log cannot be read
/// any more.
struct Follower {
    state: ApiState,
    caller: Caller,
    id: ExecutionId,
    stream: Stream,
    /// Where to read next.
    offset: u64,
    limit: usize,
    /// First bytes of a character whose rest is not written yet.
    held: Vec<u8>,
    ready: VecDeque<Event>,
    over: bool,
}

impl Follower {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            if self.over || self.state.settings.stopping.is_cancelled() {
                return None;
            }
            if !self.look().await {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                    () = self.state.settings.stopping.cancelled() => return None,
                }
            }
        }
    }

    /// Looks once; whether there was something to send.
    async fn look(&mut self) -> bool {
        // The status is read before the log: what was written before the end is then in the piece that is read after it.
        let row = executions::get(&self.state.app, &self.caller, &self.id).await;
        let read = match &row {
            Ok(_) => {
                executions::logs(&self.state.app, &self.caller, &self.id, self.stream, self.offset, self.limit).await
            }
            Err(error) => Err(error.clone()),
        };
        let (row, piece) = match (row, read) {
            (Ok(row), Ok(piece)) => (row, piece),
            // Passing: the next look may succeed, and the client sees keep-alives meanwhile.
            (_, Err(Error::Unavailable { .. })) | (Err(Error::Unavailable { .. }), _) => return false,
            (_, Err(error)) | (Err(error), _) => {
                let said = Fault::from(error).said();
                self.close(
                    "error",
                    &json!({"code": said.name.to_ascii_lowercase(), "detail": said.message}).to_string(),
                );
                return true;
            }
        };
        if !piece.bytes.is_empty() {
            self.offset = piece.next_offset;
            self.take(&piece.bytes);
            return !self.ready.is_empty();
        }
        if row.phase == Phase::Ended {
            if !self.held.is_empty() {
                let rest = std::mem::take(&mut self.held);
                self.send(&String::from_utf8_lossy(&rest));
            }
            let reason = row.reason.clone();
            self.close(
                "end",
                &json!({"status": row.status(), "reason": reason, "return_code": row.return_code}).to_string(),
            );
            return true;
        }
        false
    }

    /// Sends whole characters; the start of one that is cut waits for its rest.
    fn take(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        let whole = whole_characters(&self.held);
        if whole == 0 {
            return;
        }
        let rest = self.held.split_off(whole);
        let text = String::from_utf8_lossy(&self.held).into_owned();
        self.held = rest;
        self.send(&text);
    }

    fn send(&mut self, text: &str) {
        let id = self.offset.saturating_sub(self.held.len() as u64);
        // JSON, since a line of server-sent data cannot hold a carriage return.
        self.ready.push_back(Event::default().event("log").id(id.to_string()).data(json!({"text": text}).to_string()));
    }

    fn close(&mut self, name: &str, data: &str) {
        let id = self.offset.saturating_sub(self.held.len() as u64);
        self.ready.push_back(Event::default().event(name).id(id.to_string()).data(data));
        self.over = true;
    }
}

/// How many bytes from the start make whole characters, or can never become one.
fn whole_characters(bytes: &[u8]) -> usize {
    // A character has at most four bytes: only the last three can be the start of one.
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let length = match byte {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            0x80..=0xBF => continue,
            _ => 1,
        };
        return if length > back { bytes.len() - back } else { bytes.len() };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_never_cut() {
        let text = "aé€😀b".as_bytes();
        for cut in 0..=text.len() {
            let whole = whole_characters(&text[..cut]);
            assert!(std::str::from_utf8(&text[..whole]).is_ok(), "{cut}");
            assert!(cut - whole < 4);
        }
        assert_eq!(whole_characters(b"abc\xff"), 4);
        assert_eq!(whole_characters(b"\x80\x80\x80\x80"), 4);
    }

    #[test]
    fn parameters_are_checked() {
        let query = |text: &str| Query::read(text).expect("a query");
        assert_eq!(number(&query("offset=7"), "offset", 0), Ok(7));
        assert!(number(&query("offset=-1"), "offset", 0).is_err());
        assert_eq!(flag(&query("follow"), "follow"), Ok(true));
        assert_eq!(flag(&query("x=1"), "follow"), Ok(false));
        assert!(flag(&query("follow=maybe"), "follow").is_err());
    }
}
