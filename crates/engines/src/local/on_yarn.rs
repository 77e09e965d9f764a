//! What is run on this host to get a job onto YARN: spark-submit, which hands it over, or the client of Hadoop or Pig, which is a
//! part of the job. The tags by which we find the applications go through configuration files, which no setting of a job overrides,
//! and so does everything that may be secret.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use foggara_domain::plan::{CopyOptions, Plan, PlanKind};

use super::{
    Local, LocalSettings,
    client::{Client, Role},
    command::private,
    find, hadoop,
    hadoop::{BY_CLASS, ByClass, RUN_JAR, escaped},
    launcher, pig, spark,
};
use crate::{Ability, EngineError, Launch, Launched};

/// What to say when there is no client of Hadoop.
const HADOOP_MISSING: &str = "there is no `hadoop` on this host: install the client of the cluster's Hadoop and set \
     yarn.hadoop_home, or put `hadoop` on PATH";
const STREAMING_MISSING: &str = "Hadoop's streaming jar is not on this host: it lies in share/hadoop/tools/lib of a whole Hadoop, \
     whose folder yarn.hadoop_home names";
const PIG_MISSING: &str =
    "there is no `pig` on this host: install the cluster's Pig and set yarn.pig_home, or put `pig` on PATH";
/// Keys of the tags; what a job's arguments say of them would win over the files.
pub(crate) const TAG_KEYS: [&str; 2] = ["mapreduce.job.tags", "tez.application.tags"];
/// Files that the client hands out to a job's tasks.
const SHIPPED: [&str; 3] = ["tmpfiles", "tmpjars", "tmparchives"];
/// Files of Hadoop's settings that each job gets anew.
const SITES: [&str; 2] = ["core-site.xml", "mapred-site.xml"];

/// What is known of a YARN cluster to start its clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct YarnClients {
    /// Folder with `core-site.xml`, `yarn-site.xml` and their like.
    pub conf_dir: PathBuf,
    /// A whole Hadoop; without it `hadoop` is looked for on PATH.
    pub hadoop_home: Option<PathBuf>,
    /// Pig; without it `pig` is looked for on PATH.
    pub pig_home: Option<PathBuf>,
    /// Queue of jobs that name none.
    pub queue: Option<String>,
    /// Where the cluster has Spark's jars, so that they are not sent along with each job.
    pub spark_archive: Option<String>,
    /// Tag of all applications of this installation.
    pub installation: String,
    /// Who the clients are: variables of Hadoop and of Kerberos.
    pub env: BTreeMap<String, String>,
    /// How long handing a job over may take.
    pub submit_timeout: Duration,
}

impl YarnClients {
    fn hadoop(&self) -> Option<PathBuf> {
        let home = self.hadoop_home.as_ref().map(|home| home.join("bin/hadoop"));
        home.or_else(|| find::on_path("hadoop")).filter(|path| path.is_file())
    }

    fn pig(&self) -> Option<PathBuf> {
        let home = self.pig_home.as_ref().map(|home| home.join("bin/pig"));
        home.or_else(|| find::on_path("pig")).filter(|path| path.is_file())
    }

    fn streaming_jar(&self) -> Option<PathBuf> {
        let folder = self.hadoop_home.as_ref()?.join("share/hadoop/tools/lib");
        let jars = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
        let is_jar = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("hadoop-streaming") && name.ends_with(".jar")
        };
        jars.filter(is_jar).max()
    }

    fn tags(&self, tag: &str) -> String {
        format!("{},{tag}", self.installation)
    }
}

/// Whether this host can start jobs of a kind on a cluster.
pub(crate) fn ability(kind: PlanKind, settings: &LocalSettings, clients: &YarnClients) -> Ability {
    let needs = |there: bool, missing: &str| if there { Ability::Yes } else { Ability::Lacks(missing.to_owned()) };
    match kind {
        PlanKind::Spark if find::java_of_spark(settings).is_none() => needs(false, find::JAVA_MISSING),
        PlanKind::Spark => needs(find::spark(settings).is_some(), find::SPARK_MISSING),
        PlanKind::Java | PlanKind::HadoopJar | PlanKind::MapReduce | PlanKind::DistCp => {
            needs(clients.hadoop().is_some(), HADOOP_MISSING)
        }
        PlanKind::Streaming if clients.hadoop().is_none() => needs(false, HADOOP_MISSING),
        PlanKind::Streaming => needs(clients.streaming_jar().is_some(), STREAMING_MISSING),
        PlanKind::Pig => needs(clients.pig().is_some(), PIG_MISSING),
        PlanKind::Program | PlanKind::Sql | PlanKind::Presto | PlanKind::Storm | PlanKind::Flink => Ability::Never,
    }
}

