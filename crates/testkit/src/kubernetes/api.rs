//! The requests.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{
    ACCOUNT, Fault, Held, NAMESPACE, lock,
    watch::{Selector, follow},
};

/// Bytes of a request.
const LARGEST: usize = 4 << 20;
/// Bytes of a Secret's values.
const SECRET: usize = 1 << 20;

/// A request as it is looked at.
struct Asked<'a> {
    method: &'a str,
    /// Parts of the path.
    path: Vec<&'a str>,
    query: BTreeMap<String, String>,
    headers: &'a HeaderMap,
    body: Value,
    /// For watches, which go on after the answer.
    held: &'a Arc<Mutex<Held>>,
}

impl Asked<'_> {
    fn wants(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|value| value == "true")
    }

    fn selector(&self) -> Selector {
        let accept = self.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let only_metadata = accept.is_some_and(|accept| accept.contains("as=PartialObjectMetadata"));
        Selector::of(&self.query, only_metadata)
    }
}

pub(super) async fn answer(State(held): State<Arc<Mutex<Held>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, LARGEST).await else { return lost() };
    let method = parts.method.as_str();
    let shared = held;
    let mut held = lock(&shared);
    let text = format!("{method} {}", parts.uri);
    held.asked.push(text.clone());
    if held.is_deaf {
        return lost();
    }
    held.work();
    // Watches come when they like: no fault is for them that does not name them.
    let is_watch = |text: &str| text.contains("watch=true");
    let fault = held.faults.iter().position(|(of, _)| text.starts_with(of.as_str()) && is_watch(of) == is_watch(&text));
    let fault = fault.map(|at| held.faults.remove(at).1);
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    match &fault {
        Some(Fault::Lost) => return lost(),
        Some(Fault::Status(status)) => return refusal(*status, "Fault", "a fault of the test"),
        Some(Fault::Held) => {
            held.late = Some(body);
            return lost();
        }
        Some(Fault::LostAnswer) | None => {}
    }
    let pairs = parts.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let asked = Asked {
        method,
        path: parts.uri.path().split('/').skip(1).collect(),
        query: pairs.map(|(key, value)| (key.to_owned(), decoded(value))).collect(),
        headers: &parts.headers,
        body,
        held: &shared,
    };
    let answer = held.answer(asked);
    // A watch that is lost is taken off what is held.
    drop(held);
    if fault.is_some() { lost() } else { answer }
}

/// The connection breaks.
fn lost() -> Response {
    Body::from_stream(stream::once(async { Err::<Bytes, _>(io::Error::other("it breaks")) })).into_response()
}

fn refusal(code: u16, reason: &str, message: &str) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, [(header::CONTENT_TYPE, "application/json")], status.to_string()).into_response()
}

impl Held {
    fn say(&mut self, code: StatusCode, value: &Value) -> Response {
        let text = value.to_string();
        (code, [(header::CONTENT_TYPE, "application/json")], text).into_response()
    }

    fn answer(&mut self, asked: Asked<'_>) -> Response {
        let token = asked.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer "));
        if asked.path == ["version"] {
            return self.say(StatusCode::OK, &json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0-fake"}));
        }
        if self.token.as_deref().is_some_and(|wanted| token != Some(wanted)) {
            return refusal(401, "Unauthorized", "Unauthorized");
        }
        match asked.path.as_slice() {
            ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] => self.review(&asked.body),
            ["api", "v1", "namespaces", NAMESPACE, ..] => self.in_namespace(asked),
            ["api", "v1", "namespaces", other] => {
                refusal(404, "NotFound", &format!("namespaces \"{other}\" not found"))
            }
            _ => refusal(404, "NotFound", "the server could not find the requested resource"),
        }
    }

