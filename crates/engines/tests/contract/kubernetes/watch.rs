//! The watch: few requests for many jobs, and nothing missed whatever happens to it.

use std::time::Duration;

use foggara_domain::{Tag, status::Outcome};
use foggara_engines::{JobRef, Observed, Stop, Voided};
use foggara_testkit::kubernetes::FakeKubernetes;

use super::KubernetesRig;
use crate::{
    place::{end_of, until},
    rig::Rig,
};

impl KubernetesRig {
    /// With watches of a second.
    fn with_short_watches() -> Self {
        Self::with(FakeKubernetes::start().expect("a server"), |settings| settings.watch_for = Duration::from_secs(1))
    }

    /// A job that is seen to run by its watch.
    async fn running(&self, name: &str) -> Tag {
        let tag = self.place.tag(name);
        (self as &dyn Rig).launch(&tag).await.expect("launched");
        self.runs(&tag).await;
        self.lists(&[&tag]).await;
        tag
    }

    /// Requests for a list of all pods, and for watches.
    fn lists_and_watches(&self) -> (usize, Vec<String>) {
        let of_pods = "GET /api/v1/namespaces/jobs/pods?";
        let all = self.fake.asked().into_iter().filter(|asked| asked.starts_with(of_pods));
        let (watches, lists): (Vec<String>, Vec<String>) = all.partition(|asked| asked.contains("watch=true"));
        (lists.iter().filter(|asked| asked.contains("foggara-installation")).count(), watches)
    }

    async fn ends(&self, tag: &Tag) {
        let ended = end_of(self.engine(), JobRef::from(tag)).await;
        assert_eq!(ended.outcome, Outcome::Failed);
    }
}

/// Whatever the number of jobs: a list in pages once, then one small request for a look at all of them.
#[tokio::test]
async fn many_jobs_are_listed_once() {
    let rig = KubernetesRig::new();
    let tags: Vec<Tag> = (0..1200).map(|at| rig.place.tag(&format!("many{at}"))).collect();
    rig.fake.fill(rig.place.prefix.trim_end_matches('-'), tags.iter().map(ToString::to_string));
    assert_eq!(rig.engine().list(&rig.place.prefix).await.expect("a list").len(), 1200);
    // Two pages of drivers, one of executors.
    assert_eq!(rig.lists_and_watches().0, 3);
    until("both watches go on", || async { (rig.fake.watches() == 2).then_some(()) }).await;
    let before = rig.fake.asked().len();
    for _ in 0..3 {
        assert_eq!(rig.engine().list(&rig.place.prefix).await.expect("a list").len(), 1200);
    }
    let asked = rig.fake.asked().split_off(before);
    assert_eq!(asked, ["GET /api/v1/namespaces/jobs"; 3]);

    rig.fake.end(tags[1034].as_str(), 3, "Error");
    rig.ends(&tags[1034]).await;
    assert_eq!(rig.lists_and_watches().0, 3);
}

/// Watches end and break; each goes on where the one before was, also over changes of others that it was not told of.
#[tokio::test]
async fn a_watch_goes_on_where_it_was() {
    let rig = KubernetesRig::with_short_watches();
    let tag = rig.running("goes-on").await;
    let lists = rig.lists_and_watches().0;
    // Not of ours: only a bookmark tells of the version.
    rig.fake.print(tag.as_str(), "one\ntwo\n");
    let begun = rig.lists_and_watches().1.len();
    until("watches end by themselves", || async {
        rig.engine().list(&rig.place.prefix).await.expect("a list");
        (rig.lists_and_watches().1.len() >= begun + 4).then_some(())
    })
    .await;
    // What was before the bookmark may be forgotten.
    rig.fake.compact();
    rig.fake.break_watches();
    rig.fake.end(tag.as_str(), 3, "Error");
    rig.ends(&tag).await;
    assert_eq!(rig.lists_and_watches().0, lists, "{:?}", rig.fake.asked());
}

