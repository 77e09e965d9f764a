//! What becomes of jobs on YARN: submissions that are refused, hang or are cut off; a full queue; another active manager; clients with
//! their applications; logs.

use std::{collections::BTreeMap, fs, sync::Arc};

use foggara_domain::{
    execution::Progress,
    plan::{CopyOptions, HiddenSettings, Plan},
    status::Outcome,
};
use foggara_engines::{EngineError, JobRef, Observed, Stop, Stream, Voided};
use foggara_testkit::yarn::FakeYarn;
use serde_json::json;

use super::{Way, Yarn};
use crate::{
    place::{tagged, until},
    rig::Rig,
};

#[tokio::test]
async fn the_ids_are_yarns_and_the_tags_ours() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    let (tag, reference) = yarn.launch("tags").await;
    let installation = yarn.place.prefix.clone();
    let apps = yarn.fake.applications(tag.as_str());
    assert_eq!(apps, yarn.fake.applications(&installation), "both tags are set");
    assert_eq!(apps, [(reference, "RUNNING".to_owned())]);
    assert!(yarn.fake.applications("mine").is_empty(), "a job's own do not count");
    let called = fs::read_to_string(yarn.place.workspace(&tag).join("called")).expect("called");
    assert!(called.starts_with("--master yarn --deploy-mode cluster --class Main --properties-file "), "{called}");
    assert!(!called.contains("spark.yarn"), "no setting stands on a command line: {called}");
    // How far it is stands in the same list.
    let job = JobRef { reference: Some(&apps[0].0), ..JobRef::from(&tag) };
    yarn.observed(&tag, &apps[0].0).await.expect("asked");
    assert_eq!(yarn.engine.progress(job).await, Some(Progress::of(10.0)));
}

#[tokio::test]
async fn jobs_outlive_the_change_of_the_active_manager() {
    let yarn = Yarn::new(Way::SparkSubmit, 2);
    let (tag, reference) = yarn.launch("failover").await;
    yarn.fake.fail_over();
    until("the other one is asked", || async {
        let observed = yarn.observed(&tag, &reference).await.expect("the next one is asked at once");
        let moved = yarn.engine.find(JobRef::from(&tag)).await.expect("asked").expect("found");
        assert_eq!(moved.reference, reference);
        (observed == Observed::Running { state: None }).then_some(())
    })
    .await;
    yarn.engine
        .stop(JobRef { reference: Some(&reference), ..JobRef::from(&tag) }, Stop::Gently)
        .await
        .expect("stopped");
    assert_eq!(yarn.end(&tag, &reference).await.outcome, Outcome::Killed);
    assert_eq!(yarn.fake.applications(tag.as_str()).len(), 1);
}

#[tokio::test]
async fn a_restart_that_recovers_forgets_nothing() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    let (tag, reference) = yarn.launch("recovered").await;
    yarn.fake.restart(true);
    until("it is asked anew", || async {
        let found = yarn.engine.find(JobRef::from(&tag)).await.expect("asked").expect("found");
        (found.incarnation == "1700000060000").then_some(())
    })
    .await;
    assert_eq!(yarn.observed(&tag, &reference).await, Ok(Observed::Running { state: None }));
}

#[tokio::test]
async fn a_full_queue_is_shown_with_yarns_words() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    yarn.fake.set_full(true);
    let (tag, reference) = yarn.launch("waits").await;
    match yarn.observed(&tag, &reference).await {
        Ok(Observed::Queued { state: Some(state) }) => {
            assert!(state.starts_with("ACCEPTED: ") && state.contains("AM resource limit exceeded"), "{state}");
        }
        other => panic!("{other:?}"),
    }
    yarn.fake.set_full(false);
    until("it runs", || async {
        (yarn.observed(&tag, &reference).await == Ok(Observed::Running { state: None })).then_some(())
    })
    .await;
    yarn.fake.finish(tag.as_str(), "FAILED", "User class threw exception: java.lang.RuntimeException: no\n\tat x.y(Z)");
    let ended = yarn.end(&tag, &reference).await;
    assert_eq!(ended.outcome, Outcome::Failed);
    assert!(ended.reason.expect("a reason").starts_with("User class threw exception: java.lang.RuntimeException: no"));
}

