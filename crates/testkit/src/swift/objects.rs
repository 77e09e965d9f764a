//! Containers and objects.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use axum::{
    Json,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{FORBIDDEN, Held, PROJECT, USER, lock, md5_of};

/// Bytes of a request.
const LARGEST: usize = 256 << 20;
/// What is written in `Last-Modified`, for every object.
const CHANGED: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

/// How an object is made up.
#[derive(Clone, Debug)]
enum Kind {
    Plain,
    /// Container, name and ETag of each segment.
    Static(Vec<(String, String, String)>),
    /// Container and beginning of the names of the segments.
    Dynamic(String),
}

/// An object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    bytes: Bytes,
    kind: Kind,
    pub content_type: String,
    /// Microseconds of 2026.
    stamp: u64,
}

impl Object {
    pub fn plain(bytes: Bytes, stamp: u64) -> Self {
        Self { bytes, kind: Kind::Plain, content_type: "application/octet-stream".to_owned(), stamp }
    }

    pub fn dynamic(place: String, stamp: u64) -> Self {
        Self { kind: Kind::Dynamic(place), ..Self::plain(Bytes::new(), stamp) }
    }

    pub fn fixed(held: &mut Held, container: &str, segments: &[&str]) -> Self {
        let of = |name: &&str| {
            let etag =
                held.containers.get(container).and_then(|objects| objects.get(*name)).map(|found| found.etag(held));
            (container.to_owned(), (*name).to_owned(), etag.unwrap_or_default())
        };
        let kind = Kind::Static(segments.iter().map(of).collect());
        Self { kind, ..Self::plain(Bytes::new(), held.number()) }
    }

    fn etag(&self, held: &Held) -> String {
        let of_all = |etags: Vec<String>| format!("\"{}\"", md5_of(etags.concat().as_bytes()));
        match &self.kind {
            Kind::Plain => md5_of(&self.bytes),
            Kind::Static(segments) => of_all(segments.iter().map(|(_, _, etag)| etag.clone()).collect()),
            Kind::Dynamic(place) => of_all(below(held, place).iter().map(|bytes| md5_of(bytes)).collect()),
        }
    }
}

fn below(held: &Held, place: &str) -> Vec<Bytes> {
    let Some((container, prefix)) = place.split_once('/') else { return Vec::new() };
    let objects = held.containers.get(container).into_iter().flatten();
    objects.filter(|(name, _)| name.starts_with(prefix)).map(|(_, object)| object.bytes.clone()).collect()
}

/// The bytes of an object; nothing when a segment is missing or another.
pub(super) fn whole(held: &Held, object: &Object) -> Option<Vec<u8>> {
    match &object.kind {
        Kind::Plain => Some(object.bytes.to_vec()),
        Kind::Dynamic(place) => Some(below(held, place).concat()),
        Kind::Static(segments) => {
            let mut all = Vec::new();
            for (container, name, etag) in segments {
                let segment = held.containers.get(container)?.get(name)?;
                if segment.etag(held) != *etag {
                    return None;
                }
                all.extend(whole(held, segment)?);
            }
            Some(all)
        }
    }
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

fn text<'a>(headers: &'a HeaderMap, key: &str) -> Option<&'a str> {
    headers.get(key).and_then(|value| value.to_str().ok())
}

