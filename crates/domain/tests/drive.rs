//! Properties of the state machine, against a small model of owner and engine: whatever the engine does, whenever the owner
//! crashes and whatever the user wants, phases never go back, every execution reaches an end once the engine is fair, no
//! second job is ever launched, and nothing of a finished execution lives.

use std::time::Duration;

use foggara_domain::{
    Execution, ExecutionId, Tag, Timestamp,
    drive::{
        Call, ClusterFact, End, Facts, LAUNCH_DEADLINE, STAGING_DEADLINE, STOPPING_DEADLINE, Slot, Staged, Step,
        UNKNOWN, VoidFact, Word, decide, evidence, evidence_of, next_step,
    },
    status::{Duty, Outcome, Phase, Wish},
};
use proptest::prelude::*;

const GRACE: Duration = Duration::from_secs(10);

fn row() -> Execution {
    let id = ExecutionId::from("00000000-0000-4000-8000-000000000001");
    Execution::waiting(id, "p".into(), "u".into(), "c".into(), Timestamp::from_micros(0))
}

/// What the world does between two looks of the owner.
#[derive(Clone, Debug)]
enum Happening {
    /// Nothing but time.
    Time(u64),
    /// The server is killed and started again: all that it remembered is gone.
    Crash,
    /// A call is answered.
    Answer,
    /// A call has its effect at the engine, and the answer is lost.
    LostAnswer,
    /// The job ends by itself.
    JobEnds(bool),
    /// The engine cannot be asked for a while.
    Deaf(bool),
    /// The user cancels.
    Cancel,
    /// The user deletes.
    Delete,
    /// The cluster goes up or down.
    Cluster(bool),
    /// A slot is taken or free.
    Full(bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (1u64..4000).prop_map(Happening::Time),
        2 => Just(Happening::Crash),
        12 => Just(Happening::Answer),
        2 => Just(Happening::LostAnswer),
        2 => any::<bool>().prop_map(Happening::JobEnds),
        2 => any::<bool>().prop_map(Happening::Deaf),
        1 => Just(Happening::Cancel),
        1 => Just(Happening::Delete),
        1 => any::<bool>().prop_map(Happening::Cluster),
        1 => any::<bool>().prop_map(Happening::Full),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    Never,
    Lives,
    Ended(bool),
}

/// Owner, database row and engine in one place.
struct World {
    now: Timestamp,
    row: Execution,
    facts: Facts,
    job: Job,
    voided: bool,
    deaf: bool,
    launches: u32,
    pending: Option<Step>,
    history: Vec<Phase>,
}

impl World {
    fn new() -> Self {
        Self {
            now: Timestamp::from_micros(1),
            row: row(),
            facts: Facts {
                cluster: ClusterFact::Active,
                slot: Slot::Free,
                stages: true,
                staged: Staged::Not,
                call: None,
                word: Word::Unasked,
                voided: VoidFact::Open,
                stops: None,
                kill_grace: GRACE,
                unknown_polls: 4,
            },
            job: Job::Never,
            voided: false,
            deaf: false,
            launches: 0,
            pending: None,
            history: vec![Phase::Waiting],
        }
    }

    fn forget_memory(&mut self) {
        self.facts.staged = Staged::Not;
        self.facts.call = None;
        self.facts.word = Word::Unasked;
        self.facts.voided = VoidFact::Open;
        self.facts.stops = None;
        self.pending = None;
    }

    fn happen(&mut self, what: &Happening) {
        match what {
            Happening::Time(seconds) => self.now = self.now.plus(Duration::from_secs(*seconds)),
            Happening::Crash => self.forget_memory(),
            Happening::Answer => self.step(true),
            Happening::LostAnswer => self.step(false),
            Happening::JobEnds(well) if self.job == Job::Lives => self.job = Job::Ended(*well),
            Happening::JobEnds(_) => {}
            Happening::Deaf(deaf) => self.deaf = *deaf,
            Happening::Cancel => self.cancel(),
            Happening::Delete => self.delete(),
            Happening::Cluster(up) => {
                self.facts.cluster =
                    if *up { ClusterFact::Active } else { ClusterFact::Inactive("cluster `c` is Error".to_owned()) };
            }
            Happening::Full(full) => {
                self.facts.slot = if *full { Slot::Full("1 of 1 run".to_owned()) } else { Slot::Free };
            }
        }
        self.check();
    }

