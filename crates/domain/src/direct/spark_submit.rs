//! The words of spark-submit, as MRS's SparkSubmit, SparkPython, SparkScript and SparkSql send them (mrs-v2.md section 2).
//!
//! Options are taken from a list; one that would lead the job out of its cluster or away from its supervisor is refused by name.

use std::collections::BTreeMap;

use crate::{Code, Error, Result, job_type::configs::refuse_identity_key};

/// An application for Spark, with urls as the client sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparkSubmit {
    /// Jar or Python file; for SQL the script or the statements. Nothing when the words end before it.
    pub main: Option<String>,
    /// `--class`
    pub class: Option<String>,
    /// What follows the main file.
    pub args: Vec<String>,
    /// `--jars`
    pub jars: Vec<String>,
    /// `--py-files`
    pub py_files: Vec<String>,
    /// `--files`
    pub files: Vec<String>,
    /// `--properties-file`
    pub properties_file: Option<String>,
    /// Settings from `--conf` and from the options that stand for one.
    pub conf: BTreeMap<String, String>,
    /// Values of `--hiveconf`, `--hivevar` and `--define`.
    pub variables: BTreeMap<String, String>,
    /// `--database`
    pub database: Option<String>,
}

/// Options that stand for a setting.
const SETTINGS: [(&str, &str); 16] = [
    ("--name", "spark.app.name"),
    ("--driver-memory", "spark.driver.memory"),
    ("--driver-cores", "spark.driver.cores"),
    ("--driver-java-options", "spark.driver.extraJavaOptions"),
    ("--driver-class-path", "spark.driver.extraClassPath"),
    ("--driver-library-path", "spark.driver.extraLibraryPath"),
    ("--executor-memory", "spark.executor.memory"),
    ("--executor-cores", "spark.executor.cores"),
    ("--total-executor-cores", "spark.cores.max"),
    ("--num-executors", "spark.executor.instances"),
    ("--queue", "spark.yarn.queue"),
    ("--archives", "spark.archives"),
    ("--packages", "spark.jars.packages"),
    ("--exclude-packages", "spark.jars.excludes"),
    ("--repositories", "spark.jars.repositories"),
    ("--deploy-mode", ""),
];
/// The only masters that a client may name: they mean "the cluster that the job is sent to".
const MASTERS: [&str; 3] = ["yarn", "yarn-cluster", "yarn-client"];
/// Known, and not for clients of a service.
const REFUSED: [(&str, &str); 12] = [
    ("--supervise", "the service itself decides whether a job is started again"),
    ("--kill", "cancel the job instead"),
    ("--status", "show the job instead"),
    ("--proxy-user", "jobs run as the service's user"),
    ("--principal", "clusters with Kerberos are not supported"),
    ("--keytab", "clusters with Kerberos are not supported"),
    ("--remote", "the job runs on the cluster that it is sent to"),
    ("--help", "it starts no job"),
    ("-h", "it starts no job"),
    ("--version", "it starts no job"),
    ("--usage-error", "it starts no job"),
    ("--load-spark-defaults", "the settings of this host are not for jobs"),
];

fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::refused(Code::InvalidData, text))
}

/// Reads the words. `sql`: spark-sql's own options are known too.
pub fn read(words: &[String], sql: bool) -> Result<SparkSubmit> {
    let mut app = SparkSubmit::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if !word.starts_with('-') || word == "-" {
            app.main = Some(word.clone());
            app.args = rest.cloned().collect();
            break;
        }
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == option) {
            return refuse(format!("the option {option} cannot be used: {why}"));
        }
        if matches!(option, "--verbose" | "-v") {
            app.conf.insert("spark.log.level".to_owned(), "INFO".to_owned());
            continue;
        }
        if !is_known(option, sql) {
            return refuse(format!("the option {option} is not known; options stand before the program"));
        }
        let Some(value) = value.or_else(|| rest.next().cloned()) else {
            return refuse(format!("the option {option} lacks its value"));
        };
        app.take(option, value)?;
    }
    Ok(app)
}

