//! What clusters and templates are made of: the checks that all of them share, and how node groups of a request become whole
//! (sahara-v1.1.md section 9). Flavors, images, networks and key pairs are kept as they are given.

use foggara_db::{Conn, node_group_templates};
use foggara_domain::{
    Code, Error, NodeGroupId, NodeGroupTemplateId, ProjectId, Result, Timestamp,
    cluster::{HOST_NAME, instance_name},
    node_group::{Configs, NodeGroup, NodeSettings},
};
use foggara_engines::Plugin;
use serde_json::{Map, Value};

/// Domain of node names when a cluster names none; it counts in the length of a host name.
const DOMAIN: &str = "novalocal";
/// The largest number of nodes of a cluster.
pub(super) const MOST_NODES: i64 = 1000;

/// A node group as a request gives it; its schema is checked.
#[derive(Clone, Debug)]
pub struct GivenGroup {
    /// Unique among the cluster's.
    pub name: String,
    /// How many nodes.
    pub count: i64,
    /// The template to start from.
    pub template: Option<NodeGroupTemplateId>,
    /// Everything else, by name.
    pub settings: Map<String, Value>,
}

/// The groups of a request with what their templates bring. Unknown templates: `NOT_FOUND`.
pub(super) async fn whole_groups(
    conn: &mut Conn,
    project: &ProjectId,
    given: &[GivenGroup],
    now: Timestamp,
) -> Result<Vec<NodeGroup>> {
    let mut groups = Vec::with_capacity(given.len());
    for group in given {
        let base = match &group.template {
            None => NodeSettings::default(),
            Some(id) => match node_group_templates::get(conn, project, id).await? {
                Some(template) => template.settings,
                None => {
                    return Err(Error::refused(Code::NotFound, format!("NodeGroup template with id '{id}' not found")));
                }
            },
        };
        groups.push(NodeGroup {
            id: NodeGroupId::new(),
            name: group.name.clone(),
            count: group.count,
            template: group.template.clone(),
            settings: base.with(&group.settings),
            created_at: now,
            updated_at: None,
        });
    }
    Ok(groups)
}

/// Settings must be known to the plugin.
pub(super) fn check_configs(plugin: &dyn Plugin, configs: &Configs) -> Result<()> {
    let known = &plugin.description().configs;
    let refuse = |text: String| Err(Error::refused(Code::InvalidReference, text));
    for (target, settings) in configs {
        if !known.iter().any(|item| item.target == target) {
            return refuse(format!("Plugin doesn't contain applicable target '{target}'"));
        }
        for name in settings.as_object().into_iter().flat_map(Map::keys) {
            let Some(item) = known.iter().find(|item| item.target == target && item.name == name) else {
                return refuse(format!(
                    "Plugin's applicable target '{target}' doesn't contain config with name '{name}'"
                ));
            };
            // It names a file of the server's host, which the server would open for whoever asks.
            if item.operator {
                return refuse(format!(
                    "The config '{name}' of '{target}' can only be set in the server's configuration ([clusters.NAME])"
                ));
            }
        }
    }
    Ok(())
}

/// Processes must be known to the plugin, and each stand once.
pub(super) fn check_processes(plugin: &dyn Plugin, processes: &[String]) -> Result<()> {
    let twice = twice(processes.iter().map(String::as_str));
    if !twice.is_empty() {
        let text = format!("Duplicates in node processes have been detected: {}", listed(&twice));
        return Err(Error::refused(Code::InvalidData, text));
    }
    let known: Vec<&str> =
        plugin.description().processes.iter().flat_map(|(_, processes)| processes.iter().copied()).collect();
    let mut unknown: Vec<&str> =
        processes.iter().map(String::as_str).filter(|process| !known.contains(process)).collect();
    unknown.sort_unstable();
    if unknown.is_empty() {
        return Ok(());
    }
    let text = format!("Plugin doesn't support the following node processes: {}", listed(&unknown));
    Err(Error::refused(Code::InvalidReference, text))
}

