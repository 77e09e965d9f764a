//! Requests that opendal does not make for us: single parts of an upload, and what is known of it. They are signed by AWS's
//! signature version 4, as opendal's are.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use foggara_domain::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use opendal::ErrorKind;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Body, Method, Response, header};
use sha2::{Digest, Sha256};

use super::{
    fault,
    target::{Keys, Target},
};
use crate::{
    StoreError, reach,
    resume::{Moved, Pieces},
};

/// What is written with %, in a query and in a path.
const OTHERS: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const OF_PATHS: AsciiSet = OTHERS.remove(b'/');
/// The bytes of a body are not in the signature: they are sent as they come.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// How long no byte may move.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer that are read.
const LARGEST: usize = 16 << 20;

/// What is sent: nothing, a text, or so many bytes as they come.
pub(super) enum Sent {
    Nothing,
    Text(String),
    Bytes(u64, Pieces),
}

/// Asks about the object of a target, once. The answer is one of success.
pub(super) async fn ask(
    client: &reqwest::Client,
    target: &Target,
    method: Method,
    query: &[(&str, &str)],
    sent: Sent,
) -> Result<Response, StoreError> {
    let encode = |text: &str| utf8_percent_encode(text, &OTHERS).to_string();
    let mut pairs: Vec<(String, String)> = query.iter().map(|(key, value)| (encode(key), encode(value))).collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let (base, path) = address(target);
    let url = format!("{base}{path}?{}", pairs.join("&"));
    let mut request = client.request(method.clone(), &url);
    if let Some(keys) = &target.keys {
        let host = base.split_once("://").map_or(base.as_str(), |(_, host)| host);
        for (name, value) in signed(keys, &target.region, host, &format!("{method}\n{path}\n{}", pairs.join("&"))) {
            request = request.header(name, value);
        }
    }
    let moved = Moved::default();
    request = match sent {
        Sent::Nothing => request.header(header::CONTENT_LENGTH, 0),
        Sent::Text(text) => request.body(text),
        Sent::Bytes(size, pieces) => {
            request.header(header::CONTENT_LENGTH, size).body(Body::wrap_stream(moved.counting(pieces)))
        }
    };
    let answer = tokio::select! {
        answer = request.send() => answer.map_err(|error| broken(target, &error))?,
        () = moved.stalled(SILENCE) => return Err(fault::silent(target)),
    };
    if answer.status().is_success() {
        return Ok(answer);
    }
    let (status, text) = (answer.status().as_u16(), text(target, answer).await.unwrap_or_default());
    Err(refusal(target, &text, status))
}

/// What a refusal means that came as XML.
pub(super) fn refusal(target: &Target, text: &str, status: u16) -> StoreError {
    let kind = match status {
        401 | 403 => ErrorKind::PermissionDenied,
        404 => ErrorKind::NotFound,
        412 => ErrorKind::ConditionNotMatch,
        _ => ErrorKind::Unexpected,
    };
    fault::said(target, element(text, "Code").filter(|code| fault::is_code(code)), kind, || {
        format!("answered with status {status}")
    })
}

fn broken(target: &Target, error: &reqwest::Error) -> StoreError {
    if let Some(fault) = reach::forbidden(error) {
        return StoreError::Denied(format!("{}: {} is not asked: {fault}", target.name(), target.endpoint));
    }
    // The outer texts hold the whole url.
    let cause = crate::http::cause(error).map(ToString::to_string).unwrap_or_default();
    fault::said(target, None, ErrorKind::Unexpected, || format!("cannot be reached or broke off: {cause}"))
}

/// The text of an answer.
pub(super) async fn text(target: &Target, mut answer: Response) -> Result<String, StoreError> {
    let mut bytes = Vec::new();
    loop {
        match tokio::time::timeout(SILENCE, answer.chunk()).await {
            Ok(Ok(Some(piece))) if bytes.len() + piece.len() <= LARGEST => bytes.extend_from_slice(&piece),
            Ok(Ok(None)) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Ok(Ok(Some(_))) => return Err(StoreError::TooBig(format!("{}: an answer is too long", target.name()))),
            Ok(Err(error)) => return Err(broken(target, &error)),
            Err(_) => return Err(fault::silent(target)),
        }
    }
}

/// Scheme and host, and the path of the object as it is sent.
fn address(target: &Target) -> (String, String) {
    let key = utf8_percent_encode(&target.key, &OF_PATHS);
    if target.path_style {
        return (target.endpoint.clone(), format!("/{}/{key}", target.bucket));
    }
    let (scheme, host) = target.endpoint.split_once("://").unwrap_or(("https", &target.endpoint));
    (format!("{scheme}://{}.{host}", target.bucket), format!("/{key}"))
}

/// The headers that sign a request: method, path and query in three lines.
fn signed(keys: &Keys, region: &str, host: &str, request: &str) -> Vec<(&'static str, header::HeaderValue)> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)).rfc3339();
    // `2026-01-01T00:00:00...` without what stands between the digits.
    let time: String = now.chars().take(19).filter(|char| !matches!(char, '-' | ':')).collect();
    let time = format!("{time}Z");
    let token = keys.token.as_ref().map(|token| token.reveal().to_owned());
    let mut values = vec![("host", host.to_owned()), ("x-amz-content-sha256", UNSIGNED.to_owned())];
    values.push(("x-amz-date", time.clone()));
    values.extend(token.map(|token| ("x-amz-security-token", token)));
    let names = values.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let mut canonical = format!("{request}\n");
    for (name, value) in &values {
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let _ = write!(canonical, "\n{names}\n{UNSIGNED}");
    let scope = format!("{}/{region}/s3/aws4_request", time.get(..8).unwrap_or_default());
    let whole = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(Sha256::digest(canonical.as_bytes())));
    let key = format!("AWS4{}", keys.secret.reveal()).into_bytes();
    let key = scope.split('/').fold(key, |key, part| hmac(&key, part));
    let signature = hex::encode(hmac(&key, &whole));
    let login =
        format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", keys.access);
    values.push(("authorization", login));
    let sensitive = |(name, value): (&'static str, String)| {
        let mut value = header::HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    };
    values.into_iter().filter(|(name, _)| *name != "host").filter_map(sensitive).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // A key of any length is right.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The text of the first element of that name.
pub(super) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text.trim())
}

/// A text of XML with the characters that were written otherwise in it.
pub(super) fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&#34;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
