//! Storm's own client: where it is, and the words with which it submits a topology.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use foggara_domain::plan::Plan;
use url::form_urlencoded;

use crate::{Launch, local::private};

/// What to say when there is no client.
pub(super) const MISSING: &str = "there is no Storm client on this host: unpack Storm and set storm.home, STORM_HOME or PATH; it needs Java and Python 3";
/// The variable with words for the JVM of `storm jar`.
const JVM_OPTIONS: &str = "STORM_JAR_JVM_OPTS";
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
    let storm = told.storm.display().to_string();
    let mut words = vec![storm, "jar".to_owned()];
    let mut options = settings.clone();
    if let Some(nimbus) = told.nimbus {
        let hosts: Vec<&str> = nimbus.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
        options.insert("nimbus.seeds".to_owned(), serde_json::json!(hosts).to_string());
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
    if !options.is_empty() {
        let file = launch.workspace.join(".storm-options");
        private(&file, options_file(&options).as_bytes())?;
        env.insert(JVM_OPTIONS.to_owned(), words_of_shell(told.storm, &file)?);
    }
    Ok(Plan::Program { main, args: words, env })
}

/// A file of words for Java's launcher, which reads what `@` stands before. Storm's client hands a job's settings to its JVM as one
/// property, where everybody on the host could read them (they may be credentials); the last one of a name counts, so that this one
/// takes the place of the client's own. A file of Storm's settings (`--config`) would not do: a topology gets only what its class and
/// this property say.
fn options_file(options: &BTreeMap<String, String>) -> String {
    let encoded = options
        .iter()
        .map(|(key, value)| form_urlencoded::byte_serialize(format!("{key}={value}").as_bytes()).collect::<String>());
    format!("-Dstorm.options={}\n", encoded.collect::<Vec<_>>().join(","))
}

/// The value of [`JVM_OPTIONS`]. It is refused where the client's own files set that variable and would cover it.
fn words_of_shell(storm: &Path, file: &Path) -> Result<String, String> {
    let home = storm.canonicalize().ok().and_then(|storm| Some(storm.parent()?.parent()?.to_owned()));
    for name in ["conf/storm-env.sh", "conf/storm_env.ini"] {
        let Some(path) = home.as_ref().map(|home| home.join(name)) else { continue };
        let text = fs::read_to_string(&path).unwrap_or_default();
        if text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains(JVM_OPTIONS)) {
            return Err(format!(
                "{} sets {JVM_OPTIONS}, by which the settings of a job are handed over: take it out",
                path.display()
            ));
        }
    }
    let file = file.display().to_string();
    if file.contains('\'') {
        return Err(format!("{file}: a quote in a path cannot be handed to Storm's client"));
    }
    Ok(format!("'@{file}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_one_word_of_a_file() {
        let options = [("a", "1"), ("nimbus.seeds", "[\"one\",\"two\"]"), ("p", "x y,'=%")];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let wanted = "-Dstorm.options=a%3D1,nimbus.seeds%3D%5B%22one%22%2C%22two%22%5D,p%3Dx+y%2C%27%3D%25\n";
        assert_eq!(options_file(&options), wanted);
    }

    #[test]
    fn a_client_whose_own_files_would_cover_them_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let (storm, conf) = (dir.path().join("bin/storm"), dir.path().join("conf/storm-env.sh"));
        for path in [&storm, &conf] {
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        }
        fs::write(&storm, "").expect("written");
        fs::write(&conf, "# export STORM_JAR_JVM_OPTS=x\n").expect("written");
        assert_eq!(words_of_shell(&storm, Path::new("/w s/o")).as_deref(), Ok("'@/w s/o'"));
        fs::write(&conf, "export STORM_JAR_JVM_OPTS=-Xmx1g\n").expect("written");
        let refused = words_of_shell(&storm, Path::new("/o")).expect_err("refused");
        assert!(refused.contains("storm-env.sh sets STORM_JAR_JVM_OPTS"), "{refused}");
    }
}