    fn review(&mut self, body: &Value) -> Response {
        let wanted = &body["spec"]["resourceAttributes"];
        let text = |name: &str| wanted[name].as_str().unwrap_or_default();
        let of = if text("subresource").is_empty() { String::new() } else { format!("/{}", text("subresource")) };
        let right = format!("{} {}{of}", text("verb"), text("resource"));
        let mut answer = body.clone();
        // A Role names its namespace, and a question without a name is about all of them.
        let is_ours = text("resource") != "namespaces" || text("name") == NAMESPACE;
        answer["status"] = json!({"allowed": is_ours && !self.denied.contains(&right)});
        self.say(StatusCode::CREATED, &answer)
    }

    fn in_namespace(&mut self, asked: Asked<'_>) -> Response {
        let path = asked.path[4..].to_vec();
        let verb = match (asked.method, path.len()) {
            ("GET", 1) if asked.wants("watch") => "watch",
            ("GET", 1) => "list",
            ("GET", _) => "get",
            ("POST", _) => "create",
            ("PATCH", _) => "patch",
            ("DELETE", 1) => "deletecollection",
            _ => "delete",
        };
        let resource = match path.as_slice() {
            [] => "namespaces".to_owned(),
            [one] | [one, _] => (*one).to_owned(),
            [one, _, below, ..] => format!("{one}/{below}"),
        };
        if self.denied.contains(&format!("{verb} {resource}")) {
            let message = format!(
                "{resource} is forbidden: User \"system:serviceaccount:{NAMESPACE}:foggara\" cannot {verb} resource \
                 \"{resource}\" in API group \"\" in the namespace \"{NAMESPACE}\""
            );
            return refusal(403, "Forbidden", &message);
        }
        match (asked.method, path.as_slice()) {
            ("GET", []) => {
                let namespace = json!({
                    "kind": "Namespace", "apiVersion": "v1",
                    "metadata": {"name": NAMESPACE, "uid": self.namespace_uid}, "status": {"phase": "Active"},
                });
                self.say(StatusCode::OK, &namespace)
            }
            ("POST", ["pods"]) => self.make_pod(asked),
            ("POST", ["secrets"]) => self.make_secret(asked.body),
            ("GET", ["pods"]) if asked.wants("watch") => follow(self, asked.held, asked.selector(), &asked.query),
            ("GET", ["pods"]) => self.list(&asked),
            ("DELETE", ["pods"]) => self.delete_all(&asked),
            ("GET", ["pods", name, "log"]) => self.log(name, &asked.query),
            (method, ["pods", name]) if self.pods.contains_key(*name) => match method {
                "GET" => {
                    let pod = self.pods[*name].clone();
                    self.say(StatusCode::OK, &pod)
                }
                "PATCH" => self.change(name, &asked.body),
                _ => self.delete(name, &asked.body),
            },
            (_, ["pods", name]) => refusal(404, "NotFound", &format!("pods \"{name}\" not found")),
            _ => refusal(404, "NotFound", "the server could not find the requested resource"),
        }
    }

    fn make_pod(&mut self, asked: Asked<'_>) -> Response {
        let pod = asked.body;
        let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if self.pods.contains_key(&name) {
            return refusal(409, "AlreadyExists", &format!("pods \"{name}\" already exists"));
        }
        let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
        if account != ACCOUNT {
            let message = format!(
                "pods \"{name}\" is forbidden: error looking up service account {NAMESPACE}/{account}: serviceaccount \
                 \"{account}\" not found"
            );
            return refusal(403, "Forbidden", &message);
        }
        let lives = |pod: &&Value| !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let used = self.pods.values().filter(lives).count();
        if let Some(quota) = self.quota.filter(|quota| used >= *quota) {
            let message = format!(
                "pods \"{name}\" is forbidden: exceeded quota: some-pods, requested: pods=1, used: pods={used}, limited: pods={quota}"
            );
            return refusal(403, "Forbidden", &message);
        }
        if asked.query.get("dryRun").is_some_and(|dry| dry == "All") {
            return self.say(StatusCode::CREATED, &pod);
        }
        let made = self.add_pod(pod);
        self.say(StatusCode::CREATED, &made)
    }

