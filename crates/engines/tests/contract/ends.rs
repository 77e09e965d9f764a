//! How a job ends and what is told of it, and what a job finds around it.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use foggara_domain::{plan::Plan, status::Outcome};
use foggara_engines::{Engine, EngineError, JobRef, Observed};

use crate::place::{Place, until};

#[tokio::test]
async fn exit_codes_and_signals() {
    let place = Place::new();
    let cases = [
        ("exit 0", Outcome::Succeeded, Some(0), None),
        ("exit 3", Outcome::Failed, Some(3), Some("exit code 3")),
        ("exit 255", Outcome::Failed, Some(255), Some("exit code 255")),
        ("kill -9 $$", Outcome::Failed, Some(137), Some("killed by signal 9")),
        ("kill -TERM $$", Outcome::Failed, Some(143), Some("killed by signal 15")),
    ];
    for (number, (script, outcome, code, reason)) in cases.into_iter().enumerate() {
        let (_, ended) = place.run(&format!("case{number}"), script).await;
        assert_eq!((ended.outcome, ended.exit_code, ended.reason.as_deref()), (outcome, code, reason), "{script}");
        let (started, at) = (ended.started_at.expect("a start"), ended.ended_at.expect("an end"));
        assert!(started <= at);
    }
}

#[tokio::test]
async fn what_it_used_is_told_with_its_children() {
    let place = Place::new();
    let burn = "(i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done) & wait";
    let (_, ended) = place.run("burner", burn).await;
    let usage = ended.usage.expect("usage");
    assert!(usage.user_seconds > 0.02, "{usage:?}");
    assert!(usage.max_rss_bytes > 500_000, "{usage:?}");
}

#[tokio::test]
async fn the_end_rings_at_once_also_for_a_restarted_server() {
    let place = Place::new();
    let go = place.path("go");
    let script = format!("echo up; while [ ! -e {} ]; do sleep 0.02; done", go.display());
    let tag = place.start_up("rings", &script).await;
    // One adopts it by its tag, one learns of it only when it asks how the job is.
    let (again, asking) = (place.again(), place.again());
    again.find(JobRef::from(&tag)).await.expect("asked");
    asking.observe(JobRef::from(&tag)).await.expect("asked");
    for engine in [&place.engine, &again, &asking] {
        // Whatever rang until now is no news.
        let changed = engine.changed();
        let _ = tokio::time::timeout(Duration::from_millis(1), changed.notified()).await;
    }
    fs::write(&go, "").expect("written");
    for engine in [&place.engine, &again, &asking] {
        tokio::time::timeout(Duration::from_secs(20), engine.changed().notified()).await.expect("it rings");
        assert!(matches!(engine.observe(JobRef::from(&tag)).await, Ok(Observed::Ended(_))), "and it has ended by then");
    }
}

#[tokio::test]
async fn scripts_run_by_their_first_line_or_by_the_shell() {
    let place = Place::new();
    let cases: [(&str, &[u8], &str); 3] = [
        ("plain", b"echo $0 | grep -c main.sh; echo plain", "1\nplain\n"),
        ("awk", b"#!/usr/bin/awk -f\nBEGIN { print \"by awk\" }\n", "by awk\n"),
        ("empty", b"", ""),
    ];
    for (name, script, out) in cases {
        let tag = place.tag(name);
        let plan = place.program(&tag, script);
        place.launch(&tag, &plan).await.expect("launched");
        assert_eq!(place.end(&tag).await.outcome, Outcome::Succeeded, "{name}");
        assert_eq!(place.out(&tag).await, out, "{name}");
    }
}

