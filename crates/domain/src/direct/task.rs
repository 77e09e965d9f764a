//! What the words of a job without a template ask for: which files have to be fetched, and the plan made of them. The order of
//! words by kind is mrs-v2.md section 2.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    Kind,
    flink_run::{self, FlinkRun},
    secret::{self, revealed},
    spark_submit::{self, SparkSubmit},
};
use crate::{
    Code, Error, Result,
    job_type::{
        configs::{is_credential, refuse_identity_key},
        distcp,
    },
    plan::{Plan, PlanKind, SqlScript},
    sql::SqlDialect,
};

/// A job that is understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// An application for Spark.
    Spark(SparkSubmit),
    /// A jar for Hadoop and the words of its program.
    MapReduce {
        /// Url of the jar.
        jar: String,
        /// Program or class, input, output, ...
        words: Vec<String>,
    },
    /// Statements, or the url of a file with them.
    Sql {
        /// In which words.
        dialect: SqlDialect,
        /// Whether the main word of `options` is a file's url instead of the statements.
        is_file: bool,
        /// The words.
        options: SparkSubmit,
    },
    /// A copy of files; nothing has to be fetched for it.
    DistCp(Plan),
    /// A program for Flink.
    Flink(FlinkRun),
}

/// What a plan is made of.
#[derive(Clone, Debug, Default)]
pub struct Ready {
    /// The files of [`Task::files`], in their order.
    pub files: Vec<PathBuf>,
    /// Content of the properties file, where the task has one.
    pub properties_file: BTreeMap<String, String>,
    /// The job's properties with their secrets.
    pub properties: BTreeMap<String, String>,
    /// The project, whose catalogue SQL uses.
    pub project: String,
    /// The words may not stand on a command line.
    pub secret_words: bool,
}

/// Choice of the engine for SQL; ours, never seen by the job.
pub const SQL_ENGINE: &str = "foggara.sql.engine";
/// The engines for SQL that can be chosen.
pub const SQL_ENGINES: [&str; 2] = ["spark", "embedded"];

fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::refused(Code::InvalidData, text))
}

impl Task {
    /// Reads the words and properties of a job. The error is for the user, and holds none of the secrets.
    pub fn read(kind: Kind, args: &[String], properties: &BTreeMap<String, String>) -> Result<Self> {
        Self::read_words(kind, args, properties).map_err(|error| match error {
            Error::Refused { code, message } => Error::Refused { code, message: secret::without(args, &message) },
            other => other,
        })
    }

    fn read_words(kind: Kind, args: &[String], properties: &BTreeMap<String, String>) -> Result<Self> {
        for key in properties.keys() {
            refuse_identity_key("properties", key)?;
        }
        check_sql_engine(properties)?;
        let words: Vec<String> = args.iter().map(|word| revealed(word).to_owned()).collect();
        let first = |what: &str| match words.first().filter(|word| !word.trim().is_empty()) {
            Some(word) => Ok(word.clone()),
            None => refuse(format!("arguments: {what} is missing")),
        };
        let sql = |dialect, is_file: bool, what: &str| {
            let mut options = spark_submit::read(&words, true)?;
            if !is_file && !options.args.is_empty() {
                // A shell may have split the statements.
                let all = options.main.iter().chain(&options.args).cloned().collect::<Vec<_>>();
                options.main = Some(all.join(" "));
                options.args.clear();
            }
            if options.main.as_deref().is_none_or(|main| main.trim().is_empty()) {
                return refuse(format!("arguments: {what} is missing"));
            }
            Ok(Self::Sql { dialect, is_file, options })
        };
        match kind {
            Kind::MapReduce => {
                let jar = first("the jar")?;
                Ok(Self::MapReduce { jar, words: words[1..].to_vec() })
            }
            Kind::Spark => {
                let app = spark_submit::read(&words, false)?;
                match &app.main {
                    None => refuse("arguments: the program (a jar or a Python file) is missing after the options"),
                    Some(main) if !is_python(main) && app.class.is_none() && !main.ends_with(".jar") => {
                        refuse(format!("arguments: '{main}' is neither a .jar nor a .py file"))
                    }
                    Some(_) => Ok(Self::Spark(app)),
                }
            }
            Kind::HiveScript => sql(SqlDialect::Hive, true, "the script's path"),
            Kind::HiveSql => sql(SqlDialect::Hive, false, "the text of the statements"),
            Kind::SparkScript => sql(SqlDialect::Spark, true, "the script's path"),
            Kind::SparkSql => sql(SqlDialect::Spark, false, "the text of the statements"),
            Kind::Presto => {
                let text = first("the statement")?;
                let options =
                    SparkSubmit { main: Some(text), database: words.get(1).cloned(), ..SparkSubmit::default() };
                Ok(Self::Sql { dialect: SqlDialect::Presto, is_file: false, options })
            }
            Kind::DistCp => {
                let configs =
                    properties.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
                Ok(Self::DistCp(distcp::plan(&words, &configs)?))
            }
            Kind::Flink => Ok(Self::Flink(flink_run::read(&words)?)),
        }
    }

