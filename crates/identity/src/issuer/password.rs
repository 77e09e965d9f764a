//! Passwords: argon2id on threads of their own, only so many at once.
//!
//! A user that does not exist costs what a wrong password costs, so that the time of an answer does not tell who exists.

use std::{sync::Arc, time::Duration};

use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use foggara_domain::{Error, Result, Secret};
use tokio::sync::Semaphore;

/// How long a login waits for its turn before it is told that the server is busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bounds the work on passwords of one process.
#[derive(Clone)]
pub struct Hashing {
    turns: Arc<Semaphore>,
}

impl Default for Hashing {
    /// Half of the cores, at least one: logins must not take the machine from the jobs' duties.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { turns: Arc::new(Semaphore::new((cores / 2).max(1))) }
    }
}

impl Hashing {
    /// The text to keep in place of a password.
    pub async fn hash(&self, password: &Secret) -> Result<Secret> {
        let password = password.clone();
        self.in_turn(move || hash(&password)).await?
    }

    /// Whether the password is the one of the kept text. Without one (no such user) the same work is done, in vain.
    pub async fn verify(&self, password: &Secret, kept: Option<Secret>) -> Result<bool> {
        let password = password.clone();
        self.in_turn(move || verify(&password, kept.as_ref())).await?
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Error::unavailable("Too many logins at once; try again in a few seconds"));
        };
        // The turn goes along: the work does not end when a caller goes away.
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(format!("password work: {error}")))
    }
}

fn hash(password: &Secret) -> Result<Secret> {
    Argon2::default()
        .hash_password(password.reveal().as_bytes())
        .map(|hash| Secret::new(hash.to_string()))
        .map_err(|error| Error::Internal(format!("password cannot be hashed: {error}")))
}

/// What an unknown user is compared with: the work of a real one, and no password that fits.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn verify(password: &Secret, kept: Option<&Secret>) -> Result<bool> {
    let parsed = PasswordHash::new(kept.map_or(NOBODY, Secret::reveal))
        .map_err(|error| Error::Internal(format!("a kept password cannot be read: {error}")))?;
    let same = Argon2::default().verify_password(password.reveal().as_bytes(), &parsed).is_ok();
    Ok(same && kept.is_some())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_its_text_tells_nothing() {
        let hashing = Hashing::default();
        let kept = hashing.hash(&Secret::new("open sesame")).await.unwrap();
        assert!(kept.reveal().starts_with("$argon2id$v=19$"));
        assert!(hashing.verify(&Secret::new("open sesame"), Some(kept.clone())).await.unwrap());
        assert!(!hashing.verify(&Secret::new("open sesame "), Some(kept.clone())).await.unwrap());
        assert!(!hashing.verify(&Secret::new(""), Some(kept.clone())).await.unwrap());
        assert_ne!(kept, hashing.hash(&Secret::new("open sesame")).await.unwrap(), "a salt of its own");
    }

    #[test]
    fn the_work_for_nobody_is_that_for_a_kept_password() {
        let kept = hash(&Secret::new("x")).unwrap();
        let work = |text: &str| text.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(work(NOBODY), work(kept.reveal()));
        assert_eq!(NOBODY.len(), kept.reveal().len());
    }

    #[tokio::test]
    async fn an_unknown_user_costs_as_much() {
        let hashing = Hashing::default();
        let kept = hashing.hash(&Secret::new("x")).await.unwrap();
        assert!(!hashing.verify(&Secret::new("y"), None).await.unwrap());
        let mut known = Duration::MAX;
        let mut unknown = Duration::MAX;
        for _ in 0..5 {
            let begin = Instant::now();
            hashing.verify(&Secret::new("y"), Some(kept.clone())).await.unwrap();
            known = known.min(begin.elapsed());
            let begin = Instant::now();
            hashing.verify(&Secret::new("y"), None).await.unwrap();
            unknown = unknown.min(begin.elapsed());
        }
        assert!(unknown > known / 4, "unknown {unknown:?}, known {known:?}");
    }
}
