//! Plugin `sim`: clusters of the simulated engine, for tests of clients. They come up at once and run nothing.

use std::sync::Arc;

use async_trait::async_trait;
use foggara_domain::{
    cluster::{Cluster, Health, Instance},
    plan::PlanKind,
};

use crate::{
    Ability, Engine,
    plugin::{Binding, Description, HostSize, Look, Plugin},
    sim::Sim,
};

/// The plugin.
pub struct SimPlugin {
    engine: Arc<Sim>,
    description: Description,
}

impl SimPlugin {
    /// Clusters of an engine.
    pub fn new(engine: Sim) -> Self {
        let description = Description {
            title: "Simulated engine",
            text: "Runs nothing: plays the states that its control file names, for tests of clients",
            versions: vec!["1.0".to_owned()],
            processes: vec![("Jobs", &["sim"])],
            configs: Vec::new(),
        };
        Self { engine: Arc::new(engine), description }
    }
}

#[async_trait]
impl Plugin for SimPlugin {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        self.engine.ability(kind)
    }

    fn binding(&self) -> Binding {
        Binding::Anywhere
    }

    fn check(&self, _: &Cluster, _: HostSize) -> Result<(), String> {
        Ok(())
    }

    fn engine(&self, _: &Cluster) -> Result<Arc<dyn Engine>, String> {
        Ok(Arc::clone(&self.engine) as Arc<dyn Engine>)
    }

    async fn look(&self, _: &Cluster, nodes: &[Instance]) -> Look {
        Look {
            serving: nodes.iter().map(|node| node.id.clone()).collect(),
            checks: vec![("Simulation".to_owned(), Health::Green, "the simulated engine is always well".to_owned())],
        }
    }
}
