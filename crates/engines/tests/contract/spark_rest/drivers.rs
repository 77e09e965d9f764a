//! What drivers do on a real master that keeps what it knows: jars and Python, wrong ones, ones that leave processes behind, a
//! queue, restarts of the master.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use foggara_domain::{Tag, Timestamp, plan::Plan, status::Outcome};
use foggara_engines::{Ended, Engine, EngineError, JobRef, Launched, Observed, Stop, Stream};

use super::{
    cluster::{Cluster, spark_home},
    engine, python, settings, url,
};

use crate::place::{Place, end_of, tagged, until};

const SECRET: &str = "hush\"-\\ hush";

/// Drivers that need no executor: what is tested is how drivers come, are told things and go.
const SUM: &str = "public class Sum { public static void main(String[] a) {\n\
    String key = new org.apache.spark.SparkConf().get(\"spark.hadoop.fs.s3a.secret.key\");\n\
    System.out.println(\"SUM \" + a[0] + \" \" + key.hashCode()); } }\n";

const TELLS: &str = "import sys, lib\nprint(lib.word, sys.argv[1:], __name__)\n";

/// Sleeps without a call of Spark, and so does a child in a session of its own.
const SLEEPS: &str = "import subprocess, sys, time\n\
    subprocess.Popen(['sleep', '1000'], start_new_session=True)\n\
    open(sys.argv[1], 'w').close()\n\
    while True: time.sleep(1)\n";

fn jar(dir: &Path) -> std::path::PathBuf {
    let (source, classes) = (dir.join("Sum.java"), dir.join("classes"));
    fs::write(&source, SUM).expect("written");
    let class_path = format!("{}/jars/*", spark_home().display());
    let compiled = Command::new("javac").args(["-cp", &class_path, "-d"]).arg(&classes).arg(&source).status();
    assert!(compiled.expect("javac: scripts/setup-spark.sh installs a JDK").success());
    let jar = dir.join("with space, and comma.jar");
    let script =
        "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1], 'w')\nz.write(sys.argv[2], 'Sum.class')\nz.close()";
    let zipped = Command::new("python3").args(["-c", script]).arg(&jar).arg(classes.join("Sum.class")).status();
    assert!(zipped.expect("python3").success());
    jar
}

fn java(main: &Path, class: &str) -> Plan {
    Plan::Spark {
        main: main.to_owned(),
        main_class: Some(class.to_owned()),
        args: vec!["a b".to_owned()],
        secret_args: false,
        conf: BTreeMap::from([("spark.hadoop.fs.s3a.secret.key".to_owned(), SECRET.to_owned())]),
        py_files: Vec::new(),
        jars: Vec::new(),
        files: Vec::new(),
    }
}

/// What the tests ask an engine about jobs of a place.
struct Asked<'a> {
    place: &'a Place,
    engine: &'a dyn Engine,
}

