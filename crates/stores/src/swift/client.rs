//! Requests to Swift: with a token that is renewed when it is refused, and again where that can help.

use std::{error::Error, sync::Arc, time::Duration};

use foggara_domain::Secret;
use reqwest::{
    Body, Method, RequestBuilder, Response, StatusCode,
    header::{HeaderMap, HeaderValue},
};

use super::{
    session::{Session, Sessions},
    target::{Target, path_of},
    who::Who,
};
use crate::StoreError;

/// How long an answer may take, and how long no byte may come.
pub(super) const SILENCE: Duration = Duration::from_secs(60);
/// Tries after the first where another may help, from a pause on, each twice as long as the one before.
pub(super) const RETRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// Header of the token.
const TOKEN: &str = "X-Auth-Token";
/// Swift's own word for too many requests.
const TOO_MANY: u16 = 498;

/// What is asked about one url by one who may.
#[derive(Clone)]
pub(super) struct Dialog {
    pub http: reqwest::Client,
    pub sessions: Arc<Sessions>,
    pub who: Who,
    pub target: Target,
}

/// A request.
pub(super) struct Ask<'a> {
    pub method: Method,
    pub container: &'a str,
    /// Empty for the container itself.
    pub object: &'a str,
    pub query: Vec<(&'static str, String)>,
    pub headers: Vec<(&'static str, String)>,
}

/// What is sent, made anew for each try.
pub(super) trait Sending: Sync {
    /// The body; none when too much of it went away with an earlier try.
    fn body(&self) -> Option<Body>;

    /// What was wrong with the content, if that is why a try failed.
    fn fault(&self) -> Option<StoreError>;

    /// Waits until nothing has moved for too long.
    fn stalled(&self) -> impl Future<Output = ()> + Send;
}

/// Nothing is sent.
pub(super) struct Nothing;

impl Sending for Nothing {
    fn body(&self) -> Option<Body> {
        Some(Body::default())
    }

    fn fault(&self) -> Option<StoreError> {
        None
    }

    async fn stalled(&self) {
        tokio::time::sleep(SILENCE).await;
    }
}

/// Bytes that are sent.
impl Sending for bytes::Bytes {
    fn body(&self) -> Option<Body> {
        Some(Body::from(self.clone()))
    }

    fn fault(&self) -> Option<StoreError> {
        None
    }

    async fn stalled(&self) {
        tokio::time::sleep(SILENCE).await;
    }
}

impl<'a> Ask<'a> {
    pub fn new(method: Method, container: &'a str, object: &'a str) -> Self {
        Self { method, container, object, query: Vec::new(), headers: Vec::new() }
    }

    #[must_use]
    pub fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    #[must_use]
    pub fn header(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((key, value.into()));
        self
    }
}

impl Dialog {
    /// Asks about the object of the url.
    pub fn about(&self, method: Method) -> Ask<'_> {
        Ask::new(method, &self.target.container, &self.target.object)
    }

    /// Sends a request without a body; see [`Dialog::send`].
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Response, StoreError> {
        self.send(ask, &Nothing).await
    }

    /// Sends a request. Gives every answer that is neither a refusal (401, 403) nor one that passes (429, 5xx).
    pub async fn send(&self, ask: Ask<'_>, sending: &impl Sending) -> Result<Response, StoreError> {
        let name = self.target.name();
        let mut session = self.sessions.get(&self.who, None, &name).await?;
        let mut is_renewed = false;
        let mut tries = 0;
        let mut why = String::new();
        loop {
            let at = origin(&session);
            let Some(body) = sending.body() else {
                return Err(StoreError::Unreachable(format!(
                    "{name}: Swift at {at} {why}, in the middle of the content"
                )));
            };
            let request = self.request(&ask, &session)?.body(body);
            let sent = tokio::select! {
                sent = request.send() => Some(sent),
                () = sending.stalled() => None,
            };
            if let Some(fault) = sending.fault() {
                return Err(fault);
            }
            why = match sent {
                Some(Ok(answer)) if answer.status() == StatusCode::UNAUTHORIZED => {
                    if is_renewed {
                        return Err(StoreError::Denied(format!(
                            "{name}: Swift at {at} does not take the token that {} has just got",
                            self.who.shown()
                        )));
                    }
                    is_renewed = true;
                    "answered 401".clone_into(&mut why);
                    session = self.sessions.get(&self.who, Some(&session), &name).await?;
                    continue;
                }
                Some(Ok(answer)) if answer.status() == StatusCode::FORBIDDEN => {
                    return Err(StoreError::Denied(format!(
                        "{name}: Swift at {at} does not allow {} this (403): a role on the project or an ACL of the container \
                         '{}' is needed",
                        self.who.shown(),
                        ask.container
                    )));
                }
                Some(Ok(answer)) if !is_passing(answer.status()) => return Ok(answer),
                Some(Ok(answer)) => format!("answered {}", answer.status()),
                Some(Err(error)) => broken(&error),
                None => "did not answer in time".to_owned(),
            };
            if tries == RETRIES {
                return Err(StoreError::Unreachable(format!("{name}: Swift at {at} {why}")));
            }
            tracing::debug!(%name, %why, "Swift is asked once more");
            pause(tries).await;
            tries += 1;
        }
    }

    fn request(&self, ask: &Ask<'_>, session: &Session) -> Result<RequestBuilder, StoreError> {
        let url = format!("{}{}", session.storage, path_of(ask.container, ask.object));
        let mut request =
            self.http.request(ask.method.clone(), url).query(&ask.query).header(TOKEN, hidden(&session.token)?);
        for (key, value) in &ask.headers {
            request = request.header(*key, value);
        }
        Ok(request)
    }

    /// What a 404 about the object means.
    pub async fn missing(&self) -> StoreError {
        let container = &self.target.container;
        match self.ask(Ask::new(Method::HEAD, container, "")).await {
            Ok(answer) if answer.status() == StatusCode::NOT_FOUND => self.no_container(),
            Ok(_) => StoreError::NotFound(format!("{} does not exist", self.target.name())),
            Err(error) => error,
        }
    }

    pub fn no_container(&self) -> StoreError {
        StoreError::NotFound(format!(
            "{}: the container '{}' does not exist",
            self.target.name(),
            self.target.container
        ))
    }

    /// An answer that nobody expects here.
    pub fn unexpected(&self, answer: &Response, what: &str) -> StoreError {
        let name = self.target.name();
        match answer.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                StoreError::TooBig(format!("{name}: Swift does not take so many bytes (413): its limit, or a quota"))
            }
            status => StoreError::Unreachable(format!("{name}: Swift answered {status} to {what}")),
        }
    }
}

