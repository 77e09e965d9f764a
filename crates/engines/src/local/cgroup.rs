//! A control group per job, where the host lets us have one (cgroup v2, a folder that we may write): then a hard stop also
//! reaches processes that scrubbed their environment and left every group.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where control groups of jobs can be made: the configured folder, else the one that this process is in.
pub(super) fn usable_root(configured: Option<&Path>) -> Option<PathBuf> {
    let root = match configured {
        Some(root) => root.to_owned(),
        None => {
            let own = fs::read_to_string("/proc/self/cgroup").ok()?;
            let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
            Path::new("/sys/fs/cgroup").join(path)
        }
    };
    // cgroup.kill is there since Linux 5.14; without it a group is of no use to us.
    if !root.join("cgroup.procs").exists() || !root.join("cgroup.kill").exists() {
        return None;
    }
    let probe = root.join(format!("foggara-probe-{}", std::process::id()));
    fs::create_dir(&probe).ok()?;
    fs::remove_dir(&probe).ok()?;
    Some(root)
}

/// Puts the calling process into a job's group, which is made when it is missing.
pub(super) fn enter(group: &Path) -> io::Result<()> {
    match fs::create_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::write(group.join("cgroup.procs"), std::process::id().to_string())
}

/// Kills everything in a group. One that does not exist holds nothing.
pub(super) fn kill(group: &Path) -> io::Result<()> {
    match fs::write(group.join("cgroup.kill"), "1") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether a process is in the group or below it.
pub(super) fn is_populated(group: &Path) -> bool {
    fs::read_to_string(group.join("cgroup.events")).is_ok_and(|events| events.lines().any(|line| line == "populated 1"))
}

/// Removes an empty group.
pub(super) fn remove(group: &Path) {
    // One that is still populated cannot be removed, and is asked again.
    let _ = fs::remove_dir(group);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_looks_like_a_group_is_used() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(usable_root(Some(root.path())), None, "without cgroup.kill it is none");
        fs::write(root.path().join("cgroup.procs"), "").expect("written");
        fs::write(root.path().join("cgroup.kill"), "").expect("written");
        assert_eq!(usable_root(Some(root.path())).as_deref(), Some(root.path()));
        let group = root.path().join("job");
        enter(&group).expect("entered");
        assert_eq!(fs::read_to_string(group.join("cgroup.procs")).expect("read"), std::process::id().to_string());
        assert!(!is_populated(&group));
        fs::write(group.join("cgroup.events"), "populated 1\nfrozen 0\n").expect("written");
        assert!(is_populated(&group));
        kill(&group).expect("killed");
        assert_eq!(fs::read_to_string(group.join("cgroup.kill")).expect("read"), "1");
        kill(&root.path().join("absent")).expect("nothing to kill");
    }
}
