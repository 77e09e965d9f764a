//! What stands in for an engine that cannot be made: a cluster with wrong settings still has an owner, so that it can be deleted
//! and its executions answered for. It starts nothing and knows nothing, and says why.

use std::sync::Arc;

use async_trait::async_trait;
use foggara_domain::{Tag, plan::PlanKind};
use tokio::sync::Notify;

use crate::{Ability, Engine, EngineError, JobRef, Launch, Launched, LogPiece, Observed, Stop, Stream, Voided};

/// The stand-in.
pub struct Missing {
    plugin: &'static str,
    why: String,
    changed: Arc<Notify>,
}

impl Missing {
    /// For a cluster of a plugin, with the reason.
    pub fn new(plugin: &'static str, why: String) -> Self {
        Self { plugin, why, changed: Arc::new(Notify::new()) }
    }

    fn cannot<T>(&self) -> Result<T, EngineError> {
        Err(EngineError::Unreachable(self.why.clone()))
    }
}

#[async_trait]
impl Engine for Missing {
    fn plugin(&self) -> &'static str {
        self.plugin
    }

    fn ability(&self, _: PlanKind) -> Ability {
        Ability::Lacks(self.why.clone())
    }

    fn max_running(&self) -> Option<usize> {
        Some(0)
    }

    fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    async fn find(&self, _: JobRef<'_>) -> Result<Option<Launched>, EngineError> {
        self.cannot()
    }

    async fn launch(&self, _: Launch<'_>) -> Result<Launched, EngineError> {
        self.cannot()
    }

    async fn void(&self, _: JobRef<'_>, _: &str) -> Result<Voided, EngineError> {
        self.cannot()
    }

    async fn observe(&self, _: JobRef<'_>) -> Result<Observed, EngineError> {
        self.cannot()
    }

    async fn stop(&self, _: JobRef<'_>, _: Stop) -> Result<(), EngineError> {
        self.cannot()
    }

    /// Nothing was ever started by it.
    async fn list(&self, _: &str) -> Result<Vec<Tag>, EngineError> {
        Ok(Vec::new())
    }

    async fn logs(&self, _: JobRef<'_>, _: Stream, _: u64, _: usize) -> Result<LogPiece, EngineError> {
        self.cannot()
    }

    async fn forget(&self, _: JobRef<'_>) -> Result<(), EngineError> {
        self.cannot()
    }
}
