//! Which processes belong to a job, as an outsider sees it: by the tag in their environment.

use std::fs;

/// Living processes whose environment has a FOGGARA_TAG that holds this text (an execution's id).
pub fn tagged(text: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable.starts_with(b"FOGGARA_TAG=") && String::from_utf8_lossy(variable).contains(text))
    })
    .collect()
}

/// The shims that supervise attempts in a data directory.
pub fn shims(dir: &std::path::Path) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let wanted = dir.join("attempts").display().to_string();
    pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains("shim --attempt") && line.contains(&wanted)
    })
    .collect()
}
