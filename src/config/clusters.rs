//! `[clusters.NAME]`: which settings there are is the plugin's to say, so the table is open.

use std::collections::BTreeMap;

use foggara_app::ops::clusters::OWN;
use serde::{Deserialize, Serialize};
use toml::Table;

/// `[clusters.NAME]`: a public cluster whose services run elsewhere.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct ClusterSection {
    /// Its plugin: `spark`, `yarn`, ...
    pub plugin: String,
    /// A line for users.
    pub description: Option<String>,
    /// The plugin's settings.
    #[serde(flatten)]
    pub settings: Table,
}

/// What the reference says of clusters.
pub(super) const REFERENCE: &str = "
# Public clusters whose services run elsewhere; no user can delete them. The settings are those of the plugin (docs/engines.md).
# [clusters.NAME]
# plugin = \"yarn\"
# description =
# resource_manager = \"http://rm1:8088,http://rm2:8088\"
";

/// Whether a dotted name is a setting of a cluster, which its plugin checks.
pub(super) fn is_theirs(key: &str) -> bool {
    key.strip_prefix("clusters.").is_some_and(|rest| rest.contains('.'))
}

/// The error is the reason.
pub(super) fn check(clusters: &BTreeMap<String, ClusterSection>) -> Result<(), String> {
    match clusters.keys().find(|name| OWN.contains(&name.as_str()) || !is_name(name)) {
        None => Ok(()),
        Some(name) if OWN.contains(&name.as_str()) => Err(format!("'{name}' is a cluster of the program's own")),
        Some(name) => Err(format!(
            "'{name}' is no name: it has letters, digits, '.', '-' and '_', begins with a letter or digit, and has 80 at most"
        )),
    }
}

fn is_name(name: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.len() <= 80 && name.chars().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> Result<BTreeMap<String, ClusterSection>, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_cluster_has_a_plugin_and_whatever_that_takes() {
        let read = section("[prod]\nplugin = \"yarn\"\nresource_manager = \"http://rm:8088\"\n").expect("read");
        let prod = &read["prod"];
        assert_eq!((prod.plugin.as_str(), prod.description.as_deref()), ("yarn", None));
        assert_eq!(prod.settings["resource_manager"].as_str(), Some("http://rm:8088"));
        assert!(section("[prod]\nurl = 1\n").expect_err("no plugin").contains("plugin"));
    }

    #[test]
    fn names_are_checked() {
        let wrong = |name: &str| {
            let read = section(&format!("[\"{name}\"]\nplugin = \"yarn\"\n")).expect("read");
            check(&read).expect_err(name)
        };
        assert!(wrong("local").contains("program's own"));
        assert!(wrong("-a").contains("no name"));
        assert!(wrong("a b").contains("no name"));
        assert!(is_theirs("clusters.prod.plugin") && !is_theirs("clusters.prod") && !is_theirs("server.listen"));
    }
}
