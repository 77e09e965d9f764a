//! Folders in which data is made before it takes its place. They are hidden, and removed when their process is gone.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    sync::Mutex,
};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use crate::{
    catalogue::folder::{sync, unique},
    fault::{Fault, Outcome},
};

const PREFIX: &str = ".staging-";
const LOCK: &str = ".lock";

/// Folders of this process, for the end by a signal.
static MINE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A folder in the making.
#[derive(Debug)]
pub struct Staging {
    /// Where to write.
    pub folder: PathBuf,
    lock: PathBuf,
    _held: File,
}

impl Staging {
    /// Makes one below a folder, and removes those that others left there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(parent: &Path) -> Outcome<Self> {
        fs::create_dir_all(parent).map_err(|error| Fault::io("make", parent, &error))?;
        sweep(parent);
        let mut tries = 0;
        loop {
            let name = unique();
            let folder = parent.join(format!("{PREFIX}{name}"));
            let lock = parent.join(format!("{PREFIX}{name}{LOCK}"));
            let made = || -> std::io::Result<File> {
                let held = OpenOptions::new().create_new(true).write(true).open(&lock)?;
                flock(&held, FlockOperation::NonBlockingLockExclusive)?;
                fs::create_dir(&folder)?;
                Ok(held)
            };
            match made() {
                Ok(held) => {
                    MINE.lock().expect("no panic while held").extend([folder.clone(), lock.clone()]);
                    return Ok(Self { folder, lock, _held: held });
                }
                // Another job that sweeps took the lock between its making and its locking.
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && tries < 10 => tries += 1,
                Err(error) => return Err(Fault::io("make", &folder, &error)),
            }
        }
    }

    /// Puts what was made in the place of a folder, at once: a crash leaves the old or the new one.
    ///
    /// # Errors
    /// A file system that cannot exchange folders.
    pub fn swap(&self, made: &Path, target: &Path) -> Outcome<()> {
        let parent = target.parent().ok_or_else(|| Fault::new("no folder above the table"))?;
        fs::create_dir_all(parent).map_err(|error| Fault::io("make", parent, &error))?;
        for folder in [made, &self.folder] {
            sync(folder)?;
        }
        // Without RENAME_NOREPLACE a folder that is not empty is refused anyway.
        let flags = if target.exists() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        renameat_with(CWD, made, CWD, target, flags)
            .map_err(|error| Fault::io("put the new data in the place of", target, &error.into()))?;
        sync(parent)
    }

    /// Moves all files to a folder beside those that are there.
    ///
    /// # Errors
    /// A file that cannot be moved.
    pub fn add(&self, target: &Path) -> Outcome<()> {
        move_all(&self.folder, target)
    }
}

fn move_all(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir_all(to).map_err(|error| Fault::io("make", to, &error))?;
    for entry in fs::read_dir(from).map_err(|error| Fault::io("read", from, &error))? {
        let entry = entry.map_err(|error| Fault::io("read", from, &error))?;
        let target = to.join(entry.file_name());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            move_all(&entry.path(), &target)?;
        } else {
            fs::rename(entry.path(), &target).map_err(|error| Fault::io("move data to", &target, &error))?;
        }
    }
    sync(to)
}

impl Drop for Staging {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
        fs::remove_file(&self.lock).ok();
        MINE.lock().expect("no panic while held").retain(|path| *path != self.folder && *path != self.lock);
    }
}

/// Removes folders whose process is gone.
pub fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(folder) = name.strip_suffix(LOCK).filter(|name| name.starts_with(PREFIX)) else { continue };
        let Ok(lock) = OpenOptions::new().write(true).open(entry.path()) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            fs::remove_dir_all(parent.join(folder)).ok();
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// Removes folders of processes that are gone from a whole warehouse.
pub fn sweep_warehouse(warehouse: &Path) {
    for database in fs::read_dir(warehouse).into_iter().flatten().flatten() {
        sweep(&database.path());
        for table in fs::read_dir(database.path()).into_iter().flatten().flatten() {
            sweep(&table.path());
        }
    }
}

/// Removes the folders of this process, at its end by a signal. What is being written may come again; the next run sweeps.
pub fn clean() {
    // Taken without waiting: the thread that holds it may never run again.
    if let Ok(mine) = MINE.try_lock() {
        for path in mine.iter() {
            if path.is_dir() {
                fs::remove_dir_all(path).ok();
            } else {
                fs::remove_file(path).ok();
            }
        }
    }
}
