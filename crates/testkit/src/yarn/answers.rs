//! What the fake answers.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex},
};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::{Value, json};

use super::{App, COOKIE, Held, lock};

/// Why an application waits, in YARN's words.
const WAITS: &str = "[Tue Nov 24 10:00:00 +0000 2026] Application is added to the scheduler and is not yet activated. Queue's AM \
     resource limit exceeded.";

/// The connection breaks off.
fn nothing() -> Response {
    let broken = stream::once(async { Err::<Vec<u8>, _>(std::io::Error::other("the fake breaks off")) });
    Body::from_stream(broken).into_response()
}

fn not_found(what: &str) -> Response {
    let body = json!({"RemoteException": {"exception": "NotFoundException", "message": format!("java.lang.Exception: {what}"),
        "javaClassName": "org.apache.hadoop.yarn.webapp.NotFoundException"}});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

pub(super) async fn answer(State((held, index)): State<(Arc<Mutex<Held>>, usize)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let query: BTreeMap<String, String> = parts.uri.query().map(words).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let mut held = lock(&held);
    held.asked.push(format!("{} {}", parts.method, parts.uri));
    if path == "/fake/submit" {
        return submit(&mut held, &query);
    }
    if held.deaf {
        return nothing();
    }
    if held.is_something_else {
        return ([(header::CONTENT_TYPE, "text/html")], "<html><title>nginx</title>Welcome</html>").into_response();
    }
    if std::mem::take(&mut held.unauthorized) {
        return (StatusCode::UNAUTHORIZED, "<html>Authentication required</html>").into_response();
    }
    if held.negotiates {
        let cookie = parts.headers.get(header::COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if cookie != format!("hadoop.auth={COOKIE}") {
            let ask = [(header::WWW_AUTHENTICATE, "Negotiate")];
            return (StatusCode::UNAUTHORIZED, ask, "<html>Authentication required</html>").into_response();
        }
    }
    if path == "/ws/v1/cluster/info" {
        let state = if held.active == index { "ACTIVE" } else { "STANDBY" };
        let info = json!({"id": held.started, "startedOn": held.started, "state": "STARTED", "haState": state,
            "resourceManagerVersion": "3.4.1", "hadoopVersion": "3.4.1"});
        return Json(json!({"clusterInfo": info})).into_response();
    }
    if let Some(rest) = path.strip_prefix("/ws/v1/node/containers/") {
        return if held.collected { not_found("no such container here") } else { container(&held, rest, &query) };
    }
    if let Some(rest) = path.strip_prefix("/ws/v1/history/containers/") {
        return if held.collected { container(&held, rest, &query) } else { not_found("not collected") };
    }
    if held.active != index {
        let url = format!("http://{}{}", held.addresses[held.active], parts.uri);
        let text = format!("This is standby RM. The redirect url is: {url}\n");
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, url)], text).into_response();
    }
    let user = query.get("doAs").or_else(|| query.get("user.name")).map_or("dr.who", String::as_str);
    match (parts.method, path.strip_prefix("/ws/v1/cluster/apps")) {
        (Method::GET, Some("")) => list(&mut held, &query),
        (Method::GET, Some(id)) => match held.apps.iter().find(|app| app.id() == id[1..]) {
            Some(app) => Json(json!({"app": shown(&held, app)})).into_response(),
            None => not_found(&format!("app with id: {} not found", &id[1..])),
        },
        (Method::PUT, Some(rest)) => {
            let wanted: Value = serde_json::from_slice(&body).unwrap_or_default();
            let id = rest.trim_start_matches('/').trim_end_matches("/state");
            match held.apps.iter_mut().find(|app| app.id() == id) {
                Some(app) if wanted["state"] == "KILLED" => kill(app, user),
                _ => not_found("no such application"),
            }
        }
        _ => not_found("no such page"),
    }
}

/// Each as in a form: percent signs are not needed in tests.
fn words(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.replace("%2C", ","))).collect()
}

fn submit(held: &mut Held, query: &BTreeMap<String, String>) -> Response {
    if query.get("queue").is_some_and(|queue| queue == "nope") {
        return (StatusCode::FORBIDDEN, "Application submitted to unknown queue: nope").into_response();
    }
    if std::mem::take(&mut held.late) {
        let app = held.make(query);
        held.aside.push(app);
        return nothing();
    }
    held.lose_look = std::mem::take(&mut held.lose_answer);
    held.take(query).into_response()
}