impl Local {
    /// Starts what gets a job onto a YARN cluster, unless its attempt was decided before.
    pub(crate) async fn start_on_yarn(
        &self,
        launch: &Launch<'_>,
        clients: &YarnClients,
    ) -> Result<Launched, EngineError> {
        self.start_client(launch, || {
            let plan = launch.plan.ok_or("there is no plan to run")?;
            let fault = self.attempt(launch.tag).fault_file();
            client(plan, &self.settings, clients, &launch.workspace, launch.tag.as_str(), &fault)
        })
        .await
    }
}

/// The program that gets a plan onto the cluster. The error is the reason with which the launch is refused.
fn client(
    plan: &Plan,
    settings: &LocalSettings,
    clients: &YarnClients,
    workspace: &Path,
    tag: &str,
    fault: &Path,
) -> Result<Client, String> {
    if matches!(plan, Plan::Spark { .. }) {
        return spark_submit(plan, settings, clients, workspace, tag);
    }
    let hadoop = || clients.hadoop().map(|path| path.display().to_string()).ok_or(HADOOP_MISSING);
    let mut env = BTreeMap::new();
    let (argv, properties) = match plan {
        Plan::HadoopJar { jar, args, secret_args, properties } => {
            refuse_tags(args)?;
            let mut words = vec![jar.display().to_string()];
            words.extend(args.iter().cloned());
            let argv = if *secret_args {
                let folder = launcher::put(workspace, Some(RUN_JAR), None, &words)?;
                env.insert("HADOOP_CLASSPATH".to_owned(), folder.display().to_string());
                let file = launcher::words_file(workspace).display().to_string();
                vec![hadoop()?, launcher::CLASS.to_owned(), file]
            } else {
                [vec![hadoop()?, "jar".to_owned()], words].concat()
            };
            (argv, properties.clone())
        }
        Plan::MapReduce { jars, input, output, properties } => {
            let mut job = hadoop::by_class(jars, input, output, properties);
            // The client would hand out any file of this host.
            if let Some(key) = SHIPPED.iter().find(|key| job.contains_key(**key)) {
                return Err(format!(
                    "'{key}' cannot be set by a job on YARN: name its jars among the libs of the job template"
                ));
            }
            let others: Vec<String> = jars.iter().skip(1).map(|jar| hadoop::url(&jar.display().to_string())).collect();
            if !others.is_empty() {
                job.insert(SHIPPED[1].to_owned(), others.join(","));
            }
            let files = ByClass::put(workspace, &job, fault)?;
            let class_path: Vec<String> =
                std::iter::once(&files.classes).chain(jars).map(|path| path.display().to_string()).collect();
            env.insert("HADOOP_CLASSPATH".to_owned(), class_path.join(":"));
            (vec![hadoop()?, BY_CLASS.to_owned(), files.job.display().to_string()], job)
        }
        Plan::Java { class_path, main_class, java_opts, args, properties } => {
            refuse_tags(args)?;
            refuse_tags(java_opts)?;
            if !main_class.contains(|letter: char| letter == '.' || letter.is_uppercase()) {
                return Err(format!(
                    "'{main_class}' is no class name: `hadoop` would take it for a command of its own"
                ));
            }
            private(&workspace.join("job.properties"), spark::properties(properties).as_bytes())?;
            let jars: Vec<String> = class_path.iter().map(|path| path.display().to_string()).collect();
            env.insert("HADOOP_CLASSPATH".to_owned(), jars.join(":"));
            env.insert("HADOOP_CLIENT_OPTS".to_owned(), java_opts.join(" "));
            ([vec![hadoop()?, main_class.clone()], args.clone()].concat(), properties.clone())
        }
        Plan::Streaming { mapper, reducer, input, output, reducers, properties, .. } => {
            let jar = clients.streaming_jar().ok_or(STREAMING_MISSING)?;
            let mut argv = vec![hadoop()?, "jar".to_owned(), jar.display().to_string()];
            let mut option = |name: &str, value: &str| argv.extend([name.to_owned(), value.to_owned()]);
            // Generic options come first.
            let files = files_of(workspace)?;
            if !files.is_empty() {
                option("-files", &spark::list(&files)?);
            }
            option("-input", input);
            option("-output", output);
            option("-mapper", &one_word(mapper)?);
            option("-reducer", &one_word(reducer)?);
            let mut properties = properties.clone();
            properties.insert("mapreduce.job.reduces".to_owned(), reducers.to_string());
            (argv, properties)
        }
        Plan::DistCp { sources, destination, options, settings, .. } => {
            let mut argv = vec![hadoop()?, "distcp".to_owned()];
            argv.extend(distcp_options(options));
            argv.extend(sources.iter().cloned());
            argv.push(destination.clone());
            (argv, settings.0.clone())
        }
        Plan::Pig { script, params, args, properties, .. } => {
            refuse_tags(args)?;
            let pig = clients.pig().ok_or(PIG_MISSING)?;
            let file = workspace.join(".pig.params");
            private(&file, pig::param_file(params)?.as_bytes())?;
            let mut argv = vec![pig.display().to_string(), "-x".to_owned(), "mapreduce".to_owned()];
            argv.extend(["-param_file".to_owned(), file.display().to_string()]);
            argv.extend(args.iter().cloned());
            argv.extend(["-f".to_owned(), script.display().to_string()]);
            (argv, properties.clone())
        }
        _ => return Err("jobs of this type do not run on YARN".to_owned()),
    };
    let conf = conf_folder(clients, workspace, &properties, tag)?;
    env.insert("HADOOP_CONF_DIR".to_owned(), conf.display().to_string());
    env.extend(clients.hadoop_home.iter().map(|home| ("HADOOP_HOME".to_owned(), home.display().to_string())));
    env.extend(clients.pig_home.iter().map(|home| ("PIG_HOME".to_owned(), home.display().to_string())));
    let java = find::java(settings).and_then(|java| find::java_home(&java));
    env.extend(java.map(|home| ("JAVA_HOME".to_owned(), home.display().to_string())));
    env.extend(clients.env.clone());
    Ok(Client { role: Role::Client, argv, env, limit: None })
}

