//! Jobs for Hadoop with the client jars that Spark brings: jars run as `hadoop jar` does, and MapReduce by the classes of mapper
//! and reducer, for which Hadoop has no program. On `local` tasks run in the same process, by Hadoop's local runner
//! (spec/engines.md section 4); with the settings of a cluster the same programs are its clients.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use super::{
    LocalSettings,
    command::{Command, private},
    find, launcher, progress,
};

/// Runs a jar's program.
pub(super) const RUN_JAR: &str = "org.apache.hadoop.util.RunJar";
/// The same, and tells the progress. Its source is `java/io/foggara/Jar.java`.
const JAR_CLASS: &str = "io.foggara.Jar";
/// What it consists of.
const JAR_FILES: [(&str, &[u8]); 3] = [
    ("Jar.class", include_bytes!("../../java/io/foggara/Jar.class")),
    ("Jar$Listener.class", include_bytes!("../../java/io/foggara/Jar$Listener.class")),
    PROGRESS_CLASS,
];
/// Writes the progress.
const PROGRESS_CLASS: (&str, &[u8]) = ("Progress.class", include_bytes!("../../java/io/foggara/Progress.class"));
/// Runs a job by its classes. Its source is `java/io/foggara/MapReduce.java`.
pub(super) const BY_CLASS: &str = "io.foggara.MapReduce";
/// What it consists of.
const BY_CLASS_FILES: [(&str, &[u8]); 4] = [
    ("MapReduce.class", include_bytes!("../../java/io/foggara/MapReduce.class")),
    ("MapReduce$Wrong.class", include_bytes!("../../java/io/foggara/MapReduce$Wrong.class")),
    ("TaskErrors.class", include_bytes!("../../java/io/foggara/TaskErrors.class")),
    PROGRESS_CLASS,
];
/// The setting by which it is told where to write the reason of a failure. Never a job's own: it names a file of this host.
const FAULT: &str = "foggara.fault.file";
/// The setting by which both are told where to write the progress; as little a job's own.
const PROGRESS: &str = "foggara.progress.file";
/// Input and output, and how older versions spell them.
const INPUT: [&str; 2] = ["mapreduce.input.fileinputformat.inputdir", "mapred.input.dir"];
const OUTPUT: [&str; 2] = ["mapreduce.output.fileoutputformat.outputdir", "mapred.output.dir"];
/// The jar that a cluster hands to tasks, and how older versions spell it.
const JAR: [&str; 2] = ["mapreduce.job.jar", "mapred.jar"];
/// Milliseconds between two looks at a job's progress, unless the job says; Hadoop's own second is long for a small job.
const LOOK: (&str, &str) = ("mapreduce.client.progressmonitor.pollinterval", "200");

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

/// A Java with Hadoop's client.
pub(crate) struct Client {
    java: PathBuf,
    jars: Vec<PathBuf>,
}

impl Client {
    /// The one of this host. The error says how to get it.
    pub(crate) fn of(settings: &LocalSettings) -> Result<Self, String> {
        let spark = find::spark(settings).ok_or(find::SPARK_MISSING)?;
        let java = find::java_of_spark(settings).ok_or(find::JAVA_MISSING)?;
        Ok(Self { java, jars: client_jars(&spark.home.join("jars"))? })
    }

    /// The environment that it needs.
    pub(crate) fn env(&self) -> BTreeMap<String, String> {
        find::java_home(&self.java)
            .map(|home| ("JAVA_HOME".to_owned(), home.display().to_string()))
            .into_iter()
            .collect()
    }

    /// The words that start a class: `first` before Hadoop's own jars on the class path, `last` behind them.
    pub(crate) fn words(&self, first: &[PathBuf], last: &[PathBuf], class: &str) -> Result<Vec<String>, String> {
        let mut texts = Vec::new();
        for path in first.iter().chain(&self.jars).chain(last) {
            let text = path.display().to_string();
            if text.contains(':') {
                return Err(format!("{text}: a library's name may hold no colon for Java"));
            }
            texts.push(text);
        }
        Ok(vec![self.java.display().to_string(), "-cp".to_owned(), texts.join(":"), class.to_owned()])
    }

    /// The words that run MapReduce by the classes that `settings` name; see [`by_class`] for the settings. They go into files of
    /// mode 0600 in `workspace`, none of them into the words. Exit code 0 when the job succeeded, else 1, with a reason in
    /// the file `fault`.
    pub(crate) fn map_reduce(
        &self,
        workspace: &Path,
        jars: &[PathBuf],
        settings: &BTreeMap<String, String>,
        fault: &Path,
    ) -> Result<Vec<String>, String> {
        let conf = conf_folder(workspace, settings)?;
        let ByClass { classes, job } = ByClass::put(workspace, settings, fault)?;
        let mut words = self.words(&[conf, classes], jars, BY_CLASS)?;
        words.push(job.display().to_string());
        Ok(words)
    }
}

/// The files of a job by its classes.
pub(super) struct ByClass {
    /// Folder of the class [`BY_CLASS`].
    pub classes: PathBuf,
    /// The settings, its only argument.
    pub job: PathBuf,
}

