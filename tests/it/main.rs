//! The one integration test program: over HTTP against the real program. It is built with the feature `failpoints`.

mod api;
mod cluster_crash;
mod clusters;
mod commands;
mod crash;
mod distcp;
mod embedded;
mod engines;
mod flink;
mod identity;
mod launcher;
mod lifecycle;
mod mrs;
mod mrs_engines;
mod mrs_stores;
mod mrs_wrong;
mod rights;
mod serve;
mod servers;
mod signing;
mod spark_clusters;
mod sql;
mod world;
mod wrong_input;