/// Refuses before the body is read, as Swift does.
pub(super) async fn answer(held: &Mutex<Held>, request: Request) -> Result<Response, StatusCode> {
    let (head, body) = request.into_parts();
    let path = percent_decode_str(head.uri.path()).decode_utf8_lossy().into_owned();
    {
        let mut held = lock(held);
        held.asked.push(format!("{} {}", head.method, head.uri));
        if held.busy > 0 {
            held.busy -= 1;
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        if held.busy_writes > 0 && head.method == Method::PUT {
            held.busy_writes -= 1;
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        match text(&head.headers, "x-auth-token").and_then(|token| held.tokens.get(token)) {
            None => return Err(StatusCode::UNAUTHORIZED),
            Some(user) if user == USER && path.starts_with(&format!("/v1/AUTH_{PROJECT}/")) => {}
            Some(_) => return Err(StatusCode::FORBIDDEN),
        }
    }
    let path = path.splitn(4, '/').nth(3).unwrap_or_default().to_owned();
    let (container, name) = path.split_once('/').unwrap_or((&path, ""));
    if container == FORBIDDEN {
        return Err(StatusCode::FORBIDDEN);
    }
    if head.method == Method::PUT && name.ends_with(char::is_numeric) && container.ends_with("_segments") {
        let stuck = match &mut lock(held).stuck_after {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        };
        if stuck {
            std::future::pending::<()>().await;
        }
    }
    // What breaks off is not stored.
    let body = to_bytes(body, LARGEST).await.map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
    let mut held = lock(held);
    let query = query(&head.uri);
    if name.is_empty() {
        return of_container(&mut held, &head.method, container, &query);
    }
    if !held.containers.contains_key(container) {
        return Err(StatusCode::NOT_FOUND);
    }
    match head.method {
        Method::GET if query.get("multipart-manifest").is_some_and(|text| text == "get") => {
            manifest(&held, container, name)
        }
        Method::GET | Method::HEAD => read(&held, container, name, &head.headers, head.method == Method::HEAD),
        Method::PUT => put(&mut held, container, name, &query, &head.headers, body),
        Method::DELETE => {
            let objects = held.containers.get_mut(container);
            match objects.and_then(|objects| objects.remove(name)) {
                Some(_) => Ok(StatusCode::NO_CONTENT.into_response()),
                None => Err(StatusCode::NOT_FOUND),
            }
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

fn of_container(
    held: &mut Held,
    method: &Method,
    container: &str,
    query: &BTreeMap<String, String>,
) -> Result<Response, StatusCode> {
    if *method == Method::PUT {
        held.containers.entry(container.to_owned()).or_default();
        return Ok(StatusCode::CREATED.into_response());
    }
    let objects = held.containers.get(container).ok_or(StatusCode::NOT_FOUND)?;
    if *method == Method::HEAD {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let of = |key: &str| query.get(key).map_or("", String::as_str);
    let found = objects.iter().filter(|(name, _)| name.starts_with(of("prefix")) && name.as_str() > of("marker"));
    let page: Vec<Value> = found
        .take(held.page)
        .map(|(name, object)| {
            let size = match object.kind {
                Kind::Static(_) => whole(held, object).map_or(0, |bytes| bytes.len()),
                _ => object.bytes.len(),
            };
            json!({
                "name": name, "bytes": size, "hash": md5_of(&object.bytes), "content_type": object.content_type,
                "last_modified": format!("2026-01-01T00:00:00.{:06}", object.stamp),
            })
        })
        .collect();
    Ok(Json(page).into_response())
}

fn manifest(held: &Held, container: &str, name: &str) -> Result<Response, StatusCode> {
    let object = held.containers.get(container).and_then(|objects| objects.get(name)).ok_or(StatusCode::NOT_FOUND)?;
    let Kind::Static(segments) = &object.kind else { return Ok(object.bytes.clone().into_response()) };
    let of = |(container, name, hash): &(String, String, String)| json!({"name": format!("/{container}/{name}"), "hash": hash});
    Ok(Json(segments.iter().map(of).collect::<Vec<_>>()).into_response())
}

fn put(
    held: &mut Held,
    container: &str,
    name: &str,
    query: &BTreeMap<String, String>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response, StatusCode> {
    let stamp = held.number();
    let mut object = Object::plain(body, stamp);
    if query.get("multipart-manifest").is_some_and(|text| text == "put") {
        let listed: Vec<Value> = serde_json::from_slice(&object.bytes).map_err(|_| StatusCode::BAD_REQUEST)?;
        let mut segments = Vec::new();
        for segment in &listed {
            let of = |key: &str| segment.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let path = of("path");
            let (place, name) = path.trim_start_matches('/').split_once('/').ok_or(StatusCode::BAD_REQUEST)?;
            let there = held.containers.get(place).and_then(|objects| objects.get(name));
            let there = there.ok_or(StatusCode::BAD_REQUEST)?;
            let size = segment.get("size_bytes").and_then(Value::as_u64);
            if there.etag(held) != of("etag") || size != u64::try_from(there.bytes.len()).ok() {
                return Err(StatusCode::BAD_REQUEST);
            }
            segments.push((place.to_owned(), name.to_owned(), of("etag")));
        }
        object.kind = Kind::Static(segments);
    } else if held.damages {
        let mut bytes = object.bytes.to_vec();
        bytes.push(b'!');
        object.bytes = bytes.into();
    }
    let etag = object.etag(held);
    if text(headers, "etag").is_some_and(|wanted| wanted != etag) {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    }
    held.containers.entry(container.to_owned()).or_default().insert(name.to_owned(), object);
    Ok((StatusCode::CREATED, [(header::ETAG, etag)]).into_response())
}

fn read(held: &Held, container: &str, name: &str, headers: &HeaderMap, is_head: bool) -> Result<Response, StatusCode> {
    let object = held.containers.get(container).and_then(|objects| objects.get(name)).ok_or(StatusCode::NOT_FOUND)?;
    let whole = Bytes::from(whole(held, object).ok_or(StatusCode::CONFLICT)?);
    let tag = object.etag(held);
    if text(headers, "if-match").is_some_and(|wanted| wanted.trim_matches('"') != tag.trim_matches('"')) {
        return Err(StatusCode::PRECONDITION_FAILED);
    }
    let range = text(headers, "range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let range = range.and_then(|(from, last)| {
        let end = last.parse::<usize>().map_or(whole.len(), |last| (last + 1).min(whole.len()));
        Some((from.parse::<usize>().ok()?, end))
    });
    let (status, bytes) = match range {
        None => (StatusCode::OK, whole.clone()),
        Some((from, end)) if from < end => (StatusCode::PARTIAL_CONTENT, whole.slice(from..end)),
        Some(_) => return Err(StatusCode::RANGE_NOT_SATISFIABLE),
    };
    let length = bytes.len();
    let body = match held.break_after.filter(|most| *most < length && !is_head) {
        None => Body::from(bytes),
        Some(most) => {
            let broken = stream::once(async {
                // So that what was sent before leaves the house.
                tokio::time::sleep(Duration::from_millis(5)).await;
                Err(std::io::Error::other("planned"))
            });
            Body::from_stream(stream::iter([Ok(bytes.slice(..most))]).chain(broken))
        }
    };
    let mut response = (status, if is_head { Body::empty() } else { body }).into_response();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    };
    set(header::CONTENT_LENGTH, &length.to_string());
    set(header::CONTENT_TYPE, &object.content_type);
    set(header::ETAG, &tag);
    set(header::LAST_MODIFIED, CHANGED);
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600) + Duration::from_micros(object.stamp);
    let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    set(HeaderName::from_static("x-timestamp"), &format!("{:.5}", since.as_secs_f64()));
    match &object.kind {
        Kind::Plain => {}
        Kind::Static(_) => set(HeaderName::from_static("x-static-large-object"), "True"),
        Kind::Dynamic(place) => set(HeaderName::from_static("x-object-manifest"), place),
    }
    Ok(response)
}
