//! Secrets among the words of a job, which are kept sealed and shown as `*`: `@name=value` (mrs-v1.1.md section 3), and the keys of
//! file systems that stand there as settings (`--conf fs.obs.secret.key=..`), as they are hidden among properties.

use crate::job_type::configs::is_credential;

/// How a hidden value is shown.
pub const MASK: &str = "*";

/// With what a setting may begin when it is one word with its option.
const OPTIONS: [&str; 4] = ["--conf=", "--hiveconf=", "-D", ""];

/// The secret in a word.
pub fn value(word: &str) -> Option<&str> {
    if let Some((_, value)) = marked(word) {
        return Some(value);
    }
    let setting = OPTIONS.iter().find_map(|option| word.strip_prefix(option).filter(|rest| !rest.starts_with('-')))?;
    let (key, value) = setting.split_once('=')?;
    (is_credential(key) && !value.is_empty()).then_some(value)
}

/// The word as it is shown, if it holds a secret.
pub fn masked(word: &str) -> Option<String> {
    let value = value(word)?;
    Some(format!("{}{MASK}", &word[..word.len() - value.len()]))
}

/// Name and value of `@name=value`.
fn marked(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.strip_prefix('@')?.split_once('=')?;
    (!name.is_empty() && !value.is_empty()).then_some((name, value))
}

/// A text about words without the secrets in them.
pub fn without(words: &[String], text: &str) -> String {
    words.iter().filter_map(|word| value(word)).fold(text.to_owned(), |text, value| text.replace(value, MASK))
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
    if marked(word).is_some() { &word[1..] } else { word }
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

    #[test]
    fn keys_of_file_systems_are_secrets_as_settings() {
        for (word, shown) in [
            ("spark.hadoop.fs.obs.secret.key=k", "spark.hadoop.fs.obs.secret.key=*"),
            ("fs.s3a.bucket.b.access.key=a=b", "fs.s3a.bucket.b.access.key=*"),
            ("--conf=fs.obs.access.key=k", "--conf=fs.obs.access.key=*"),
            ("-Dfs.s3a.session.token=k", "-Dfs.s3a.session.token=*"),
        ] {
            assert_eq!(masked(word).as_deref(), Some(shown));
            assert_eq!(revealed(word), word, "only a mark is taken away");
        }
        for word in [
            "fs.obs.endpoint=e",
            "spark.a=fs.obs.secret.key=k",
            "fs.obs.secret.key",
            "fs.obs.secret.key=",
            "-D",
            "--conf=",
        ] {
            assert_eq!(masked(word), None, "{word}");
        }
    }

    #[test]
    fn a_text_about_words_loses_their_secrets() {
        let words = ["@p=s3cret", "plain=kept", "--conf=fs.obs.secret.key=other"].map(str::to_owned);
        assert_eq!(without(&words, "'p=s3cret' and plain=kept, other"), "'p=*' and plain=kept, *");
    }

    proptest! {
        #[test]
        fn a_value_never_shows(name in "[a-z]{1,8}", value in "[A-Z0-9=@]{4,20}") {
            let shown = hide_in_text(&format!("a @{name}={value} b"));
            prop_assert!(!shown.contains(&value));
        }
    }
}
