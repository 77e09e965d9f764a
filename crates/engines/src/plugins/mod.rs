//! The plugins.

pub mod flink;
pub mod local;
pub mod sim;
pub mod spark;
