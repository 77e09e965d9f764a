//! The log of a driver by offset. Kubernetes gives a log from a time on, and rotates it; so the lines that were read are kept in a
//! mirror, and the next request begins at the time of the last one.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::api::Api;
use crate::{EngineError, LogPiece, local::read_log, remote::RemoteSettings};

/// The mirror in the folder of a job's logs.
const MIRROR: &str = ".mirror";
/// Up to where it is good, and where the next request begins.
const MARK: &str = ".mirror.json";
/// Bytes of a request. One that brings no whole new line is repeated with twice as many.
const PIECE: u64 = 4 << 20;
/// The largest request; lines that are longer are not had before they are whole in another way.
const LARGEST: u64 = 64 << 20;

/// The mirrors of a server.
pub(super) struct Mirrors {
    folder: PathBuf,
    limit: u64,
    /// One request at a time: two would write the same lines.
    writing: tokio::sync::Mutex<()>,
}

/// How far a mirror goes.
#[derive(Debug, Default, Serialize, Deserialize, PartialEq)]
struct Mark {
    bytes: u64,
    /// Time of the last line, as the server wrote it.
    time: String,
    /// How many lines of that time are in the mirror.
    lines: u64,
}

impl Mirrors {
    pub fn new(settings: &RemoteSettings) -> Self {
        let folder = settings.data_dir.join("logs");
        Self { folder, limit: settings.log_limit, writing: tokio::sync::Mutex::default() }
    }

    /// Bytes from an offset on.
    pub async fn read(&self, api: &Api, name: &str, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
        let want = offset.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX));
        let rest = self.fill(api, name, want).await?;
        let folder = self.folder.join(name);
        let mut piece = read_log(&folder.join(MIRROR), offset, limit).map_err(|error| failed(&folder, &error))?;
        // The beginning of a line that is not whole yet: it is shown, and not kept.
        let whole = piece.size;
        piece.size += u64::try_from(rest.len()).unwrap_or(0);
        if piece.next_offset >= whole && piece.next_offset < piece.size {
            let begin = usize::try_from(piece.next_offset - whole).unwrap_or(0);
            let room = limit.saturating_sub(piece.bytes.len());
            let end = begin.saturating_add(room).min(rest.len());
            piece.bytes.extend_from_slice(&rest[begin..end]);
            piece.next_offset += u64::try_from(end - begin).unwrap_or(0);
        }
        Ok(piece)
    }

    /// Reads on until the mirror has so many bytes or all of them. Gives the beginning of the next line.
    pub async fn fill(&self, api: &Api, name: &str, want: u64) -> Result<Vec<u8>, EngineError> {
        let _writing = self.writing.lock().await;
        let folder = self.folder.join(name);
        let mut mark = mark(&folder);
        let mut size = PIECE;
        while mark.bytes < want.min(self.limit) {
            let since = (!mark.time.is_empty()).then_some(mark.time.as_str());
            let Some(bytes) = api.log(name, since, size).await? else { break };
            let cut = u64::try_from(bytes.len()).unwrap_or(u64::MAX) >= size;
            let (lines, rest) = new_lines(&bytes, &mut mark);
            if !lines.is_empty() {
                append(&folder, &lines, &mark).map_err(|error| failed(&folder, &error))?;
                size = PIECE;
            } else if cut && size < LARGEST {
                size *= 2;
                continue;
            }
            if !cut {
                return Ok(rest);
            }
            if lines.is_empty() {
                break;
            }
        }
        Ok(Vec::new())
    }

    /// The mirror is not needed any more.
    pub fn drop(&self, name: &str) {
        for file in [MARK, MIRROR] {
            let _ = fs::remove_file(self.folder.join(name).join(file));
        }
    }
}

fn failed(folder: &Path, error: &io::Error) -> EngineError {
    EngineError::Unreachable(format!("the mirror of a log in {}: {error}", folder.display()))
}

/// Nothing of a mirror that is not as its mark says.
fn mark(folder: &Path) -> Mark {
    let mark: Option<Mark> = fs::read(folder.join(MARK)).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let there = fs::metadata(folder.join(MIRROR)).map_or(0, |mirror| mirror.len());
    mark.filter(|mark| mark.bytes <= there).unwrap_or_default()
}

/// What follows the mark, without the times: whole lines, and the beginning of one that is not whole.
fn new_lines(bytes: &[u8], mark: &mut Mark) -> (Vec<u8>, Vec<u8>) {
    let mut lines = Vec::with_capacity(bytes.len());
    let last = mark.time.clone();
    let mut known = mark.lines;
    let mut rest = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let space = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let time = String::from_utf8_lossy(&line[..space]);
        let text = line.get(space + 1..).unwrap_or_default();
        // The server may take whole seconds: what is older than the mark is there. Times have one form and are compared as text.
        if is_before(&time, &last) {
            continue;
        }
        if *time == last && known > 0 {
            known -= 1;
            continue;
        }
        if !line.ends_with(b"\n") {
            rest = text.to_vec();
            break;
        }
        lines.extend_from_slice(text);
        mark.lines = if *time == mark.time { mark.lines + 1 } else { 1 };
        mark.time = time.into_owned();
    }
    mark.bytes += u64::try_from(lines.len()).unwrap_or(0);
    (lines, rest)
}

/// Whether a time lies before another; of one second the fractions are compared, which may have different lengths.
fn is_before(time: &str, other: &str) -> bool {
    let parts = |text: &str| -> (String, String) {
        let text = text.trim_end_matches('Z');
        let (second, fraction) = text.split_once('.').unwrap_or((text, ""));
        (second.to_owned(), format!("{fraction:0<9}"))
    };
    !other.is_empty() && parts(time) < parts(other)
}

/// Writes the lines and then the mark; a crash in between is mended by the next call, which begins at the mark.
fn append(folder: &Path, lines: &[u8], mark: &Mark) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut mirror = OpenOptions::new().create(true).append(true).open(folder.join(MIRROR))?;
    mirror.set_len(mark.bytes - u64::try_from(lines.len()).unwrap_or(0))?;
    mirror.write_all(lines)?;
    let part = folder.join(".mirror.part");
    fs::write(&part, serde_json::to_vec(mark)?)?;
    fs::rename(part, folder.join(MARK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_on_by_their_time() {
        let mut mark = Mark::default();
        let text = b"2026-01-02T03:04:05.1Z one\n2026-01-02T03:04:05.12Z two\n2026-01-02T03:04:05.12Z three\n2026-01-02T03:04:06Z fo";
        let (lines, rest) = new_lines(text, &mut mark);
        assert_eq!((lines.as_slice(), rest.as_slice()), (&b"one\ntwo\nthree\n"[..], &b"fo"[..]));
        assert_eq!(mark, Mark { bytes: 14, time: "2026-01-02T03:04:05.12Z".to_owned(), lines: 2 });
        // From the mark's second on, with a line of the same time that was not there yet.
        let text = b"2026-01-02T03:04:05.1Z one\n2026-01-02T03:04:05.12Z two\n2026-01-02T03:04:05.12Z three\n2026-01-02T03:04:05.12Z \n2026-01-02T03:04:06Z four\n";
        let (lines, rest) = new_lines(text, &mut mark);
        assert_eq!((lines.as_slice(), rest.as_slice()), (&b"\nfour\n"[..], &b""[..]));
        assert_eq!(mark, Mark { bytes: 20, time: "2026-01-02T03:04:06Z".to_owned(), lines: 1 });
        assert_eq!(new_lines(b"2026-01-02T03:04:06Z four\n", &mut mark).0, b"");
    }
}
