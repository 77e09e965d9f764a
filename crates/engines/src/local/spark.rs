//! spark-submit in client mode, with `--master local[N]` or to a standalone cluster (spec/engines.md section 1). Everything that is a setting goes into a
//! properties file of mode 0600 in the workspace: no value ever stands on the command line.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use foggara_domain::plan::Plan;

use super::{LocalSettings, command::Command, command::private, find, launcher};

/// Quicker and smaller; a job's own settings win.
const DEFAULTS: [(&str, &str); 2] = [("spark.ui.enabled", "false"), ("spark.driver.bindAddress", "127.0.0.1")];

pub(super) fn command(plan: &Plan, settings: &LocalSettings, workspace: &Path, tag: &str) -> Result<Command, String> {
    let Plan::Spark { main, main_class, args, secret_args, conf, py_files, jars, files } = plan else {
        return Err("not a Spark plan".to_owned());
    };
    let spark = find::spark(settings).ok_or_else(|| find::SPARK_MISSING.to_owned())?;
    let java = find::java_of_spark(settings).ok_or_else(|| find::JAVA_MISSING.to_owned())?;
    let scratch = workspace.join(".spark-local");
    fs::create_dir_all(&scratch).map_err(|error| format!("cannot make {}: {error}", scratch.display()))?;
    let cluster = settings.spark_cluster.as_ref();
    // Workers elsewhere have to reach the driver.
    let is_here = cluster.is_none_or(|cluster| cluster.master.starts_with("spark://127."));
    let mut all: BTreeMap<String, String> = DEFAULTS
        .iter()
        .filter(|(key, _)| is_here || *key != "spark.driver.bindAddress")
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    if let Some(least) = cluster.and_then(|cluster| cluster.executor_mb) {
        all.insert("spark.executor.memory".to_owned(), format!("{least}m"));
    }
    all.extend(conf.clone());
    all.insert("spark.foggara.id".to_owned(), tag.to_owned());
    let is_python = main.extension().is_some_and(|extension| extension == "py");
    let (mut main, mut main_class, mut args, mut jars) = (main.clone(), main_class.clone(), args.clone(), jars.clone());
    if *secret_args && is_python {
        main = launcher::put_python(workspace, &main, &args)?;
        args = vec![launcher::words_file(workspace).display().to_string()];
    } else if *secret_args {
        let folder = launcher::put(workspace, main_class.as_deref(), Some(&main), &args)?;
        let given = all.remove("spark.driver.extraClassPath").map(|given| format!(":{given}")).unwrap_or_default();
        all.insert("spark.driver.extraClassPath".to_owned(), format!("{}{given}", folder.display()));
        main_class = Some(launcher::CLASS.to_owned());
        args = vec![launcher::words_file(workspace).display().to_string()];
        jars.push(main.clone());
    }
    let file = workspace.join(".spark.properties");
    private(&file, properties(&all).as_bytes())?;
    let mut argv = vec![spark.submit().display().to_string()];
    let mut option = |name: &str, value: String| argv.extend([name.to_owned(), value]);
    option(
        "--master",
        cluster.map_or_else(|| format!("local[{}]", settings.spark_cores), |cluster| cluster.master.clone()),
    );
    if let Some(class) = main_class {
        option("--class", class.clone());
    }
    option("--properties-file", file.display().to_string());
    for (name, paths) in [("--jars", &jars), ("--py-files", py_files), ("--files", files)] {
        if !paths.is_empty() {
            option(name, list(paths)?);
        }
    }
    argv.push(main.display().to_string());
    argv.extend(args);
    let mut env = BTreeMap::from([
        ("SPARK_HOME".to_owned(), spark.home.display().to_string()),
        ("SPARK_LOCAL_DIRS".to_owned(), scratch.display().to_string()),
    ]);
    if is_here {
        env.insert("SPARK_LOCAL_IP".to_owned(), "127.0.0.1".to_owned());
    }
    if let Some(home) = find::java_home(&java) {
        env.insert("JAVA_HOME".to_owned(), home.display().to_string());
    }
    if let Some(python) = &spark.python {
        let python = python.display().to_string();
        env.insert("PYSPARK_PYTHON".to_owned(), python.clone());
        env.insert("PYSPARK_DRIVER_PYTHON".to_owned(), python);
    }
    Ok(Command { argv, env, litter: None, note: None })
}

/// spark-submit takes comma separated lists, so a name with a comma cannot be passed.
pub(super) fn list(paths: &[PathBuf]) -> Result<String, String> {
    let mut texts = Vec::with_capacity(paths.len());
    for path in paths {
        let text = path.display().to_string();
        if text.contains(',') {
            return Err(format!("{text}: a library's name may hold no comma for Spark"));
        }
        texts.push(text);
    }
    Ok(texts.join(","))
}

/// The text of a Java properties file: keys and values with everything escaped that would mean something else.
pub(crate) fn properties(settings: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (key, value) in settings {
        let _ = writeln!(text, "{}={}", escaped(key, true), escaped(value, false));
    }
    text
}

fn escaped(text: &str, key: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, letter) in text.chars().enumerate() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' ' | ':' | '=' | '#' | '!' if key || at == 0 => {
                out.push('\\');
                out.push(letter);
            }
            letter if letter.is_ascii() => out.push(letter),
            letter => {
                let mut units = [0u16; 2];
                for unit in letter.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_escaped() {
        let settings =
            BTreeMap::from([("a b".to_owned(), " x=y\\".to_owned()), ("k".to_owned(), "line\nü".to_owned())]);
        assert_eq!(properties(&settings), "a\\ b=\\ x=y\\\\\nk=line\\n\\u00fc\n");
    }
}
