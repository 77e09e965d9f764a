//! How far a job is, told by its own process: a small file of JSON in the attempt's folder, put in place by a rename, which the engine
//! reads when it looks at the job. A job that tells nothing costs one failed open.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use foggara_domain::execution::Progress;

use super::attempt::create;

/// More is not read: the file is the job's, and what it says goes into the database.
const LARGEST: u64 = 64 * 1024;

/// Where a process tells it whose reason of a failure goes to `fault`.
pub(crate) fn file(fault: &Path) -> PathBuf {
    fault.with_file_name("progress")
}

/// Tells it; for processes of ours.
pub fn tell_progress(file: &Path, progress: &Progress) -> io::Result<()> {
    let new = file.with_extension("new");
    create(&new)?.write_all(&serde_json::to_vec(progress)?)?;
    fs::rename(&new, file)
}

/// What was told last; nothing where nothing was, or nothing that can be read.
pub(super) fn told(file: &Path) -> Option<Progress> {
    let mut text = Vec::new();
    File::open(file).ok()?.take(LARGEST).read_to_end(&mut text).ok()?;
    let told: Progress = serde_json::from_slice(&text).ok()?;
    Some(Progress { counters: told.counters, ..Progress::of(told.percent) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_read_and_what_cannot_be_read_is_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = file(&dir.path().join("fault"));
        assert_eq!(told(&file), None);
        let counters = [("Copied".to_owned(), [("Files".to_owned(), 3)].into())].into();
        let progress = Progress { counters, ..Progress::of(12.5) };
        tell_progress(&file, &progress).expect("told");
        assert_eq!(told(&file), Some(progress));
        fs::write(&file, r#"{"percent": 1e9}"#).expect("written");
        assert_eq!(told(&file), Some(Progress::of(100.0)));
        for text in ["", "{}", r#"{"percent": "x"}"#] {
            fs::write(&file, text).expect("written");
            assert_eq!(told(&file), None, "{text}");
        }
    }
}
