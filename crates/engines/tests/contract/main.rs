//! The contract of the engines (lifecycle.md, "Launch without doubles" and "Stop until gone"). [`promises`] holds for every
//! engine, which brings a [`rig::Rig`]; the rest is what the local engine owes beyond that, with real processes and a real shim.

mod confined;
mod ends;
mod flink;
mod hive;
mod host;
mod kubernetes;
mod launches;
mod logs;
mod map_reduce;
mod place;
mod plans;
mod promises;
mod rig;
mod spark_rest;
mod stops;
mod storm;
mod streaming;
mod supervisors;
mod yarn;
