//! The plugins.

pub mod local;
pub mod sim;
pub mod spark;
pub mod yarn;
