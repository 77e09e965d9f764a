//! The service user's own token: made when it is needed, renewed before its end and after Keystone refused it.

use std::time::{Duration, Instant};

use foggara_domain::Secret;
use reqwest::StatusCode;
use tokio::sync::Mutex;

use super::{
    client::{Client, Failure},
    wire,
};

/// After Keystone has refused the log-in itself there is no other for this long: with rules against guessing passwords it
/// would lock the service user out.
const PAUSE: Duration = Duration::from_secs(5);
/// A renewal that failed is tried again after this; until its end the old token serves.
const AGAIN: Duration = Duration::from_secs(10);

/// A token of the service user.
#[derive(Clone)]
pub(super) struct Held {
    pub token: Secret,
    /// Id of the service user: trusts name it.
    pub user: String,
    /// Tells this token from those before and after.
    number: u64,
    renew_at: Instant,
    ends_at: Instant,
}

/// The token at hand, if any.
#[derive(Default)]
pub(super) struct Session(Mutex<State>);

#[derive(Default)]
struct State {
    held: Option<Held>,
    made: u64,
    refused: Option<(Instant, Failure)>,
}

impl Session {
    /// Drops a token that Keystone refused, unless another has taken its place meanwhile.
    pub async fn forget(&self, refused: &Held) {
        let mut state = self.0.lock().await;
        if state.held.as_ref().is_some_and(|held| held.number == refused.number) {
            state.held = None;
        }
    }
}

impl Client {
    /// The service user's token. All who need a new one wait for the same log-in.
    pub async fn service(&self) -> Result<Held, Failure> {
        let mut state = self.session.0.lock().await;
        let now = Instant::now();
        let old = state.held.clone().filter(|held| now < held.ends_at);
        if let Some(held) = old.as_ref().filter(|held| now < held.renew_at) {
            return Ok(held.clone());
        }
        if let Some((since, failure)) = &state.refused
            && since.elapsed() < PAUSE
            && old.is_none()
        {
            return Err(failure.clone());
        }
        match self.new_token(&mut state).await {
            Ok(held) => Ok(held),
            Err(failure) => {
                let Some(mut old) = old else { return Err(failure) };
                tracing::warn!(%failure, "the service user's token could not be renewed; the old one serves until its end");
                old.renew_at = Instant::now() + AGAIN;
                state.held = Some(old.clone());
                Ok(old)
            }
        }
    }

    async fn new_token(&self, state: &mut State) -> Result<Held, Failure> {
        // Counted from before the request, so that we never take a token for younger than it is.
        let asked_at = Instant::now();
        let answer = self.log_in(wire::Target::Service).await?;
        if answer.status != StatusCode::CREATED {
            let failure = answer.unexpected("the log-in of the service user");
            state.refused = Some((asked_at, failure.clone()));
            return Err(failure);
        }
        let rubbish = || Failure("Keystone's answer to the log-in of the service user cannot be read".to_owned());
        let validated = wire::validated(&answer.body).ok_or_else(rubbish)?;
        let token = answer.token.filter(|token| !token.reveal().is_empty()).ok_or_else(rubbish)?;
        // Both times are Keystone's, so its clock and ours need not agree.
        let lasts = validated.identified.expires_at.since(validated.identified.issued_at);
        state.made += 1;
        state.refused = None;
        let held = Held {
            token,
            user: validated.identified.user.id,
            number: state.made,
            renew_at: asked_at + lasts.mul_f64(0.9),
            ends_at: asked_at + lasts,
        };
        state.held = Some(held.clone());
        Ok(held)
    }
}
