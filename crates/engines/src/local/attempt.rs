//! The folder of one attempt, `DIR/attempts/<tag>`: everything that is known of a local job, so that a restarted server finds
//! it again by its tag alone. It lies outside of the workspace and stays until the execution is removed.
//!
//! `decision` is made by link(2) from a complete, synced file and says for ever either who supervises the job or that it was
//! ruled out; whoever finds it made has lost (lifecycle.md "Launch without doubles").

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use foggara_domain::{Tag, Timestamp, execution::Usage};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::processes::Identity;

/// What the shim is to run; written before it is started, mode 0600.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    pub tag: String,
    pub argv: Vec<String>,
    pub cwd: PathBuf,
    pub env: BTreeMap<String, String>,
    pub logs: PathBuf,
    /// Bytes kept of each stream: half of them from its head, half from its tail.
    pub log_limit: u64,
    pub kill_grace_ms: u64,
    /// Control group of the job, where one can be used.
    pub cgroup: Option<PathBuf>,
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
pub(super) struct ExitRecord {
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    /// The program could not be started.
    pub exec_error: Option<String>,
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

    pub fn lock_file(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub fn shim_log(&self) -> PathBuf {
        self.0.join("shim.log")
    }

    pub fn exec_error_file(&self) -> PathBuf {
        self.0.join("exec_error")
    }

    /// Makes the folder and what has to be there before a shim starts.
    pub fn prepare(&self, spec: &Spec) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        self.put("launch.json", spec)?;
        sync_folder(self.0.parent().unwrap_or(&self.0))
    }

    pub fn spec(&self) -> io::Result<Option<Spec>> {
        self.get("launch.json")
    }

    /// The decision, if there is one.
    pub fn decision(&self) -> io::Result<Option<Decision>> {
        self.get("decision")
    }

    /// Tries to make the decision; gives the one that holds.
    pub fn decide(&self, decision: &Decision) -> io::Result<Decision> {
        fs::create_dir_all(&self.0)?;
        let draft = format!("decision.{}", std::process::id());
        self.put(&draft, decision)?;
        let linked = fs::hard_link(self.0.join(&draft), self.0.join("decision"));
        let holds = match linked {
            Ok(()) => {
                sync_folder(&self.0)?;
                sync_folder(self.0.parent().unwrap_or(&self.0))?;
                decision.clone()
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.decision()?.ok_or_else(|| io::Error::other("the decision vanished"))?
            }
            Err(error) => return Err(error),
        };
        // A draft that stays harms nobody.
        let _ = fs::remove_file(self.0.join(&draft));
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
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Makes names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
