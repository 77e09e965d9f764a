//! What the texts of a job without a template may look like: lengths, characters, beginnings and ends (mrs-v1.1.md section 3,
//! mrs-v2.md section 2). Where the Chinese and the English documents differ, the stricter one counts.
//!
//! The errors name the member, the character and its place, never the text around it: that may be a secret.

use std::collections::BTreeMap;

use super::Kind;
use crate::{Code, Error, Result};

/// Longest name of a job.
pub const LONGEST_NAME: usize = 64;
/// Longest path.
pub const LONGEST_PATH: usize = 1023;
/// Longest text of V1.1's `arguments`.
pub const LONGEST_TEXT: usize = 2047;
/// Longest words of V2 together.
pub const LONGEST_WORDS: usize = 4096;
/// Longest keys and values of properties together.
pub const LONGEST_PROPERTIES: usize = 2048;

const NOT_IN_PATHS: &str = ";|&><'$";
const NOT_IN_ARGUMENTS: &str = ";|&>'<$!\\\"";
const NOT_IN_PROPERTIES: &str = "><|'`&!\\\"";
/// With what a path begins. `obs://` and `hdfs://` are V2's; V1.1 names only the others, and nothing is lost by taking all.
const BEGINNINGS: [&str; 4] = ["/", "s3a://", "obs://", "hdfs://"];

fn wrong<T>(member: &str, why: impl std::fmt::Display) -> Result<T> {
    Err(Error::refused(Code::InvalidData, format!("{member}: {why}")))
}

fn no_longer(member: &str, text: &str, limit: usize) -> Result<()> {
    match text.chars().count() {
        long if long > limit => wrong(member, format_args!("{long} characters, and at most {limit} are allowed")),
        _ => Ok(()),
    }
}

fn none_of(member: &str, text: &str, forbidden: &str) -> Result<()> {
    match text.chars().enumerate().find(|(_, c)| forbidden.contains(*c) || *c == '\0') {
        Some((at, c)) => {
            let c = c.escape_default();
            wrong(member, format_args!("the character '{c}' at place {} is not allowed", at + 1))
        }
        None => Ok(()),
    }
}

/// `job_name`: 1 to 64 letters, digits, `_` and `-`.
pub fn name(text: &str) -> Result<()> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.is_empty() || text.chars().count() > LONGEST_NAME || !text.chars().all(known) {
        return wrong("job_name", "it has to be 1 to 64 letters, digits, '_' and '-'");
    }
    Ok(())
}

/// A path that may be empty: `input`, `output`, `job_log`.
pub fn optional_path(member: &str, text: &str) -> Result<()> {
    no_longer(member, text, LONGEST_PATH)?;
    none_of(member, text, NOT_IN_PATHS)?;
    if text.is_empty() || BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)) {
        return Ok(());
    }
    wrong(member, "it has to begin with / or s3a:// (obs:// and hdfs:// are taken too)")
}

/// The path of a program or a script, which must be there and end with one of `ends`, in either case.
pub fn program(member: &str, text: &str, ends: &[&str]) -> Result<()> {
    if text.trim().is_empty() {
        return wrong(member, "it is blank");
    }
    optional_path(member, text)?;
    let lower = text.to_ascii_lowercase();
    if ends.iter().any(|end| lower.ends_with(end)) {
        return Ok(());
    }
    wrong(member, format_args!("it has to end with {}", ends.join(" or ")))
}

/// Whether a path is one of OBS.
pub fn is_obs(path: &str) -> bool {
    path.starts_with("s3a://") || path.starts_with("obs://")
}

/// `file_action` of DistCp with its two paths: `import` brings files from OBS to HDFS, `export` the other way.
pub fn copy(action: &str, input: &str, output: &str) -> Result<()> {
    let (from_obs, what) = match action {
        "import" => (true, "import copies from OBS (s3a://) to HDFS (/)"),
        "export" => (false, "export copies from HDFS (/) to OBS (s3a://)"),
        _ => return wrong("file_action", "a DistCp job needs import or export"),
    };
    for (member, path, obs) in [("input", input, from_obs), ("output", output, !from_obs)] {
        if path.is_empty() {
            return wrong(member, "a DistCp job needs it");
        }
        if is_obs(path) != obs {
            return wrong(member, what);
        }
    }
    Ok(())
}

/// V1.1's `arguments`: one text.
pub fn arguments(text: &str) -> Result<()> {
    no_longer("arguments", text, LONGEST_TEXT)?;
    none_of("arguments", text, NOT_IN_ARGUMENTS)
}

