//! All files below a folder of this host, links followed as Hadoop follows them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::failed;
use crate::{FileEntry, Listing, Roots, StoreError};

/// Lists a resolved path. A link that leads out of the roots or back into a folder it lies in, and anything that is neither
/// file nor folder, is an error: a copy without it would look whole.
pub(super) fn list(path: &Path, roots: &impl Roots) -> Result<Listing, StoreError> {
    let metadata = fs::metadata(path).map_err(|error| failed(path, &error))?;
    if metadata.is_file() {
        return Ok(Listing::of_file(entry(String::new(), &metadata)));
    }
    if !metadata.is_dir() {
        return Err(neither(path));
    }
    let mut walk = Walk { roots, files: Vec::new(), empty: Vec::new(), above: Vec::new() };
    walk.folder(path, "")?;
    Ok(Listing::of_folder(walk.files, walk.empty))
}

fn entry(path: String, metadata: &fs::Metadata) -> FileEntry {
    FileEntry { path, size: metadata.len(), modified: metadata.modified().ok(), md5: None }
}

struct Walk<'a, R> {
    roots: &'a R,
    files: Vec<FileEntry>,
    empty: Vec<String>,
    /// The folders that the walk is in, without links.
    above: Vec<PathBuf>,
}

impl<R: Roots> Walk<'_, R> {
    fn folder(&mut self, path: &Path, name: &str) -> Result<(), StoreError> {
        let wrong = |error: io::Error| failed(path, &error);
        if self.above.iter().any(|above| above == path) {
            return Err(StoreError::Unsupported(format!(
                "{} lies in itself by a link: there is no end to it",
                path.display()
            )));
        }
        self.above.push(path.to_owned());
        let mut is_empty = true;
        for entry in fs::read_dir(path).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let Some(own) = entry.file_name().to_str().map(ToOwned::to_owned) else {
                return Err(StoreError::Unsupported(format!("the name of {} is not UTF-8", entry.path().display())));
            };
            is_empty = false;
            let name = if name.is_empty() { own } else { format!("{name}/{own}") };
            let mut path = entry.path();
            if entry.file_type().map_err(wrong)?.is_symlink() {
                path = self.roots.resolve(&path)?;
            }
            let metadata = match fs::metadata(&path) {
                Ok(metadata) => metadata,
                // Removed since the folder was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => continue,
                Err(error) => return Err(failed(&path, &error)),
            };
            if metadata.is_dir() {
                self.folder(&path, &name)?;
            } else if metadata.is_file() {
                self.files.push(self::entry(name, &metadata));
            } else {
                return Err(neither(&path));
            }
        }
        if is_empty {
            self.empty.push(name.to_owned());
        }
        self.above.pop();
        Ok(())
    }
}

fn neither(path: &Path) -> StoreError {
    StoreError::Unsupported(format!("{} is neither a file nor a folder", path.display()))
}
