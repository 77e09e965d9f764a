//! Requests signed with an access key: SDK-HMAC-SHA256, as the SDKs of Huawei Cloud sign them (iam.md section 5).
//!
//! Nothing here knows the database or the time: [`Authorization`] reads the header, [`Signed`] is the request as it was sent,
//! and [`Signed::check`] tells whether a secret made the signature. Which keys exist, and whom they belong to, is the issuer's
//! ([`crate::Issuer::key_of`]).

mod canonical;
mod header;

use std::time::Duration;

use foggara_domain::{Secret, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

pub use header::{Authorization, looks_signed};

/// The one algorithm that is understood.
pub const ALGORITHM: &str = "SDK-HMAC-SHA256";
/// How far the time of a signature may be from ours, before and after.
pub const WINDOW: Duration = Duration::from_secs(15 * 60);
/// The header with the time of the signature.
pub const DATE: &str = "x-sdk-date";
/// The header with what stands for the body's hash.
pub const CONTENT: &str = "x-sdk-content-sha256";
/// What that header says when the body is not signed.
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Why a signed request is not believed. The texts are told to the caller.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Another algorithm.
    #[error("the algorithm '{0}' is not supported, sign with {ALGORITHM}")]
    Algorithm(String),
    /// The header cannot be read; the text says what is missing.
    #[error(
        "the Authorization header is malformed: {0}; it is '{ALGORITHM} Access=.., SignedHeaders=.., Signature=<64 hexadecimal digits>'"
    )]
    Malformed(&'static str),
    /// A header that has to be signed is not.
    #[error("the header '{0}' is not among the signed headers")]
    NotSigned(&'static str),
    /// A signed header did not come, or came twice.
    #[error("the signed header '{name}' {problem}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The time of the signature is too far from ours, or is none.
    #[error("signature expired: x-sdk-date {given} is more than 15 minutes from the server's time {now}")]
    Stale {
        /// As sent.
        given: String,
        /// Our time in the same form.
        now: String,
    },
    /// There is no such key.
    #[error("Get secretKey failed,ak:{0},err:ak not exist")]
    UnknownKey(String),
    /// The signature is not the one of the request and the key.
    #[error("verify aksk signature fail")]
    Wrong,
    /// The body is not the one whose hash was signed.
    #[error("verify aksk signature fail: the body is not the one that X-Sdk-Content-Sha256 names")]
    WrongBody,
    /// Too many wrong signatures.
    #[error("AK access failed to reach the limit,forbidden")]
    Locked,
    /// The key's user may not log in.
    #[error("the user of the access key is disabled")]
    Disabled,
    /// The key's user holds no role on the project.
    #[error("the user of the access key may not use the project '{0}'")]
    NoRole(String),
    /// The path and the header name different projects.
    #[error("X-Project-Id names another project than the path")]
    TwoProjects,
    /// There are no access keys here.
    #[error("this server takes its users from an outside Keystone and has no access keys, send X-Auth-Token")]
    NoKeys,
}

/// Which hash of the body the signature is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// There is no body.
    Empty,
    /// The body is not signed.
    Unsigned,
    /// The header names a hash, which the body has to have.
    Named(String),
    /// The hash of the body that came.
    OfBody,
}

impl Payload {
    /// What is signed of a request's body. `content` is `X-Sdk-Content-Sha256`; it counts for nothing without a body.
    pub fn of(content: Option<&str>, has_body: bool) -> Self {
        match content.map(str::trim).filter(|text| !text.is_empty()) {
            _ if !has_body => Self::Empty,
            None => Self::OfBody,
            Some(UNSIGNED) => Self::Unsigned,
            Some(hash) => Self::Named(hash.to_owned()),
        }
    }

    /// Whether the body has to be read to check the signature.
    pub fn needs_body(&self) -> bool {
        matches!(self, Self::Named(_) | Self::OfBody)
    }

    /// The text that stands for the body in the canonical request.
    fn word(&self, body: &[u8]) -> Result<String, Refusal> {
        if let Self::Empty | Self::Unsigned = self {
            return Ok(if *self == Self::Empty { EMPTY } else { UNSIGNED }.to_owned());
        }
        let real = hex_digest(body);
        match self {
            Self::Named(named) if !named.eq_ignore_ascii_case(&real) => Err(Refusal::WrongBody),
            // Signed as it was written.
            Self::Named(named) => Ok(named.clone()),
            _ => Ok(real),
        }
    }
}

