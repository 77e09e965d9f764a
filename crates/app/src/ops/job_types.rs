//! Job types: which there are, where they run, and their config hints (sahara-v1.1.md section 7.3).

use foggara_domain::{Error, Result, job_type};
use serde_json::{Value, json};

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
    if !passes(versions, plugins::VERSION) {
        return Value::Array(shown);
    }
    for job_type in job_type::ALL.iter().filter(|job_type| passes(types, job_type.name)) {
        let version = if hints { json!({"job_config": job_type.config_hints()}) } else { json!({}) };
        let found = plugins::of_job_type(app, job_type).into_iter().filter(|(name, _)| passes(plugins, name));
        let found: Vec<Value> = found
            .map(|(_, mut plugin)| {
                plugin["versions"] = json!({plugins::VERSION: version});
                plugin
            })
            .collect();
        if !found.is_empty() {
            shown.push(json!({"name": job_type.name, "plugins": found}));
        }
    }
    Value::Array(shown)
}
