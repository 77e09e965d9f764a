//! The web servers of the tests.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::net::TcpListener;

/// Starts both; gives their addresses.
pub async fn start(files: &std::path::Path) -> (SocketAddr, SocketAddr) {
    let other = serve(Router::new().route("/told", get(told))).await;
    let to_other = move || async move { Redirect::temporary(&format!("http://{other}/told")) };
    let routes = Router::new()
        .route("/files/{name}", get(file))
        .route("/broken", get(broken))
        .route("/private", get(private))
        .route("/told", get(told))
        .route("/halves/{how}", get(halves))
        .route("/busy/{name}", get(busy))
        .route("/stay", get(async || Redirect::temporary("/told")))
        .route("/leave", get(to_other))
        .route("/metadata", get(async || Redirect::temporary("http://169.254.169.254/latest/meta-data/")))
        .route("/mapped", get(async || Redirect::temporary("http://[::ffff:169.254.169.254]/latest/meta-data/")))
        .route("/to/{host}/{port}", get(async |Path((host, port)): Path<(String, u16)>| to(&host, port)))
        .route("/moved/{name}", get(async |Path(name): Path<String>| Redirect::temporary(&format!("/files/{name}"))))
        .route("/round", get(async || Redirect::temporary("/round")))
        .route("/away", get(async || Redirect::temporary("file:///etc/hostname")))
        .route("/status/{code}", get(async |Path(code): Path<u16>| StatusCode::from_u16(code).expect("a status")))
        .with_state(files.to_owned());
    (serve(routes).await, other)
}

/// Serves routes on a free port.
pub async fn serve(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

fn to(host: &str, port: u16) -> Redirect {
    Redirect::temporary(&format!("http://{host}:{port}/told"))
}

async fn file(State(files): State<PathBuf>, Path(name): Path<String>) -> Response {
    match tokio::fs::read(files.join(name)).await {
        Ok(bytes) => bytes.into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Announces ten bytes, sends three, and breaks the connection.
async fn broken() -> Response {
    let pieces: [Result<Bytes, std::io::Error>; 2] =
        [Ok(Bytes::from_static(b"abc")), Err(std::io::Error::other("planned"))];
    ([(header::CONTENT_LENGTH, "10")], Body::from_stream(stream::iter(pieces))).into_response()
}

/// For `me` with the password `secret`.
async fn private(headers: HeaderMap) -> Response {
    match headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        Some("Basic bWU6c2VjcmV0") => "yours".into_response(),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// What it was asked with.
async fn told(headers: HeaderMap) -> String {
    let of =
        |name: header::HeaderName| headers.get(name).map_or("none", |value| value.to_str().unwrap_or("?")).to_owned();
    format!("authorization {}, referer {}", of(header::AUTHORIZATION), of(header::REFERER))
}

/// Busy for the first two times.
async fn busy(Path(name): Path<String>) -> Response {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    if ASKED.fetch_add(1, Ordering::Relaxed) < 2 {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    name.into_response()
}

/// What [`halves`] sends.
pub const HALVED: &[u8] = b"0123456789abcdef";

/// Sends half of what was asked for, then the connection breaks.
async fn halves(Path(how): Path<String>, headers: HeaderMap) -> Response {
    static VERSION: AtomicU64 = AtomicU64::new(0);
    const CHANGED: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
    let (tag, version) = match how.as_str() {
        "tag" | "no-ranges" => (header::ETAG, "\"one\"".to_owned()),
        "weak" => (header::ETAG, "W/\"one\"".to_owned()),
        "time" => (header::LAST_MODIFIED, CHANGED.to_owned()),
        _ => (header::ETAG, format!("\"{}\"", VERSION.fetch_add(1, Ordering::Relaxed))),
    };
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let from = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let from: Option<usize> = from.filter(|_| text(header::IF_RANGE) == Some(&version) && how != "no-ranges");
    let bytes = &HALVED[from.unwrap_or(0)..];
    let half = Bytes::copy_from_slice(&bytes[..bytes.len().div_ceil(2)]);
    let rest = stream::once(async {
        // So that what was sent before leaves the house.
        tokio::time::sleep(Duration::from_millis(5)).await;
        Err(std::io::Error::other("planned"))
    });
    let is_last = half.len() == bytes.len();
    let pieces = stream::iter([Ok(half)]).chain(if is_last { stream::empty().boxed() } else { rest.boxed() });
    let length = [(header::CONTENT_LENGTH, bytes.len().to_string()), (tag, version)];
    let mut answer = (length, Body::from_stream(pieces)).into_response();
    if let Some(from) = from {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {from}-{}/{}", HALVED.len() - 1, HALVED.len());
        answer.headers_mut().insert(header::CONTENT_RANGE, range.parse().expect("a range"));
    }
    answer
}
