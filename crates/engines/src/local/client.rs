//! Programs of this host that talk to an engine elsewhere: supervised as jobs are, with the same decision, so that the same tag
//! never starts two (lifecycle.md "Launch without doubles").

use std::{collections::BTreeMap, time::Duration};

use foggara_domain::{Tag, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Local,
    attempt::{Decision, ExitRecord},
    command::{self, Command},
    unreadable,
};
use crate::{EngineError, Launch, Launched, Observed, Stream};

/// How much of the end of a log is looked at for the reason of a failure.
const TAIL: u64 = 64 * 1024;
/// Exit codes from here on are those of a program that a signal ended.
const BY_SIGNAL: i32 = 128;

/// What such a program is to the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// It hands the job over and ends; the job goes on elsewhere.
    Submitter,
    /// It is a part of the job and lives as long.
    Client,
}

/// Such a program.
pub(crate) struct Client {
    pub role: Role,
    /// The program with its absolute path, and its arguments.
    pub argv: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// How long it may take before it is stopped.
    pub limit: Option<Duration>,
}

/// How such a program is.
#[derive(Clone, Debug)]
pub(crate) struct ClientState {
    pub role: Role,
    /// In the words of the local engine; never absent.
    pub observed: Observed,
    /// Its end came from outside: what it had sent last may still take effect.
    pub cut_off: bool,
    /// When it ended, where somebody saw it.
    pub ended_at: Option<Timestamp>,
}

impl Local {
    /// Starts such a program, unless its attempt was decided before: then that is the answer.
    pub(crate) async fn start_client(
        &self,
        launch: &Launch<'_>,
        make: impl FnOnce() -> Result<Client, String>,
    ) -> Result<Launched, EngineError> {
        // Beside the attempt: the folder of the job's logs is for what the engine elsewhere has.
        let logs = self.attempt(launch.tag).folder().join("client");
        self.start_with(launch, || {
            let client = make()?;
            let mut command = Command { argv: client.argv, env: client.env, litter: None, note: None };
            command::finish(&mut command, &launch.workspace)?;
            let mut spec = self.spec(launch, command);
            spec.logs = logs;
            spec.role = Some(client.role);
            spec.limit_ms = client.limit.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
            Ok(spec)
        })
        .await
    }

    /// How the program of a tag is; nothing where none was ever started, or one that is no client.
    pub(crate) fn client(&self, tag: &Tag) -> Result<Option<ClientState>, EngineError> {
        let attempt = self.attempt(tag);
        let failed = |error: std::io::Error| unreadable(&attempt, &error);
        let Some(role) = attempt.spec().map_err(failed)?.and_then(|spec| spec.role) else { return Ok(None) };
        if !matches!(attempt.decision().map_err(failed)?, Some(Decision::Launch(_))) {
            return Ok(None);
        }
        let observed = self.look(tag).map_err(failed)?;
        let record = attempt.exit().map_err(failed)?;
        Ok(Some(ClientState {
            role,
            observed,
            cut_off: record.as_ref().is_some_and(was_cut_off),
            ended_at: record.and_then(|record| record.ended_at),
        }))
    }

    /// What such a program said last that tells why it failed.
    pub(crate) async fn last_words(&self, tag: &Tag) -> Option<String> {
        use crate::Engine;
        let size = self.logs(tag.into(), Stream::Stderr, 0, 1).await.ok()?.size;
        let mut text = Vec::new();
        let mut offset = size.saturating_sub(TAIL);
        loop {
            let piece = self.logs(tag.into(), Stream::Stderr, offset, usize::try_from(TAIL).unwrap_or(0)).await.ok()?;
            if piece.bytes.is_empty() || text.len() as u64 > TAIL {
                break;
            }
            text.extend(piece.bytes);
            offset = piece.next_offset;
        }
        reason(&String::from_utf8_lossy(&text))
    }
}

fn was_cut_off(record: &ExitRecord) -> bool {
    record.stopped
        || record.killed_hard
        || record.lost.is_some()
        || record.signal.is_some()
        || record.exit_code.is_none_or(|code| code >= BY_SIGNAL)
}

/// The line of a Java program's errors that a person wants to see: the exception that ended it, else the last line that is more
/// than a trace or a remark.
fn reason(text: &str) -> Option<String> {
    const EXCEPTION: &str = "Exception in thread \"main\" ";
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let exception = lines.iter().rev().find_map(|line| line.strip_prefix(EXCEPTION));
    let error = || lines.iter().rev().find(|line| line.starts_with("Error") || line.contains(" ERROR ")).copied();
    let plain = |line: &&&str| {
        let remark = [" INFO ", " WARN ", " DEBUG "].iter().any(|level| line.contains(level));
        !remark && !line.starts_with("at ") && !line.starts_with("... ") && !line.starts_with("WARNING")
    };
    let line = exception.or_else(error).or_else(|| lines.iter().rev().find(plain).copied())?;
    Some(match line.char_indices().nth(500) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_found_among_remarks() {
        let text = "26/11/24 10:00:00 INFO Client: Requesting a new application\n\
            Exception in thread \"main\" org.apache.hadoop.yarn.exceptions.YarnException: queue nope is unknown\n\
            \tat org.apache.spark.deploy.yarn.Client.run(Client.scala:1)\nCaused by: java.io.IOException: x\n\
            26/11/24 10:00:01 INFO ShutdownHookManager: Deleting directory /tmp/x\n";
        assert_eq!(
            reason(text).as_deref(),
            Some("org.apache.hadoop.yarn.exceptions.YarnException: queue nope is unknown")
        );
        assert_eq!(
            reason("Error: Failed to load class X.\n26 INFO bye\n").as_deref(),
            Some("Error: Failed to load class X.")
        );
        assert_eq!(reason("it is broken\n26/11/24 INFO bye\n\tat x.y(Z)\n").as_deref(), Some("it is broken"));
        assert_eq!(reason(""), None);
    }

    #[test]
    fn only_an_end_of_its_own_is_an_answer() {
        let record = ExitRecord::default;
        assert!(!was_cut_off(&ExitRecord { exit_code: Some(1), ..record() }));
        for cut in [
            ExitRecord { signal: Some(9), ..record() },
            ExitRecord { exit_code: Some(143), ..record() },
            ExitRecord { exit_code: Some(1), stopped: true, ..record() },
            ExitRecord { lost: Some("x".to_owned()), ..record() },
        ] {
            assert!(was_cut_off(&cut), "{cut:?}");
        }
    }
}
