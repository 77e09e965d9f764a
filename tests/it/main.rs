//! The one integration test program: over HTTP against the real program. It is built with the feature `failpoints`.

mod api;
mod cluster_crash;
mod clusters;
mod commands;
mod crash;
mod engines;
mod identity;
mod lifecycle;
mod mrs;
mod mrs_wrong;
mod rights;
mod serve;
mod servers;
mod spark_clusters;
mod world;
mod wrong_input;
