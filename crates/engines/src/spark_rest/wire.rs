//! What the master and its workers answer (spec/engines.md section 2); other members are of no interest.

use foggara_domain::{Timestamp, status::Outcome};
use serde::Deserialize;

use crate::{Ended, EngineError, Observed, remote::rest::Answer};

/// An answer of the submission server. Status 200 is no yes: `success` is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answered {
    #[serde(default)]
    pub success: bool,
    pub message: Option<String>,
    pub submission_id: Option<String>,
    pub driver_state: Option<String>,
}

impl Answered {
    /// What it says, for errors.
    pub fn words(&self) -> &str {
        self.message.as_deref().unwrap_or("it does not say why")
    }
}

/// The master at `/json/`.
#[derive(Debug, Deserialize)]
pub(super) struct Master {
    pub status: String,
    #[serde(default)]
    pub workers: Vec<Worker>,
    #[serde(rename = "activedrivers")]
    pub active: Vec<Driver>,
    #[serde(rename = "completeddrivers")]
    pub completed: Vec<Driver>,
}

/// A worker.
#[derive(Debug, Deserialize)]
pub(super) struct Worker {
    pub id: String,
    #[serde(rename = "webuiaddress")]
    pub web_ui: String,
}

/// A driver.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Driver {
    pub id: String,
    /// Milliseconds of the time at which it was submitted, by the master's clock, as text.
    #[serde(rename = "starttime")]
    pub submitted: String,
    pub state: String,
    /// Id of the worker that has it.
    #[serde(default)]
    pub worker: Option<String>,
}

impl Driver {
    /// When it was submitted, by the master's clock.
    pub fn submitted(&self) -> Option<Timestamp> {
        let millis: i64 = self.submitted.parse().ok()?;
        Some(Timestamp::from_micros(millis.saturating_mul(1000)))
    }

    /// Where it stands among the drivers of a master: `driver-20261124224731-0000`.
    pub fn place(&self) -> Option<(u64, u64)> {
        let (time, number) = self.id.strip_prefix("driver-")?.split_once('-')?;
        Some((time.parse().ok()?, number.parse().ok()?))
    }
}

/// A driver's state in our words. Spark says neither the exit code nor the time of the end.
pub(super) fn observed(state: &str, submitted: Option<Timestamp>) -> Observed {
    let ended = |outcome| {
        let reason = (outcome != Outcome::Succeeded).then(|| format!("the driver is {state}"));
        Observed::Ended(Ended { outcome, exit_code: None, reason, started_at: submitted, ended_at: None, usage: None })
    };
    match state {
        "SUBMITTED" => Observed::Queued { state: Some(state.to_owned()) },
        "RUNNING" => Observed::Running { state: None },
        "FINISHED" => ended(Outcome::Succeeded),
        "FAILED" | "ERROR" => ended(Outcome::Failed),
        "KILLED" => ended(Outcome::Killed),
        other => Observed::Running { state: Some(other.to_owned()) },
    }
}

/// A piece of a log as a page of the worker gives it: `==== Bytes 0-80 of 80 of <path> ====`, a line's end, and the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<'a> {
    pub from: u64,
    pub to: u64,
    pub size: u64,
    pub text: &'a [u8],
}

impl<'a> Page<'a> {
    pub fn read(answer: &'a Answer) -> Result<Self, EngineError> {
        Self::parse(&answer.bytes).ok_or_else(|| {
            EngineError::Unreachable(format!(
                "{} does not answer as a Spark worker does: {}",
                answer.asked,
                answer.text()
            ))
        })
    }

    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let line = std::str::from_utf8(&bytes[..end]).ok()?.strip_prefix("==== Bytes ")?;
        let (range, rest) = line.split_once(" of ")?;
        let (size, _) = rest.split_once(" of ")?;
        let (from, to) = range.split_once('-')?;
        let (from, to, size) = (from.parse().ok()?, to.parse().ok()?, size.parse().ok()?);
        // An empty range has words of the worker's own after it: that there is no such folder.
        let text = if from == to { &[] } else { bytes.get(end + 1..).unwrap_or_default() };
        Some(Self { from, to, size, text })
    }

    /// Whether the text is what the file holds. Spark reads it as UTF-8, so that a letter that is cut in two comes as another.
    pub fn is_whole(&self) -> bool {
        const ANOTHER: &[u8] = "\u{fffd}".as_bytes();
        self.text.len() as u64 == self.to - self.from
            && !self.text.starts_with(ANOTHER)
            && !self.text.ends_with(ANOTHER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_a_log_has_a_head() {
        let page = Page::parse(b"==== Bytes 3-8 of 80 of /w of x/stdout ====\na\nbcd").expect("a page");
        assert_eq!(page, Page { from: 3, to: 8, size: 80, text: b"a\nbcd" });
        assert!(page.is_whole());
        let none =
            Page::parse(b"==== Bytes 0-0 of 0 of /w/nope/stdout ====\nError: invalid log directory").expect("a page");
        assert_eq!((none.text.len(), none.size), (0, 0));
        let cut = "==== Bytes 0-4 of 5 of /w ====\nabc\u{fffd}";
        assert!(!Page::parse(cut.as_bytes()).expect("a page").is_whole());
        assert_eq!(Page::parse(b"<html>"), None);
    }

    #[test]
    fn drivers_have_an_order() {
        let driver =
            |id: &str| Driver { id: id.to_owned(), submitted: "1000".to_owned(), state: String::new(), worker: None };
        assert!(driver("driver-20261124224731-9999").place() < driver("driver-20261124224731-10000").place());
        assert_eq!(driver("other").place(), None);
        assert_eq!(driver("other").submitted(), Some(Timestamp::from_micros(1_000_000)));
    }

    #[test]
    fn a_new_state_is_neither_an_end_nor_an_absence() {
        assert_eq!(observed("DREAMING", None), Observed::Running { state: Some("DREAMING".to_owned()) });
        assert!(matches!(observed("ERROR", None), Observed::Ended(Ended { outcome: Outcome::Failed, .. })));
    }
}
