//! Requests to Keystone, within limits of time, number and size.

use std::{fmt, fs, future::Future, net::IpAddr};

use foggara_domain::Secret;
use reqwest::{
    Certificate, Method, RequestBuilder, StatusCode, Url,
    header::{ACCEPT, HeaderValue},
    redirect::Policy,
};
use serde_json::Value;
use tokio::{sync::Semaphore, time::timeout};

use super::{Settings, SettingsError, session::Session, wire};

/// Header of the token that a request acts with.
const OWN: &str = "X-Auth-Token";
/// Header of the token that a request is about, and of a new token.
const SUBJECT: &str = "X-Subject-Token";
/// Requests under way at the same time: a Keystone that is slow is not buried by us.
const AT_ONCE: usize = 32;
/// The largest answer that is read. A catalogue of a large cloud has some hundred kilobytes.
const LARGEST: usize = 4 * 1024 * 1024;

/// What is wrong between Keystone and us. The text is for the log and bears no secret.
#[derive(Clone, Debug)]
pub(super) struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub status: StatusCode,
    /// The new token, where there is one.
    pub token: Option<Secret>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Keystone's own "there is no such thing".
    pub fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && wire::is_error(&self.body, 404)
    }

    /// The failure of an answer that should not be. Keystone's text is left out: it may repeat a token.
    pub fn unexpected(&self, to: &str) -> Failure {
        Failure(format!("Keystone answered {} to {to}", self.status))
    }
}

