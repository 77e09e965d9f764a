//! The folder of one attempt, `DIR/attempts/<tag>`: everything that is known of a local job, so that a restarted server finds
//! it again by its tag alone. It lies outside of the workspace and stays until the execution is removed.
//!
//! `decision` is made by link(2) from a complete, synced file and says for ever either who supervises the job or that it was
//! ruled out; whoever finds it made has lost (lifecycle.md "Launch without doubles").

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use foggara_domain::{Tag, Timestamp, execution::Usage};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{client::Role, processes::Identity};

/// What the shim is to run; written before it is started, mode 0600.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    pub tag: String,
    /// The program with its absolute path, and its arguments.
    pub argv: Vec<String>,
    pub cwd: PathBuf,
    pub env: BTreeMap<String, String>,
    /// Folder of the files `stdout` and `stderr`.
    pub logs: PathBuf,
    /// Bytes kept of each stream: half of them from its head, half from its tail.
    pub log_limit: u64,
    pub kill_grace_ms: u64,
    /// Control group of the job, where one can be used.
    pub cgroup: Option<PathBuf>,
    /// MiB of memory that each process may have.
    #[serde(default)]
    pub memory_mb: Option<u64>,
    /// An unfinished output that is of no use once the job is over.
    #[serde(default)]
    pub litter: Option<PathBuf>,
    /// Which of several engines was taken.
    #[serde(default)]
    pub note: Option<String>,
    /// It is Pig: why it failed is among the errors that it logs.
    #[serde(default)]
    pub is_pig: bool,
    /// What it is to an engine elsewhere; nothing for a program that is the job itself.
    #[serde(default)]
    pub role: Option<Role>,
    /// Milliseconds of CLOCK_BOOTTIME that it may take before it is stopped.
    #[serde(default)]
    pub limit_ms: Option<u64>,
}

impl Spec {
    /// Removes what the job left unfinished. Called when none of its processes is left.
    pub fn clear_litter(&self) -> io::Result<()> {
        match self.litter.as_deref().map(fs::remove_dir_all) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Who won.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Decision {
    /// The supervisor that launches the job.
    Launch(Identity),
    /// The launch is ruled out.
    Void {
        /// Why.
        by: String,
    },
}

/// The end, as the shim saw it; written only after no descendant was left.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ExitRecord {
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    /// Why the program could not be started, or what it says itself of its failure.
    pub fault: Option<String>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub usage: Option<Usage>,
    /// A stop was asked for.
    pub stopped: bool,
    /// It needed SIGKILL.
    pub killed_hard: bool,
    /// Nobody saw the end: the supervisor was killed, or the host restarted.
    pub lost: Option<String>,
}

/// Size of the file that is set aside for the exit record before the job starts, so that a full disk cannot prevent it.
const RECORD_SIZE: usize = 4096;

/// Paths of an attempt.
#[derive(Clone, Debug)]
pub(super) struct Attempt(PathBuf);

impl Attempt {
    pub fn of(root: &Path, tag: &Tag) -> Self {
        Self(root.join(tag.as_str()))
    }

    pub fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    fn lock_file(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub fn shim_log(&self) -> PathBuf {
        self.0.join("shim.log")
    }

    /// Where the job's own stages say why they failed.
    pub fn fault_file(&self) -> PathBuf {
        self.0.join("fault")
    }

    /// Makes the folder and what has to be there before a shim starts.
    pub fn prepare(&self, spec: &Spec) -> io::Result<()> {
        self.make()?;
        self.put("launch.json", spec)?;
        sync_folder(self.0.parent().unwrap_or(&self.0))
    }

    fn make(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)
    }

    pub fn spec(&self) -> io::Result<Option<Spec>> {
        self.get("launch.json")
    }

    /// Forgets what the job was started with when it is over: arguments and variables may be secret, and nobody needs them any
    /// more.
    pub fn strip(&self, spec: &Spec) -> io::Result<()> {
        self.put("launch.json", &Spec { argv: Vec::new(), env: BTreeMap::new(), ..spec.clone() })
    }

