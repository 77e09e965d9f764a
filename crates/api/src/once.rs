//! Writes that a client may repeat (contract.md section 2.2): a request with `Idempotency-Key` or `X-Client-Token` is answered
//! with the stored answer when it comes again with the same body, and refused with another body.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use foggara_app::ops::{
    executions,
    idempotency::{self, Key, Stored},
};
use foggara_domain::{Code, Error, ExecutionId};
use http_body_util::BodyExt;

use crate::{
    call::Call,
    fault::{Fault, Outcome},
    reply,
    sahara::{job_executions, view::View},
};

/// How long a repeated request waits for the answer of the first one.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// Answers a call, at most once for one key.
pub async fn answered<F, Fut>(call: Call, handler: F) -> Outcome<Response>
where
    F: Fn(Call) -> Fut,
    Fut: Future<Output = Outcome<Response>>,
{
    let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&call.method);
    let Some(text) = call.idempotency_key().filter(|_| writes) else { return handler(call).await };
    let key = Key {
        project: call.caller.project.clone(),
        user: call.caller.user.clone(),
        method: call.method.to_string(),
        path: call.path.clone(),
        key: text,
    };
    // An upload is told apart by its path alone: its bytes are not read before they are stored.
    let hash = idempotency::hash(call.json.to_string().as_bytes());
    let (app, caller) = (call.app.clone(), call.caller.clone());
    if let Some(stored) = idempotency::find(&app, &key).await? {
        return repeated(&app, &caller, &key, &hash, stored).await;
    }
    let (request, outcome) = idempotency::run(&app, key.clone(), hash.clone(), handler(call)).await;
    match outcome {
        Err(Fault::Domain(Error::Refused { code: Code::IdempotencyConflict, .. })) => {
            let stored = idempotency::find(&app, &key).await?;
            let stored = stored.ok_or_else(|| Error::Internal("a key that conflicts is not there".to_owned()))?;
            repeated(&app, &caller, &key, &hash, stored).await
        }
        Err(fault) => Err(fault),
        Ok(response) => {
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.map_err(|error| Error::Internal(error.to_string()))?.to_bytes();
            let answer = String::from_utf8_lossy(&bytes).into_owned();
            // The wish is durable; when only its answer cannot be stored, a repeat is answered from the object itself.
            if let Err(error) = idempotency::answer(&app, &request, parts.status.as_u16(), answer).await {
                tracing::warn!("the answer of a request with a key is not stored: {error}");
            }
            Ok(Response::from_parts(parts, Body::from(bytes)))
        }
    }
}

/// The answer to a request whose key is stored.
async fn repeated(
    app: &foggara_app::App,
    caller: &foggara_domain::Caller,
    key: &Key,
    hash: &str,
    mut stored: Stored,
) -> Outcome<Response> {
    if stored.body_hash != hash {
        let text = format!("the key '{}' was used for the same call with another body; use a new key", key.key);
        return Err(Fault::refused(Code::IdempotencyConflict, text));
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(status) = stored.status {
            return Ok(replay(status, stored.answer.unwrap_or_default()));
        }
        if tokio::time::Instant::now() >= deadline {
            break;
        }
        // The first request is being answered at the moment, or a crash came before its answer was stored.
        tokio::time::sleep(LOOK).await;
        stored = match idempotency::find(app, key).await? {
            Some(stored) => stored,
            None => break,
        };
    }
    if key.method == "DELETE" {
        return Ok(reply::nothing());
    }
    let submits = key.path.ends_with("/execute") || (key.method == "POST" && key.path == "/v2/jobs");
    if let Some(made) = stored.made.clone().filter(|_| submits) {
        let row = executions::get(app, caller, &ExecutionId::from(made)).await?;
        return Ok(reply::accepted(View::of(&key.path).under("job_execution", job_executions::show(&row))));
    }
    if let Some(made) = &stored.made
        && let Some((status, answer)) = crate::mrs::again(app, caller, &key.path, made).await?
    {
        return Ok(replay(status, answer.to_string()));
    }
    let text =
        "the request with this key was carried out, and its answer was lost in a crash: look at the object itself";
    Err(Fault::refused(Code::IdempotencyConflict, text))
}

fn replay(status: u16, answer: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    if answer.is_empty() {
        return status.into_response();
    }
    let mut response = (status, answer).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