/// V2's `arguments`. SQL and the words of spark-submit need the forbidden characters (the documents' own samples have them).
pub fn words(kind: Kind, words: &[String]) -> Result<()> {
    let long: usize = words.iter().map(|word| word.chars().count()).sum();
    if long > LONGEST_WORDS {
        let why = format_args!("{long} characters in all words, and at most {LONGEST_WORDS} are allowed").to_string();
        return wrong("arguments", why);
    }
    if matches!(kind, Kind::HiveSql | Kind::SparkSql | Kind::Spark | Kind::Presto) {
        return words.iter().try_for_each(|word| none_of("arguments", word, ""));
    }
    for (number, word) in words.iter().enumerate() {
        none_of(&format!("arguments[{number}]"), word, NOT_IN_ARGUMENTS)?;
    }
    Ok(())
}

/// V2's `properties`.
pub fn properties(properties: &BTreeMap<String, String>) -> Result<()> {
    let long: usize = properties.iter().map(|(key, value)| key.chars().count() + value.chars().count()).sum();
    if long > LONGEST_PROPERTIES {
        let why = format_args!("{long} characters in all, and at most {LONGEST_PROPERTIES} are allowed").to_string();
        return wrong("properties", why);
    }
    for (number, (key, value)) in properties.iter().enumerate() {
        if key.trim().is_empty() {
            return wrong("properties", "a key is empty");
        }
        none_of(&format!("properties: key {}", number + 1), key, NOT_IN_PROPERTIES)?;
        none_of(&format!("properties: value {}", number + 1), value, NOT_IN_PROPERTIES)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names() {
        for good in ["a", "-", "_x-1", &"n".repeat(64)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "a.b", "a b", "ä", &"n".repeat(65)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths() {
        for good in ["", "/a/b", "s3a://b/k", "obs://b/k", "hdfs:///x"] {
            assert!(optional_path("input", good).is_ok(), "{good}");
        }
        let at_limit = format!("/{}", "p".repeat(LONGEST_PATH - 1));
        assert!(optional_path("input", &at_limit).is_ok());
        assert!(optional_path("input", &format!("{at_limit}p")).is_err());
        for bad in ["relative", "ftp://h/x", "s3://b/k", " "] {
            assert!(optional_path("input", bad).is_err(), "{bad}");
        }
        for c in NOT_IN_PATHS.chars() {
            let error = optional_path("input", &format!("/a{c}b")).expect_err("forbidden").to_string();
            assert!(error.contains("input") && error.contains("place 3"), "{error}");
        }
        assert!(program("jar_path", "/a.JAR", &[".jar"]).is_ok());
        for (bad, says) in [("  ", "blank"), ("/a.sh", "end with .jar"), ("a.jar", "begin with")] {
            assert!(program("jar_path", bad, &[".jar"]).expect_err(bad).to_string().contains(says), "{bad}");
        }
    }

    #[test]
    fn copies_have_a_direction() {
        assert!(copy("import", "s3a://b/x", "/y").is_ok() && copy("export", "/y", "obs://b/x").is_ok());
        for (action, input, output, says) in [
            ("", "s3a://b/x", "/y", "file_action"),
            ("move", "s3a://b/x", "/y", "file_action"),
            ("import", "/x", "/y", "input: import copies"),
            ("export", "/x", "/y", "output: export copies"),
            ("import", "s3a://b/x", "", "output: a DistCp job needs it"),
        ] {
            let error = copy(action, input, output).expect_err(says).to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn what_words_may_hold_depends_on_the_kind() {
        let sql = ["select '1;2' where a < \"b\"".to_owned()];
        assert!(words(Kind::HiveSql, &sql).is_ok() && words(Kind::Spark, &sql).is_ok());
        assert!(words(Kind::HiveScript, &sql).is_err() && words(Kind::MapReduce, &sql).is_err());
        let long = ["w".repeat(LONGEST_WORDS), "x".to_owned()];
        assert!(words(Kind::HiveSql, &long).is_err() && words(Kind::HiveSql, &long[..1]).is_ok());
        let of = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert!(properties(&of("fs.obs.endpoint", "h;x$y")).is_ok());
        for bad in [of("k", "a`b"), of("a>b", "v"), of("", "v"), of("k", &"v".repeat(LONGEST_PROPERTIES))] {
            assert!(properties(&bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_refused_text_is_never_repeated(secret in "[A-Z0-9]{8,40}", bad in "[;|&><$!]") {
            let text = format!("x @password={secret}{bad}");
            let error = arguments(&text).expect_err("forbidden").to_string();
            prop_assert!(!error.contains(&secret));
            let error = words(Kind::MapReduce, &[text]).expect_err("forbidden").to_string();
            prop_assert!(!error.contains(&secret));
        }

        #[test]
        fn exactly_the_listed_characters_are_forbidden(c in any::<char>()) {
            let allowed = !NOT_IN_ARGUMENTS.contains(c) && c != '\0';
            prop_assert_eq!(arguments(&c.to_string()).is_ok(), allowed);
        }
    }
}
