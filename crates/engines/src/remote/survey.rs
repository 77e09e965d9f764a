//! One list of all jobs, shared by everybody who asks at about the same time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
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
    ended: Instant,
    /// A failure counts as well: a thousand jobs do not ask a dead service a thousand times.
    survey: Result<Arc<Survey>, EngineError>,
}

impl Surveys {
    /// A list that was begun at `oldest` or later.
    pub async fn since(&self, oldest: Instant, service: &dyn Service) -> Result<Arc<Survey>, EngineError> {
        self.such(|last| last.begun >= oldest, service).await
    }

    /// A list that was begun at `oldest` or later, if that is given, and that came at most `age` ago. Its age counts from its end: a list
    /// of many jobs may take longer than `age`, and would else be too old for everybody as soon as it is there.
    pub async fn recent(
        &self,
        age: Duration,
        oldest: Option<Instant>,
        service: &dyn Service,
    ) -> Result<Arc<Survey>, EngineError> {
        let such = |last: &Last| last.ended.elapsed() <= age && oldest.is_none_or(|oldest| last.begun >= oldest);
        self.such(such, service).await
    }

    async fn such(
        &self,
        is_such: impl Fn(&Last) -> bool + Send,
        service: &dyn Service,
    ) -> Result<Arc<Survey>, EngineError> {
        if let Some(last) = self.last().filter(&is_such) {
            return last.survey;
        }
        let _fetching = self.fetching.lock().await;
        if let Some(last) = self.last().filter(&is_such) {
            return last.survey;
        }
        let begun = Instant::now();
        let survey = service.survey().await.map(Arc::new);
        let last = Last { begun, ended: Instant::now(), survey: survey.clone() };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        survey
    }

    fn last(&self) -> Option<Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use foggara_domain::plan::PlanKind;

    use super::*;
    use crate::{Ability, JobRef, Launch, Launched, LogPiece, Stop, Stream};

    /// A service whose list takes longer than it may be old; it counts its lists.
    #[derive(Default)]
    struct Slow(AtomicUsize);

    const AGE: Duration = Duration::from_millis(200);

    #[async_trait]
    impl Service for Slow {
        fn plugin(&self) -> &'static str {
            "slow"
        }

        fn ability(&self, _: PlanKind) -> Ability {
            Ability::Never
        }

        fn max_running(&self) -> Option<usize> {
            None
        }

        async fn survey(&self) -> Result<Survey, EngineError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(AGE * 2).await;
            Ok(Survey { incarnation: String::new(), jobs: BTreeMap::new() })
        }

        async fn submit(&self, _: &Launch<'_>) -> Result<Launched, EngineError> {
            Err(EngineError::Refused("a test".to_owned()))
        }

        async fn kill(&self, _: JobRef<'_>, _: &Seen, _: Stop) -> Result<(), EngineError> {
            Ok(())
        }

        async fn log(&self, _: JobRef<'_>, _: Stream, offset: u64, _: usize) -> Result<LogPiece, EngineError> {
            Ok(LogPiece { bytes: Vec::new(), next_offset: offset, size: 0 })
        }
    }

    #[tokio::test]
    async fn a_list_that_takes_longer_than_it_may_be_old_serves_all_the_same() {
        let (surveys, service) = (Surveys::default(), Slow::default());
        surveys.recent(AGE, None, &service).await.expect("a list");
        let begun = Instant::now();
        for _ in 0..1000 {
            surveys.recent(AGE, None, &service).await.expect("a list");
        }
        // Where a thousand looks took long, lists may have become too old; one for each look they are never.
        let most = 2 + begun.elapsed().as_millis() / AGE.as_millis();
        assert!((service.0.load(Ordering::SeqCst) as u128) < most);
        // One from before a launch does not answer for it, however young it is.
        let (lists, launched) = (service.0.load(Ordering::SeqCst), Instant::now());
        surveys.recent(AGE, Some(launched), &service).await.expect("a list");
        assert_eq!(service.0.load(Ordering::SeqCst), lists + 1);
    }
}
