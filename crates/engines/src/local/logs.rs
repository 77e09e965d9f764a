//! Log files of local jobs, addressed by byte. A log over its limit loses its middle: offsets stay true, and a note beside the
//! file says which bytes are gone (see [`super::limit`] for the other side).

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::LogPiece;

/// The bytes that were cut out of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hole {
    /// First byte that is gone.
    pub from: u64,
    /// First byte that is there again.
    pub to: u64,
    /// By how much the bytes behind the hole lie further ahead in the file than their offset says: 0 where the filesystem can
    /// give room back in the middle of a file.
    #[serde(default)]
    pub moved: u64,
}

impl Hole {
    fn note(log: &Path) -> PathBuf {
        let mut name = log.as_os_str().to_owned();
        name.push(".cut");
        PathBuf::from(name)
    }

    pub fn save(&self, log: &Path) -> io::Result<()> {
        let note = Self::note(log);
        let new = note.with_extension("new");
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(new, note)
    }

    fn load(log: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::note(log)).ok()?).ok()
    }
}

/// Bytes of a log from an offset on. In the place of a cut-out middle one line says how much is missing, and reading goes on
/// behind it.
pub(crate) fn read(log: &Path, offset: u64, limit: usize) -> io::Result<LogPiece> {
    let mut file = match File::open(log) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(LogPiece { bytes: Vec::new(), next_offset: offset, size: 0 });
        }
        Err(error) => return Err(error),
    };
    let hole = Hole::load(log);
    let moved = hole.map_or(0, |hole| hole.moved);
    let size = file.metadata()?.len() + moved;
    if let Some(hole) = hole.filter(|hole| (hole.from..hole.to).contains(&offset)) {
        let bytes = format!("\n[... {} bytes of this log were left out: it is over its limit ...]\n", hole.to - offset);
        return Ok(LogPiece { bytes: bytes.into_bytes(), next_offset: hole.to, size });
    }
    let end = hole.filter(|hole| offset < hole.from).map_or(size, |hole| hole.from);
    let want = end.saturating_sub(offset).min(u64::try_from(limit).unwrap_or(u64::MAX));
    let ahead = if hole.is_some_and(|hole| offset >= hole.to) { moved } else { 0 };
    file.seek(SeekFrom::Start(offset - ahead))?;
    let mut bytes = Vec::new();
    file.take(want).read_to_end(&mut bytes)?;
    let next_offset = offset + u64::try_from(bytes.len()).unwrap_or(0);
    Ok(LogPiece { bytes, next_offset, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_by_offset_and_its_hole_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let log = dir.path().join("stdout");
        assert_eq!(read(&log, 5, 10).expect("nothing yet"), LogPiece { bytes: vec![], next_offset: 5, size: 0 });
        fs::write(&log, b"0123456789").expect("written");
        let piece = read(&log, 2, 3).expect("read");
        assert_eq!((piece.bytes.as_slice(), piece.next_offset, piece.size), (&b"234"[..], 5, 10));
        Hole { from: 4, to: 8, moved: 0 }.save(&log).expect("noted");
        assert_eq!(read(&log, 2, 100).expect("read").bytes, b"23");
        let gap = read(&log, 4, 100).expect("read");
        assert!(String::from_utf8_lossy(&gap.bytes).contains("4 bytes"));
        assert_eq!(gap.next_offset, 8);
        assert_eq!(read(&log, 8, 100).expect("read").bytes, b"89");
    }
}
