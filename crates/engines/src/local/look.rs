//! What became of a job, and stopping it: by its decision, its lock, its exit record, and, when its supervisor was killed, by
//! what is left of it in /proc.

use std::{collections::BTreeSet, fs, io, sync::PoisonError, time::Duration};

use foggara_domain::{Tag, status::Outcome};
use rustix::process::Signal;

use super::{
    Local,
    attempt::{Attempt, Decision, ExitRecord, Spec},
    processes::{Identity, boot_id, tagged},
};
use crate::{Ended, Observed, Stop};

/// The grace when the launch's own is not known.
const GRACE: Duration = Duration::from_secs(10);

impl Local {
    pub(super) fn look(&self, tag: &Tag) -> io::Result<Observed> {
        let attempt = self.attempt(tag);
        if let Some(record) = attempt.exit()? {
            return Ok(Observed::Ended(ended(&record)));
        }
        let Some(Decision::Launch(supervisor)) = attempt.decision()? else {
            return Ok(Observed::Absent { incarnation: boot_id()?.to_owned() });
        };
        if supervisor.boot_id != boot_id()? {
            return self.lose(&attempt, "host restarted", None).map(|record| Observed::Ended(ended(&record)));
        }
        if attempt.is_supervised()? {
            self.watch.follow(tag, &supervisor);
            return Ok(Observed::Running { state: None });
        }
        // It may have ended between the two looks.
        if let Some(record) = attempt.exit()? {
            return Ok(Observed::Ended(ended(&record)));
        }
        Ok(match self.pursue(tag, &attempt, &supervisor, None)? {
            Some(record) => Observed::Ended(ended(&record)),
            None => Observed::Running { state: None },
        })
    }

    pub(super) fn send_stop(&self, tag: &Tag, how: Stop) -> io::Result<()> {
        let attempt = self.attempt(tag);
        let (None, Some(Decision::Launch(supervisor))) = (attempt.exit()?, attempt.decision()?) else { return Ok(()) };
        if supervisor.boot_id != boot_id()? {
            return Ok(());
        }
        if attempt.is_supervised()? {
            let signal = match how {
                Stop::Gently => Signal::TERM,
                Stop::Hard => Signal::USR1,
            };
            if supervisor.signal(signal)? {
                // A job may have stopped its own supervisor, which has to hear.
                supervisor.signal(Signal::CONT)?;
                return Ok(());
            }
            if attempt.is_supervised()? {
                return Err(io::Error::other(
                    "its supervisor holds the lock and is not the process that it said it is",
                ));
            }
        }
        if attempt.exit()?.is_none() {
            self.pursue(tag, &attempt, &supervisor, Some(how))?;
        }
        Ok(())
    }

    /// An attempt of this boot without a live supervisor and without an exit record: its processes are stopped, and when none is
    /// left that is written down.
    fn pursue(
        &self,
        tag: &Tag,
        attempt: &Attempt,
        supervisor: &Identity,
        how: Option<Stop>,
    ) -> io::Result<Option<ExitRecord>> {
        let spec = attempt.spec()?;
        let grace = spec.as_ref().map_or(GRACE, |spec| Duration::from_millis(spec.kill_grace_ms));
        let group = spec.and_then(|spec| spec.cgroup);
        let (gone, asked) = {
            let mut all = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            let lost = all.entry(tag.clone()).or_default();
            lost.asked = how.or(lost.asked);
            (lost.pursue(tag.as_str(), supervisor, group.as_deref(), grace)?, lost.asked)
        };
        if !gone {
            return Ok(None);
        }
        let record = self.lose(attempt, "its supervisor was killed", asked)?;
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).remove(tag);
        Ok(Some(record))
    }

    /// Writes the end of a job down that nobody saw, when nothing of it is left.
    fn lose(&self, attempt: &Attempt, why: &str, asked: Option<Stop>) -> io::Result<ExitRecord> {
        let record = ExitRecord { lost: Some(why.to_owned()), stopped: asked.is_some(), ..ExitRecord::default() };
        let spec = attempt.spec()?;
        let cleared = spec.as_ref().map_or(Ok(()), Spec::clear_litter);
        attempt.end(&record)?;
        let stripped = spec.map_or(Ok(()), |spec| attempt.strip(&spec));
        if let Err(error) = cleared.and(stripped) {
            tracing::warn!(attempt = %attempt.folder().display(), "what a lost job left cannot be removed: {error}");
        }
        Ok(record)
    }

    /// Jobs that may have live processes: whatever carries a tag, and every attempt that was launched and has no exit record.
    pub(super) fn alive(&self, prefix: &str) -> io::Result<Vec<Tag>> {
        let mut found: BTreeSet<Tag> = tagged(prefix)?.into_keys().map(Tag::from).collect();
        for entry in fs::read_dir(&self.attempts)? {
            let tag = Tag::from(entry?.file_name().to_string_lossy().into_owned());
            let known = self.over.lock().unwrap_or_else(PoisonError::into_inner).contains(&tag);
            if known || !tag.as_str().starts_with(prefix) {
                continue;
            }
            let attempt = self.attempt(&tag);
            match (attempt.exit()?, attempt.decision()?) {
                (None, Some(Decision::Launch(_))) => {
                    found.insert(tag);
                }
                (Some(_), _) | (_, Some(Decision::Void { .. })) => {
                    self.over.lock().unwrap_or_else(PoisonError::into_inner).insert(tag);
                }
                (None, None) => {}
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// The exit record in the engine's words.
fn ended(record: &ExitRecord) -> Ended {
    let exit_code = record.exit_code.or(record.signal.map(|signal| 128 + signal));
    let how = match (record.exit_code, record.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "lost: nobody saw its end".to_owned(),
    };
    let (outcome, reason) = match record {
        ExitRecord { lost: Some(why), .. } => (Outcome::Failed, Some(format!("lost: {why}"))),
        ExitRecord { exit_code: Some(0), .. } => (Outcome::Succeeded, None),
        ExitRecord { fault: Some(fault), exit_code: None, signal: None, .. } => (Outcome::Failed, Some(fault.clone())),
        ExitRecord { fault: Some(fault), .. } => (Outcome::Failed, Some(format!("{how}: {fault}"))),
        _ => (Outcome::Failed, Some(how)),
    };
    Ended {
        outcome,
        exit_code,
        reason,
        started_at: record.started_at,
        ended_at: record.ended_at,
        usage: record.usage.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_in_words() {
        let none = ExitRecord::default;
        let cases = [
            (ExitRecord { exit_code: Some(0), ..none() }, Outcome::Succeeded, Some(0), None),
            (ExitRecord { exit_code: Some(3), ..none() }, Outcome::Failed, Some(3), Some("exit code 3")),
            (ExitRecord { signal: Some(9), ..none() }, Outcome::Failed, Some(137), Some("killed by signal 9")),
            (
                ExitRecord { exit_code: Some(126), fault: Some("why".to_owned()), ..none() },
                Outcome::Failed,
                Some(126),
                Some("exit code 126: why"),
            ),
            (ExitRecord { fault: Some("no fork".to_owned()), ..none() }, Outcome::Failed, None, Some("no fork")),
            (ExitRecord { lost: Some("x".to_owned()), ..none() }, Outcome::Failed, None, Some("lost: x")),
        ];
        for (record, outcome, code, reason) in cases {
            let ended = ended(&record);
            assert_eq!((ended.outcome, ended.exit_code, ended.reason.as_deref()), (outcome, code, reason));
        }
    }
}