/// The HTTP side.
pub(super) struct Client {
    http: reqwest::Client,
    /// The address with `/v3` at its end.
    base: String,
    slots: Semaphore,
    pub settings: Settings,
    pub session: Session,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Client {
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let (base, here) = address(&settings.auth_url)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("foggara/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.timeout)
            .timeout(settings.timeout)
            // A redirect would take the tokens along to wherever it points.
            .redirect(Policy::none());
        if here {
            // A proxy of the environment cannot reach this host's own addresses.
            builder = builder.no_proxy();
        }
        if let Some(path) = &settings.ca_file {
            let unusable = |reason: String| SettingsError::CaFile { path: path.clone(), reason };
            let pem = fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
            if certificates.is_empty() {
                return Err(unusable("it holds no certificate in PEM form".to_owned()));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| SettingsError::Client(error.to_string()))?;
        Ok(Self { http, base, slots: Semaphore::new(AT_ONCE), settings, session: Session::default() })
    }

    /// Ends a piece of work at the time limit.
    pub async fn in_time<T, E: From<Failure>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let limit = self.settings.timeout;
        let late = |_| Err(Failure(format!("Keystone did not answer within {} ms", limit.as_millis())).into());
        timeout(limit, work).await.unwrap_or_else(late)
    }

    /// What Keystone says of a token, asked as the service user.
    pub async fn examine(&self, subject: &Secret) -> Result<Answer, Failure> {
        let subject = hidden(subject)?;
        self.as_service(|| self.request(Method::GET, "/auth/tokens").header(SUBJECT, &subject)).await
    }

    /// Asks for a token for the service user.
    pub async fn log_in(&self, target: wire::Target<'_>) -> Result<Answer, Failure> {
        let body = wire::login(&self.settings, target);
        self.send(self.request(Method::POST, "/auth/tokens").json(&body)).await
    }

    /// Creates something with somebody's token.
    pub async fn create(&self, path: &str, body: &Value, token: &Secret) -> Result<Answer, Failure> {
        let token = hidden(token)?;
        self.send(self.request(Method::POST, path).header(OWN, token).json(body)).await
    }

    /// Deletes something with a token.
    pub async fn delete(&self, path: &str, token: &Secret) -> Result<Answer, Failure> {
        let token = hidden(token)?;
        self.send(self.request(Method::DELETE, path).header(OWN, token)).await
    }

    /// Reads something of another service with somebody's token.
    pub async fn look_at(&self, url: &str, token: &Secret) -> Result<Answer, Failure> {
        let token = hidden(token)?;
        self.send(self.http.get(url).header(ACCEPT, "application/json").header(OWN, token)).await
    }

    /// Reads something as the service user.
    pub async fn look_as_service(&self, path: &str) -> Result<Answer, Failure> {
        self.as_service(|| self.request(Method::GET, path)).await
    }

    /// Deletes something as the service user.
    pub async fn delete_as_service(&self, path: &str) -> Result<Answer, Failure> {
        self.as_service(|| self.request(Method::DELETE, path)).await
    }

    /// Sends a request with the service user's token. When Keystone does not take that any more, for it was revoked or its
    /// key was rotated away, once more with a new one.
    async fn as_service(&self, request: impl Fn() -> RequestBuilder) -> Result<Answer, Failure> {
        let held = self.service().await?;
        let answer = self.send(request().header(OWN, hidden(&held.token)?)).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        tracing::info!("Keystone refuses the service user's token; logging in again");
        self.session.forget(&held).await;
        let held = self.service().await?;
        let answer = self.send(request().header(OWN, hidden(&held.token)?)).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            self.session.forget(&held).await;
            return Err(Failure("Keystone refuses a token of the service user that it has just made".to_owned()));
        }
        Ok(answer)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).header(ACCEPT, "application/json")
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        let _slot = self.slots.acquire().await.map_err(|_| Failure("the client was closed".to_owned()))?;
        let mut answer = request.send().await.map_err(broken)?;
        let status = answer.status();
        if status.is_server_error() || status.is_redirection() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Failure(format!("Keystone answered {status}")));
        }
        let token = answer.headers().get(SUBJECT).and_then(|value| value.to_str().ok()).map(Secret::new);
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(broken)? {
            if body.len() + piece.len() > LARGEST {
                return Err(Failure(format!("Keystone's answer has more than {LARGEST} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status, token, body })
    }
}

/// The token as a header that no Debug output shows.
fn hidden(token: &Secret) -> Result<HeaderValue, Failure> {
    // The error of the conversion is left out: a later version could repeat the text.
    let value = HeaderValue::from_str(token.reveal()).map_err(|_| Failure("a token is no header text".to_owned()));
    value.map(|mut value| {
        value.set_sensitive(true);
        value
    })
}

/// What reqwest says, without the url and with the innermost cause, which is the one that tells something.
fn broken(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let what = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "Keystone did not answer in time",
        (_, true) => "Keystone cannot be reached",
        _ => "the exchange with Keystone broke off",
    };
    Failure(format!("{what}: {cause}"))
}

/// The address with `/v3` at its end, and whether it is one of this host's own.
fn address(text: &str) -> Result<(String, bool), SettingsError> {
    let wrong = || SettingsError::AuthUrl(shown(text));
    let url = Url::parse(text).map_err(|_| wrong())?;
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if !matches!(url.scheme(), "http" | "https") || host.is_empty() || !bare {
        return Err(wrong());
    }
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let base = url.as_str().trim_end_matches('/');
    Ok((format!("{}/v3", base.strip_suffix("/v3").unwrap_or(base)), here))
}

/// The address as an error may show it: without what stands before an `@`, which may be a password, and after a `?`.
fn shown(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://***@{rest}"),
        (None, Some((_, rest))) => format!("***@{rest}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for text in
            ["http://k.example:5000", "http://k.example:5000/", "http://k.example:5000/v3", "http://k.example:5000/v3/"]
        {
            assert_eq!(address(text).expect(text), ("http://k.example:5000/v3".to_owned(), false), "{text}");
        }
        assert_eq!(address("https://[::1]/identity").expect("url"), ("https://[::1]/identity/v3".to_owned(), true));
        assert!(address("http://127.0.0.1:1").expect("url").1);
        for text in ["", "k.example", "ftp://k.example", "http://", "http://k.example/v3?a=b", "file:///v3"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        for text in ["http://ada:hidden@k.example/v3", "ada:hidden@k.example", "http://k.example/v3?password=hidden"] {
            let error = address(text).expect_err(text).to_string();
            assert!(!error.contains("hidden") && error.contains("k.example"), "{error}");
        }
    }
}
