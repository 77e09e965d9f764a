//! What happens to pods without a request: they start, end at their deadline, go when they are deleted, and take along what they own.

use serde_json::{Value, json};

use super::Held;

impl Held {
    /// Adds an object's own data.
    pub(super) fn stamp(&mut self, object: &mut Value) {
        self.made += 1;
        object["metadata"]["uid"] = json!(format!("uid-{}", self.made));
        object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        object["metadata"]["resourceVersion"] = json!(self.made.to_string());
    }

    /// Adds a pod, not yet on a node.
    pub(super) fn add_pod(&mut self, mut pod: Value) -> Value {
        self.stamp(&mut pod);
        if pod["status"].is_null() {
            pod["status"] = json!({"phase": "Pending"});
        }
        let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if let Some(there) = self.pods.get(&name) {
            return there.clone();
        }
        self.pods.insert(name, pod.clone());
        self.changes.note(self.made, None, Some(pod.clone()));
        pod
    }

    /// Changes a pod; gives it as it is then.
    pub(super) fn change_pod(&mut self, name: &str, change: impl FnOnce(&mut Value)) -> Option<Value> {
        let pod = self.pods.get_mut(name)?;
        let before = pod.clone();
        change(pod);
        if *pod != before {
            self.made += 1;
            pod["metadata"]["resourceVersion"] = json!(self.made.to_string());
            self.changes.note(self.made, Some(before), Some(pod.clone()));
        }
        self.pods.get(name).cloned()
    }

    /// Everything that is due.
    pub(super) fn work(&mut self) {
        if self.is_lost {
            return;
        }
        let is_over = |pod: &Value| matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let goes = |pod: &Value| !pod["metadata"]["deletionTimestamp"].is_null();
        let is_due = |pod: &Value| {
            goes(pod)
                || pod["status"]["phase"] == "Pending"
                || !pod["spec"]["activeDeadlineSeconds"].is_null() && !is_over(pod)
        };
        let due: Vec<String> = self.pods.iter().filter(|(_, pod)| is_due(pod)).map(|(name, _)| name.clone()).collect();
        for name in due {
            let Some(pod) = self.pods.get(&name) else { continue };
            if goes(pod) {
                self.remove(&name);
            } else if pod["status"]["phase"] == "Pending" {
                let volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
                let mut wanted = volumes.iter().filter_map(|volume| volume["secret"]["secretName"].as_str());
                let has_all = wanted.all(|secret| self.secrets.contains_key(secret));
                let obstacle = self.obstacle.clone();
                self.change_pod(&name, |pod| start(pod, has_all, obstacle.as_ref()));
            } else {
                self.change_pod(&name, |pod| {
                    end(pod, 143, "Error");
                    pod["status"]["reason"] = json!("DeadlineExceeded");
                    pod["status"]["message"] = json!("Pod was active on the node longer than the specified deadline");
                });
            }
        }
    }

    /// A pod is gone, and what it owned.
    pub(super) fn remove(&mut self, name: &str) {
        let Some(pod) = self.pods.remove(name) else { return };
        self.logs.remove(name);
        let uid = pod["metadata"]["uid"].clone();
        self.made += 1;
        self.changes.note(self.made, Some(pod), None);
        let is_owned = |object: &Value| {
            object["metadata"]["ownerReferences"].as_array().is_some_and(|all| all.iter().any(|one| one["uid"] == uid))
        };
        self.secrets.retain(|_, secret| !is_owned(secret));
        let owned: Vec<String> =
            self.pods.iter().filter(|(_, pod)| is_owned(pod)).map(|(name, _)| name.clone()).collect();
        for name in owned {
            self.change_pod(&name, |pod| pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:02Z"));
        }
    }
}

fn start(pod: &mut Value, has_secrets: bool, obstacle: Option<&(String, String)>) {
    let container = pod["spec"]["containers"][0]["name"].clone();
    let state = match obstacle {
        Some((reason, message)) if reason == "Unschedulable" => {
            let condition = json!({"type": "PodScheduled", "status": "False", "reason": reason, "message": message});
            pod["status"] = json!({"phase": "Pending", "conditions": [condition]});
            return;
        }
        Some((reason, message)) => json!({"waiting": {"reason": reason, "message": message}}),
        None if !has_secrets => json!({"waiting": {"reason": "ContainerCreating"}}),
        None => json!({"running": {"startedAt": "2026-01-01T00:00:01Z"}}),
    };
    let phase = if state["running"].is_null() { "Pending" } else { "Running" };
    pod["status"] = json!({
        "phase": phase, "startTime": "2026-01-01T00:00:00Z",
        "containerStatuses": [{"name": container, "state": state}],
    });
}

/// The container of a pod ends.
pub(super) fn end(pod: &mut Value, code: i32, reason: &str) {
    let container = pod["spec"]["containers"][0]["name"].clone();
    let end = json!({
        "exitCode": code, "reason": reason,
        "startedAt": "2026-01-01T00:00:01Z", "finishedAt": "2026-01-01T00:01:01Z",
    });
    pod["status"]["phase"] = json!(if code == 0 { "Succeeded" } else { "Failed" });
    pod["status"]["containerStatuses"] = json!([{"name": container, "state": {"terminated": end}}]);
}
