//! What pods say of themselves, and what that means for a job.

use std::collections::BTreeMap;

use foggara_domain::{Timestamp, status::Outcome};
use serde::Deserialize;

use super::CONTAINER;
use crate::{Ended, Observed};

/// The annotation of a pod whose launch is whole.
pub(super) const WHOLE: &str = "foggara/launched";
/// The annotation of a pod that we stopped.
pub(super) const STOPPED: &str = "foggara/stopped";
/// The state of a pod whose launch is not.
const CUT_SHORT: &str = "PENDING: its launch is not complete";
/// How much of an explanation is shown in a state.
const SHOWN: usize = 160;
/// How many executors are named.
const NAMED: usize = 3;
/// Words for a container that simply is not up yet.
const COMING_UP: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// An object's own data.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub name: String,
    #[serde(default)]
    pub uid: String,
    #[serde(default)]
    pub resource_version: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
}

/// A pod, as far as it matters.
#[derive(Debug, Deserialize)]
pub(super) struct Pod {
    pub metadata: Meta,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    phase: String,
    reason: Option<String>,
    message: Option<String>,
    start_time: Option<String>,
    #[serde(default)]
    conditions: Vec<Condition>,
    #[serde(default)]
    init_container_statuses: Vec<Container>,
    #[serde(default)]
    container_statuses: Vec<Container>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Container {
    name: String,
    #[serde(default)]
    state: State,
}

#[derive(Debug, Default, Deserialize)]
struct State {
    waiting: Option<Waiting>,
    running: Option<Started>,
    terminated: Option<Terminated>,
}

#[derive(Debug, Deserialize)]
struct Waiting {
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Started {}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terminated {
    exit_code: i32,
    reason: Option<String>,
    message: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
}

/// Whether this is what [`Pod::observed`] says of a launch that was cut short.
pub(super) fn is_cut_short(observed: &Observed) -> bool {
    matches!(observed, Observed::Queued { state: Some(state) } if state == CUT_SHORT)
}

impl Pod {
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Whether all requests of its launch were answered.
    pub fn is_whole(&self) -> bool {
        self.metadata.annotations.contains_key(WHOLE)
    }

    /// Whether it is on its way out.
    pub fn is_being_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether its container was started: it can have an exit code and a log.
    pub fn has_begun(&self) -> bool {
        !matches!(self.status.phase.as_str(), "" | "Pending")
    }

