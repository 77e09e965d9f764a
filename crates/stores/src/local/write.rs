//! A file that appears whole: written under a hidden name beside its place and put there by rename.

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use futures::StreamExt;
use tokio::{
    fs::{self, OpenOptions},
    io::AsyncWriteExt,
};

use super::failed;
use crate::{Content, StoreError, exactly};

/// Ends the name of what is not complete.
const PART: &str = ".foggara-part";

static NUMBER: AtomicU64 = AtomicU64::new(0);

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

/// Writes to a resolved path and makes the folders above it; gives the size in bytes.
pub(super) async fn put(path: &Path, content: Content) -> Result<u64, StoreError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(StoreError::Denied(format!("{} cannot be a file", path.display())));
    };
    fs::create_dir_all(folder).await.map_err(|error| unwritable(folder, &error))?;
    if fs::metadata(path).await.is_ok_and(|metadata| !metadata.is_file()) {
        return Err(StoreError::Denied(format!("{} is there already and is not a file", path.display())));
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut hidden = std::ffi::OsString::from(".");
    // A name may have 255 bytes; what tells this one from others must not be cut off.
    let shown = name.to_string_lossy();
    hidden.push(shown.chars().take(40).collect::<String>());
    hidden.push(format!(".{}-{number}{PART}", std::process::id()));
    let part = folder.join(hidden);
    let mut file = OpenOptions::new().write(true).create_new(true).open(&part).await;
    if matches!(&file, Err(error) if error.kind() == io::ErrorKind::AlreadyExists) {
        // Left by a killed process that had the same number.
        fs::remove_file(&part).await.map_err(|error| unwritable(&part, &error))?;
        file = OpenOptions::new().write(true).create_new(true).open(&part).await;
    }
    let mut file = file.map_err(|error| unwritable(&part, &error))?;
    let mut unfinished = Unfinished(Some(part.clone()));
    let mut pieces = exactly(content);
    let mut size = 0u64;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        size += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        file.write_all(&piece).await.map_err(|error| unwritable(path, &error))?;
    }
    file.flush().await.map_err(|error| unwritable(path, &error))?;
    fs::rename(&part, path).await.map_err(|error| unwritable(path, &error))?;
    unfinished.0 = None;
    Ok(size)
}

fn unwritable(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull => StoreError::Local(format!("the disk is full: {}", path.display())),
        io::ErrorKind::PermissionDenied => StoreError::Denied(format!("{} may not be written", path.display())),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            StoreError::Denied(format!("{}: something on its way is a file, not a folder", path.display()))
        }
        _ => failed(path, error),
    }
}
