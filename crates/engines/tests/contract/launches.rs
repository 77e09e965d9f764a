//! Launch without doubles: whatever races with what, at most one job comes of a tag, and a launch that was ruled out never
//! starts.

use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

use foggara_domain::Tag;
use foggara_engines::{Engine, EngineError, JobRef, Stop, Voided};

use crate::place::{HOST, Place, until};

/// How often the job of a script that says so was started.
fn times(file: &Path) -> usize {
    fs::read_to_string(file).unwrap_or_default().lines().count()
}

/// Prepares an attempt without starting a shim that works.
async fn prepared(place: &Place, tag: &Tag, script: &str) {
    let broken = Place::with(|settings| {
        settings.data_dir.clone_from(&place.settings.data_dir);
        settings.program = "/bin/false".into();
    });
    let plan = place.program(tag, script.as_bytes());
    match place.launch_on(&broken.engine, tag, &plan).await {
        Err(EngineError::Unreachable(why)) => assert!(why.contains("before it decided"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(place.engine.find(JobRef::from(tag)).await, Ok(None));
}

#[tokio::test]
async fn a_supervisor_that_dies_undecided_is_replaced() {
    let place = Place::new();
    let tag = place.tag("replaced");
    let ran = place.path("ran");
    let script = format!("echo x >> {}", ran.display());
    prepared(&place, &tag, &script).await;
    let plan = place.program(&tag, script.as_bytes());
    place.launch(&tag, &plan).await.expect("launched");
    place.end(&tag).await;
    assert_eq!(times(&ran), 1);
}

#[tokio::test]
async fn of_many_shims_one_wins() {
    let place = Place::new();
    for round in 0..5 {
        let tag = place.tag(&format!("race{round}"));
        let ran = place.path(&format!("ran{round}"));
        prepared(&place, &tag, &format!("echo x >> {}; sleep 0.2", ran.display())).await;
        let shims: Vec<_> = (0..6)
            .map(|_| Command::new(HOST).args(["shim", "--attempt"]).arg(place.attempt(&tag)).spawn().expect("started"))
            .collect();
        let codes: Vec<Option<i32>> =
            shims.into_iter().map(|mut shim| shim.wait().expect("waited for").code()).collect();
        assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
        assert!(codes.iter().all(|code| matches!(code, Some(0 | 3 | 4))), "{codes:?}");
        assert_eq!(place.end(&tag).await.exit_code, Some(0));
        assert_eq!(times(&ran), 1);
        // Late ones too.
        let late = Command::new(HOST).args(["shim", "--attempt"]).arg(place.attempt(&tag)).status().expect("run");
        assert_eq!((late.code(), times(&ran)), (Some(4), 1));
    }
}

#[tokio::test]
async fn a_shim_that_finds_the_lock_taken_decides_nothing() {
    let place = Place::new();
    let tag = place.tag("locked");
    prepared(&place, &tag, "true").await;
    let lock = fs::File::create(place.attempt(&tag).join("lock")).expect("made");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("locked");
    let second = Command::new(HOST).args(["shim", "--attempt"]).arg(place.attempt(&tag)).status().expect("run");
    assert_eq!(second.code(), Some(3));
    assert_eq!(place.engine.find(JobRef::from(&tag)).await, Ok(None));
}

#[tokio::test]
async fn two_servers_that_launch_start_one_job() {
    let place = Place::new();
    let other = place.again();
    for round in 0..5 {
        let tag = place.tag(&format!("double{round}"));
        let ran = place.path(&format!("ran{round}"));
        let plan = place.program(&tag, format!("echo x >> {}; sleep 0.1", ran.display()).as_bytes());
        let (one, two) = tokio::join!(place.launch(&tag, &plan), place.launch_on(&other, &tag, &plan));
        // One may learn only that the other's shim is at it; then it asks again.
        for outcome in [&one, &two] {
            assert!(matches!(outcome, Ok(_) | Err(EngineError::Unreachable(_))), "{outcome:?}");
        }
        let (one, two) = (place.engine.find(JobRef::from(&tag)), other.find(JobRef::from(&tag)));
        assert_eq!(one.await.expect("asked"), two.await.expect("asked"));
        place.end(&tag).await;
        assert_eq!(times(&ran), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn void_against_launch_has_one_winner() {
    let place = Arc::new(Place::new());
    let mut voided = 0;
    for round in 0..40u64 {
        let tag = place.tag(&format!("void{round}"));
        let ran = place.path(&format!("ran{round}"));
        let plan = place.program(&tag, format!("echo x >> {}", ran.display()).as_bytes());
        let (launcher, named) = (Arc::clone(&place), tag.clone());
        let launching = tokio::spawn(async move { launcher.launch(&named, &plan).await });
        // Spread over the time that a launch takes.
        tokio::time::sleep(Duration::from_micros(round * 300)).await;
        let void = place.engine.void(JobRef::from(&tag), "test").await.expect("answered");
        let launch = launching.await.expect("no panic");
        match void {
            Voided::Yes => {
                voided += 1;
                assert_eq!(launch, Err(EngineError::Voided));
                assert_eq!(place.engine.find(JobRef::from(&tag)).await, Ok(None));
                assert_eq!(times(&ran), 0);
            }
            Voided::TooLate => {
                assert!(launch.is_ok(), "{launch:?}");
                place.end(&tag).await;
                assert_eq!(times(&ran), 1);
            }
        }
    }
    assert!(voided >= 1, "the void won at least when it came first");
}

#[tokio::test]
async fn a_refusal_rules_an_earlier_shim_out() {
    let place = Place::new();
    let tag = place.tag("late");
    let ran = place.path("ran");
    prepared(&place, &tag, &format!("echo x >> {}", ran.display())).await;
    // The second try cannot even be made; then the shim of the first one wakes up.
    let plan = place.program(&tag, b"#!/no/such/interpreter\n");
    assert!(matches!(place.launch(&tag, &plan).await, Err(EngineError::Refused(_))));
    let late = Command::new(HOST).args(["shim", "--attempt"]).arg(place.attempt(&tag)).status().expect("run");
    assert_eq!((late.code(), times(&ran)), (Some(4), 0));

    // And when it had won before, the job exists, whatever the second try lacks.
    let tag = place.tag("early");
    let ran = place.path("ran-early");
    prepared(&place, &tag, &format!("echo x >> {}; sleep 600", ran.display())).await;
    let mut early = Command::new(HOST).args(["shim", "--attempt"]).arg(place.attempt(&tag)).spawn().expect("started");
    until("it decided", || async { place.decision(&tag).is_object().then_some(()) }).await;
    assert!(place.launch(&tag, &plan).await.is_ok());
    until("it ran", || async { (times(&ran) == 1).then_some(()) }).await;
    place.engine.stop(JobRef::from(&tag), Stop::Hard).await.expect("sent");
    place.end(&tag).await;
    early.wait().expect("waited for");
}

#[tokio::test]
async fn a_server_that_cannot_start_a_shim_says_so() {
    let place = Place::with(|settings| settings.program = "/no/such/program".into());
    let tag = place.tag("none");
    let plan = place.program(&tag, b"true");
    match place.launch(&tag, &plan).await {
        Err(EngineError::Unreachable(why)) => assert!(why.contains("/no/such/program"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(place.engine.list(&place.prefix).await, Ok(vec![]));
}

#[tokio::test]
async fn no_zombie_stays() {
    let place = Place::new();
    let (tag, _) = place.run("short", "exit 0").await;
    let shim = place.shim(&tag);
    until("the shim was waited for", || async { (!Path::new(&format!("/proc/{shim}")).exists()).then_some(()) }).await;
}
