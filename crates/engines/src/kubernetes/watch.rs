//! What the cluster has of ours, as the API server tells it: a list once, then a watch from the list's version on. So a poll of ten
//! thousand jobs costs one small request, and what is sent over is what changed.
//!
//! It lags behind the cluster by as long as the news takes, and nothing is done to hide that: an absence and an end are made sure of by
//! reads of that one job ([`super::Kubernetes`]). What it must not do is stand still: each watch ends after a while and is taken up
//! again where it ended, one that says nothing past its end is given up, and while none can be had nothing is known. A version that
//! the server has forgotten (410), another namespace of the same name or another cluster at the address mean a new list.
//! Nobody who asks for two minutes means no watch: the next one who asks begins again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::AbortHandle};

use super::{
    ID,
    api::Api,
    news::{Heard, News, Which},
    pods::Pod,
};
use crate::{EngineError, Observed};

/// So many lengths of a watch nobody asks, and it is not begun again.
const IDLE: u32 = 4;
/// A watch that lasted less and told nothing came to nothing.
const SHORT: Duration = Duration::from_secs(1);
/// The longest pause between watches that come to nothing.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Our pods.
pub(super) struct Told {
    /// The uid of the namespace that they are of.
    pub life: String,
    /// Drivers by name.
    pub drivers: BTreeMap<String, Observed>,
    /// Executors that have not ended: tag by name.
    pub executors: BTreeMap<String, String>,
}

/// The watch of a namespace; it ends with its owner.
pub(super) struct Watch {
    api: Arc<Api>,
    installation: String,
    /// How long each watch goes on.
    length: Duration,
    running: Mutex<Option<Arc<Running>>>,
}

struct Running {
    life: String,
    drivers: watch::Receiver<Side<Observed>>,
    executors: watch::Receiver<Side<String>>,
    /// When somebody asked last.
    asked: watch::Sender<Instant>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What one of the two watches has told.
struct Side<V> {
    pods: BTreeMap<String, V>,
    state: State,
}

enum State {
    /// There is no list yet.
    Begun,
    /// It is told what changes; there was a sign of life then.
    Follows(Instant),
    /// There is a list of an attempt that was begun then, and no watch could be had after it: the next begins when somebody asks.
    Listed(Instant),
    /// An attempt that was begun then failed; the next begins when somebody asks.
    Failed(Instant, EngineError),
    /// There is a pause, since attempts come to nothing.
    Rests(EngineError),
}

impl<V: Clone> Side<V> {
    fn new() -> Self {
        Self { pods: BTreeMap::new(), state: State::Begun }
    }

    /// Whether there is an answer for somebody who asks since then.
    fn answers(&self, since: Instant, silence: Duration) -> bool {
        match &self.state {
            State::Begun => false,
            State::Follows(heard) => heard.elapsed() <= silence,
            State::Listed(begun) | State::Failed(begun, _) => *begun >= since,
            State::Rests(_) => true,
        }
    }
}

impl Watch {
    pub fn new(api: Arc<Api>, installation: String, length: Duration) -> Self {
        Self { api, installation, length, running: Mutex::default() }
    }

    /// All that was told, and that it is of the namespace that is there now. The uid is read last: pods of an old life under a new
    /// life's uid would be called gone one by one.
    pub async fn told(&self) -> Result<Told, EngineError> {
        // Twice: the first may find that the task has ended or that life has changed.
        for _ in 0..2 {
            let running = self.running().await?;
            let asked = Instant::now();
            running.asked.send_replace(asked);
            // By then a watch was given up, and the next one has begun or failed.
            let silence = silence(self.length) + SHORT;
            let drivers = answer(running.drivers.clone(), asked, silence).await;
            let executors = answer(running.executors.clone(), asked, silence).await;
            let (Some(drivers), Some(executors)) = (drivers, executors) else {
                self.end();
                continue;
            };
            let life = self.api.incarnation().await?;
            if life != running.life {
                self.end();
                continue;
            }
            return Ok(Told { life, drivers: drivers?, executors: executors? });
        }
        Err(EngineError::Unreachable("the namespace changes while it is looked at".to_owned()))
    }

    fn end(&self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    async fn running(&self) -> Result<Arc<Running>, EngineError> {
        if let Some(running) = &*self.running.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(running));
        }
        // Before the lists: when it is still the same after them, they are of this life.
        let life = self.api.incarnation().await?;
        let (tell_drivers, drivers) = watch::channel(Side::new());
        let (tell_executors, executors) = watch::channel(Side::new());
        let (asked, asks) = watch::channel(Instant::now());
        let follower = |which| Follower {
            api: Arc::clone(&self.api),
            which,
            installation: self.installation.clone(),
            length: self.length,
            asks: asks.clone(),
        };
        let of_drivers = follower(Which::Drivers).follow(tell_drivers, |pod: &Pod| Some(pod.observed()));
        let of_executors =
            follower(Which::LivingExecutors).follow(tell_executors, |pod: &Pod| pod.metadata.labels.get(ID).cloned());
        let task = tokio::spawn(async move {
            tokio::select! {
                () = of_drivers => {}
                () = of_executors => {}
            }
        });
        let running = Arc::new(Running { life, drivers, executors, asked, task: task.abort_handle() });
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&running));
        Ok(running)
    }
}

