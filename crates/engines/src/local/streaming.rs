//! MapReduce.Streaming without Hadoop (decision 24): the mapper over each input file, a bytewise sort on the key before the
//! first tab, a hash partition over the reducers, part files and `_SUCCESS`.
//!
//! It runs under the shim as a process of our binary, in the job's workspace. The output appears whole: it is made in a hidden
//! folder beside its place and put there by rename; when the job does not come to that, the shim removes it.

use std::{
    fs::{self, File, Permissions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use foggara_domain::plan::Plan;
use serde::{Deserialize, Serialize};

use super::shuffle::{Shuffle, merge};

/// Runs of the sort, in the workspace.
const RUNS: &str = ".streaming-runs";

/// What this process is told by the engine.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub plan: Plan,
    /// Where the output is made.
    pub unfinished: PathBuf,
    /// Where to say why it failed.
    pub fault: PathBuf,
}

/// What goes wrong, as one line.
type Fault = String;

/// The folder in which a job makes its output: on the same filesystem, hidden as Hadoop hides its `_temporary`.
pub(super) fn unfinished(output: &Path, tag: &str) -> Result<PathBuf, Fault> {
    if output.file_name().is_none() {
        return Err(format!("{} cannot be an output directory", output.display()));
    }
    Ok(output.with_file_name(format!(".unfinished-{tag}")))
}

/// Runs the task in a file.
pub(super) fn run(file: &Path) -> Result<(), Fault> {
    let text = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let task: Task = serde_json::from_slice(&text).map_err(|error| format!("the task is malformed: {error}"))?;
    let done = job(&task);
    if let Err(fault) = &done {
        // The shim puts it into the exit record.
        let _ = fs::write(&task.fault, fault);
    }
    done
}

fn job(task: &Task) -> Result<(), Fault> {
    let Plan::Streaming { mapper, reducer, input, output, reducers, .. } = &task.plan else {
        return Err("the plan is not one of streaming".to_owned());
    };
    let (input, output) = (Path::new(input), Path::new(output));
    let inputs = splits(input)?;
    if output.symlink_metadata().is_ok() {
        return Err(format!("Output directory file:{} already exists", output.display()));
    }
    let failed = |error: io::Error| format!("cannot make the output beside {}: {error}", output.display());
    fs::create_dir_all(&task.unfinished).map_err(failed)?;
    if *reducers == 0 {
        map_only(mapper, &inputs, &task.unfinished)?;
    } else {
        let runs = map(mapper, &inputs, *reducers)?;
        reduce(reducer, &runs, &task.unfinished)?;
    }
    publish(&task.unfinished, output)
}

/// The files of the input; names that begin with `_` or `.` are hidden, as in Hadoop.
fn splits(input: &Path) -> Result<Vec<PathBuf>, Fault> {
    let missing = |error: io::Error| format!("Input path does not exist: file:{} ({error})", input.display());
    if input.metadata().map_err(missing)?.is_file() {
        return Ok(vec![input.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(input).map_err(missing)? {
        let entry = entry.map_err(missing)?;
        if entry.file_name().to_string_lossy().starts_with(['_', '.']) {
            continue;
        }
        if !entry.path().is_file() {
            return Err(format!("Not a file: file:{}", entry.path().display()));
        }
        files.push(entry.path());
    }
    files.sort();
    Ok(files)
}

fn publish(unfinished: &Path, output: &Path) -> Result<(), Fault> {
    let failed = |error: io::Error| format!("cannot put the output at {}: {error}", output.display());
    File::create(unfinished.join("_SUCCESS")).map_err(failed)?;
    // A filled folder that somebody made meanwhile is not replaced by the rename, an empty one would be.
    if output.symlink_metadata().is_ok() {
        return Err(format!("Output directory file:{} already exists", output.display()));
    }
    fs::rename(unfinished, output).map_err(failed)
}

fn map_only(mapper: &[String], inputs: &[PathBuf], out: &Path) -> Result<(), Fault> {
    for (number, input) in inputs.iter().enumerate() {
        let part = create(&out.join(format!("part-{number:05}")))?;
        let mut child = start("mapper", mapper, open(input)?.into(), part.into())?;
        check("mapper", child.wait())?;
    }
    Ok(())
}

fn map(mapper: &[String], inputs: &[PathBuf], reducers: u32) -> Result<Vec<Vec<PathBuf>>, Fault> {
    let runs = PathBuf::from(RUNS);
    fs::create_dir_all(&runs).map_err(|error| format!("cannot make {}: {error}", runs.display()))?;
    let mut shuffle = Shuffle::new(runs, reducers);
    for input in inputs {
        let mut child = start("mapper", mapper, open(input)?.into(), Stdio::piped())?;
        let out = child.stdout.take().ok_or("the mapper has no output")?;
        let shuffled = shuffle.take(BufReader::with_capacity(1 << 16, out));
        // A fault of the shuffle closed the pipe; the mapper ends of that, and its end is not the news.
        let ended = child.wait();
        shuffled.map_err(|error| format!("the sort failed: {error}"))?;
        check("mapper", ended)?;
    }
    shuffle.finish().map_err(|error| format!("the sort failed: {error}"))
}

fn reduce(reducer: &[String], partitions: &[Vec<PathBuf>], out: &Path) -> Result<(), Fault> {
    for (number, runs) in partitions.iter().enumerate() {
        let part = create(&out.join(format!("part-{number:05}")))?;
        let mut child = start("reducer", reducer, Stdio::piped(), part.into())?;
        let pipe = child.stdin.take().ok_or("the reducer has no input")?;
        let fed = thread::scope(|scope| {
            let feeding = scope.spawn(move || -> io::Result<()> {
                let mut pipe = BufWriter::with_capacity(1 << 16, pipe);
                merge(runs, |line| pipe.write_all(line))?;
                pipe.flush()
            });
            feeding.join().map_err(|_| "the merge panicked".to_owned())
        })?;
        check("reducer", child.wait())?;
        match fed {
            // A reducer may stop reading early, as `head` does.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(format!("the sort failed: {error}")),
            _ => {}
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<File, Fault> {
    File::open(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn create(path: &Path) -> Result<File, Fault> {
    File::create(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn start(role: &str, command: &[String], input: Stdio, output: Stdio) -> Result<Child, Fault> {
    let (program, args) = command.split_first().ok_or_else(|| format!("there is no {role}"))?;
    // A library of the job lies in the working directory; it is found without a path, as in Hadoop.
    let here = Path::new(program);
    let staged = here.components().count() == 1 && here.is_file();
    let (program, args) = if staged { by_shebang(here, args)? } else { (program.clone(), args.to_vec()) };
    let started = Command::new(&program).args(args).stdin(input).stdout(output).spawn();
    started.map_err(|error| format!("{role} cannot be run: {program}: {error}"))
}

/// A script that was fetched is not executable: it runs by its shebang, else by /bin/sh.
fn by_shebang(script: &Path, args: &[String]) -> Result<(String, Vec<String>), Fault> {
    let path = format!("./{}", script.display());
    let mut head = [0u8; 4];
    let length = open(script)?.read(&mut head).map_err(|error| format!("{path}: {error}"))?;
    if head[..length].starts_with(b"#!") || head[..length].starts_with(b"\x7fELF") {
        fs::set_permissions(script, Permissions::from_mode(0o700)).map_err(|error| format!("{path}: {error}"))?;
        return Ok((path, args.to_vec()));
    }
    let mut all = vec![path];
    all.extend(args.iter().cloned());
    Ok(("/bin/sh".to_owned(), all))
}

fn check(role: &str, ended: io::Result<ExitStatus>) -> Result<(), Fault> {
    let ended = ended.map_err(|error| format!("{role}: {error}"))?;
    match (ended.code(), ended.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("{role} failed: exit code {code}")),
        (None, Some(signal)) => Err(format!("{role} failed: killed by signal {signal}")),
        (None, None) => Err(format!("{role} failed")),
    }
}
