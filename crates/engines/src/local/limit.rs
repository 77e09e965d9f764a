//! Keeps a job's log within its limit while the job writes it: head and tail stay, the middle goes, offsets stay true.
//!
//! The job writes into the file itself, so that its output is whole whatever happens to the shim; the shim looks at the file's
//! size a few times a second. What can be written between two looks is the most by which a log exceeds its limit.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};

use super::logs::Hole;

/// A log under watch.
pub(super) struct LimitedLog {
    path: PathBuf,
    file: File,
    limit: u64,
    /// First byte behind the hole; 0 before there is one.
    holed_to: u64,
    /// See [`Hole::moved`].
    moved: u64,
    /// The filesystem gives room back in the middle of a file.
    can_hole: bool,
}

impl LimitedLog {
    /// Opens the log for appending, in a folder that is made if it is missing.
    pub fn open(folder: &Path, name: &str, limit: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(name);
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        Ok(Self { path, file, limit, holed_to: 0, moved: 0, can_hole: true })
    }

    /// A handle for the job.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Cuts the log when it is over its limit by a good piece. A log that cannot be cut now is tried again at the next look.
    pub fn check(&mut self) -> io::Result<()> {
        let in_file = self.file.metadata()?.len();
        let half = self.limit / 2;
        if self.can_hole {
            let to = in_file.saturating_sub(half);
            if in_file <= self.limit || to < self.holed_to.saturating_add(self.limit / 16) {
                return Ok(());
            }
            let file = OpenOptions::new().write(true).open(&self.path)?;
            match fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, half, to - half) {
                Ok(()) => {
                    Hole { from: half, to, moved: 0 }.save(&self.path)?;
                    self.holed_to = to;
                    return Ok(());
                }
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => self.can_hole = false,
                Err(error) => return Err(error.into()),
            }
        }
        if in_file <= self.limit {
            return Ok(());
        }
        // Everything behind the head is dropped, and what comes next follows the head in the file.
        let to = in_file + self.moved;
        Hole { from: half, to, moved: to - half }.save(&self.path)?;
        OpenOptions::new().write(true).open(&self.path)?.set_len(half)?;
        self.moved = to - half;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::local::logs;

    fn read_all(path: &Path) -> String {
        let (mut offset, mut text) = (0, String::new());
        loop {
            let piece = logs::read(path, offset, 64).expect("read");
            if piece.bytes.is_empty() {
                assert_eq!(offset, piece.size);
                return text;
            }
            text.push_str(&String::from_utf8(piece.bytes).expect("text"));
            offset = piece.next_offset;
        }
    }

    fn written(can_hole: bool) -> String {
        let dir = tempfile::tempdir().expect("a folder");
        let mut log = LimitedLog::open(dir.path(), "stdout", 1000).expect("opened");
        log.can_hole = can_hole;
        let mut job = log.handle().expect("a handle");
        for number in 0..2000 {
            writeln!(job, "line {number:04}").expect("written");
            log.check().expect("checked");
        }
        assert!(fs::metadata(dir.path().join("stdout")).expect("there").len() <= 1000 || can_hole);
        let piece = logs::read(&dir.path().join("stdout"), 19_990, 100).expect("read");
        assert_eq!((piece.bytes.as_slice(), piece.size), (&b"line 1999\n"[..], 20_000), "offsets stay true");
        read_all(&dir.path().join("stdout"))
    }

    #[test]
    fn head_and_tail_stay_and_the_gap_is_told() {
        for can_hole in [true, false] {
            let text = written(can_hole);
            assert!(text.starts_with("line 0000\nline 0001\n") && text.ends_with("line 1998\nline 1999\n"), "{text}");
            assert!(text.contains("bytes of this log were left out") && text.len() < 1500, "{text}");
        }
    }

    #[test]
    fn a_log_within_its_limit_is_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut log = LimitedLog::open(dir.path(), "stdout", 1000).expect("opened");
        log.handle().expect("a handle").write_all(&[b'x'; 1000]).expect("written");
        log.check().expect("checked");
        assert_eq!(read_all(&dir.path().join("stdout")), "x".repeat(1000));
    }
}