/// Whether a later try may be answered otherwise.
pub(super) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status.as_u16() == TOO_MANY
}

/// Waits before the next try.
pub(super) async fn pause(tries: u32) {
    tokio::time::sleep(PAUSE * 2u32.saturating_pow(tries)).await;
}

/// What reqwest says, without the url and with the innermost cause, which is the one that tells something.
pub(super) fn broken(error: &reqwest::Error) -> String {
    let cause = std::iter::successors(error.source(), |inner| (*inner).source()).last();
    let what = if error.is_connect() { "cannot be reached" } else { "broke off" };
    cause.map_or_else(|| what.to_owned(), |cause| format!("{what}: {cause}"))
}

/// A secret as a header that no Debug output shows.
pub(super) fn hidden(secret: &Secret) -> Result<HeaderValue, StoreError> {
    // The error of the conversion is left out: a later version could repeat the text.
    let value = HeaderValue::from_bytes(secret.reveal().as_bytes());
    let mut value = value.map_err(|_| StoreError::Denied("a password or token is no text for a header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A header's text.
pub(super) fn header<'a>(headers: &'a HeaderMap, key: &str) -> Option<&'a str> {
    headers.get(key).and_then(|value| value.to_str().ok()).map(str::trim).filter(|text| !text.is_empty())
}

/// The ETag without its quotation marks; a weak one is none.
pub(super) fn etag(headers: &HeaderMap) -> Option<&str> {
    header(headers, "etag").filter(|etag| !etag.starts_with("W/")).map(|etag| etag.trim_matches('"'))
}

fn origin(session: &Session) -> String {
    url::Url::parse(&session.storage).map_or_else(|_| "?".to_owned(), |url| url.origin().ascii_serialization())
}
