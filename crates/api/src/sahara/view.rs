//! v1.1 and v2 are two views of one store (sahara-v2.md section 2): the same handlers answer both, and here is every name that
//! differs. Bodies come in and objects go out with the names of the version that the path names.

use foggara_domain::page::Page;
use serde_json::{Map, Value};

use crate::page;

/// Which version a path speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// v1.0 and v1.1, and everything that is not Sahara's.
    V1,
    /// v2.
    V2,
}

/// Keys around objects and lists: v1.1, v2.
const ENVELOPES: [(&str, &str); 4] =
    [("job", "job_template"), ("jobs", "job_templates"), ("job_execution", "job"), ("job_executions", "jobs")];

/// Members of objects and filters of lists: v1.1, v2.
const MEMBERS: [(&str, &str); 3] =
    [("tenant_id", "project_id"), ("hadoop_version", "plugin_version"), ("job_id", "job_template_id")];

/// Members that v2 does not have.
const GONE: [&str; 1] = ["oozie_job_id"];

impl View {
    /// The view of a path that was taken apart already.
    pub fn of(path: &str) -> Self {
        if path.starts_with("/v2/") { Self::V2 } else { Self::V1 }
    }

    /// The name that a member of v1.1 has here.
    pub fn member(self, name: &str) -> &str {
        match self {
            Self::V1 => name,
            Self::V2 => MEMBERS.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new),
        }
    }

    /// The name in v1.1 of a member that is called so here.
    pub fn known_as(self, name: &str) -> &str {
        match self {
            Self::V1 => name,
            Self::V2 => MEMBERS.iter().find(|(_, new)| *new == name).map_or(name, |(old, _)| old),
        }
    }

    /// An object that was made with the names of v1.1. Only its own members are renamed, not those of objects inside of it.
    pub fn object(self, object: Value) -> Value {
        match (self, object) {
            (Self::V2, Value::Object(members)) => {
                let kept = members.into_iter().filter(|(name, _)| !GONE.contains(&name.as_str()));
                kept.map(|(name, value)| (self.member(&name).to_owned(), value)).collect::<Map<_, _>>().into()
            }
            (_, object) => object,
        }
    }

    /// The members of a body with the names of v1.1.
    pub fn body(self, members: Map<String, Value>) -> Map<String, Value> {
        // Of all that is renamed only the version of a plugin stands in bodies under both names.
        let back = |name: String| {
            if self == Self::V2 && name == "plugin_version" { "hadoop_version".to_owned() } else { name }
        };
        members.into_iter().map(|(name, value)| (back(name), value)).collect()
    }

    fn envelope(self, key: &'static str) -> &'static str {
        match self {
            Self::V1 => key,
            Self::V2 => ENVELOPES.iter().find(|(old, _)| *old == key).map_or(key, |(_, new)| new),
        }
    }

    /// An object under its key.
    pub fn under(self, key: &'static str, object: Value) -> Value {
        crate::reply::under(self.envelope(key), self.object(object))
    }

    /// The body of a list under its key.
    pub fn list<T>(
        self,
        key: &'static str,
        page: Page<T>,
        marker_given: bool,
        mut show: impl FnMut(T) -> Value,
    ) -> Value {
        page::body(self.envelope(key), page, marker_given, |item| self.object(show(item)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn v2_renames_and_leaves_out() {
        let shown = json!({"tenant_id": "p", "job_id": "j", "oozie_job_id": "o", "interface": [{"tenant_id": "p"}]});
        let wanted = json!({"project_id": "p", "job_template_id": "j", "interface": [{"tenant_id": "p"}]});
        assert_eq!(View::V2.under("job_execution", shown.clone()), json!({"job": wanted}));
        assert_eq!(View::V1.under("job_execution", shown.clone()), json!({"job_execution": shown}));
        assert_eq!(
            (View::V2.known_as("plugin_version"), View::V1.known_as("plugin_version")),
            ("hadoop_version", "plugin_version")
        );
    }

    #[test]
    fn a_path_tells_the_view() {
        assert_eq!((View::of("/v2/jobs"), View::of("/v1.1/jobs"), View::of("/v20/x")), (View::V2, View::V1, View::V1));
    }
}
