//! What holds for every store, and what holds for each.

mod every;
mod http;
mod local;
mod place;
mod s3;
mod swift;