/// What each node of a group is.
pub(super) fn check_settings(plugin: &dyn Plugin, settings: &NodeSettings) -> Result<()> {
    check_configs(plugin, &settings.node_configs)?;
    check_processes(plugin, &settings.node_processes)?;
    if settings.volumes_per_node > 0 && settings.volumes_size.unwrap_or(0) == 0 {
        return Err(Error::refused(Code::InvalidReference, "You must specify a volumes_size parameter"));
    }
    check_shares(settings.shares.as_ref())
}

/// Shares are mounted at absolute paths, each at its own.
pub(super) fn check_shares(shares: Option<&Value>) -> Result<()> {
    let shares = shares.and_then(Value::as_array).into_iter().flatten();
    let paths: Vec<&str> = shares.filter_map(|share| share.get("path").and_then(Value::as_str)).collect();
    if !twice(paths.iter().copied()).is_empty() {
        let text = "Multiple shares cannot be mounted to the same path.";
        return Err(Error::refused(Code::InvalidData, text));
    }
    if paths.iter().any(|path| !path.starts_with('/')) {
        let text = "Paths must be absolute Linux paths starting with \"/\" and may not contain nulls.";
        return Err(Error::refused(Code::InvalidData, text));
    }
    Ok(())
}

/// The groups of a cluster or template together.
pub(super) fn check_groups(plugin: &dyn Plugin, groups: &[NodeGroup]) -> Result<()> {
    check_names(groups.iter().map(|group| group.name.as_str()))?;
    let mut nodes = 0i64;
    for group in groups {
        if group.count < 0 {
            let text = format!("The count of node group '{}' is {}; it has to be 0 or more", group.name, group.count);
            return Err(Error::refused(Code::InvalidData, text));
        }
        nodes = nodes.saturating_add(group.count);
        check_settings(plugin, &group.settings)?;
    }
    if nodes > MOST_NODES {
        let text = format!("The node groups have {nodes} nodes together, and a cluster has at most {MOST_NODES}");
        return Err(Error::refused(Code::InvalidData, text));
    }
    Ok(())
}

/// Each name stands once, also without regard to case: the names of nodes are made of them in lower case.
pub(super) fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let folded: Vec<String> = names.map(str::to_lowercase).collect();
    let twice = twice(folded.iter().map(String::as_str));
    if twice.is_empty() {
        return Ok(());
    }
    let text = format!("Duplicates in node group names are detected: {}", listed(&twice));
    Err(Error::refused(Code::InvalidData, text))
}

/// The longest name of a node must be a host name.
pub(super) fn check_host_names(cluster: &str, domain: Option<&str>, groups: &[NodeGroup]) -> Result<()> {
    for group in groups {
        let host = format!("{}.{}", instance_name(cluster, &group.name, group.count), domain.unwrap_or(DOMAIN));
        if host.len() > HOST_NAME {
            let text = format!(
                "Composite hostname {host} in provisioned cluster exceeds maximum limit {HOST_NAME} characters"
            );
            return Err(Error::refused(Code::InvalidData, text));
        }
    }
    Ok(())
}

fn twice<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    let mut twice = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        } else if !twice.contains(&name) {
            twice.push(name);
        }
    }
    twice
}

/// A list as the original prints it.
fn listed(names: &[&str]) -> String {
    format!("[{}]", names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_twice_is_named_once() {
        assert_eq!(twice(["a", "b", "a", "a", "c", "b"].into_iter()), ["a", "b"]);
        assert_eq!(listed(&["a", "b"]), "['a', 'b']");
    }

    #[test]
    fn shares_have_paths_of_their_own() {
        use serde_json::json;
        assert!(
            check_shares(Some(&json!([{"id": "1", "path": "/a"}, {"id": "2"}, {"id": "3", "path": null}]))).is_ok()
        );
        assert!(check_shares(Some(&json!([{"id": "1", "path": "/a"}, {"id": "2", "path": "/a"}]))).is_err());
        assert!(check_shares(Some(&json!([{"id": "1", "path": "a"}]))).is_err());
    }
}