/// spark-submit in cluster mode, which ends when the ResourceManager has taken the application.
fn spark_submit(
    plan: &Plan,
    settings: &LocalSettings,
    clients: &YarnClients,
    workspace: &Path,
    tag: &str,
) -> Result<Client, String> {
    let Plan::Spark { main, main_class, args, secret_args, conf, py_files, jars, files } = plan else {
        return Err("not a Spark plan".to_owned());
    };
    let spark = find::spark(settings).ok_or(find::SPARK_MISSING)?;
    let java = find::java_of_spark(settings).ok_or(find::JAVA_MISSING)?;
    let scratch = workspace.join(".spark-local");
    fs::create_dir_all(&scratch).map_err(|error| format!("cannot make {}: {error}", scratch.display()))?;
    let mut all = BTreeMap::new();
    all.extend(clients.queue.iter().map(|queue| ("spark.yarn.queue".to_owned(), queue.clone())));
    all.extend(clients.spark_archive.iter().map(|archive| ("spark.yarn.archive".to_owned(), archive.clone())));
    all.extend(conf.clone());
    let ours = [
        ("spark.foggara.id", tag.to_owned()),
        ("spark.yarn.tags", clients.tags(tag)),
        ("spark.yarn.submit.waitAppCompletion", "false".to_owned()),
        ("spark.yarn.maxAppAttempts", "1".to_owned()),
    ];
    all.extend(ours.map(|(key, value)| (key.to_owned(), value)));
    let (mut main, mut args, mut files) = (main.clone(), args.clone(), files.clone());
    if *secret_args {
        if main.extension().is_none_or(|extension| extension != "py") {
            return Err("arguments that hold secrets cannot be given to a jar on YARN, where they would stand on a command line: \
                        give the keys as settings (configs), or run the job as a Python program"
                .to_owned());
        }
        // The launcher finds the program and its words in the driver's folder, where YARN puts the files.
        let name = main.file_name().map(PathBuf::from).unwrap_or_default();
        let launcher = launcher::put_python(workspace, &name, &args)?;
        let words = launcher::words_file(workspace);
        args = vec![words.file_name().unwrap_or_default().to_string_lossy().into_owned()];
        files.extend([main, words]);
        main = launcher;
    }
    let file = workspace.join(".spark.properties");
    private(&file, spark::properties(&all).as_bytes())?;
    let mut argv = vec![spark.submit().display().to_string()];
    let mut option = |name: &str, value: String| argv.extend([name.to_owned(), value]);
    option("--master", "yarn".to_owned());
    option("--deploy-mode", "cluster".to_owned());
    if let Some(class) = main_class {
        option("--class", class.clone());
    }
    option("--properties-file", file.display().to_string());
    for (name, paths) in [("--jars", jars), ("--py-files", py_files), ("--files", &files)] {
        if !paths.is_empty() {
            option(name, spark::list(paths)?);
        }
    }
    argv.push(main.display().to_string());
    argv.extend(args);
    let mut env = BTreeMap::from([
        ("SPARK_HOME".to_owned(), spark.home.display().to_string()),
        ("SPARK_LOCAL_DIRS".to_owned(), scratch.display().to_string()),
        ("HADOOP_CONF_DIR".to_owned(), clients.conf_dir.display().to_string()),
    ]);
    env.extend(find::java_home(&java).map(|home| ("JAVA_HOME".to_owned(), home.display().to_string())));
    env.extend(clients.env.clone());
    Ok(Client { role: Role::Submitter, argv, env, limit: Some(clients.submit_timeout) })
}

