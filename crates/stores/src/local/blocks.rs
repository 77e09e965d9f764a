//! A file that is written in blocks, and may be gone on with after a kill.
//!
//! The blocks go to their places in a hidden file beside the one that it is to become. Behind the last byte it holds a line for
//! each block that is on the disk, number and MD5; they are cut off before the file gets its name. Who writes holds a lock on it,
//! which ends with the process.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use futures::StreamExt;
use md5::{Digest, Md5};
use rustix::fs::{FlockOperation, OFlags};
use tokio::{
    io::{AsyncSeekExt, AsyncWriteExt},
    sync::Mutex,
    task::spawn_blocking,
};

use super::{failed, write::unwritable};
use crate::{Blocks, Content, StoreError, Writing, exactly, part};

/// Bytes of a line: eight digits, a blank, 32 hexadecimal digits, and its end.
const LINE: usize = 42;
/// The lock that tells others that somebody is writing.
const LOCK: FlockOperation = FlockOperation::NonBlockingLockExclusive;

/// The writing.
pub(super) struct InBlocks {
    path: PathBuf,
    part: PathBuf,
    /// Holds the lock.
    file: Arc<File>,
    blocks: Blocks,
    written: BTreeMap<u64, String>,
    /// Where the next line goes.
    end: Mutex<u64>,
}

/// Opens what is not complete without following a link.
fn open(part: &Path, create: bool) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().read(true).write(true).create(create).truncate(false).custom_flags(flags).open(part)
}

/// Begins to write to a resolved path, or goes on. Nothing when somebody else is at it, or where files cannot be locked.
pub(super) async fn begin(path: PathBuf, blocks: Blocks) -> Result<Option<InBlocks>, StoreError> {
    let begun = spawn_blocking(move || begin_now(path, blocks)).await;
    begun.map_err(|error| StoreError::Local(format!("the writing ended: {error}")))?
}

fn begin_now(path: PathBuf, blocks: Blocks) -> Result<Option<InBlocks>, StoreError> {
    let (folder, name) = super::write::place(&path)?;
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let part = folder.join(part::name(&name, &blocks.version));
    let file = open(&part, true).map_err(|error| unwritable(&part, &error))?;
    let of_file = file.metadata().map_err(|error| failed(&part, &error))?;
    if rustix::fs::flock(&file, LOCK).is_err() {
        return Ok(None);
    }
    // Whoever held the lock before may have given the file its name.
    if !fs::symlink_metadata(&part).is_ok_and(|there| (there.ino(), there.dev()) == (of_file.ino(), of_file.dev())) {
        return Ok(None);
    }
    let there = file.metadata().map_err(|error| failed(&part, &error))?.len();
    let written = lines(&file, &blocks, there).map_err(|error| failed(&part, &error))?;
    let end = blocks.size + u64::try_from(written.len() * LINE).unwrap_or(0);
    file.set_len(end).map_err(|error| unwritable(&path, &error))?;
    Ok(Some(InBlocks { path, part, file: Arc::new(file), blocks, written, end: Mutex::new(end) }))
}

/// The lines behind the last byte, up to the first that is not whole.
fn lines(file: &File, blocks: &Blocks, there: u64) -> io::Result<BTreeMap<u64, String>> {
    let mut written = BTreeMap::new();
    let mut at = blocks.size;
    let mut line = [0; LINE];
    while there.saturating_sub(at) >= LINE as u64 && written.len() as u64 <= blocks.count() {
        file.read_exact_at(&mut line, at)?;
        let text = std::str::from_utf8(&line).ok().and_then(|text| text.strip_suffix('\n')?.split_once(' '));
        let block = text.and_then(|(number, md5)| Some((number.parse::<u64>().ok()?, md5.to_owned())));
        match block.filter(|(number, _)| *number < blocks.count() && !written.contains_key(number)) {
            Some((number, md5)) => written.insert(number, md5),
            None => break,
        };
        at += LINE as u64;
    }
    Ok(written)
}

#[async_trait]
impl Writing for InBlocks {
    fn written(&self) -> &BTreeMap<u64, String> {
        &self.written
    }

    async fn write(&self, number: u64, content: Content) -> Result<String, StoreError> {
        let wrong = |error: io::Error| unwritable(&self.path, &error);
        let (from, length) = self.blocks.place(number);
        // A place of its own in the file.
        let part = self.part.clone();
        let opened = spawn_blocking(move || open(&part, false)).await;
        let opened = opened.map_err(|error| StoreError::Local(format!("the writing ended: {error}")))?;
        let mut file = tokio::fs::File::from_std(opened.map_err(wrong)?);
        file.seek(io::SeekFrom::Start(from)).await.map_err(wrong)?;
        let mut pieces = exactly(Content { size: Some(length), stream: content.stream });
        let (mut hash, mut came) = (Md5::new(), 0u64);
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            came += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            if came > length {
                return Err(StoreError::Unreachable(format!("a block has more than its {length} bytes")));
            }
            hash.update(&piece);
            file.write_all(&piece).await.map_err(wrong)?;
        }
        file.flush().await.map_err(wrong)?;
        // A line must not be there before its block is.
        file.sync_data().await.map_err(wrong)?;
        let md5 = hex::encode(hash.finalize());
        let line = format!("{number:08} {md5}\n");
        let mut end = self.end.lock().await;
        let (at, file) = (*end, Arc::clone(&self.file));
        let noted = spawn_blocking(move || file.write_all_at(line.as_bytes(), at)).await;
        noted.map_err(|error| StoreError::Local(format!("the writing ended: {error}")))?.map_err(wrong)?;
        *end += LINE as u64;
        Ok(md5)
    }

    async fn finish(&self) -> Result<(), StoreError> {
        let (file, size) = (Arc::clone(&self.file), self.blocks.size);
        let cut = spawn_blocking(move || file.set_len(size).and_then(|()| file.sync_all())).await;
        let cut = cut.map_err(|error| StoreError::Local(format!("the writing ended: {error}")))?;
        cut.map_err(|error| unwritable(&self.path, &error))?;
        tokio::fs::rename(&self.part, &self.path).await.map_err(|error| unwritable(&self.path, &error))
    }

    async fn give_up(&self) -> Result<(), StoreError> {
        remove(&self.part).await
    }
}

/// Removes what a killed process has left at a resolved path, unless somebody is writing it.
pub(super) async fn remove_part(path: PathBuf) -> Result<(), StoreError> {
    let taken = spawn_blocking({
        let path = path.clone();
        move || open(&path, false).map(|file| rustix::fs::flock(&file, LOCK).is_err())
    });
    match taken.await.map_err(|error| StoreError::Local(format!("the removal ended: {error}")))? {
        Ok(true) => Ok(()),
        Ok(false) => remove(&path).await,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(&path, &error)),
    }
}

async fn remove(path: &Path) -> Result<(), StoreError> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, &error)),
        _ => Ok(()),
    }
}
