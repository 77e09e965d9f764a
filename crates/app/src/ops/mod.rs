//! Answers to callers: short, one transaction, no engine call. A module per resource.

pub mod cluster_templates;
pub mod clusters;
pub mod data_sources;
pub mod executions;
pub mod health;
pub mod idempotency;
pub mod images;
pub mod internal_binaries;
pub mod job_binaries;
pub mod job_templates;
pub mod job_types;
pub mod node_group_templates;
pub mod ownership;
pub mod plugins;
mod references;
mod shape;