    fn cancel(&mut self) {
        if self.row.phase == Phase::Ended || self.row.deleted_at.is_some() {
            return;
        }
        self.row.wish = Wish::Cancel;
        if self.row.phase == Phase::Waiting {
            self.end(Outcome::Killed, Some(evidence::NEVER_LAUNCHED));
        }
    }

    fn delete(&mut self) {
        if self.row.deleted_at.is_some() {
            return;
        }
        self.row.deleted_at = Some(self.now);
        if self.row.phase == Phase::Waiting {
            self.end(Outcome::Killed, Some(evidence::NEVER_LAUNCHED));
        }
        if self.row.launch_sent_at.is_some() && self.row.gone_at.is_none() {
            self.row.duty = Duty::StopUntilGone;
        }
    }

    fn end(&mut self, outcome: Outcome, evidence: Option<&str>) {
        self.row.phase = Phase::Ended;
        self.row.outcome = Some(outcome);
        match evidence {
            Some(evidence) => self.close(evidence),
            None => self.row.duty = Duty::StopUntilGone,
        }
    }

    fn close(&mut self, evidence: &str) {
        self.row.duty = Duty::None;
        self.row.gone_at = Some(self.now);
        self.row.gone_evidence = Some(evidence.to_owned());
    }

    /// Asks the state machine and does what it says. A call whose answer is lost has its effect at the engine, and the owner
    /// asks again.
    fn step(&mut self, answered: bool) {
        let step = next_step(&self.row, &self.facts, self.now);
        if self.deaf && matches!(step, Step::Void | Step::Stop { .. } | Step::Observe | Step::Suspend) {
            self.facts.word = Word::Unreachable("deaf".to_owned());
            return;
        }
        match step {
            Step::Wait { .. } => {}
            Step::Place => {
                self.row.phase = Phase::Staging;
                self.row.deadline = Some(self.now.plus(STAGING_DEADLINE));
            }
            Step::Stage if answered => self.facts.staged = Staged::Ready,
            Step::Stage | Step::AbandonStaging => {}
            Step::Launch => self.launch(answered),
            Step::Void => {
                let yes = self.job == Job::Never;
                self.voided |= yes;
                if answered {
                    self.facts.voided = if yes { VoidFact::Voided } else { VoidFact::TooLate };
                }
            }
            Step::Run(state) => {
                self.row.phase = Phase::Running;
                self.row.engine_state = state;
                self.row.deadline = None;
            }
            Step::Observe => {
                if answered {
                    self.observe();
                }
            }
            Step::Stop { .. } => {
                if self.row.stop_sent_at.is_none() {
                    self.row.stop_sent_at = Some(self.now);
                    if matches!(self.row.phase, Phase::Launching | Phase::Running) {
                        self.row.phase = Phase::Stopping;
                        self.row.deadline = Some(self.now.plus(STOPPING_DEADLINE));
                    }
                }
                if self.job == Job::Lives {
                    self.job = Job::Ended(false);
                }
                if answered {
                    let count = self.facts.stops.map_or(0, |(_, count)| count);
                    self.facts.stops = Some((self.now, count + 1));
                }
            }
            Step::Suspend => self.row.suspend_wanted = false,
            Step::Settle(end) => {
                let (outcome, reason) = decide(&self.row, &end);
                self.row.outcome = Some(outcome);
                self.row.reason = reason;
                self.row.phase = Phase::Settling;
            }
            Step::Finish => {
                let outcome = self.row.outcome.unwrap_or(Outcome::Failed);
                self.end(outcome, Some(evidence::ENDED));
            }
            Step::End { outcome, owed, .. } => {
                let evidence = evidence_of(&self.row, &self.facts).filter(|_| !owed);
                self.end(outcome, evidence);
            }
            Step::Close(evidence) => self.close(evidence),
        }
    }

