//! One list of all jobs, shared by everybody who asks at about the same time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use foggara_domain::Tag;

use super::Service;
use crate::{EngineError, Observed};

/// What a service has of ours at one moment.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Tells one life of the service from the next, where a restart forgets jobs. The same text for ever where it does not.
    pub incarnation: String,
    /// Its jobs by their tag.
    pub jobs: BTreeMap<Tag, Seen>,
}

/// A job in the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What the service calls it.
    pub reference: String,
    /// How it is.
    pub observed: Observed,
}

/// The last list, and who fetches the next.
#[derive(Default)]
pub(super) struct Surveys {
    last: Mutex<Option<Last>>,
    /// Held by whoever fetches; the others wait and mostly find that it was done for them.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Last {
    begun: Instant,
    /// A failure counts as well: a thousand jobs do not ask a dead service a thousand times.
    survey: Result<Arc<Survey>, EngineError>,
}

impl Surveys {
    /// A list that was begun at `oldest` or later.
    pub async fn since(&self, oldest: Instant, service: &dyn Service) -> Result<Arc<Survey>, EngineError> {
        if let Some(survey) = self.begun_since(oldest) {
            return survey;
        }
        let _fetching = self.fetching.lock().await;
        if let Some(survey) = self.begun_since(oldest) {
            return survey;
        }
        let begun = Instant::now();
        let survey = service.survey().await.map(Arc::new);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Last { begun, survey: survey.clone() });
        survey
    }

    fn begun_since(&self, oldest: Instant) -> Option<Result<Arc<Survey>, EngineError>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        (last.begun >= oldest).then_some(last.survey)
    }
}
