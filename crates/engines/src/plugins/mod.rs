//! The plugins.

pub mod flink;
pub mod kubernetes;
pub mod local;
pub mod sim;
pub mod spark;
pub mod yarn;