/// The operator's folder of settings with the job's and ours on top.
fn conf_folder(
    clients: &YarnClients,
    workspace: &Path,
    properties: &BTreeMap<String, String>,
    tag: &str,
) -> Result<PathBuf, String> {
    let folder = workspace.join(".hadoop-conf");
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
    for entry in fs::read_dir(&clients.conf_dir).map_err(|error| failed(&clients.conf_dir, error))? {
        let path = entry.map_err(|error| failed(&clients.conf_dir, error))?.path();
        let name = path.file_name().unwrap_or_default();
        let link = folder.join(name);
        if SITES.iter().any(|site| name == *site) || link.is_symlink() {
            continue;
        }
        symlink(&path, &link).map_err(|error| failed(&link, error))?;
    }
    let mut all = BTreeMap::new();
    all.extend(clients.queue.iter().map(|queue| ("mapreduce.job.queuename".to_owned(), queue.clone())));
    all.extend(properties.clone());
    let mut ours = BTreeMap::from([("mapreduce.framework.name".to_owned(), "yarn".to_owned())]);
    ours.extend(TAG_KEYS.map(|key| (key.to_owned(), clients.tags(tag))));
    for site in SITES {
        let below = Some(clients.conf_dir.join(site)).filter(|path| path.is_file());
        private(&folder.join(site), site_xml(below.as_deref(), &all, &ours).as_bytes())?;
    }
    Ok(folder)
}

/// A file of Hadoop's settings on top of another one. What is `last` no other file overrides.
fn site_xml(below: Option<&Path>, properties: &BTreeMap<String, String>, last: &BTreeMap<String, String>) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text.push_str("<configuration xmlns:xi=\"http://www.w3.org/2001/XInclude\">\n");
    if let Some(below) = below {
        let _ =
            writeln!(text, "<xi:include href=\"{}\"/>", escaped(&below.display().to_string()).replace('"', "&quot;"));
    }
    for (key, value) in properties.iter().filter(|(key, _)| !last.contains_key(*key)) {
        let _ = writeln!(text, "<property><name>{}</name><value>{}</value></property>", escaped(key), escaped(value));
    }
    for (key, value) in last {
        let (key, value) = (escaped(key), escaped(value));
        let _ = writeln!(text, "<property><name>{key}</name><value>{value}</value><final>true</final></property>");
    }
    text.push_str("</configuration>\n");
    text
}