#[tokio::test]
async fn what_yarn_refuses_says_why() {
    let yarn =
        Yarn::on(Way::SparkSubmit, FakeYarn::start(1).expect("a fake"), |settings| settings["queue"] = json!("nope"));
    let tag = yarn.place.tag("refused");
    match (&yarn as &dyn Rig).launch(&tag).await {
        Err(EngineError::Refused(why)) => {
            assert!(why.contains("exit code 1") && why.contains("unknown queue: nope"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(yarn.engine.find(JobRef::from(&tag)).await, Ok(None));
    // What the submission said is the log of a job that never was.
    let log = yarn.engine.logs(JobRef::from(&tag), Stream::Stderr, 0, 1000).await.expect("a log");
    assert!(String::from_utf8_lossy(&log.bytes).contains("unknown queue"));
}

#[tokio::test]
async fn a_forgotten_application_is_absent_and_not_ended() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    let (tag, reference) = yarn.launch("forgotten").await;
    yarn.fake.finish(tag.as_str(), "SUCCEEDED", "");
    yarn.fake.forget_completed();
    until("it is absent", || async {
        match yarn.observed(&tag, &reference).await.expect("an answer") {
            Observed::Absent { .. } => Some(()),
            Observed::Ended(ended) => panic!("nobody knows how: {ended:?}"),
            _ => None,
        }
    })
    .await;
}

#[tokio::test]
async fn a_submission_under_way_is_not_called_absent_and_can_be_ruled_out() {
    let yarn = Arc::new(Yarn::new(Way::SparkSubmit, 1));
    let tag = yarn.place.tag("slow");
    fs::write(yarn.place.path("spark/bin/wait"), "").expect("written");
    let (launcher, named) = (Arc::clone(&yarn), tag.clone());
    let launching = tokio::spawn(async move { (launcher.as_ref() as &dyn Rig).launch(&named).await });
    until("it is started", || async { (!tagged(&tag).is_empty()).then_some(()) }).await;
    let job = JobRef::from(&tag);
    let restarted = (yarn.as_ref() as &dyn Rig).restarted();
    let found = until("the submitter is known", || async {
        let found = restarted.find(job).await;
        found.is_err().then_some(found)
    })
    .await;
    assert!(matches!(&found, Err(EngineError::Unreachable(why)) if why.contains("spark-submit is still")), "{found:?}");
    // A cancel does not wait for the submission.
    let voided = until("it is ruled out", || async {
        match yarn.engine.void(job, "cancelled").await {
            Ok(voided) => Some(voided),
            Err(EngineError::Unreachable(_)) => None,
            Err(other) => panic!("{other:?}"),
        }
    })
    .await;
    assert_eq!(voided, Voided::Yes);
    let launched = launching.await.expect("no panic");
    assert!(matches!(launched, Err(EngineError::Unreachable(_))), "{launched:?}");
    assert_eq!((tagged(&tag).len(), yarn.fake.applications(tag.as_str()).len()), (0, 0));
    fs::remove_file(yarn.place.path("spark/bin/wait")).expect("removed");
    // Nor does another server start it again.
    let again = (yarn.as_ref() as &dyn Rig).launch_on(restarted.as_ref(), &tag).await;
    assert!(matches!(&again, Err(EngineError::Refused(why)) if why.contains("cut off")), "{again:?}");
    assert!(yarn.fake.applications(tag.as_str()).is_empty());
}

#[tokio::test]
async fn a_submission_has_its_time() {
    let yarn = Yarn::on(Way::SparkSubmit, FakeYarn::start(1).expect("a fake"), |settings| {
        settings["submit_timeout"] = json!(1)
    });
    fs::write(yarn.place.path("spark/bin/wait"), "").expect("written");
    let tag = yarn.place.tag("hangs");
    let launched = (&yarn as &dyn Rig).launch(&tag).await;
    assert!(matches!(&launched, Err(EngineError::Unreachable(why)) if why.contains("longer than 1 s")), "{launched:?}");
    assert!(tagged(&tag).is_empty());
    let again = (&yarn as &dyn Rig).launch(&tag).await;
    assert!(matches!(&again, Err(EngineError::Refused(_))), "{again:?}");
}

#[tokio::test]
async fn a_client_and_its_applications_are_one_job() {
    let yarn = Yarn::new(Way::Client, 1);
    let (tag, reference) = yarn.launch("client").await;
    until("its application", || async { (yarn.fake.applications(tag.as_str()).len() == 1).then_some(()) }).await;
    let called = fs::read_to_string(yarn.place.workspace(&tag).join("called")).expect("called");
    assert!(called.starts_with("jar ") && called.ends_with("job.jar Main in\n"), "{called}");
    // The client is over, and what it started is not.
    fs::write(yarn.place.workspace(&tag).join("over"), "3").expect("told");
    until("only the application is left", || async {
        match yarn.observed(&tag, &reference).await.expect("an answer") {
            Observed::Running { state: Some(state) } if state.contains("its client is over") => Some(()),
            Observed::Running { .. } => None,
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert_eq!(yarn.engine.list(&yarn.place.prefix).await, Ok(vec![tag.clone()]));
    yarn.fake.finish(tag.as_str(), "SUCCEEDED", "");
    let ended = yarn.end(&tag, &reference).await;
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Failed, Some(3)), "the client's word counts");
}

#[tokio::test]
async fn a_stop_ends_the_client_and_its_applications() {
    let yarn = Yarn::new(Way::Client, 1);
    let (tag, reference) = yarn.launch("stopped").await;
    until("its application", || async { (yarn.fake.applications(tag.as_str()).len() == 1).then_some(()) }).await;
    let job = JobRef { reference: Some(&reference), ..JobRef::from(&tag) };
    yarn.engine.stop(job, Stop::Gently).await.expect("stopped");
    assert_ne!(yarn.end(&tag, &reference).await.outcome, Outcome::Succeeded);
    assert_eq!(yarn.fake.applications(tag.as_str())[0].1, "KILLED");
    assert!(tagged(&tag).is_empty());
}

#[tokio::test]
async fn a_jobs_arguments_cannot_hide_its_applications() {
    let yarn = Yarn::new(Way::Client, 1);
    let tag = yarn.place.tag("hides");
    let Some(Plan::HadoopJar { jar, .. }) = yarn.plan(&tag) else { panic!("another plan") };
    let args = vec!["Main".to_owned(), "-Dmapreduce.job.tags=mine".to_owned()];
    let plan = Plan::HadoopJar { jar, args, secret_args: false, properties: BTreeMap::new() };
    let refused = yarn.launch_plan(&tag, &plan).await;
    assert!(matches!(&refused, Err(EngineError::Refused(why)) if why.contains("mapreduce.job.tags")), "{refused:?}");
}

/// What each kind of job is for its client; no setting stands among the words.
#[tokio::test]
async fn clients_are_called_as_hadoop_has_it() {
    let yarn = Yarn::new(Way::Client, 1);
    let ws = |name: &str| yarn.place.workspace(&yarn.place.tag(name));
    let put = |name: &str, file: &str| {
        let path = ws(name).join(file);
        fs::write(&path, "PK").expect("written");
        path
    };
    let hidden = || BTreeMap::from([("fs.s3a.secret.key".to_owned(), "very-secret".to_owned())]);
    let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let java = Plan::Java {
        class_path: vec![put("java", "a.jar")],
        main_class: "org.example.Main".to_owned(),
        java_opts: Vec::new(),
        args: texts(&["in", "out"]),
        properties: hidden(),
    };
    let by_class = Plan::MapReduce {
        jars: vec![put("mr", "a.jar"), put("mr", "b.jar")],
        input: "/in".to_owned(),
        output: "hdfs://nn/out".to_owned(),
        properties: [hidden(), [("mapred.mapper.class".to_owned(), "M".to_owned())].into()]
            .into_iter()
            .flatten()
            .collect(),
    };
    let streaming = Plan::Streaming {
        mapper: texts(&["cat"]),
        reducer: texts(&["uniq", "-c"]),
        input: "/in".to_owned(),
        output: "/out".to_owned(),
        reducers: 2,
        env: BTreeMap::new(),
        properties: hidden(),
    };
    let copy = Plan::DistCp {
        sources: texts(&["hdfs://nn/a"]),
        destination: "s3a://b/c".to_owned(),
        options: CopyOptions { update: true, at_once: 3, ..CopyOptions::default() },
        settings: HiddenSettings(hidden()),
        project: String::new(),
        ticket: None,
    };
    let pig = Plan::Pig {
        script: put("pig", "script.pig"),
        libs: Vec::new(),
        params: [("INPUT".to_owned(), "/in".to_owned())].into(),
        args: Vec::new(),
        properties: hidden(),
    };
    let (pig_ws, mr_ws) = (ws("pig"), ws("mr"));
    for (name, plan, words) in [
        ("java", java, "org.example.Main in out".to_owned()),
        ("mr", by_class, format!("io.foggara.MapReduce {}", mr_ws.join(".job.xml").display())),
        (
            "streaming",
            streaming,
            format!(
                "jar {} -input /in -output /out -mapper cat -reducer uniq -c",
                yarn.place.path("hadoop/share/hadoop/tools/lib/hadoop-streaming-3.jar").display()
            ),
        ),
        ("copy", copy, "distcp -update -m 3 hdfs://nn/a s3a://b/c".to_owned()),
        (
            "pig",
            pig,
            format!(
                "-x mapreduce -param_file {} -f {}",
                pig_ws.join(".pig.params").display(),
                pig_ws.join("script.pig").display()
            ),
        ),
    ] {
        let tag = yarn.place.tag(name);
        let launched = yarn.launch_plan(&tag, &plan).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        until("its application", || async { (yarn.fake.applications(tag.as_str()).len() == 1).then_some(()) }).await;
        let called = fs::read_to_string(ws(name).join("called")).expect("called");
        assert_eq!(called.trim_end(), words, "{name}");
        let site = fs::read_to_string(ws(name).join(".hadoop-conf/core-site.xml")).expect("settings");
        assert!(site.contains("very-secret") && site.contains(tag.as_str()), "{name}: {site}");
        yarn.fake.finish(tag.as_str(), "SUCCEEDED", "");
        fs::write(ws(name).join("over"), "0").expect("told");
        assert_eq!(yarn.end(&tag, &launched.reference).await.outcome, Outcome::Succeeded, "{name}");
    }
}

#[tokio::test]
async fn collected_logs_come_from_the_history_server() {
    let fake = FakeYarn::start(1).expect("a fake");
    let urls = fake.urls();
    let yarn = Yarn::on(Way::SparkSubmit, fake, |settings| settings["history_server"] = json!(urls));
    let (tag, reference) = yarn.launch("collected").await;
    let text = "x".repeat(200_000) + "the end\n";
    yarn.fake.print(tag.as_str(), "stderr", &text);
    let job = JobRef { reference: Some(&reference), ..JobRef::from(&tag) };
    for _ in 0..2 {
        let piece = yarn.engine.logs(job, Stream::Stderr, 199_998, 6).await.expect("a piece");
        assert_eq!(
            (String::from_utf8_lossy(&piece.bytes).as_ref(), piece.next_offset, piece.size),
            ("xxthe ", 200_004, 200_008)
        );
        let piece = yarn.engine.logs(job, Stream::Stderr, 0, 3).await.expect("a piece");
        assert_eq!((piece.bytes.as_slice(), piece.size), (&b"xxx"[..], 200_008));
        yarn.fake.collect_logs();
    }
    yarn.fake.finish(tag.as_str(), "SUCCEEDED", "");
    yarn.end(&tag, &reference).await;
    let kept = fs::read_to_string(yarn.place.log(&tag, "stderr")).expect("kept");
    assert!(kept == text, "{} bytes", kept.len());
}
