//! The server's own address as the caller wrote it, for absolute links and for the 401 challenge.

use axum::http::{HeaderMap, header};

/// Scheme and host of a request, without a slash at the end. `X-Forwarded-Proto` counts only where the settings say that a
/// proxy sets it.
pub fn of(headers: &HeaderMap, trust_forwarded_proto: bool) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let forwarded = text("x-forwarded-proto").filter(|_| trust_forwarded_proto);
    let scheme = if forwarded == Some("https") { "https" } else { "http" };
    // The host comes back in links and in a header: nothing that is no host is repeated.
    let is_host = |host: &&str| host.chars().all(|c| c.is_ascii_alphanumeric() || ".:-_[]".contains(c));
    let host = text(header::HOST.as_str()).filter(|host| !host.is_empty()).filter(is_host).unwrap_or("localhost");
    format!("{scheme}://{host}")
}
