//! The process of a job: `hive --task FILE`, a hidden subcommand of our program that runs under the shim. It opens a session, notes
//! its name on the disk before the first statement, runs the statements one after the other and closes the session. On SIGTERM it
//! closes the session through a second connection, which ends the statement at the server. While the server is asked to begin a
//! statement a second file says so, see [`Note`].

use std::{
    fs,
    io::{self, BufWriter, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use foggara_domain::{
    Secret,
    sql::{SqlAnswer, SqlStatement},
};
use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::{
    address::{Address, Login},
    note::Note,
    script,
    session::{Operation, Session, Trouble},
};
use crate::local::create;

/// How long an answer may take; the server compiles a statement before it answers that it began.
const PATIENCE: Duration = Duration::from_secs(900);
/// How long the close of a session may take when the job is to stop.
const CLOSE: Duration = Duration::from_secs(20);
/// As shells tell an end by SIGTERM.
const TERMINATED: i32 = 128 + 15;

/// What this process is told; the file holds a password and has mode 0600.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    pub address: Address,
    pub user: String,
    pub password: String,
    pub database: String,
    /// Set before the first statement.
    pub settings: Vec<(String, String)>,
    pub statements: Vec<String>,
    /// Where the session's name is noted as long as it is open.
    pub session: PathBuf,
    /// Folder of the rows.
    pub results: PathBuf,
    /// Rows kept of each statement; 0 means all.
    pub result_rows: u64,
    /// Seconds for all statements; 0 means no limit.
    pub time_limit_seconds: u64,
    /// Where to say why it failed.
    pub fault: PathBuf,
}

/// What goes wrong, as one line.
type Fault = String;

/// The job is being stopped by the other thread, which ends the process.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Runs the task in a file and removes the file. Gives the exit code.
pub(super) fn run(file: &Path) -> i32 {
    // Before there is another thread: the one that listens is the only one to get it.
    let signals = match listen() {
        Ok(signals) => signals,
        Err(error) => return tell(&format!("cannot listen for signals: {error}")),
    };
    let task = match take(file) {
        Ok(task) => task,
        Err(fault) => return tell(&fault),
    };
    match statements(&task, signals) {
        Ok(()) => 0,
        Err(fault) => {
            wait_if_stopped();
            failed(&task, &fault)
        }
    }
}

fn listen() -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?)
}

fn take(file: &Path) -> Result<Task, Fault> {
    let text = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    fs::remove_file(file).map_err(|error| format!("{}: {error}", file.display()))?;
    // The text of a parse error may repeat a value.
    serde_json::from_slice(&text).map_err(|error| format!("the task is malformed in line {}", error.line()))
}

/// A line in the job's log.
fn tell(line: &str) -> i32 {
    // Where it cannot be written there is nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
    1
}

/// The reason goes into the exit record and into the log.
fn failed(task: &Task, fault: &str) -> i32 {
    if let Err(error) = fs::write(&task.fault, fault) {
        tell(&format!("{}: {error}", task.fault.display()));
    }
    tell(fault)
}

/// A stop breaks what goes on here; it ends the process by itself.
fn wait_if_stopped() {
    while STOPPING.load(Ordering::SeqCst) {
        thread::park();
    }
}

fn statements(task: &Task, signals: SignalFd) -> Result<(), Fault> {
    let login = Login { user: task.user.clone(), password: Secret::new(task.password.clone()) };
    let opened = Session::open(&task.address, &login, &task.database, &task.settings, PATIENCE);
    let mut session =
        opened.map_err(|trouble| format!("no session at {}: {}", task.address.server(), trouble.words()))?;
    let note = Note::at(&task.session);
    note.write(&session.handle).map_err(|error| format!("{}: {error}", task.session.display()))?;
    thread::scope(|threads| {
        let (over, done) = io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
        threads.spawn(|| watch(task, &login, &signals, over));
        let ran = all(task, &mut session);
        wait_if_stopped();
        // Whatever came of it, nothing of it goes on. What is not closed now the engine closes before the job counts as ended.
        let closed = note.settle(&task.address, &login, CLOSE);
        drop(done);
        if let Err(why) = closed {
            tell(&format!("the session is not closed: {why}"));
        }
        ran
    })
}

/// Waits for SIGTERM, for the end of the time, or for the end of the work.
fn watch(task: &Task, login: &Login, signals: &SignalFd, over: io::PipeReader) {
    let limit = Some(task.time_limit_seconds).filter(|seconds| *seconds > 0);
    // Beyond what a clock can tell it is no limit.
    let limit = limit.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
    let why = loop {
        let left = limit.map(|limit| limit.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        let signals = signals.as_fd();
        let mut fds = [PollFd::from_borrowed_fd(signals, PollFlags::IN), PollFd::new(&over, PollFlags::IN)];
        match poll(&mut fds, left.as_ref()) {
            Ok(0) => break Some(format!("over the time limit of {} seconds", task.time_limit_seconds)),
            // The other end was closed.
            Ok(_) if !fds[1].revents().is_empty() => return,
            Ok(_) => break None,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tell(&format!("cannot wait for signals: {error}"));
                return;
            }
        }
    };
    STOPPING.store(true, Ordering::SeqCst);
    // It waits for a statement that is just beginning; no other begins from now on.
    if let Err(why) = Note::at(&task.session).settle(&task.address, login, CLOSE) {
        tell(&format!("the session is not closed: {why}"));
    }
    process::exit(match why {
        Some(fault) => failed(task, &fault),
        None => TERMINATED,
    });
}

