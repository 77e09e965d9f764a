//! The datanode: bytes.

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};

use super::{Shared, exception, lock, not_found, path_of, query};

pub(super) async fn answer(held: Shared, request: Request) -> Response {
    lock(&held).note("dn", &request);
    let Some(path) = path_of(request.uri()) else { return StatusCode::NOT_FOUND.into_response() };
    let query = query(request.uri());
    match (request.method().as_str(), query.get("op").map_or("", String::as_str)) {
        ("GET", "OPEN") => {
            let held = lock(&held);
            let Some(file) = held.files.get(&path) else { return not_found(&path) };
            let number = |key: &str| query.get(key).and_then(|text| text.parse::<usize>().ok());
            let from = number("offset").unwrap_or(0).min(file.bytes.len());
            let to = number("length").map_or(file.bytes.len(), |length| (from + length).min(file.bytes.len()));
            send(file.bytes.slice(from..to), held.break_after)
        }
        ("PUT", "CREATE") => {
            // It is there from the beginning on; whoever removes it meanwhile has removed it.
            let id = lock(&held).put(&path, Bytes::new());
            let mut pieces = request.into_body().into_data_stream();
            let mut bytes = Vec::new();
            let mut whole = true;
            while let Some(piece) = pieces.next().await {
                match piece {
                    Ok(piece) => bytes.extend_from_slice(&piece),
                    Err(_) => whole = false,
                }
            }
            // What came before a break stays, as with a real one.
            if let Some(file) = lock(&held).files.get_mut(&path).filter(|file| file.id == id) {
                file.bytes = Bytes::from(bytes);
            }
            if !whole {
                return exception(StatusCode::FORBIDDEN, "java.io.IOException", "the connection broke");
            }
            (StatusCode::CREATED, [(header::LOCATION, format!("hdfs://namenode:8020{path}"))]).into_response()
        }
        (method, operation) => exception(
            StatusCode::BAD_REQUEST,
            "java.lang.IllegalArgumentException",
            &format!("Invalid operation {method} {operation}"),
        ),
    }
}

/// Announces all bytes, and breaks the connection after so many.
fn send(bytes: Bytes, break_after: Option<usize>) -> Response {
    let length = bytes.len();
    let body = match break_after.filter(|after| *after < length) {
        None => Body::from(bytes),
        Some(after) => {
            let broken = stream::once(async {
                // So that what was sent before leaves the house.
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                Err(std::io::Error::other("planned"))
            });
            Body::from_stream(stream::iter([Ok(bytes.slice(..after))]).chain(broken))
        }
    };
    ([(header::CONTENT_LENGTH, length.to_string())], body).into_response()
}
