//! Sahara's surface: a file per resource with the handlers of every version, a table of routes per version (`v1`, `v2`), and in
//! [`view`] every name in which the versions differ (sahara-v1.1.md, sahara-v2.md).

pub mod body;
mod cluster_templates;
mod clusters;
mod data_sources;
pub mod error;
mod images;
mod job_binaries;
mod job_binary_internals;
pub mod job_executions;
mod job_templates;
mod job_types;
mod members;
pub mod microversion;
mod node_group_templates;
mod node_groups;
mod plugins;
mod python;
#[cfg(test)]
mod recorded;
mod routes;
pub mod schemas;
pub mod v1;
pub mod v2;
pub mod view;
