//! The request that starts a driver.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use foggara_domain::{job_type::configs::is_credential, plan::Plan};
use serde::Serialize;
use url::Url;

use super::{Files, SparkRestSettings};
use crate::{
    Launch,
    local::{launcher, private},
};

/// Class that runs a Python file as a driver.
const PYTHON_RUNNER: &str = "org.apache.spark.deploy.PythonRunner";
/// Argument of `python -c`: the program that binds the driver to its JVM.
const BOUND: &str = include_str!("bound.py");
/// What the worker puts where its copy of the main file lies.
const MAIN_COPY: &str = "{{USER_JAR}}";
/// Our name for the job among its settings, which the driver's command line shows.
pub(super) const ID_KEY: &str = "spark.foggara.id";

/// Body of `POST /v1/submissions/create`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Submission {
    action: &'static str,
    client_spark_version: &'static str,
    app_resource: String,
    main_class: String,
    app_args: Vec<String>,
    environment_variables: BTreeMap<&'static str, String>,
    spark_properties: BTreeMap<String, String>,
}

/// The request for a launch. The error is for the user.
pub(super) fn of(launch: &Launch<'_>, settings: &SparkRestSettings) -> Result<Submission, String> {
    let Some(Plan::Spark { main, main_class, args, secret_args, conf, py_files, jars, files }) = launch.plan else {
        return Err("a Spark cluster with deploy = rest runs Spark jobs only".to_owned());
    };
    for (key, value) in conf {
        if value.contains(ID_KEY) {
            return Err(format!("the value of '{key}' may not hold {ID_KEY}: jobs are told apart by it"));
        }
        // Spark quotes nothing in the command line that names the owner.
        if key.contains(['"', '=']) || key.contains(char::is_whitespace) {
            return Err(format!("'{key}' is no name of a setting: it holds a quote, an equals sign or a blank"));
        }
    }
    if launch.job_name.contains(ID_KEY) {
        return Err(format!("the job's name may not hold {ID_KEY}: jobs are told apart by it"));
    }
    let places = Places { launch, files: &settings.files };
    let mut environment = BTreeMap::from([("FOGGARA_TAG", launch.tag.to_string())]);
    if let Some(python) = &settings.python {
        environment.insert("PYSPARK_PYTHON", python.display().to_string());
    }
    let mut properties = settings.defaults.clone();
    properties.extend(conf.clone());
    let hidden: Vec<String> = properties.keys().filter(|key| is_credential(key)).cloned().collect();
    if !hidden.is_empty() {
        places.private("credentials among its configs")?;
        let mut text = String::new();
        for key in hidden {
            let value = properties.remove(&key).unwrap_or_default();
            let _ = writeln!(text, "{}", jvm_argument(&format!("-D{key}={value}")));
        }
        let file = launch.workspace.join(".jvm");
        private(&file, text.as_bytes())?;
        // The variable knows quotes and no escapes.
        environment.insert("JDK_JAVA_OPTIONS", format!("\"@{}\"", file.display()));
    }
    let is_python = main.extension().is_some_and(|extension| extension == "py");
    let mut jars = jars.clone();
    let mut main = main.clone();
    let mut args = args.clone();
    let mut main_class = main_class.clone();
    if *secret_args {
        places.private("secret arguments")?;
        if is_python {
            main = launcher::put_python(&launch.workspace, &main, &args)?;
        } else {
            let folder = launcher::put(&launch.workspace, main_class.as_deref(), Some(&main), &args)?;
            let given =
                properties.remove("spark.driver.extraClassPath").map(|given| format!(":{given}")).unwrap_or_default();
            properties.insert("spark.driver.extraClassPath".to_owned(), format!("{}{given}", folder.display()));
            main_class = Some(launcher::CLASS.to_owned());
            jars.push(main.clone());
        }
        args = vec![launcher::words_file(&launch.workspace).display().to_string()];
    }
    let (main_class, args) = if is_python {
        if !py_files.is_empty() {
            places.private("libraries of Python")?;
            properties.insert("spark.submit.pyFiles".to_owned(), paths(py_files)?);
        }
        // PythonRunner's arguments are the file for the interpreter, the libraries, and what the interpreter gets after it.
        let mut all = vec!["-c".to_owned(), paths(py_files)?, BOUND.to_owned(), MAIN_COPY.to_owned()];
        all.append(&mut args);
        (PYTHON_RUNNER.to_owned(), all)
    } else {
        let class = main_class.ok_or("a job of a jar needs its main class (edp.java.main_class) on this cluster")?;
        jars.push(main.clone());
        (class, args)
    };
    properties.insert("spark.jars".to_owned(), places.list(&jars)?);
    let files = if is_python { [files.as_slice(), py_files].concat() } else { files.clone() };
    if !files.is_empty() {
        properties.insert("spark.files".to_owned(), places.list(&files)?);
    }
    properties.entry("spark.app.name".to_owned()).or_insert_with(|| launch.job_name.to_owned());
    for (key, value) in [
        ("spark.master", settings.master.as_str()),
        ("spark.submit.deployMode", "cluster"),
        ("spark.driver.supervise", "false"),
        (ID_KEY, launch.tag.as_str()),
    ] {
        properties.insert(key.to_owned(), value.to_owned());
    }
    Ok(Submission {
        action: "CreateSubmissionRequest",
        client_spark_version: "4.0.0",
        app_resource: places.of(&main)?,
        main_class,
        app_args: args,
        environment_variables: environment,
        spark_properties: properties,
    })
}

/// Where the files of a job lie for the workers.
struct Places<'a> {
    launch: &'a Launch<'a>,
    files: &'a Files,
}

impl Places<'_> {
    fn of(&self, path: &Path) -> Result<String, String> {
        match self.files {
            Files::Shared => {
                let path = std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))?;
                let url = Url::from_file_path(&path).map_err(|()| format!("{} makes no url", path.display()))?;
                // Lists are separated by commas.
                Ok(url.as_str().replace(',', "%2C"))
            }
            Files::Artifacts(store) => self.launch.urls.get(path).cloned().ok_or_else(|| {
                format!("{} was not put below {store}, where the workers would fetch it", path.display())
            }),
        }
    }

    fn list(&self, all: &[PathBuf]) -> Result<String, String> {
        let urls = all.iter().map(|path| self.of(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(urls.join(","))
    }

    /// What works only where driver and server see the same files.
    fn private(&self, what: &str) -> Result<(), String> {
        match self.files {
            Files::Shared => Ok(()),
            Files::Artifacts(_) => Err(format!(
                "the job has {what}, which reach a driver elsewhere only by a shared file system: set spark.shared_files = true \
                 where there is one, or spark.deploy = client, or leave them to the cluster's own configuration"
            )),
        }
    }
}

/// Paths as PythonRunner takes them: with commas between them, so that none may hold one.
fn paths(all: &[PathBuf]) -> Result<String, String> {
    let mut texts = Vec::with_capacity(all.len());
    for path in all {
        let text = path.display().to_string();
        if text.contains(',') {
            return Err(format!("{text}: a library's name may hold no comma for Spark"));
        }
        texts.push(text);
    }
    Ok(texts.join(","))
}

/// A word as the JVM reads it from a file of arguments.
fn jvm_argument(word: &str) -> String {
    let mut out = String::from("\"");
    for letter in word.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
