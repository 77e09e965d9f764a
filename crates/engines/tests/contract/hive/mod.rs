//! The engine of HiveServer2 under the contract, on a real Spark Thrift server of SPARK_HOME. What it runs at a time is asked from
//! Spark's own page, not from the engine.

mod secured;
mod server;

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use foggara_domain::{
    Tag,
    plan::{Plan, SqlScript},
    sql::SqlDialect,
    status::Outcome,
};
use foggara_engines::{
    Ended, Engine, EngineError, JobRef, Launch, Observed, Stop,
    hive::{Hive, HiveSettings},
};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use self::server::{START, Server, free_port};
use crate::{
    place::{Place, kill, tagged, until},
    promises::keeps_all,
    rig::{Fault, Rig},
};

/// Of the operator; Spark's server lets everybody in.
const PASSWORD: &str = "the-operator-s-password";
/// Of a job's settings.
const SECRET: &str = "the-job-s-secret";
/// Its first statement runs until it is stopped.
const LONG: &str = "select reflect('java.lang.Thread', 'sleep', bigint(600000)) from range(0, 1, 1, 1); select 1";

struct HiveRig {
    server: Server,
    engine: Hive,
    place: Place,
}

fn engine(place: &Place, url: &str) -> Hive {
    let file = place.path("password");
    fs::write(&file, format!("{PASSWORD}\n")).expect("written");
    let settings = HiveSettings::of_spark(url).expect("settings").with_password_file(file);
    Hive::new(settings, place.settings.clone()).expect("an engine")
}

async fn launch_on(engine: &Hive, place: &Place, tag: &Tag, script: &str) {
    let plan = HiveRig::sql(script);
    let launch = Launch {
        urls: &BTreeMap::new(),
        tag,
        job_type: "Hive",
        job_name: "job",
        plan: Some(&plan),
        workspace: place.workspace(tag),
        logs: place.path("logs").join(tag.as_str()),
        kill_grace: place.kill_grace,
    };
    engine.launch(launch).await.expect("launched");
}

async fn run_on(engine: &Hive, place: &Place, tag: &Tag) -> Ended {
    launch_on(engine, place, tag, "select 1").await;
    place.end(tag).await
}

impl HiveRig {
    fn start() -> Self {
        let place = Place::new();
        let server = Server::start(place.dir.path());
        Self { engine: engine(&place, &server.url()), server, place }
    }

    fn sql(script: &str) -> Plan {
        Plan::Sql {
            script: SqlScript::Text(script.to_owned()),
            dialect: SqlDialect::Hive,
            database: None,
            variables: [("size".to_owned(), "2".to_owned())].into(),
            settings: [("spark.sql.shuffle.partitions", "3"), ("fs.s3a.secret.key", SECRET)]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            engine: None,
            project: "project".to_owned(),
        }
    }

    async fn launch_sql(&self, tag: &Tag, script: &str) {
        launch_on(&self.engine, &self.place, tag, script).await;
    }

    async fn run_sql(&self, name: &str, script: &str) -> (Tag, Ended) {
        let tag = self.place.tag(name);
        self.launch_sql(&tag, script).await;
        let ended = self.end(&tag).await;
        (tag, ended)
    }