/// An application that waits gets its place at the first look when there is room.
fn list(held: &mut Held, query: &BTreeMap<String, String>) -> Response {
    if std::mem::take(&mut held.lose_look) {
        return nothing();
    }
    let full = held.full;
    for app in held.apps.iter_mut().filter(|app| app.state == "ACCEPTED") {
        if full {
            WAITS.clone_into(&mut app.diagnostics);
        } else {
            app.diagnostics.clear();
            "RUNNING".clone_into(&mut app.state);
        }
    }
    let wanted: Vec<&str> = query.get("applicationTags").map(|tags| tags.split(',').collect()).unwrap_or_default();
    let tagged = |app: &&App| app.tags.split(',').any(|tag| wanted.contains(&tag));
    let found: Vec<Value> = held.apps.iter().filter(tagged).map(|app| shown(held, app)).collect();
    let apps = if found.is_empty() { Value::Null } else { json!({"app": found}) };
    Json(json!({"apps": apps})).into_response()
}

fn kill(app: &mut App, user: &str) -> Response {
    if app.user != user {
        let text = format!("User {user} cannot perform operation MODIFY_APP on {}", app.id());
        return (StatusCode::FORBIDDEN, Json(json!({"RemoteException": {"message": text}}))).into_response();
    }
    if app.is_over() {
        return Json(json!({"state": app.state})).into_response();
    }
    let state = app.state.clone();
    app.end("KILLED", "KILLED", &format!("Application killed by user {user}"));
    (StatusCode::ACCEPTED, Json(json!({"state": state}))).into_response()
}

fn shown(held: &Held, app: &App) -> Value {
    let node = held.addresses[0];
    json!({
        "id": app.id(), "user": app.user, "name": "job", "queue": app.queue, "state": app.state, "finalStatus": app.last,
        "progress": if app.is_over() { 100.0 } else { 10.0 }, "trackingUI": "ApplicationMaster",
        "trackingUrl": format!("http://{node}/proxy/{}/", app.id()), "diagnostics": app.diagnostics, "clusterId": app.cluster,
        "applicationType": app.kind, "applicationTags": app.tags, "priority": 0, "startedTime": app.cluster + i64::from(app.number),
        "launchTime": app.cluster, "finishedTime": app.finished, "elapsedTime": 1000,
        "amContainerLogs": format!("http://{node}/node/containerlogs/{}/{}", app.container(), app.user),
        "amHostHttpAddress": node.to_string(), "allocatedMB": 1024, "allocatedVCores": 1, "runningContainers": 1,
        "memorySeconds": 1, "vcoreSeconds": 1, "logAggregationStatus": "NOT_START", "unmanagedApplication": false,
    })
}

/// `{container}/logs` or `{container}/logs/{file}?size=`, from the beginning or, below zero, from the end.
fn container(held: &Held, rest: &str, query: &BTreeMap<String, String>) -> Response {
    let (container, file) = rest.split_once("/logs").unwrap_or((rest, ""));
    let Some(app) = held.apps.iter().find(|app| app.container() == container) else {
        return not_found("no such container");
    };
    if file.is_empty() {
        let files = app.logs.iter().map(|(name, text)| {
            json!({"fileName": name, "fileSize": text.len().to_string(), "lastModifiedTime": "Tue Nov 24 10:00:00 +0000 2026"})
        });
        let files: Vec<Value> = files.collect();
        let kind = if held.collected { "AGGREGATED" } else { "LOCAL" };
        let info = json!({"containerLogInfo": files, "logAggregationType": kind, "containerId": container, "nodeId": "node:8041"});
        return Json(json!([info])).into_response();
    }
    let Some(text) = app.logs.get(&file[1..]) else { return not_found("no such log") };
    let size: i64 = query.get("size").and_then(|size| size.parse().ok()).unwrap_or(i64::MAX);
    let many = usize::try_from(size.unsigned_abs()).unwrap_or(usize::MAX).min(text.len());
    let content = if size < 0 { &text[text.len() - many..] } else { &text[..many] };
    let mut body = String::new();
    let _ = write!(
        body,
        "Container: {container} on node:8041\nLogAggregationType: LOCAL\n{}\nLogType:{name}\nLogLastModifiedTime:Tue Nov 24\n\
         LogLength:{}\nLogContents:\n{content}\nEnd of LogType:{name}\n{}\n\n",
        "=".repeat(40),
        text.len(),
        "*".repeat(40),
        name = &file[1..],
    );
    ([(header::CONTENT_TYPE, "text/plain")], body).into_response()
}