    /// What kind of plan it becomes.
    pub fn plan_kind(&self) -> PlanKind {
        match self {
            Self::Spark(_) => PlanKind::Spark,
            Self::MapReduce { .. } => PlanKind::HadoopJar,
            Self::Sql { dialect: SqlDialect::Presto, .. } => PlanKind::Presto,
            Self::Sql { .. } => PlanKind::Sql,
            Self::DistCp(_) => PlanKind::DistCp,
            Self::Flink(_) => PlanKind::Flink,
        }
    }

    /// Urls of the files to fetch, in the order in which [`Ready::files`] has to hold them.
    pub fn files(&self) -> Vec<&str> {
        match self {
            Self::Spark(app) => {
                let lists = app.jars.iter().chain(&app.py_files).chain(&app.files);
                app.main.iter().chain(lists).map(String::as_str).collect()
            }
            Self::MapReduce { jar, .. } => vec![jar],
            Self::Sql { is_file: true, options, .. } => options.main.iter().map(String::as_str).collect(),
            Self::Flink(run) => vec![&run.main],
            Self::Sql { .. } | Self::DistCp(_) => Vec::new(),
        }
    }

    /// Url of a file with settings that has to be read first.
    pub fn properties_file(&self) -> Option<&str> {
        match self {
            Self::Spark(app) | Self::Sql { options: app, .. } => app.properties_file.as_deref(),
            _ => None,
        }
    }

    /// The plan.
    pub fn plan(self, ready: Ready) -> Result<Plan> {
        let lacking = || Error::Internal("a file of the job was not staged".to_owned());
        for key in ready.properties_file.keys() {
            refuse_identity_key("the properties file", key)?;
        }
        let mut files = ready.files.into_iter();
        match self {
            Self::Spark(app) => {
                let main = files.next().ok_or_else(lacking)?;
                let mut take = |many: usize| files.by_ref().take(many).collect::<Vec<PathBuf>>();
                let (jars, py_files) = (take(app.jars.len()), take(app.py_files.len()));
                let others = take(app.files.len());
                let python = is_python(&main.to_string_lossy());
                Ok(Plan::Spark {
                    main,
                    main_class: if python { None } else { app.class },
                    args: app.args,
                    secret_args: ready.secret_words,
                    conf: settings([ready.properties, ready.properties_file, app.conf]),
                    py_files,
                    jars,
                    files: others,
                })
            }
            Self::MapReduce { words, .. } => Ok(Plan::HadoopJar {
                jar: files.next().ok_or_else(lacking)?,
                args: words.iter().map(|word| local(word)).collect(),
                secret_args: ready.secret_words,
                properties: ready.properties,
            }),
            Self::Sql { dialect, is_file, options } => {
                let script = match (is_file, files.next(), options.main) {
                    (true, Some(path), _) => SqlScript::File(path),
                    (false, _, Some(text)) => SqlScript::Text(text),
                    _ => return Err(lacking()),
                };
                let mut settings: BTreeMap<String, String> = ready.properties;
                settings.extend(ready.properties_file);
                settings.extend(options.conf);
                let engine = settings.remove(SQL_ENGINE);
                Ok(Plan::Sql {
                    script,
                    dialect,
                    database: options.database,
                    variables: options.variables,
                    settings,
                    engine,
                    project: ready.project,
                })
            }
            Self::DistCp(plan) => Ok(distcp::of_project(plan, &ready.project)),
            Self::Flink(run) => {
                let mut settings = ready.properties;
                settings.extend(run.conf);
                Ok(Plan::Flink {
                    main: files.next().ok_or_else(lacking)?,
                    libs: Vec::new(),
                    entry_class: run.class,
                    args: run.args,
                    parallelism: run.parallelism,
                    savepoint: run.savepoint,
                    allow_non_restored: run.allow_non_restored,
                    settings,
                })
            }
        }
    }
}