/// `-D` among the arguments wins over the files.
fn refuse_tags(args: &[String]) -> Result<(), String> {
    match TAG_KEYS.iter().find(|key| args.iter().any(|arg| arg.contains(**key))) {
        Some(key) => Err(format!("'{key}' is set by the service and cannot be given in the arguments of a job")),
        None => Ok(()),
    }
}

/// The files beside the job, which its commands find in their working directory.
fn files_of(workspace: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", workspace.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(workspace).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// A command as streaming takes it: words, of which some are quoted; there is no escape.
fn one_word(words: &[String]) -> Result<String, String> {
    let quoted = words.iter().map(|word| match word {
        word if !word.is_empty() && !word.contains([' ', '\t', '\n', '\'', '"']) => Ok(word.clone()),
        word if !word.contains('\'') => Ok(format!("'{word}'")),
        word if !word.contains('"') => Ok(format!("\"{word}\"")),
        word => Err(format!("{word}: Hadoop's streaming takes no word with both kinds of quotes")),
    });
    Ok(quoted.collect::<Result<Vec<_>, _>>()?.join(" "))
}

fn distcp_options(options: &CopyOptions) -> Vec<String> {
    let flags = [
        (options.update, "-update"),
        (options.overwrite, "-overwrite"),
        (options.delete, "-delete"),
        (options.ignore_failures, "-i"),
        (options.skip_check, "-skipcrccheck"),
    ];
    let mut words: Vec<String> = flags.iter().filter(|(set, _)| *set).map(|(_, word)| (*word).to_owned()).collect();
    if options.at_once > 0 {
        words.extend(["-m".to_owned(), options.at_once.to_string()]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapreduce_by_class_keeps_the_cluster_s_places_and_ships_its_jars() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        for jar in ["a.jar", "b.jar"] {
            fs::write(path(jar), "PK").expect("written");
        }
        fs::create_dir_all(path("conf")).expect("made");
        let job = BTreeMap::from([("mapred.mapper.class".to_owned(), "M".to_owned())]);
        let files = ByClass::put(dir.path(), &job, &path("fault")).expect("put");
        let text = fs::read_to_string(&files.job).expect("read");
        assert!(text.contains("mapred.mapper.class") && text.contains("fault"), "{text}");
        let settings = hadoop::by_class(&[path("a.jar")], "/in", "/out", &job);
        // On a cluster a path is one of its own file system.
        assert_eq!(settings["mapreduce.input.fileinputformat.inputdir"], "/in");
        assert!(files.classes.join("io/foggara/MapReduce.class").exists());
    }

    #[test]
    fn settings_lie_on_top_of_the_operators() {
        let job =
            BTreeMap::from([("a".to_owned(), "<1>".to_owned()), ("mapreduce.job.tags".to_owned(), "mine".to_owned())]);
        let ours = BTreeMap::from([("mapreduce.job.tags".to_owned(), "fg-x,fg-x-1".to_owned())]);
        let text = site_xml(Some(Path::new("/etc/a&b/core-site.xml")), &job, &ours);
        assert!(text.contains("<xi:include href=\"/etc/a&amp;b/core-site.xml\"/>"), "{text}");
        assert!(text.contains("<name>a</name><value>&lt;1&gt;</value></property>"), "{text}");
        assert!(text.contains("<value>fg-x,fg-x-1</value><final>true</final>") && !text.contains("mine"), "{text}");
    }

    #[test]
    fn arguments_cannot_set_the_tags() {
        let args = ["-D".to_owned(), "mapreduce.job.tags=mine".to_owned()];
        let refused = refuse_tags(&args).expect_err("refused");
        assert!(refused.contains("mapreduce.job.tags"), "{refused}");
        assert_eq!(refuse_tags(&["in".to_owned(), "out".to_owned()]), Ok(()));
    }

    #[test]
    fn commands_of_streaming() {
        let words = |words: &[&str]| one_word(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&["awk", "{print $1}", "it's"]).as_deref(), Ok("awk '{print $1}' \"it's\""));
        assert!(words(&["a'b\"c"]).is_err());
    }
}
