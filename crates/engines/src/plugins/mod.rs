//! The plugins.

pub mod hive;
pub mod local;
pub mod sim;
pub mod spark;
pub mod storm;