    /// The first statements of a server take long.
    async fn end(&self, tag: &Tag) -> Ended {
        let deadline = Instant::now() + START;
        loop {
            let observed = self.engine.observe(JobRef::from(tag)).await;
            if let Ok(Observed::Ended(ended)) = observed {
                return ended;
            }
            assert!(Instant::now() < deadline, "{tag}: {observed:?}: {}", self.place.errors(tag).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A statement that runs at the server until it is stopped.
    async fn long(&self, name: &str) -> Tag {
        let tag = self.place.tag(name);
        until("nothing runs", || async { (self.server.running() == 0).then_some(()) }).await;
        self.launch_sql(&tag, LONG).await;
        until("it runs at the server", || async { (self.server.running() == 2).then_some(()) }).await;
        tag
    }
}

#[async_trait]
impl Rig for HiveRig {
    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn restarted(&self) -> Box<dyn Engine> {
        Box::new(engine(&self.place, &self.server.url()))
    }

    /// Its client asks, as a process: [`what_is_no_server_for_us_is_named`].
    fn elsewhere(&self, _: &str) -> Option<Box<dyn Engine>> {
        None
    }

    fn place(&self) -> &Place {
        &self.place
    }

    /// Its first statement gives the lines of a file as rows once that is there, its second ends when another file is there. Spark
    /// leaves such scripts alone when it cancels their statement, so that they look for the job's end themselves: its record, or its
    /// attempt forgotten.
    fn plan(&self, tag: &Tag) -> Option<Plan> {
        let folder = self.place.workspace(tag);
        let script = folder.join("wait.sh");
        let text = "while [ -d \"${3%/*}\" ] && [ ! -e \"$1/$2\" ] && [ ! -e \"$3\" ]; do sleep 0.05; done; cat \"$1/$2\" 2>/dev/null; cat >/dev/null";
        fs::write(&script, text).expect("written");
        let wait = |file: &str| {
            let end = self.place.attempt(tag).join("exit.json");
            let words = format!("sh {} {} {file} {}", script.display(), folder.display(), end.display());
            format!("SELECT TRANSFORM(id) USING '{words}' AS (line STRING) FROM range(0, 1, 1, 1)")
        };
        Some(Self::sql(&format!("{};\n{};", wait("say"), wait("over"))))
    }

    fn identity_keys(&self) -> &'static [&'static str] {
        &["FOGGARA_TAG"]
    }

    /// Jobs are processes of this host: a launch has no answer that could be lost on the way, and how a job is is not asked from the
    /// server. What a server that is gone does to a job is tested below.
    async fn fault(&self, fault: Fault) -> bool {
        match fault {
            Fault::Prints(tag, text) => {
                let said = self.place.workspace(&tag).join("said");
                fs::write(&said, text).expect("written");
                fs::rename(said, self.place.workspace(&tag).join("say")).expect("told");
            }
            Fault::Ends(tag) => fs::write(self.place.workspace(&tag).join("over"), "").expect("told"),
            _ => return false,
        }
        true
    }
}

/// One server for all of it, since it takes long to start.
#[tokio::test(flavor = "multi_thread")]
async fn hive_keeps_the_contract() {
    let rig = HiveRig::start();
    rows_and_errors_of_statements(&rig).await;
    what_ended_does_not_go_on_at_the_server(&rig).await;
    what_ended_while_it_began_does_not_go_on(&rig).await;
    secured::tls_before_the_server(&rig).await;
    crate::yarn::statements::run_on_the_clusters_server(&rig.server.url(), &|| rig.server.running()).await;
    keeps_all(&rig).await;
    a_server_that_is_killed_in_the_middle(rig).await;
}

async fn what_ended_does_not_go_on_at_the_server(rig: &HiveRig) {
    // Stopped gently, hard, and with its supervisor killed: as soon as it is called ended, nothing of it runs.
    let gentle = rig.long("gentle").await;
    no_secret_is_seen(rig, &gentle).await;
    rig.engine.stop(JobRef::from(&gentle), Stop::Gently).await.expect("stopped");
    assert_eq!(rig.end(&gentle).await.exit_code, Some(143));
    until("nothing runs", || async { (rig.server.running() == 0).then_some(()) }).await;

    for name in ["hard", "orphan"] {
        let tag = rig.long(name).await;
        let note = rig.place.attempt(&tag).join("session");
        assert!(note.exists(), "its session is noted while it is open");
        if name == "hard" {
            rig.engine.stop(JobRef::from(&tag), Stop::Hard).await.expect("stopped");
        } else {
            kill(rig.place.shim(&tag), Signal::KILL);
        }
        // The process is gone and the server is not asked: the job has not ended.
        until("its process is gone", || async {
            let observed = rig.place.engine.observe(JobRef::from(&tag)).await;
            matches!(observed, Ok(Observed::Ended(_))).then_some(())
        })
        .await;
        assert_eq!(rig.engine.list(&rig.place.prefix).await, Ok(vec![tag.clone()]), "{name}");
        assert_eq!(rig.end(&tag).await.outcome, Outcome::Failed);
        assert!(!note.exists());
        let begun = Instant::now();
        until("nothing runs", || async { (rig.server.running() == 0).then_some(()) }).await;
        // Spark's tasks take a moment to notice; far less than the 5 s after which it would itself miss the client.
        assert!(begun.elapsed() < Duration::from_secs(2), "{name}: {:?}", begun.elapsed());
        assert_eq!(rig.engine.list(&rig.place.prefix).await, Ok(vec![]));
    }
}

/// Not on a command line, in an environment, in a log or in a file of the attempt; and the file that brought them is gone.
async fn no_secret_is_seen(rig: &HiveRig, tag: &Tag) {
    let pids = tagged(tag);
    assert!(!pids.is_empty());
    let mut seen: Vec<PathBuf> =
        pids.iter().flat_map(|pid| ["cmdline", "environ"].map(|file| format!("/proc/{pid}/{file}").into())).collect();
    for folder in [rig.place.attempt(tag), rig.place.path("logs").join(tag.as_str()), rig.place.workspace(tag)] {
        seen.extend(fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()));
    }
    for path in seen.into_iter().filter(|path| !path.is_dir()) {
        let text = String::from_utf8_lossy(&fs::read(&path).expect("read")).into_owned();
        assert!(![PASSWORD, SECRET].iter().any(|secret| text.contains(secret)), "{}", path.display());
    }
}

/// The server lists a statement with its session only after it began it: a session that is closed in between would leave it running
/// (one in three, before the engine knew of that).
async fn what_ended_while_it_began_does_not_go_on(rig: &HiveRig) {
    for round in 0..8 {
        let tag = rig.place.tag(&format!("begins{round}"));
        rig.launch_sql(&tag, LONG).await;
        let begins = rig.place.attempt(&tag).join("session.begins");
        let deadline = Instant::now() + START;
        while !begins.exists() {
            // It may have been there between two looks.
            if rig.server.running() > 0 {
                break;
            }
            assert!(Instant::now() < deadline, "{tag} begins nothing: {}", rig.place.errors(&tag).await);
        }
        if round % 2 == 0 {
            rig.engine.stop(JobRef::from(&tag), Stop::Gently).await.expect("stopped");
        } else {
            kill(rig.place.shim(&tag), Signal::KILL);
        }
        rig.end(&tag).await;
        assert!(!begins.exists());
    }
    // Whatever went on would have reached Spark by the time that this is through.
    let (_, ended) = rig.run_sql("through", "select count(*) from range(0, 4, 1, 4)").await;
    assert_eq!(ended.outcome, Outcome::Succeeded);
    until("nothing runs", || async { (rig.server.running() == 0).then_some(()) }).await;
}

async fn rows_and_errors_of_statements(rig: &HiveRig) {
    let script = "create table numbers using parquet as select id n, id / 4 q, if(id = 1, null, concat('a;', id)) t from range(0, ${size});\n\
                  select n, q, t, cast(n as decimal(5,2)) d, n = 1 b, array(n) a from numbers order by n; -- the end;\n\
                  set spark.sql.shuffle.partitions;";
    let (tag, ended) = rig.run_sql("rows", script).await;
    assert_eq!((ended.outcome, ended.reason), (Outcome::Succeeded, None), "{}", rig.place.errors(&tag).await);
    let out = rig.place.out(&tag).await;
    assert_eq!(out, "0\t0.0\ta;0\t0.00\tfalse\t[0]\n1\t0.25\tNULL\t1.00\ttrue\t[1]\nspark.sql.shuffle.partitions\t3\n");
    let mut results = rig.engine.results(&tag).await.expect("asked").expect("there are some");
    let mut text = String::new();
    results.body.read_to_string(&mut text).await.expect("read");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let row = serde_json::json!({"n": "1", "q": "0.25", "t": null, "d": "1.00", "b": "true", "a": "[1]"});
    assert_eq!(document["sql_results"]["1"][1], row);
    let kinds: Vec<&str> = results.answer.statements.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, ["CREATE", "SELECT", "SET"]);

