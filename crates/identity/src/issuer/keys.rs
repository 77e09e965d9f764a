//! The keys of tokens: kept in the database, cached here, rotated without a token being lost.

use std::time::Duration;

use fernet::Fernet;
use foggara_db::{
    Db,
    keys::{self, State, TokenKey},
};
use foggara_domain::{Error, Result, Secret, Timestamp};

use super::new_id;

/// For how long beyond the last token a retired key is kept: a server that has not seen the rotation yet goes on making
/// tokens with it until it looks again.
const MARGIN: Duration = Duration::from_secs(3600);
/// Shortest stay of a retired key, so that a lifetime that was shortened in the configuration ends no older token.
const SHORTEST_STAY: Duration = Duration::from_secs(24 * 3600);

/// More characters than any token of ours has.
const LONGEST: usize = 1024;

/// The keys as one server knows them.
#[derive(Clone)]
pub struct Ring {
    primary: Fernet,
    /// Staged and secondary ones.
    others: Vec<Fernet>,
}

impl Ring {
    /// Makes a token's text, without the padding, as Keystone sends it.
    pub fn seal(&self, payload: &[u8]) -> String {
        self.primary.encrypt(payload).trim_end_matches('=').to_owned()
    }

    /// The payload of a token that one of the keys made.
    pub fn open(&self, token: &str) -> Option<Vec<u8>> {
        // Only the text that was handed out is a token: with padding in it two texts would name one token.
        if !looks_like_a_token(token) {
            return None;
        }
        let padded = format!("{token}{}", "=".repeat((4 - token.len() % 4) % 4));
        std::iter::once(&self.primary).chain(&self.others).find_map(|key| key.decrypt(&padded).ok())
    }
}

/// Whether a text could be a token at all, told without any key.
pub fn looks_like_a_token(text: &str) -> bool {
    text.len() <= LONGEST && text.starts_with("gAAAA") && !text.contains('=')
}

/// Reads the keys; makes the first two when there are none.
pub async fn load(db: &Db, now: Timestamp) -> Result<Ring> {
    let mut found = keys::token_keys(&mut db.read().await?).await?;
    if !found.iter().any(|key| key.state == State::Primary) {
        let fresh = [fresh(State::Primary, now), fresh(State::Staged, now)];
        found = db
            .write(move |conn| {
                let fresh = fresh.clone();
                Box::pin(async move {
                    for key in &fresh {
                        keys::insert_token_key(conn, key).await?;
                    }
                    keys::token_keys(conn).await
                })
            })
            .await?;
    }
    ring(&found)
}

/// Rotates the keys: the staged one makes tokens from now on. Tokens that exist stay valid until their end.
///
/// `lifetime` is that of tokens.
pub async fn rotate(db: &Db, now: Timestamp, lifetime: Duration) -> Result<()> {
    // With no keys yet there is nothing to retire: make the first ones, then rotate those.
    load(db, now).await?;
    let staged = fresh(State::Staged, now);
    let valid_until = now.plus(lifetime.max(SHORTEST_STAY) + MARGIN);
    db.write(move |conn| {
        let staged = staged.clone();
        Box::pin(async move { keys::rotate_token_keys(conn, &staged, now, valid_until).await })
    })
    .await
}

fn fresh(state: State, now: Timestamp) -> TokenKey {
    let secret = Secret::new(Fernet::generate_key());
    TokenKey { id: new_id(), state, secret, created_at: now, valid_until: None }
}

fn ring(found: &[TokenKey]) -> Result<Ring> {
    let mut primary = None;
    let mut others = Vec::new();
    for key in found {
        let fernet = Fernet::new(key.secret.reveal());
        let fernet = fernet.ok_or_else(|| Error::Internal(format!("token key {} is damaged", key.id)))?;
        match key.state {
            State::Primary => primary = Some(fernet),
            State::Staged | State::Secondary => others.push(fernet),
        }
    }
    let primary = primary.ok_or_else(|| Error::Internal("there is no primary token key".to_owned()))?;
    Ok(Ring { primary, others })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> Fernet {
        Fernet::new(&Fernet::generate_key()).expect("a key that was just made")
    }

    proptest! {
        #[test]
        fn a_token_that_was_touched_opens_with_no_key(payload in prop::collection::vec(any::<u8>(), 0..120), at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_-]") {
            let ring = Ring { primary: key(), others: vec![key()] };
            let token = ring.seal(&payload);
            prop_assert_eq!(ring.open(&token), Some(payload));
            let at = at.index(token.len());
            let mut touched = token.clone();
            touched.replace_range(at..=at, &with);
            if touched != token {
                prop_assert_eq!(ring.open(&touched), None);
            }
            prop_assert_eq!(ring.open(&token[..at]), None);
        }
    }

    #[test]
    fn a_token_opens_while_its_key_is_in_the_ring() {
        let old = key();
        let before = Ring { primary: old.clone(), others: vec![] };
        let token = before.seal(b"x");
        assert_eq!(Ring { primary: key(), others: vec![key(), old] }.open(&token), Some(b"x".to_vec()));
        assert_eq!(Ring { primary: key(), others: vec![key()] }.open(&token), None);
    }

    #[test]
    fn other_texts_are_not_tokens() {
        let ring = Ring { primary: key(), others: vec![] };
        for text in ["", "=", "gAAAAA", "gAAAAA==", "\u{fc}\u{fc}", &"A".repeat(100_000)] {
            assert_eq!(ring.open(text), None);
        }
        let token = ring.seal(b"");
        assert_eq!(ring.open(&format!("{token}=")), None);
        assert_eq!(ring.open(&format!("{token}==")), None);
    }
}
