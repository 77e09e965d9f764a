//! A fake S3 that keeps state: buckets by path, objects, listings in pages, ranges, uploads in parts. It refuses a wrong
//! signature as S3 does, and can be told to misbehave. A test double: it knows what the tests need and no more.

mod signature;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;

use crate::service::{Port, Service};

/// The account that the fake knows.
pub const ACCESS_KEY: &str = "AKIDFOGGARATEST";
/// Its secret.
pub const SECRET_KEY: &str = "a-very-secret-key-of-the-fake";
/// Bytes of a request.
const LARGEST: usize = 256 << 20;

/// How an object's bytes are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sending {
    /// Whole.
    #[default]
    Whole,
    /// Half of what was asked for; then the connection breaks. Whoever asks again for the rest gets half of that.
    Half,
    /// A first piece, then nothing more.
    Stalled,
}

#[derive(Clone, Debug)]
struct Object {
    bytes: Bytes,
    tag: String,
}

impl From<Bytes> for Object {
    fn from(bytes: Bytes) -> Self {
        Self { tag: etag(&bytes), bytes }
    }
}

#[derive(Debug, Default)]
struct Held {
    buckets: BTreeMap<String, BTreeMap<String, Object>>,
    /// Uploads in parts by their id: key with bucket, and parts by number.
    uploads: BTreeMap<String, (String, String, BTreeMap<u32, Object>)>,
    made: u64,
    page: usize,
    sending: Sending,
    /// Requests that are answered with 503 first.
    busy: u32,
    /// After so many more writes the next ones get no answer.
    stuck_after: Option<u32>,
    /// After so many more reads the next ones come to a stop in the middle.
    stalled_after: Option<u32>,
    /// Method and path with query of each request.
    asked: Vec<String>,
}

/// The fake; it ends when it is dropped.
#[derive(Debug)]
pub struct FakeS3 {
    address: SocketAddr,
    held: Arc<Mutex<Held>>,
    _service: Service,
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeS3 {
    /// Starts it on a free port with empty buckets, on a thread of its own.
    pub fn start(buckets: &[&str]) -> anyhow::Result<Self> {
        let held = Held {
            buckets: buckets.iter().map(|bucket| ((*bucket).to_owned(), BTreeMap::new())).collect(),
            page: 1000,
            ..Held::default()
        };
        let held = Arc::new(Mutex::new(held));
        let port = Port::free()?;
        let address = port.address;
        let service = port.serve(Router::new().fallback(answer).with_state(Arc::clone(&held)))?;
        Ok(Self { address, held, _service: service })
    }

    /// `http://host:port`
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts an object; its bucket has to be there.
    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let mut held = lock(&self.held);
        let bucket = held.buckets.get_mut(bucket).expect("a bucket");
        bucket.insert(key.to_owned(), Bytes::copy_from_slice(bytes).into());
    }

    /// An object.
    pub fn get(&self, bucket: &str, key: &str) -> Option<Bytes> {
        lock(&self.held).buckets.get(bucket)?.get(key).map(|object| object.bytes.clone())
    }

    /// The keys of a bucket.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        lock(&self.held).buckets.get(bucket).map(|objects| objects.keys().cloned().collect()).unwrap_or_default()
    }

    /// Uploads that were begun and neither completed nor given up.
    pub fn open_uploads(&self) -> usize {
        lock(&self.held).uploads.len()
    }

    /// Method and path with query of each request so far.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.held).asked.clone()
    }

    /// Entries in a page of a listing.
    pub fn set_page(&self, page: usize) {
        lock(&self.held).page = page;
    }

    /// How objects are sent from now on.
    pub fn set_sending(&self, sending: Sending) {
        lock(&self.held).sending = sending;
    }

    /// Answers so many requests with 503 before it works again.
    pub fn set_busy(&self, requests: u32) {
        lock(&self.held).busy = requests;
    }

    /// After so many more writes the next ones get no answer; nothing for no end of answers.
    pub fn set_stuck_after(&self, writes: Option<u32>) {
        lock(&self.held).stuck_after = writes;
    }

    /// After so many more reads of objects the next ones come to a stop in the middle; nothing for no such end.
    pub fn set_stalled_after(&self, reads: Option<u32>) {
        lock(&self.held).stalled_after = reads;
    }
}

/// Counts down; whether nothing is left.
fn is_over(left: &mut Option<u32>) -> bool {
    match left {
        None => false,
        Some(0) => true,
        Some(left) => {
            *left -= 1;
            false
        }
    }
}

