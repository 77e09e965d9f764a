//! Calls from pages of other origins. A layer of our own, since the usual one answers every OPTIONS by itself, and Sahara's
//! OPTIONS lists the methods of a route.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};

use crate::ApiState;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-openstack-request-id, x-request-id, x-subject-token, x-next-offset, x-log-size, content-disposition, retry-after",
);
/// How long a browser may keep the answer to a preflight, in seconds.
const KEPT: HeaderValue = HeaderValue::from_static("600");

/// Answers preflights, and lets the pages of allowed origins read answers.
pub async fn layer(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let origin = allowed(request.headers(), &state.settings.cors_origins);
    let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if preflight { Response::new(Body::empty()) } else { next.run(request).await };
    let Some(origin) = origin else { return response };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, KEPT);
        headers.extend(wanted.map(|wanted| (header::ACCESS_CONTROL_ALLOW_HEADERS, wanted)));
    } else {
        const EXPOSE: HeaderName = header::ACCESS_CONTROL_EXPOSE_HEADERS;
        headers.insert(EXPOSE, EXPOSED);
    }
    response
}

/// The request's origin, if its pages may call us. Tokens travel in a header that a page has to know, never in a cookie, so
/// `*` gives no page more than its user has.
fn allowed(headers: &HeaderMap, origins: &[String]) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let text = origin.to_str().ok()?;
    origins.iter().any(|allowed| allowed == "*" || allowed == text).then(|| origin.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_origins() {
        let mut headers = HeaderMap::new();
        assert_eq!(allowed(&headers, &["*".into()]), None);
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://a.example.org"));
        assert!(allowed(&headers, &["*".into()]).is_some());
        assert!(allowed(&headers, &["https://a.example.org".into()]).is_some());
        assert_eq!(allowed(&headers, &["https://b.example.org".into()]), None);
        assert_eq!(allowed(&headers, &[]), None);
    }
}
