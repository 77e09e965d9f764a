//! `/job-binary-internals` (sahara-v1.1.md section 6).

use axum::{http::header, response::Response};
use foggara_app::ops::internal_binaries::{self, InternalBinaryChange};
use foggara_domain::{InternalBinaryId, binary::InternalBinary};
use serde_json::{Value, json};

use super::members;
use crate::{call::Call, fault::Outcome, reply};

/// `GET /job-binary-internals`
pub async fn list(call: Call) -> Outcome<Response> {
    let query = call.list()?;
    let found = internal_binaries::list(&call.app, &call.caller, &query).await?;
    Ok(reply::ok(call.view.list("binaries", found, query.marker.is_some(), |binary| show(&binary))))
}

/// `PUT /job-binary-internals/{name}`: raw bytes of any content type, written away as they come.
pub async fn upload(call: Call) -> Outcome<Response> {
    let name = call.parameter("id").to_owned();
    let size = call.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let binary = internal_binaries::upload(&call.app, &call.caller, &name, size, call.raw.stream()).await?;
    Ok(reply::accepted(call.view.under("job_binary_internal", show(&binary))))
}

/// `GET /job-binary-internals/{id}`
pub async fn get(call: Call) -> Outcome<Response> {
    let binary = internal_binaries::get(&call.app, &call.caller, &call.id()).await?;
    Ok(reply::ok(call.view.under("job_binary_internal", show(&binary))))
}

/// `PATCH /job-binary-internals/{id}`
pub async fn update(mut call: Call) -> Outcome<Response> {
    let id: InternalBinaryId = call.id();
    internal_binaries::get(&call.app, &call.caller, &id).await?;
    let mut body = call.body("job_binary_internal_update")?;
    let change = InternalBinaryChange {
        name: members::text(&mut body, "name"),
        is_public: members::kept_flag(&mut body, "is_public"),
        is_protected: members::kept_flag(&mut body, "is_protected"),
    };
    let binary = internal_binaries::update(&call.app, &call.caller, &id, change).await?;
    Ok(reply::accepted(call.view.under("job_binary_internal", show(&binary))))
}

/// `DELETE /job-binary-internals/{id}`
pub async fn delete(call: Call) -> Outcome<Response> {
    internal_binaries::delete(&call.app, &call.caller, &call.id()).await?;
    Ok(reply::nothing())
}

/// `GET /job-binary-internals/{id}/data`
pub async fn data(call: Call) -> Outcome<Response> {
    let id: InternalBinaryId = call.id();
    let content = internal_binaries::data(&call.app, &call.caller, &id).await?;
    Ok(reply::bytes(content.size, content.stream))
}

fn show(binary: &InternalBinary) -> Value {
    json!({
        "id": binary.id,
        "tenant_id": binary.project,
        "name": binary.name,
        "datasize": binary.size,
        "is_public": binary.is_public,
        "is_protected": binary.is_protected,
        "created_at": binary.created_at.sahara(),
        "updated_at": reply::time(binary.updated_at),
    })
}
