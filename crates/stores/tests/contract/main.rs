//! What holds for every store, and what holds for each.

mod every;
mod http;
mod local;
mod mounts;
mod place;
mod s3;
mod swift;
mod web;
mod webhdfs;
