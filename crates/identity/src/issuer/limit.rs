//! The limit on failed logins: five in five minutes for a user from an address (decision 17).
//!
//! Kept in memory: each server counts for itself, and a restart forgets. Other addresses are not affected, so nobody can
//! lock a user out from elsewhere.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foggara_domain::Timestamp;
use tokio::sync::Notify;

/// Failures after which logins are refused.
const FAILURES: usize = 5;
/// For how long a failure counts.
const WINDOW: Duration = Duration::from_secs(300);
/// So many pairs of user and address are remembered; beyond it those with nothing left to count are dropped first.
const PAIRS: usize = 100_000;

/// Who tries to log in: the user as the database knows it (or as it was named), and from where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The user's id, or for an unknown one the names that were sent.
    pub user: String,
    /// The address of the other end of the connection.
    pub address: IpAddr,
}

#[derive(Default)]
struct Tries {
    /// Times of the failures that still count, oldest first.
    failures: VecDeque<Timestamp>,
    /// Logins whose password is being checked: each may become a failure.
    under_way: usize,
}

impl Tries {
    fn forget_before(&mut self, now: Timestamp) {
        while self.failures.front().is_some_and(|&at| now.since(at) >= WINDOW) {
            self.failures.pop_front();
        }
    }
}

/// Counts failed logins.
#[derive(Clone, Default)]
pub struct Limit(Arc<Inner>);

#[derive(Default)]
struct Inner {
    tries: Mutex<HashMap<Key, Tries>>,
    /// Tells those who wait that a login under way has ended.
    ended: Notify,
}

/// Too many failures: when the oldest of them stops to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// Whole seconds, at least 1.
    pub retry_after_seconds: u64,
}

enum Turn {
    Go,
    Wait,
}

