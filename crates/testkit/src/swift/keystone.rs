//! Log-ins: Keystone v3 by password and by trust, what it says of tokens, trusts, and the log-in of a Swift alone.

use std::sync::Mutex;

use axum::{
    Json,
    body::to_bytes,
    extract::Request,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Held, PASSWORD, PROJECT, PROJECT_NAME, SERVICE, SERVICE_PASSWORD, USER, lock};

/// Gives a user a token.
pub(super) fn new_token(held: &mut Held, user: &str) -> String {
    let token = format!("token-{}", held.number());
    held.tokens.insert(token.clone(), user.to_owned());
    token
}

fn refused(status: StatusCode) -> Response {
    // Some repeat what was sent; so does this one, to see that nobody passes it on.
    let message = format!("planned {PASSWORD}");
    (status, Json(json!({"error": {"code": status.as_u16(), "message": message}}))).into_response()
}

/// The answer to a log-in or about a token.
fn said(held: &Held, user: &str) -> Value {
    let (project, name) = if user == SERVICE { ("p-service", "service") } else { (PROJECT, PROJECT_NAME) };
    let domain = json!({"id": "default", "name": "Default"});
    let swift = json!({"type": "object-store", "endpoints": [
        {"interface": "internal", "region": "one", "region_id": "one", "url": "http://127.0.0.1:1/v1/inside"},
        {"interface": "public", "region": "one", "region_id": "one", "url": format!("http://{}/v1/AUTH_{project}", held.address)},
    ]});
    json!({"token": {
        "methods": ["password"], "audit_ids": ["a"],
        "user": {"id": format!("u-{user}"), "name": user, "domain": domain},
        "project": {"id": project, "name": name, "domain": domain},
        "roles": [{"id": "r", "name": "member"}],
        "issued_at": "2999-01-01T00:00:00.000000Z", "expires_at": "2999-01-01T01:00:00.000000Z",
        "catalog": if held.has_catalogue { vec![swift] } else { Vec::new() },
    }})
}

pub(super) async fn answer(held: &Mutex<Held>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut held = lock(held);
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/auth/v1.0") => of_v1(&mut held, &head.headers),
        (&Method::POST, "/v3/auth/tokens") => log_in(&mut held, &body),
        (&Method::GET, "/v3/auth/tokens") => {
            let of = |key: &str| held.tokens.get(text(&head.headers, key)).cloned();
            match (of("x-auth-token"), of("x-subject-token")) {
                (None, _) => refused(StatusCode::UNAUTHORIZED),
                (Some(_), None) => refused(StatusCode::NOT_FOUND),
                (Some(_), Some(user)) => Json(said(&held, &user)).into_response(),
            }
        }
        (&Method::POST, "/v3/OS-TRUST/trusts") => {
            let id = format!("trust-{}", held.number());
            held.trusts.insert(id.clone());
            (StatusCode::CREATED, Json(json!({"trust": {"id": id}}))).into_response()
        }
        (method, path) => match path.strip_prefix("/v3/OS-TRUST/trusts/") {
            Some(id) if !held.trusts.contains(id) => refused(StatusCode::NOT_FOUND),
            Some(id) if method == Method::GET => Json(json!({"trust": {"id": id}})).into_response(),
            Some(id) if method == Method::DELETE => {
                held.trusts.remove(id);
                StatusCode::NO_CONTENT.into_response()
            }
            _ => refused(StatusCode::NOT_FOUND),
        },
    }
}

fn log_in(held: &mut Held, body: &Value) -> Response {
    let of = |path: &str| body.pointer(path).and_then(Value::as_str);
    let of_user = |key: &str| of(&format!("/auth/identity/password/user/{key}"));
    if of_user("domain/name") != Some("Default") && of_user("domain/id") != Some("default") {
        return refused(StatusCode::UNAUTHORIZED);
    }
    let user = match (of_user("name"), of_user("password")) {
        (Some(USER), Some(PASSWORD)) => USER,
        (Some(SERVICE), Some(SERVICE_PASSWORD)) => SERVICE,
        _ => return refused(StatusCode::UNAUTHORIZED),
    };
    let scope = body.pointer("/auth/scope");
    let is_known = |key: &str, wanted: &str| {
        scope.and_then(|scope| scope.pointer(key)).is_none_or(|value| value.as_str() == Some(wanted))
    };
    let (project, of_user) = if user == SERVICE { ("p-service", "service") } else { (PROJECT, PROJECT_NAME) };
    if !is_known("/project/id", project) || !is_known("/project/name", of_user) {
        return refused(StatusCode::UNAUTHORIZED);
    }
    let user = match scope.and_then(|scope| scope.pointer("/OS-TRUST:trust/id")).and_then(Value::as_str) {
        Some(trust) if user == SERVICE && held.trusts.contains(trust) => USER,
        Some(_) => return refused(StatusCode::UNAUTHORIZED),
        None => user,
    };
    let mut said = said(held, user);
    // A user without a default project gets a token that is for none.
    if let (None, Some(token)) = (scope, said.get_mut("token").and_then(Value::as_object_mut)) {
        for key in ["project", "roles", "catalog"] {
            token.remove(key);
        }
    }
    held.logins += 1;
    let token = new_token(held, user);
    (StatusCode::CREATED, [("x-subject-token", token)], Json(said)).into_response()
}

fn of_v1(held: &mut Held, headers: &HeaderMap) -> Response {
    if text(headers, "x-auth-user") != format!("{PROJECT_NAME}:{USER}") || text(headers, "x-auth-key") != PASSWORD {
        return refused(StatusCode::UNAUTHORIZED);
    }
    held.logins += 1;
    let storage = format!("http://{}/v1/AUTH_{PROJECT}", held.address);
    let token = new_token(held, USER);
    [("x-auth-token", token), ("x-storage-url", storage), ("x-auth-token-expires", "3600".to_owned())].into_response()
}

fn text<'a>(headers: &'a HeaderMap, key: &str) -> &'a str {
    headers.get(key).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
