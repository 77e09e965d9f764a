//! Clusters: where executions run.

use serde_json::{Map, Value};

use crate::{ClusterId, ProjectId, Timestamp};

/// A cluster names a plugin (`local`, `sim`, ...) and its connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Its id.
    pub id: ClusterId,
    /// The project it belongs to; the program's own belong to [`ProjectId::system`].
    pub project: ProjectId,
    /// Unique among the project's.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Which engine.
    pub plugin: String,
    /// Version of the plugin.
    pub version: String,
    /// Sahara's status word; jobs run only on `Active`.
    pub status: String,
    /// Why it is in that status.
    pub status_description: String,
    /// Plugin's settings, two levels, as the API shows them.
    pub configs: Map<String, Value>,
    /// Others may use it.
    pub is_public: bool,
    /// It may not be deleted or changed.
    pub is_protected: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}

impl Cluster {
    /// Whether jobs may run on it.
    pub fn is_active(&self) -> bool {
        self.status == "Active"
    }
}
