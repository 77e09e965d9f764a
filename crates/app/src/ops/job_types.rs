//! Job types: which there are, where they run, and their config hints (sahara-v1.1.md section 7.3).

use foggara_domain::{Error, Result, job_type};
use serde_json::{Map, Value, json};

use super::plugins;
use crate::App;

/// The config hints of a job type.
pub fn config_hints(name: &str) -> Result<Value> {
    match job_type::find(name) {
        Some(job_type) => Ok(job_type.config_hints()),
        None => Err(Error::NotFound { key: "job_type", value: name.to_owned() }),
    }
}

/// The job types with the plugins that run them; types without any are left out. Empty filters let everything through.
pub fn list(app: &App, types: &[String], plugins: &[String], versions: &[String], hints: bool) -> Value {
    let passes = |filter: &[String], name: &str| filter.is_empty() || filter.iter().any(|wanted| wanted == name);
    let mut shown = Vec::new();
    for job_type in job_type::ALL.iter().filter(|job_type| passes(types, job_type.name)) {
        let about = if hints { json!({"job_config": job_type.config_hints()}) } else { json!({}) };
        let found = plugins::of_job_type(app, job_type).into_iter().filter(|(name, ..)| passes(plugins, name));
        let with_versions = found.filter_map(|(_, known, mut plugin)| {
            let known: Map<String, Value> = known
                .into_iter()
                .filter(|version| passes(versions, version))
                .map(|version| (version, about.clone()))
                .collect();
            if known.is_empty() {
                return None;
            }
            plugin["versions"] = Value::Object(known);
            Some(plugin)
        });
        let found: Vec<Value> = with_versions.collect();
        if !found.is_empty() {
            shown.push(json!({"name": job_type.name, "plugins": found}));
        }
    }
    Value::Array(shown)
}