/// The server has forgotten where the watch was: a new list tells what changed meanwhile, what is gone too.
#[tokio::test]
async fn a_forgotten_version_means_a_new_list() {
    let rig = KubernetesRig::new();
    let tag = rig.running("forgotten").await;
    let other = rig.place.tag("gone");
    (&rig as &dyn Rig).launch(&other).await.expect("launched");
    rig.runs(&other).await;
    rig.lists(&[&tag, &other]).await;
    let lists = rig.lists_and_watches().0;
    rig.fake.mute_watches("driver");
    rig.fake.end(tag.as_str(), 3, "Error");
    rig.fake.remove(other.as_str());
    rig.fake.compact();
    rig.fake.break_watches();
    rig.ends(&tag).await;
    assert!(matches!(rig.engine().observe(JobRef::from(&other)).await, Ok(Observed::Absent { .. })));
    // One of each kind of pods.
    assert_eq!(rig.lists_and_watches().0, lists + 2);
}

/// A connection that is dead and does not say so: it is given up in time, and until then nothing wrong is said.
#[tokio::test]
async fn a_dead_watch_is_given_up() {
    let rig = KubernetesRig::with_short_watches();
    let tag = rig.running("dead").await;
    rig.fake.mute_watches("driver");
    rig.fake.end(tag.as_str(), 3, "Error");
    rig.ends(&tag).await;
}

/// Launches and stops do not believe a watch that lags: what is there is found, what is not is not, and nothing of it is called gone.
#[tokio::test]
async fn a_watch_that_lags_hides_nothing() {
    let rig = KubernetesRig::new();
    let first = rig.running("first").await;
    rig.fake.mute_watches("driver");
    let tag = rig.place.tag("unheard");
    (&rig as &dyn Rig).launch_on(rig.restarted().as_ref(), &tag).await.expect("launched");
    let (engine, job) = (rig.engine(), JobRef::from(&tag));
    assert!(engine.find(job).await.expect("asked").is_some());
    assert_eq!(engine.void(job, "too late").await, Ok(Voided::TooLate));
    assert!(matches!(engine.observe(job).await, Ok(Observed::Running { .. } | Observed::Queued { .. })));
    engine.stop(job, Stop::Hard).await.expect("stopped");
    until("it is gone", || async {
        matches!(engine.observe(job).await.expect("an answer"), Observed::Absent { .. }).then_some(())
    })
    .await;
    assert_eq!(engine.find(job).await, Ok(None));

    let job = JobRef::from(&first);
    rig.fake.remove(first.as_str());
    assert_eq!(engine.find(job).await, Ok(None));
    assert_eq!(engine.void(job, "gone").await, Ok(Voided::Yes));
    assert!(matches!(engine.observe(job).await, Ok(Observed::Running { .. })), "it was not told yet");

    // An end that comes before the news of an executor is none.
    let rig = KubernetesRig::new();
    let tag = rig.running("executors").await;
    rig.fake.mute_watches("executor");
    rig.fake.lose_node(true);
    rig.fake.add_executor(tag.as_str(), "exec-1");
    rig.fake.end(tag.as_str(), 3, "Error");
    until("the executor is seen", || async {
        (rig.state(&tag).await.as_deref() == Some("EXECUTORS LEFT")).then_some(())
    })
    .await;
}

/// Nobody watches for an engine that is gone, or that nobody asks.
#[tokio::test]
async fn a_watch_ends_with_whoever_asks() {
    let rig = KubernetesRig::with_short_watches();
    let other = rig.restarted();
    rig.lists(&[]).await;
    other.list(&rig.place.prefix).await.expect("a list");
    until("all go on", || async { (rig.fake.watches() == 4).then_some(()) }).await;
    drop(other);
    until("those of the engine end", || async { (rig.fake.watches() <= 2).then_some(()) }).await;
    until("nobody asks the other", || async { (rig.fake.watches() == 0).then_some(()) }).await;
    let tag = rig.running("again").await;
    rig.fake.end(tag.as_str(), 3, "Error");
    rig.ends(&tag).await;
}
