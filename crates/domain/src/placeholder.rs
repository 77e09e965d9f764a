//! Placeholders in urls, and references to data sources in job configs (sahara-v1.1.md sections 4 and 8.5).

use std::{collections::BTreeMap, sync::LazyLock};

use regex::{Captures, Regex};
use serde_json::Value;

use crate::{Code, Error, ExecutionId, Result};

/// Most characters that all `%RANDSTR(n)%` of a url may ask for together.
const RANDSTR_MOST: i64 = 1024;

static RANDSTR: LazyLock<Regex> = LazyLock::new(|| pattern(r"%RANDSTR\((-?\d+)\)%"));
static RANDSTR_USED: LazyLock<Regex> = LazyLock::new(|| pattern(r"%RANDSTR\((\d+)\)%"));

#[allow(clippy::expect_used, reason = "a constant pattern")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

/// Checks the lengths that the placeholders of a url ask for.
pub fn check(url: &str) -> Result<()> {
    let mut sum = 0i64;
    for found in RANDSTR.captures_iter(url) {
        // What is too long for a number is too long.
        let length = found.get(1).map_or("", |digits| digits.as_str()).parse::<i64>().unwrap_or(i64::MAX);
        if length <= 0 {
            return Err(Error::refused(Code::InvalidData, "Requested RANDSTR length must be positive."));
        }
        sum = sum.saturating_add(length);
    }
    if sum > RANDSTR_MOST {
        let text = "Requested RANDSTR length is too long, please choose a value less than 1024.";
        return Err(Error::refused(Code::InvalidData, text));
    }
    Ok(())
}

/// Fills the placeholders in. `letter` gives random lower-case ASCII letters.
pub fn expand(url: &str, execution: &ExecutionId, mut letter: impl FnMut() -> char) -> String {
    let url = url.replace("%JOB_EXEC_ID%", execution.as_str());
    let filled = RANDSTR_USED.replace_all(&url, |found: &Captures<'_>| {
        let length = found[1].parse::<usize>().unwrap_or(0);
        (0..length).map(|_| letter()).collect::<String>()
    });
    filled.into_owned()
}

/// The kinds of references that a job's configs turn on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// `datasource://NAME`.
    pub by_name: bool,
    /// A bare uuid.
    pub by_uuid: bool,
}

/// Prefix of a reference by name.
const BY_NAME: &str = "datasource://";

impl References {
    /// What `edp.substitute_data_source_for_name` and `_for_uuid` say; true or `"True"` turn them on.
    pub fn of(configs: &BTreeMap<String, Value>) -> Self {
        let on = |key: &str| match configs.get(key) {
            Some(Value::Bool(on)) => *on,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        };
        Self { by_name: on("edp.substitute_data_source_for_name"), by_uuid: on("edp.substitute_data_source_for_uuid") }
    }

    /// The data source that a value refers to, if it is a reference of a kind that is on.
    pub fn target<'a>(&self, value: &'a str) -> Option<Target<'a>> {
        if self.by_name
            && let Some(name) = value.strip_prefix(BY_NAME)
        {
            return Some(Target::Name(name));
        }
        (self.by_uuid && uuid::Uuid::parse_str(value).is_ok()).then_some(Target::Id(value))
    }
}

/// What a reference names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A data source by its name.
    Name(&'a str),
    /// A data source by its id.
    Id(&'a str),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(url: &str) -> String {
        check(url).expect_err("refused").to_string()
    }

    #[test]
    fn lengths_are_checked() {
        assert!(refusal("hdfs://h/%RANDSTR(0)%").contains("positive"));
        assert!(refusal("hdfs://h/%RANDSTR(-4)%").contains("positive"));
        assert!(refusal("hdfs://h/%RANDSTR(600)%/%RANDSTR(600)%").contains("too long"));
        assert!(refusal("%RANDSTR(99999999999999999999)%").contains("too long"));
        assert!(check("%RANDSTR(1024)%").is_ok());
    }

    #[test]
    fn placeholders_are_filled_in() {
        let id = ExecutionId::from("x-1");
        assert_eq!(expand("a/%JOB_EXEC_ID%/%RANDSTR(3)%/%RANDSTR(-2)%", &id, || 'q'), "a/x-1/qqq/%RANDSTR(-2)%");
    }

    #[test]
    fn references_are_found_when_they_are_on() {
        let all = References { by_name: true, by_uuid: true };
        assert_eq!(all.target("datasource://in"), Some(Target::Name("in")));
        let id = "00000000-0000-4000-8000-000000000404";
        assert_eq!(all.target(id), Some(Target::Id(id)));
        assert_eq!(all.target("plain"), None);
        assert_eq!(References::default().target("datasource://in"), None);
        let configs = BTreeMap::from([("edp.substitute_data_source_for_name".to_owned(), Value::from("True"))]);
        assert_eq!(References::of(&configs), References { by_name: true, by_uuid: false });
    }

    proptest! {
        #[test]
        fn expanding_leaves_no_placeholder_that_was_checked(lengths in prop::collection::vec(1u16..60, 0..8)) {
            let url: String = lengths.iter().map(|length| format!("/%RANDSTR({length})%")).collect();
            prop_assert!(check(&url).is_ok());
            let filled = expand(&url, &ExecutionId::from("id"), || 'a');
            prop_assert!(!filled.contains('%'));
            let whole: usize = lengths.iter().map(|length| usize::from(*length) + 1).sum();
            prop_assert_eq!(filled.len(), whole);
        }
    }
}
