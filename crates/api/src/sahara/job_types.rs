//! `/job-types` (sahara-v1.1.md section 7.3).

use axum::response::Response;
use foggara_app::ops::job_types;

use super::view::View;
use crate::{call::Call, fault::Outcome, reply};

/// `GET /job-types?type=&plugin=&version=&hints=true`; each but the last may stand several times.
pub async fn list(call: Call) -> Outcome<Response> {
    call.check_params()?;
    let (plugin, version) = match call.view {
        View::V1 => ("plugin", "version"),
        View::V2 => ("plugin_name", "plugin_version"),
    };
    let all = |key: &str| call.query.all(key).map(str::to_owned).collect::<Vec<_>>();
    let hints = call.query.get("hints").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let types = job_types::list(&call.app, &all("type"), &all(plugin), &all(version), hints);
    Ok(reply::ok(call.view.under("job_types", types)))
}
