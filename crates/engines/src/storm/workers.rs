//! What the workers of a topology write. Each worker has a log of its own on its supervisor's host, which Storm's log viewer gives as a
//! whole (`/download?file=`), as long as it keeps it. What is new there is added to a file of ours, whose bytes stay where they are,
//! with a line before each change from one worker to another, as `tail -f` of several files does. Nimbus forgets which workers a
//! topology had; they are noted beside the file.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    EngineError,
    local::create,
    remote::rest::{Auth, Rest, RestSettings},
};

/// How much of a worker's log is fetched at once.
const PIECE: usize = 1 << 20;

/// What `/api/v1/topology/{id}` answers; other members are of no interest.
#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    workers: Vec<Worker>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Worker {
    host: String,
    port: u64,
    #[serde(default)]
    worker_log_link: String,
}

/// A worker's log as far as it was fetched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Fetched {
    link: String,
    offset: u64,
    /// It could not be had the last time, and that was said.
    #[serde(default)]
    failed: bool,
}

/// What is noted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Note {
    /// By `host:port`.
    workers: BTreeMap<String, Fetched>,
    /// Whose bytes stand at the end.
    last: Option<String>,
}

/// The workers' logs of one job.
pub(super) struct Workers {
    /// The attempt's folder.
    folder: PathBuf,
    /// How large the file may become.
    limit: u64,
    /// How we trust the log viewers. Our token is for the UI alone.
    ui: RestSettings,
}

impl Workers {
    /// `folder` is that of the attempt of the client.
    pub fn of(folder: PathBuf, limit: u64, ui: &RestSettings) -> Self {
        Self { folder, limit, ui: RestSettings { auth: Auth::None, service: "Storm's log viewer", ..ui.clone() } }
    }

    /// Where the bytes are.
    pub fn file(&self) -> PathBuf {
        self.folder.join("workers")
    }

    /// Notes the workers that the page of the topology has, where there is one; gives those and the ones that it had before.
    pub fn note_page(&self, page: Option<Page>) -> Result<Note, EngineError> {
        let failed = |error| self.failed(&error);
        let mut note = self.note().map_err(failed)?;
        for worker in page.into_iter().flat_map(|page| page.workers) {
            let known = note.workers.entry(format!("{}:{}", worker.host, worker.port)).or_default();
            known.link = worker.worker_log_link;
        }
        if !note.workers.is_empty() {
            self.keep(&note).map_err(failed)?;
        }
        Ok(note)
    }

    fn failed(&self, error: &io::Error) -> EngineError {
        EngineError::Unreachable(format!("{}: {error}", self.file().display()))
    }

    /// Fetches what is new: of the workers that the page of the topology has, and of those that it had before.
    pub async fn fetch(&self, page: Option<Page>) -> Result<(), EngineError> {
        let failed = |error| self.failed(&error);
        let mut note = self.note_page(page)?;
        if note.workers.is_empty() {
            return Ok(());
        }
        let mut file = OpenOptions::new().create(true).append(true).open(self.file()).map_err(failed)?;
        let names: Vec<String> = note.workers.keys().cloned().collect();
        for name in names {
            let new = self.of_worker(note.workers.get_mut(&name)).await;
            let room = self.limit.saturating_sub(file.metadata().map_err(failed)?.len());
            if new.is_empty() || room == 0 {
                continue;
            }
            if note.last.as_ref() != Some(&name) {
                writeln!(file, "==> worker {name} <==").map_err(failed)?;
                note.last = Some(name.clone());
            }
            file.write_all(&new).map_err(failed)?;
            if new.len() as u64 >= room {
                let words = "\n[... the rest of the workers' logs was left out: they are over the limit ...]\n";
                file.write_all(words.as_bytes()).map_err(failed)?;
            }
            // After each, so that nothing is fetched twice when the next takes too long for whoever waits.
            self.keep(&note).map_err(failed)?;
        }
        Ok(())
    }

    /// What is new in a worker's log, or one line that says why it cannot be had.
    async fn of_worker(&self, fetched: Option<&mut Fetched>) -> Vec<u8> {
        let Some(fetched) = fetched else { return Vec::new() };
        let mut new = Vec::new();
        loop {
            match self.piece(&fetched.link, fetched.offset).await {
                // Not there yet, not any more, or begun anew after it was rolled.
                Ok(None) if fetched.offset > 0 && !fetched.failed => {
                    fetched.offset = 0;
                    new.extend(b"\n[... this worker's log was begun anew or removed ...]\n");
                    fetched.failed = true;
                }
                Ok(None) => return new,
                Ok(Some(piece)) => {
                    fetched.failed = false;
                    fetched.offset += piece.len() as u64;
                    let is_whole = piece.len() < PIECE;
                    new.extend(piece);
                    if is_whole || new.len() as u64 >= self.limit {
                        return new;
                    }
                }
                Err(why) => {
                    if !std::mem::replace(&mut fetched.failed, true) {
                        new.extend(format!("[the log of this worker cannot be had: {why}]\n").into_bytes());
                    }
                    return new;
                }
            }
        }
    }

    async fn piece(&self, link: &str, offset: u64) -> Result<Option<Vec<u8>>, String> {
        let (address, path) = download(link).ok_or_else(|| format!("its link is '{link}'"))?;
        let viewer = Rest::new(RestSettings { urls: address, ..self.ui.clone() })?;
        viewer.part(&path, offset, PIECE).await.map_err(|error| error.to_string())
    }

    fn note(&self) -> io::Result<Note> {
        match fs::read(self.folder.join("workers.json")) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Note::default()),
            Err(error) => Err(error),
        }
    }

    fn keep(&self, note: &Note) -> io::Result<()> {
        let new = self.folder.join("workers.json.new");
        create(&new)?.write_all(&serde_json::to_vec(note)?)?;
        fs::rename(&new, self.folder.join("workers.json"))
    }
}

/// From the link to a log's page to the address of the viewer and the path of the bytes: `http://host:8000/log?file=F` of Storm 1,
/// `http://host:8000/api/v1/log?file=F` of Storm 2. Another page is none of a log.
fn download(link: &str) -> Option<(String, String)> {
    let url = Url::parse(link).ok()?;
    let path = match url.path() {
        "/log" => "/download",
        "/api/v1/log" => "/api/v1/download",
        _ => return None,
    };
    let file = url.query_pairs().find(|(key, _)| key == "file")?.1;
    let file: String = url::form_urlencoded::byte_serialize(file.as_bytes()).collect();
    Some((url.origin().ascii_serialization(), format!("{path}?file={file}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_both_versions_and_of_none() {
        let of = |link: &str| download(link).map(|(address, path)| address + &path);
        for (link, wanted) in [
            (
                "http://h:8000/log?file=a-1%2F6707%2Fworker.log",
                Some("http://h:8000/download?file=a-1%2F6707%2Fworker.log"),
            ),
            ("https://h/api/v1/log?x=1&file=f", Some("https://h/api/v1/download?file=f")),
            ("http://h:8000/latest/meta-data?file=f", None),
            ("http://h:8000/log", None),
            ("logs", None),
        ] {
            assert_eq!(of(link).as_deref(), wanted, "{link}");
        }
    }
}
