//! Ids of jobs and the tags that they were made of. The way back from an id to its tag is written down here before a job is
//! submitted, since a program may replace everything that Flink's lists would show of it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use foggara_domain::Tag;
use sha2::{Digest, Sha256};

/// How many jobs that nobody here knows are asked for their tag in one survey.
const ASKED: usize = 50;

/// The id of the job with this tag: the first half of its SHA-256.
pub fn job_id(tag: &Tag) -> String {
    hex::encode(&Sha256::digest(tag.as_str())[..16])
}

/// Counts the questions of a survey.
pub struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(ASKED)
    }
}

impl Budget {
    /// Whether one more may be asked.
    pub fn take(&mut self) -> bool {
        let left = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        left
    }
}

/// What is known of ids; nothing as a tag means that the job is not ours.
pub struct Ids {
    folder: PathBuf,
    known: Mutex<BTreeMap<String, Option<Tag>>>,
}

impl Ids {
    /// `folder` has a file per submitted job until it is forgotten.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Option<Tag>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tag of an id, as far as it is known: `Some(None)` for a job of somebody else.
    pub fn tag(&self, id: &str) -> Option<Option<Tag>> {
        if let Some(known) = self.known().get(id) {
            return Some(known.clone());
        }
        // An id comes from a service, and may not lead out of the folder.
        let plain = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let tag = plain.then(|| fs::read_to_string(self.folder.join(id)).ok()).flatten();
        let tag = tag.map(Tag::from).filter(|tag| job_id(tag) == id)?;
        self.learn(id, Some(tag.clone()));
        Some(Some(tag))
    }

    /// Keeps what was learnt in memory.
    pub fn learn(&self, id: &str, tag: Option<Tag>) {
        self.known().insert(id.to_owned(), tag);
    }

    /// Writes down the tag of a job that is about to be submitted.
    pub fn remember(&self, tag: &Tag) -> Result<(), String> {
        let id = job_id(tag);
        let file = self.folder.join(&id);
        let failed = |error: io::Error| format!("{}: {error}", file.display());
        fs::create_dir_all(&self.folder).map_err(failed)?;
        fs::write(&file, tag.as_str()).map_err(failed)?;
        self.learn(&id, Some(tag.clone()));
        Ok(())
    }

    /// Forgets in memory what the service has no more.
    pub fn retain(&self, keeps: impl Fn(&str) -> bool) {
        self.known().retain(|id, _| keeps(id));
    }

    /// Forgets a job.
    pub fn forget(&self, tag: &Tag) -> Result<(), String> {
        let id = job_id(tag);
        let file = self.folder.join(&id);
        self.known().remove(&id);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("{}: {error}", file.display())),
            _ => Ok(()),
        }
    }
}