#[tokio::test]
async fn what_cannot_run_is_refused_or_fails_with_the_cause() {
    let place = Place::new();
    let refused: [(&str, &[u8], &str); 2] = [
        ("interpreter", b"#!/no/such/thing -x\n", "/no/such/thing"),
        ("windows", b"#!/bin/sh\r\necho no\r\n", "CR LF"),
    ];
    for (name, script, cause) in refused {
        let tag = place.tag(name);
        let plan = place.program(&tag, script);
        match place.launch(&tag, &plan).await {
            Err(EngineError::Refused(reason)) => assert!(reason.contains(cause), "{reason}"),
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(place.engine.find(JobRef::from(&tag)).await, Ok(None), "refused means that it does not exist");
    }
    let tag = place.tag("machine");
    let plan = place.program(&tag, b"\x7fELF nothing that the kernel takes");
    place.launch(&tag, &plan).await.expect("launched");
    let ended = place.end(&tag).await;
    let reason = ended.reason.unwrap_or_default();
    assert!(reason.starts_with("exit code 126: cannot run ") && reason.contains("Exec format error"), "{reason}");
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Failed, Some(126)));
    assert!(place.errors(&tag).await.contains("Exec format error"), "the job's log says it too");

    let tag = place.tag("nowhere");
    let plan = place.program(&tag, b"true");
    fs::remove_dir_all(place.workspace(&tag)).expect("removed");
    match place.launch(&tag, &plan).await {
        Err(EngineError::Refused(reason)) => assert!(reason.contains("main.sh"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_finds_its_own_environment_and_nothing_of_the_servers() {
    let place = Place::new();
    let tag = place.tag("environment");
    let Plan::Program { main, .. } = place.program(
        &tag,
        b"tr '\\0' '\\n' < /proc/$$/environ | grep -c FOGGARA_TAG; pwd; for a; do echo \"<$a>\"; done; env | sort",
    ) else {
        unreachable!("a program")
    };
    let env = BTreeMap::from([
        ("WORD".to_owned(), "two words".to_owned()),
        ("LANG".to_owned(), "de_DE.UTF-8".to_owned()),
        ("FOGGARA_TAG".to_owned(), "another".to_owned()),
    ]);
    let args = vec!["a b".to_owned(), String::new(), "$HOME".to_owned()];
    let plan = Plan::Program { main, args, env };
    place.launch(&tag, &plan).await.expect("launched");
    assert_eq!(place.end(&tag).await.outcome, Outcome::Succeeded);
    let home = place.workspace(&tag).canonicalize().expect("there").display().to_string();
    let out = place.out(&tag).await;
    let mut lines = out.lines();
    assert_eq!(lines.by_ref().take(5).collect::<Vec<_>>(), ["1", &home, "<a b>", "<>", "<$HOME>"]);
    let names: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once('=')).collect();
    let of = |name: &str| names.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    assert_eq!(of("FOGGARA_TAG"), Some(tag.as_str()), "the tag is ours to set");
    assert_eq!((of("WORD"), of("LANG"), of("HOME")), (Some("two words"), Some("de_DE.UTF-8"), Some(home.as_str())));
    let known = ["FOGGARA_TAG", "HOME", "LANG", "OLDPWD", "PATH", "PWD", "SHLVL", "TZ", "WORD", "_"];
    assert!(names.iter().all(|(name, _)| known.contains(name)), "{names:?}");
}

#[tokio::test]
async fn what_the_kernel_cannot_pass_is_refused() {
    let place = Place::new();
    let tag = place.tag("zero");
    let Plan::Program { main, env, .. } = place.program(&tag, b"true") else { unreachable!("a program") };
    let plan = Plan::Program { main: main.clone(), args: vec!["a\0b".to_owned()], env };
    assert!(matches!(place.launch(&tag, &plan).await, Err(EngineError::Refused(reason)) if reason.contains("zero")));
    let env = BTreeMap::from([("A=B".to_owned(), "x".to_owned())]);
    let plan = Plan::Program { main, args: Vec::new(), env };
    let tag = place.tag("name");
    assert!(matches!(place.launch(&tag, &plan).await, Err(EngineError::Refused(reason)) if reason.contains("A=B")));
}

#[tokio::test]
async fn a_full_disk_under_the_logs_is_the_jobs_matter_only() {
    let place = Place::new();
    let tag = place.tag("full");
    let logs = place.log(&tag, "stdout").parent().map(Path::to_owned).expect("a folder");
    fs::create_dir_all(&logs).expect("made");
    for name in ["stdout", "stderr"] {
        std::os::unix::fs::symlink("/dev/full", logs.join(name)).expect("linked");
    }
    let plan = place.program(&tag, b"echo something || exit 9");
    place.launch(&tag, &plan).await.expect("launched");
    let ended = place.end(&tag).await;
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Failed, Some(9)));
}

#[tokio::test]
async fn what_it_was_started_with_is_forgotten_at_its_end() {
    let place = Place::new();
    let tag = place.tag("secret");
    let Plan::Program { main, args, .. } = place.program(&tag, b"exit 0") else { unreachable!("a program") };
    let env = BTreeMap::from([("PASSWORD".to_owned(), "a-very-secret-word".to_owned())]);
    place.launch(&tag, &Plan::Program { main, args, env }).await.expect("launched");
    place.end(&tag).await;
    until("no file of the attempt holds it", || async {
        let files = fs::read_dir(place.attempt(&tag)).expect("listed").flatten();
        let mut texts =
            files.map(|file| String::from_utf8_lossy(&fs::read(file.path()).unwrap_or_default()).into_owned());
        (!texts.any(|text| text.contains("a-very-secret-word"))).then_some(())
    })
    .await;
}
