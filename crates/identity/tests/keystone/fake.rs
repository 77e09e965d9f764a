//! A Keystone that does as it is told, and counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use foggara_domain::{Secret, Timestamp};
use foggara_identity::keystone::{Keystone, Settings};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

pub const PASSWORD: &str = "the service password";
pub const HOUR: Duration = Duration::from_secs(3600);

/// What a route does instead of its work.
#[derive(Clone, Debug)]
pub enum Fault {
    /// No answer.
    Hang,
    /// A status without a body of Keystone's.
    Status(u16),
    /// An error of Keystone's.
    Error(u16),
    /// 200 or 201 with this body.
    Body(String),
    /// A redirect to this address.
    Redirect(String),
}

/// What the Keystone knows.
#[derive(Default)]
pub struct Place {
    /// Bodies of callers' tokens.
    pub subjects: BTreeMap<String, Value>,
    /// Tokens of the service user that count.
    pub service_tokens: BTreeSet<String>,
    /// How long such a token lasts.
    pub lifetime: Duration,
    /// Body and trust tokens by trust.
    pub trusts: BTreeMap<String, Value>,
    /// Whether the trustor of the trusts was disabled.
    pub trustor_disabled: bool,
    /// Whether the service user may delete anything.
    pub service_is_admin: bool,
    pub password: String,
    pub login_fault: Option<Fault>,
    pub examine_fault: Option<Fault>,
    /// How long an examination takes.
    pub slow: Duration,
    pub logins: usize,
    pub examinations: usize,
    /// Tokens with which something was deleted.
    pub deleted_with: Vec<String>,
}

type Shared = Arc<Mutex<Place>>;

/// A running Keystone; it ends with this.
pub struct Fake {
    pub url: String,
    place: Shared,
    task: JoinHandle<()>,
}

impl Fake {
    pub async fn start() -> Self {
        let place = Place { lifetime: HOUR, password: PASSWORD.to_owned(), ..Place::default() };
        let place = Arc::new(Mutex::new(place));
        let router = Router::new()
            .route("/v3/auth/tokens", get(examine).post(log_in))
            .route("/v3/OS-TRUST/trusts", post(create_trust))
            .route("/v3/OS-TRUST/trusts/{id}", delete(delete_trust).get(show_trust))
            .with_state(Arc::clone(&place));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v3", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self { url, place, task }
    }

    pub fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it was asked about a token, and for one of the service user.
    pub fn asked_and_logged_in(&self) -> (usize, usize) {
        let place = self.place();
        (place.examinations, place.logins)
    }

    /// A project token of `ada` that lasts an hour.
    pub fn issue(&self, token: &str) {
        self.issue_with(token, json!({}));
    }

    /// The same with changes to its body; null takes a key away.
    pub fn issue_with(&self, token: &str, changes: Value) {
        let body = body(changes, HOUR);
        self.place().subjects.insert(token.to_owned(), body);
    }

    pub fn settings(&self) -> Settings {
        Settings::new(&self.url, "foggara", Secret::new(PASSWORD))
    }

    pub fn keystone(&self) -> Keystone {
        keystone(self.settings())
    }

    /// Ends it: from now on nobody listens.
    pub async fn stop(self) {
        self.task.abort();
        while !self.task.is_finished() {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The client under test.
pub fn keystone(settings: Settings) -> Keystone {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    Keystone::new(settings).expect("settings")
}

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
    Timestamp::from_micros(i64::try_from(since.as_micros()).expect("a time"))
}

/// The token part of an answer.
pub fn body(changes: Value, lasts: Duration) -> Value {
    let domain = json!({"id": "default", "name": "Default"});
    let mut token = json!({
        "methods": ["password"],
        "audit_ids": ["audit-1"],
        "user": {"id": "user-ada", "name": "ada", "domain": domain, "password_expires_at": null},
        "project": {"id": "project-demo", "name": "demo", "domain": domain},
        "is_domain": false,
        "roles": [{"id": "role-1", "name": "member"}, {"id": "role-2", "name": "reader"}],
        "issued_at": now().keystone(),
        "expires_at": now().plus(lasts).keystone(),
        "catalog": [],
    });
    let object = token.as_object_mut().expect("an object");
    for (key, value) in changes.as_object().expect("changes") {
        if value.is_null() {
            object.remove(key);
        } else {
            object.insert(key.clone(), value.clone());
        }
    }
    token
}

fn error(code: u16, message: &str) -> Response {
    let status = StatusCode::from_u16(code).expect("a status");
    (status, Json(json!({"error": {"code": code, "title": "Error", "message": message}}))).into_response()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn faulty(fault: Fault, ok: u16) -> Response {
    match fault {
        Fault::Hang => {
            sleep(HOUR).await;
            error(500, "late")
        }
        Fault::Status(code) => StatusCode::from_u16(code).expect("a status").into_response(),
        Fault::Error(code) => error(code, "as told"),
        Fault::Body(body) => (StatusCode::from_u16(ok).expect("a status"), body).into_response(),
        Fault::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to)]).into_response(),
    }
}