    let (_, ended) = rig.run_sql("syntax", "select 1;\nselec 2").await;
    let reason = ended.reason.expect("a reason");
    assert!(reason.contains("statement 2 of 2") && reason.contains("PARSE_SYNTAX_ERROR"), "{reason}");
    assert!(reason.contains("line 1, pos 0") && !reason.contains("\tat "), "{reason}");
    let (_, ended) = rig.run_sql("table", "select * from no_such_table").await;
    let reason = ended.reason.expect("a reason");
    assert!(reason.contains("no_such_table") && reason.contains("TABLE_OR_VIEW_NOT_FOUND"), "{reason}");

    let elsewhere = engine(&rig.place, &format!("jdbc:hive2://127.0.0.1:{}/no_such_database", rig.server.port));
    let tag = rig.place.tag("database");
    let reason = run_on(&elsewhere, &rig.place, &tag).await.reason.expect("a reason");
    assert!(reason.contains("no_such_database"), "{reason}");
}

async fn a_server_that_is_killed_in_the_middle(mut rig: HiveRig) {
    let tag = rig.long("middle").await;
    rig.server.kill();
    until("its process gave up", || async {
        let observed = rig.place.engine.observe(JobRef::from(&tag)).await;
        matches!(observed, Ok(Observed::Ended(_))).then_some(())
    })
    .await;
    let observed = rig.engine.observe(JobRef::from(&tag)).await;
    assert!(
        matches!(&observed, Err(EngineError::Unreachable(why)) if why.contains("cannot be reached")),
        "unreachable is not gone: {observed:?}"
    );
    // It comes back with another transport, which the operator says to the engine.
    secured::restart_by_https(&mut rig).await;
    let ended = rig.end(&tag).await;
    let reason = ended.reason.expect("a reason");
    assert!(reason.contains("statement 1 of 2") && reason.contains("broke off"), "{reason}");
    secured::statements_by_https(&rig).await;
}

/// Answers a log-in as told, with Thrift's framing of SASL.
fn answers(words: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 64];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(&words);
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_server_for_us_is_named() {
    let place = Place::new();
    let refused = [&[3, 0, 0, 0, 26][..], b"Error validating the login"].concat();
    for (name, port, why) in [
        ("closed", free_port(), "cannot be reached"),
        ("web", answers(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "is this its Thrift port"),
        ("login", answers(refused), "does not let 'foggara' in: the credential is missing, wrong or over"),
    ] {
        let engine = engine(&place, &format!("jdbc:hive2://127.0.0.1:{port}/default"));
        let tag = place.tag(name);
        let reason = run_on(&engine, &place, &tag).await.reason.expect("a reason");
        assert!(reason.contains(why), "{name}: {reason}");
    }
}
