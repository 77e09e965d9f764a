use serde_json::json;

use super::*;
use crate::{Timestamp, binary::JobBinary, flag::Flag};

fn refusal<T: std::fmt::Debug>(answer: Result<T>) -> String {
    answer.expect_err("refused").to_string()
}

fn of(name: &str) -> &'static JobType {
    find(name).expect("a job type")
}

fn template(main: &str) -> JobTemplate {
    let binary = JobBinary {
        id: "b".into(),
        project: "p".into(),
        name: main.to_owned(),
        description: None,
        url: "u".to_owned(),
        extra: None,
        is_public: Flag::Off,
        is_protected: Flag::Off,
        created_at: Timestamp::from_micros(0),
        updated_at: None,
    };
    JobTemplate {
        id: "j".into(),
        project: "p".into(),
        name: "n".to_owned(),
        description: None,
        job_type: "Spark".to_owned(),
        mains: vec![binary],
        libs: vec![],
        interface: vec![],
        is_public: Flag::Off,
        is_protected: Flag::Off,
        created_at: Timestamp::from_micros(0),
        updated_at: None,
    }
}

fn file(name: &str) -> StagedFile {
    StagedFile { name: name.to_owned(), path: PathBuf::from("/w").join(name) }
}

#[test]
fn mains_and_libs() {
    let none: [&str; 0] = [];
    for (name, mains, libs, wanted) in [
        ("Pig", &none[..], &none[..], "Pig flow requires main script"),
        ("Hive", &none, &["l"], "Hive flow requires main script"),
        ("Shell", &none, &none, "Shell flow requires main script"),
        ("Spark", &none, &none, "Spark job requires main application jar"),
        ("Storm", &none, &none, "Storm job requires main application jar"),
        ("Storm.Pyleus", &none, &none, "Storm.Pyleus job requires main application jar"),
        ("MapReduce", &none, &none, "MapReduce flow requires libs"),
        ("Java", &none, &none, "Java flow requires libs"),
        ("Java", &["m"], &["l"], "Java flow does not use mains"),
        ("MapReduce.Streaming", &["m"], &none, "MapReduce.Streaming flow does not use mains"),
        ("Pig", &["m"], &["m"], "'mains' and 'libs' overlap"),
    ] {
        assert_eq!(refusal(of(name).check_binaries(mains, libs)), wanted);
    }
    assert!(of("MapReduce.Streaming").check_binaries(&none, &none).is_ok());
    assert!(of("Spark").check_binaries(&none, &["l"]).is_ok(), "conflict 5");
}

#[test]
fn needs_of_executions() {
    let map = |value: Value| value.as_object().cloned().unwrap_or_default();
    let check = |name: &str, main: &str, configs: Value| {
        of(name).check_needs(&template(main), &map(json!({"configs": configs})), None, None)
    };
    assert_eq!(refusal(of("Hive").check_sources(true, false)), "Hive job requires 'input_id' and 'output_id'");
    assert!(of("Shell").check_sources(false, false).is_ok());
    assert_eq!(refusal(check("Java", "a.jar", json!({}))), "Java job must specify edp.java.main_class");
    assert_eq!(
        refusal(check("Spark", "a.jar", json!({"edp.java.main_class": ""}))),
        "Spark job must specify edp.java.main_class"
    );
    assert!(check("Spark", "a.py", json!({})).is_ok(), "decision 5");
    assert!(check("Spark", "a.jar", json!({"edp.java.main_class": "C"})).is_ok());
    assert!(
        refusal(check("MapReduce.Streaming", "x", json!({"edp.streaming.mapper": "cat"})))
            .contains("mapper and reducer")
    );
    assert_eq!(refusal(check("Storm", "t.jar", json!({}))), "Storm job must specify edp.java.main_class");
    assert_eq!(
        refusal(check("Storm.Pyleus", "t.jar", json!({"topology_name": "t"}))),
        "Storm.Pyleus job must specify topology_name"
    );
    assert!(check("Storm.Pyleus", "t.jar", json!({"edp.java.main_class": "C"})).is_ok());
    let ours = check("Shell", "x", json!({"spark.foggara.id": "1"}));
    assert!(refusal(ours).contains("'spark.foggara.id'"));
}

#[test]
fn credentials_are_hidden_and_kept() {
    let configs = json!({"configs": {"fs.s3a.secret.key": "s", "a": 1}, "job_execution_info": {"x": 1}});
    let (shown, secrets) = configs::hide_credentials(configs.as_object().cloned().unwrap_or_default());
    assert_eq!(shown, json!({"configs": {"fs.s3a.secret.key": "", "a": 1}, "job_execution_info": {}}));
    assert_eq!(Value::Object(secrets), json!({"fs.s3a.secret.key": "s"}));
    for key in [
        "fs.swift.service.sahara.username",
        "fs.swift.service.sahara.password",
        "fs.s3a.access.key",
        "fs.s3a.secret.key",
        "spark.hadoop.fs.s3a.secret.key",
    ] {
        assert!(configs::is_credential(key), "{key}");
    }
    assert!(!configs::is_credential("fs.s3a.endpoint"));
}