impl Limit {
    /// Begins a login. It waits while as many logins are under way as failures are left, so that guesses sent at the same
    /// moment do not outrun the count, and right logins sent at the same moment are all served.
    ///
    /// # Errors
    /// [`TooMany`] when the failures are used up.
    pub async fn begin(&self, key: Key, now: impl Fn() -> Timestamp) -> Result<Attempt, TooMany> {
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            // Enlisted before looking: an end between the look and the wait is not missed.
            ended.as_mut().enable();
            match self.turn(&key, now())? {
                Turn::Go => return Ok(Attempt { limit: self.clone(), key: Some(key) }),
                Turn::Wait => ended.await,
            }
        }
    }

    fn turn(&self, key: &Key, now: Timestamp) -> Result<Turn, TooMany> {
        let mut all = self.tries();
        if all.len() >= PAIRS && !all.contains_key(key) {
            make_room(&mut all, now);
        }
        let tries = all.entry(key.clone()).or_default();
        tries.forget_before(now);
        if let (true, Some(&oldest)) = (tries.failures.len() >= FAILURES, tries.failures.front()) {
            let left = WINDOW.saturating_sub(now.since(oldest));
            return Err(TooMany { retry_after_seconds: left.as_secs() + u64::from(left.subsec_nanos() > 0) });
        }
        if tries.failures.len() + tries.under_way >= FAILURES {
            return Ok(Turn::Wait);
        }
        tries.under_way += 1;
        Ok(Turn::Go)
    }

    fn end(&self, key: &Key, outcome: Option<Outcome>) {
        let mut all = self.tries();
        if let Some(tries) = all.get_mut(key) {
            tries.under_way = tries.under_way.saturating_sub(1);
            match outcome {
                Some(Outcome::Failed(at)) => tries.failures.push_back(at),
                Some(Outcome::Succeeded) => tries.failures.clear(),
                None => {}
            }
            if tries.under_way == 0 && tries.failures.is_empty() {
                all.remove(key);
            }
        }
        drop(all);
        self.0.ended.notify_waiters();
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<Key, Tries>> {
        self.0.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what no longer counts; if that is nothing, a tenth of the pairs without a login under way: memory is bounded
/// whatever is sent.
fn make_room(all: &mut HashMap<Key, Tries>, now: Timestamp) {
    all.retain(|_, tries| {
        tries.forget_before(now);
        tries.under_way > 0 || !tries.failures.is_empty()
    });
    if all.len() >= PAIRS {
        let mut left = PAIRS / 10;
        all.retain(|_, tries| {
            let drop = left > 0 && tries.under_way == 0;
            left -= usize::from(drop);
            !drop
        });
    }
}

enum Outcome {
    Failed(Timestamp),
    Succeeded,
}

/// A login under way. Dropped without a word (the caller went away, the database failed) it counts as nothing.
pub struct Attempt {
    limit: Limit,
    key: Option<Key>,
}

impl Attempt {
    /// The password was wrong.
    pub fn failed(mut self, at: Timestamp) {
        self.finish(Some(Outcome::Failed(at)));
    }

    /// The password was right: earlier failures are forgotten.
    pub fn succeeded(mut self) {
        self.finish(Some(Outcome::Succeeded));
    }

    fn finish(&mut self, outcome: Option<Outcome>) {
        if let Some(key) = self.key.take() {
            self.limit.end(&key, outcome);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.finish(None);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn key(user: &str, last: u8) -> Key {
        Key { user: user.into(), address: IpAddr::from([192, 0, 2, last]) }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    async fn fail(limit: &Limit, key: &Key, seconds: i64) {
        limit.begin(key.clone(), || at(seconds)).await.expect("a turn").failed(at(seconds));
    }

    #[tokio::test]
    async fn the_sixth_is_refused_until_the_first_is_five_minutes_old() {
        let limit = Limit::default();
        for second in 0..5 {
            fail(&limit, &key("a", 1), second * 10).await;
        }
        let refused = limit.begin(key("a", 1), || at(50)).await.err();
        assert_eq!(refused, Some(TooMany { retry_after_seconds: 250 }));
        assert!(limit.begin(key("a", 2), || at(50)).await.is_ok(), "another address");
        assert!(limit.begin(key("b", 1), || at(50)).await.is_ok(), "another user");
        assert!(limit.begin(key("a", 1), || at(299)).await.is_err());
        fail(&limit, &key("a", 1), 300).await;
        assert_eq!(limit.begin(key("a", 1), || at(301)).await.err(), Some(TooMany { retry_after_seconds: 9 }));
    }

    #[tokio::test]
    async fn success_clears() {
        let limit = Limit::default();
        for second in 0..4 {
            fail(&limit, &key("a", 1), second).await;
        }
        limit.begin(key("a", 1), || at(5)).await.expect("a turn").succeeded();
        for second in 6..10 {
            fail(&limit, &key("a", 1), second).await;
        }
        assert!(limit.begin(key("a", 1), || at(11)).await.is_ok());
        assert!(limit.tries().len() == 1);
    }

    #[tokio::test]
    async fn guesses_at_the_same_moment_do_not_outrun_the_count() {
        let limit = Limit::default();
        let checked = Arc::new(AtomicI64::new(0));
        let guesses = (0..40).map(|_| {
            let (limit, checked) = (limit.clone(), Arc::clone(&checked));
            tokio::spawn(async move {
                if let Ok(attempt) = limit.begin(key("a", 1), || at(0)).await {
                    checked.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    attempt.failed(at(0));
                }
            })
        });
        for guess in guesses.collect::<Vec<_>>() {
            guess.await.unwrap();
        }
        assert_eq!(checked.load(Ordering::SeqCst), 5);
    }

    #[tokio::test]
    async fn right_logins_at_the_same_moment_are_all_served() {
        let limit = Limit::default();
        let logins = (0..40).map(|_| {
            let limit = limit.clone();
            tokio::spawn(async move {
                let attempt = limit.begin(key("a", 1), || at(0)).await.expect("never refused");
                tokio::task::yield_now().await;
                attempt.succeeded();
            })
        });
        for login in logins.collect::<Vec<_>>() {
            login.await.unwrap();
        }
        assert!(limit.tries().is_empty());
    }

    #[tokio::test]
    async fn a_login_that_goes_away_counts_as_nothing() {
        let limit = Limit::default();
        for _ in 0..20 {
            drop(limit.begin(key("a", 1), || at(0)).await);
        }
        assert!(limit.tries().is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let limit = Limit::default();
        for user in 0..PAIRS + 10 {
            let key = key(&user.to_string(), 1);
            assert!(limit.turn(&key, at(0)).is_ok());
            limit.end(&key, Some(Outcome::Failed(at(0))));
        }
        assert!(limit.tries().len() <= PAIRS);
    }
}
