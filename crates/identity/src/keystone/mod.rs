//! The authenticator that asks an outside Keystone v3 (iam.md sections 2 to 4).
//!
//! Every token is checked by Keystone and the answer is kept for [`Settings::cache`]: that time is the longest for which a
//! token lives on here after it was revoked there. Only Keystone's own word makes a token invalid. Whatever else goes
//! wrong - the network, a time limit, an answer that is not Keystone's, a refusal of our own log-in - says nothing about the
//! caller and is [`Error::Unavailable`].

mod answers;
mod cache;
mod catalogue;
mod client;
mod cloud;
mod session;
mod trusts;
mod wire;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use foggara_domain::Secret;
use thiserror::Error as ThisError;

use crate::{Authenticator, Error, Identified, issuer::Clock};
use answers::Answers;
use client::Client;

pub use catalogue::{Catalogue, Endpoint, Service};
pub use cloud::{Cloud, Reference};
pub use trusts::{Delegated, TrustError, Trusts};

/// The whole of what a caller is told while Keystone does not answer; the reason is in the log.
const AWAY: &str = "The identity service cannot answer at the moment.";

/// How to reach Keystone and as whom.
#[derive(Clone)]
pub struct Settings {
    /// `https://keystone.example.org:5000/v3`; without `/v3` it is added.
    pub auth_url: String,
    /// Name of the service user. It needs a role that may validate tokens (`service` or `admin`) on `project`.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// Name of the domain of the service user.
    pub user_domain: String,
    /// Name of the project that the service user logs in to.
    pub project: String,
    /// Name of the domain of that project.
    pub project_domain: String,
    /// How long Keystone's word on a token counts: at the latest after this a revoked token is refused. With zero every
    /// request asks.
    pub cache: Duration,
    /// How long an answer may take, with everything that it needs.
    pub timeout: Duration,
    /// Certificates (PEM) that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// The region whose endpoints are looked up when the question names none.
    pub region: Option<String>,
    /// How far Keystone's clock may be behind ours.
    pub skew: Duration,
    /// Where the time comes from.
    pub clock: Clock,
}

impl Settings {
    /// The service user `username` of project `service`, both in domain `Default`, with the usual limits.
    pub fn new(auth_url: impl Into<String>, username: impl Into<String>, password: Secret) -> Self {
        Self {
            auth_url: auth_url.into(),
            username: username.into(),
            password,
            user_domain: "Default".to_owned(),
            project: "service".to_owned(),
            project_domain: "Default".to_owned(),
            cache: Duration::from_secs(60),
            timeout: Duration::from_secs(5),
            ca_file: None,
            region: None,
            skew: Duration::from_secs(30),
            clock: Clock::default(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("auth_url", &self.auth_url)
            .field("username", &self.username)
            .field("password", &self.password)
            .field("user_domain", &self.user_domain)
            .field("project", &self.project)
            .field("project_domain", &self.project_domain)
            .field("cache", &self.cache)
            .field("timeout", &self.timeout)
            .field("ca_file", &self.ca_file)
            .field("region", &self.region)
            .field("skew", &self.skew)
            .finish_non_exhaustive()
    }
}

/// Why the settings cannot be used. Nothing here depends on whether Keystone answers.
#[derive(Debug, ThisError)]
pub enum SettingsError {
    /// The address.
    #[error("auth_url '{0}' is not an http or https url without user, query and fragment")]
    AuthUrl(String),
    /// The file of certificates.
    #[error("ca_file {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client.
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
}

/// What Keystone said of a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validated {
    /// Who bears it.
    pub identified: Identified,
    /// The services that it can be used with.
    pub catalogue: Catalogue,
}

/// A client of an outside Keystone.
pub struct Keystone {
    client: Arc<Client>,
    answers: Arc<Answers>,
    region: Option<String>,
}

impl Keystone {
    /// Takes the settings; Keystone is asked for the first time when there is something to ask, so it may start later than
    /// we do. A rustls provider must be installed in the process.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let region = settings.region.clone();
        let client = Arc::new(Client::new(settings)?);
        let answers = Arc::new(Answers::new(Arc::clone(&client)));
        Ok(Self { client, answers, region })
    }

    /// Proves that Keystone answers and takes the service user's log-in; for a check of the configuration and of health.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason; it is for the operator and bears no secret.
    pub async fn log_in(&self) -> Result<(), Error> {
        let proof = self.client.in_time(self.client.service());
        proof.await.map(|_| ()).map_err(|failure| Error::Unavailable(failure.to_string()))
    }

    /// Checks a token and gives all that Keystone said of it.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] and [`Error::Unavailable`].
    pub async fn validate(&self, token: &str) -> Result<Arc<Validated>, Error> {
        self.answers.about(token).await
    }

    /// The address of the first of `service_types` that the token's catalogue knows, for `interface` (`public`, `internal`
    /// or `admin`) in `region`; without a region that of the settings counts, and without that any.
    ///
    /// # Errors
    /// As [`Keystone::validate`].
    pub async fn endpoint(
        &self,
        token: &str,
        service_types: &[&str],
        interface: &str,
        region: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let validated = self.validate(token).await?;
        let region = region.or(self.region.as_deref());
        Ok(validated.catalogue.endpoint(service_types, interface, region).map(str::to_owned))
    }
}

impl fmt::Debug for Keystone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keystone").field("client", &self.client).finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for Keystone {
    async fn identify(&self, token: &str) -> Result<Identified, Error> {
        Ok(self.validate(token).await?.identified.clone())
    }
}