fn all(task: &Task, session: &mut Session) -> Result<(), Fault> {
    let total = task.statements.len();
    let mut answer = SqlAnswer { total, statements: Vec::new() };
    put(&task.results, &answer)?;
    for (at, statement) in task.statements.iter().enumerate() {
        let began = Instant::now();
        let place = |why: &str| format!("statement {} of {total}: {why}", at + 1);
        let mut entry = SqlStatement {
            kind: script::kind(statement),
            columns: None,
            rows: 0,
            truncated: false,
            file: None,
            seconds: 0.0,
        };
        one(task, session, statement, at, &mut entry).map_err(|trouble| place(&trouble))?;
        entry.seconds = (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        tell(&place(&format!("{}, {:.1} s", entry.kind, entry.seconds)));
        answer.statements.push(entry);
        put(&task.results, &answer)?;
    }
    Ok(())
}

fn one(task: &Task, session: &mut Session, statement: &str, at: usize, entry: &mut SqlStatement) -> Result<(), Fault> {
    let words = |trouble: Trouble| trouble.words();
    let mut operation = begin(&Note::at(&task.session), session, statement)?;
    let mut has_notes = true;
    loop {
        let over = session.is_over(&mut operation);
        // Also after an end that is not good: they tell more of it.
        notes(session, &operation, &mut has_notes);
        if over.map_err(words)? {
            break;
        }
    }
    if operation.has_rows {
        let name = format!("{at}.jsonl");
        entry.columns = Some(session.columns(&operation).map_err(words)?);
        keep(task, session, &operation, &task.results.join(&name), entry)?;
        entry.file = Some(name);
    }
    session.done(&operation).map_err(words)
}

/// Has the server begin a statement. Where its answer does not come it may be at it still: the note goes on to say so.
fn begin(note: &Note, session: &mut Session, statement: &str) -> Result<Operation, Fault> {
    let unwritten = |error: io::Error| format!("the note that a statement begins: {error}");
    note.begins().map_err(unwritten)?;
    // Looked at after the note is there: a stop looks for the note after it said so, so that one of them sees the other.
    if STOPPING.load(Ordering::SeqCst) {
        note.has_begun().map_err(unwritten)?;
        wait_if_stopped();
    }
    let begun = session.execute(statement);
    if !matches!(begun, Err(Trouble::Broken(_))) {
        note.has_begun().map_err(unwritten)?;
    }
    begun.map_err(|trouble| trouble.words())
}

fn notes(session: &mut Session, operation: &Operation, has_notes: &mut bool) {
    while *has_notes {
        match session.notes(operation) {
            Ok(lines) if lines.is_empty() => break,
            Ok(lines) => lines.iter().for_each(|line| {
                tell(line);
            }),
            // A server that keeps none says so each time.
            Err(_) => *has_notes = false,
        }
    }
}

/// Rows as text up to the cap: into the file, each line an array, and into the job's output.
fn keep(
    task: &Task,
    session: &mut Session,
    operation: &Operation,
    path: &Path,
    entry: &mut SqlStatement,
) -> Result<(), Fault> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let mut file = BufWriter::new(create(path).map_err(failed)?);
    let mut out = BufWriter::new(io::stdout().lock());
    'rows: loop {
        let rows = session.rows(operation).map_err(|trouble| trouble.words())?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if task.result_rows > 0 && entry.rows >= task.result_rows {
                entry.truncated = true;
                break 'rows;
            }
            let line = serde_json::to_string(&row).map_err(|error| error.to_string())?;
            writeln!(file, "{line}").map_err(failed)?;
            let words: Vec<&str> = row.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
            writeln!(out, "{}", words.join("\t")).map_err(|error| format!("stdout: {error}"))?;
            entry.rows += 1;
        }
        out.flush().map_err(|error| format!("stdout: {error}"))?;
    }
    file.flush().map_err(failed)?;
    out.flush().map_err(|error| format!("stdout: {error}"))
}

/// The answer so far; there whole or not at all.
fn put(folder: &Path, answer: &SqlAnswer) -> Result<(), Fault> {
    let (path, new) = (folder.join("answer.json"), folder.join("answer.json.new"));
    let written = serde_json::to_vec(answer).map_err(io::Error::other).and_then(|text| fs::write(&new, text));
    written.and_then(|()| fs::rename(&new, &path)).map_err(|error| format!("{}: {error}", path.display()))
}