#[test]
fn a_shell_job_runs_its_main_with_params_as_environment() {
    let staged = Staged {
        mains: vec![file("a.sh")],
        params: BTreeMap::from([("N".to_owned(), json!(5))]),
        args: vec!["x".to_owned()],
        ..Staged::default()
    };
    let Plan::Program { main, args, env } = of("Shell").plan(&staged).expect("a plan") else { panic!("another plan") };
    assert_eq!(main, Path::new("/w/a.sh"));
    assert_eq!(args, ["x"]);
    assert_eq!(env["N"], "5");
}

#[test]
fn a_spark_job_sorts_its_libraries() {
    let staged = Staged {
        mains: vec![file("app.jar")],
        libs: vec![file("l.jar"), file("p.zip"), file("data.txt")],
        configs: BTreeMap::from([
            ("edp.java.main_class".to_owned(), json!("C")),
            ("spark.executor.cores".to_owned(), json!(2)),
            ("edp.spark.driver.classpath".to_owned(), json!("/opt/a.jar:/opt/b.jar")),
            ("fs.s3a.secret.key".to_owned(), json!("s")),
        ]),
        ..Staged::default()
    };
    let Plan::Spark { main_class, conf, py_files, jars, files, .. } = of("Spark").plan(&staged).expect("a plan") else {
        panic!("another plan")
    };
    assert_eq!(main_class.as_deref(), Some("C"));
    assert_eq!(jars, [PathBuf::from("/w/l.jar")]);
    assert_eq!(py_files, [PathBuf::from("/w/p.zip")]);
    assert_eq!(files, [PathBuf::from("/w/data.txt")]);
    assert_eq!(conf["spark.hadoop.fs.s3a.secret.key"], "s");
    assert_eq!(conf["spark.driver.extraClassPath"], "/opt/a.jar:/opt/b.jar");
    assert!(!conf.keys().any(|key| key.contains("edp.")));
}

#[test]
fn streaming_commands_are_words() {
    let staged = |mapper: &str, reduces: Value| Staged {
        configs: BTreeMap::from([
            ("edp.streaming.mapper".to_owned(), json!(mapper)),
            ("edp.streaming.reducer".to_owned(), json!("wc -l")),
            ("mapreduce.job.reduces".to_owned(), reduces),
        ]),
        input: Some("/in".into()),
        output: Some("/out".into()),
        ..Staged::default()
    };
    let plan = of("MapReduce.Streaming").plan(&staged("awk '{print $1}'", json!(3))).expect("a plan");
    let Plan::Streaming { mapper, reducers, env, .. } = plan else { panic!("another plan") };
    assert_eq!(mapper, ["awk", "{print $1}"]);
    let set = |key: &str| env.get(key).map(String::as_str);
    assert_eq!((set("mapred_input_dir"), set("mapred_output_dir")), (Some("/in"), Some("/out")), "section 8.5");
    assert_eq!(set("mapreduce_job_reduces"), Some("3"));
    assert_eq!(reducers, 3);
    assert!(refusal(of("MapReduce.Streaming").plan(&staged("awk '", json!(1)))).contains("quote"));
    assert!(refusal(of("MapReduce.Streaming").plan(&staged("cat", json!("many")))).contains("number"));
}

#[test]
fn hints_hold_the_well_known_properties() {
    for (name, property, value, least) in [
        ("Hive", "hive.exec.reducers.max", "999", 100),
        ("Hive", "mapred.reduce.tasks", "-1", 100),
        ("Pig", "pig.exec.nocombiner", "false", 20),
        ("MapReduce", "mapreduce.task.io.sort.mb", "100", 100),
        ("MapReduce.Streaming", "mapreduce.map.maxattempts", "4", 100),
    ] {
        let hints = of(name).config_hints();
        let configs = hints["configs"].as_array().expect("a list");
        assert!(configs.len() >= least, "{name} has {} properties", configs.len());
        let found =
            configs.iter().find(|item| item["name"] == property).unwrap_or_else(|| panic!("{name}: {property}"));
        assert_eq!(found["value"], value, "{property}");
        let mut names: Vec<&str> = configs.iter().filter_map(|item| item["name"].as_str()).collect();
        let whole = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), whole, "{name}: no property twice");
        assert!(configs.iter().all(|item| item["description"].as_str().is_some_and(|text| !text.is_empty())));
    }
    assert_eq!(of("Shell").config_hints(), json!({"configs": [], "params": {}, "args": []}));
    assert_eq!(of("Storm.Pyleus").config_hints(), json!({"configs": [], "args": []}));
}
