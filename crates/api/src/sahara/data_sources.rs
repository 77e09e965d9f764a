//! `/data-sources` (sahara-v1.1.md section 4).

use axum::response::Response;
use foggara_app::ops::data_sources::{self, DataSourceChange, NewDataSource};
use foggara_domain::{DataSourceId, data_source::DataSource};
use serde_json::{Value, json};

use super::members;
use crate::{call::Call, fault::Outcome, reply};

/// `GET /data-sources`
pub async fn list(call: Call) -> Outcome<Response> {
    let query = call.list()?;
    let found = data_sources::list(&call.app, &call.caller, &query).await?;
    Ok(reply::ok(call.view.list("data_sources", found, query.marker.is_some(), |source| show(&source))))
}

/// `POST /data-sources`
pub async fn create(mut call: Call) -> Outcome<Response> {
    let mut body = call.body("data_source_create")?;
    let new = NewDataSource {
        name: members::required_text(&mut body, "name"),
        description: members::text(&mut body, "description"),
        kind: members::required_text(&mut body, "type"),
        url: members::required_text(&mut body, "url"),
        credentials: members::object(&mut body, "credentials"),
        is_public: members::kept_flag(&mut body, "is_public").unwrap_or_default(),
        is_protected: members::kept_flag(&mut body, "is_protected").unwrap_or_default(),
    };
    let source = data_sources::create(&call.app, &call.caller, new).await?;
    Ok(reply::accepted(call.view.under("data_source", show(&source))))
}

/// `GET /data-sources/{id}`
pub async fn get(call: Call) -> Outcome<Response> {
    let source = data_sources::get(&call.app, &call.caller, &call.id()).await?;
    call.check_params()?;
    Ok(reply::ok(call.view.under("data_source", show(&source))))
}

/// `PUT /data-sources/{id}`: what the body does not name stays.
pub async fn update(mut call: Call) -> Outcome<Response> {
    let id: DataSourceId = call.id();
    data_sources::get(&call.app, &call.caller, &id).await?;
    let mut body = call.body("data_source_update")?;
    let change = DataSourceChange {
        name: members::text(&mut body, "name"),
        description: members::text(&mut body, "description"),
        kind: members::text(&mut body, "type"),
        url: members::text(&mut body, "url"),
        credentials: members::object(&mut body, "credentials"),
        is_public: members::kept_flag(&mut body, "is_public"),
        is_protected: members::kept_flag(&mut body, "is_protected"),
    };
    let source = data_sources::update(&call.app, &call.caller, &id, change).await?;
    Ok(reply::accepted(call.view.under("data_source", show(&source))))
}

/// `DELETE /data-sources/{id}`
pub async fn delete(call: Call) -> Outcome<Response> {
    call.check_params()?;
    data_sources::delete(&call.app, &call.caller, &call.id()).await?;
    Ok(reply::nothing())
}

/// The data source, without its credentials.
fn show(source: &DataSource) -> Value {
    json!({
        "id": source.id,
        "tenant_id": source.project,
        "name": source.name,
        "description": source.description,
        "type": source.kind,
        "url": source.url,
        "is_public": source.is_public,
        "is_protected": source.is_protected,
        "created_at": source.created_at.sahara(),
        "updated_at": reply::time(source.updated_at),
    })
}
