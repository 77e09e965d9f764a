//! Job binaries and internal binaries: records and rules (sahara-v1.1.md sections 5 and 6).

use serde_json::{Map, Value};

use crate::{BinaryId, InternalBinaryId, ProjectId, Timestamp};

/// A name for the url of a script, jar or library.
#[derive(Clone, Debug, PartialEq)]
pub struct JobBinary {
    /// Its id.
    pub id: BinaryId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Unique among the project's; a staged file bears it.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Where the bytes are.
    pub url: String,
    /// Credentials, sealed in the database and never shown.
    pub extra: Option<Map<String, Value>>,
    /// Others may read and use it.
    pub is_public: bool,
    /// It may not be deleted or changed.
    pub is_protected: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}

/// Bytes that were uploaded into the service itself.
#[derive(Clone, Debug, PartialEq)]
pub struct InternalBinary {
    /// Its id; `internal-db://<id>` names it.
    pub id: InternalBinaryId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Unique among the project's.
    pub name: String,
    /// How many bytes.
    pub size: u64,
    /// Lower-case hexadecimal SHA-256 of the bytes.
    pub sha256: String,
    /// Others may read and use it.
    pub is_public: bool,
    /// It may not be deleted or changed.
    pub is_protected: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}
