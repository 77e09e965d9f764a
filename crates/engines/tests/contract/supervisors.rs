//! Jobs whose supervisor is killed, forged records, and servers that come and go.

use std::{fs, process::Command, time::Duration};

use foggara_domain::status::Outcome;
use foggara_engines::{Engine, EngineError, JobRef, Observed, Stop};
use rustix::process::Signal;
use serde_json::json;

use crate::place::{Place, kill, lives, tagged, until};

/// Each child in another hiding place: in the group, in another session, and with an empty environment in the job's session.
const HIDING: &str = "(while :; do sleep 0.05; done) & echo $! > child\n\
    (setsid sh -c 'trap \"\" TERM; echo $$ > escaped; while :; do sleep 0.05; done' &)\n\
    env -i /bin/sh -c 'echo $$ > scrubbed; while :; do sleep 0.05; done' &\n\
    while [ ! -s escaped ] || [ ! -s scrubbed ]; do sleep 0.01; done; echo up; while :; do sleep 0.05; done";

#[tokio::test]
async fn a_killed_supervisors_job_is_found_and_stopped() {
    let mut place = Place::new();
    place.kill_grace = Duration::from_millis(300);
    let tag = place.start_up("orphan", HIDING).await;
    let mut pids = Vec::new();
    for file in ["child", "escaped", "scrubbed"] {
        pids.push(place.pid_in(&tag, file).await);
    }
    assert!(pids.iter().all(|pid| lives(*pid)));
    kill(place.shim(&tag), Signal::KILL);
    // The restarted server has never heard of it.
    let again = place.again();
    let ended = until("the end", || async {
        let observed = again.observe(JobRef::from(&tag)).await.expect("an answer");
        match observed {
            Observed::Ended(ended) => {
                assert!(pids.iter().all(|pid| !lives(*pid)), "ended is said when nobody is left");
                Some(ended)
            }
            Observed::Running { .. } => None,
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Failed, None));
    assert_eq!(ended.reason.as_deref(), Some("lost: its supervisor was killed"));
    assert_eq!(tagged(&tag), Vec::<i32>::new());
    assert_eq!(place.end(&tag).await.reason, ended.reason, "every server says the same");
}

#[tokio::test]
async fn a_hard_stop_of_a_lost_job_does_not_wait() {
    let mut place = Place::new();
    place.kill_grace = Duration::from_secs(3600);
    let tag = place.start_up("orphan", HIDING).await;
    kill(place.shim(&tag), Signal::KILL);
    until("the supervisor is gone", || async {
        place.engine.stop(JobRef::from(&tag), Stop::Hard).await.expect("sent");
        matches!(place.engine.observe(JobRef::from(&tag)).await, Ok(Observed::Ended(_))).then_some(())
    })
    .await;
    assert_eq!(tagged(&tag), Vec::<i32>::new());
}

#[tokio::test]
async fn the_job_itself_dies_with_its_supervisor_and_two_looks_say_so() {
    let place = Place::new();
    let tag = place.start_up("alone", "echo up; exec sleep 600").await;
    let main = tagged(&tag);
    assert_eq!(main.len(), 1);
    kill(place.shim(&tag), Signal::KILL);
    // No server looks: the kernel does it.
    until("it died too", || async { (!lives(main[0])).then_some(()) }).await;
    until("the lock is free", || async { (!lives(place.shim(&tag))).then_some(()) }).await;
    assert_eq!(
        place.engine.observe(JobRef::from(&tag)).await,
        Ok(Observed::Running { state: None }),
        "one empty look is none"
    );
    assert!(matches!(place.engine.observe(JobRef::from(&tag)).await, Ok(Observed::Ended(_))));
}

#[tokio::test]
async fn a_lost_job_is_listed_until_it_is_gone() {
    let place = Place::new();
    let tag = place.start_up("listed", "trap '' TERM; echo up; while :; do sleep 0.05; done").await;
    kill(place.shim(&tag), Signal::KILL);
    assert_eq!(place.engine.list(&place.prefix).await, Ok(vec![tag.clone()]));
    place.end(&tag).await;
    assert_eq!(place.engine.list(&place.prefix).await, Ok(vec![]));
}

#[tokio::test]
async fn a_process_with_our_tag_and_no_record_is_listed() {
    let place = Place::new();
    let tag = place.tag("stray");
    let mut stray = Command::new("sleep").arg("600").env("FOGGARA_TAG", tag.as_str()).spawn().expect("started");
    until("it is seen", || async {
        (place.engine.list(&place.prefix).await.expect("listed") == [tag.clone()]).then_some(())
    })
    .await;
    stray.kill().expect("killed");
    stray.wait().expect("waited for");
    assert_eq!(place.engine.list(&place.prefix).await, Ok(vec![]));
}

#[tokio::test]
async fn another_boot_means_gone_without_a_look() {
    let place = Place::new();
    let tag = place.tag("rebooted");
    fs::create_dir_all(place.attempt(&tag)).expect("made");
    let pid = std::process::id();
    let decision = json!({"launch": {"pid": pid, "start_time": 1, "boot_id": "another"}});
    fs::write(place.attempt(&tag).join("decision"), decision.to_string()).expect("written");
    place.engine.stop(JobRef::from(&tag), Stop::Hard).await.expect("nothing is signalled");
    match place.engine.observe(JobRef::from(&tag)).await {
        Ok(Observed::Ended(ended)) => assert_eq!(ended.reason.as_deref(), Some("lost: host restarted")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_pid_that_was_given_to_another_process_is_not_touched() {
    let place = Place::new();
    let mut bystander = Command::new("sleep").arg("600").spawn().expect("started");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("read");
    let tag = place.tag("reused");
    fs::create_dir_all(place.attempt(&tag)).expect("made");
    let decision = json!({"launch": {"pid": bystander.id(), "start_time": 1, "boot_id": boot.trim()}});
    fs::write(place.attempt(&tag).join("decision"), decision.to_string()).expect("written");
    for how in [Stop::Gently, Stop::Hard] {
        place.engine.stop(JobRef::from(&tag), how).await.expect("sent");
    }
    let ended = place.end(&tag).await;
    assert_eq!(ended.reason.as_deref(), Some("lost: its supervisor was killed"));
    assert_eq!(bystander.try_wait().expect("asked"), None, "the bystander lives");
    bystander.kill().expect("killed");
    bystander.wait().expect("waited for");
}

#[tokio::test]
async fn not_being_able_to_look_is_not_gone() {
    let place = Place::new();
    let tag = place.start_up("unseen", "echo up; sleep 600").await;
    let lock = place.attempt(&tag).join("lock");
    let aside = place.attempt(&tag).join("lock.aside");
    fs::rename(&lock, &aside).expect("moved");
    std::os::unix::fs::symlink(&lock, &lock).expect("a link to itself");
    for _ in 0..3 {
        assert!(matches!(place.engine.observe(JobRef::from(&tag)).await, Err(EngineError::Unreachable(_))));
        assert!(matches!(place.engine.stop(JobRef::from(&tag), Stop::Hard).await, Err(EngineError::Unreachable(_))));
    }
    assert!(!place.attempt(&tag).join("exit.json").exists(), "nothing was written down on no evidence");
    assert!(!tagged(&tag).is_empty());
    fs::rename(&aside, &lock).expect("moved back");
    assert!(matches!(place.engine.observe(JobRef::from(&tag)).await, Ok(Observed::Running { .. })));
    place.engine.stop(JobRef::from(&tag), Stop::Hard).await.expect("sent");
    place.end(&tag).await;
}

#[tokio::test]
async fn a_broken_record_is_told_and_not_guessed_at() {
    let place = Place::new();
    let tag = place.tag("broken");
    fs::create_dir_all(place.attempt(&tag)).expect("made");
    fs::write(place.attempt(&tag).join("decision"), "{").expect("written");
    match place.engine.find(JobRef::from(&tag)).await {
        Err(EngineError::Unreachable(why)) => assert!(why.contains("decision"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_outlives_its_server_and_its_log_is_whole() {
    let place = Place::new();
    let script = "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.01; done";
    let tag = place.start("writer", script).await;
    for _ in 0..5 {
        let server = place.again();
        assert!(server.find(JobRef::from(&tag)).await.expect("asked").is_some());
        server.observe(JobRef::from(&tag)).await.expect("an answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(place.end_on(&place.again(), &tag).await.outcome, Outcome::Succeeded);
    let whole: String = (0..60).map(|number| format!("line {number}\n")).collect();
    assert_eq!(place.out(&tag).await, whole);
}
