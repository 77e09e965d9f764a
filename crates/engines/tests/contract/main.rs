//! The contract of the engines (lifecycle.md, "Launch without doubles" and "Stop until gone"). [`promises`] holds for every
//! engine, which brings a [`rig::Rig`]; the rest is what the local engine owes beyond that, with real processes and a real shim.

mod confined;
mod ends;
mod hive;
mod host;
mod launches;
mod logs;
mod place;
mod plans;
mod promises;
mod rig;
mod stops;
mod storm;
mod streaming;
mod supervisors;
