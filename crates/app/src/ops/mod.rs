//! Answers to callers: short, one transaction, no engine call. A module per resource.

pub mod executions;
pub mod health;
pub mod ownership;
