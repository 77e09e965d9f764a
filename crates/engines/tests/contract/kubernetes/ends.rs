//! Ends: what is left of a job, and when its pod goes.

use std::time::Duration;

use foggara_domain::{Tag, status::Outcome};
use foggara_engines::{Engine, JobRef, Stop, Stream};
use foggara_testkit::kubernetes::FakeKubernetes;

use super::KubernetesRig;
use crate::{
    place::{end_of, until},
    rig::Rig,
};

/// A driver that ended is not the end while an executor lives; nobody has to ask for its removal.
#[tokio::test]
async fn executors_that_are_left_are_alive_and_are_removed() {
    let rig = KubernetesRig::new();
    let tag = rig.place.tag("executors");
    (&rig as &dyn Rig).launch(&tag).await.expect("launched");
    rig.runs(&tag).await;
    rig.fake.add_executor(tag.as_str(), "exec-1");
    rig.fake.add_executor(tag.as_str(), "exec-2");
    rig.engine.list(&rig.place.prefix).await.expect("it has begun");
    rig.fake.lose_node(true);
    rig.fake.end("exec-2", 137, "OOMKilled");
    rig.fake.end(tag.as_str(), 1, "Error");
    until("the executor is seen", || async {
        (rig.state(&tag).await.as_deref() == Some("EXECUTORS LEFT")).then_some(())
    })
    .await;
    rig.lists(&[&tag]).await;
    rig.fake.lose_node(false);
    let ended = end_of(&rig.engine, JobRef::from(&tag)).await;
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Failed, Some(1)));
    assert_eq!(ended.reason.as_deref(), Some("exit code 1; executors OOMKilled: exec-2"));
    assert_eq!(rig.fake.pods(), ["exec-2", tag.as_str()]);
}

/// Ended pods do not pile up; but nothing is removed that nobody can have read.
#[tokio::test]
async fn pods_of_ended_jobs_go_after_a_while() {
    let rig = KubernetesRig::with(FakeKubernetes::start().expect("a server"), |settings| {
        settings.keep_ended = Duration::from_millis(700);
    });
    let tags: Vec<Tag> = (0..7).map(|at| rig.place.tag(&format!("old{at}"))).collect();
    for tag in &tags {
        (&rig as &dyn Rig).launch(tag).await.expect("launched");
    }
    rig.engine.list(&rig.place.prefix).await.expect("a list");
    for tag in &tags {
        rig.fake.end(tag.as_str(), 0, "Completed");
    }
    rig.engine.list(&rig.place.prefix).await.expect("a list");
    assert_eq!(rig.fake.pods().len(), 7);
    until("they go", || async {
        rig.engine.list(&rig.place.prefix).await.expect("a list");
        rig.fake.pods().is_empty().then_some(())
    })
    .await;
    let most = rig.fake.asked().iter().fold((0, 0), |(most, now), asked| match asked.starts_with("DELETE ") {
        true => (most.max(now + 1), now + 1),
        false => (most, 0),
    });
    assert_eq!(most.0, 5, "a few per round");
}

/// A stopped job's pod goes when its end is stored elsewhere, and its log is to be had.
#[tokio::test]
async fn the_pod_of_a_stopped_job_goes_when_it_is_released() {
    let rig = KubernetesRig::new();
    let tag = rig.place.tag("released");
    (&rig as &dyn Rig).launch(&tag).await.expect("launched");
    rig.runs(&tag).await;
    rig.fake.print(tag.as_str(), "so far\n");
    let job = JobRef::from(&tag);
    rig.engine.stop(job, Stop::Gently).await.expect("stopped");
    // Nobody has seen the end, so that nobody has kept the log.
    rig.engine.release(job, true).await.expect("released");
    rig.lists(&[]).await;
    assert_eq!(rig.fake.pods(), [tag.as_str()]);
    let ended = end_of(&rig.engine, job).await;
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Killed, Some(143)));
    rig.engine.release(job, true).await.expect("released");
    until("it goes", || async { rig.fake.pods().is_empty().then_some(()) }).await;
    let kept = rig.engine.logs(job, Stream::Stdout, 0, 100).await.expect("a piece");
    assert_eq!(String::from_utf8_lossy(&kept.bytes), "so far\n");
}
