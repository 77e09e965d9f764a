//! `/job-types` (sahara-v1.1.md section 7.3).

use axum::response::Response;
use foggara_app::ops::job_types;

use super::view::View;
use crate::{call::Call, fault::Outcome, reply};

/// `GET /job-types?type=&plugin=&version=&hints=true`; each but the last may stand several times. v2 has `plugin_name` and
/// `plugin_version`; the command line sends the names of v1.1 all the same.
pub async fn list(call: Call) -> Outcome<Response> {
    call.check_params()?;
    let all =
        |keys: &[&str]| -> Vec<String> { keys.iter().flat_map(|key| call.query.all(key)).map(str::to_owned).collect() };
    let (plugin, version): (&[&str], &[&str]) = match call.view {
        View::V1 => (&["plugin"], &["version"]),
        View::V2 => (&["plugin_name", "plugin"], &["plugin_version", "version"]),
    };
    let hints = call.query.get("hints").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let types = job_types::list(&call.app, &all(&["type"]), &all(plugin), &all(version), hints);
    Ok(reply::ok(call.view.under("job_types", types)))
}
