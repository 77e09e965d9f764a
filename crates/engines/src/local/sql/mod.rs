//! Statements of SQL: on Spark where the host has it, else by the embedded engine `foggara-sql` (decision: a job may choose with
//! `foggara.sql.engine`). Both read one request file of mode 0600 and leave their rows beside the job's logs.

mod results;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use foggara_domain::{
    plan::{Plan, SqlScript},
    sql::{SqlBucket, SqlDialect, SqlRequest},
};

pub(super) use results::of as results_of;

use super::{
    LocalSettings,
    command::{Command, private},
    find, spark,
};

/// Settings of SQL jobs, `[sql]`.
#[derive(Clone, Debug, Default)]
pub struct SqlSettings {
    /// The program `foggara-sql`, where it is neither beside ours nor on PATH.
    pub program: Option<PathBuf>,
    /// Rows kept of each statement; 0 means all.
    pub result_rows: u64,
    /// MiB that the embedded engine may take before it spills.
    pub memory_mb: u64,
    /// Seconds that a script may take; 0 means no limit.
    pub time_limit_seconds: u64,
    /// Hive's metastore, `thrift://host:port`, whose tables the jobs of a cluster see on Spark in place of the project's own.
    pub metastore: Option<String>,
}

/// What runs statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlEngine {
    /// Spark, with Hive's words and a catalogue of its own.
    Spark,
    /// `foggara-sql`.
    Embedded,
}

impl SqlEngine {
    /// What a job calls it (`foggara.sql.engine`), and its folder of tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spark => "spark",
            Self::Embedded => "embedded",
        }
    }
}

/// A time limit that a job sets for itself, in seconds.
pub(crate) const TIME_LIMIT: &str = "foggara.sql.timeout";
/// Spark's setting for a metastore elsewhere, which a job may also give by itself.
const METASTORE: &str = "spark.hadoop.hive.metastore.uris";
/// Spark's setting for the folder of new databases.
const WAREHOUSE: &str = "spark.sql.warehouse.dir";
/// Tells the script that its catalogue is one for many.
const SHARED: &str = "--shared";
/// Runs the statements of a request on Spark.
const ON_SPARK: &str = include_str!("on_spark.py");

/// The folder of the rows, beside the logs.
pub(crate) fn results_folder(logs: &Path) -> PathBuf {
    logs.join("results")
}

pub(super) fn command(
    plan: &Plan,
    settings: &LocalSettings,
    workspace: &Path,
    logs: &Path,
    tag: &str,
    fault: &Path,
) -> Result<Command, String> {
    let Plan::Sql { script, dialect, database, variables, settings: given, engine, project } = plan else {
        return Err("not a plan of SQL".to_owned());
    };
    let script = match script {
        SqlScript::Text(text) => text.clone(),
        SqlScript::File(path) => {
            fs::read_to_string(path).map_err(|error| format!("cannot read the script {}: {error}", path.display()))?
        }
    };
    let mut given = given.clone();
    let time_limit = time_limit(&given, settings)?;
    given.remove(TIME_LIMIT);
    // Spark does not speak Presto's words, and only Spark speaks to a metastore.
    let wanted = if *dialect == SqlDialect::Presto { Some("embedded") } else { engine.as_deref() };
    let wanted = match (&settings.sql.metastore, wanted) {
        (Some(_), None) => Some("spark"),
        (Some(address), Some("embedded")) => {
            return Err(format!(
                "the tables of this cluster are those of the metastore {address}, which the embedded SQL engine does not know"
            ));
        }
        (_, wanted) => wanted,
    };
    let engine = chosen(wanted, settings)?;
    let home = settings.data_dir.join("sql").join(project).join(engine.name());
    let (catalogue, warehouse, results) = (home.join("catalogue"), home.join("warehouse"), results_folder(logs));
    for folder in [&catalogue, &warehouse, &results] {
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    }
    let request = SqlRequest {
        script,
        dialect: *dialect,
        variables: variables.clone(),
        buckets: buckets(&given, settings),
        settings: given.clone(),
        database: database.clone().unwrap_or_else(|| "default".to_owned()),
        catalogue: catalogue.clone(),
        warehouse: warehouse.clone(),
        roots: settings.copying.roots.clone(),
        workspace: workspace.to_owned(),
        results,
        result_rows: settings.sql.result_rows,
        memory_bytes: settings.sql.memory_mb.saturating_mul(1024 * 1024),
        time_limit_seconds: time_limit,
        fault: fault.to_owned(),
    };
    let file = workspace.join(".sql-request.json");
    let text = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
    private(&file, &text)?;
    let file = file.display().to_string();
    if engine == SqlEngine::Embedded {
        let program = find::sql_program(settings).ok_or(find::SQL_MISSING)?;
        let argv = vec![program.display().to_string(), "run".to_owned(), "--request".to_owned(), file];
        return Ok(Command { argv, env: BTreeMap::new(), litter: None, note: Some("by the embedded SQL engine") });
    }
    let main = workspace.join(".sql-on-spark.py");
    private(&main, ON_SPARK.as_bytes())?;
    let mut conf: BTreeMap<String, String> = given
        .into_iter()
        .filter(|(key, _)| key.starts_with("spark.") || key.starts_with("fs."))
        .map(|(key, value)| (if key.starts_with("fs.") { format!("spark.hadoop.{key}") } else { key }, value))
        .collect();
    // A cast that fails gives NULL, as in Hive, in Spark 3 and in the embedded engine; a job may wish otherwise.
    conf.entry("spark.sql.ansi.enabled".to_owned()).or_insert_with(|| "false".to_owned());
    if let Some(address) = &settings.sql.metastore {
        conf.entry(METASTORE.to_owned()).or_insert_with(|| address.clone());
    }
    let mut args = vec![file];
    let folder = || warehouse.display().to_string();
    if conf.contains_key(METASTORE) {
        args.push(SHARED.to_owned());
        // Where the databases go that a job makes in it is for whoever runs the metastore to say, and for the job.
        conf.entry(WAREHOUSE.to_owned()).or_insert_with(folder);
    } else {
        conf.insert(WAREHOUSE.to_owned(), folder());
    }
    conf.extend([
        ("spark.sql.catalogImplementation".to_owned(), "hive".to_owned()),
        (
            "spark.hadoop.javax.jdo.option.ConnectionURL".to_owned(),
            format!("jdbc:derby:;databaseName={};create=true", catalogue.join("metastore").display()),
        ),
    ]);
    let plan = Plan::Spark {
        main,
        main_class: None,
        args,
        secret_args: false,
        conf,
        py_files: Vec::new(),
        jars: Vec::new(),
        files: Vec::new(),
    };
    Ok(Command { note: Some("by Spark"), ..spark::command(&plan, settings, workspace, tag)? })
}