struct Fault(StatusCode, &'static str);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        // S3 repeats the access key in such texts; so does this one, to see that nobody passes it on.
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>planned {ACCESS_KEY}</Message>\
             <AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId><RequestId>1</RequestId></Error>",
            self.1
        );
        (self.0, [(header::CONTENT_TYPE, "application/xml")], text).into_response()
    }
}

async fn answer(State(held): State<Arc<Mutex<Held>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST).await else { return StatusCode::BAD_REQUEST.into_response() };
    let (busy, stuck) = {
        let mut held = lock(&held);
        held.asked.push(format!("{} {}", head.method, head.uri));
        let busy = held.busy > 0;
        held.busy = held.busy.saturating_sub(1);
        (busy, head.method == Method::PUT && is_over(&mut held.stuck_after))
    };
    if stuck {
        std::future::pending::<()>().await;
    }
    if busy {
        return Fault(StatusCode::SERVICE_UNAVAILABLE, "SlowDown").into_response();
    }
    let done = signature::check(&head, &body).and_then(|()| act(&held, &head.method, &head.uri, &head.headers, body));
    let mut response = done.unwrap_or_else(IntoResponse::into_response);
    if head.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

fn act(held: &Mutex<Held>, method: &Method, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Result<Response, Fault> {
    let path = percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
    let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let query = query(uri);
    let mut held = lock(held);
    if !held.buckets.contains_key(bucket) {
        return Err(Fault(StatusCode::NOT_FOUND, "NoSuchBucket"));
    }
    let number = query.get("partNumber").and_then(|number| number.parse::<u32>().ok());
    let upload = query.get("uploadId").cloned();
    match (method.as_str(), upload, number) {
        ("GET", _, _) if key.is_empty() => Ok(list(&held, bucket, &query)),
        ("GET", Some(upload), _) => parts(&held, &upload, query.get("part-number-marker").map_or("0", String::as_str)),
        ("GET", _, _) => {
            // A question for what is not there is no read.
            let is_there = held.buckets.get(bucket).is_some_and(|objects| objects.contains_key(key));
            let stalled = is_there && is_over(&mut held.stalled_after);
            object(&held, bucket, key, headers, if stalled { Sending::Stalled } else { held.sending })
        }
        ("HEAD", _, _) => object(&held, bucket, key, headers, held.sending),
        ("PUT", Some(upload), Some(number)) => {
            let (_, _, parts) = held.uploads.get_mut(&upload).ok_or(Fault(StatusCode::NOT_FOUND, "NoSuchUpload"))?;
            let part = Object::from(body);
            let tag = part.tag.clone();
            parts.insert(number, part);
            Ok([(header::ETAG, tag)].into_response())
        }
        ("PUT", None, None) => {
            let object = Object::from(body);
            let tag = object.tag.clone();
            held.buckets.entry(bucket.to_owned()).or_default().insert(key.to_owned(), object);
            Ok([(header::ETAG, tag)].into_response())
        }
        ("POST", None, _) if query.contains_key("uploads") => {
            held.made += 1;
            let id = format!("upload-{}", held.made);
            held.uploads.insert(id.clone(), (bucket.to_owned(), key.to_owned(), BTreeMap::new()));
            Ok(format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>")
                .into_response())
        }
        ("POST", Some(upload), _) => {
            let (bucket, key, parts) =
                held.uploads.remove(&upload).ok_or(Fault(StatusCode::NOT_FOUND, "NoSuchUpload"))?;
            let whole: Vec<u8> = parts.values().flat_map(|part| part.bytes.iter().copied()).collect();
            // As S3 has it: the MD5 of the MD5s, and how many there were.
            let tags: String = parts.values().map(|part| part.tag.as_str()).collect();
            let tag = format!("{}-{}\"", etag(tags.as_bytes()).trim_end_matches('"'), parts.len());
            let object = Object { bytes: whole.into(), tag };
            let answer = format!(
                "<CompleteMultipartUploadResult><Key>{}</Key><ETag>{}</ETag></CompleteMultipartUploadResult>",
                escaped(&key),
                escaped(&object.tag)
            );
            held.buckets.entry(bucket).or_default().insert(key, object);
            Ok(answer.into_response())
        }
        ("DELETE", Some(upload), _) => {
            held.uploads.remove(&upload);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        ("DELETE", None, _) => {
            held.buckets.entry(bucket.to_owned()).or_default().remove(key);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => Err(Fault(StatusCode::NOT_IMPLEMENTED, "NotImplemented")),
    }
}

/// ListParts, two in a page.
fn parts(held: &Held, upload: &str, after: &str) -> Result<Response, Fault> {
    let (_, _, parts) = held.uploads.get(upload).ok_or(Fault(StatusCode::NOT_FOUND, "NoSuchUpload"))?;
    let after: u32 = after.parse().unwrap_or(0);
    let mut found = parts.iter().filter(|(number, _)| **number > after);
    let page: Vec<_> = found.by_ref().take(2).collect();
    let more = found.next().is_some();
    let mut text = format!("<ListPartsResult><IsTruncated>{more}</IsTruncated>");
    if let Some((last, _)) = page.last() {
        text.push_str(&format!("<NextPartNumberMarker>{last}</NextPartNumberMarker>"));
    }
    for (number, part) in page {
        text.push_str(&format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag><Size>{}</Size></Part>",
            escaped(&part.tag),
            part.bytes.len()
        ));
    }
    text.push_str("</ListPartsResult>");
    Ok(([(header::CONTENT_TYPE, "application/xml")], text).into_response())
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", hex::encode(Md5::digest(bytes)))
}

/// 2026-01-01, for every object.
const CHANGED: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
const CHANGED_IN_LISTINGS: &str = "2026-01-01T00:00:00.000Z";

fn object(held: &Held, bucket: &str, key: &str, headers: &HeaderMap, sending: Sending) -> Result<Response, Fault> {
    let whole = held.buckets.get(bucket).and_then(|objects| objects.get(key));
    let whole = whole.ok_or(Fault(StatusCode::NOT_FOUND, "NoSuchKey"))?;
    let Object { bytes: whole, tag } = whole.clone();
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_MATCH).is_some_and(|wanted| wanted != tag) {
        return Err(Fault(StatusCode::PRECONDITION_FAILED, "PreconditionFailed"));
    }
    let range = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let (status, bytes, place) = match range {
        None => (StatusCode::OK, whole.clone(), None),
        Some((from, to)) => {
            let from = from.parse::<usize>().unwrap_or(0);
            let to = to.parse::<usize>().map_or(whole.len(), |to| to.saturating_add(1)).min(whole.len());
            if from >= to {
                return Err(Fault(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"));
            }
            let place = format!("bytes {from}-{}/{}", to - 1, whole.len());
            (StatusCode::PARTIAL_CONTENT, whole.slice(from..to), Some(place))
        }
    };
    let length = bytes.len();
    let first = bytes.slice(..length / 2);
    let body = match sending {
        Sending::Whole => Body::from(bytes),
        // The last byte has no half.
        Sending::Half if length < 2 => Body::from(bytes),
        Sending::Half => {
            let broken = stream::once(async {
                // So that what was sent before leaves the house.
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                Err(std::io::Error::other("planned"))
            });
            Body::from_stream(futures::StreamExt::chain(stream::iter([Ok(first)]), broken))
        }
        Sending::Stalled => {
            let more = stream::once(std::future::pending::<Result<Bytes, std::io::Error>>());
            Body::from_stream(futures::StreamExt::chain(stream::iter([Ok(first)]), more))
        }
    };
    let mut response = (status, body).into_response();
    let mut set = |name: header::HeaderName, value: &str| {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    };
    set(header::CONTENT_LENGTH, &length.to_string());
    set(header::ETAG, &tag);
    set(header::LAST_MODIFIED, CHANGED);
    if let Some(place) = place {
        set(header::CONTENT_RANGE, &place);
    }
    Ok(response)
}

/// ListObjectsV2 without a delimiter; the token of the next page is the last key of this one.
fn list(held: &Held, bucket: &str, query: &BTreeMap<String, String>) -> Response {
    let prefix = query.get("prefix").map_or("", String::as_str);
    let after = query.get("continuation-token").map_or("", String::as_str);
    let objects = held.buckets.get(bucket).into_iter().flatten();
    let mut found = objects.filter(|(key, _)| key.starts_with(prefix) && (after.is_empty() || key.as_str() > after));
    let page: Vec<_> = found.by_ref().take(held.page).collect();
    let more = found.next().is_some();
    let mut text = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>");
    if let (true, Some((last, _))) = (more, page.last()) {
        text.push_str(&format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(last)));
    }
    for (key, object) in page {
        text.push_str(&format!(
            "<Contents><Key>{}</Key><LastModified>{CHANGED_IN_LISTINGS}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
            escaped(key),
            escaped(&object.tag),
            object.bytes.len()
        ));
    }
    text.push_str("</ListBucketResult>");
    ([(header::CONTENT_TYPE, "application/xml")], text).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
