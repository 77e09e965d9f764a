//! `http` and `https` urls. Errors name the url without its query and without credentials.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use futures::StreamExt;
use reqwest::{Client, StatusCode, redirect::Policy};
use serde_json::Value;
use url::Url;

use crate::{Access, Content, Store, StoreError};

const CONNECT: Duration = Duration::from_secs(10);
/// How long no byte may come.
const SILENCE: Duration = Duration::from_secs(60);
const REDIRECTS: usize = 5;

/// The store.
pub struct HttpStore(Client);

impl HttpStore {
    /// With a client of its own. A rustls provider must be installed in the process.
    pub fn new() -> Result<Self, StoreError> {
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(Policy::limited(REDIRECTS))
            .user_agent(concat!("foggara/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(Self).map_err(|error| StoreError::Local(format!("cannot make an HTTP client: {error}")))
    }
}

#[async_trait]
impl Store for HttpStore {
    fn schemes(&self) -> &'static [&'static str] {
        &["http", "https"]
    }

    async fn open(&self, url: &Url, access: &Access<'_>) -> Result<Content, StoreError> {
        let name = shown(url);
        let mut request = self.0.get(url.clone());
        if let Some((user, password)) = login(access) {
            request = request.basic_auth(user, password);
        }
        let answer = request.send().await.map_err(|error| failed(&name, &error))?;
        match answer.status() {
            status if status.is_success() => {}
            status @ (StatusCode::NOT_FOUND | StatusCode::GONE) => {
                return Err(StoreError::NotFound(format!("{name} answered {status}")));
            }
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(StoreError::Denied(format!("{name} answered {status}")));
            }
            status => return Err(StoreError::Unreachable(format!("{name} answered {status}"))),
        }
        let size = answer.content_length();
        let stream = answer.bytes_stream().map(move |piece| piece.map_err(|error| failed(&name, &error)));
        Ok(Content { size, stream: stream.boxed() })
    }
}

/// User and password that were stored with the binary; without them those of the url count.
fn login<'a>(access: &Access<'a>) -> Option<(&'a str, Option<&'a str>)> {
    let credentials = access.credentials?;
    let text = |key: &str| credentials.get(key).and_then(Value::as_str);
    Some((text("user")?, text("password")))
}

/// The url without user, password and query.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

fn failed(name: &str, error: &reqwest::Error) -> StoreError {
    let what = if error.is_redirect() {
        "redirects too often or to where it may not"
    } else if error.is_timeout() {
        "did not answer in time"
    } else if error.is_connect() {
        "cannot be connected to"
    } else {
        "broke off"
    };
    StoreError::Unreachable(match cause(error) {
        Some(cause) => format!("{name} {what}: {cause}"),
        None => format!("{name} {what}"),
    })
}

/// The innermost cause. The outer texts hold the whole url, with what must not be told.
fn cause(error: &reqwest::Error) -> Option<&(dyn Error + 'static)> {
    std::iter::successors(error.source(), |inner| (*inner).source()).last()
}
