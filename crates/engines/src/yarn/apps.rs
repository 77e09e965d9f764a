//! What the ResourceManager says of applications, and what we make of it.

use foggara_domain::{Tag, Timestamp, status::Outcome};
use serde::Deserialize;

use crate::{Ended, Observed};

/// How much of YARN's diagnostics is shown.
const SHOWN: usize = 500;

/// `GET /ws/v1/cluster/info`; other members are of no interest.
#[derive(Debug, Deserialize)]
pub(super) struct InfoAnswer {
    #[serde(rename = "clusterInfo")]
    pub info: Info,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Info {
    /// When this ResourceManager was started; the ids of new applications hold it.
    pub id: i64,
    pub state: String,
    #[serde(default)]
    pub ha_state: String,
    #[serde(default)]
    pub resource_manager_version: String,
}

impl Info {
    /// Why it is not the one to ask.
    pub fn trouble(&self) -> Option<String> {
        if self.ha_state != "ACTIVE" {
            return Some(format!("the ResourceManager is {}, and none that is ACTIVE answers", self.ha_state));
        }
        (self.state != "STARTED").then(|| format!("the ResourceManager is {}", self.state))
    }
}

/// `GET /ws/v1/cluster/apps`: without applications `apps` is null, in newer versions an empty object.
#[derive(Debug, Deserialize)]
pub(super) struct AppsAnswer {
    /// Null it may be, but it may not be missing: another service's answer is none of no applications.
    #[serde(deserialize_with = "Option::deserialize")]
    apps: Option<Apps>,
}

#[derive(Debug, Deserialize)]
struct Apps {
    #[serde(default)]
    app: Vec<App>,
}

impl AppsAnswer {
    pub fn into_apps(self) -> Vec<App> {
        self.apps.map(|apps| apps.app).unwrap_or_default()
    }
}

/// `GET /ws/v1/cluster/apps/{id}`
#[derive(Debug, Deserialize)]
pub(super) struct AppAnswer {
    pub app: App,
}

/// An application.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct App {
    pub id: String,
    pub state: String,
    #[serde(default)]
    pub final_status: String,
    /// With commas between them.
    #[serde(default)]
    pub application_tags: String,
    #[serde(default)]
    pub diagnostics: String,
    /// Percent of its work, as its master reports it.
    #[serde(default)]
    pub progress: f64,
    #[serde(default)]
    pub started_time: i64,
    #[serde(default)]
    pub finished_time: i64,
    /// Address of the page with the logs of its master, once it has one.
    #[serde(default)]
    pub am_container_logs: Option<String>,
}

impl App {
    /// Its tag among those of an installation.
    pub fn tag(&self, prefix: &str, installation: &str) -> Option<Tag> {
        let tags = self.application_tags.split(',').map(str::trim);
        tags.filter(|tag| *tag != installation).find(|tag| tag.starts_with(prefix)).map(|tag| Tag::from(tag.to_owned()))
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "FINISHED" | "FAILED" | "KILLED")
    }

    /// YARN's words on it as one line.
    fn words(&self) -> Option<String> {
        let line = self.diagnostics.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(SHOWN) {
            _ if line.is_empty() => None,
            Some((end, _)) => Some(format!("{} ...", &line[..end])),
            None => Some(line),
        }
    }

    /// Its state, and why it waits where YARN says that.
    pub fn waiting(&self) -> String {
        match self.words() {
            Some(words) => format!("{}: {words}", self.state),
            None => self.state.clone(),
        }
    }

    pub fn observed(&self) -> Observed {
        let ended = |outcome| {
            let reason = match (outcome, self.words()) {
                (Outcome::Succeeded, _) => None,
                (Outcome::Killed, words) => words.or_else(|| Some("killed on YARN".to_owned())),
                (_, Some(words)) => Some(words),
                (_, None) => Some(format!("{} is {} and YARN gives no reason", self.id, self.state)),
            };
            let at = |millis: i64| (millis > 0).then(|| Timestamp::from_micros(millis.saturating_mul(1000)));
            Observed::Ended(Ended {
                outcome,
                exit_code: None,
                reason,
                started_at: at(self.started_time),
                ended_at: at(self.finished_time),
                usage: None,
            })
        };
        match (self.state.as_str(), self.final_status.as_str()) {
            ("NEW" | "NEW_SAVING" | "SUBMITTED" | "ACCEPTED", _) => Observed::Queued { state: Some(self.waiting()) },
            ("RUNNING", _) => Observed::Running { state: None },
            ("FINISHED", "SUCCEEDED") => ended(Outcome::Succeeded),
            ("FINISHED", "KILLED") | ("KILLED", _) => ended(Outcome::Killed),
            ("FINISHED" | "FAILED", _) => ended(Outcome::Failed),
            (other, _) => Observed::Running { state: Some(other.to_owned()) },
        }
    }

    /// The address of the NodeManager and the container of its master: `http://node:8042/node/containerlogs/container_.../user`.
    pub fn container(&self) -> Option<(String, String)> {
        let page = url::Url::parse(self.am_container_logs.as_deref()?).ok()?;
        let container = page.path_segments()?.find(|part| part.starts_with("container_"))?.to_owned();
        Some((page.origin().ascii_serialization(), container))
    }
}

