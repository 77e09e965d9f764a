//! Job templates, their hints, and their execution: `/jobs` in v1.1 (sahara-v1.1.md sections 7 and 8.1), `/job-templates` in v2.

use axum::response::Response;
use foggara_app::ops::{
    executions::{self, Submit},
    job_templates::{self, JobTemplateChange, NewInterfaceArgument, NewJobTemplate},
    job_types,
};
use foggara_domain::{
    Code, Error, JobId,
    binary::JobBinary,
    job_template::{InterfaceArgument, JobTemplate},
};
use serde_json::{Map, Value, json};

use super::{job_binaries, job_executions, members, view::View};
use crate::{call::Call, fault::Outcome, reply};

/// Members that MRS clients send with a PATCH and that cannot be changed (spec/README.md conflict 10).
const IGNORED: [&str; 4] = ["type", "mains", "libs", "interface"];

/// `GET /jobs`
pub async fn list(call: Call) -> Outcome<Response> {
    let query = call.list()?;
    let found = job_templates::list(&call.app, &call.caller, &query).await?;
    Ok(reply::ok(call.view.list("jobs", found, query.marker.is_some(), |job| show(&job, call.view))))
}

/// `POST /jobs`
pub async fn create(mut call: Call) -> Outcome<Response> {
    let mut body = call.body("job_create")?;
    let interface = match body.remove("interface") {
        Some(Value::Array(items)) => items.into_iter().map(argument).collect(),
        _ => Vec::new(),
    };
    let new = NewJobTemplate {
        name: members::required_text(&mut body, "name"),
        description: members::text(&mut body, "description"),
        job_type: members::required_text(&mut body, "type"),
        mains: members::texts(&mut body, "mains").into_iter().map(Into::into).collect(),
        libs: members::texts(&mut body, "libs").into_iter().map(Into::into).collect(),
        interface,
        is_public: members::kept_flag(&mut body, "is_public").unwrap_or_default(),
        is_protected: members::kept_flag(&mut body, "is_protected").unwrap_or_default(),
    };
    let job = job_templates::create(&call.app, &call.caller, new).await?;
    Ok(reply::accepted(call.view.under("job", show(&job, call.view))))
}

fn argument(item: Value) -> NewInterfaceArgument {
    let mut item = if let Value::Object(members) = item { members } else { Map::new() };
    NewInterfaceArgument {
        name: members::required_text(&mut item, "name"),
        description: members::text(&mut item, "description"),
        mapping_type: members::required_text(&mut item, "mapping_type"),
        location: members::required_text(&mut item, "location"),
        value_type: members::text(&mut item, "value_type"),
        required: members::flag(&mut item, "required").unwrap_or(false),
        default: members::text(&mut item, "default"),
    }
}

/// `GET /jobs/{id}`
pub async fn get(call: Call) -> Outcome<Response> {
    let job = job_templates::get(&call.app, &call.caller, &call.id()).await?;
    call.check_params()?;
    Ok(reply::ok(call.view.under("job", show(&job, call.view))))
}

/// `PATCH /jobs/{id}`
pub async fn update(mut call: Call) -> Outcome<Response> {
    let id: JobId = call.id();
    job_templates::get(&call.app, &call.caller, &id).await?;
    if let Value::Object(members) = &mut call.json {
        for key in IGNORED {
            members.remove(key);
        }
    }
    let mut body = call.body("job_update")?;
    let change = JobTemplateChange {
        name: members::text(&mut body, "name"),
        description: members::nullable_text(&mut body, "description"),
        is_public: members::kept_flag(&mut body, "is_public"),
        is_protected: members::kept_flag(&mut body, "is_protected"),
    };
    let job = job_templates::update(&call.app, &call.caller, &id, change).await?;
    Ok(reply::accepted(call.view.under("job", show(&job, call.view))))
}

/// `DELETE /jobs/{id}`
pub async fn delete(call: Call) -> Outcome<Response> {
    call.check_params()?;
    job_templates::delete(&call.app, &call.caller, &call.id()).await?;
    Ok(reply::nothing())
}

