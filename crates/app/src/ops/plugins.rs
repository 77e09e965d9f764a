//! Plugins as Sahara's clients read them, and the labels that an administrator sets for a project (sahara-v1.1.md section 9).

use foggara_db::{
    Conn,
    plugin_labels::{self, PluginLabel},
};
use foggara_domain::{Caller, Code, Error, ProjectId, Result, job_type};
use foggara_engines::{
    Ability, Plugin,
    plugin::{ConfigItem, ConfigKind},
};
use serde_json::{Map, Value, json};

use crate::App;

/// Labels of a plugin: name, default, whether it can be changed, what it says.
const PLUGIN_LABELS: [(&str, bool, bool, &str); 3] =
    [("enabled", true, true, ENABLED), ("hidden", false, true, HIDDEN), ("stable", true, false, STABLE)];
/// Labels of a version.
const VERSION_LABELS: [(&str, bool, bool, &str); 2] =
    [("enabled", true, true, ENABLED), ("stable", true, false, STABLE)];
const ENABLED: &str = "Clusters can be made of it.";
const HIDDEN: &str = "Dashboards leave it out; whoever knows its name can use it all the same.";
const STABLE: &str = "It is meant for daily use.";

/// The labels that a project has set.
struct Labels(Vec<PluginLabel>);

impl Labels {
    async fn of(conn: &mut Conn, project: &ProjectId) -> Result<Self> {
        Ok(Self(plugin_labels::of(conn, project).await?))
    }

    fn get(&self, plugin: &str, version: Option<&str>, label: &str, default: bool) -> bool {
        let set =
            self.0.iter().find(|set| set.plugin == plugin && set.version.as_deref() == version && set.label == label);
        set.map_or(default, |set| set.status)
    }

    fn show(&self, plugin: &str, version: Option<&str>, known: &[(&str, bool, bool, &str)]) -> Value {
        let label = |(name, default, mutable, text): &(&str, bool, bool, &str)| {
            let status = self.get(plugin, version, name, *default);
            ((*name).to_owned(), json!({"status": status, "mutable": mutable, "description": text}))
        };
        Value::Object(known.iter().map(label).collect())
    }
}

fn show(plugin: &dyn Plugin, labels: &Labels) -> Map<String, Value> {
    let (name, words) = (plugin.name(), plugin.description());
    let versions: Map<String, Value> = words
        .versions
        .iter()
        .map(|version| (version.clone(), labels.show(name, Some(version), &VERSION_LABELS)))
        .collect();
    let members = [
        ("name", json!(name)),
        ("title", json!(words.title)),
        ("description", json!(words.text)),
        ("versions", json!(words.versions)),
        ("plugin_labels", labels.show(name, None, &PLUGIN_LABELS)),
        ("version_labels", Value::Object(versions)),
    ];
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// All plugins by name.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Value>> {
    let labels = Labels::of(&mut app.db().read().await?, &caller.project).await?;
    Ok(app.plugins().iter().map(|plugin| Value::Object(show(plugin.as_ref(), &labels))).collect())
}

/// One plugin.
pub async fn get(app: &App, caller: &Caller, name: &str) -> Result<Value> {
    let plugin = known(app, name)?;
    let labels = Labels::of(&mut app.db().read().await?, &caller.project).await?;
    Ok(Value::Object(show(plugin, &labels)))
}

fn known<'a>(app: &'a App, name: &str) -> Result<&'a dyn Plugin> {
    let plugin = app.plugins().get(name).map(AsRef::as_ref);
    plugin.ok_or_else(|| Error::NotFound { key: "plugin_name", value: name.to_owned() })
}

/// One version of a plugin, with what a cluster of it is made of.
pub async fn version(app: &App, caller: &Caller, name: &str, version: &str) -> Result<Value> {
    let plugin = known(app, name)?;
    let words = plugin.description();
    if !words.versions.iter().any(|known| known == version) {
        return Err(Error::NotFound { key: "version", value: version.to_owned() });
    }
    let labels = Labels::of(&mut app.db().read().await?, &caller.project).await?;
    let mut shown = show(plugin, &labels);
    let processes: Map<String, Value> =
        words.processes.iter().map(|(service, processes)| ((*service).to_owned(), json!(processes))).collect();
    shown.insert("configs".to_owned(), words.configs.iter().map(show_config).collect());
    shown.insert("node_processes".to_owned(), Value::Object(processes));
    shown.insert("required_image_tags".to_owned(), json!([name, version]));
    Ok(Value::Object(shown))
}

