//! Logs of a job. Flink keeps them by process and not by job: what the JobManager prints while the job's main runs, and what the
//! TaskManagers print while the job is there, is taken as its standard output, and what the JobManager's log says of its id, with its failures, as its standard error.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use foggara_domain::Tag;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{EngineError, LogPiece, local::read_log, remote::rest::Rest};

/// Beside a job's logs: how far each TaskManager's output was taken.
const STATE: &str = ".flink.json";
/// Beside a job's logs: what was taken.
const TAKEN: &str = ".flink.stdout";
/// The JobManager among the processes, and where its files are.
const JOB_MANAGER: &str = "jobmanager";

/// Output that is collected, since that of several processes has no offsets of its own.
pub struct Spools {
    folder: PathBuf,
    limit: u64,
    /// One reader at a time.
    reading: tokio::sync::Mutex<()>,
}

/// How far a job's output was taken.
#[derive(Default, Deserialize, Serialize)]
struct State {
    /// Bytes of each process that came before the job or were taken; the JobManager is among them until its are taken.
    offsets: BTreeMap<String, u64>,
    /// Bytes taken in all; more in the file come of a crash.
    length: u64,
    /// The job ended before the last look.
    closed: bool,
}

#[derive(Deserialize)]
struct TaskManagers {
    taskmanagers: Vec<TaskManager>,
}

#[derive(Deserialize)]
struct TaskManager {
    id: String,
}

#[derive(Deserialize)]
struct Files {
    logs: Vec<LogFile>,
}

#[derive(Deserialize)]
struct LogFile {
    name: String,
    size: u64,
}

impl Spools {
    /// `folder` has one folder per tag, where the kept logs of ended jobs lie too.
    pub fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit, reading: tokio::sync::Mutex::default() }
    }

    /// Notes how much the TaskManagers have printed before a job begins. A repeated launch leaves the first note.
    pub async fn begin(&self, rest: &Rest, tag: &Tag) -> Result<(), EngineError> {
        let _reading = self.reading.lock().await;
        let folder = self.folder.join(tag.as_str());
        if folder.join(STATE).exists() {
            return Ok(());
        }
        let mut state = State::default();
        for process in managers(rest).await?.into_iter().chain([JOB_MANAGER.to_owned()]) {
            let size = printed(rest, &process).await?;
            state.offsets.insert(process, size);
        }
        let failed = |error: io::Error| EngineError::NotSent(format!("{}: {error}", folder.display()));
        fs::create_dir_all(&folder).map_err(failed)?;
        state.write(&folder).map_err(failed)
    }

    /// Takes what main printed, once; it has returned. A job does not depend on it.
    pub async fn main_printed(&self, rest: &Rest, tag: &Tag) {
        let taken = async {
            let _reading = self.reading.lock().await;
            let folder = self.folder.join(tag.as_str());
            let failed = |error: io::Error| EngineError::Unreachable(format!("{}: {error}", folder.display()));
            let mut state = State::read(&folder).map_err(failed)?;
            let Some(begin) = state.offsets.get(JOB_MANAGER).copied() else { return Ok(()) };
            if printed(rest, JOB_MANAGER).await? != begin {
                self.take(rest, &folder, &mut state, vec![JOB_MANAGER.to_owned()]).await?;
            }
            state.offsets.remove(JOB_MANAGER);
            state.write(&folder).map_err(failed)
        };
        let taken: Result<(), EngineError> = taken.await;
        if let Err(why) = taken {
            tracing::warn!(%tag, "what the main of a job printed cannot be had: {why}");
        }
    }

    /// A piece of what was printed since a job began; empty for a job that was not launched from this data directory.
    pub async fn stdout(
        &self,
        rest: &Rest,
        tag: &Tag,
        ended: bool,
        offset: u64,
        limit: usize,
    ) -> Result<LogPiece, EngineError> {
        let _reading = self.reading.lock().await;
        let folder = self.folder.join(tag.as_str());
        let failed = |error: io::Error| EngineError::Unreachable(format!("{}: {error}", folder.display()));
        let mut state = match State::read(&folder) {
            Ok(state) => state,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(LogPiece { bytes: Vec::new(), next_offset: offset, size: 0 });
            }
            Err(error) => return Err(failed(error)),
        };
        // There may be more only for a reader who has all.
        if offset >= state.length && !state.closed && state.length < self.limit {
            let processes = managers(rest).await?;
            self.take(rest, &folder, &mut state, processes).await?;
            state.closed = ended;
            state.write(&folder).map_err(failed)?;
        }
        read_log(&folder.join(TAKEN), offset, limit).map_err(failed)
    }

    /// Appends what is new of these processes.
    async fn take(
        &self,
        rest: &Rest,
        folder: &Path,
        state: &mut State,
        processes: Vec<String>,
    ) -> Result<(), EngineError> {
        let path = folder.join(TAKEN);
        let failed = |error: io::Error| EngineError::Unreachable(format!("{}: {error}", path.display()));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let mut file: File = file.map_err(failed)?;
        file.set_len(state.length).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        for process in processes {
            let bytes = stdout_of(rest, &process).await?;
            let size = bytes.len() as u64;
            // A shorter one was begun anew.
            let begin = state.offsets.get(&process).copied().filter(|begin| *begin <= size).unwrap_or(0);
            let fresh = usize::try_from(begin).ok().and_then(|begin| bytes.get(begin..)).unwrap_or_default();
            file.write_all(fresh).map_err(failed)?;
            state.length += fresh.len() as u64;
            state.offsets.insert(process, size);
        }
        Ok(())
    }
}

