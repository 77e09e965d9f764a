//! A namenode: names, statuses, and redirects to the datanode.

use std::collections::BTreeMap;

use axum::{
    extract::Request,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{File, Held, STRANGER, Shared, TOKEN, exception, lock, not_found, path_of, query};

const NAMES: [&str; 2] = ["nn0", "nn1"];

pub(super) async fn answer(held: Shared, number: usize, request: Request) -> Response {
    let mut held = lock(&held);
    held.note(NAMES[number], &request);
    let Some(path) = path_of(request.uri()) else { return StatusCode::NOT_FOUND.into_response() };
    let query = query(request.uri());
    if let Some(refusal) = refusal(&mut held, number, &query) {
        return refusal;
    }
    let operation = query.get("op").map_or("", String::as_str);
    match (request.method().as_str(), operation) {
        ("GET", "GETFILESTATUS") => match status(&held, &path, "") {
            Some(status) => json_of(&json!({"FileStatus": status})),
            None => not_found(&path),
        },
        ("GET", "LISTSTATUS") => match list(&held, &path) {
            Some(list) => json_of(&json!({"FileStatuses": {"FileStatus": list}})),
            None => not_found(&path),
        },
        ("GET", "OPEN") if held.files.contains_key(&path) => redirect(&held, request.uri()),
        ("GET", "OPEN") => not_found(&path),
        ("PUT", "CREATE") if held.folders.contains(&path) => {
            let class = "org.apache.hadoop.fs.FileAlreadyExistsException";
            exception(StatusCode::FORBIDDEN, class, &format!("{path} already exists as a directory"))
        }
        ("PUT", "CREATE") => redirect(&held, request.uri()),
        ("PUT", "MKDIRS") => {
            held.make_folder(&path);
            json_of(&json!({"boolean": true}))
        }
        ("PUT", "RENAME") => rename(&mut held, &path, &query),
        ("DELETE", "DELETE") => delete(&mut held, &path),
        (method, operation) => exception(
            StatusCode::BAD_REQUEST,
            "java.lang.IllegalArgumentException",
            &format!("Invalid value for webhdfs parameter \"op\": {method} {operation}"),
        ),
    }
}

/// Why nothing is done, if so.
fn refusal(held: &mut Held, number: usize, query: &BTreeMap<String, String>) -> Option<Response> {
    if held.active != number {
        let class = "org.apache.hadoop.ipc.StandbyException";
        let text = "Operation category READ is not supported in state standby.";
        return Some(exception(StatusCode::FORBIDDEN, class, text));
    }
    if held.busy > 0 {
        held.busy -= 1;
        let class = "org.apache.hadoop.ipc.RetriableException";
        return Some(exception(StatusCode::FORBIDDEN, class, "NameNode still not started"));
    }
    let user = query.get("user.name").map_or("dr.who", String::as_str);
    match query.get("delegation").map(String::as_str) {
        Some(TOKEN) => {}
        // A real one does not repeat the token; this one does, to see that nobody passes it on.
        Some(token) => {
            let class = "org.apache.hadoop.security.token.SecretManager$InvalidToken";
            return Some(exception(StatusCode::FORBIDDEN, class, &format!("{token} can't be found in cache")));
        }
        None if held.kerberos => {
            let page = Html("<html><body><h2>HTTP ERROR 401</h2> Authentication required</body></html>");
            return Some((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Negotiate")], page).into_response());
        }
        None if user == STRANGER => {
            let class = "org.apache.hadoop.security.AccessControlException";
            let text =
                format!("Permission denied: user={user}, access=EXECUTE, inode=\"/\":hdfs:supergroup:drwx------");
            return Some(exception(StatusCode::FORBIDDEN, class, &text));
        }
        None => {}
    }
    None
}

fn json_of(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// To the datanode, with the parameters that came.
fn redirect(held: &Held, uri: &axum::http::Uri) -> Response {
    let at = held.elsewhere.as_ref().unwrap_or(&held.datanode);
    let query = uri.query().unwrap_or_default();
    let location = format!("{at}{}?{query}&namenoderpcaddress=namenode:8020", uri.path());
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
}

fn status(held: &Held, path: &str, suffix: &str) -> Option<Value> {
    let of = |kind: &str, file: Option<&File>| {
        json!({
            "accessTime": 0, "blockSize": 134_217_728, "childrenNum": 0, "group": "supergroup", "owner": "hdfs",
            "fileId": file.map_or(1, |file| file.id), "length": file.map_or(0, |file| file.bytes.len()),
            "modificationTime": file.map_or(0, |file| file.changed), "pathSuffix": suffix, "permission": "644",
            "replication": u8::from(file.is_some()), "storagePolicy": 0, "type": kind,
        })
    };
    match held.files.get(path) {
        Some(file) => Some(of("FILE", Some(file))),
        None if held.folders.contains(path) || path == "/" => Some(of("DIRECTORY", None)),
        None => None,
    }
}

fn list(held: &Held, path: &str) -> Option<Vec<Value>> {
    if held.files.contains_key(path) {
        return status(held, path, "").map(|status| vec![status]);
    }
    if !held.folders.contains(path) && path != "/" {
        return None;
    }
    let prefix = format!("{}/", path.trim_end_matches('/'));
    let below = held.files.keys().chain(&held.folders).filter(|found| *found != "/");
    let names = below.filter_map(|found| found.strip_prefix(&prefix).map(|name| (found, name)));
    Some(names.filter(|(_, name)| !name.contains('/')).filter_map(|(found, name)| status(held, found, name)).collect())
}

fn rename(held: &mut Held, path: &str, query: &BTreeMap<String, String>) -> Response {
    let to = query.get("destination").cloned().unwrap_or_default();
    let options = query.get("renameoptions").filter(|_| !held.without_options);
    if options.is_none() && held.files.contains_key(&to) {
        return json_of(&json!({"boolean": false}));
    }
    let Some(file) = held.files.remove(path) else {
        let text = format!("rename source {path} is not found.");
        return exception(StatusCode::NOT_FOUND, "java.io.FileNotFoundException", &text);
    };
    held.files.insert(to, file);
    if held.lost > 0 {
        held.lost -= 1;
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    // With options it is another call of the namenode, which gives nothing.
    if options.is_some() { StatusCode::OK.into_response() } else { json_of(&json!({"boolean": true})) }
}

fn delete(held: &mut Held, path: &str) -> Response {
    let prefix = format!("{path}/");
    if held.files.keys().any(|found| found.starts_with(&prefix)) {
        let class = "org.apache.hadoop.fs.PathIsNotEmptyDirectoryException";
        return exception(StatusCode::FORBIDDEN, class, &format!("`{path} is non empty': Directory is not empty"));
    }
    let was_there = held.files.remove(path).is_some() | held.folders.remove(path);
    json_of(&json!({"boolean": was_there}))
}
