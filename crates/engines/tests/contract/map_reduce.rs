//! MapReduce by class, with a Java in place that tells how it was called: where the settings go, and what is refused before a
//! start. The real Java and Hadoop run in the integration tests.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use foggara_domain::{plan::Plan, status::Outcome};
use foggara_engines::EngineError;

use crate::place::Place;

fn host() -> Place {
    Place::with(|settings| {
        let (java, spark) = (settings.data_dir.join("jdk"), settings.data_dir.join("spark"));
        for program in [java.join("bin/java"), spark.join("bin/spark-submit")] {
            fs::create_dir_all(program.parent().expect("a folder")).expect("made");
            fs::write(&program, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").expect("written");
            fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("executable");
        }
        fs::write(java.join("release"), "JAVA_VERSION=\"17.0.1\"\n").expect("written");
        fs::create_dir_all(spark.join("jars")).expect("made");
        fs::write(spark.join("jars/hadoop-client-api-3.jar"), "").expect("written");
        settings.java_home = Some(java);
        settings.spark_home = Some(spark);
    })
}

fn plan(jar: PathBuf) -> Plan {
    let properties = [
        ("mapred.mapper.class", "Map"),
        ("fs.s3a.secret.key", "a-secret-word"),
        ("mapreduce.framework.name", "yarn"),
        ("foggara.fault.file", "/etc/passwd"),
        ("mapred.output.dir", "/elsewhere"),
    ];
    Plan::MapReduce {
        jars: vec![jar],
        input: "/in".to_owned(),
        output: "/out".to_owned(),
        properties: BTreeMap::from(properties.map(|(key, value)| (key.to_owned(), value.to_owned()))),
    }
}

#[tokio::test]
async fn settings_are_in_files_that_only_the_job_reads() {
    let place = host();
    let tag = place.tag("classes");
    let workspace = place.workspace(&tag);
    let jar = workspace.join("job.jar");
    fs::write(&jar, b"PK\x03\x04").expect("written");
    place.launch(&tag, &plan(jar.clone())).await.expect("launched");
    assert_eq!(place.end(&tag).await.outcome, Outcome::Succeeded, "{}", place.errors(&tag).await);
    let told = place.out(&tag).await;
    let words: Vec<&str> = told.lines().collect();
    let conf = workspace.join(".hadoop-conf");
    let hadoop = place.path("spark").join("jars/hadoop-client-api-3.jar");
    let class_path = [&conf, &workspace.join(".launcher"), &hadoop, &jar].map(|path| path.display().to_string());
    let job = workspace.join(".job.xml");
    assert_eq!(words, ["-cp", &class_path.join(":"), "io.foggara.MapReduce", &job.display().to_string()]);
    let text = fs::read_to_string(&job).expect("there");
    for (key, value) in [
        ("fs.s3a.secret.key", "a-secret-word"),
        ("mapreduce.framework.name", "local"),
        ("mapreduce.output.fileoutputformat.outputdir", "file:///out"),
        ("foggara.fault.file", &place.attempt(&tag).join("fault").display().to_string()),
    ] {
        assert!(text.contains(&format!("<name>{key}</name><value>{value}</value>")), "{key}: {text}");
    }
    assert!(!text.contains("/etc/passwd") && !text.contains("/elsewhere"), "{text}");
    for name in ["../.job.xml", "core-site.xml", "mapred-site.xml"] {
        let mode = fs::metadata(conf.join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    for class in ["MapReduce.class", "MapReduce$Wrong.class", "TaskErrors.class"] {
        assert!(workspace.join(".launcher/io/foggara").join(class).is_file(), "{class}");
    }
}

#[tokio::test]
async fn a_jar_that_is_none_is_refused_by_name() {
    let place = host();
    let tag = place.tag("none");
    let jar = place.workspace(&tag).join("job.jar");
    fs::write(&jar, "<html>not found</html>").expect("written");
    match place.launch(&tag, &plan(jar)).await {
        Err(EngineError::Refused(why)) => assert!(why.contains("job.jar is no jar"), "{why}"),
        other => panic!("{other:?}"),
    }
}