fn show_config(item: &ConfigItem) -> Value {
    let kind = match item.kind {
        ConfigKind::Text => "string",
        ConfigKind::Number => "int",
    };
    json!({
        "name": item.name,
        "description": item.text,
        "config_type": kind,
        "config_values": null,
        "default_value": item.default,
        "applicable_target": item.target,
        "scope": if item.of_node { "node" } else { "cluster" },
        "is_optional": true,
        "priority": 1,
    })
}

/// Labels to be set: of the plugin, and of its versions.
#[derive(Clone, Debug, Default)]
pub struct NewLabels {
    /// Name and status.
    pub of_plugin: Vec<(String, bool)>,
    /// Version, name and status.
    pub of_versions: Vec<(String, String, bool)>,
}

/// Sets labels for the caller's project. An unknown label or version, or one that cannot be changed: `INVALID_DATA`.
pub async fn update(app: &App, caller: &Caller, name: &str, new: NewLabels) -> Result<Value> {
    let plugin = known(app, name)?;
    let words = plugin.description();
    let mut labels = Vec::new();
    for (label, status) in new.of_plugin {
        may_change(&PLUGIN_LABELS, &label)?;
        labels.push(PluginLabel { plugin: name.to_owned(), version: None, label, status });
    }
    for (version, label, status) in new.of_versions {
        if !words.versions.contains(&version) {
            return Err(Error::refused(Code::InvalidData, format!("Unknown plugin version '{version}' of {name}")));
        }
        may_change(&VERSION_LABELS, &label)?;
        labels.push(PluginLabel { plugin: name.to_owned(), version: Some(version), label, status });
    }
    let project = caller.project.clone();
    app.db()
        .write(move |conn| {
            let (project, labels) = (project.clone(), labels.clone());
            Box::pin(async move {
                for label in &labels {
                    plugin_labels::put(conn, &project, label).await?;
                }
                Ok(())
            })
        })
        .await?;
    get(app, caller, name).await
}

fn may_change(known: &[(&str, bool, bool, &str)], label: &str) -> Result<()> {
    let why = match known.iter().find(|(name, ..)| *name == label) {
        None => "not available for plugin or its version",
        Some((_, _, false, _)) => "not mutable",
        Some(_) => return Ok(()),
    };
    Err(Error::refused(Code::InvalidData, format!("Label '{label}' can't be updated because it's {why}")))
}

/// A plugin that a request names with one of its versions: `INVALID_REFERENCE` for what does not exist.
pub(super) fn referenced<'a>(app: &'a App, name: &str, version: &str) -> Result<&'a dyn Plugin> {
    let refuse = |text: String| Error::refused(Code::InvalidReference, text);
    let plugin = app.plugins().get(name).map(AsRef::as_ref);
    let plugin = plugin.ok_or_else(|| refuse(format!("Sahara doesn't contain plugin with name '{name}'")))?;
    if !plugin.description().versions.iter().any(|known| known == version) {
        return Err(refuse(format!("Requested plugin '{name}' doesn't support version '{version}'")));
    }
    Ok(plugin)
}

/// Whether the project's administrator lets clusters be made of a plugin.
pub(super) async fn is_enabled(conn: &mut Conn, project: &ProjectId, name: &str, version: &str) -> Result<()> {
    let labels = Labels::of(conn, project).await?;
    let refuse = |what: String| Err(Error::refused(Code::InvalidReference, format!("{what} is not enabled")));
    if !labels.get(name, None, "enabled", true) {
        return refuse(format!("Plugin {name}"));
    }
    if !labels.get(name, Some(version), "enabled", true) {
        return refuse(format!("Version {version} of plugin {name}"));
    }
    Ok(())
}

/// For `/job-types`: the plugins that run a job type, also those that lack something for it at present, as `doctor` tells
/// how to get it. With each its versions.
pub(super) fn of_job_type(app: &App, wanted: &job_type::JobType) -> Vec<(&'static str, Vec<String>, Value)> {
    let able = app.plugins().iter().filter(|plugin| plugin.ability(wanted.plan_kind) != Ability::Never);
    let item = |plugin: &std::sync::Arc<dyn Plugin>| {
        let (name, words) = (plugin.name(), plugin.description());
        (name, words.versions.clone(), json!({"name": name, "title": words.title, "description": words.text}))
    };
    able.map(item).collect()
}
