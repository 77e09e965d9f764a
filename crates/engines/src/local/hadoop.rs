//! Jars for Hadoop, run as `hadoop jar` does with the client jars that Spark brings, on Hadoop's local runner (spec/engines.md
//! section 4).

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use super::{
    LocalSettings,
    command::{Command, private},
    find, launcher,
};

/// Runs a jar's program.
pub(super) const RUN_JAR: &str = "org.apache.hadoop.util.RunJar";
/// Beginnings of the names of the jars that Hadoop's client needs.
const JARS: [&str; 6] =
    ["hadoop-client-api", "hadoop-client-runtime", "slf4j-api", "jcl-over-slf4j", "log4j-", "snappy-java"];

/// What Hadoop says of a job's progress and counters goes to the job's stderr, as `hadoop jar` writes it.
const LOGGING: &str = "\
rootLogger.level = info
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yyyy-MM-dd HH:mm:ss} %p %c{1}: %m%n
";

pub(super) fn command(
    settings: &LocalSettings,
    workspace: &Path,
    jar: &Path,
    args: &[String],
    secret: bool,
    properties: &BTreeMap<String, String>,
) -> Result<Command, String> {
    let spark = find::spark(settings).ok_or(find::SPARK_MISSING)?;
    let java = find::java_of_spark(settings).ok_or(find::JAVA_MISSING)?;
    let jars = client_jars(&spark.home.join("jars"))?;
    let conf = workspace.join(".hadoop-conf");
    fs::create_dir_all(&conf).map_err(|error| format!("cannot make {}: {error}", conf.display()))?;
    let mut site = properties.clone();
    site.entry("hadoop.tmp.dir".to_owned()).or_insert_with(|| workspace.join(".hadoop-tmp").display().to_string());
    // Hadoop reads both, and the keys of file systems belong to the first.
    for name in ["core-site.xml", "mapred-site.xml"] {
        private(&conf.join(name), xml(&site).as_bytes())?;
    }
    private(&conf.join("log4j2.properties"), LOGGING.as_bytes())?;
    let class_path: Vec<String> = std::iter::once(&conf).chain(&jars).map(|path| path.display().to_string()).collect();
    let mut words = vec![jar.display().to_string()];
    words.extend(args.iter().cloned());
    let mut argv = vec![java.display().to_string(), "-cp".to_owned()];
    if secret {
        let folder = launcher::put(workspace, Some(RUN_JAR), None, &words)?;
        argv.extend([format!("{}:{}", folder.display(), class_path.join(":")), launcher::CLASS.to_owned()]);
        argv.push(launcher::words_file(workspace).display().to_string());
    } else {
        argv.extend([class_path.join(":"), RUN_JAR.to_owned()]);
        argv.extend(words);
    }
    let home = find::java_home(&java).map(|home| ("JAVA_HOME".to_owned(), home.display().to_string()));
    Ok(Command { argv, env: home.into_iter().collect(), litter: None, note: None })
}

fn client_jars(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("cannot read Spark's jars in {}: {error}", folder.display());
    let mut jars = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".jar") && JARS.iter().any(|jar| name.starts_with(jar)) {
            jars.push(path);
        }
    }
    jars.sort();
    let client = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(JARS[0]));
    if jars.iter().any(client) {
        Ok(jars)
    } else {
        Err(format!("the Spark of this host has no {} jar in {}", JARS[0], folder.display()))
    }
}

/// A file of Hadoop's settings.
fn xml(properties: &BTreeMap<String, String>) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<configuration>\n");
    for (key, value) in properties {
        let (key, value) = (escaped(key), escaped(value));
        let _ = writeln!(text, "<property><name>{key}</name><value>{value}</value></property>");
    }
    text.push_str("</configuration>\n");
    text
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_escaped() {
        let text = xml(&BTreeMap::from([("a".to_owned(), "<b>&".to_owned())]));
        assert!(text.contains("<name>a</name><value>&lt;b&gt;&amp;</value>"), "{text}");
    }
}
