//! `/plugins`, reads only (sahara-v1.1.md section 9).

use axum::response::Response;
use foggara_app::ops::plugins;

use crate::{call::Call, fault::Outcome, reply};

/// `GET /plugins`; not in pages.
pub async fn list(call: Call) -> Outcome<Response> {
    call.check_params()?;
    Ok(reply::ok(call.view.under("plugins", plugins::list(&call.app).into())))
}

/// `GET /plugins/{name}`
pub async fn get(call: Call) -> Outcome<Response> {
    let plugin = plugins::get(&call.app, call.parameter("name"))?;
    call.check_params()?;
    Ok(reply::ok(call.view.under("plugin", plugin)))
}

/// `GET /plugins/{name}/{version}`
pub async fn version(call: Call) -> Outcome<Response> {
    let plugin = plugins::version(&call.app, call.parameter("name"), call.parameter("version"))?;
    call.check_params()?;
    Ok(reply::ok(call.view.under("plugin", plugin)))
}