/// Refuses a choice of engine that does not exist.
pub fn check_sql_engine(properties: &BTreeMap<String, String>) -> Result<()> {
    match properties.get(SQL_ENGINE) {
        Some(engine) if !SQL_ENGINES.contains(&engine.as_str()) => {
            refuse(format!("{SQL_ENGINE} is '{engine}': it has to be one of {}", SQL_ENGINES.join(", ")))
        }
        _ => Ok(()),
    }
}

fn is_python(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("py"))
}

/// `hdfs` without a host means the files of this host (decision 1).
fn local(word: &str) -> String {
    word.strip_prefix("hdfs://").filter(|rest| rest.starts_with('/')).unwrap_or(word).to_owned()
}

/// Settings for Spark, later ones win; those for Hadoop get Spark's prefix, and ours stay out.
fn settings<const N: usize>(all: [BTreeMap<String, String>; N]) -> BTreeMap<String, String> {
    let key = |key: String| if key.starts_with("spark.") { key } else { format!("spark.hadoop.{key}") };
    let flat = all.into_iter().flatten().filter(|(name, _)| !name.is_empty() && name != SQL_ENGINE);
    flat.map(|(name, value)| (key(name), value)).collect()
}

/// The lines of a properties file as spark-submit reads it: `key value`, `key=value` or `key: value`; `#` begins a comment.
pub fn read_properties(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    let pairs = lines.map(|line| match line.find(|c: char| c == '=' || c == ':' || c.is_whitespace()) {
        None => (line, ""),
        Some(at) => {
            let rest = line[at..].trim_start();
            (&line[..at], rest.strip_prefix(['=', ':']).unwrap_or(rest).trim())
        }
    });
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Properties cut in two: what is shown, with credentials masked, and the credentials.
pub fn hide_properties(properties: &BTreeMap<String, String>) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let secrets = properties.iter().filter(|(key, _)| is_credential(key));
    let secrets: BTreeMap<_, _> = secrets.map(|(key, value)| (key.clone(), value.clone())).collect();
    let shown = properties.iter().map(|(key, value)| {
        let hidden = secrets.contains_key(key);
        (key.clone(), if hidden { secret::MASK.to_owned() } else { value.clone() })
    });
    (shown.collect(), secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, words: &[&str]) -> Result<Task> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Task::read(kind, &words, &BTreeMap::new())
    }

    #[test]
    fn words_become_plans() {
        let task =
            read(Kind::Spark, &["--class", "A", "--jars", "/l.jar", "s3a://b/a.jar", "in", "@p=s"]).expect("read");
        assert_eq!(task.files(), ["s3a://b/a.jar", "/l.jar"]);
        let ready = Ready {
            files: vec!["/w/a.jar".into(), "/w/l.jar".into()],
            properties: BTreeMap::from([("fs.s3a.endpoint".to_owned(), "e".to_owned())]),
            secret_words: true,
            ..Ready::default()
        };
        let Plan::Spark { args, conf, jars, main_class, secret_args, .. } = task.plan(ready).expect("plan") else {
            panic!("not Spark")
        };
        assert_eq!((args, secret_args), (vec!["in".to_owned(), "p=s".to_owned()], true));
        assert_eq!(conf["spark.hadoop.fs.s3a.endpoint"], "e");
        assert_eq!((jars, main_class.as_deref()), (vec![PathBuf::from("/w/l.jar")], Some("A")));

        let task = read(Kind::HiveSql, &["show tables;"]).expect("read");
        let Plan::Sql { script, dialect, .. } = task.plan(Ready::default()).expect("plan") else { panic!("not SQL") };
        assert_eq!((script, dialect), (SqlScript::Text("show tables;".to_owned()), SqlDialect::Hive));

        let task = read(Kind::Flink, &["run", "-Da=b", "s3a://b/f.jar", "in"]).expect("read");
        assert_eq!(task.files(), ["s3a://b/f.jar"]);
        let ready = Ready {
            files: vec!["/w/f.jar".into()],
            properties: BTreeMap::from([("a".to_owned(), "less".to_owned()), ("c".to_owned(), "d".to_owned())]),
            ..Ready::default()
        };
        let Plan::Flink { main, args, settings, .. } = task.plan(ready).expect("plan") else { panic!("not Flink") };
        assert_eq!((main, args), (PathBuf::from("/w/f.jar"), vec!["in".to_owned()]));
        assert_eq!((settings["a"].as_str(), settings["c"].as_str()), ("b", "d"));

        let task = read(Kind::MapReduce, &["/a.jar", "wordcount", "hdfs:///in", "s3a://b/out"]).expect("read");
        let ready = Ready { files: vec!["/w/a.jar".into()], ..Ready::default() };
        let Plan::HadoopJar { args, .. } = task.plan(ready).expect("plan") else { panic!("not a jar") };
        assert_eq!(args, ["wordcount", "/in", "s3a://b/out"]);
    }

    #[test]
    fn a_kind_knows_its_plan() {
        for kind in Kind::all() {
            // The words of Flink begin with an action.
            let words: &[&str] = if kind == Kind::Flink { &["run", "/a.jar", "/b"] } else { &["/a.jar", "/b"] };
            let task = read(kind, words).expect("read");
            assert_eq!(kind.plan_kind(), task.plan_kind(), "{kind:?}");
        }
    }

    #[test]
    fn an_error_holds_no_secret() {
        for (kind, words) in [
            (Kind::Spark, &["@password=s3cret"][..]),
            (Kind::Spark, &["--master", "@password=s3cret", "/a.jar"]),
            (Kind::DistCp, &["@password=s3cret", "/b"]),
        ] {
            let error = read(kind, words).expect_err("wrong").to_string();
            assert!(error.contains("password=*") && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn what_lacks_is_said() {
        for (kind, words, says) in [
            (Kind::MapReduce, &[][..], "the jar is missing"),
            (Kind::Spark, &["--class", "A"], "the program (a jar or a Python file) is missing"),
            (Kind::Spark, &["x.txt"], "neither"),
            (Kind::HiveScript, &[], "the script's path is missing"),
            (Kind::SparkSql, &["--driver-memory", "1g"], "the text of the statements is missing"),
            (Kind::DistCp, &["-delete", "/a", "/b"], "-delete only with"),
            (Kind::HiveSql, &[" "], "the text of the statements is missing"),
        ] {
            let error = read(kind, words).expect_err(says).to_string();
            assert!(error.contains(says), "{error}");
        }
        let engine = BTreeMap::from([(SQL_ENGINE.to_owned(), "presto".to_owned())]);
        let error = Task::read(Kind::HiveSql, &["x".to_owned()], &engine).expect_err("unknown engine").to_string();
        assert!(error.contains("spark, embedded"), "{error}");
        let ours = BTreeMap::from([("spark.master".to_owned(), "local".to_owned())]);
        assert!(Task::read(Kind::HiveSql, &["x".to_owned()], &ours).is_err());
    }

    #[test]
    fn properties_files() {
        let read = read_properties("# c\nspark.a  1\nspark.b=x y\nc : d=e\n\nf\n");
        let wanted = [("spark.a", "1"), ("spark.b", "x y"), ("c", "d=e"), ("f", "")];
        assert_eq!(read, wanted.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect());
    }

    #[test]
    fn keys_of_file_systems_are_hidden() {
        let given = [("fs.obs.secret.key", "s"), ("fs.s3a.bucket.b.access.key", "a"), ("fs.obs.endpoint", "e")];
        let given = given.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let (shown, secrets) = hide_properties(&given);
        assert_eq!((shown["fs.obs.secret.key"].as_str(), shown["fs.obs.endpoint"].as_str()), ("*", "e"));
        assert_eq!(secrets.len(), 2);
    }
}