fn is_known(option: &str, sql: bool) -> bool {
    const PLAIN: [&str; 8] =
        ["--master", "--class", "--jars", "--py-files", "--files", "--conf", "-c", "--properties-file"];
    const SQL: [&str; 5] = ["--hiveconf", "--hivevar", "--define", "-d", "--database"];
    PLAIN.contains(&option) || SETTINGS.iter().any(|(known, _)| *known == option) || (sql && SQL.contains(&option))
}

impl SparkSubmit {
    fn take(&mut self, option: &str, value: String) -> Result<()> {
        let list = || value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect();
        match option {
            "--master" if MASTERS.contains(&value.as_str()) => {}
            "--master" => {
                return refuse(format!(
                    "the option --master {value} cannot be used: the job runs on the cluster that it is sent to; leave it out or write yarn"
                ));
            }
            "--deploy-mode" if matches!(value.as_str(), "client" | "cluster") => {}
            "--deploy-mode" => return refuse(format!("the option --deploy-mode {value}: it is client or cluster")),
            "--class" => self.class = Some(value),
            "--jars" => self.jars = list(),
            "--py-files" => self.py_files = list(),
            "--files" => self.files = list(),
            "--properties-file" => self.properties_file = Some(value),
            "--database" => self.database = Some(value),
            "--conf" | "-c" => {
                let (key, value) = pair(option, &value)?;
                refuse_identity_key("--conf", &key)?;
                self.conf.insert(key, value);
            }
            "--hiveconf" | "--hivevar" | "--define" | "-d" => {
                let (key, value) = pair(option, &value)?;
                self.variables.insert(key, value);
            }
            other => {
                if let Some((_, key)) = SETTINGS.iter().find(|(known, _)| *known == other) {
                    self.conf.insert((*key).to_owned(), value);
                }
            }
        }
        Ok(())
    }
}

fn pair(option: &str, text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => refuse(format!("the option {option} needs key=value, not '{text}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn options_come_before_the_program() {
        let app = read(
            &words(
                "--master yarn-cluster --deploy-mode cluster --class org.App --conf spark.a=b=c --driver-memory 1g --jars s3a://b/x.jar,/y.jar \
                 obs://b/app.jar --class in out",
            ),
            false,
        )
        .expect("read");
        assert_eq!((app.main.as_deref(), app.class.as_deref()), (Some("obs://b/app.jar"), Some("org.App")));
        assert_eq!(app.args, words("--class in out"));
        assert_eq!(app.jars, words("s3a://b/x.jar /y.jar"));
        assert_eq!(app.conf["spark.a"], "b=c");
        assert_eq!(app.conf["spark.driver.memory"], "1g");
        assert_eq!(read(&words("--class=X --name=n=1 a.py"), false).expect("read").conf["spark.app.name"], "n=1");
    }

    #[test]
    fn what_leads_out_is_refused_by_name() {
        for (text, says) in [
            ("--master spark://other:7077 a.jar", "--master spark://other:7077"),
            ("--master local[*] a.jar", "--master local[*]"),
            ("--supervise a.jar", "--supervise"),
            ("--kill driver-1", "--kill"),
            ("--remote sc://h a.py", "--remote"),
            ("--conf spark.master=local a.jar", "spark.master"),
            ("--conf spark.hadoop.mapreduce.job.tags=x a.jar", "mapreduce.job.tags"),
            ("--proxy-user=root a.jar", "--proxy-user"),
            ("--unknown x a.jar", "--unknown"),
            ("--hivevar a=b a.jar", "--hivevar"),
            ("--class", "lacks its value"),
            ("--conf x a.jar", "key=value"),
            ("--deploy-mode x a.jar", "--deploy-mode x"),
        ] {
            let error = read(&words(text), false).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn sql_has_options_of_its_own() {
        let app = read(&words("--hivevar a=b --hiveconf c=d --database e q.sql"), true).expect("read");
        assert_eq!((app.variables.len(), app.database.as_deref()), (2, Some("e")));
    }
}
