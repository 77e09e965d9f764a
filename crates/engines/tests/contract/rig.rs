//! What a new engine brings to the contract: itself, a job that runs until it is stopped, and the faults that can be brought about
//! at the service that it talks to.

use async_trait::async_trait;
use foggara_domain::{Tag, plan::Plan};
use foggara_engines::{Engine, EngineError, Launch, Launched};

use crate::place::Place;

/// What goes wrong at the service. A fault that is about "the next" launch or request holds for that one only.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The next launch has its effect, and its answer is lost.
    LostAnswer,
    /// The answer to the next launch is lost, and it has no effect before [`Fault::Effect`].
    LateEffect,
    /// What a late launch was to do happens now.
    Effect,
    /// From now on nothing is answered, or again.
    Deaf(bool),
    /// It is restarted and knows nothing of before.
    NewLife,
    /// The job shows a state that no documentation names.
    StrangeState(Tag),
    /// The next request is answered with 401.
    Unauthorized,
    /// The job writes to its standard output.
    Prints(Tag, &'static str),
    /// The job ends well by itself.
    Ends(Tag),
}

/// See the module.
#[async_trait]
pub trait Rig: Send + Sync {
    /// The engine.
    fn engine(&self) -> &dyn Engine;

    /// The engine of a restarted server: nothing is left in memory.
    fn restarted(&self) -> Box<dyn Engine>;

    /// The engine with this address (`http://host:port`) for those of its service, where something else answers; nothing for an engine
    /// that asks no service.
    fn elsewhere(&self, url: &str) -> Option<Box<dyn Engine>>;

    /// Folders and names.
    fn place(&self) -> &Place;

    /// A job that runs until it is stopped; nothing for an engine that does not stage.
    fn plan(&self, tag: &Tag) -> Option<Plan>;

    /// Keys by which the engine knows jobs of ours: no request may set them.
    fn identity_keys(&self) -> &'static [&'static str];

    /// Whether [`Engine::list`] and polls may lag by a moment, since the engine is told of changes.
    fn lags(&self) -> bool {
        false
    }

    /// Brings a fault about. False: it cannot happen to this engine, for a reason that stands where this is implemented.
    async fn fault(&self, fault: Fault) -> bool;
}

impl dyn Rig + '_ {
    /// Launches a job as the application does.
    pub async fn launch(&self, tag: &Tag) -> Result<Launched, EngineError> {
        self.launch_on(self.engine(), tag).await
    }

    /// Launches a job on an engine of a restarted server.
    pub async fn launch_on(&self, engine: &dyn Engine, tag: &Tag) -> Result<Launched, EngineError> {
        let plan = self.plan(tag);
        let place = self.place();
        let launch = Launch {
            tag,
            job_type: "Shell",
            job_name: "job",
            plan: plan.as_ref(),
            urls: &std::collections::BTreeMap::new(),
            workspace: place.workspace(tag),
            logs: place.path("logs").join(tag.as_str()),
            kill_grace: place.kill_grace,
        };
        engine.launch(launch).await
    }
}