    fn launch(&mut self, answered: bool) {
        if self.row.phase < Phase::Launching {
            if self.row.wish != Wish::Run || self.row.deleted_at.is_some() {
                return;
            }
            self.row.phase = Phase::Launching;
            self.row.tag = Some(Tag::of("t", &self.row.id, 1));
            self.row.launch_sent_at = Some(self.now);
            self.row.deadline = Some(self.now.plus(LAUNCH_DEADLINE));
        }
        if self.deaf {
            self.facts.word = Word::Unreachable("deaf".to_owned());
            return;
        }
        if self.job == Job::Never && !self.voided {
            self.job = Job::Lives;
            self.launches += 1;
        }
        if !answered {
            return;
        }
        if self.voided {
            self.facts.voided = VoidFact::Voided;
            return;
        }
        self.row.engine_ref = Some("ref".to_owned());
        self.observe();
        if self.row.phase == Phase::Launching {
            self.row.phase = Phase::Running;
            self.row.deadline = None;
        }
    }

    fn observe(&mut self) {
        self.facts.word = match self.job {
            Job::Never => match self.facts.word {
                Word::Absent { polls, .. } => Word::Absent { polls: polls + 1, same_incarnation: true },
                _ => Word::Absent { polls: 1, same_incarnation: true },
            },
            Job::Lives => Word::Running(None),
            Job::Ended(well) => Word::Ended(End {
                outcome: if well { Outcome::Succeeded } else { Outcome::Failed },
                exit_code: Some(i32::from(!well)),
                reason: None,
                ended_at: None,
                usage: None,
            }),
        };
    }

    fn check(&mut self) {
        let last = *self.history.last().expect("it begins with waiting");
        assert!(self.row.phase >= last, "phase went back from {last:?} to {:?}", self.row.phase);
        self.history.push(self.row.phase);
        assert!(self.launches <= 1, "a second job was launched");
        if self.row.is_finished() {
            assert_ne!(self.job, Job::Lives, "finished by {:?}, and the job lives", self.row.gone_evidence);
            assert!(self.row.outcome.is_some(), "an end without an outcome");
        }
    }

