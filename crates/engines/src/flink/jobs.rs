//! Flink's list of jobs (`GET /jobs/overview`).

use foggara_domain::{Timestamp, status::Outcome};
use serde::Deserialize;

use crate::{Ended, Observed};

/// What a job without room is said to do.
const WAITS: &str = "WAITING FOR SLOTS";

/// The list; other members are of no interest.
#[derive(Debug, Deserialize)]
pub struct Overview {
    /// Jobs that run, and ended ones as long as Flink keeps them (an hour by default).
    pub jobs: Vec<Job>,
}

/// A job.
#[derive(Debug, Deserialize)]
pub struct Job {
    /// Its id.
    pub jid: String,
    /// Its name, the program's where it sets one.
    pub name: String,
    state: String,
    #[serde(rename = "start-time")]
    start_time: i64,
    #[serde(rename = "end-time")]
    end_time: i64,
    #[serde(default)]
    tasks: Tasks,
}

/// Tasks by their state.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tasks {
    total: u64,
    created: u64,
    scheduled: u64,
}

impl Job {
    /// The state in our words.
    pub fn observed(&self) -> Observed {
        let ended = |outcome| Observed::Ended(self.ended(outcome));
        match self.state.as_str() {
            "FINISHED" => ended(Outcome::Succeeded),
            "FAILED" => ended(Outcome::Failed),
            "CANCELED" => ended(Outcome::Killed),
            "INITIALIZING" | "CREATED" => Observed::Queued { state: Some(self.state.clone()) },
            "RUNNING" if self.waits() => Observed::Queued { state: Some(WAITS.to_owned()) },
            "RUNNING" => Observed::Running { state: None },
            other => Observed::Running { state: Some(other.to_owned()) },
        }
    }

    /// Flink calls a job running that has no slot for any of its tasks.
    fn waits(&self) -> bool {
        self.tasks.total > 0 && self.tasks.created + self.tasks.scheduled == self.tasks.total
    }

    fn ended(&self, outcome: Outcome) -> Ended {
        let time = |millis: i64| (millis > 0).then(|| Timestamp::from_micros(millis.saturating_mul(1000)));
        Ended {
            outcome,
            exit_code: None,
            reason: None,
            started_at: time(self.start_time),
            ended_at: time(self.end_time),
            usage: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: &str, scheduled: u64, total: u64) -> Observed {
        let text = format!(
            r#"{{"jid": "a", "name": "n", "state": "{state}", "start-time": 1000, "end-time": -1, "duration": 5,
            "tasks": {{"running": 0, "total": {total}, "created": 0, "scheduled": {scheduled}}}}}"#
        );
        serde_json::from_str::<Job>(&text).expect("a job").observed()
    }

    #[test]
    fn states_in_our_words() {
        let running = |state: Option<&str>| Observed::Running { state: state.map(str::to_owned) };
        assert_eq!(job("RUNNING", 1, 2), running(None));
        assert_eq!(job("RUNNING", 2, 2), Observed::Queued { state: Some(WAITS.to_owned()) });
        assert_eq!(job("CREATED", 0, 2), Observed::Queued { state: Some("CREATED".to_owned()) });
        for state in ["RESTARTING", "FAILING", "CANCELLING", "SUSPENDED", "RECONCILING", "A NEW ONE"] {
            assert_eq!(job(state, 0, 2), running(Some(state)));
        }
        for (state, outcome) in
            [("FINISHED", Outcome::Succeeded), ("FAILED", Outcome::Failed), ("CANCELED", Outcome::Killed)]
        {
            let Observed::Ended(ended) = job(state, 0, 2) else { panic!("{state}") };
            assert_eq!((ended.outcome, ended.ended_at), (outcome, None));
            assert_eq!(ended.started_at, Some(Timestamp::from_micros(1_000_000)));
        }
    }
}
