//! DistCp: options, sources and a destination as Hadoop's `distcp` takes them, with its rules for which options go together.
//!
//! What is not known is refused by name: a copy that ignored an option would not be the copy that was asked for.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;

use super::{configs::is_credential, invalid, text};
use crate::{
    Result,
    data_source::UrlParts,
    plan::{CopyOptions, HiddenSettings, Plan},
};

/// Files that are copied at once when nobody says how many; Hadoop starts 20 mappers on a whole cluster.
const AT_ONCE: u32 = 8;
/// Settings of a job that mean a store.
const OF_STORES: [&str; 5] = ["fs.s3a.", "fs.s3n.", "fs.obs.", "fs.webhdfs.", "fs.swift."];

/// Makes the plan of arguments: options, source or sources, destination. Credentials are taken from the configs (`fs.s3a.*`,
/// `fs.obs.*`, `fs.webhdfs.*`, `fs.swift.*`), which are not shown to anybody; in arguments they are refused.
pub fn plan(args: &[String], configs: &BTreeMap<String, Value>) -> Result<Plan> {
    let mut options = CopyOptions { at_once: AT_ONCE, ..CopyOptions::default() };
    let of_stores = configs.iter().filter(|(key, _)| is_of_stores(key));
    let mut settings: BTreeMap<String, String> = of_stores.map(|(key, value)| (key.clone(), text(value))).collect();
    let mut places = Vec::new();
    let mut words = args.iter().map(|word| word.trim()).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        match word {
            "-update" => options.update = true,
            "-overwrite" => options.overwrite = true,
            "-delete" => options.delete = true,
            "-i" => options.ignore_failures = true,
            "-skipcrccheck" => options.skip_check = true,
            "-m" => options.at_once = many(words.next())?,
            "-D" => setting(words.next().unwrap_or_default(), &mut settings)?,
            _ if word.starts_with("-D") => setting(&word[2..], &mut settings)?,
            _ if word.starts_with('-') => {
                return invalid(format!(
                    "DistCp does not know the option '{word}' here; it takes -update, -overwrite, -delete, -i, -skipcrccheck, \
                     -m N and -D fs.s3a...=value"
                ));
            }
            _ => {
                check(word)?;
                places.push(word.to_owned());
            }
        }
    }
    if options.update && options.overwrite {
        return invalid("DistCp takes -update or -overwrite, not both");
    }
    if options.delete && !(options.update || options.overwrite) {
        return invalid("DistCp takes -delete only with -update or -overwrite");
    }
    let Some(destination) = places.pop().filter(|_| !places.is_empty()) else {
        return invalid("DistCp needs a source and a destination, in this order");
    };
    Ok(Plan::DistCp {
        sources: places,
        destination,
        options,
        settings: HiddenSettings(settings),
        project: String::new(),
        ticket: None,
    })
}

/// Whether a copy needs Swift and brings no user for it.
pub fn needs_ticket(plan: &Plan) -> bool {
    let Plan::DistCp { sources, destination, settings, .. } = plan else { return false };
    let is_swift = |place: &String| UrlParts::of(place).scheme == "swift";
    let user = settings.0.get("fs.swift.service.sahara.username").is_some_and(|user| !user.trim().is_empty());
    !user && sources.iter().chain([destination]).any(is_swift)
}

/// The same copy with a file in which a token for Swift lies.
pub fn with_ticket(plan: Plan, file: PathBuf) -> Plan {
    match plan {
        Plan::DistCp { sources, destination, options, settings, project, .. } => {
            Plan::DistCp { sources, destination, options, settings, project, ticket: Some(file) }
        }
        other => other,
    }
}

/// The same copy for a project.
pub fn of_project(plan: Plan, of: &str) -> Plan {
    match plan {
        Plan::DistCp { sources, destination, options, settings, ticket, .. } => {
            Plan::DistCp { sources, destination, options, settings, project: of.to_owned(), ticket }
        }
        other => other,
    }
}

fn is_of_stores(key: &str) -> bool {
    OF_STORES.iter().any(|prefix| key.starts_with(prefix))
}

fn many(word: Option<&str>) -> Result<u32> {
    match word.and_then(|word| word.parse::<u32>().ok()) {
        Some(many) if many > 0 => Ok(many),
        _ => invalid("DistCp: -m needs the number of files that are copied at once, from 1"),
    }
}

/// `key=value` of `-D`.
fn setting(word: &str, settings: &mut BTreeMap<String, String>) -> Result<()> {
    match word.split_once('=') {
        Some((key, _)) if is_credential(key) => invalid(format!(
            "{key} may not stand in the arguments, which are shown: give it in the job's configs (properties)"
        )),
        Some((key, value)) if is_of_stores(key) => {
            settings.insert(key.to_owned(), value.to_owned());
            Ok(())
        }
        Some((key, _)) => invalid(format!(
            "DistCp does not know the setting '{key}' here; it takes fs.s3a.*, fs.obs.*, fs.webhdfs.* and fs.swift.*"
        )),
        None => invalid("DistCp: -D needs key=value"),
    }
}

