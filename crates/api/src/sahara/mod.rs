//! Sahara's surface: v1.1 whole for jobs, reads of clusters and plugins also as v1.0 (sahara-v1.1.md).

pub mod body;
pub mod error;
mod members;
mod python;
#[cfg(test)]
mod recorded;
pub mod v11;
