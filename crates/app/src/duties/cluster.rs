//! The owner's loop for one cluster and place: look at the rows, decide by [`next_step`], let tasks do it, take in what came
//! of them. It never waits for an engine or the database itself, so that one slow job holds up no other, and at most one
//! call per execution is in flight (lifecycle.md "Owners").

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use foggara_db::{clusters, executions};
use foggara_domain::{
    Execution, ExecutionId, Result, Tag,
    cluster::Cluster,
    drive::{Call, ClusterFact, Slot, Step, next_step},
    execution::Progress,
    status::Phase,
};
use foggara_engines::Engine;
use futures::FutureExt;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{
    live::{Done, InFlight, Live},
    steps, sweep,
};
use crate::{
    App,
    rows::{Changed, Owned},
};

/// How often the engine is asked and the database is read without a wake.
const POLL: Duration = Duration::from_secs(1);
/// How often the sweep runs; it also runs at the start.
const SWEEP: Duration = Duration::from_secs(10);
/// How often the progress of jobs is written, where it changed.
const NOTE: Duration = Duration::from_secs(3);
/// How often unused artifacts are looked for.
const COLLECT: Duration = Duration::from_secs(3600);
/// How long launches in flight are awaited when the server stops (lifecycle.md "Owners").
const LAST_LAUNCHES: Duration = Duration::from_secs(4);
/// More changed rows than this are read in one go.
const ONE_BY_ONE: usize = 100;
/// How many waiting executions are looked at in one go where the engine has no cap.
const UNCAPPED_BATCH: usize = 200;

/// What the tasks of a loop share.
pub(super) struct Room {
    pub app: App,
    pub own: Owned,
    pub engine: Arc<dyn Engine>,
    /// Revision of the cluster that the engine was made for.
    revision: i64,
    staging: Semaphore,
    launching: Semaphore,
    observing: Semaphore,
    /// Stops have permits of their own: no launch and no poll can keep one waiting.
    stopping: Semaphore,
    settling: Semaphore,
    /// When unused artifacts were last looked for.
    collected: Mutex<Option<Instant>>,
    /// Outputs that are put into stores; they are settled all the while.
    pub publishing: Semaphore,
}

impl Room {
    pub(super) fn new(app: App, own: Owned, engine: Arc<dyn Engine>, revision: i64) -> Arc<Self> {
        Arc::new(Self {
            app,
            own,
            engine,
            revision,
            staging: Semaphore::new(4),
            launching: Semaphore::new(8),
            observing: Semaphore::new(16),
            stopping: Semaphore::new(32),
            settling: Semaphore::new(256),
            collected: Mutex::default(),
            publishing: Semaphore::new(4),
        })
    }

    /// Whether unused artifacts are to be looked for now.
    pub(super) fn collecting(&self) -> bool {
        let mut last = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= COLLECT);
        if due {
            *last = Some(Instant::now());
        }
        due
    }

    fn permits(&self, call: Call) -> &Semaphore {
        match call {
            Call::Stage => &self.staging,
            Call::Launch => &self.launching,
            Call::Observe => &self.observing,
            Call::Void | Call::Stop | Call::Suspend => &self.stopping,
            Call::Settle => &self.settling,
        }
    }
}

struct Report {
    id: ExecutionId,
    call: Call,
    number: u64,
    done: Done,
}

struct Loop {
    room: Arc<Room>,
    cluster: Option<Cluster>,
    /// The database was read at least once.
    loaded: bool,
    live: BTreeMap<ExecutionId, Live>,
    reports: mpsc::UnboundedSender<Report>,
    /// Executions whose poll somebody waits for.
    asked: Vec<(BTreeSet<ExecutionId>, oneshot::Sender<()>)>,
    fenced: bool,
    calls: u64,
    /// Whose progress changed since it was written.
    unwritten: BTreeSet<ExecutionId>,
    /// What has to be decided anew: these, or all.
    changed: BTreeSet<ExecutionId>,
    all_changed: bool,
}

