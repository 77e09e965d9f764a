//! The plugins.

pub mod flink;
pub mod hive;
pub mod kubernetes;
pub mod local;
mod metastore;
pub mod sim;
pub mod spark;
pub mod storm;
pub mod yarn;
