//! `/plugins` (sahara-v1.1.md section 9).

use axum::response::Response;
use foggara_app::ops::plugins::{self, NewLabels};
use foggara_domain::{Code, Error};
use serde_json::{Map, Value};

use super::members;
use crate::{
    call::Call,
    fault::{Fault, Outcome},
    reply,
};

/// `GET /plugins`; not in pages.
pub async fn list(call: Call) -> Outcome<Response> {
    call.check_params()?;
    let all = plugins::list(&call.app, &call.caller).await?;
    Ok(reply::ok(reply::under("plugins", all.into())))
}

/// `GET /plugins/{name}`
pub async fn get(call: Call) -> Outcome<Response> {
    let plugin = plugins::get(&call.app, &call.caller, call.parameter("name")).await?;
    call.check_params()?;
    Ok(reply::ok(reply::under("plugin", plugin)))
}

/// `GET /plugins/{name}/{version}`
pub async fn version(call: Call) -> Outcome<Response> {
    let plugin = plugins::version(&call.app, &call.caller, call.parameter("name"), call.parameter("version")).await?;
    call.check_params()?;
    Ok(reply::ok(reply::under("plugin", plugin)))
}

/// `PATCH /plugins/{name}`: labels, for the caller's project.
pub async fn update(mut call: Call) -> Outcome<Response> {
    plugins::get(&call.app, &call.caller, call.parameter("name")).await?;
    let mut body = call.body("plugin_update")?;
    let mut new =
        NewLabels { of_plugin: statuses(members::object(&mut body, "plugin_labels")), ..NewLabels::default() };
    for (version, labels) in members::object(&mut body, "version_labels").unwrap_or_default() {
        let Value::Object(labels) = labels else {
            let text = format!("version_labels[{version}]: it is not of type 'object'");
            return Err(Fault::refused(Code::ValidationError, text));
        };
        new.of_versions
            .extend(statuses(Some(labels)).into_iter().map(|(label, status)| (version.clone(), label, status)));
    }
    let plugin = plugins::update(&call.app, &call.caller, call.parameter("name"), new).await?;
    Ok(reply::accepted(reply::under("plugin", plugin)))
}

fn statuses(labels: Option<Map<String, Value>>) -> Vec<(String, bool)> {
    let status = |(name, label): (String, Value)| Some((name, label.get("status")?.as_bool()?));
    labels.into_iter().flatten().filter_map(status).collect()
}

/// `POST /plugins/{name}/{version}/convert-config/{template}`: no plugin supports it, as in the original.
pub async fn convert(call: Call) -> Outcome<Response> {
    let name = call.parameter("name");
    plugins::version(&call.app, &call.caller, name, call.parameter("version")).await?;
    let text = format!("Requested plugin '{name}' doesn't support converting config files to cluster templates");
    Err(Error::refused(Code::InvalidReference, text).into())
}
