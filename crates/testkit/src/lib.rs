//! Tests only: the real program as a subject, a client for it, a private PostgreSQL, and how to wait for conditions.

pub mod api;
pub mod flink;
pub mod java;
pub mod kubernetes;
pub mod postgres;
pub mod processes;
pub mod program;
pub mod proxy;
pub mod s3;
mod service;
pub mod spark_master;
pub mod storm;
pub mod swift;
pub mod tls;
pub mod wait;
pub mod web_page;
pub mod webhdfs;
pub mod yarn;