    /// Whether Kubernetes has said its last word about it.
    pub fn has_ended(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Whether nothing of it runs any more. Some kubelets say "Failed" of a pod that is over its deadline before its containers
    /// have ended.
    pub fn is_over(&self) -> bool {
        self.has_ended() && self.status.container_statuses.iter().all(|container| container.state.running.is_none())
    }

    /// How its job is. A pod that is being deleted is there until it is gone.
    pub fn observed(&self) -> Observed {
        let status = &self.status;
        if self.is_over() {
            return Observed::Ended(self.ended());
        }
        let being_deleted = self.is_being_deleted();
        match status.phase.as_str() {
            "Pending" if !self.is_whole() => Observed::Queued { state: Some(CUT_SHORT.to_owned()) },
            "Pending" if being_deleted => Observed::Queued { state: Some("TERMINATING".to_owned()) },
            "Pending" => Observed::Queued { state: self.obstacle() },
            _ if being_deleted || self.has_ended() => Observed::Running { state: Some("TERMINATING".to_owned()) },
            "Running" => Observed::Running { state: None },
            other => Observed::Running { state: Some(other.to_uppercase()) },
        }
    }

    /// What keeps it from running, if more than that it takes its time.
    fn obstacle(&self) -> Option<String> {
        let containers = self.status.init_container_statuses.iter().chain(&self.status.container_statuses);
        let waiting = containers.filter_map(|container| container.state.waiting.as_ref()).find_map(|waiting| {
            let reason = waiting.reason.as_deref().filter(|reason| !COMING_UP.contains(reason))?;
            Some((reason, waiting.message.as_deref()))
        });
        let (reason, message) = waiting.or_else(|| {
            let unscheduled = |condition: &&Condition| condition.kind == "PodScheduled" && condition.status == "False";
            let condition = self.status.conditions.iter().find(unscheduled)?;
            Some((condition.reason.as_deref()?, condition.message.as_deref()))
        })?;
        Some(format!("PENDING: {reason}{}", explained(message)))
    }

    fn ended(&self) -> Ended {
        let status = &self.status;
        let driver = status.container_statuses.iter().find(|container| container.name == CONTAINER);
        let end = driver.and_then(|container| container.state.terminated.as_ref());
        let exit_code = end.map(|end| end.exit_code);
        let stopped = self.metadata.annotations.contains_key(STOPPED);
        let outcome = match status.phase.as_str() {
            "Succeeded" => Outcome::Succeeded,
            _ if stopped => Outcome::Killed,
            _ => Outcome::Failed,
        };
        let reason = match outcome {
            Outcome::Succeeded => None,
            Outcome::Killed => Some("stopped".to_owned()),
            _ => Some(self.failure(end)),
        };
        let time = |text: &Option<String>| text.as_deref().and_then(Timestamp::parse);
        Ended {
            outcome,
            exit_code,
            reason,
            started_at: end.and_then(|end| time(&end.started_at)).or_else(|| time(&status.start_time)),
            ended_at: end.and_then(|end| time(&end.finished_at)),
            usage: None,
        }
    }

    fn failure(&self, end: Option<&Terminated>) -> String {
        let code = end.map(|end| format!("exit code {}", end.exit_code));
        // The pod's own word (Evicted, DeadlineExceeded, NodeLost) is nearer to the cause than the container's.
        if let Some(reason) = &self.status.reason {
            let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
            return format!("{reason}{}{code}", explained(self.status.message.as_deref()));
        }
        match (end, code) {
            (Some(Terminated { reason: Some(reason), .. }), Some(code)) if reason == "OOMKilled" => format!(
                "OOMKilled: the driver's container needed more memory than its limit: raise spark.driver.memory or \
                 spark.driver.memoryOverhead ({code})"
            ),
            (Some(Terminated { reason: Some(reason), message, .. }), Some(code)) if reason != "Error" => {
                format!("{reason}{} ({code})", explained(message.as_deref()))
            }
            (_, Some(code)) => code,
            (_, None) => {
                let explained = explained(self.status.message.as_deref());
                format!("its pod failed before its container ran{explained}")
            }
        }
    }
}

/// Which of these executors Kubernetes killed, if any, as far as their pods are still there.
pub(super) fn killed(executors: &[Pod]) -> Option<String> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for executor in executors {
        let ends = executor.status.container_statuses.iter().filter_map(|one| one.state.terminated.as_ref());
        let mut reasons = ends.filter_map(|end| end.reason.as_deref()).chain(executor.status.reason.as_deref());
        let why = reasons.rfind(|reason| ["OOMKilled", "Evicted"].contains(reason));
        if let Some(why) = why {
            names.entry(why).or_default().push(executor.name());
        }
    }
    let said = names.into_iter().map(|(why, names)| {
        let more = if names.len() > NAMED { format!(" and {} more", names.len() - NAMED) } else { String::new() };
        let named: Vec<&str> = names.iter().copied().take(NAMED).collect();
        format!("executors {why}: {}{more}", named.join(", "))
    });
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// ": ..." as one line that is not too long.
fn explained(message: Option<&str>) -> String {
    let line = message.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        _ if line.is_empty() => String::new(),
        Some((end, _)) => format!(": {} ...", &line[..end]),
        None => format!(": {line}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value) -> Pod {
        let whole = json!({"metadata": {"name": "fg-1", "annotations": {WHOLE: "1"}}, "status": status});
        serde_json::from_value(whole).expect("a pod")
    }

    fn state(status: Value) -> Option<String> {
        match pod(status).observed() {
            Observed::Queued { state } => state,
            other => panic!("{other:?}"),
        }
    }

    fn failure(status: Value) -> String {
        match pod(status).observed() {
            Observed::Ended(ended) => ended.reason.expect("a reason"),
            other => panic!("{other:?}"),
        }
    }

    fn container(state: &Value) -> Value {
        json!([{"name": CONTAINER, "state": state}])
    }

    #[test]
    fn a_pending_pod_says_what_keeps_it() {
        assert_eq!(state(json!({"phase": "Pending"})), None);
        let waiting = |reason: &str| {
            let waiting = json!({"waiting": {"reason": reason, "message": "Back-off pulling\nimage \"spark:9\""}});
            state(json!({"phase": "Pending", "containerStatuses": container(&waiting)}))
        };
        assert_eq!(waiting("ContainerCreating"), None);
        let words = "PENDING: ImagePullBackOff: Back-off pulling image \"spark:9\"";
        assert_eq!(waiting("ImagePullBackOff").as_deref(), Some(words));
        let condition =
            json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"});
        let words = "PENDING: Unschedulable: 0/3 nodes";
        assert_eq!(state(json!({"phase": "Pending", "conditions": [condition]})).as_deref(), Some(words));
    }

    #[test]
    fn an_end_says_why() {
        let ended = |phase: &str, code: i32, reason: &str| {
            let end = json!({"terminated": {"exitCode": code, "reason": reason, "finishedAt": "2026-01-02T03:04:05Z"}});
            json!({"phase": phase, "containerStatuses": container(&end)})
        };
        let Observed::Ended(good) = pod(ended("Succeeded", 0, "Completed")).observed() else { panic!("it ended") };
        assert_eq!((good.outcome, good.exit_code, good.reason), (Outcome::Succeeded, Some(0), None));
        assert_eq!(good.ended_at, Timestamp::parse("2026-01-02T03:04:05"));
        assert_eq!(failure(ended("Failed", 3, "Error")), "exit code 3");
        assert!(failure(ended("Failed", 137, "OOMKilled")).contains("spark.driver.memoryOverhead"));
        let evicted =
            json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
        assert_eq!(failure(evicted), "Evicted: The node was low on resource: memory.");
    }

    /// kubelets before 1.27 may set the phase first.
    #[test]
    fn a_failed_pod_whose_container_runs_has_not_ended() {
        let early = json!({"phase": "Failed", "containerStatuses": container(&json!({"running": {}}))});
        let terminating = Observed::Running { state: Some("TERMINATING".to_owned()) };
        assert_eq!(pod(early).observed(), terminating);
        assert_eq!(
            pod(json!({"phase": "Unknown"})).observed(),
            Observed::Running { state: Some("UNKNOWN".to_owned()) }
        );
    }
}
