//! AWS signature version 4 in the Authorization header, as the server checks it: made again from the request and compared.

use std::collections::BTreeMap;

use axum::http::{StatusCode, request::Parts};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::{ACCESS_KEY, Fault, SECRET_KEY, query};

/// What is written with %.
const OTHERS: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length of key is right");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub(super) fn check(head: &Parts, body: &[u8]) -> Result<(), Fault> {
    let denied = |code| Fault(StatusCode::FORBIDDEN, code);
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fields = text("authorization").strip_prefix("AWS4-HMAC-SHA256 ").ok_or(denied("AccessDenied"))?;
    let fields: BTreeMap<&str, &str> = fields.split(',').filter_map(|field| field.trim().split_once('=')).collect();
    let field = |name: &str| fields.get(name).copied().unwrap_or_default();
    let (access, scope) = field("Credential").split_once('/').ok_or(denied("AccessDenied"))?;
    if access != ACCESS_KEY {
        return Err(denied("InvalidAccessKeyId"));
    }
    let payload = text("x-amz-content-sha256");
    if payload != "UNSIGNED-PAYLOAD" && payload != hex::encode(Sha256::digest(body)) {
        return Err(Fault(StatusCode::BAD_REQUEST, "XAmzContentSHA256Mismatch"));
    }
    // Names and values stand in one spelling, whichever of those that mean the same was sent.
    let mut pairs: Vec<String> = query(&head.uri)
        .iter()
        .map(|(name, value)| format!("{}={}", utf8_percent_encode(name, &OTHERS), utf8_percent_encode(value, &OTHERS)))
        .collect();
    pairs.sort_unstable();
    let signed = field("SignedHeaders");
    let headers: String = signed.split(';').map(|name| format!("{name}:{}\n", text(name).trim())).collect();
    let canonical =
        format!("{}\n{}\n{}\n{headers}\n{signed}\n{payload}", head.method, head.uri.path(), pairs.join("&"));
    let whole = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
        text("x-amz-date"),
        hex::encode(Sha256::digest(canonical.as_bytes()))
    );
    let key = scope.split('/').fold(format!("AWS4{SECRET_KEY}").into_bytes(), |key, part| hmac(&key, part));
    if hex::encode(hmac(&key, &whole)) != field("Signature") {
        return Err(denied("SignatureDoesNotMatch"));
    }
    Ok(())
}
