//! Trusts: a user lets the service user act in the user's name, for jobs that outlive the token they were started with.

use async_trait::async_trait;
use foggara_domain::{Caller, Secret, Timestamp};
use reqwest::StatusCode;
use thiserror::Error;

use super::{
    AWAY, Catalogue, Keystone,
    client::{Answer, Failure},
    wire::{self, Target},
};

const PATH: &str = "/OS-TRUST/trusts";

/// Why something was not done with a trust.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TrustError {
    /// There is no such trust (any more): it was deleted, or its user was.
    #[error("The trust does not exist.")]
    Gone,
    /// Keystone refuses, and would again.
    #[error("{0}")]
    Refused(String),
    /// It cannot be told at present; the same may work later.
    #[error("{0}")]
    Unavailable(String),
}

impl From<Failure> for TrustError {
    fn from(failure: Failure) -> Self {
        tracing::warn!(%failure, "Keystone could not be asked about a trust");
        Self::Unavailable(AWAY.to_owned())
    }
}

/// A token in the name of another.
#[derive(Clone, Debug)]
pub struct Delegated {
    /// The token.
    pub token: Secret,
    /// When it ends, by Keystone's clock. A new one can be had as long as there is the trust.
    pub expires_at: Timestamp,
    /// The services that it can be used with.
    pub catalogue: Catalogue,
}

/// Acting for users who are not there any more.
#[async_trait]
pub trait Trusts: Send + Sync {
    /// Lets the service user act as the caller, with all of the caller's roles on the token's project and without an end.
    /// `token` is the caller's. Gives the trust's id.
    ///
    /// # Errors
    /// Refused when the token may not delegate: it comes from a restricted application credential or from a trust itself.
    async fn create_trust(&self, token: &Secret, caller: &Caller) -> Result<String, TrustError>;

    /// A new token in the name of the one who gave the trust.
    ///
    /// # Errors
    /// Gone when there is no such trust; refused when its user was disabled or has lost a role.
    async fn token_for_trust(&self, trust: &str) -> Result<Delegated, TrustError>;

    /// Ends a trust; its tokens end with it. One that is gone already is fine.
    ///
    /// # Errors
    /// Refused when the user's account does not allow it any more and the service user is no administrator.
    async fn delete_trust(&self, trust: &str) -> Result<(), TrustError>;
}

#[async_trait]
impl Trusts for Keystone {
    async fn create_trust(&self, token: &Secret, caller: &Caller) -> Result<String, TrustError> {
        let work = async {
            let trustee = self.client.service().await?.user;
            let body = wire::trust(caller.user.as_str(), &trustee, caller.project.as_str(), &caller.roles);
            let answer = self.client.create(PATH, &body, token).await?;
            if answer.status != StatusCode::CREATED {
                return Err(refused(&answer, "to create a trust"));
            }
            let rubbish = || Failure("Keystone's answer to a new trust cannot be read".to_owned());
            Ok(wire::trust_id(&answer.body).ok_or_else(rubbish)?)
        };
        self.client.in_time(work).await
    }

    async fn token_for_trust(&self, trust: &str) -> Result<Delegated, TrustError> {
        self.client.in_time(self.delegated(trust)).await
    }

    async fn delete_trust(&self, trust: &str) -> Result<(), TrustError> {
        let work = async {
            // Only the one who gave a trust, or an administrator, may end it. With a token of the trust we are the former.
            match self.delegated(trust).await {
                Ok(delegated) => {
                    let answer = self.client.delete(&path(trust), &delegated.token).await?;
                    if is_done(&answer) {
                        return Ok(());
                    }
                }
                Err(TrustError::Gone) => return Ok(()),
                Err(TrustError::Refused(_)) => {}
                Err(away @ TrustError::Unavailable(_)) => return Err(away),
            }
            let answer = self.client.delete_as_service(&path(trust)).await?;
            if is_done(&answer) { Ok(()) } else { Err(refused(&answer, "to delete a trust")) }
        };
        self.client.in_time(work).await
    }
}

impl Keystone {
    async fn delegated(&self, trust: &str) -> Result<Delegated, TrustError> {
        // Our own log-in comes first: were the password wrong, the refusal below would be taken for the trust's.
        self.client.service().await?;
        if !is_id(trust) {
            return Err(TrustError::Gone);
        }
        let answer = self.client.log_in(Target::Trust(trust)).await?;
        if answer.status.is_client_error() {
            // A log-in for a trust that is gone gets the same 401 as one with a wrong password.
            let gone = self.client.look_as_service(&path(trust)).await?.is_not_found();
            return Err(if gone { TrustError::Gone } else { refused(&answer, "a token for a trust") });
        }
        if answer.status != StatusCode::CREATED {
            return Err(answer.unexpected("a log-in for a trust").into());
        }
        let rubbish = || Failure("Keystone's answer to a log-in for a trust cannot be read".to_owned());
        let validated = wire::validated(&answer.body).ok_or_else(rubbish)?;
        let token = answer.token.filter(|token| !token.reveal().is_empty()).ok_or_else(rubbish)?;
        Ok(Delegated { token, expires_at: validated.identified.expires_at, catalogue: validated.catalogue })
    }
}

/// Keystone's refusal. Its own text is left out: it may repeat a token.
fn refused(answer: &Answer, what: &str) -> TrustError {
    match answer.status {
        status if status.is_client_error() => TrustError::Refused(format!("Keystone refuses {what}: {status}.")),
        _ => answer.unexpected(what).into(),
    }
}

fn is_done(answer: &Answer) -> bool {
    answer.status == StatusCode::NO_CONTENT || answer.is_not_found()
}

fn path(trust: &str) -> String {
    format!("{PATH}/{trust}")
}

/// Whether a text can be an id, so that it can stand in a path.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
