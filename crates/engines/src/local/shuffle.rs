//! The shuffle between mappers and reducers: a partition by the key's hash and a stable bytewise sort by key within bounded
//! memory. What is held is written to sorted runs, and runs are merged a limited number at a time.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Bytes of lines that are kept in memory before runs are written.
const SPILL: usize = 64 * 1024 * 1024;
/// How many runs are read at once; each takes a file handle and a buffer.
const FAN_IN: usize = 64;

/// The key of a line: what stands before its first tab.
fn key(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.split(|byte| *byte == b'\t').next().unwrap_or(line)
}

fn compare(left: &[u8], right: &[u8]) -> Ordering {
    key(left).cmp(key(right))
}

/// FNV-1a: the same key comes to the same reducer on every host.
fn partition_of(line: &[u8], reducers: usize) -> usize {
    let hash = key(line)
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let many = u64::try_from(reducers.max(1)).unwrap_or(1);
    usize::try_from(hash % many).unwrap_or(0)
}

/// Takes the output of mappers, gives sorted runs for each reducer.
pub(super) struct Shuffle {
    folder: PathBuf,
    lines: Vec<Vec<Vec<u8>>>,
    held: usize,
    spill: usize,
    runs: Vec<Vec<PathBuf>>,
    made: usize,
}

impl Shuffle {
    /// With runs in a folder that exists and is its own.
    pub fn new(folder: PathBuf, reducers: u32) -> Self {
        let many = usize::try_from(reducers).unwrap_or(1).max(1);
        Self { folder, lines: vec![Vec::new(); many], held: 0, spill: SPILL, runs: vec![Vec::new(); many], made: 0 }
    }

    /// Takes all lines of one mapper. A last line without its end gets one.
    pub fn take(&mut self, mut lines: impl BufRead) -> io::Result<()> {
        loop {
            let mut line = Vec::new();
            if lines.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if line.last() != Some(&b'\n') {
                line.push(b'\n');
            }
            self.held += line.len() + size_of::<Vec<u8>>();
            let partition = partition_of(&line, self.lines.len());
            self.lines[partition].push(line);
            if self.held >= self.spill {
                self.write_runs()?;
            }
        }
    }

    fn new_run(&mut self) -> io::Result<(PathBuf, BufWriter<File>)> {
        let path = self.folder.join(self.made.to_string());
        self.made += 1;
        let file = File::create(&path)?;
        Ok((path, BufWriter::with_capacity(1 << 16, file)))
    }

    fn write_runs(&mut self) -> io::Result<()> {
        for partition in 0..self.lines.len() {
            let mut lines = std::mem::take(&mut self.lines[partition]);
            if lines.is_empty() {
                continue;
            }
            // Stable: equal keys stay in the order of the mappers.
            lines.sort_by(|left, right| compare(left, right));
            let (path, mut run) = self.new_run()?;
            for line in lines {
                run.write_all(&line)?;
            }
            run.flush()?;
            self.runs[partition].push(path);
        }
        self.held = 0;
        Ok(())
    }

    /// The runs of each reducer, in the order of the mappers, few enough to be merged at once.
    pub fn finish(mut self) -> io::Result<Vec<Vec<PathBuf>>> {
        self.write_runs()?;
        for partition in 0..self.runs.len() {
            let mut runs = std::mem::take(&mut self.runs[partition]);
            while runs.len() > FAN_IN {
                let mut fewer = Vec::with_capacity(runs.len().div_ceil(FAN_IN));
                for some in runs.chunks(FAN_IN) {
                    let (path, mut run) = self.new_run()?;
                    merge(some, |line| run.write_all(line))?;
                    run.flush()?;
                    fewer.push(path);
                    for path in some {
                        fs::remove_file(path)?;
                    }
                }
                runs = fewer;
            }
            self.runs[partition] = runs;
        }
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
pub(super) fn merge(runs: &[impl AsRef<Path>], mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut readers = Vec::with_capacity(runs.len());
    for run in runs {
        readers.push(BufReader::with_capacity(1 << 16, File::open(run)?));
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

    fn merged(runs: &[PathBuf]) -> Vec<String> {
        let mut lines = Vec::new();
        let gather = |line: &[u8]| {
            lines.push(String::from_utf8_lossy(line).trim_end().to_owned());
            Ok(())
        };
        merge(runs, gather).expect("merged");
        lines
    }

    #[test]
    fn runs_are_merged_in_the_order_of_keys_and_stable() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut shuffle = Shuffle::new(dir.path().to_owned(), 1);
        shuffle.take(&b"b\t1\na\t1\n"[..]).expect("taken");
        shuffle.write_runs().expect("written");
        shuffle.take(&b"a\t2\nc"[..]).expect("taken");
        let runs = shuffle.finish().expect("finished");
        assert_eq!(runs[0].len(), 2);
        assert_eq!(merged(&runs[0]), ["a\t1", "a\t2", "b\t1", "c"]);
    }

    #[test]
    fn many_runs_are_merged_in_rounds_and_lose_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut shuffle = Shuffle::new(dir.path().to_owned(), 2);
        shuffle.spill = 200;
        // Every key many times, with a number that shows the order in which they came.
        let lines: Vec<String> = (0..3000).map(|number| format!("key{}\t{number}", (number * 7919) % 10)).collect();
        shuffle.take(lines.join("\n").as_bytes()).expect("taken");
        assert!(shuffle.made > 2 * FAN_IN * 2, "{} runs", shuffle.made);
        let runs = shuffle.finish().expect("finished");
        assert!(runs.iter().all(|runs| runs.len() <= FAN_IN));
        let mut got = Vec::new();
        for runs in &runs {
            let lines = merged(runs);
            assert!(
                !lines.is_empty() && lines.is_sorted_by_key(|line| line.split('\t').next().unwrap_or("").to_owned())
            );
            got.extend(lines);
        }
        let mut wanted = lines;
        wanted.sort_by_key(|line| line.split('\t').next().unwrap_or("").to_owned());
        got.sort_by_key(|line| line.split('\t').next().unwrap_or("").to_owned());
        assert_eq!(got, wanted, "all of them, and equal keys in the order in which they came");
        let left = fs::read_dir(dir.path()).expect("listed").count();
        assert_eq!(left, runs.iter().map(Vec::len).sum::<usize>(), "merged runs are removed");
    }

    #[test]
    fn equal_keys_go_to_one_reducer() {
        for reducers in 1..9 {
            assert_eq!(partition_of(b"key\t1\n", reducers), partition_of(b"key\t2", reducers));
        }
    }
}