/// How long a watch of this length may be silent, and its connection be taken as alive.
pub(super) fn silence(length: Duration) -> Duration {
    length + length / 3
}

/// Waits for an answer to somebody who asks since then; nothing when the task has ended.
async fn answer<V: Clone>(
    mut side: watch::Receiver<Side<V>>,
    since: Instant,
    silence: Duration,
) -> Option<Result<BTreeMap<String, V>, EngineError>> {
    // What it told last stays readable when it tells nothing any more.
    side.has_changed().ok()?;
    let side = side.wait_for(|side| side.answers(since, silence)).await.ok()?;
    Some(match &side.state {
        State::Failed(_, error) | State::Rests(error) => Err(error.clone()),
        State::Begun | State::Follows(_) | State::Listed(_) => Ok(side.pods.clone()),
    })
}

/// One of the two: lists, then follows.
struct Follower {
    api: Arc<Api>,
    which: Which,
    installation: String,
    length: Duration,
    asks: watch::Receiver<Instant>,
}

/// What came of a watch.
enum Watched {
    /// It told something, or went on as long as it should.
    Served,
    /// It ended before it told anything.
    InVain(EngineError),
    /// The version is not known any more.
    Forgotten,
    /// It was refused after a list that is told: who may not watch lists each time.
    Refused,
}

impl Follower {
    /// Goes on until nobody asks.
    async fn follow<V>(mut self, tell: watch::Sender<Side<V>>, keep: fn(&Pod) -> Option<V>) {
        // Where the next watch begins; nothing before a list.
        let mut version: Option<String> = None;
        let mut in_vain = 0u32;
        let idle = self.length * IDLE;
        while self.asks.borrow().elapsed() < idle {
            let begun = Instant::now();
            let trouble = match self.go_on(&mut version, &tell, keep).await {
                Ok(Watched::Served) => {
                    in_vain = 0;
                    continue;
                }
                Ok(Watched::InVain(error)) => error,
                Ok(Watched::Forgotten) => {
                    version = None;
                    EngineError::Unreachable("the API server has forgotten where the watch of pods was".to_owned())
                }
                unwatched => {
                    // Whoever was away may come back as of another time: a version of before says nothing to it.
                    version = None;
                    let state = unwatched.map_or_else(|error| State::Failed(begun, error), |_| State::Listed(begun));
                    tell.send_modify(|side| side.state = state);
                    let again = self.asks.wait_for(|asked| *asked > begun);
                    if !matches!(tokio::time::timeout(idle, again).await, Ok(Ok(_))) {
                        return;
                    }
                    continue;
                }
            };
            in_vain += 1;
            tracing::debug!(pods = ?self.which, in_vain, "a watch is begun again: {trouble}");
            // Once is no reason: a connection breaks, a version is forgotten.
            if in_vain > 1 {
                let pause = Duration::from_millis(100 << in_vain.min(7)).min(LONGEST_PAUSE);
                tell.send_modify(|side| side.state = State::Rests(trouble));
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// The list, if there is none, and a watch to its end.
    async fn go_on<V>(
        &self,
        version: &mut Option<String>,
        tell: &watch::Sender<Side<V>>,
        keep: fn(&Pod) -> Option<V>,
    ) -> Result<Watched, EngineError> {
        let begun = Instant::now();
        let lists = version.is_none();
        let at = match version {
            Some(version) => version,
            None => {
                let list = self.api.list(&self.which, &self.installation).await?;
                let kept = |pod: Pod| keep(&pod).map(|kept| (pod.metadata.name, kept));
                let pods = list.pods.into_iter().filter_map(kept).collect();
                tell.send_replace(Side { pods, state: State::Follows(begun) });
                version.insert(list.version)
            }
        };
        let begun = Instant::now();
        let mut heard = match self.api.watch(&self.which, &self.installation, at, self.length).await {
            Ok(Some(heard)) => heard,
            Ok(None) => return Ok(Watched::Forgotten),
            Err(error) if lists => {
                tracing::debug!(pods = ?self.which, "there is a list and no watch after it: {error}");
                return Ok(Watched::Refused);
            }
            Err(error) => return Err(error),
        };
        tell.send_modify(|side| side.state = State::Follows(Instant::now()));
        let mut served = false;
        loop {
            let news = match heard.next().await {
                Ok(Some(Heard::News(news))) => news,
                Ok(Some(Heard::Forgotten)) => return Ok(Watched::Forgotten),
                Ok(None) if served || begun.elapsed() >= SHORT => return Ok(Watched::Served),
                Err(_) if served => return Ok(Watched::Served),
                Ok(None) => {
                    let words = "the API server ends the watch of pods as soon as it is begun";
                    return Ok(Watched::InVain(EngineError::Unreachable(words.to_owned())));
                }
                Err(error) => return Ok(Watched::InVain(error)),
            };
            served = true;
            tell.send_modify(|side| {
                side.state = State::Follows(Instant::now());
                let (at, pod, is_there) = match news {
                    News::Is(at, pod) => (at, pod, true),
                    News::Goes(at, pod) => (at, pod, false),
                    News::Nothing(at) => {
                        *version = Some(at);
                        return;
                    }
                };
                *version = Some(at);
                match keep(&pod).filter(|_| is_there) {
                    Some(kept) => side.pods.insert(pod.metadata.name, kept),
                    None => side.pods.remove(&pod.metadata.name),
                };
            });
        }
    }
}
