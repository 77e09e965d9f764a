//! Routes that are open to everybody: versions, health, the document (contract.md section 1, sahara-v1.1.md section 1.6).

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use foggara_app::ops::health;
use foggara_identity::Error as IdentityError;
use serde_json::{Value, json};

use crate::{
    ApiState,
    route::{
        Answer::{Json as JsonAnswer, Text},
        Route, Surface,
    },
};

/// All of them.
pub fn routes() -> Vec<Route> {
    let ops = Surface::Ops;
    vec![
        Route::plain(
            ops,
            "GET /",
            ("listVersions", "Versions of every API here"),
            JsonAnswer(300, "versions"),
            versions,
        ),
        Route::plain(ops, "GET /healthcheck", ("healthcheck", "OK, as Sahara says it"), Text, healthcheck),
        Route::plain(ops, "GET /healthz", ("healthz", "The process is up"), JsonAnswer(200, "status"), healthz),
        Route::plain(
            ops,
            "GET /readyz",
            ("readyz", "Whether requests can be answered, with a reason for each part"),
            JsonAnswer(200, "parts"),
            readyz,
        ),
        Route::plain(ops, "GET /openapi.json", ("openapi", "This document"), JsonAnswer(200, "the document"), document),
    ]
}

/// One flat list, so that clients of Sahara and of Keystone both find theirs (clients.md section 1). With an outside Keystone
/// its version is not listed: it is not here.
async fn versions(State(state): State<ApiState>, headers: HeaderMap) -> Response {
    let base = crate::base::of(&headers, state.settings.trust_forwarded_proto);
    let sahara = |id: &str, status: &str| json!({"id": id, "status": status, "links": [{"rel": "self", "href": format!("{base}/{id}/")}]});
    let mut versions = vec![sahara("v1.0", "SUPPORTED"), sahara("v1.1", "SUPPORTED"), sahara("v2", "CURRENT")];
    if state.issuer.is_some() {
        versions.push(crate::identity_v3::version_entry(&base));
    }
    (StatusCode::MULTIPLE_CHOICES, Json(json!({"versions": versions}))).into_response()
}

async fn healthcheck() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], "OK").into_response()
}

async fn healthz() -> Response {
    Json(json!({"status": "up"})).into_response()
}

async fn readyz(State(state): State<ApiState>) -> Response {
    let mut parts = health::check(&state.app).await;
    // A text that is no token must be refused as one; anything else means that nobody can be identified.
    let (ready, reason) = match state.authenticator.identify("not-a-token").await {
        Err(IdentityError::Unavailable(reason)) => (false, reason),
        _ => (true, "tokens can be checked".to_owned()),
    };
    parts.push(health::Part { name: "identity".to_owned(), ready, reason });
    let ready = parts.iter().all(|part| part.ready);
    let shown: Vec<Value> =
        parts.iter().map(|part| json!({"name": part.name, "ready": part.ready, "reason": part.reason})).collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": ready, "parts": shown}))).into_response()
}

async fn document() -> Response {
    Json(crate::openapi::document(&crate::route_list())).into_response()
}