/// Works for a cluster at a place until `stop`, or until another server took it.
pub(super) async fn own(room: Arc<Room>, mut requests: mpsc::Receiver<oneshot::Sender<()>>, stop: CancellationToken) {
    let (reports, mut reported) = mpsc::unbounded_channel();
    let mut this = Loop {
        room: Arc::clone(&room),
        cluster: None,
        loaded: false,
        live: BTreeMap::new(),
        reports,
        asked: Vec::new(),
        fenced: false,
        calls: 0,
        unwritten: BTreeSet::new(),
        changed: BTreeSet::new(),
        all_changed: true,
    };
    let mut wakes = room.app.wakes();
    let rings = room.engine.changed();
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sweeps = tokio::time::interval(SWEEP);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let sweeping = Arc::new(Semaphore::new(1));
    let mut notes = tokio::time::interval(NOTE);
    notes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let noting = Arc::new(Semaphore::new(1));
    let mut reload = true;
    while !this.fenced && !this.is_over() {
        if reload {
            match this.load().await {
                Ok(()) => reload = false,
                Err(error) => tracing::warn!(cluster = %room.own.cluster, "cannot read its executions: {error}"),
            }
        }
        this.drive();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(report) = reported.recv() => {
                reload |= this.absorb(report);
                while let Ok(report) = reported.try_recv() {
                    reload |= this.absorb(report);
                }
            }
            Ok(()) = wakes.changed() => reload = true,
            () = rings.notified() => this.poll_all(),
            Some(done) = requests.recv() => {
                this.poll_all();
                let ids = this.live.iter().filter(|(_, live)| live.row.engine_ref.is_some()).map(|(id, _)| id.clone());
                this.asked.push((ids.collect(), done));
            }
            _ = poll.tick() => {
                this.poll_all();
                reload = true;
            }
            _ = notes.tick(), if !this.unwritten.is_empty() => {
                if let Ok(permit) = Arc::clone(&noting).try_acquire_owned() {
                    let (room, told) = (Arc::clone(&room), this.told());
                    tokio::spawn(async move {
                        steps::observe::note_progress(room, told).await;
                        drop(permit);
                    });
                }
            }
            _ = sweeps.tick() => {
                if let Ok(permit) = Arc::clone(&sweeping).try_acquire_owned() {
                    let (room, busy) = (Arc::clone(&room), this.busy_tags());
                    tokio::spawn(async move {
                        sweep::run(&room, busy).await;
                        drop(permit);
                    });
                }
            }
        }
        this.answer_asked();
    }
    this.leave(&mut reported).await;
}

impl Loop {
    /// Brings the index up to date with the database.
    async fn load(&mut self) -> Result<()> {
        let own = &self.room.own;
        let mut conn = self.room.app.db().read().await?;
        self.cluster = clusters::find(&mut conn, &own.cluster).await?;
        let versions = executions::busy_versions(&mut conn, &own.cluster, &own.place).await?;
        let open = versions.len();
        let is_newer =
            |(id, version): &(ExecutionId, i64)| self.live.get(id).is_none_or(|live| live.row.version < *version);
        let newer: Vec<&ExecutionId> = versions.iter().filter(|row| is_newer(row)).map(|(id, _)| id).collect();
        let mut rows = Vec::with_capacity(newer.len());
        if newer.len() > ONE_BY_ONE {
            rows = executions::busy(&mut conn, &own.cluster, &own.place).await?;
        } else {
            for id in newer {
                rows.extend(executions::find(&mut conn, id).await?);
            }
        }
        let room_left = self.room.engine.max_running().map_or(UNCAPPED_BATCH, |cap| cap.saturating_sub(open));
        if room_left > 0 && self.cluster.as_ref().is_none_or(Cluster::is_active) {
            rows.extend(executions::waiting(&mut conn, &own.cluster, room_left).await?);
        }
        let mut seen: BTreeSet<ExecutionId> = versions.into_iter().map(|(id, _)| id).collect();
        for row in rows {
            seen.insert(row.id.clone());
            match self.live.get_mut(&row.id) {
                Some(live) => live.take_row(row),
                None => {
                    self.live.insert(row.id.clone(), Live::new(row));
                }
            }
        }
        self.live.retain(|id, live| seen.contains(id) || live.call.is_some() || live.joined_void.is_some());
        self.loaded = true;
        self.all_changed = true;
        Ok(())
    }