    fn make_secret(&mut self, mut secret: Value) -> Response {
        let name = secret["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if self.secrets.contains_key(&name) {
            return refusal(409, "AlreadyExists", &format!("secrets \"{name}\" already exists"));
        }
        let values = secret["data"].as_object().into_iter().flat_map(|data| data.values()).filter_map(Value::as_str);
        if values.map(|text| text.len() / 4 * 3).sum::<usize>() > SECRET {
            let message = format!("Secret \"{name}\" is invalid: data: Too long: must have at most 1048576 bytes");
            return refusal(422, "Invalid", &message);
        }
        self.stamp(&mut secret);
        self.secrets.insert(name, secret.clone());
        self.say(StatusCode::CREATED, &secret)
    }

    fn matching(&self, selector: &Selector) -> Vec<String> {
        self.pods.iter().filter(|(_, pod)| selector.matches(pod)).map(|(name, _)| name.clone()).collect()
    }

    fn list(&mut self, asked: &Asked<'_>) -> Response {
        let selector = asked.selector();
        let after = asked.query.get("continue").cloned().unwrap_or_default();
        let limit = asked.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
        let names: Vec<String> = self.matching(&selector).into_iter().filter(|name| *name > after).collect();
        let page: Vec<&String> = names.iter().take(limit).collect();
        let next = if names.len() > page.len() { page.last().map_or("", |name| name.as_str()) } else { "" };
        let items: Vec<Value> = page.iter().map(|name| selector.shown(&self.pods[*name])).collect();
        let kind = if selector.only_metadata { "PartialObjectMetadataList" } else { "PodList" };
        let list = json!({
            "kind": kind, "metadata": {"resourceVersion": self.made.to_string(), "continue": next}, "items": items,
        });
        self.say(StatusCode::OK, &list)
    }

    fn change(&mut self, name: &str, patch: &Value) -> Response {
        match self.change_pod(name, |pod| merge(pod, patch)) {
            Some(pod) => self.say(StatusCode::OK, &pod),
            None => lost(),
        }
    }

    /// A pod that no kubelet has goes at once, and so does one without any grace.
    fn delete(&mut self, name: &str, options: &Value) -> Response {
        let going = |pod: &mut Value| pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:02Z");
        let Some(pod) = self.change_pod(name, going) else { return lost() };
        if pod["status"]["startTime"].is_null() || options["gracePeriodSeconds"] == 0 {
            self.remove(name);
        }
        self.say(StatusCode::OK, &pod)
    }

    fn delete_all(&mut self, asked: &Asked<'_>) -> Response {
        for name in self.matching(&asked.selector()) {
            self.delete(&name, &asked.body);
        }
        self.say(StatusCode::OK, &json!({"kind": "PodList", "metadata": {}, "items": []}))
    }

    fn log(&mut self, name: &str, query: &BTreeMap<String, String>) -> Response {
        let Some(pod) = self.pods.get(name) else {
            return refusal(404, "NotFound", &format!("pods \"{name}\" not found"));
        };
        let state = &pod["status"]["containerStatuses"][0]["state"];
        if state["running"].is_null() && state["terminated"].is_null() {
            let message = format!("container \"spark-kubernetes-driver\" in pod \"{name}\" is waiting to start");
            return refusal(400, "BadRequest", &message);
        }
        let since = query.get("sinceTime").map_or("", String::as_str);
        let lines = self.logs.get(name).into_iter().flatten().filter(|(time, _)| time.as_str() >= since);
        let mut bytes = Vec::new();
        for (time, line) in lines {
            bytes.extend_from_slice(format!("{time} {line}").as_bytes());
        }
        let limit = query.get("limitBytes").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
        bytes.truncate(limit);
        (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain")], bytes).into_response()
    }
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().map(|object| object.remove(key));
        } else {
            merge(&mut target[key.as_str()], value);
        }
    }
}
