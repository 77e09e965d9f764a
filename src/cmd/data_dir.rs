//! The data directory: made 0700, used by one server at a time.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

/// The directory of a running server; its lock is held as long as this lives.
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory when it is missing and takes its lock. Another server holds it: a clear refusal.
    pub fn take(path: &Path) -> Result<Self> {
        let path = make(path)?;
        let file = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file)
            .with_context(|| format!("open {}", file.display()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            // The message is as good without the number.
            let _ = lock.read_to_string(&mut holder);
            bail!(
                "the data directory {} is used by another server (process {}): stop that one, or give this one a directory \
                 of its own with --data-dir",
                path.display(),
                holder.trim()
            );
        }
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Self { path, _lock: lock })
    }

    /// The directory, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of this host as the place of local jobs: made once and kept here, so that a renamed host stays the same place.
    pub fn host(&self) -> Result<String> {
        let file = self.path.join("host");
        if let Ok(text) = fs::read_to_string(&file)
            && !text.trim().is_empty()
        {
            return Ok(text.trim().to_owned());
        }
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let random: u32 = rand_suffix();
        let host = format!("{name}-{random:08x}");
        private_file(&file, &format!("{host}\n"))?;
        Ok(host)
    }
}

fn rand_suffix() -> u32 {
    let mut bytes = [0u8; 4];
    // Not a secret: it only keeps two hosts of one name apart, and the process id does where the kernel has no randomness yet.
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(_) => u32::from_le_bytes(bytes),
        Err(_) => std::process::id(),
    }
}

/// Makes the directory with mode 0700; gives its absolute path.
pub fn make(path: &Path) -> Result<PathBuf> {
    let fail = || format!("make the data directory {}", path.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(fail)?;
    let path = path.canonicalize().with_context(fail)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).with_context(fail)?;
    Ok(path)
}

/// Whether a server holds the directory at the moment.
pub fn is_taken(path: &Path) -> bool {
    let Ok(lock) = OpenOptions::new().read(true).open(path.join("lock")) else { return false };
    flock(&lock, FlockOperation::NonBlockingLockShared).is_err()
}

/// A file of mode 0600, put in place by rename.
pub fn private_file(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("write {}", path.display()))
}