/// A place that a copy can come from or go to. The text of a refusal holds no credentials.
fn check(place: &str) -> Result<()> {
    let parts = UrlParts::of(place);
    let shown = format!("{}://{}{}", parts.scheme, parts.host.rsplit('@').next().unwrap_or_default(), parts.path);
    if parts.host.contains('@') {
        return invalid(format!(
            "{shown}: credentials may not stand in a url: give them in the job's configs (properties)"
        ));
    }
    match parts.scheme {
        "" if place.starts_with('/') => Ok(()),
        "" => invalid(format!("'{place}' is neither a url nor an absolute path")),
        "file" | "hdfs" | "maprfs" if parts.host.is_empty() && parts.path.starts_with('/') => Ok(()),
        // Without a host `hdfs` means the files of this host (decision 1).
        "hdfs" | "webhdfs" | "swebhdfs" | "manila" if !parts.host.is_empty() => Ok(()),
        "s3" | "s3a" | "s3n" | "obs" | "swift" if !parts.host.is_empty() => Ok(()),
        "file" | "hdfs" | "webhdfs" | "swebhdfs" | "manila" | "maprfs" | "s3" | "s3a" | "s3n" | "obs" | "swift" => {
            invalid(format!(
                "{shown} is malformed: file:///path, hdfs://host/path, s3a://bucket/key, swift://container/object"
            ))
        }
        other => invalid(format!(
            "DistCp cannot copy '{other}' urls; it can file, hdfs, webhdfs, swebhdfs, manila, maprfs, s3, s3a, s3n, obs and swift"
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(args: &[&str]) -> Result<Plan> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let configs = json!({"fs.s3a.secret.key": "very-secret", "fs.obs.endpoint": "o", "edp.x": "y", "fs.s3a.path.style.access": true});
        plan(&args, &configs.as_object().cloned().unwrap_or_default().into_iter().collect())
    }

    fn refusal(args: &[&str]) -> String {
        of(args).expect_err("a refusal").to_string()
    }

    #[test]
    fn options_places_and_settings_are_told_apart() {
        let plan = of(&[
            "-update",
            "/a",
            "-m",
            "3",
            "s3a://b/c",
            "-delete",
            "-i",
            "obs://d",
            "-skipcrccheck",
            "-Dfs.s3a.endpoint=e",
        ]);
        let plan = plan.expect("a plan");
        let Plan::DistCp { sources, destination, options, settings, .. } = &plan else { panic!("another plan") };
        assert_eq!(
            (sources.as_slice(), destination.as_str()),
            (&["/a".to_owned(), "s3a://b/c".to_owned()][..], "obs://d")
        );
        let wanted = CopyOptions {
            update: true,
            overwrite: false,
            delete: true,
            ignore_failures: true,
            skip_check: true,
            at_once: 3,
        };
        assert_eq!(*options, wanted);
        let keys: Vec<&str> = settings.0.keys().map(String::as_str).collect();
        assert_eq!(keys, ["fs.obs.endpoint", "fs.s3a.endpoint", "fs.s3a.path.style.access", "fs.s3a.secret.key"]);
        assert_eq!(settings.0["fs.s3a.path.style.access"], "true");
        assert!(!needs_ticket(&plan));
        assert!(needs_ticket(&of(&["/a", "swift://c/b"]).expect("a plan")));
        // A user is no secret, but stands beside a password, which may not be among the arguments.
        let user = [("fs.swift.service.sahara.username".to_owned(), json!("ada"))].into();
        let with_user = super::plan(&["/a".to_owned(), "swift://c/b".to_owned()], &user).expect("a plan");
        assert!(!needs_ticket(&with_user), "{with_user:?}");
        assert!(!format!("{plan:?}").contains("very-secret"));
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        for (args, why) in [
            (&["-p", "/a", "/b"][..], "'-p'"),
            (&["-atomic", "/a", "/b"], "'-atomic'"),
            (&["-update", "-overwrite", "/a", "/b"], "not both"),
            (&["-delete", "/a", "/b"], "only with -update or -overwrite"),
            (&["-m", "0", "/a", "/b"], "-m needs"),
            (&["/a", "/b", "-m"], "-m needs"),
            (&["/a"], "a source and a destination"),
            (&[], "a source and a destination"),
            (&["a", "/b"], "neither a url nor"),
            (&["webhdfs:///a", "/b"], "malformed"),
            (&["maprfs://host/a", "/b"], "malformed"),
            (&["gopher://c/a", "/b"], "'gopher'"),
            (&["swift:///a", "/b"], "malformed"),
            (&["swift://me:letmein@c/a", "/b"], "credentials may not stand"),
            (&["-Dfs.swift.service.sahara.password=letmein", "swift://c/a", "/b"], "which are shown"),
            (&["s3a:///a", "/b"], "malformed"),
            (&["file://host/a", "/b"], "malformed"),
            (&["s3a://me:letmein@b/a", "/b"], "credentials may not stand"),
            (&["-Dfs.s3a.secret.key=letmein", "/a", "/b"], "which are shown"),
            (&["-Dfs.webhdfs.delegation.token=letmein", "/a", "/b"], "which are shown"),
            (&["-D", "mapreduce.job.queuename=q", "/a", "/b"], "mapreduce.job.queuename"),
            (&["-D", "/a", "/b"], "key=value"),
        ] {
            let text = refusal(args);
            assert!(text.contains(why) && !text.contains("letmein"), "{args:?}: {text}");
        }
    }
}