/// `POST /jobs/{id}/execute`
pub async fn execute(mut call: Call) -> Outcome<Response> {
    let id: JobId = call.id();
    job_templates::get(&call.app, &call.caller, &id).await?;
    drop_empty_members(&mut call.json);
    let body = call.body("job_execute")?;
    submit(&call, &id, body).await
}

/// `POST /jobs` of v2: the same with the template's id in the body.
pub async fn execute_v2(mut call: Call) -> Outcome<Response> {
    drop_empty_members(&mut call.json);
    let mut body = call.body("job_execute")?;
    let id: JobId = members::required_text(&mut body, "job_template_id").into();
    let missing = |error| match error {
        // Here the id is no part of the path, and a wrong one is a wrong reference.
        Error::NotFound { .. } => {
            Error::refused(Code::InvalidReference, format!("Job template with id '{id}' doesn't exist"))
        }
        other => other,
    };
    job_templates::get(&call.app, &call.caller, &id).await.map_err(missing)?;
    submit(&call, &id, body).await
}

async fn submit(call: &Call, id: &JobId, mut body: Map<String, Value>) -> Outcome<Response> {
    let submit = Submit {
        cluster: members::text(&mut body, "cluster_id").map(Into::into),
        input: members::text(&mut body, "input_id").map(Into::into),
        output: members::text(&mut body, "output_id").map(Into::into),
        job_configs: members::object(&mut body, "job_configs"),
        interface: members::object(&mut body, "interface"),
    };
    let row = executions::submit(&call.app, &call.caller, &call.token, id, submit).await?;
    Ok(reply::accepted(call.view.under("job_execution", job_executions::show(&row))))
}

/// Heat sends null members in `job_configs` and an empty list as `interface`: both count as absent (decision 7). A null
/// deeper inside stays wrong.
fn drop_empty_members(body: &mut Value) {
    let Value::Object(members) = body else { return };
    if members.get("interface").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        members.remove("interface");
    }
    if let Some(Value::Object(configs)) = members.get_mut("job_configs") {
        for key in ["configs", "params", "args", "job_execution_info"] {
            if configs.get(key).is_some_and(Value::is_null) {
                configs.remove(key);
            }
        }
    }
}

/// `GET /jobs/config-hints/{job_type}`
pub async fn config_hints(call: Call) -> Outcome<Response> {
    let hints = job_types::config_hints(call.parameter("job_type"))?;
    call.check_params()?;
    Ok(reply::ok(call.view.under("job_config", hints)))
}

/// The template as section 7.2 shows it.
fn show(job: &JobTemplate, view: View) -> Value {
    let binaries = |binaries: &[JobBinary]| -> Value {
        binaries.iter().map(|binary| view.object(job_binaries::show(binary))).collect()
    };
    let argument = |(order, argument): (usize, &InterfaceArgument)| {
        json!({
            "id": argument.id,
            "job_id": job.id,
            "tenant_id": job.project,
            "name": argument.name,
            "description": argument.description,
            "mapping_type": argument.mapping_type,
            "location": argument.location,
            "value_type": argument.value_type,
            "required": argument.required,
            "order": order,
            "default": argument.default,
            "created_at": argument.created_at.sahara(),
            "updated_at": null,
        })
    };
    json!({
        "id": job.id,
        "tenant_id": job.project,
        "name": job.name,
        "description": job.description,
        "type": job.job_type,
        "mains": binaries(&job.mains),
        "libs": binaries(&job.libs),
        "interface": job.interface.iter().enumerate().map(argument).collect::<Vec<_>>(),
        "is_public": job.is_public,
        "is_protected": job.is_protected,
        "created_at": job.created_at.sahara(),
        "updated_at": reply::time(job.updated_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_members_count_as_absent() {
        let mut body = json!({"interface": [], "job_configs": {"configs": null, "args": [], "params": {"a": null}}});
        drop_empty_members(&mut body);
        assert_eq!(body, json!({"job_configs": {"args": [], "params": {"a": null}}}));
        let mut body = json!({"interface": null, "cluster_id": null});
        drop_empty_members(&mut body);
        assert_eq!(body, json!({"interface": null, "cluster_id": null}));
    }
}