impl State {
    fn read(folder: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(folder.join(STATE))?)?)
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        let part = folder.join(format!("{STATE}.part"));
        fs::write(&part, serde_json::to_vec(self)?)?;
        fs::rename(part, folder.join(STATE))
    }
}

async fn managers(rest: &Rest) -> Result<Vec<String>, EngineError> {
    let all: TaskManagers = rest.get("/taskmanagers").await?;
    Ok(all.taskmanagers.into_iter().map(|manager| manager.id).collect())
}

/// Where the files of a process are.
fn place(process: &str) -> String {
    if process == JOB_MANAGER { format!("/{JOB_MANAGER}") } else { format!("/taskmanagers/{process}") }
}

/// How much a process has printed. Its folder tells that when it holds one such file; otherwise all of it is fetched.
async fn printed(rest: &Rest, process: &str) -> Result<u64, EngineError> {
    let answer = rest.send(Method::GET, &format!("{}/logs", place(process)), |request| request).await?;
    // A process that has no such folder answers 500.
    if answer.status.is_success() {
        let files: Files = answer.json()?;
        let mut outputs = files.logs.iter().filter(|file| file.name.ends_with(".out"));
        if let (Some(only), None) = (outputs.next(), outputs.next()) {
            return Ok(only.size);
        }
    }
    Ok(stdout_of(rest, process).await?.len() as u64)
}

/// All that a process has printed; nothing where it is not written to a file, or where it has just gone.
async fn stdout_of(rest: &Rest, process: &str) -> Result<Vec<u8>, EngineError> {
    whole(rest, &format!("{}/stdout", place(process))).await
}

/// A file by the REST, which gives no parts of it.
async fn whole(rest: &Rest, path: &str) -> Result<Vec<u8>, EngineError> {
    let answer = rest.send(Method::GET, path, |request| request).await?;
    // Flink answers 500 for a file that the process does not write.
    if answer.status.is_server_error() {
        return Ok(Vec::new());
    }
    Ok(answer.found()?.map(|answer| answer.bytes).unwrap_or_default())
}

/// What the JobManager's log says of a job, and then its failures.
pub async fn stderr(
    rest: &Rest,
    id: &str,
    failures: &[String],
    offset: u64,
    limit: usize,
) -> Result<LogPiece, EngineError> {
    let log = whole(rest, "/jobmanager/log").await?;
    let mut text = Vec::new();
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        if line.windows(id.len()).any(|window| window == id.as_bytes()) {
            text.extend_from_slice(line);
        }
    }
    for failure in failures {
        text.extend_from_slice(failure.trim_end().as_bytes());
        text.push(b'\n');
    }
    let size = text.len() as u64;
    let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
    let bytes = text[begin..text.len().min(begin.saturating_add(limit))].to_vec();
    Ok(LogPiece { next_offset: offset + bytes.len() as u64, bytes, size })
}
