//! `http` and `https` urls. Errors name the url without its query and without credentials. Where they may lead is a matter of
//! `reach.rs`; a download that breaks off goes on where it was if the server names the version of what it sends.

use std::{error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::StreamExt;
use reqwest::{Client, Response, StatusCode, header};
use serde_json::Value;
use url::Url;

use crate::{
    Access, Content, Reach, Store, StoreError, checksum, reach,
    resume::{Fault, Pieces, resuming, tried},
};

/// How long no byte may come.
const SILENCE: Duration = Duration::from_secs(60);
const REDIRECTS: usize = 5;

/// The store.
pub struct HttpStore {
    client: Client,
    reach: Reach,
}

impl HttpStore {
    /// With a client of its own that reaches what the rule lets it. A rustls provider must be installed in the process.
    pub fn new(reach: Reach) -> Result<Self, StoreError> {
        let client = reach.client().read_timeout(SILENCE).redirect(reach.redirects(REDIRECTS)).build();
        let client = client.map_err(|error| StoreError::Local(format!("cannot make an HTTP client: {error}")))?;
        Ok(Self { client, reach })
    }
}

#[async_trait]
impl Store for HttpStore {
    fn schemes(&self) -> &'static [&'static str] {
        &["http", "https"]
    }

    async fn open(&self, url: &Url, access: &Access<'_>) -> Result<Content, StoreError> {
        let name = shown(url);
        let checksum = checksum::expected(access.credentials)?;
        self.reach.check(url).map_err(|fault| StoreError::Denied(format!("{name} is not asked: {fault}")))?;
        let download = Arc::new(Download { client: self.client.clone(), url: url.clone(), login: login(access), name });
        let answer = tried(|| download.ask(None)).await?;
        let (size, version, name) = (answer.content_length(), version(&answer), download.name.clone());
        let pieces = download.pieces(answer);
        let pieces = match version {
            None => pieces,
            Some(version) => resuming(pieces, size, move |came| {
                let (download, version) = (Arc::clone(&download), version.clone());
                async move { download.rest(came, size, version).await }
            }),
        };
        Ok(Content { size, stream: checksum::verified(pieces, checksum, name) })
    }
}

/// User and password that were stored with the binary; without them those of the url count.
fn login(access: &Access<'_>) -> Option<(String, Option<String>)> {
    let credentials = access.credentials?;
    let text = |key: &str| credentials.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
    Some((text("user")?, text("password")))
}

/// One url, as it is asked for as often as needed.
struct Download {
    client: Client,
    url: Url,
    login: Option<(String, Option<String>)>,
    /// As it may be shown.
    name: String,
}

impl Download {
    /// Asks for all bytes, or for those from an offset on if the version is still the same.
    async fn ask(&self, from: Option<(u64, &str)>) -> Result<Response, Fault> {
        let mut request = self.client.get(self.url.clone());
        if let Some((user, password)) = &self.login {
            request = request.basic_auth(user, password.as_ref());
        }
        if let Some((offset, version)) = from {
            request = request.header(header::RANGE, format!("bytes={offset}-")).header(header::IF_RANGE, version);
        }
        let answer = request.send().await.map_err(|error| failed(&self.name, &error))?;
        let said = |status: StatusCode| format!("{} answered {status}", self.name);
        match answer.status() {
            status if status.is_success() => Ok(answer),
            status @ (StatusCode::NOT_FOUND | StatusCode::GONE) => Err(StoreError::NotFound(said(status)).into()),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(StoreError::Denied(said(status)).into()),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Fault::passing(StoreError::Unreachable(said(status))))
            }
            status => Err(StoreError::Unreachable(said(status)).into()),
        }
    }

    /// The bytes after those that came, of the same version.
    async fn rest(&self, came: u64, size: Option<u64>, version: String) -> Result<Pieces, Fault> {
        let answer = self.ask(Some((came, &version))).await?;
        let place = answer.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
        // `bytes 5-9/10`, or `bytes 5-9/*`.
        let place = place.and_then(|place| place.strip_prefix("bytes ")?.split_once('/'));
        let fits = place.is_some_and(|(range, whole)| {
            let starts = range.split_once('-').and_then(|(from, _)| from.parse::<u64>().ok()) == Some(came);
            starts && (whole == "*" || size.is_none() || whole.parse::<u64>().ok() == size)
        });
        if answer.status() != StatusCode::PARTIAL_CONTENT || !fits {
            return Err(StoreError::Unreachable(format!(
                "{} broke off after {came} bytes and does not go on there: it was changed meanwhile, or its server gives no ranges",
                self.name
            ))
            .into());
        }
        Ok(self.pieces(answer))
    }

    fn pieces(&self, answer: Response) -> Pieces {
        let name = self.name.clone();
        answer.bytes_stream().map(move |piece| piece.map_err(|error| failed(&name, &error).error)).boxed()
    }
}

/// What tells the version of what is sent: a strong entity tag, else the time of its change.
fn version(answer: &Response) -> Option<String> {
    let text = |name: header::HeaderName| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let strong = text(header::ETAG).filter(|tag| tag.starts_with('"'));
    strong.or_else(|| text(header::LAST_MODIFIED)).map(ToOwned::to_owned)
}

/// The url without user, password and query.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

fn failed(name: &str, error: &reqwest::Error) -> Fault {
    if let Some(fault) = reach::forbidden(error) {
        return StoreError::Denied(format!("{name} is not asked: {fault}")).into();
    }
    let what = if error.is_redirect() {
        "redirects too often or to where it may not"
    } else if error.is_timeout() {
        "did not answer in time"
    } else if error.is_connect() {
        "cannot be connected to"
    } else {
        "broke off"
    };
    let text = match cause(error) {
        Some(cause) => format!("{name} {what}: {cause}"),
        None => format!("{name} {what}"),
    };
    Fault { error: StoreError::Unreachable(text), again: !error.is_redirect() }
}

/// The innermost cause. The outer texts hold the whole url, with what must not be told.
pub(crate) fn cause(error: &reqwest::Error) -> Option<&(dyn Error + 'static)> {
    std::iter::successors(error.source(), |inner| (*inner).source()).last()
}
