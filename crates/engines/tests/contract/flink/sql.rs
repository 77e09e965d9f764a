//! Scripts of SQL, and what is said of a program in Python where no Python is.

use std::{fs, path::PathBuf};

use foggara_domain::{Tag, Timestamp, plan::Plan, status::Outcome};
use foggara_engines::{Engine, EngineError, JobRef, Launched, Observed, Stream};

use super::{FlinkRig, engine};
use crate::rig::Rig;

/// Rows 1 to 3, and an end.
const NUMBERS: &str = "CREATE TABLE numbers (n INT) WITH ('connector' = 'datagen', 'number-of-rows' = '3', \
    'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '3');\n";
/// Stands for a password in a script.
const SECRET: &str = "s3cr3t-of-the-script";

impl FlinkRig {
    async fn script(&self, name: &str, text: &str, libs: Vec<PathBuf>) -> (Tag, Result<Launched, EngineError>) {
        let tag = self.place.tag(name);
        let file = self.place.workspace(&tag).join("script.sql");
        fs::write(&file, text).expect("written");
        let script = |plan: &mut Plan| {
            if let Plan::Flink { main, libs: jars, args, .. } = plan {
                (*main, *jars) = (file, libs);
                args.clear();
            }
        };
        let launched = self.launch_as(&tag, script).await;
        (tag, launched)
    }

    async fn stdout(&self, tag: &Tag) -> String {
        let piece = self.engine.logs(JobRef::from(tag), Stream::Stdout, 0, 1 << 20).await.expect("a log");
        String::from_utf8(piece.bytes).expect("text")
    }

    async fn jars(&self) -> usize {
        let list = reqwest::get(format!("{}/jars", self.proxy.url())).await.expect("an answer");
        let list: serde_json::Value = serde_json::from_str(&list.text().await.expect("text")).expect("a list");
        list["files"].as_array().expect("files").len()
    }

    /// All that Flink shows of a job, and what its processes write down.
    async fn shown(&self, id: &str) -> String {
        let mut all = String::new();
        for path in ["", "/config", "/plan", "/jobmanager/config", "/exceptions"] {
            let answer = reqwest::get(format!("{}/jobs/{id}{path}", self.proxy.url())).await.expect("an answer");
            all += &answer.text().await.expect("text");
        }
        for file in ["jobmanager.log", "jobmanager.out", "taskmanager.out"] {
            all += &fs::read_to_string(self.place.path("flink").join(file)).expect("a log");
        }
        all
    }
}

/// What a script reads and writes; a whole one is one job, once.
pub async fn scripts(rig: &FlinkRig) {
    let out = rig.place.path("rows");
    let script = format!(
        "-- Rows of all kinds; and a ';' in a comment.\n{NUMBERS}\
         CREATE TABLE rows_out (n INT, w STRING) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'file://{}');\n\
         CREATE TABLE elsewhere (n INT) WITH ('connector' = 'jdbc', 'url' = 'jdbc:x://y?password={SECRET}', \
         'password' = '{SECRET}');\n\
         SET 'execution.runtime-mode' = 'batch';\n\
         CREATE TEMPORARY FUNCTION twice AS 'Talk$Twice';\n\
         SHOW VIEWS; CREATE VIEW big AS SELECT n FROM numbers WHERE n > 1; SHOW VIEWS;\n\
         /* into the same files */ INSERT INTO rows_out SELECT twice(n), 'a;b' FROM big;\n\
         INSERT INTO rows_out VALUES (CAST(NULL AS INT), 'it''s');\n\
         SELECT count(*) AS many FROM numbers;",
        out.display()
    );
    let before = rig.jars().await;
    let (tag, launched) = rig.script("script", &script, vec![rig.jar.clone()]).await;
    let launched = launched.expect("launched");
    let ended = rig.end(&tag).await;
    assert_eq!((ended.outcome, ended.reason), (Outcome::Succeeded, None));
    let mut rows: Vec<String> = Vec::new();
    for entry in fs::read_dir(&out).expect("a folder") {
        let file = entry.expect("an entry").path();
        rows.extend(fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned));
    }
    rows.sort();
    assert_eq!(rows, [",\"it's\"", "4,a;b", "6,a;b"]);
    // What main printed comes before what tasks printed.
    let printed = rig.stdout(&tag).await;
    let views = printed.matches(" big |").count();
    assert!(views == 1 && printed.ends_with("+I[3]\n"), "{printed}");
    assert_eq!(rig.jars().await, before, "the jar with the script is gone");
    let shown = rig.shown(&launched.reference).await;
    assert!(shown.contains(tag.as_str()) && !shown.contains(SECRET), "{shown}");

    // The same job again is the same job.
    let (_, again) = rig.script("script", &script, vec![rig.jar.clone()]).await;
    assert_eq!(again.expect("there").reference, launched.reference);

    let endless = "CREATE TABLE a (n INT) WITH ('connector' = 'datagen'); CREATE TABLE b (n INT) WITH ('connector' = \
                   'blackhole'); EXECUTE STATEMENT SET BEGIN INSERT INTO b SELECT n FROM a; END;";
    let (tag, launched) = rig.script("endless", endless, Vec::new()).await;
    launched.expect("launched");
    rig.stopped(&tag).await;
}