async fn examine(State(place): State<Shared>, headers: HeaderMap) -> Response {
    let lock = || place.lock().unwrap_or_else(PoisonError::into_inner);
    let (fault, slow) = {
        let mut place = lock();
        place.examinations += 1;
        (place.examine_fault.clone(), place.slow)
    };
    // The word is taken before the time passes, as with a lost answer of a real one.
    let answer = {
        let place = lock();
        if !place.service_tokens.contains(text(&headers, "x-auth-token")) {
            error(401, "The request you have made requires authentication.")
        } else if let Some(token) = place.subjects.get(text(&headers, "x-subject-token")) {
            Json(json!({ "token": token })).into_response()
        } else {
            error(404, &format!("Could not find token: {}.", text(&headers, "x-subject-token")))
        }
    };
    sleep(slow).await;
    match fault {
        Some(fault) => faulty(fault, 200).await,
        None => answer,
    }
}

async fn log_in(State(place): State<Shared>, Json(request): Json<Value>) -> Response {
    let fault = {
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        place.logins += 1;
        place.login_fault.clone()
    };
    if let Some(fault) = fault {
        return faulty(fault, 201).await;
    }
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    let place = &mut *place;
    let user = request.pointer("/auth/identity/password/user").expect("a user");
    let wanted = json!({"name": "foggara", "domain": {"name": "Default"}, "password": place.password});
    if *user != wanted {
        return error(401, "The request you have made requires authentication.");
    }
    let scope = request.pointer("/auth/scope").expect("a scope");
    let service = json!({"id": "user-foggara", "name": "foggara", "domain": {"id": "default", "name": "Default"}});
    let (token, changes) = if let Some(id) = scope.pointer("/OS-TRUST:trust/id").and_then(Value::as_str) {
        let Some(trust) = place.trusts.get(id) else {
            return error(401, "The request you have made requires authentication.");
        };
        if place.trustor_disabled {
            return error(403, "Trustor is disabled.");
        }
        let roles = trust.pointer("/roles").expect("roles").as_array().expect("a list");
        let roles: Vec<Value> = roles.iter().map(|role| json!({"id": "r", "name": role["name"]})).collect();
        (format!("trust-token-{id}"), json!({"roles": roles}))
    } else {
        assert_eq!(*scope, json!({"project": {"name": "service", "domain": {"name": "Default"}}}));
        let token = format!("service-token-{}", place.logins);
        place.service_tokens.insert(token.clone());
        (token, json!({"user": service, "roles": [{"id": "r", "name": "service"}]}))
    };
    let token_body = body(changes, place.lifetime);
    if token.starts_with("trust") {
        place.subjects.insert(token.clone(), token_body.clone());
    }
    (StatusCode::CREATED, [("x-subject-token", token)], Json(json!({ "token": token_body }))).into_response()
}

async fn create_trust(State(place): State<Shared>, headers: HeaderMap, Json(request): Json<Value>) -> Response {
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(token) = place.subjects.get(text(&headers, "x-auth-token")) else { return error(401, "no such token") };
    if token["methods"] == json!(["application_credential"]) {
        return error(403, "Using method 'application_credential' is not allowed for managing trusts.");
    }
    let id = format!("trust-{}", place.trusts.len() + 1);
    let mut trust = request["trust"].clone();
    place.trusts.insert(id.clone(), trust.clone());
    trust["id"] = json!(id);
    (StatusCode::CREATED, Json(json!({ "trust": trust }))).into_response()
}

async fn delete_trust(State(place): State<Shared>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    let token = text(&headers, "x-auth-token").to_owned();
    let by_service = place.service_tokens.contains(&token);
    place.deleted_with.push(token.clone());
    if !by_service && !place.subjects.contains_key(&token) {
        return error(401, "no such token");
    }
    if by_service && !place.service_is_admin {
        return error(403, "You are not authorized to perform the requested action: identity:delete_trust.");
    }
    match place.trusts.remove(&id) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => error(404, "Could not find trust."),
    }
}

async fn show_trust(State(place): State<Shared>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let place = place.lock().unwrap_or_else(PoisonError::into_inner);
    if !place.service_tokens.contains(text(&headers, "x-auth-token")) {
        return error(401, "no such token");
    }
    match place.trusts.get(&id) {
        Some(trust) => Json(json!({ "trust": trust })).into_response(),
        None => error(404, "Could not find trust."),
    }
}
