//! Words and rules of job processing: no I/O, no async, no clock of its own.
//!
//! Every other crate speaks in these types. What a request means is in `app`, how it is stored in `db`, how it looks on
//! the wire in `api`.

pub mod address;
pub mod binary;
pub mod caller;
pub mod cluster;
pub mod data_source;
pub mod direct;
pub mod drive;
pub mod error;
pub mod execution;
pub mod flag;
pub mod ids;
pub mod image;
pub mod interface;
pub mod job_template;
pub mod job_type;
pub mod node_group;
pub mod page;
pub mod placeholder;
pub mod plan;
pub mod redact;
pub mod secret;
pub mod sql;
pub mod status;
pub mod time;

pub use caller::Caller;
pub use error::{Code, Error, Result};
pub use execution::Execution;
pub use ids::{
    BinaryId, ClusterId, ClusterTemplateId, DataSourceId, ExecutionId, InstanceId, InternalBinaryId, JobId,
    NodeGroupId, NodeGroupTemplateId, ProjectId, Tag, UserId,
};
pub use secret::Secret;
pub use time::Timestamp;
