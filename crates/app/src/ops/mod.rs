//! Answers to callers: short, one transaction, no engine call. A module per resource.

pub mod clusters;
pub mod data_sources;
pub mod executions;
pub mod health;
pub mod idempotency;
pub mod internal_binaries;
pub mod job_binaries;
pub mod job_templates;
pub mod job_types;
pub mod ownership;
pub mod plugins;
