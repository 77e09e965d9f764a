//! Wrong signatures in a row: five lock an access key for five minutes (iam.md section 5).
//!
//! Counted per key and address, as logins are, so that nobody who has seen the public half of a key can lock its owner out
//! from elsewhere. Kept in memory: each server counts for itself, and a restart forgets.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foggara_domain::Timestamp;

use crate::aksk::Refusal;

/// Wrong signatures after which a key is locked.
const FAILURES: u32 = 5;
/// For how long it is, from the last of them.
const LOCKED: Duration = Duration::from_secs(300);
/// So many pairs of key and address are remembered. Only keys that exist are counted.
const PAIRS: usize = 100_000;

/// The access key and where the request came from.
pub(super) type Who = (String, IpAddr);

struct Row {
    in_a_row: u32,
    last: Timestamp,
}

impl Row {
    fn is_locked(&self, now: Timestamp) -> bool {
        self.in_a_row >= FAILURES && now.since(self.last) < LOCKED
    }
}

/// Counts wrong signatures.
#[derive(Default)]
pub(super) struct Failures(Mutex<HashMap<Who, Row>>);

impl Failures {
    /// # Errors
    /// [`Refusal::Locked`].
    pub fn look(&self, who: &Who, now: Timestamp) -> Result<(), Refusal> {
        if self.rows().get(who).is_some_and(|row| row.is_locked(now)) { Err(Refusal::Locked) } else { Ok(()) }
    }

    /// Notes what became of a signature, and gives it back unless the key was locked meanwhile.
    ///
    /// # Errors
    /// [`Refusal::Locked`], or the outcome's own.
    pub fn note(&self, who: Who, now: Timestamp, outcome: Result<(), Refusal>) -> Result<(), Refusal> {
        let mut rows = self.rows();
        if rows.get(&who).is_some_and(|row| row.is_locked(now)) {
            return Err(Refusal::Locked);
        }
        match &outcome {
            Ok(()) => drop(rows.remove(&who)),
            Err(Refusal::Wrong | Refusal::WrongBody) => {
                if rows.len() >= PAIRS && !rows.contains_key(&who) {
                    make_room(&mut rows, now);
                }
                let row = rows.entry(who).or_insert(Row { in_a_row: 0, last: now });
                // A lock that is over is the end of its row.
                row.in_a_row = if row.in_a_row >= FAILURES { 1 } else { row.in_a_row + 1 };
                row.last = now;
            }
            Err(_) => {}
        }
        outcome
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<Who, Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what has locked nothing for long; if that is nothing, a tenth of all: memory is bounded whatever is sent.
fn make_room(rows: &mut HashMap<Who, Row>, now: Timestamp) {
    rows.retain(|_, row| now.since(row.last) < LOCKED);
    if rows.len() >= PAIRS {
        let mut left = PAIRS / 10;
        rows.retain(|_, _| {
            let drop = left > 0;
            left -= usize::from(drop);
            !drop
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(access: &str, last: u8) -> Who {
        (access.to_owned(), IpAddr::from([192, 0, 2, last]))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn five_in_a_row_lock_for_five_minutes() {
        let failures = Failures::default();
        // However much time lies between them.
        for number in 0..5 {
            assert_eq!(failures.look(&who("a", 1), at(number * 1000)), Ok(()));
            assert_eq!(failures.note(who("a", 1), at(number * 1000), Err(Refusal::Wrong)), Err(Refusal::Wrong));
        }
        assert_eq!(failures.look(&who("a", 1), at(4299)), Err(Refusal::Locked));
        assert_eq!(failures.note(who("a", 1), at(4299), Ok(())), Err(Refusal::Locked), "a right one comes too late");
        assert_eq!(failures.look(&who("a", 2), at(4001)), Ok(()), "another address");
        assert_eq!(failures.look(&who("b", 1), at(4001)), Ok(()), "another key");
        assert_eq!(failures.look(&who("a", 1), at(4300)), Ok(()));
        for _ in 0..4 {
            assert_eq!(failures.note(who("a", 1), at(4300), Err(Refusal::WrongBody)), Err(Refusal::WrongBody));
        }
        assert_eq!(failures.look(&who("a", 1), at(4300)), Ok(()), "the row began anew");
    }

    #[test]
    fn a_right_one_ends_the_row_and_other_faults_do_not_count() {
        let failures = Failures::default();
        for round in 0..4 {
            for _ in 0..4 {
                assert_eq!(failures.note(who("a", 1), at(round), Err(Refusal::Wrong)), Err(Refusal::Wrong));
            }
            for _ in 0..10 {
                assert_eq!(failures.note(who("a", 1), at(round), Err(Refusal::Disabled)), Err(Refusal::Disabled));
            }
            assert_eq!(failures.note(who("a", 1), at(round), Ok(())), Ok(()));
        }
        assert!(failures.rows().is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let failures = Failures::default();
        for number in 0..PAIRS + 10 {
            let _ = failures.note(who(&number.to_string(), 1), at(0), Err(Refusal::Wrong));
        }
        assert!(failures.rows().len() <= PAIRS);
    }
}
