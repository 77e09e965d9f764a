//! Answers that went well (sahara-v1.1.md section 1.4: one status per method).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use foggara_domain::Timestamp;
use serde_json::{Map, Value, json};

/// 200 with a body.
pub fn ok(body: Value) -> Response {
    Json(body).into_response()
}

/// 202 with a body: POST, PUT and PATCH.
pub fn accepted(body: Value) -> Response {
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

/// 204.
pub fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// An object under its key.
pub fn under(key: &str, object: Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), object)]))
}

/// A time as Sahara writes it, or null.
pub fn time(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| json!(at.sahara()))
}

/// No cache may keep the answer: a GET that does something (spec/README.md conflict 12).
pub fn never_stored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 200 with bytes as they come. The connection is cut when they break off, so that nobody takes a part for the whole.
pub fn bytes<S, B, E>(size: Option<u64>, stream: S) -> Response
where
    S: futures::TryStream<Ok = B, Error = E> + Send + 'static,
    B: Into<bytes::Bytes>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut response = Response::new(axum::body::Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    // Uploaded bytes are never to be taken for a page of this server.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.extend(size.map(|size| (header::CONTENT_LENGTH, HeaderValue::from(size))));
    response
}

/// The answer as a file of this name.
pub fn attachment(mut response: Response, name: &str) -> Response {
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename={name}")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
