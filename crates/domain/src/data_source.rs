//! Data sources: records and rules (sahara-v1.1.md section 4).

use serde_json::{Map, Value};

use crate::{DataSourceId, ProjectId, Timestamp};

/// A named place that jobs read from or write to.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSource {
    /// Its id.
    pub id: DataSourceId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Unique among the project's.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// `swift hdfs maprfs manila s3 file http obs`.
    pub kind: String,
    /// May hold placeholders.
    pub url: String,
    /// Credentials, sealed in the database and never shown.
    pub credentials: Option<Map<String, Value>>,
    /// Others may read and use it.
    pub is_public: bool,
    /// It may not be deleted or changed.
    pub is_protected: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}
