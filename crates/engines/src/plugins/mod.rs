//! The plugins.

pub mod kubernetes;
pub mod local;
pub mod sim;
pub mod spark;
pub mod yarn;
