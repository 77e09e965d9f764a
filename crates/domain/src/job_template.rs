//! Job templates (`job` in Sahara v1.1): records and rules (sahara-v1.1.md section 7).

use serde_json::Value;

use crate::{JobId, ProjectId, Timestamp, binary::JobBinary, flag::Flag};

/// What to run: a job type with its binaries and its interface.
#[derive(Clone, Debug, PartialEq)]
pub struct JobTemplate {
    /// Its id.
    pub id: JobId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Unique among the project's.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Wire name of the job type.
    pub job_type: String,
    /// Main scripts or application jars, in order.
    pub mains: Vec<JobBinary>,
    /// Libraries, in order.
    pub libs: Vec<JobBinary>,
    /// Arguments that the template names, in order.
    pub interface: Vec<InterfaceArgument>,
    /// Others may read and use it.
    pub is_public: Flag,
    /// It may not be deleted or changed.
    pub is_protected: Flag,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}

/// One named argument of a template's interface.
#[derive(Clone, Debug, PartialEq)]
pub struct InterfaceArgument {
    /// Its id.
    pub id: String,
    /// Name by which a caller gives it.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// `args`, `configs` or `params`.
    pub mapping_type: String,
    /// Key or, for `args`, position.
    pub location: String,
    /// `string`, `number` or `data_source`.
    pub value_type: String,
    /// A caller must give it.
    pub required: bool,
    /// Value when the caller gives none.
    pub default: Option<Value>,
    /// When it was made.
    pub created_at: Timestamp,
}
