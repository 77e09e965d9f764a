//! A client for the REST of engines: several addresses of one service, of which one is active; log-in; errors that say which
//! address answered what. Redirects are not followed, since a credential would go along: an address that redirects is taken as not
//! the active one. No address may be one of those that reach.rs names.

use std::{
    error::Error,
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use foggara_domain::Secret;
use reqwest::{
    Certificate, Client, Method, RequestBuilder, Response, StatusCode,
    header::{AUTHORIZATION, COOKIE},
};
use serde::de::DeserializeOwned;
use url::Url;

use super::{
    reach,
    speech::{Followed, Speech},
    spnego::Spnego,
};
use crate::EngineError;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(20);
/// How much of an unexpected answer is told.
const TOLD: usize = 300;
/// The most bytes of an answer that are read: lists of ten thousand jobs take some 50 MiB.
const LONGEST: usize = 256 << 20;

/// Who we are to the service.
#[derive(Clone)]
pub enum Auth {
    /// Nobody in particular.
    None,
    /// `user.name=`, Hadoop's simple way: the service believes it.
    HadoopUser(String),
    /// A token in a file, which is read for each request since others renew it.
    TokenFile(PathBuf),
    /// A token that does not change.
    Bearer(Secret),
    /// Hadoop's cookie, for which one logs in by Kerberos.
    Kerberos(Arc<Spnego>),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::HadoopUser(user) => write!(f, "HadoopUser({user})"),
            Self::TokenFile(path) => write!(f, "TokenFile({})", path.display()),
            Self::Bearer(_) => f.write_str("Bearer"),
            Self::Kerberos(_) => f.write_str("Kerberos"),
        }
    }
}

/// Where a service is.
#[derive(Clone, Debug)]
pub struct RestSettings {
    /// What it is called in errors: "the ResourceManager".
    pub service: &'static str,
    /// Its addresses with commas between them, `http://host:port`; more than one where others stand by.
    pub urls: String,
    /// Certificates (PEM) that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// Who we are.
    pub auth: Auth,
}

/// The client.
pub struct Rest {
    service: &'static str,
    bases: Vec<Url>,
    /// Which of them answered last.
    active: AtomicUsize,
    client: Client,
    auth: Auth,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub bytes: Vec<u8>,
    /// Who was asked, for errors.
    pub asked: String,
    /// The service, for errors.
    pub service: &'static str,
}

impl Rest {
    /// Checks the settings; the error is for the user. A rustls provider must be installed in the process.
    pub fn new(settings: RestSettings) -> Result<Self, String> {
        let mut bases = Vec::new();
        for text in settings.urls.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            bases.push(base(text)?);
        }
        if bases.is_empty() {
            return Err(format!("no address of {} is given; it looks like http://host:port", settings.service));
        }
        let mut client = reach::client()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .user_agent(concat!("foggara/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &settings.ca_file {
            let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let bundle = Certificate::from_pem_bundle(&pem);
            for certificate in bundle.map_err(|_| format!("{} holds no PEM certificates", file.display()))? {
                client = client.add_root_certificate(certificate);
            }
        }
        let client = client.build().map_err(|error| format!("cannot make an HTTP client: {error}"))?;
        Ok(Self { service: settings.service, bases, active: AtomicUsize::new(0), client, auth: settings.auth })
    }