    /// The cluster is gone with all that was owed, or its engine has to be made anew: the keeper begins again where it is not.
    fn is_over(&self) -> bool {
        match &self.cluster {
            Some(cluster) => cluster.revision != self.room.revision,
            None => self.loaded && self.live.is_empty(),
        }
    }

    /// Decides for those about which something new is known: with thousands of jobs an answer about one is no reason to look at all.
    fn drive(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        let ids: Vec<ExecutionId> = if std::mem::take(&mut self.all_changed) {
            self.live.keys().cloned().collect()
        } else {
            changed.into_iter().collect()
        };
        for id in ids {
            self.drive_one(&id);
        }
    }

    fn drive_one(&mut self, id: &ExecutionId) {
        let now = self.room.app.now();
        let Some(live) = self.live.get(id) else { return };
        if live.held_back() {
            return;
        }
        let facts =
            live.facts(self.cluster_fact(), self.slot(&live.row), self.room.engine.stages(), self.room.app.settings());
        let evidence = foggara_domain::drive::evidence_of(&live.row, &facts);
        let row = live.row.clone();
        let room = Arc::clone(&self.room);
        match next_step(&row, &facts, now) {
            Step::Wait { .. } => {}
            Step::AbandonStaging => self.abandon(id),
            Step::Place if room.engine.stages() => self.begin(id, Call::Stage, steps::stage::run(room, row)),
            Step::Stage => self.begin(id, Call::Stage, steps::stage::run(room, row)),
            Step::Place | Step::Launch => {
                let live = self.live.get(id);
                let prepared = live.and_then(|live| live.staged.clone()).and_then(Result::ok);
                let unsent = live.is_some_and(|live| live.unsent);
                self.begin(id, Call::Launch, steps::launch::run(room, row, prepared, unsent));
            }
            Step::Void => self.begin(id, Call::Void, steps::stop::void(room, row)),
            Step::Stop { hard } => self.begin(id, Call::Stop, steps::stop::run(room, row, hard)),
            Step::Suspend => self.begin(id, Call::Suspend, steps::stop::suspend(room, row)),
            Step::Run(state) => self.begin(id, Call::Settle, steps::observe::note_running(room, row, state)),
            Step::Observe => {
                if let Some(live) = self.live.get_mut(id)
                    && std::mem::take(&mut live.poll_due)
                {
                    let before = live.word.clone();
                    self.begin(id, Call::Observe, steps::observe::run(room, row, before));
                }
            }
            Step::Settle(end) => self.begin(id, Call::Settle, steps::settle::run(room, row, end)),
            Step::Finish => self.begin(id, Call::Settle, steps::settle::finish(room, row, None)),
            Step::End { outcome, reason, owed } => {
                self.begin(id, Call::Settle, steps::settle::end(room, row, outcome, reason, owed, evidence));
            }
            Step::Close(evidence) => self.begin(id, Call::Settle, steps::settle::close(room, row, evidence)),
        }
    }

    /// Starts a task for a call. It always reports, also when it panics.
    fn begin(&mut self, id: &ExecutionId, call: Call, work: impl Future<Output = Done> + Send + 'static) {
        self.calls += 1;
        let number = self.calls;
        let (room, reports, key) = (Arc::clone(&self.room), self.reports.clone(), id.clone());
        let task = tokio::spawn(async move {
            let _permit = room.permits(call).acquire().await;
            let done = AssertUnwindSafe(work).catch_unwind().await;
            let done = done.unwrap_or_else(|_| Done::trouble("the task panicked, see the message before"));
            // The loop may be gone: then the work is somebody else's or the next start's.
            let _ = reports.send(Report { id: key, call, number, done });
        });
        let Some(live) = self.live.get_mut(id) else { return };
        let flight = InFlight { call, number, task: task.abort_handle() };
        if call == Call::Void && live.call.is_some() {
            live.joined_void = Some(flight);
        } else {
            live.call = Some(flight);
        }
    }

