//! `@name=value` among the words of a job: a secret, which is kept sealed and shown as `*` (mrs-v1.1.md section 3).

/// How a hidden value is shown.
pub const MASK: &str = "*";

/// The word as it is shown, if it holds a secret.
pub fn masked(word: &str) -> Option<String> {
    let (name, value) = word.strip_prefix('@')?.split_once('=')?;
    (!name.is_empty() && !value.is_empty()).then(|| format!("@{name}={MASK}"))
}

/// The words as they are shown, and whether one of them holds a secret.
pub fn hide(words: &[String]) -> (Vec<String>, bool) {
    let mut any = false;
    let shown = words.iter().map(|word| match masked(word) {
        None => word.clone(),
        Some(shown) => {
            any = true;
            shown
        }
    });
    (shown.collect(), any)
}

/// A text of words as it is shown (V1.1's `arguments`); spacing stays.
pub fn hide_in_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end_matches(char::is_whitespace);
        shown.push_str(&masked(word).unwrap_or_else(|| word.to_owned()));
        shown.push_str(&piece[word.len()..]);
    }
    shown
}

/// The word as the job gets it: without the mark.
pub fn revealed(word: &str) -> &str {
    if masked(word).is_some() { &word[1..] } else { word }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_marked_values_are_secrets() {
        let words = ["org.App", "user=u", "@password=a=b", "@", "@x", "@=v", "@n="].map(str::to_owned);
        let (shown, any) = hide(&words);
        assert_eq!(shown, ["org.App", "user=u", "@password=*", "@", "@x", "@=v", "@n="]);
        assert!(any && !hide(&words[..2]).1);
        assert_eq!(revealed("@password=a=b"), "password=a=b");
        assert_eq!(revealed("@x"), "@x");
        assert_eq!(hide_in_text("org.App  @k=v\tx @k=w"), "org.App  @k=*\tx @k=*");
    }

    proptest! {
        #[test]
        fn a_value_never_shows(name in "[a-z]{1,8}", value in "[A-Z0-9=@]{4,20}") {
            let shown = hide_in_text(&format!("a @{name}={value} b"));
            prop_assert!(!shown.contains(&value));
        }
    }
}
