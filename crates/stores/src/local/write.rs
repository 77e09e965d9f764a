//! A file that appears whole: written under a hidden name beside its place and put there by rename.

use std::{
    io,
    path::{Path, PathBuf},
};

use futures::StreamExt;
use rustix::fs::FlockOperation;
use tokio::{
    fs::{self, OpenOptions},
    io::AsyncWriteExt,
};

use super::failed;
use crate::{Content, StoreError, exactly, part};

/// The unfinished file; whoever drops it without keeping it removes it.
struct Unfinished(Option<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // There is nobody to tell; the name says what it is.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Folder and name of a file that may be written.
pub(super) fn place(path: &Path) -> Result<(&Path, String), StoreError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(StoreError::Denied(format!("{} cannot be a file", path.display())));
    };
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(StoreError::Denied(format!("{} is there already and is not a file", path.display())));
    }
    Ok((folder, name.to_string_lossy().into_owned()))
}

/// Writes to a resolved path and makes the folders above it; gives the size in bytes.
pub(super) async fn put(path: &Path, content: Content) -> Result<u64, StoreError> {
    let (folder, name) = place(path)?;
    fs::create_dir_all(folder).await.map_err(|error| unwritable(folder, &error))?;
    let part = folder.join(part::name(&name, &part::unique()));
    let file = OpenOptions::new().write(true).create_new(true).open(&part).await;
    let mut file = file.map_err(|error| unwritable(&part, &error))?;
    // Tells others that it is not left by a killed process. Where files cannot be locked it is not told.
    let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    let mut unfinished = Unfinished(Some(part.clone()));
    let mut pieces = exactly(content);
    let mut size = 0u64;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        size += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        file.write_all(&piece).await.map_err(|error| unwritable(path, &error))?;
    }
    // On the disk before it has its name: a loss of power leaves no short file that looks whole.
    file.sync_all().await.map_err(|error| unwritable(path, &error))?;
    fs::rename(&part, path).await.map_err(|error| unwritable(path, &error))?;
    unfinished.0 = None;
    Ok(size)
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull => StoreError::Local(format!("the disk is full: {}", path.display())),
        io::ErrorKind::PermissionDenied => StoreError::Denied(format!("{} may not be written", path.display())),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            StoreError::Denied(format!("{}: something on its way is a file, not a folder", path.display()))
        }
        _ => failed(path, error),
    }
}