impl Asked<'_> {
    async fn try_launch(&self, tag: &Tag, plan: &Plan) -> Result<Launched, EngineError> {
        let launch = foggara_engines::Launch {
            tag,
            job_type: "Spark",
            job_name: "job",
            plan: Some(plan),
            urls: &BTreeMap::new(),
            workspace: self.place.workspace(tag),
            logs: self.place.path("logs").join(tag.as_str()),
            kill_grace: self.place.kill_grace,
        };
        self.engine.launch(launch).await
    }

    async fn launch(&self, tag: &Tag, plan: &Plan) -> String {
        self.try_launch(tag, plan).await.expect("launched").reference
    }

    async fn end(&self, tag: &Tag, reference: &str) -> Ended {
        end_of(self.engine, JobRef { reference: Some(reference), ..JobRef::from(tag) }).await
    }

    async fn text(&self, tag: &Tag, stream: Stream) -> String {
        let piece = self.engine.logs(JobRef::from(tag), stream, 0, 1 << 20).await.expect("a log");
        String::from_utf8_lossy(&piece.bytes).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drivers_of_all_kinds_end_as_they_should() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new();
    let cluster = Cluster::start(&place.prefix, true).await;
    let (rest, web) = (url(cluster.rest), url(cluster.web));
    let here = engine(&place, &settings(&cluster, &rest, &web, true));
    let asked = Asked { place: &place, engine: &here };
    let jar = jar(place.dir.path());

    // All at once: a jar, Python with a library and hidden arguments, a class that is not there, a jar that is not there.
    let [sum, tells, bad, gone] = ["sum", "tells", "bad", "gone"].map(|name| place.tag(name));
    let sum_id = asked.launch(&sum, &java(&jar, "Sum")).await;
    let mut plan = python(&place, &tells, TELLS, vec!["ü".to_owned(), "hidden".to_owned()]);
    let lib = place.workspace(&tells).join("lib.py");
    fs::write(&lib, "word = 'library'\n").expect("written");
    if let Plan::Spark { secret_args, py_files, .. } = &mut plan {
        *secret_args = true;
        py_files.push(lib);
    }
    let tells_id = asked.launch(&tells, &plan).await;
    let bad_id = asked.launch(&bad, &java(&jar, "Nope")).await;
    let gone_id = asked.launch(&gone, &java(&place.path("no.jar"), "Sum")).await;

    let ended = asked.end(&gone, &gone_id).await;
    assert_eq!(ended.outcome, Outcome::Failed);
    assert!(ended.reason.as_deref().is_some_and(|why| why.contains("no.jar")), "{ended:?}");
    let ended = asked.end(&bad, &bad_id).await;
    assert_eq!(ended.outcome, Outcome::Failed);
    assert!(ended.reason.as_deref().is_some_and(|why| why.contains("ClassNotFoundException: Nope")), "{ended:?}");
    let ended = asked.end(&sum, &sum_id).await;
    let (out, errors) = (asked.text(&sum, Stream::Stdout).await, asked.text(&sum, Stream::Stderr).await);
    assert_eq!(ended.outcome, Outcome::Succeeded, "{ended:?}\n{errors}");
    // The hash as Java computes it.
    let hash = SECRET.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    assert_eq!(out, format!("SUM a b {hash}\n"));
    assert!(errors.contains(sum.as_str()) && !errors.contains("hush"), "{errors}");
    let ended = asked.end(&tells, &tells_id).await;
    let (out, errors) = (asked.text(&tells, Stream::Stdout).await, asked.text(&tells, Stream::Stderr).await);
    assert_eq!(ended.outcome, Outcome::Succeeded, "{ended:?}\n{errors}");
    assert_eq!(out, "library ['ü', 'hidden'] __main__\n");
    assert!(!errors.contains("hidden"), "{errors}");
    // A letter of two bytes is not cut: what is asked for begins in its middle.
    let piece = here.logs(JobRef::from(&tells), Stream::Stdout, 11, 1).await.expect("a piece");
    assert_eq!((piece.bytes.as_slice(), piece.next_offset), (&"ü".as_bytes()[1..], 12), "{out}");

    // Nobody can take on another's name.
    let mut plan = java(&jar, "Sum");
    if let Plan::Spark { conf, .. } = &mut plan {
        conf.insert("spark.x".to_owned(), "\" \"-Dspark.foggara.id=other".to_owned());
    }
    let refused = asked.try_launch(&place.tag("thief"), &plan).await;
    assert!(matches!(&refused, Err(EngineError::Refused(why)) if why.contains("spark.x")), "{refused:?}");

    // What was uploaded is no jar: no driver is made of it.
    let text = place.path("text.jar");
    fs::write(&text, "<html>not found</html>").expect("written");
    let refused = asked.try_launch(&place.tag("text"), &java(&text, "Sum")).await;
    assert!(
        matches!(&refused, Err(EngineError::Refused(why)) if why.starts_with("text.jar is no jar: ")),
        "{refused:?}"
    );

    // The wrong secret is told as such, and nothing was sent.
    let mut wrong = settings(&cluster, &rest, &web, true);
    wrong.auth = foggara_engines::remote::rest::Auth::None;
    let stranger = engine(&place, &wrong);
    let refused =
        Asked { place: &place, engine: &stranger }.try_launch(&place.tag("stranger"), &java(&jar, "Sum")).await;
    assert!(matches!(&refused, Err(EngineError::NotSent(why)) if why.contains("secret_file")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleeping_python_is_killed_with_all_it_started_and_a_queued_driver_is_nobodys() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new();
    let cluster = Cluster::start(&place.prefix, true).await;
    let (rest, web) = (url(cluster.rest), url(cluster.web));
    let here = engine(&place, &settings(&cluster, &rest, &web, true));
    a_sleeping_python_leaves_nothing(&place, &here, &engine(&place, &settings(&cluster, &rest, &web, false))).await;
    a_queued_one_is_nobodys(&place, &here, &engine(&place, &settings(&cluster, &rest, &web, true))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_master_is_understood() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new();
    let mut cluster = Cluster::start(&place.prefix, true).await;
    let (rest, web) = (url(cluster.rest), url(cluster.web));
    let here = engine(&place, &settings(&cluster, &rest, &web, true));
    let asked = Asked { place: &place, engine: &here };
    let over = place.tag("over");
    let over_id = asked.launch(&over, &python(&place, &over, "", Vec::new())).await;
    asked.end(&over, &over_id).await;

    // The master is killed and started again: the running driver goes on, and those that were over are forgotten.
    let runs = place.tag("runs");
    let at_work = place.path("runs");
    let plan = python(&place, &runs, SLEEPS, vec![at_work.display().to_string()]);
    let runs_id = asked.launch(&runs, &plan).await;
    until("it is at work", || async { at_work.exists().then_some(()) }).await;
    let before =
        here.find(JobRef { reference: Some(&over_id), ..JobRef::from(&over) }).await.expect("asked").expect("known");
    cluster.restart_master().await;
    cluster.serves().await;
    let again = engine(&place, &settings(&cluster, &rest, &web, true));
    let job = JobRef { reference: Some(&runs_id), ..JobRef::from(&runs) };
    until("it runs for the new master", || async {
        matches!(again.observe(job).await.ok()?, Observed::Running { .. }).then_some(())
    })
    .await;
    let forgotten =
        again.observe(JobRef { reference: Some(&over_id), ..JobRef::from(&over) }).await.expect("an answer");
    assert!(
        matches!(&forgotten, Observed::Absent { incarnation } if *incarnation != before.incarnation),
        "{forgotten:?}"
    );
    again.stop(job, Stop::Gently).await.expect("stopped");
    let ended = Asked { place: &place, engine: &again }.end(&runs, &runs_id).await;
    assert_eq!((ended.outcome, tagged(&runs)), (Outcome::Killed, vec![]));

    // A master that waits for its worker takes nothing and says nothing of anybody.
    let waits = place.tag("waits");
    cluster.restart_master_without_worker().await;
    let refused = asked.try_launch(&waits, &python(&place, &waits, "", Vec::new())).await;
    assert!(matches!(&refused, Err(EngineError::NotSent(why)) if why.contains("RECOVERING")), "{refused:?}");
    let unknown = here.find(JobRef::from(&waits)).await;
    assert!(matches!(&unknown, Err(EngineError::Unreachable(why)) if why.contains("RECOVERING")), "{unknown:?}");
}

/// Spark calls it killed while its Python sleeps on. With the workers elsewhere Python ends by itself; on this host also all that
/// it started does, before the job is called ended.
async fn a_sleeping_python_leaves_nothing(place: &Place, here: &dyn Engine, elsewhere: &dyn Engine) {
    let tag = place.tag("sleeps");
    let at_work = place.path("sleeps");
    let asked = Asked { place, engine: elsewhere };
    let id = asked.launch(&tag, &python(place, &tag, SLEEPS, vec![at_work.display().to_string()])).await;
    until("it is at work", || async { at_work.exists().then_some(()) }).await;
    let names = || {
        let name = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned();
        let mut names: Vec<String> = tagged(&tag).iter().map(name).filter(|name| !name.is_empty()).collect();
        names.sort();
        names
    };
    let before = names();
    assert!(before.len() == 3 && before[0] == "java" && before[1].starts_with("python"), "{before:?}");
    let job = JobRef { reference: Some(&id), ..JobRef::from(&tag) };
    elsewhere.stop(job, Stop::Gently).await.expect("stopped");
    assert_eq!(asked.end(&tag, &id).await.outcome, Outcome::Killed);
    until("Python ended with its JVM", || async { (names() == ["sleep"]).then_some(()) }).await;
    assert_eq!(Asked { place, engine: here }.end(&tag, &id).await.outcome, Outcome::Killed);
    assert_eq!(names(), Vec::<String>::new());
}

/// A driver that no worker has taken cannot be told from others': a job that may be it is not called absent.
async fn a_queued_one_is_nobodys(place: &Place, engine: &dyn Engine, again: &dyn Engine) {
    let tag = place.tag("queued");
    let mut plan = python(place, &tag, "", Vec::new());
    if let Plan::Spark { conf, .. } = &mut plan {
        conf.insert("spark.driver.memory".to_owned(), "500g".to_owned());
    }
    let sent = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_micros();
    let sent = Timestamp::from_micros(i64::try_from(sent).expect("a time"));
    let id = Asked { place, engine }.launch(&tag, &plan).await;
    let job = JobRef { reference: Some(&id), ..JobRef::from(&tag) };
    assert_eq!(engine.observe(job).await, Ok(Observed::Queued { state: Some("SUBMITTED".to_owned()) }));
    let lost = JobRef { sent_at: Some(sent), ..JobRef::from(&tag) };
    let unknown = again.observe(lost).await;
    assert!(matches!(&unknown, Err(EngineError::Unreachable(why)) if why.contains("1 drivers")), "{unknown:?}");
    // One that was sent long after it is not that one.
    let later = JobRef { sent_at: Some(sent.plus(std::time::Duration::from_secs(3600))), ..JobRef::from(&tag) };
    assert!(matches!(again.observe(later).await, Ok(Observed::Absent { .. })));
    engine.stop(job, Stop::Gently).await.expect("stopped");
    assert_eq!(Asked { place, engine }.end(&tag, &id).await.outcome, Outcome::Killed);
}
