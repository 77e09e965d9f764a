//! What is known about callers' tokens: from Keystone, one question per token at a time, and kept for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use foggara_domain::Secret;
use reqwest::StatusCode;
use tokio::sync::watch;

use super::{
    AWAY, Validated,
    cache::{Cache, Key, key},
    client::{Client, Failure},
    wire,
};
use crate::Error;

/// Valid tokens that are remembered.
const VALID: usize = 4096;
/// Invalid ones. They have a place of their own: whoever sends rubbish must not push the valid ones out.
const INVALID: usize = 4096;
/// How long a token stays invalid without a question, at the most. Short: servers of one Keystone may get a new key one
/// after the other, and until then one of them does not know a good token.
const INVALID_LASTS: Duration = Duration::from_secs(5);
/// The longest text that is taken for a token; web servers refuse longer headers.
const LONGEST: usize = 8000;

type Word = Result<Arc<Validated>, Error>;
type Landing = watch::Receiver<Option<Word>>;

/// Keystone's words on tokens.
pub(super) struct Answers {
    client: Arc<Client>,
    known: Mutex<Known>,
}

struct Known {
    valid: Cache<Arc<Validated>>,
    invalid: Cache<()>,
    /// Questions under way, with when they were asked.
    asked: HashMap<Key, (Instant, Landing)>,
}

impl Answers {
    /// Nothing is known yet.
    pub fn new(client: Arc<Client>) -> Self {
        let lasts = client.settings.cache;
        let valid = Cache::new(lasts, VALID);
        let invalid = Cache::new(lasts.min(INVALID_LASTS), INVALID);
        Self { client, known: Mutex::new(Known { valid, invalid, asked: HashMap::new() }) }
    }

    /// What Keystone says of a token, or said a short while ago.
    pub async fn about(self: &Arc<Self>, token: &str) -> Word {
        if !plausible(token) {
            return Err(Error::Unauthorized);
        }
        let mut landing = match self.remembered_or_asked(token) {
            Ok(word) => return word,
            Err(landing) => landing,
        };
        let word = landing.wait_for(Option::is_some).await.ok().and_then(|word| word.clone());
        // Without a word the task was given up: the program is stopping.
        word.unwrap_or_else(|| Err(Error::Unavailable(AWAY.to_owned())))
    }

    /// What is remembered, or else where the answer to a question will arrive that is under way now.
    fn remembered_or_asked(self: &Arc<Self>, token: &str) -> Result<Word, Landing> {
        let key = key(token);
        let now = Instant::now();
        let mut known = self.lock();
        if let Some(validated) = known.valid.get(&key, now) {
            // At its end by our clock Keystone has to say whether it is also that by its own.
            if self.client.settings.clock.now() < validated.identified.expires_at {
                return Ok(Ok(Arc::clone(validated)));
            }
        } else if known.invalid.get(&key, now).is_some() {
            return Ok(Err(Error::Unauthorized));
        }
        // A question that was asked longer ago than answers count could bring an answer that is too old.
        if let Some((since, landing)) = known.asked.get(&key)
            && now.saturating_duration_since(*since) < self.client.settings.cache
            && landing.has_changed().is_ok()
        {
            return Err(landing.clone());
        }
        let (sender, landing) = watch::channel(None);
        known.asked.insert(key, (now, landing.clone()));
        drop(known);
        // In a task of its own: when the first who asked goes away, the others still get the answer.
        let (answers, token, own) = (Arc::clone(self), Secret::new(token), landing.clone());
        tokio::spawn(async move {
            let word = answers.client.in_time(answers.ask(&token)).await;
            let word = answers.learn(key, now, &own, word);
            sender.send_replace(Some(word));
        });
        Err(landing)
    }

    /// Keystone's answer; none when the token is not valid.
    async fn ask(&self, token: &Secret) -> Result<Option<Arc<Validated>>, Failure> {
        let answer = self.client.examine(token).await?;
        if answer.is_not_found() {
            return Ok(None);
        }
        if answer.status != StatusCode::OK {
            return Err(answer.unexpected("the examination of a token"));
        }
        let rubbish = || Failure("Keystone's answer about a token cannot be read".to_owned());
        let validated = wire::validated(&answer.body).ok_or_else(rubbish)?;
        let settings = &self.client.settings;
        let late = settings.clock.now().since(validated.identified.expires_at);
        Ok((late <= settings.skew).then(|| Arc::new(validated)))
    }

    /// Keeps an answer to a question of `since`, and gives what callers get.
    fn learn(&self, key: Key, since: Instant, own: &Landing, word: Result<Option<Arc<Validated>>, Failure>) -> Word {
        let mut known = self.lock();
        if known.asked.get(&key).is_some_and(|(_, landing)| landing.same_channel(own)) {
            known.asked.remove(&key);
        }
        let now = Instant::now();
        match word {
            Ok(Some(validated)) => {
                known.invalid.remove(&key);
                known.valid.insert(key, Arc::clone(&validated), since, now);
                Ok(validated)
            }
            Ok(None) => {
                known.valid.remove(&key);
                known.invalid.insert(key, (), since, now);
                Err(Error::Unauthorized)
            }
            Err(failure) => {
                drop(known);
                tracing::warn!(%failure, "a token could not be checked");
                Err(Error::Unavailable(AWAY.to_owned()))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a text can be a token at all. Anything else would not fit into a header, or make Keystone fail instead of refuse.
fn plausible(token: &str) -> bool {
    (1..=LONGEST).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}
