//! Java and Spark command lines, with programs in their place that tell how they were called. The real ones run in the
//! integration tests.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use foggara_domain::{
    plan::{Plan, PlanKind, SqlScript},
    sql::SqlDialect,
    status::Outcome,
};
use foggara_engines::{Ability, Engine, EngineError};

use crate::place::Place;

/// Tells its arguments and its environment, and the files that are named in it.
const TELLER: &str = "#!/bin/sh\nfor word; do echo \"arg <$word>\"; done\nenv | sed 's/^/env /'\n\
    while [ $# -gt 0 ]; do if [ \"$1\" = --properties-file ]; then stat -c 'mode %a' \"$2\"; sed 's/^/prop /' \"$2\"; fi; shift; done\n\
    if [ -e job.properties ]; then stat -c 'mode %a' job.properties; sed 's/^/prop /' job.properties; fi\n";

fn teller(path: &Path) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, TELLER).expect("written");
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("executable");
}

/// A host with a Java of a version and a Spark, both of which only tell.
fn host(version: &str) -> Place {
    Place::with(|settings| {
        let (java, spark) = (settings.data_dir.join("jdk"), settings.data_dir.join("spark"));
        teller(&java.join("bin/java"));
        fs::write(java.join("release"), format!("JAVA_VERSION=\"{version}\"\n")).expect("written");
        teller(&spark.join("bin/spark-submit"));
        let pig = settings.data_dir.join("pig");
        teller(&pig.join("bin/pig"));
        settings.pig_home = Some(pig);
        settings.java_home = Some(java);
        settings.spark_home = Some(spark);
    })
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

async fn told(place: &Place, name: &str, plan: &Plan) -> Vec<String> {
    let tag = place.tag(name);
    place.launch(&tag, plan).await.expect("launched");
    assert_eq!(place.end(&tag).await.outcome, Outcome::Succeeded, "{}", place.errors(&tag).await);
    place.out(&tag).await.lines().map(str::to_owned).collect()
}

fn args(told: &[String]) -> Vec<&str> {
    told.iter().filter_map(|line| line.strip_prefix("arg <")?.strip_suffix('>')).collect()
}

#[tokio::test]
async fn java_gets_options_class_path_class_and_arguments() {
    let place = host("11.0.2");
    let plan = Plan::Java {
        class_path: vec![PathBuf::from("/ws/a.jar"), PathBuf::from("/ws/b.jar")],
        main_class: "org.example.Main".to_owned(),
        java_opts: texts(&["-Xmx64m", "-Dname=two words"]),
        args: texts(&["in put", ""]),
        properties: BTreeMap::from([("fs.secret".to_owned(), "hidden value".to_owned())]),
    };
    let told = told(&place, "java", &plan).await;
    let wanted = ["-Xmx64m", "-Dname=two words", "-cp", "/ws/a.jar:/ws/b.jar", "org.example.Main", "in put", ""];
    assert_eq!(args(&told), wanted);
    for line in ["mode 600", "prop fs.secret=hidden value"] {
        assert!(told.iter().any(|told| told == line), "{line}: {told:?}");
    }
    let home = place.path("jdk").canonicalize().expect("there");
    assert!(told.contains(&format!("env JAVA_HOME={}", home.display())), "{told:?}");
}

#[tokio::test]
async fn spark_gets_its_settings_in_a_file_and_none_on_the_command_line() {
    let place = host("17.0.1");
    let plan = Plan::Spark {
        main: PathBuf::from("/ws/app.py"),
        main_class: Some("Main".to_owned()),
        args: texts(&["--conf", "of the application"]),
        secret_args: false,
        conf: BTreeMap::from([
            ("spark.hadoop.fs.s3a.secret.key".to_owned(), "a-secret=with: signs\\".to_owned()),
            ("spark.foggara.id".to_owned(), "forged".to_owned()),
            ("spark.ui.enabled".to_owned(), "true".to_owned()),
        ]),
        py_files: vec![PathBuf::from("/ws/lib.py"), PathBuf::from("/ws/lib.zip")],
        jars: vec![PathBuf::from("/ws/lib.jar")],
        files: vec![PathBuf::from("/ws/data.txt")],
    };
    let told = told(&place, "spark", &plan).await;
    let args = args(&told);
    let workspace = place.workspace(&place.tag("spark"));
    let properties = workspace.join(".spark.properties").display().to_string();
    let wanted = [
        "--master",
        "local[2]",
        "--class",
        "Main",
        "--properties-file",
        &properties,
        "--jars",
        "/ws/lib.jar",
        "--py-files",
        "/ws/lib.py,/ws/lib.zip",
        "--files",
        "/ws/data.txt",
        "/ws/app.py",
        "--conf",
        "of the application",
    ];
    assert_eq!(args, wanted);
    assert!(!args.iter().any(|word| word.contains("a-secret")));
    let tag = place.tag("spark");
    let lines = [
        "mode 600".to_owned(),
        "prop spark.hadoop.fs.s3a.secret.key=a-secret=with: signs\\\\".to_owned(),
        format!("prop spark.foggara.id={tag}"),
        "prop spark.ui.enabled=true".to_owned(),
        "env SPARK_LOCAL_IP=127.0.0.1".to_owned(),
        format!("env SPARK_HOME={}", place.path("spark").display()),
        format!("env SPARK_LOCAL_DIRS={}", workspace.join(".spark-local").display()),
    ];
    for line in lines {
        assert!(told.contains(&line), "{line}: {told:?}");
    }
}

/// The program in place of Pig's client only tells how it was called: no package of Pig is to be had for tests.
#[tokio::test]
async fn pig_gets_params_and_settings_in_files_and_none_on_the_command_line() {
    let place = host("11.0.2");
    let tag = place.tag("pig");
    let workspace = place.workspace(&tag);
    let plan = Plan::Pig {
        script: workspace.join("main.pig"),
        libs: vec![workspace.join("udf.jar")],
        params: BTreeMap::from([
            ("INPUT".to_owned(), "/data/in put".to_owned()),
            ("PASSWORD".to_owned(), "a-secret`word".to_owned()),
        ]),
        args: texts(&["-stop_on_failure", "two words"]),
        properties: BTreeMap::from([("fs.s3a.secret.key".to_owned(), "a-secret key".to_owned())]),
    };
    let told = told(&place, "pig", &plan).await;
    let (params, properties) = (workspace.join(".pig.params"), workspace.join(".pig.properties"));
    let texts = [&params, &properties, &workspace.join("main.pig")].map(|path| path.display().to_string());
    let wanted = [
        "-x",
        "local",
        "-param_file",
        &texts[0],
        "-propertyFile",
        &texts[1],
        "-f",
        &texts[2],
        "-stop_on_failure",
        "two words",
    ];
    assert_eq!(args(&told), wanted);
    for (path, text) in [
        (&params, "INPUT = '/data/in put'\nPASSWORD = 'a-secret`word'\n"),
        (&properties, "fs.s3a.secret.key=a-secret key\n"),
    ] {
        assert_eq!(fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(path).expect("read"), text);
    }
    let home = place.path("jdk").canonicalize().expect("there");
    assert!(told.contains(&format!("env JAVA_HOME={}", home.display())), "{told:?}");
}

/// Pig's exit code says little; its errors have numbers.
#[tokio::test]
async fn a_script_of_pig_fails_with_pigs_own_words() {
    let place = host("11.0.2");
    let said = "2026-11-24 10:00:02,003 [main] ERROR org.apache.pig.tools.grunt.Grunt - ERROR 1066: Unable to open iterator for alias a";
    fs::write(
        place.path("pig/bin/pig"),
        format!("#!/bin/sh\necho '{said}' >&2\necho 'Details at logfile: x' >&2\nexit 2\n"),
    )
    .expect("written");
    let tag = place.tag("pig-fails");
    let plan = Plan::Pig {
        script: place.workspace(&tag).join("main.pig"),
        libs: Vec::new(),
        params: BTreeMap::new(),
        args: Vec::new(),
        properties: BTreeMap::new(),
    };
    place.launch(&tag, &plan).await.expect("launched");
    let ended = place.end(&tag).await;
    assert_eq!(ended.reason.as_deref(), Some("exit code 2: ERROR 1066: Unable to open iterator for alias a"));
    assert_eq!(ended.outcome, Outcome::Failed);
}

/// The metastore of a cluster reaches Spark, and the embedded engine is no way around it.
#[tokio::test]
async fn sql_of_a_cluster_with_a_metastore_goes_there() {
    let mut place = host("17.0.1");
    place.settings.sql.metastore = Some("thrift://hms:9083".to_owned());
    let engine = place.again();
    let sql = |engine: Option<&str>| Plan::Sql {
        script: SqlScript::Text("SELECT 1".to_owned()),
        dialect: SqlDialect::Hive,
        database: None,
        variables: BTreeMap::new(),
        settings: BTreeMap::new(),
        engine: engine.map(str::to_owned),
        project: "p".to_owned(),
    };
    let tag = place.tag("sql");
    place.launch_on(&engine, &tag, &sql(None)).await.expect("launched");
    place.end(&tag).await;
    let out = place.out(&tag).await;
    assert!(out.contains("prop spark.hadoop.hive.metastore.uris=thrift://hms:9083"), "{out}");
    match place.launch_on(&engine, &place.tag("embedded"), &sql(Some("embedded"))).await {
        Err(EngineError::Refused(why)) => assert!(why.contains("thrift://hms:9083"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn names_that_a_command_line_cannot_carry_are_refused() {
    let place = host("17");
    let java = Plan::Java {
        class_path: vec![PathBuf::from("/ws/a:b.jar")],
        main_class: "Main".to_owned(),
        java_opts: Vec::new(),
        args: Vec::new(),
        properties: BTreeMap::new(),
    };
    let spark = Plan::Spark {
        main: PathBuf::from("/ws/app.py"),
        main_class: None,
        args: Vec::new(),
        secret_args: false,
        conf: BTreeMap::new(),
        py_files: vec![PathBuf::from("/ws/a,b.py")],
        jars: Vec::new(),
        files: Vec::new(),
    };
    for (name, plan, cause) in [("java", java, "/ws/a:b.jar"), ("spark", spark, "/ws/a,b.py")] {
        match place.launch(&place.tag(name), &plan).await {
            Err(EngineError::Refused(reason)) => assert!(reason.contains(cause), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_this_host_can_run_is_told_with_the_way_to_get_it() {
    let place = host("17.0.1");
    for kind in
        [PlanKind::Program, PlanKind::Streaming, PlanKind::DistCp, PlanKind::Java, PlanKind::Spark, PlanKind::Pig]
    {
        assert_eq!(place.engine.ability(kind), Ability::Yes, "{kind:?}");
    }
    assert_eq!(place.engine.ability(PlanKind::Flink), Ability::Never);
    // This Spark has no jars of Hadoop.
    for kind in [PlanKind::HadoopJar, PlanKind::MapReduce] {
        match place.engine.ability(kind) {
            Ability::Lacks(what) => assert!(what.contains("cannot read Spark's jars"), "{what}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(!place.engine.suspends());
    assert_eq!(place.engine.max_running(), Some(2));
}
