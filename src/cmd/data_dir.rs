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

/// Makes the directory with mode 0700; gives its absolute path. A directory with other people's things in it, such as a home,
/// is not closed to them but refused.
pub fn make(path: &Path) -> Result<PathBuf> {
    let fail = || format!("make the data directory {}", path.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(fail)?;
    let path = path.canonicalize().with_context(fail)?;
    let open_to_others = path.metadata().with_context(fail)?.permissions().mode() & 0o077 != 0;
    if open_to_others {
        if !is_ours_or_empty(&path).with_context(fail)? {
            bail!(
                "{} holds other things and is open to other users: name a directory that holds only foggara's data",
                path.display()
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).with_context(fail)?;
    }
    Ok(path)
}

fn is_ours_or_empty(path: &Path) -> std::io::Result<bool> {
    if path.join("lock").is_file() || path.join("foggara.db").is_file() {
        return Ok(true);
    }
    // What may be there before the first start.
    const OURS: [&str; 5] = ["foggara.toml", "sim.json", "files", "engines", "server.log"];
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if !OURS.iter().any(|ours| name == *ours) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The absolute path of a data directory with a database in it, for commands that have nothing to do without one.
pub fn existing(path: &Path) -> Result<PathBuf> {
    let absolute = path.canonicalize().ok().filter(|path| path.join("foggara.db").is_file());
    absolute.with_context(|| {
        format!(
            "{} is no data directory of a server: start one on it once, or name another directory with --data-dir",
            path.display()
        )
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn it_is_private_and_never_somebody_elses() {
        let place = tempfile::tempdir().expect("a folder");
        let new = place.path().join("a/b");
        make(&new).expect("made");
        assert_eq!(mode(&new), 0o700);
        let open = |name: &str| {
            let path = place.path().join(name);
            fs::create_dir(&path).expect("a folder");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
            path
        };
        let prepared = open("prepared");
        fs::write(prepared.join("foggara.toml"), "").expect("a file");
        make(&prepared).expect("the settings were there first");
        assert_eq!(mode(&prepared), 0o700);
        let home = open("home");
        fs::write(home.join("letter"), "").expect("a file");
        let error = make(&home).expect_err("it is a home").to_string();
        assert!(error.contains("holds other things"), "{error}");
        assert_eq!(mode(&home), 0o755, "it stays as it was");
        assert!(existing(&place.path().join("nowhere")).is_err() && existing(&new).is_err());
    }

    #[test]
    fn one_server_at_a_time() {
        let place = tempfile::tempdir().expect("a folder");
        assert!(!is_taken(place.path()));
        let held = DataDir::take(place.path()).expect("taken");
        assert!(is_taken(place.path()));
        let error = DataDir::take(place.path()).err().expect("refused").to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        assert_eq!(held.host().expect("a name"), held.host().expect("the same name"));
        drop(held);
        DataDir::take(place.path()).expect("free again");
    }
}
