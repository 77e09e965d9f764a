//! Stop until gone: "ended" is said only when no process of the job is left.

use std::{fs, time::Duration};

use foggara_domain::{Tag, status::Outcome};
use foggara_engines::{Engine, JobRef, Observed, Stop};
use rustix::process::Signal;
use tokio::time::Instant;

use crate::place::{Place, kill, lives, tagged, until};

/// A job with children that ignore SIGTERM: one in the group, one that left session and group by a double fork.
const STUBBORN: &str = "trap '' TERM\n\
    (while :; do sleep 0.05; done) & echo $! > child\n\
    (setsid sh -c 'trap \"\" TERM; echo $$ > escaped; while :; do sleep 0.05; done' &)\n\
    while [ ! -s escaped ]; do sleep 0.01; done\n\
    echo up; while :; do sleep 0.05; done";

/// Starts the stubborn job; gives its children too, which live.
async fn stubborn(place: &Place) -> (Tag, [i32; 2]) {
    let tag = place.start_up("stubborn", STUBBORN).await;
    let children = [place.pid_in(&tag, "escaped").await, place.pid_in(&tag, "child").await];
    assert!(children.into_iter().all(lives), "they live before the stop");
    (tag, children)
}

async fn gone(place: &Place, tag: &Tag, children: [i32; 2]) {
    let ended = place.end(tag).await;
    // At once, not some time after: nobody is left when the end is told.
    assert_eq!(tagged(tag), Vec::<i32>::new());
    assert!(!children.into_iter().any(lives));
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Failed, Some(137)));
}

#[tokio::test]
async fn a_gentle_stop_becomes_hard_after_the_grace() {
    let mut place = Place::new();
    place.kill_grace = Duration::from_millis(500);
    let (tag, children) = stubborn(&place).await;
    let asked = Instant::now();
    place.engine.stop(JobRef::from(&tag), Stop::Gently).await.expect("sent");
    place.engine.stop(JobRef::from(&tag), Stop::Gently).await.expect("sent again");
    gone(&place, &tag, children).await;
    assert!(asked.elapsed() >= Duration::from_millis(500), "it had its grace");
    let record = fs::read_to_string(place.attempt(&tag).join("exit.json")).expect("read");
    let record: serde_json::Value = serde_json::from_str(&record).expect("json");
    assert_eq!((&record["stopped"], &record["killed_hard"]), (&true.into(), &true.into()), "{record}");
}

#[tokio::test]
async fn a_hard_stop_does_not_wait() {
    let mut place = Place::new();
    place.kill_grace = Duration::from_secs(3600);
    let (tag, children) = stubborn(&place).await;
    place.engine.stop(JobRef::from(&tag), Stop::Gently).await.expect("sent");
    place.engine.stop(JobRef::from(&tag), Stop::Hard).await.expect("sent");
    gone(&place, &tag, children).await;
}

#[tokio::test]
async fn a_job_may_clean_up() {
    let place = Place::new();
    let script = "trap 'echo bye; exit 7' TERM; (setsid sh -c 'trap \"echo child >> term; exit\" TERM; echo $$ > escaped; \
        while :; do sleep 0.02; done' &); while [ ! -s escaped ]; do sleep 0.01; done; echo up; while :; do sleep 0.02; done";
    let tag = place.start_up("polite", script).await;
    place.engine.stop(JobRef::from(&tag), Stop::Gently).await.expect("sent");
    let ended = place.end(&tag).await;
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Failed, Some(7)));
    assert_eq!(place.out(&tag).await, "up\nbye\n");
    assert_eq!(
        fs::read_to_string(place.workspace(&tag).join("term")).ok().as_deref(),
        Some("child\n"),
        "both heard it"
    );
}