    /// From now on the engine is fair: it answers, the job ends, the cluster is up.
    fn be_fair(&mut self) {
        self.deaf = false;
        self.facts.cluster = ClusterFact::Active;
        self.facts.slot = Slot::Free;
        for round in 0..200 {
            if self.row.is_finished() {
                return;
            }
            self.happen(&Happening::Answer);
            if round == 20 {
                self.happen(&Happening::JobEnds(true));
            }
            self.happen(&Happening::Time(1));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_execution_ends_and_nothing_of_it_lives(happenings in prop::collection::vec(happening(), 0..60)) {
        let mut world = World::new();
        for what in &happenings {
            world.happen(what);
        }
        world.be_fair();
        prop_assert!(world.row.is_finished(), "stuck in {:?} with {:?}, {:?}", world.row.phase, world.row.duty, world.facts);
        prop_assert_ne!(world.job, Job::Lives);
    }

    #[test]
    fn a_cancel_before_the_stop_never_hides_a_success(well: bool, cancel: bool) {
        let mut row = row();
        row.phase = Phase::Stopping;
        row.stop_sent_at = cancel.then_some(Timestamp::from_micros(5));
        let end = End {
            outcome: if well { Outcome::Succeeded } else { Outcome::Failed },
            exit_code: None, reason: None, ended_at: None, usage: None,
        };
        let (outcome, _) = decide(&row, &end);
        let wanted = if well { Outcome::Succeeded } else if cancel { Outcome::Killed } else { Outcome::Failed };
        prop_assert_eq!(outcome, wanted);
    }
}

#[test]
fn while_a_call_is_in_flight_no_second_one_begins() {
    let mut world = World::new();
    world.row.phase = Phase::Running;
    world.row.engine_ref = Some("ref".to_owned());
    world.row.wish = Wish::Cancel;
    world.facts.call = Some(Call::Observe);
    assert!(matches!(next_step(&world.row, &world.facts, world.now), Step::Wait { .. }));
    world.facts.call = None;
    assert_eq!(next_step(&world.row, &world.facts, world.now), Step::Stop { hard: false });
}

#[test]
fn a_stop_during_a_launch_rules_the_launch_out() {
    let mut world = World::new();
    world.row.phase = Phase::Launching;
    world.row.launch_sent_at = Some(world.now);
    world.row.deleted_at = Some(world.now);
    world.row.duty = Duty::StopUntilGone;
    world.facts.call = Some(Call::Launch);
    assert_eq!(next_step(&world.row, &world.facts, world.now), Step::Void);
}

#[test]
fn a_job_that_the_engine_forgot_is_shown_as_unknown_before_it_is_lost() {
    let mut world = World::new();
    world.row.phase = Phase::Running;
    world.row.engine_ref = Some("ref".to_owned());
    world.row.launch_sent_at = Some(world.now);
    world.facts.word = Word::Absent { polls: 1, same_incarnation: true };
    assert_eq!(next_step(&world.row, &world.facts, world.now), Step::Run(Some(UNKNOWN.to_owned())));
    world.row.engine_state = Some(UNKNOWN.to_owned());
    assert_eq!(world.row.status(), "RUNNING", "Sahara has no such word");
    assert_eq!(next_step(&world.row, &world.facts, world.now), Step::Observe);
    world.facts.word = Word::Running(None);
    assert_eq!(next_step(&world.row, &world.facts, world.now), Step::Run(None), "it was found again");
    world.facts.word = Word::Absent { polls: 4, same_incarnation: false };
    let step = next_step(&world.row, &world.facts, world.now);
    assert!(matches!(step, Step::End { outcome: Outcome::Failed, owed: false, .. }), "{step:?}");
}

#[test]
fn a_launch_that_nobody_can_ask_about_ends_with_its_duty_open() {
    let mut world = World::new();
    world.row.phase = Phase::Launching;
    world.row.launch_sent_at = Some(world.now);
    world.facts.word = Word::LaunchUnknown("no answer".to_owned());
    match next_step(&world.row, &world.facts, world.now) {
        Step::End { outcome: Outcome::Failed, reason, owed: true } => assert_eq!(reason, "launch_unknown: no answer"),
        step => panic!("{step:?}"),
    }
    // The duty ends when the engine is asked and knows nothing, and not by ruling out what may have happened.
    world.row.phase = Phase::Ended;
    world.row.duty = Duty::StopUntilGone;
    assert_eq!(next_step(&world.row, &world.facts, world.now), Step::Void);
    world.facts.voided = VoidFact::TooLate;
    assert_eq!(next_step(&world.row, &world.facts, world.now), Step::Stop { hard: false });
    world.facts.stops = Some((world.now, 1));
    assert_eq!(next_step(&world.row, &world.facts, world.now), Step::Observe);
    world.facts.word = Word::Absent { polls: 2, same_incarnation: true };
    assert_eq!(next_step(&world.row, &world.facts, world.now), Step::Close(evidence::ABSENT));
}

#[test]
fn giving_up_a_stop_leaves_the_duty_open() {
    let mut world = World::new();
    world.row.phase = Phase::Stopping;
    world.row.engine_ref = Some("ref".to_owned());
    world.row.launch_sent_at = Some(world.now);
    world.row.stop_sent_at = Some(world.now);
    world.row.deadline = Some(world.now);
    world.facts.word = Word::Unreachable("deaf".to_owned());
    let step = next_step(&world.row, &world.facts, world.now);
    assert!(matches!(step, Step::End { outcome: Outcome::Failed, owed: true, .. }), "{step:?}");
}
