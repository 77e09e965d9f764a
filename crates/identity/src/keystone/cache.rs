//! A bounded store of what is known about tokens, by their digests: neither memory nor a dump of it holds a token.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

/// SHA-256 of a token.
pub(super) type Key = [u8; 32];

/// The key of a token.
pub(super) fn key(token: &str) -> Key {
    Sha256::digest(token.as_bytes()).into()
}

/// Values that count for the same time each. The oldest go when there are too many.
pub(super) struct Cache<V> {
    lasts: Duration,
    capacity: usize,
    entries: HashMap<Key, (Instant, V)>,
    /// Every insertion in its order, so that making room needs no search.
    order: VecDeque<(Instant, Key)>,
}

impl<V> Cache<V> {
    /// An empty one.
    pub fn new(lasts: Duration, capacity: usize) -> Self {
        Self { lasts, capacity, entries: HashMap::new(), order: VecDeque::new() }
    }

    /// What is known, unless it is too old at `now`.
    pub fn get(&self, key: &Key, now: Instant) -> Option<&V> {
        let (since, value) = self.entries.get(key)?;
        self.fresh(*since, now).then_some(value)
    }

    /// Keeps what was known at `since`.
    pub fn insert(&mut self, key: Key, value: V, since: Instant, now: Instant) {
        while let Some((oldest, of)) = self.order.front().copied()
            && (self.order.len() >= self.capacity || !self.fresh(oldest, now))
        {
            self.order.pop_front();
            // The entry may have been replaced by a later one, which has its own place in the order.
            if self.entries.get(&of).is_some_and(|(since, _)| *since == oldest) {
                self.entries.remove(&of);
            }
        }
        if self.capacity > 0 && self.fresh(since, now) {
            self.entries.insert(key, (since, value));
            self.order.push_back((since, key));
        }
    }

    /// Drops what is known about one token.
    pub fn remove(&mut self, key: &Key) {
        self.entries.remove(key);
    }

    fn fresh(&self, since: Instant, now: Instant) -> bool {
        now.saturating_duration_since(since) < self.lasts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_old_is_not_given_and_goes() {
        let start = Instant::now();
        let mut cache = Cache::new(MINUTE, 10);
        cache.insert(key("a"), 1, start, start);
        assert_eq!(cache.get(&key("a"), start + MINUTE - Duration::from_millis(1)), Some(&1));
        assert_eq!(cache.get(&key("a"), start + MINUTE), None);
        cache.insert(key("b"), 2, start + MINUTE, start + MINUTE);
        assert_eq!((cache.entries.len(), cache.order.len()), (1, 1));
    }

    #[test]
    fn an_answer_that_took_longer_than_it_counts_is_not_kept() {
        let start = Instant::now();
        let mut cache = Cache::new(MINUTE, 10);
        cache.insert(key("a"), 1, start, start + MINUTE);
        assert!(cache.entries.is_empty() && cache.order.is_empty());
    }

    #[test]
    fn it_does_not_grow_beyond_its_capacity() {
        let start = Instant::now();
        let mut cache = Cache::new(MINUTE, 3);
        for number in 0..100 {
            cache.insert(key(&number.to_string()), number, start, start);
            cache.insert(key("often"), number, start + Duration::from_nanos(number), start);
            assert!(cache.entries.len() <= 3 && cache.order.len() <= 3);
            assert_eq!(cache.get(&key("often"), start), Some(&number));
        }
    }

    #[test]
    fn the_key_is_not_the_token() {
        assert_ne!(key("0123456789abcdef0123456789abcdef"), *b"0123456789abcdef0123456789abcdef");
        assert_ne!(key("a"), key("b"));
    }
}