#[tokio::test]
async fn what_a_job_leaves_behind_goes_with_it_and_its_own_code_counts() {
    let mut place = Place::new();
    place.kill_grace = Duration::from_millis(300);
    let script = "(trap '' TERM; echo $$ > child; while :; do sleep 0.05; done) & \
        (setsid sleep 600 & echo $! > escaped); while [ ! -s child ]; do sleep 0.01; done; exit 4";
    let (tag, ended) = place.run("forker", script).await;
    assert_eq!(tagged(&tag), Vec::<i32>::new());
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Failed, Some(4)));
    let (tag, ended) = place.run("fine", "(setsid sleep 600 &); exit 0").await;
    assert_eq!(tagged(&tag), Vec::<i32>::new());
    assert_eq!(ended.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn a_process_that_scrubs_its_environment_is_stopped_too() {
    let place = Place::new();
    let script = "(setsid env -i /bin/sh -c 'echo $$ > escaped; while :; do sleep 0.05; done' &)\n\
        while [ ! -s escaped ]; do sleep 0.01; done; echo up; while :; do sleep 0.05; done";
    let tag = place.start_up("scrubbed", script).await;
    let escaped = place.pid_in(&tag, "escaped").await;
    assert!(lives(escaped) && !tagged(&tag).contains(&escaped));
    place.engine.stop(JobRef::from(&tag), Stop::Gently).await.expect("sent");
    place.end(&tag).await;
    assert!(!lives(escaped));
}

#[tokio::test]
async fn a_job_that_stopped_itself_or_its_supervisor_hears_the_stop() {
    let place = Place::new();
    let tag = place.start_up("frozen", "echo up; kill -STOP $$; sleep 600").await;
    place.engine.stop(JobRef::from(&tag), Stop::Gently).await.expect("sent");
    assert_eq!(place.end(&tag).await.exit_code, Some(143));

    let tag = place.start_up("freezer", "kill -STOP $PPID; echo up; sleep 600").await;
    place.engine.stop(JobRef::from(&tag), Stop::Gently).await.expect("sent");
    assert_eq!(place.end(&tag).await.exit_code, Some(143));
}

#[tokio::test]
async fn a_stop_that_comes_with_the_launch_is_not_lost() {
    let place = Place::new();
    for round in 0..10 {
        let tag = place.start(&format!("early{round}"), "while :; do sleep 0.05; done").await;
        place.engine.stop(JobRef::from(&tag), Stop::Gently).await.expect("sent");
        let ended = place.end(&tag).await;
        assert_eq!(ended.outcome, Outcome::Failed, "{ended:?}");
        assert_eq!(tagged(&tag), Vec::<i32>::new());
    }
}

#[tokio::test]
async fn a_fork_bomb_of_its_own_making_ends() {
    let mut place = Place::new();
    place.kill_grace = Duration::from_millis(200);
    // Each process replaces itself by a new one, so that every look finds others.
    let script = "cat > hop.sh <<'X'\ntrap '' TERM\nsleep 0.01\nsetsid sh hop.sh &\nX\n\
        sh hop.sh & sh hop.sh & sh hop.sh & echo up; while :; do sleep 0.05; done";
    let tag = place.start_up("hopping", script).await;
    place.engine.stop(JobRef::from(&tag), Stop::Gently).await.expect("sent");
    place.end(&tag).await;
    assert_eq!(tagged(&tag), Vec::<i32>::new());
}

#[tokio::test]
async fn other_jobs_are_left_alone() {
    let place = Place::new();
    let stopped = place.start_up("stopped", "echo up; sleep 600").await;
    // Its name begins with the other one's.
    let other = Tag::from(format!("{stopped}0"));
    let plan = place.program(&other, b"echo up; sleep 600");
    place.launch(&other, &plan).await.expect("launched");
    until("it runs", || async { (tagged(&other).len() >= 2).then_some(()) }).await;
    place.engine.stop(JobRef::from(&stopped), Stop::Hard).await.expect("sent");
    place.end(&stopped).await;
    kill(place.shim(&other), Signal::CONT);
    assert!(matches!(place.engine.observe(JobRef::from(&other)).await, Ok(Observed::Running { .. })));
    assert!(tagged(&other).len() >= 2);
    assert_eq!(place.engine.list(&place.prefix).await, Ok(vec![other.clone()]));
    place.engine.stop(JobRef::from(&other), Stop::Hard).await.expect("sent");
    place.end(&other).await;
}
