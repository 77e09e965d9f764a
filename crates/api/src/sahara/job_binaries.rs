//! `/job-binaries` (sahara-v1.1.md section 5).

use axum::response::Response;
use foggara_app::ops::job_binaries::{self, JobBinaryChange, NewJobBinary};
use foggara_domain::{BinaryId, binary::JobBinary};
use serde_json::{Value, json};

use super::{members, view::View};
use crate::{call::Call, fault::Outcome, reply};

/// `GET /job-binaries`
pub async fn list(call: Call) -> Outcome<Response> {
    let query = call.list()?;
    if let (View::V2, Some(marker)) = (call.view, &query.marker) {
        // v1.1 alone begins an unknown marker's page at the start (sahara-v1.1.md section 2.2).
        job_binaries::get(&call.app, &call.caller, &BinaryId::from(marker.as_str())).await?;
    }
    let found = job_binaries::list(&call.app, &call.caller, &query).await?;
    Ok(reply::ok(call.view.list("binaries", found, query.marker.is_some(), |binary| show(&binary))))
}

/// `POST /job-binaries`
pub async fn create(mut call: Call) -> Outcome<Response> {
    let mut body = call.body("job_binary_create")?;
    let new = NewJobBinary {
        name: members::required_text(&mut body, "name"),
        description: members::text(&mut body, "description"),
        url: members::required_text(&mut body, "url"),
        extra: members::object(&mut body, "extra"),
        is_public: members::kept_flag(&mut body, "is_public").unwrap_or_default(),
        is_protected: members::kept_flag(&mut body, "is_protected").unwrap_or_default(),
    };
    let binary = job_binaries::create(&call.app, &call.caller, new).await?;
    Ok(reply::accepted(call.view.under("job_binary", show(&binary))))
}

/// `GET /job-binaries/{id}`
pub async fn get(call: Call) -> Outcome<Response> {
    let binary = job_binaries::get(&call.app, &call.caller, &call.id()).await?;
    call.check_params()?;
    Ok(reply::ok(call.view.under("job_binary", show(&binary))))
}

/// `PUT /job-binaries/{id}`: there is no look before the schema here, and an unknown id is a refusal, as in the original.
pub async fn update(mut call: Call) -> Outcome<Response> {
    let id: BinaryId = call.id();
    let mut body = call.body("job_binary_update")?;
    let change = JobBinaryChange {
        name: members::text(&mut body, "name"),
        description: members::text(&mut body, "description"),
        url: members::text(&mut body, "url"),
        extra: members::object(&mut body, "extra"),
        is_public: members::kept_flag(&mut body, "is_public"),
        is_protected: members::kept_flag(&mut body, "is_protected"),
    };
    let binary = job_binaries::update(&call.app, &call.caller, &id, change).await?;
    Ok(reply::accepted(call.view.under("job_binary", show(&binary))))
}

/// `DELETE /job-binaries/{id}`
pub async fn delete(call: Call) -> Outcome<Response> {
    call.check_params()?;
    job_binaries::delete(&call.app, &call.caller, &call.id()).await?;
    Ok(reply::nothing())
}

/// `GET /job-binaries/{id}/data`
pub async fn data(call: Call) -> Outcome<Response> {
    let id: BinaryId = call.id();
    call.check_params()?;
    let content = job_binaries::data(&call.app, &call.caller, &call.token, &id).await?;
    Ok(reply::bytes(content.size, content.stream))
}

/// The binary, without its credentials.
pub fn show(binary: &JobBinary) -> Value {
    json!({
        "id": binary.id,
        "tenant_id": binary.project,
        "name": binary.name,
        "description": binary.description,
        "url": binary.url,
        "is_public": binary.is_public,
        "is_protected": binary.is_protected,
        "created_at": binary.created_at.sahara(),
        "updated_at": reply::time(binary.updated_at),
    })
}