impl ByClass {
    /// Puts them into the workspace.
    pub fn put(workspace: &Path, settings: &BTreeMap<String, String>, fault: &Path) -> Result<Self, String> {
        let mut settings = settings.clone();
        settings.insert(FAULT.to_owned(), fault.display().to_string());
        settings.insert(PROGRESS.to_owned(), progress::file(fault).display().to_string());
        let job = workspace.join(".job.xml");
        private(&job, xml(&settings).as_bytes())?;
        Ok(Self { classes: launcher::put_classes(workspace, &BY_CLASS_FILES)?, job })
    }
}

/// The settings of a job by its classes: its own ones, and the places and jars that are not its to say.
pub(crate) fn by_class(
    jars: &[PathBuf],
    input: &str,
    output: &str,
    properties: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut settings = properties.clone();
    for key in [INPUT, OUTPUT, JAR].as_flattened() {
        settings.remove(*key);
    }
    // Several inputs are separated by commas.
    settings.insert(INPUT[0].to_owned(), input.replace('\\', "\\\\").replace(',', "\\,"));
    settings.insert(OUTPUT[0].to_owned(), output.to_owned());
    settings.entry(LOOK.0.to_owned()).or_insert_with(|| LOOK.1.to_owned());
    if let Some(jar) = jars.first() {
        settings.insert(JAR[0].to_owned(), jar.display().to_string());
    }
    settings
}

/// The url of a path of this host, which is one whatever the job's default file system is.
pub(super) fn url(place: &str) -> String {
    if place.starts_with('/') { format!("file://{place}") } else { place.to_owned() }
}

/// The command of a jar.
pub(super) fn jar_command(
    settings: &LocalSettings,
    workspace: &Path,
    jar: &Path,
    args: &[String],
    secret: bool,
    properties: &BTreeMap<String, String>,
    fault: &Path,
) -> Result<Command, String> {
    let client = Client::of(settings)?;
    let mut properties = here(workspace, properties);
    properties.insert(PROGRESS.to_owned(), progress::file(fault).display().to_string());
    let conf = conf_folder(workspace, &properties)?;
    let classes = launcher::put_classes(workspace, &JAR_FILES)?;
    let mut words = vec![jar.display().to_string()];
    words.extend(args.iter().cloned());
    let argv = if secret {
        launcher::put(workspace, Some(JAR_CLASS), None, &words)?;
        let mut argv = client.words(&[classes, conf], &[], launcher::CLASS)?;
        argv.push(launcher::words_file(workspace).display().to_string());
        argv
    } else {
        let mut argv = client.words(&[classes, conf], &[], JAR_CLASS)?;
        argv.extend(words);
        argv
    };
    Ok(Command { argv, env: client.env(), litter: None, note: None })
}

/// The command of a job by its classes.
pub(super) fn class_command(
    settings: &LocalSettings,
    workspace: &Path,
    jars: &[PathBuf],
    job: &BTreeMap<String, String>,
    fault: &Path,
) -> Result<Command, String> {
    let client = Client::of(settings)?;
    let mut job = here(workspace, job);
    job.insert("mapreduce.framework.name".to_owned(), "local".to_owned());
    let argv = client.map_reduce(workspace, jars, &job, fault)?;
    Ok(Command { argv, env: client.env(), litter: None, note: None })
}

/// Settings with a folder for what tasks write on the way.
fn here(workspace: &Path, properties: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut settings = properties.clone();
    settings.entry("hadoop.tmp.dir".to_owned()).or_insert_with(|| workspace.join(".hadoop-tmp").display().to_string());
    settings
}

/// Makes a folder of settings for the class path.
fn conf_folder(workspace: &Path, settings: &BTreeMap<String, String>) -> Result<PathBuf, String> {
    let conf = workspace.join(".hadoop-conf");
    fs::create_dir_all(&conf).map_err(|error| format!("cannot make {}: {error}", conf.display()))?;
    // Hadoop reads both, and the keys of file systems belong to the first.
    for name in ["core-site.xml", "mapred-site.xml"] {
        private(&conf.join(name), xml(settings).as_bytes())?;
    }
    private(&conf.join("log4j2.properties"), LOGGING.as_bytes())?;
    Ok(conf)
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

    #[test]
    fn places_and_jars_are_those_of_the_job_template() {
        let own = ["mapred.input.dir", "mapred.jar", "mapreduce.output.fileoutputformat.outputdir", "my.key"];
        let own = own.map(|key| (key.to_owned(), "own".to_owned()));
        let jars = [PathBuf::from("/ws/a.jar"), PathBuf::from("/ws/b.jar")];
        let settings = by_class(&jars, &url("/in,put"), "hdfs://name:8020/out", &BTreeMap::from(own));
        let wanted = [
            ("mapreduce.client.progressmonitor.pollinterval", "200"),
            ("mapreduce.input.fileinputformat.inputdir", "file:///in\\,put"),
            ("mapreduce.job.jar", "/ws/a.jar"),
            ("mapreduce.output.fileoutputformat.outputdir", "hdfs://name:8020/out"),
            ("my.key", "own"),
        ];
        assert_eq!(settings, wanted.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }
}