/// Seconds that a job's statements may take: what the job says, but no more than the operator allows; 0 means no limit.
pub(crate) fn time_limit(given: &BTreeMap<String, String>, settings: &LocalSettings) -> Result<u64, String> {
    let limit = settings.sql.time_limit_seconds;
    let Some(text) = given.get(TIME_LIMIT) else { return Ok(limit) };
    let asked: u64 = text.parse().map_err(|_| format!("{TIME_LIMIT} is '{text}': it has to be seconds"))?;
    Ok(if limit == 0 { asked } else { limit.min(asked) })
}

/// The engine for a job: the one that it wants, else Spark where the host has it, else the embedded one.
fn chosen(wanted: Option<&str>, settings: &LocalSettings) -> Result<SqlEngine, String> {
    let spark = || find::spark(settings).is_some() && find::java_of_spark(settings).is_some();
    let embedded = || find::sql_program(settings).is_some();
    match wanted {
        Some("embedded") if embedded() => Ok(SqlEngine::Embedded),
        Some("embedded") => Err(format!("the job wants the embedded SQL engine, and {}", find::SQL_MISSING)),
        Some("spark") if spark() => Ok(SqlEngine::Spark),
        Some("spark") => Err(format!("the job wants Spark for its statements, and {}", find::SPARK_MISSING)),
        _ if spark() => Ok(SqlEngine::Spark),
        _ if embedded() => Ok(SqlEngine::Embedded),
        _ => Err(find::SQL_MISSING.to_owned()),
    }
}

/// The engine of this host for small statements: the embedded one starts in a moment, Spark in seconds.
pub(super) fn light(settings: &LocalSettings) -> Result<SqlEngine, String> {
    chosen(Some("embedded"), settings).or_else(|_| chosen(None, settings))
}

/// Where the buckets of S3 and OBS are and how to get in: by the job's settings with Hadoop's names, else by the operator's.
fn buckets(given: &BTreeMap<String, String>, settings: &LocalSettings) -> Vec<SqlBucket> {
    let of_job = |store: &str, name: &str| {
        let key = format!("fs.{store}.{name}");
        given.get(&key).or_else(|| given.get(&format!("spark.hadoop.{key}"))).cloned()
    };
    let of_operator = |word: &str| settings.copying.s3.0.get(word).cloned();
    // OBS's own names win; one entry answers for every bucket.
    let store = ["obs", "s3a"].into_iter().find(|store| of_job(store, "endpoint").is_some()).unwrap_or("s3a");
    let Some(endpoint) = of_job(store, "endpoint").or_else(|| of_operator("endpoint")) else { return Vec::new() };
    let endpoint = if endpoint.contains("://") { endpoint } else { format!("https://{endpoint}") };
    let path_style = of_job(store, "path.style.access").or_else(|| of_operator("path_style"));
    // Keys of one come whole from one place.
    let keys = match of_job(store, "access.key") {
        Some(access) => (Some(access), of_job(store, "secret.key"), of_job(store, "session.token")),
        None => (of_operator("access_key"), of_operator("secret_key"), None),
    };
    vec![SqlBucket {
        bucket: "*".to_owned(),
        endpoint,
        region: of_job(store, "endpoint.region")
            .or_else(|| of_operator("region"))
            .unwrap_or_else(|| "us-east-1".to_owned()),
        access_key: keys.0,
        secret_key: keys.1,
        session_token: keys.2,
        path_style: path_style.is_none_or(|text| text == "true"),
    }]
}
