//! What an owner does for an execution: a file per step. Each commits behind the owner's fence before it touches the engine,
//! may be repeated after a crash, and says in [`super::live::Done`] what came of it.

pub(super) mod artifacts;
mod data;
mod job_log;
pub(super) mod launch;
pub(super) mod observe;
mod publish;
pub(super) mod settle;
pub(super) mod stage;
pub(super) mod stop;
mod ticket;
mod trust;
