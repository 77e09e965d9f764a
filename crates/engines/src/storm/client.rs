//! Storm's own client: where it is, and the words with which it submits a topology.

use std::{
    collections::BTreeMap,
    env, fs,
    io::Read,
    path::{Path, PathBuf},
};

use foggara_domain::{job_type::configs::is_credential, plan::Plan};

use crate::{Launch, local::private};

/// What to say when there is no client.
pub(super) const MISSING: &str = "there is no Storm client on this host: unpack Storm and set storm.home, STORM_HOME or PATH; it needs Java and Python 3";
/// Submits what Pyleus built.
const PYLEUS: &str = "com.yelp.pyleus.PyleusTopologyBuilder";
/// Gives it our name.
const RENAME: &str = include_str!("pyleus.py");
/// Becomes the client; a file of ours, since a job's program gets its mode set.
const BECOME: &str = "#!/bin/sh\nexec \"$@\"\n";

/// The program `storm`.
pub(super) fn find(home: Option<&Path>) -> Option<PathBuf> {
    let homes = home.map(Path::to_owned).into_iter().chain(env::var_os("STORM_HOME").map(PathBuf::from));
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = homes.map(|home| home.join("bin")).chain(env::split_paths(&path));
    folders.map(|folder| folder.join("storm")).find(|path| path.is_file())
}

/// What the client is told beside the job.
pub(super) struct Told<'a> {
    /// The program.
    pub storm: &'a Path,
    /// Hosts of Nimbus, where Storm's own configuration does not name them.
    pub nimbus: Option<&'a str>,
}

/// The client as a program of this host. The error is the reason with which the launch is refused.
pub(super) fn plan(launch: &Launch<'_>, told: &Told<'_>) -> Result<Plan, String> {
    let Some(Plan::Storm { jar, libs, main_class, args, settings }) = launch.plan else {
        return Err("a Storm cluster runs topologies and nothing else".to_owned());
    };
    let name = jar.file_name().unwrap_or_default().to_string_lossy();
    let mut head = [0; 2];
    let read = fs::File::open(jar).and_then(|mut file| file.read_exact(&mut head));
    if read.is_err() || &head != b"PK" {
        return Err(format!("{name} is no jar"));
    }
    let storm = told.storm.display().to_string();
    let mut words = vec![storm, "jar".to_owned()];
    if let Some(nimbus) = told.nimbus {
        let hosts: Vec<&str> = nimbus.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
        words.extend(["-c".to_owned(), format!("nimbus.seeds={}", serde_json::json!(hosts))]);
    }
    for (key, value) in settings {
        // Storm passes them on to Java's command line, which everybody on the host can read.
        if is_credential(key) {
            return Err(format!("'{key}' is a credential, and Storm's client would show it on its command line"));
        }
        words.extend(["-c".to_owned(), format!("{key}={value}")]);
    }
    if !libs.is_empty() {
        let libs: Vec<String> = libs.iter().map(|path| path.display().to_string()).collect();
        words.extend(["--jars".to_owned(), libs.join(",")]);
    }
    let words = match main_class {
        Some(class) => {
            // The topology's name is the first argument of its class, as Sahara has it.
            words.extend([jar.display().to_string(), class.clone(), launch.tag.to_string()]);
            words.extend(args.iter().cloned());
            words
        }
        None if args.is_empty() => {
            let rename = launch.workspace.join(".pyleus.py");
            private(&rename, RENAME.as_bytes())?;
            let renamed = launch.workspace.join(".pyleus.jar").display().to_string();
            words.extend([renamed.clone(), PYLEUS.to_owned()]);
            let mut all = vec!["/usr/bin/env".to_owned(), "python3".to_owned(), rename.display().to_string()];
            all.extend([jar.display().to_string(), renamed, launch.tag.to_string()]);
            all.extend(words);
            all
        }
        None => return Err("a topology of Pyleus takes no arguments: its options stand in its jar".to_owned()),
    };
    let main = launch.workspace.join(".storm-client.sh");
    private(&main, BECOME.as_bytes())?;
    let mut env = BTreeMap::new();
    if let Some(home) = env::var("JAVA_HOME").ok().filter(|home| !home.is_empty()) {
        env.insert("JAVA_HOME".to_owned(), home);
    }
    Ok(Plan::Program { main, args: words, env })
}
