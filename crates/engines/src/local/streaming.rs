//! MapReduce.Streaming without Hadoop (decision 24): the mapper over each input file, a bytewise sort on the key before the
//! first tab, a hash partition over the reducers, part files and `_SUCCESS`.
//!
//! It runs under the shim as a process of our binary. Memory is bounded: pairs are spilled to sorted runs and merged. The
//! output appears whole: it is written beside its place and put there by rename.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use foggara_domain::plan::Plan;

/// Bytes of pairs that are kept in memory before a run is written.
const SPILL: usize = 64 * 1024 * 1024;

/// What goes wrong, as a line on stderr; the exit code is 1.
type Fault = String;

/// Runs the plan in a file; the exit code of the process.
pub(super) fn run(plan: &Path) -> Result<(), Fault> {
    let text = fs::read(plan).map_err(|error| format!("{}: {error}", plan.display()))?;
    let plan: Plan = serde_json::from_slice(&text).map_err(|error| format!("the plan is malformed: {error}"))?;
    let Plan::Streaming { mapper, reducer, input, output, reducers, .. } = plan else {
        return Err("the plan is not one of streaming".to_owned());
    };
    let inputs = splits(&input)?;
    if output.symlink_metadata().is_ok() {
        return Err(format!("Output directory file:{} already exists", output.display()));
    }
    let work = unfinished(&output)?;
    let done = phases(&mapper, &reducer, &inputs, &work, reducers).and_then(|()| publish(&work, &output));
    if done.is_err() {
        // What is left is of no use, and the first fault is the one to tell.
        let _ = fs::remove_dir_all(&work);
    }
    done
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
        let hidden = entry.file_name().to_string_lossy().starts_with(['_', '.']);
        if !hidden && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn unfinished(output: &Path) -> Result<PathBuf, Fault> {
    let name = output.file_name().ok_or("the output has no name")?.to_string_lossy();
    let work = output.with_file_name(format!(".{name}.unfinished-{}", std::process::id()));
    fs::create_dir_all(&work)
        .map_err(|error| format!("cannot make the output beside {}: {error}", output.display()))?;
    Ok(work)
}

fn publish(work: &Path, output: &Path) -> Result<(), Fault> {
    let failed = |error: io::Error| format!("cannot put the output at {}: {error}", output.display());
    let runs = work.join("_runs");
    if runs.exists() {
        fs::remove_dir_all(&runs).map_err(failed)?;
    }
    File::create(work.join("_SUCCESS")).map_err(failed)?;
    // A folder that somebody made meanwhile is not replaced: renaming onto a filled one fails, and an empty one is refused.
    if output.symlink_metadata().is_ok() {
        return Err(format!("Output directory file:{} already exists", output.display()));
    }
    fs::rename(work, output).map_err(failed)
}

fn phases(mapper: &[String], reducer: &[String], inputs: &[PathBuf], work: &Path, reducers: u32) -> Result<(), Fault> {
    if reducers == 0 {
        for (number, input) in inputs.iter().enumerate() {
            let part = create(&work.join(format!("part-{number:05}")))?;
            run_command("mapper", mapper, open(input)?.into(), part.into())?;
        }
        return Ok(());
    }
    let runs = work.join("_runs");
    fs::create_dir_all(&runs).map_err(|error| format!("cannot make {}: {error}", runs.display()))?;
    let mut shuffle = Shuffle::new(runs, reducers);
    for input in inputs {
        let mut child = start("mapper", mapper, open(input)?.into(), Stdio::piped())?;
        let out = child.stdout.take().ok_or("the mapper has no output")?;
        let shuffled = shuffle.take(BufReader::with_capacity(1 << 16, out));
        let ended = child.wait().map_err(|error| format!("mapper: {error}"))?;
        check("mapper", ended)?;
        shuffled?;
    }
    let partitions = shuffle.finish()?;
    for (number, partition) in partitions.into_iter().enumerate() {
        let part = create(&work.join(format!("part-{number:05}")))?;
        let mut child = start("reducer", reducer, Stdio::piped(), part.into())?;
        let mut pipe = child.stdin.take().ok_or("the reducer has no input")?;
        let feeding = thread::spawn(move || -> io::Result<()> {
            let mut pipe = BufWriter::with_capacity(1 << 16, &mut pipe);
            merge(&partition, |line| pipe.write_all(line))?;
            pipe.flush()
        });
        let fed = feeding.join().map_err(|_| "the merge panicked".to_owned())?;
        let ended = child.wait().map_err(|error| format!("reducer: {error}"))?;
        check("reducer", ended)?;
        match fed {
            // A reducer may stop reading early, as `head` does.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(format!("merge: {error}")),
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
    use std::os::unix::fs::PermissionsExt;
    let path = format!("./{}", script.display());
    let mut head = [0u8; 4];
    let length = io::Read::read(&mut open(script)?, &mut head).map_err(|error| format!("{path}: {error}"))?;
    if head[..length].starts_with(b"#!") || head[..length].starts_with(b"\x7fELF") {
        fs::set_permissions(script, fs::Permissions::from_mode(0o700)).map_err(|error| format!("{path}: {error}"))?;
        return Ok((path, args.to_vec()));
    }
    let mut all = vec![path];
    all.extend(args.iter().cloned());
    Ok(("/bin/sh".to_owned(), all))
}

fn run_command(role: &str, command: &[String], input: Stdio, output: Stdio) -> Result<(), Fault> {
    let mut child = start(role, command, input, output)?;
    check(role, child.wait().map_err(|error| format!("{role}: {error}"))?)
}

fn check(role: &str, ended: ExitStatus) -> Result<(), Fault> {
    if ended.success() { Ok(()) } else { Err(format!("{role} failed: {ended}")) }
}

/// The key of a line: what stands before its first tab.
fn key(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.split(|byte| *byte == b'\t').next().unwrap_or(line)
}

fn compare(left: &[u8], right: &[u8]) -> Ordering {
    key(left).cmp(key(right))
}

/// FNV-1a: the same key comes to the same reducer on every host.
fn partition_of(line: &[u8], reducers: u32) -> usize {
    let hash = key(line)
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from(hash % u64::from(reducers.max(1))).unwrap_or(0)
}

/// Sorts and partitions the output of the mappers within bounded memory.
struct Shuffle {
    folder: PathBuf,
    pairs: Vec<Vec<Vec<u8>>>,
    held: usize,
    runs: Vec<Vec<PathBuf>>,
}

impl Shuffle {
    fn new(folder: PathBuf, reducers: u32) -> Self {
        let many = usize::try_from(reducers).unwrap_or(1);
        Self { folder, pairs: vec![Vec::new(); many], held: 0, runs: vec![Vec::new(); many] }
    }

    fn take(&mut self, mut lines: impl BufRead) -> Result<(), Fault> {
        loop {
            let mut line = Vec::new();
            if lines.read_until(b'\n', &mut line).map_err(|error| format!("mapper output: {error}"))? == 0 {
                return Ok(());
            }
            if line.last() != Some(&b'\n') {
                line.push(b'\n');
            }
            self.held += line.len() + size_of::<Vec<u8>>();
            let reducers = u32::try_from(self.pairs.len()).unwrap_or(1);
            self.pairs[partition_of(&line, reducers)].push(line);
            if self.held >= SPILL {
                self.spill()?;
            }
        }
    }

    fn spill(&mut self) -> Result<(), Fault> {
        for (number, pairs) in self.pairs.iter_mut().enumerate() {
            if pairs.is_empty() {
                continue;
            }
            // Stable: equal keys stay in the order of the mappers.
            pairs.sort_by(|left, right| compare(left, right));
            let path = self.folder.join(format!("{number}-{}", self.runs[number].len()));
            let failed = |error: io::Error| format!("cannot write {}: {error}", path.display());
            let mut run = BufWriter::new(create(&path)?);
            for pair in pairs.drain(..) {
                run.write_all(&pair).map_err(failed)?;
            }
            run.flush().map_err(failed)?;
            self.runs[number].push(path);
        }
        self.held = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Vec<PathBuf>>, Fault> {
        self.spill()?;
        Ok(self.runs)
    }
}

/// The head of a run, ordered by key and then by the number of the run.
struct Head {
    line: Vec<u8>,
    run: usize,
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Head {}
impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.line, &other.line).then(self.run.cmp(&other.run))
    }
}

/// Gives the lines of sorted runs in order.
fn merge(runs: &[PathBuf], mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut readers = Vec::with_capacity(runs.len());
    for run in runs {
        readers.push(BufReader::new(File::open(run)?));
    }
    let mut heads = BinaryHeap::new();
    let mut advance = |run: usize, heads: &mut BinaryHeap<Reverse<Head>>| -> io::Result<()> {
        let mut line = Vec::new();
        if readers[run].read_until(b'\n', &mut line)? > 0 {
            heads.push(Reverse(Head { line, run }));
        }
        Ok(())
    };
    for run in 0..runs.len() {
        advance(run, &mut heads)?;
    }
    while let Some(Reverse(head)) = heads.pop() {
        each(&head.line)?;
        advance(head.run, &mut heads)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_merged_in_the_order_of_keys_and_stable() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut shuffle = Shuffle::new(dir.path().to_owned(), 1);
        shuffle.take(&b"b\t1\na\t1\n"[..]).expect("taken");
        shuffle.spill().expect("spilled");
        shuffle.take(&b"a\t2\nc"[..]).expect("taken");
        let runs = shuffle.finish().expect("finished");
        assert_eq!(runs[0].len(), 2);
        let mut lines = Vec::new();
        merge(&runs[0], |line| {
            lines.push(String::from_utf8_lossy(line).into_owned());
            Ok(())
        })
        .expect("merged");
        assert_eq!(lines, ["a\t1\n", "a\t2\n", "b\t1\n", "c\n"]);
    }

    #[test]
    fn equal_keys_go_to_one_reducer() {
        for reducers in 1..9 {
            assert_eq!(partition_of(b"key\t1\n", reducers), partition_of(b"key\t2", reducers));
        }
    }
}