/// A signed request as it was sent.
#[derive(Clone, Debug)]
pub struct Signed<'a> {
    /// The method.
    pub method: &'a str,
    /// The path as it stood in the request line, percent-encoded.
    pub path: &'a str,
    /// The query as it stood there, without the question mark.
    pub query: &'a str,
    /// Names and values of the headers, names in lower case.
    pub headers: Vec<(&'a str, &'a [u8])>,
}

impl Signed<'_> {
    /// The value of a header that came once.
    fn header(&self, name: &str) -> Result<String, Refusal> {
        let wrong = |problem| Refusal::Header { name: name.to_owned(), problem };
        let mut values = self.headers.iter().filter(|(key, _)| *key == name).map(|(_, value)| *value);
        let value = values.next().ok_or_else(|| wrong("did not come"))?;
        if values.next().is_some() {
            return Err(wrong("came more than once"));
        }
        Ok(text_of(value))
    }

    /// The time of the signature, if it is near enough to `now`.
    ///
    /// # Errors
    /// [`Refusal::NotSigned`], [`Refusal::Header`] and [`Refusal::Stale`].
    pub fn time(&self, authorization: &Authorization, now: Timestamp) -> Result<String, Refusal> {
        for name in ["host", DATE] {
            if !authorization.signs(name) {
                return Err(Refusal::NotSigned(name));
            }
        }
        let given = self.header(DATE)?.trim().to_owned();
        let stale = || Refusal::Stale { given: given.chars().take(32).collect(), now: basic(now) };
        let at = moment(&given).ok_or_else(stale)?;
        if at.since(now).max(now.since(at)) > WINDOW { Err(stale()) } else { Ok(given) }
    }

    /// The text whose hash is signed.
    ///
    /// # Errors
    /// [`Refusal::Header`].
    pub fn canonical(&self, authorization: &Authorization, payload: &str) -> Result<String, Refusal> {
        let mut headers = String::new();
        for name in authorization.signed() {
            headers += &format!("{name}:{}\n", self.header(name)?.trim());
        }
        let (path, query) = (canonical::path(self.path), canonical::query(self.query));
        let method = self.method.to_ascii_uppercase();
        Ok(format!("{method}\n{path}\n{query}\n{headers}\n{}\n{payload}", authorization.signed_headers))
    }

    /// Whether a secret made the signature. The time is not looked at.
    ///
    /// # Errors
    /// [`Refusal::Wrong`], [`Refusal::WrongBody`] and [`Refusal::Header`].
    pub fn check(
        &self,
        authorization: &Authorization,
        secret: &Secret,
        payload: &Payload,
        body: &[u8],
    ) -> Result<(), Refusal> {
        let date = self.header(DATE)?;
        let canonical = self.canonical(authorization, &payload.word(body)?)?;
        let wanted = signature(secret, &string_to_sign(date.trim(), &canonical));
        if bool::from(wanted.as_bytes().ct_eq(authorization.signature.as_bytes())) {
            Ok(())
        } else {
            Err(Refusal::Wrong)
        }
    }
}

/// The text that is signed.
pub fn string_to_sign(date: &str, canonical: &str) -> String {
    format!("{ALGORITHM}\n{date}\n{}", hex_digest(canonical.as_bytes()))
}

/// The signature of a text, in lower hexadecimal digits.
fn signature(secret: &Secret, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).expect("a key of any length will do");
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn hex_digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A header's value as the signer saw it: UTF-8, which clients write as it is; anything else byte by byte.
fn text_of(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().map(|&byte| char::from(byte)).collect(),
    }
}

/// Reads `YYYYMMDDTHHMMSSZ`.
fn moment(text: &str) -> Option<Timestamp> {
    let well_formed = text.len() == 16
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    if !well_formed {
        return None;
    }
    let piece = |from, to| text.get(from..to).unwrap_or_default();
    Timestamp::parse(&format!(
        "{}-{}-{}T{}:{}:{}",
        piece(0, 4),
        piece(4, 6),
        piece(6, 8),
        piece(9, 11),
        piece(11, 13),
        piece(13, 15)
    ))
}

/// Writes `YYYYMMDDTHHMMSSZ`.
fn basic(at: Timestamp) -> String {
    let plain: String = at.sahara().chars().filter(|letter| !['-', ':'].contains(letter)).collect();
    plain + "Z"
}

#[cfg(test)]
mod tests;