    fn abandon(&mut self, id: &ExecutionId) {
        if let Some(live) = self.live.get_mut(id)
            && let Some(flight) = live.call.take_if(|flight| flight.call == Call::Stage)
        {
            flight.task.abort();
            self.drive_one(id);
        }
    }

    /// Takes a report in; says whether the database should be read again.
    fn absorb(&mut self, report: Report) -> bool {
        let now = self.room.app.now();
        if matches!(report.done.row, Some(Changed::Fenced)) {
            self.fenced = true;
            return false;
        }
        let missing = matches!(report.done.row, Some(Changed::Missing));
        if report.call == Call::Observe {
            for (ids, _) in &mut self.asked {
                ids.remove(&report.id);
            }
        }
        let Some(live) = self.live.get_mut(&report.id) else { return false };
        let before = live.progress.clone();
        live.absorb(report.number, report.done, now);
        if live.progress != before {
            self.unwritten.insert(report.id.clone());
        }
        if missing || live.row.is_finished() {
            self.live.remove(&report.id);
            return true;
        }
        self.changed.insert(report.id);
        false
    }

    /// Everything is due: what waits for a time is looked at too.
    fn poll_all(&mut self) {
        self.all_changed = true;
        for live in self.live.values_mut() {
            live.poll_due = true;
        }
    }

    /// The progress that is to be written; it counts as written.
    fn told(&mut self) -> Vec<(ExecutionId, Progress)> {
        let unwritten = std::mem::take(&mut self.unwritten);
        let told = unwritten.into_iter().filter_map(|id| {
            let progress = self.live.get(&id)?.progress.clone()?;
            Some((id, progress))
        });
        told.collect()
    }

    fn answer_asked(&mut self) {
        let live = &self.live;
        for (ids, _) in &mut self.asked {
            ids.retain(|id| live.contains_key(id));
        }
        for (ids, done) in std::mem::take(&mut self.asked) {
            if ids.is_empty() {
                let _ = done.send(());
            } else {
                self.asked.push((ids, done));
            }
        }
    }

    fn cluster_fact(&self) -> ClusterFact {
        match &self.cluster {
            None => ClusterFact::Gone,
            Some(cluster) if cluster.is_active() => ClusterFact::Active,
            Some(cluster) => ClusterFact::Inactive(format!("cluster `{}` is {}", cluster.name, cluster.status.name())),
        }
    }

    /// Whether a waiting execution may start. Every execution that is not waiting takes a slot, also a deleted one whose job
    /// is still being stopped.
    fn slot(&self, row: &Execution) -> Slot {
        let Some(cap) = self.room.engine.max_running() else { return Slot::Free };
        if row.phase != Phase::Waiting {
            return Slot::Free;
        }
        let taken = self.live.values().filter(|live| live.row.phase != Phase::Waiting || live.call.is_some()).count();
        if taken < cap { Slot::Free } else { Slot::Full(format!("{taken} of {cap} run")) }
    }

    fn busy_tags(&self) -> BTreeSet<Tag> {
        self.live.values().filter_map(|live| live.row.tag.clone()).collect()
    }

    /// Launches in flight are awaited for a while, so that their references are stored; all else is found again.
    async fn leave(&mut self, reported: &mut mpsc::UnboundedReceiver<Report>) {
        let until = Instant::now() + LAST_LAUNCHES;
        let launching = |this: &Self| {
            this.live.values().any(|live| matches!(&live.call, Some(flight) if flight.call == Call::Launch))
        };
        while !self.fenced && launching(self) {
            match tokio::time::timeout_at(until, reported.recv()).await {
                Ok(Some(report)) => {
                    self.absorb(report);
                }
                _ => break,
            }
        }
        for live in self.live.values() {
            if let Some(flight) = &live.call {
                flight.task.abort();
            }
        }
    }
}