    /// Sends a request to the active address, and to the others when that one stands by or cannot be connected to. `path` begins
    /// with a slash and may hold a query; `fill` adds a body or headers.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, EngineError> {
        let first = self.active.load(Ordering::Relaxed);
        let mut trouble = None;
        for step in 0..self.bases.len() {
            let index = (first + step) % self.bases.len();
            match self.send_known(&self.bases[index], method.clone(), path, &fill).await {
                Ok(answer) if answer.status.is_redirection() || answer.stands_by(&method) => {
                    trouble = Some(EngineError::NotSent(format!(
                        "{} at {} stands by or redirects ({}): is its address right?",
                        self.service, answer.asked, answer.status
                    )));
                }
                Ok(answer) => {
                    self.active.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error @ EngineError::NotSent(_)) => trouble = Some(error),
                // It may have had an effect: asking another would ask twice.
                Err(error) => return Err(error),
            }
        }
        Err(trouble.unwrap_or_else(|| EngineError::NotSent(format!("{} has no address", self.service))))
    }

    /// `GET` from the first address alone, whatever it answers, a redirect too.
    pub async fn look(&self, path: &str) -> Result<Answer, EngineError> {
        self.send_known(&self.bases[0], Method::GET, path, &|request| request).await
    }

    /// `GET`, and the answer as JSON of this shape.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, EngineError> {
        self.send(Method::GET, path, |request| request).await?.good()?.json()
    }

    /// `GET` of a file from a byte on, at most `most` bytes, for services that send files from their beginning alone: what lies before is
    /// passed over, what lies behind is not awaited. Nothing where there is no such file, or where it has become shorter than `from`.
    pub async fn part(&self, path: &str, from: u64, most: usize) -> Result<Option<Vec<u8>>, EngineError> {
        let (asked, mut answer) = self.open(&self.bases[0], Method::GET, path, &|request| request).await?;
        let status = answer.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            return Answer { status, bytes: Vec::new(), asked, service: self.service }.good().map(|_| None);
        }
        let (mut before, mut bytes) = (from, Vec::new());
        while bytes.len() < most {
            let Some(piece) = answer.chunk().await.map_err(|error| self.broken(&asked, &error))? else {
                return Ok((before == 0).then_some(bytes));
            };
            let skipped = usize::try_from(before).unwrap_or(usize::MAX).min(piece.len());
            before -= skipped as u64;
            bytes.extend(piece[skipped..].iter().take(most - bytes.len()));
        }
        Ok(Some(bytes))
    }

    /// Sends a request, and once more with a new log-in when the old one is over: a request without a good one had no effect.
    async fn send_known(
        &self,
        base: &Url,
        method: Method,
        path: &str,
        fill: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, EngineError> {
        let answer = self.send_to(base, method.clone(), path, fill).await?;
        match &self.auth {
            Auth::Kerberos(spnego) if answer.status == StatusCode::UNAUTHORIZED => {
                spnego.forget(base);
                self.send_to(base, method, path, fill).await
            }
            _ => Ok(answer),
        }
    }

    async fn send_to(
        &self,
        base: &Url,
        method: Method,
        path: &str,
        fill: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, EngineError> {
        let (asked, answer) = self.open(base, method, path, fill).await?;
        self.whole(asked, answer).await
    }

    /// Sends a request; the answer's body is still to be read.
    async fn open(
        &self,
        base: &Url,
        method: Method,
        path: &str,
        fill: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<(String, Response), EngineError> {
        let text = format!("{}{path}", base.as_str().trim_end_matches('/'));
        let mut url =
            Url::parse(&text).map_err(|error| EngineError::Refused(format!("'{path}' makes no address: {error}")))?;
        let asked = format!("{method} {}{}", base.as_str().trim_end_matches('/'), url.path());
        if let Auth::HadoopUser(user) = &self.auth {
            url.query_pairs_mut().append_pair("user.name", user);
        }
        let mut request = fill(self.client.request(method, url));
        match &self.auth {
            Auth::None | Auth::HadoopUser(_) => {}
            Auth::Kerberos(spnego) => {
                let cookie = spnego.cookie(base, path).await.map_err(|why| {
                    EngineError::NotSent(format!("the log-in to {} by Kerberos failed: {why}", self.service))
                })?;
                request = request.header(COOKIE, cookie.reveal());
            }
            Auth::Bearer(token) => request = request.bearer_auth(token.reveal()),
            Auth::TokenFile(file) => {
                let token = tokio::fs::read_to_string(file).await;
                let token = token.map_err(|error| {
                    EngineError::NotSent(format!("the token of {}: {}: {error}", self.service, file.display()))
                })?;
                request = request.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
            }
        }
        let answer = request.send().await.map_err(|error| self.broken(&asked, &error))?;
        Ok((asked, answer))
    }

    async fn whole(&self, asked: String, mut answer: Response) -> Result<Answer, EngineError> {
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.broken(&asked, &error))? {
            if bytes.len() + piece.len() > LONGEST {
                let words = format!("{} sends more than {} MiB ({asked})", self.service, LONGEST >> 20);
                return Err(EngineError::Unreachable(words));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Answer { status, bytes, asked, service: self.service })
    }

    /// `GET` of what the active address goes on saying, for at most `limit`. The other addresses are not tried: whoever follows a
    /// service asks it for other things too, and those requests find the active one.
    pub async fn follow(
        &self,
        path: &str,
        limit: Duration,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Followed, EngineError> {
        let base = &self.bases[self.active.load(Ordering::Relaxed) % self.bases.len()];
        let (asked, answer) = self.open(base, Method::GET, path, &|request| fill(request).timeout(limit)).await?;
        if answer.status().is_success() {
            return Ok(Followed::Speaks(Speech::new(answer, asked, self.service)));
        }
        Ok(Followed::Refuses(self.whole(asked, answer).await?))
    }

    fn broken(&self, asked: &str, error: &reqwest::Error) -> EngineError {
        broken(self.service, asked, error)
    }
}

/// What to say of a request that broke.
pub(crate) fn broken(service: &str, asked: &str, error: &reqwest::Error) -> EngineError {
    // The innermost cause; the outer texts hold the whole url.
    let cause = std::iter::successors(error.source(), |inner| (*inner).source()).last();
    let mut cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    // What rustls says of a server that answers in plain text.
    if cause.contains("InvalidContentType") {
        cause.push_str(" (what answers there speaks no TLS: is it http:// ?)");
    }
    if cause.contains("closed before message completed") && asked.contains("http://") {
        cause.push_str(" (is it https:// ?)");
    }
    if error.is_connect() {
        return EngineError::NotSent(format!("{service} cannot be reached ({asked}){cause}"));
    }
    let what = if error.is_timeout() { "did not answer in time" } else { "broke off" };
    EngineError::Unreachable(format!("{service} {what} ({asked}){cause}"))
}

/// An address as it stands in settings.
fn base(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("'{text}' is no address ({error}); it looks like http://host:port"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("'{text}' is no address of a web service; it looks like http://host:port"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(format!(
            "the address of {} holds credentials or a query: give it without",
            url.host_str().unwrap_or("")
        ));
    }
    reach::check(&url)?;
    Ok(url)
}

impl Answer {
    /// Services that stand by say so in their words. A 503 without them may be a proxy's whose service took the request: only for
    /// one without an effect it is as good.
    fn stands_by(&self, method: &Method) -> bool {
        let starts = [&b"This is standby RM"[..], b"There is no active RM"];
        starts.iter().any(|words| self.bytes.starts_with(words))
            || self.status == StatusCode::SERVICE_UNAVAILABLE
                && (*method == Method::GET || self.text().contains("leader election"))
    }

    /// The answer, if its status says that all went well.
    pub fn good(self) -> Result<Self, EngineError> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(self.unexpected())
    }

    /// Nothing where the status is 404; the answer otherwise, if all went well.
    pub fn found(self) -> Result<Option<Self>, EngineError> {
        if self.status == StatusCode::NOT_FOUND { Ok(None) } else { self.good().map(Some) }
    }

    /// What to say of an answer that nobody expected.
    pub fn unexpected(&self) -> EngineError {
        let what = match self.status {
            StatusCode::UNAUTHORIZED => " does not know us: the credential is missing, wrong or over",
            StatusCode::FORBIDDEN => " does not allow it to the configured user",
            // Whoever is something else has other paths.
            StatusCode::NOT_FOUND => " does not know what it is asked for: is its address right?",
            _ => " cannot be used",
        };
        EngineError::Unreachable(format!(
            "{}{what} ({} answered {}: {})",
            self.service,
            self.asked,
            self.status,
            self.text()
        ))
    }

    /// The beginning of the body as one line.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        // A page says in its title what it is.
        let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        let text = title.map_or_else(|| text.as_ref().to_owned(), |(title, _)| format!("a page \"{title}\""));
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(TOLD) {
            Some((end, _)) => format!("{} ...", &line[..end]),
            None => line,
        }
    }

    /// The body as JSON of this shape. Something else that answers at the address is named.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, EngineError> {
        serde_json::from_slice(&self.bytes).map_err(|error| {
            EngineError::Unreachable(format!(
                "{} does not answer as {} does ({error}): {}",
                self.asked,
                self.service,
                self.text()
            ))
        })
    }
}
