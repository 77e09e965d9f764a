//! From what an S3 server answered to what happened and what to do. Texts of the server are not passed on: some repeat the
//! request with its access key.

use std::error::Error as _;

use opendal::{Error, ErrorKind};

use super::target::Target;
use crate::{StoreError, reach};

/// The error of a request.
pub(super) fn of(target: &Target, error: &Error) -> StoreError {
    let (name, at) = (target.name(), &target.endpoint);
    if let Some(fault) = error.source().and_then(reach::forbidden) {
        return StoreError::Denied(format!("{name}: {at} is not asked: {fault}"));
    }
    let code = code(error);
    said(target, code, error.kind(), || {
        let status = status(error);
        let answered = code.map(ToOwned::to_owned).or_else(|| status.map(|status| format!("status {status}")));
        match (answered, cause(error)) {
            (Some(answered), _) if status.is_some_and(|status| (300..400).contains(&status)) => {
                format!("answered with {answered}, and redirects are not followed: is the endpoint right?")
            }
            (Some(answered), _) => format!("answered with {answered}"),
            (None, Some(cause)) => format!("cannot be reached or broke off: {cause}"),
            (None, None) if error.message().contains("timeout") => "did not answer in time".to_owned(),
            (None, None) => format!("cannot be reached or broke off: {}", error.message()),
        }
    })
}

/// Nothing moved for too long.
pub(super) fn silent(target: &Target) -> StoreError {
    said(target, None, ErrorKind::Unexpected, || "did not answer in time".to_owned())
}

/// What a word of S3 means, or a kind of refusal, or else what happened.
pub(super) fn said(
    target: &Target,
    code: Option<&str>,
    kind: ErrorKind,
    happened: impl FnOnce() -> String,
) -> StoreError {
    let (name, at) = (target.name(), &target.endpoint);
    let keys = if target.keys.is_some() { "these keys" } else { "requests without keys" };
    match (code, kind) {
        (Some("NoSuchBucket"), _) => {
            StoreError::NotFound(format!("{name}: the bucket '{}' does not exist at {at}", target.bucket))
        }
        (Some("InvalidAccessKeyId"), _) => StoreError::Denied(format!(
            "{name}: {at} does not know the access key: check accesskey (fs.s3a.access.key) and endpoint"
        )),
        (Some("SignatureDoesNotMatch"), _) => StoreError::Denied(format!(
            "{name}: {at} refuses the signature: the secret key is wrong (check secretkey, fs.s3a.secret.key)"
        )),
        (Some("RequestTimeTooSkewed"), _) => {
            StoreError::Denied(format!("{name}: the clock of this host is not the one of {at}: set it"))
        }
        (Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired"), _) => {
            StoreError::Denied(format!("{name}: the session token is not valid any more: give new keys"))
        }
        (Some("AuthorizationHeaderMalformed" | "PermanentRedirect" | "TemporaryRedirect"), _) => {
            StoreError::Denied(format!(
                "{name}: the bucket does not lie in the region '{}' at {at}: set the endpoint of its region, or region \
                 (fs.s3a.endpoint.region)",
                target.region
            ))
        }
        (Some("InvalidBucketName"), _) => {
            StoreError::Unsupported(format!("'{}' cannot be the name of a bucket at {at}", target.bucket))
        }
        (Some("EntityTooLarge"), _) => StoreError::TooBig(format!("{name} is larger than {at} takes")),
        (Some(_), ErrorKind::NotFound) => StoreError::NotFound(format!("{name} does not exist")),
        // S3 says in a word of its own what is missing.
        (None, ErrorKind::NotFound) => {
            StoreError::NotFound(format!("{name} does not exist, or {at} is no S3: it says nothing but 404"))
        }
        (code, ErrorKind::PermissionDenied) => {
            let code = code.unwrap_or("403");
            StoreError::Denied(format!("{name}: {at} does not allow this with {keys} ({code})"))
        }
        (_, ErrorKind::ConditionNotMatch) => {
            StoreError::Unreachable(format!("{name} was changed while it was read: try again"))
        }
        _ => StoreError::Unreachable(format!("{name}: {at} {}", happened())),
    }
}

/// Whether a server answered, and that the request is at fault.
pub(super) fn is_refusal(error: &Error) -> bool {
    status(error).is_some_and(|status| (300..500).contains(&status))
}

/// The word by which S3 names an error, as it stands in opendal's message.
fn code(error: &Error) -> Option<&str> {
    let (_, rest) = error.message().split_once("S3Error { code: \"")?;
    let (code, _) = rest.split_once('"')?;
    is_code(code).then_some(code)
}

/// Whether a text is one of S3's words for errors, and nothing that repeats a request.
pub(super) fn is_code(text: &str) -> bool {
    !text.is_empty() && text.len() < 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The status of an answer that is not one of S3's.
fn status(error: &Error) -> Option<u16> {
    let text = error.to_string();
    let (_, rest) = text.split_once("response: Parts { status: ")?;
    rest.get(..3)?.parse().ok()
}

/// The innermost cause; the outer texts hold urls.
fn cause(error: &Error) -> Option<String> {
    let first = error.source()?;
    std::iter::successors(Some(first), |inner| (*inner).source()).last().map(ToString::to_string)
}
