//! Secrets in the output of a job: a job may print what it was given. Whoever reads the log sees `*` in their place, as many as
//! the secret has bytes, so that offsets stay true.

use serde_json::{Map, Value};

use crate::direct::secret::masked;

/// Shorter ones are not looked for: they would stand everywhere.
const SHORTEST: usize = 4;

/// The values to hide.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    /// The values among an execution's sealed configs: texts, and the marked words of a list.
    pub fn of(sealed: &Map<String, Value>) -> Self {
        let mut values = Vec::new();
        for value in sealed.values() {
            match value {
                Value::String(text) => values.push(text.as_bytes().to_vec()),
                Value::Array(words) => {
                    let marked = words.iter().filter_map(Value::as_str).filter(|word| masked(word).is_some());
                    values.extend(marked.filter_map(|word| Some(word.split_once('=')?.1.as_bytes().to_vec())));
                }
                _ => {}
            }
        }
        values.retain(|value| value.len() >= SHORTEST);
        // A secret that holds another one goes first.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Self(values)
    }

    /// How many bytes more a reader needs on each side of a piece to see every secret that reaches into it.
    pub fn reach(&self) -> usize {
        self.0.first().map_or(0, |longest| longest.len() - 1)
    }

    /// Hides every secret that lies whole in the bytes.
    pub fn hide(&self, bytes: &mut [u8]) {
        for secret in &self.0 {
            let mut at = 0;
            while at + secret.len() <= bytes.len() {
                if bytes[at..].starts_with(secret) {
                    bytes[at..at + secret.len()].fill(b'*');
                    at += secret.len();
                } else {
                    at += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn secrets(sealed: Value) -> Secrets {
        Secrets::of(sealed.as_object().expect("an object"))
    }

    #[test]
    fn values_and_marked_words_are_hidden() {
        let secrets =
            secrets(json!({"fs.x.password": "hunter2", "args": ["plain", "@key=open sesame"], "short": "abc"}));
        let mut text = b"abc hunter2 plain open sesame hunter".to_vec();
        secrets.hide(&mut text);
        assert_eq!(String::from_utf8_lossy(&text), "abc ******* plain *********** hunter");
        assert_eq!(secrets.reach(), 10);
        assert_eq!(Secrets::default().reach(), 0);
    }

    proptest! {
        /// Read piece by piece with the reach on both sides, nothing of a secret is ever seen.
        #[test]
        fn pieces_hide_what_the_whole_hides(before in "[a-c]{0,20}", after in "[a-c]{0,20}", size in 1usize..8) {
            let secrets = secrets(json!({"k": "abcabz"}));
            let all = format!("{before}abcabz{after}").into_bytes();
            let mut whole = all.clone();
            secrets.hide(&mut whole);
            let mut pieces = Vec::new();
            for start in (0..all.len()).step_by(size) {
                let end = (start + size).min(all.len());
                let from = start.saturating_sub(secrets.reach());
                let mut wide = all[from..(end + secrets.reach()).min(all.len())].to_vec();
                secrets.hide(&mut wide);
                pieces.extend_from_slice(&wide[start - from..end - from]);
            }
            prop_assert_eq!(pieces, whole);
        }
    }
}
