//! Which processes belong to a job, as an outsider sees it: by the tag in their environment.

use std::{collections::BTreeMap, fs};

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

/// The tag and the process id of each living process with a tag whose program has this name (`comm`).
pub fn tags(program: &str) -> BTreeMap<String, i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let of_program =
        pids.filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == program));
    of_program
        .filter_map(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            let tag =
                environment.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(b"FOGGARA_TAG="))?;
            Some((String::from_utf8_lossy(tag).into_owned(), pid))
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