/// Scripts that cannot run, with the reasons that users read.
pub async fn wrong_scripts(rig: &FlinkRig) {
    let set = "SET 'table.dml-sync' = 'true'; SELECT 1; SELECT 2";
    let own = "CREATE TABLE c WITH ('connector' = 'print') AS SELECT n FROM numbers; SELECT 1";
    let jdbc =
        format!("CREATE TABLE z (n INT) WITH ('connector' = 'nix', 'url' = '{SECRET}'); INSERT INTO z VALUES (1)");
    let file = format!(
        "CREATE TABLE z (n INT) WITH ('connector' = 'filesystem', 'path' = 'x', 'format' = 'csv', 'more' = '{SECRET}'); \
         SELECT 1; INSERT INTO z VALUES (1)"
    );
    for (name, text, says) in [
        ("nothing", "-- nothing;\n;", "script.sql has no statement"),
        ("no-job", "SHOW VIEWS", "no statement of the script makes a job: it has no INSERT and no SELECT"),
        ("no-sql", "SELECT 1; SELEC 2", "statement 2: Non-query expression encountered in illegal context"),
        (
            "no-word",
            "SELECT 1 FROM FROM",
            "statement 1: Incorrect syntax near the keyword 'FROM' at line 1, column 15.",
        ),
        ("no-table", "SELECT 1;\nSELECT n FROM nix", "statement 2: Object 'nix' not found"),
        ("no-connector", &jdbc, "statement 2: Could not find any factory for identifier 'nix'"),
        ("no-option", &file, "statement 3: Unsupported options found for 'filesystem'. Unsupported options: more"),
        ("in-order", set, "with table.dml-sync each INSERT would be a job of its own"),
        ("own", &format!("{NUMBERS}{own}"), "statement 3: a script runs as one job"),
        ("mode", "SET execution.runtime-mode = slow; SELECT 1", "STREAMING, BATCH, AUTOMATIC"),
        ("id", "SET '$internal.pipeline.job-id' = 'a'; SELECT 1", "statement 1: $internal.pipeline.job-id is set by"),
    ] {
        let (tag, launched) = rig.script(name, text, Vec::new()).await;
        let Err(EngineError::Refused(why)) = launched else { panic!("{name}: {launched:?}") };
        assert!(why.contains(says) && !why.contains("io.foggara") && !why.contains(SECRET), "{name}: {why}");
        assert_eq!(rig.engine.find(JobRef::from(&tag)).await, Ok(None), "{name}");
    }
    let python = |plan: &mut Plan| {
        if let Plan::Flink { main, .. } = plan {
            *main = "/x/words.py".into();
        }
    };
    let why = rig.refusal("python", python).await;
    assert!(why.starts_with("words.py is a program in Python") && why.contains("the setting flink.python"), "{why}");
    // Where nobody may see what tasks print.
    let tag = rig.place.tag("unseen");
    let file = rig.place.workspace(&tag).join("script.sql");
    fs::write(&file, "SELECT 1").expect("written");
    let mut plan = rig.plan(&tag).expect("a plan");
    if let Plan::Flink { main, args, .. } = &mut plan {
        *main = file;
        args.clear();
    }
    let unseen = engine(&rig.place.path("data"), &rig.proxy.url(), |settings| settings.shows_stdout = false);
    let launched = unseen.launch(rig.launch_of(&tag, &plan)).await;
    let Err(EngineError::Refused(why)) = launched else { panic!("{launched:?}") };
    assert!(why.starts_with("statement 1: the rows of a SELECT are printed by its tasks"), "{why}");
}

/// What a JobManager does not know is gone only when it has TaskManagers: `ready` says whether it has.
pub async fn unknown_is_gone(rig: &FlinkRig, ready: bool) {
    let tag = rig.place.tag("unknown");
    let job = JobRef { sent_at: Some(Timestamp::from_micros(1)), ..JobRef::from(&tag) };
    match rig.engine.observe(job).await {
        Ok(Observed::Absent { .. }) => assert!(ready),
        Err(EngineError::Unreachable(why)) => assert!(!ready && why.contains("has no TaskManager yet"), "{why}"),
        other => panic!("{other:?}"),
    }
}
