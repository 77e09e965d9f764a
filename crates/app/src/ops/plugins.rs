//! Plugins: which engines this server has, as Sahara's clients read it (sahara-v1.1.md section 9).

use foggara_domain::{Error, Result, job_type};
use foggara_engines::Ability;
use serde_json::{Map, Value, json};

use crate::App;

/// The one version of our plugins.
pub const VERSION: &str = "1.0";

struct Words {
    title: &'static str,
    description: &'static str,
}

fn words(plugin: &str) -> Words {
    match plugin {
        "local" => Words {
            title: "Local processes",
            description: "Runs Shell, Java, Spark and streaming jobs as supervised processes of this host",
        },
        "sim" => Words {
            title: "Simulated engine",
            description: "Runs nothing: plays the states that its control file names, for tests of clients",
        },
        _ => Words { title: "Engine", description: "An engine of this server" },
    }
}

fn label(status: bool, mutable: bool, description: &str) -> Value {
    json!({"status": status, "mutable": mutable, "description": description})
}

fn show(plugin: &str) -> Map<String, Value> {
    let words = words(plugin);
    let plugin_labels = json!({
        "enabled": label(true, true, "Plugin is enabled and can be used by any user."),
        "hidden": label(false, true, "Existence of plugin or its version is hidden, but still can be used for cluster creation by CLI and directly by client."),
        "stable": label(true, false, "Plugin stability."),
    });
    let version_labels = json!({VERSION: {"enabled": label(true, true, "Plugin version is enabled and can be used by any user."), "stable": label(true, false, "Plugin version stability.")}});
    let shown = json!({
        "name": plugin,
        "title": words.title,
        "description": words.description,
        "versions": [VERSION],
        "plugin_labels": plugin_labels,
        "version_labels": version_labels,
    });
    match shown {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// All plugins by name.
pub fn list(app: &App) -> Vec<Value> {
    app.engines().iter().map(|engine| Value::Object(show(engine.plugin()))).collect()
}

/// One plugin.
pub fn get(app: &App, name: &str) -> Result<Value> {
    known(app, name)?;
    Ok(Value::Object(show(name)))
}

fn known(app: &App, name: &str) -> Result<()> {
    match app.engines().get(name) {
        Some(_) => Ok(()),
        None => Err(Error::NotFound { key: "plugin_name", value: name.to_owned() }),
    }
}

/// One version of a plugin, with what a cluster of it is made of.
pub fn version(app: &App, name: &str, version: &str) -> Result<Value> {
    known(app, name)?;
    if version != VERSION {
        return Err(Error::NotFound { key: "version", value: version.to_owned() });
    }
    let mut shown = show(name);
    shown.insert("configs".to_owned(), json!([]));
    shown.insert("node_processes".to_owned(), json!({"Jobs": [name]}));
    shown.insert("required_image_tags".to_owned(), json!([]));
    Ok(Value::Object(shown))
}

/// For `/job-types`: the plugins that run a job type, also those that lack something for it at present, as `doctor` tells
/// how to get it.
pub(super) fn of_job_type(app: &App, wanted: &job_type::JobType) -> Vec<(&'static str, Value)> {
    let engines = app.engines().iter().filter(|engine| engine.ability(wanted.plan_kind) != Ability::Never);
    let item = |plugin: &'static str| {
        let words = words(plugin);
        (plugin, json!({"name": plugin, "title": words.title, "description": words.description}))
    };
    engines.map(|engine| item(engine.plugin())).collect()
}