    /// Takes the lock for as long as the file is open; nothing when another one has it.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.lock_file())?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(lock)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a supervisor holds the lock. It is free as soon as the supervisor's process is gone, however it went. Not being
    /// able to look is an error, never "nobody does".
    pub fn is_supervised(&self) -> io::Result<bool> {
        let lock = match OpenOptions::new().read(true).open(self.lock_file()) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match flock(&lock, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// The decision, if there is one.
    pub fn decision(&self) -> io::Result<Option<Decision>> {
        self.get("decision")
    }

    /// Rules the launch out, unless it happened; gives the decision that holds.
    pub fn void(&self, by: &str) -> io::Result<Decision> {
        self.make()?;
        self.decide(&Decision::Void { by: by.to_owned() })
    }

    /// Tries to make the decision; gives the one that holds, which is durable by then.
    pub fn decide(&self, decision: &Decision) -> io::Result<Decision> {
        static DRAFTS: AtomicU64 = AtomicU64::new(0);
        let draft = format!("decision.{}.{}", std::process::id(), DRAFTS.fetch_add(1, Ordering::Relaxed));
        self.put(&draft, decision)?;
        let linked = fs::hard_link(self.0.join(&draft), self.0.join("decision"));
        // A draft that stays harms nobody.
        let _ = fs::remove_file(self.0.join(&draft));
        let holds = match linked {
            Ok(()) => decision.clone(),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.decision()?.ok_or_else(|| io::Error::other("the decision vanished"))?
            }
            Err(error) => return Err(error),
        };
        // Also when another one made it: it may not have come to this yet, and we act on its word.
        sync_folder(&self.0)?;
        sync_folder(self.0.parent().unwrap_or(&self.0))?;
        Ok(holds)
    }

    /// Sets room aside for the exit record.
    pub fn reserve_exit(&self) -> io::Result<()> {
        let mut file = create(&self.0.join("exit.reserved"))?;
        file.write_all(&[b' '; RECORD_SIZE])?;
        file.sync_all()
    }

    /// Writes the exit record into the reserved file and puts it in place.
    pub fn end(&self, record: &ExitRecord) -> io::Result<()> {
        let mut text = serde_json::to_vec(record)?;
        text.resize(text.len().max(RECORD_SIZE), b' ');
        let reserved = self.0.join("exit.reserved");
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&reserved)?;
        file.write_all(&text)?;
        // A longer one may have been begun there by a supervisor that was killed at it.
        file.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))?;
        file.sync_all()?;
        fs::rename(&reserved, self.0.join("exit.json"))?;
        sync_folder(&self.0)
    }

    /// The exit record, if the job ended.
    pub fn exit(&self) -> io::Result<Option<ExitRecord>> {
        self.get("exit.json")
    }

    fn put(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let new = self.0.join(format!("{name}.new"));
        let mut file = create(&new)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        file.sync_all()?;
        fs::rename(&new, self.0.join(name))?;
        sync_folder(&self.0)
    }

    fn get<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let path = self.0.join(name);
        let mut text = String::new();
        match File::open(&path) {
            Ok(mut file) => file.read_to_string(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
    }
}

/// A new file that only our own user reads.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Makes names in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_exit_record_takes_the_room_that_was_set_aside() {
        let dir = tempfile::tempdir().expect("a folder");
        let attempt = Attempt::at(dir.path());
        attempt.reserve_exit().expect("reserved");
        let before = fs::metadata(dir.path().join("exit.reserved")).expect("there");
        let record = ExitRecord { exit_code: Some(5), ..ExitRecord::default() };
        attempt.end(&record).expect("written");
        let after = fs::metadata(dir.path().join("exit.json")).expect("there");
        assert_eq!((before.ino(), before.blocks(), before.len()), (after.ino(), after.blocks(), after.len()));
        assert_eq!(attempt.exit().expect("read").and_then(|record| record.exit_code), Some(5));
    }

    #[test]
    fn what_a_killed_supervisor_had_begun_to_write_does_not_spoil_the_record() {
        let dir = tempfile::tempdir().expect("a folder");
        let attempt = Attempt::at(dir.path());
        fs::write(dir.path().join("exit.reserved"), "x".repeat(10_000)).expect("written");
        attempt.end(&ExitRecord::default()).expect("written");
        assert!(attempt.exit().expect("it can be read").is_some());
    }
}