/// The one of several that tells how the job is: one that goes on, else the youngest.
pub(super) fn best(apps: &[App]) -> Option<&App> {
    apps.iter().max_by_key(|app| (!app.is_over(), app.started_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(state: &str, last: &str, diagnostics: &str) -> App {
        let text = format!(
            r#"{{"id": "application_1_0001", "state": "{state}", "finalStatus": "{last}", "diagnostics": "{diagnostics}",
                "applicationTags": "fg-a,fg-a-x-1", "startedTime": 5, "finishedTime": 7, "more": [1],
                "amContainerLogs": "http://node:8042/node/containerlogs/container_1_0001_01_000001/u"}}"#
        );
        serde_json::from_str(&text).expect("an application")
    }

    #[test]
    fn states_of_the_documentation() {
        let outcome = |state, last| match app(state, last, "").observed() {
            Observed::Ended(ended) => Some(ended.outcome),
            _ => None,
        };
        assert_eq!(outcome("FINISHED", "SUCCEEDED"), Some(Outcome::Succeeded));
        assert_eq!(outcome("FINISHED", "FAILED"), Some(Outcome::Failed));
        assert_eq!(outcome("FINISHED", "UNDEFINED"), Some(Outcome::Failed));
        assert_eq!(outcome("FINISHED", "KILLED"), Some(Outcome::Killed));
        assert_eq!(outcome("FAILED", "FAILED"), Some(Outcome::Failed));
        assert_eq!(outcome("KILLED", "KILLED"), Some(Outcome::Killed));
        for state in ["NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED"] {
            assert!(matches!(app(state, "UNDEFINED", "").observed(), Observed::Queued { .. }), "{state}");
        }
        assert_eq!(app("RUNNING", "UNDEFINED", "").observed(), Observed::Running { state: None });
        assert_eq!(app("NEWER", "", "").observed(), Observed::Running { state: Some("NEWER".to_owned()) });
    }

    #[test]
    fn whose_an_application_is() {
        let app = app("RUNNING", "UNDEFINED", "");
        assert_eq!(app.tag("fg-a-", "fg-a"), Some(Tag::from("fg-a-x-1".to_owned())));
        assert_eq!(app.tag("fg-b-", "fg-b"), None);
        assert_eq!(app.container(), Some(("http://node:8042".to_owned(), "container_1_0001_01_000001".to_owned())));
    }

    #[test]
    fn no_applications() {
        for text in [r#"{"apps": null}"#, r#"{"apps": {}}"#] {
            assert!(serde_json::from_str::<AppsAnswer>(text).expect("an answer").into_apps().is_empty());
        }
        assert!(serde_json::from_str::<AppsAnswer>("{}").is_err(), "something else answers");
    }
}
