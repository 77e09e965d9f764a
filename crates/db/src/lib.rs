//! The only crate that knows SQL. One text of SQL serves SQLite and PostgreSQL.
//!
//! Every function of a resource takes a [`Conn`]; whether that is a reader or a transaction is the caller's choice:
//! `db.read().await?` gives a reader, `db.write(|conn| Box::pin(async move { .. }))` a durable transaction.

pub mod access_keys;
pub mod accounts;
pub mod application_credentials;
pub mod cluster_templates;
pub mod clusters;
pub mod data_sources;
mod error;
pub mod events;
pub mod executions;
pub mod images;
pub mod instances;
pub mod internal_binaries;
pub mod job_binaries;
pub mod job_templates;
mod json;
pub mod keys;
pub mod meta;
mod migrate;
pub mod node_group_templates;
mod node_groups;
pub mod once;
pub mod ownership;
mod page;
pub mod plugin_labels;
mod pools;
pub mod provision;
mod query;
mod seal;
pub mod trusts;
mod wake;
mod writer;

pub use migrate::Version;
pub use pools::{Conn, Db, Kind, Settings};
pub use query::{Query, Row, Value, sql};
pub use seal::SealKeys;
pub use wake::Wakes;
