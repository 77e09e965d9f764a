//! Errors of our own surface: RFC 9457 problem details with a stable `code` (contract.md section 3).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::fault::Fault;

/// The answer for a fault. `base` is the identity service's address, named in a 401.
pub fn answer(fault: &Fault, base: &str) -> Response {
    let said = fault.said();
    let body = json!({
        "type": "about:blank",
        "title": said.status.canonical_reason().unwrap_or_default(),
        "status": said.status.as_u16(),
        "detail": said.message,
        "code": said.name.to_ascii_lowercase(),
    });
    let mut response = (said.status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if said.status == StatusCode::UNAUTHORIZED
        && let Ok(challenge) = HeaderValue::try_from(format!("Keystone uri=\"{base}\""))
    {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    headers.extend(said.retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))));
    response
}

#[cfg(test)]
mod tests {
    use foggara_domain::Error;

    use super::*;

    #[test]
    fn a_problem_says_so_in_its_type() {
        let response = answer(&Error::no_such_id("x").into(), "http://h");
        assert_eq!(response.status().as_u16(), 404);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
