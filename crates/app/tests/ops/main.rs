//! The operations on resources, against a real database and the simulated engine. Nothing polls: no duty is started, so an
//! execution stays PENDING.

#![allow(missing_docs, reason = "tests")]

mod binaries;
mod data_sources;
mod execute;
mod place;
mod templates;
