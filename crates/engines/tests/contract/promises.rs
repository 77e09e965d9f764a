//! What every engine promises. A new engine implements [`Rig`] and passes [`keeps_all`]; nothing else is asked of it.

use foggara_domain::{Tag, job_type::configs::refuse_identity_key, status::Outcome};
use foggara_engines::{Engine, EngineError, JobRef, Observed, Stop, Stream, Voided};
use foggara_testkit::web_page::WebPage;

use crate::{
    place::{end_of, until},
    rig::{Fault, Rig},
};

/// The whole contract.
pub async fn keeps_all(rig: &dyn Rig) {
    identity_keys_are_refused(rig);
    unknown_jobs(rig).await;
    ruled_out(rig).await;
    one_job(rig).await;
    logs_by_offset(rig).await;
    lost_answer(rig).await;
    late_effect(rig).await;
    strange_state(rig).await;
    unauthorized(rig).await;
    deaf(rig).await;
    new_life(rig).await;
    something_else(rig).await;
}

/// Nothing is known, nobody could be asked.
fn is_unreachable<T>(answer: &Result<T, EngineError>) -> bool {
    matches!(answer, Err(EngineError::Unreachable(_) | EngineError::NotSent(_)))
}

/// Runs and is seen; a queue before it is no fault.
async fn runs(rig: &dyn Rig, job: JobRef<'_>) {
    let engine = rig.engine();
    until("the job runs", || async {
        match engine.observe(job).await.expect("an answer") {
            Observed::Running { .. } => Some(()),
            Observed::Queued { .. } => None,
            other => panic!("{other:?}"),
        }
    })
    .await;
    if rig.lags() {
        listed(rig, engine, &[job.tag]).await;
    }
}

/// The list for the sweep is this one: at once, or soon where it may lag.
async fn listed(rig: &dyn Rig, engine: &dyn Engine, tags: &[&Tag]) {
    let list = || async { engine.list(&rig.place().prefix).await.expect("a list") };
    if rig.lags() {
        until("the list is right", || async { list().await.iter().eq(tags.iter().copied()).then_some(()) }).await;
    }
    assert_eq!(list().await.iter().collect::<Vec<_>>(), tags);
}

/// Stops whatever is left of a test, until the engine has nothing alive.
async fn clear(rig: &dyn Rig) {
    until("nothing is left", || async {
        let left = rig.engine().list(&rig.place().prefix).await.expect("a list");
        for tag in &left {
            rig.engine().stop(JobRef::from(tag), Stop::Hard).await.expect("stopped");
        }
        left.is_empty().then_some(())
    })
    .await;
}

fn identity_keys_are_refused(rig: &dyn Rig) {
    for key in rig.identity_keys() {
        let refused = refuse_identity_key("job_configs.configs", key).expect_err("it is ours").to_string();
        assert!(refused.contains(key), "{refused}");
    }
}

async fn unknown_jobs(rig: &dyn Rig) {
    let engine = rig.engine();
    let unknown = rig.place().tag("unknown");
    let job = JobRef::from(&unknown);
    assert_eq!(engine.find(job).await, Ok(None));
    assert!(matches!(engine.observe(job).await, Ok(Observed::Absent { .. })));
    for how in [Stop::Gently, Stop::Hard] {
        assert_eq!(engine.stop(job, how).await, Ok(()), "a stop of what never was is no error");
    }
    let log = engine.logs(job, Stream::Stdout, 7, 100).await.expect("an answer");
    assert_eq!((log.bytes.len(), log.next_offset, log.size), (0, 7, 0));
    assert_eq!(engine.forget(job).await, Ok(()));
}

/// Ruled out: as often as one asks. What the application lets no longer be launched need not be remembered for ever.
async fn ruled_out(rig: &dyn Rig) {
    let engine = rig.engine();
    let void = rig.place().tag("void");
    let job = JobRef::from(&void);
    assert_eq!(engine.void(job, "test").await, Ok(Voided::Yes));
    assert_eq!(engine.void(job, "test again").await, Ok(Voided::Yes));
    assert_eq!(rig.launch(&void).await, Err(EngineError::Voided));
    assert_eq!(engine.find(job).await, Ok(None));
    assert!(matches!(engine.observe(job).await, Ok(Observed::Absent { .. })));
    assert_eq!(rig.restarted().void(job, "after a restart").await, Ok(Voided::Yes));
}

/// One job, whoever asks; stopped by a restarted server.
async fn one_job(rig: &dyn Rig) {
    let (engine, place) = (rig.engine(), rig.place());
    let tag = place.tag("job");
    let launched = rig.launch(&tag).await.expect("launched");
    let job = JobRef { reference: Some(&launched.reference), ..JobRef::from(&tag) };
    if engine.repeats() {
        let found = engine.find(JobRef::from(&tag)).await.expect("asked").expect("found by its tag alone");
        assert_eq!((&found.reference, &found.incarnation), (&launched.reference, &launched.incarnation));
    }
    assert_eq!(engine.void(job, "too late").await, Ok(Voided::TooLate));
    runs(rig, job).await;
    listed(rig, engine, &[&tag]).await;
    assert_eq!(engine.list("another-prefix").await, Ok(vec![]));
    let again = rig.restarted();
    let found = again.find(job).await.expect("asked").expect("a restarted server finds it");
    assert_eq!((&found.reference, &found.incarnation), (&launched.reference, &launched.incarnation));
    assert!(matches!(again.observe(job).await, Ok(Observed::Running { .. })));
    assert_eq!(again.list(&place.prefix).await, Ok(vec![tag.clone()]));

    again.stop(job, Stop::Gently).await.expect("stopped");
    let ended = end_of(again.as_ref(), job).await;
    assert_ne!(ended.outcome, Outcome::Succeeded);
    assert_eq!(again.stop(job, Stop::Hard).await, Ok(()), "a stop may be repeated");
    assert_eq!(engine.observe(job).await, Ok(Observed::Ended(ended)), "an end stays as it is");
    listed(rig, engine, &[]).await;
    engine.forget(job).await.expect("forgotten");
    engine.forget(job).await.expect("forgotten already");
}

/// Logs are read from any byte, and stay when the job is over.
async fn logs_by_offset(rig: &dyn Rig) {
    let engine = rig.engine();
    let tag = rig.place().tag("talks");
    let launched = rig.launch(&tag).await.expect("launched");
    let job = JobRef { reference: Some(&launched.reference), ..JobRef::from(&tag) };
    runs(rig, job).await;
    if rig.fault(Fault::Prints(tag.clone(), "first line\nsecond line\n")).await {
        let from = |offset: u64, limit: usize| async move {
            let piece = engine.logs(job, Stream::Stdout, offset, limit).await.expect("a piece");
            (String::from_utf8_lossy(&piece.bytes).into_owned(), piece.next_offset)
        };
        until("its words", || async { (from(0, 100).await.0 == "first line\nsecond line\n").then_some(()) }).await;
        assert_eq!(from(6, 4).await, ("line".to_owned(), 10));
        assert_eq!(from(23, 100).await, (String::new(), 23));
        if rig.fault(Fault::Ends(tag.clone())).await {
            assert_eq!(end_of(engine, job).await.outcome, Outcome::Succeeded);
            let kept = rig.restarted();
            let piece = kept.logs(job, Stream::Stdout, 11, 6).await.expect("a piece");
            assert_eq!(String::from_utf8_lossy(&piece.bytes), "second");
        }
    }
    clear(rig).await;
}

/// The launch took effect and nobody was told: it is found by its tag, or no second one is made.
async fn lost_answer(rig: &dyn Rig) {
    let engine = rig.engine();
    if !rig.fault(Fault::LostAnswer).await {
        return;
    }
    let tag = rig.place().tag("lost");
    let launched = rig.launch(&tag).await;
    assert!(matches!(launched, Err(EngineError::Unreachable(_))), "{launched:?}");
    until("it is found", || async { (engine.list(&rig.place().prefix).await.ok()? == [tag.clone()]).then_some(()) })
        .await;
    if engine.repeats() {
        assert!(engine.find(JobRef::from(&tag)).await.expect("asked").is_some());
        // As a server would that does not look before.
        let again = rig.launch(&tag).await;
        assert!(!matches!(again, Err(EngineError::Voided)), "{again:?}");
        assert_eq!(engine.list(&rig.place().prefix).await, Ok(vec![tag.clone()]), "one job came of two launches");
    }
    engine.stop(JobRef::from(&tag), Stop::Hard).await.expect("stopped without its reference");
    clear(rig).await;
}

/// The launch takes effect after everybody gave it up: the sweep's list has it.
async fn late_effect(rig: &dyn Rig) {
    let engine = rig.engine();
    if !rig.fault(Fault::LateEffect).await {
        return;
    }
    let tag = rig.place().tag("late");
    let launched = rig.launch(&tag).await;
    assert!(is_unreachable(&launched), "{launched:?}");
    assert_eq!(engine.find(JobRef::from(&tag)).await, Ok(None));
    let sent = JobRef { sent_at: Some(foggara_domain::Timestamp::from_micros(1)), ..JobRef::from(&tag) };
    let voided = if engine.repeats() { Voided::Yes } else { Voided::TooLate };
    assert_eq!(engine.void(sent, "given up").await, Ok(voided));
    assert!(rig.fault(Fault::Effect).await);
    until("the sweep sees it", || async {
        (engine.list(&rig.place().prefix).await.ok()? == [tag.clone()]).then_some(())
    })
    .await;
    clear(rig).await;
}

/// A state of a newer version is shown, and is neither an end nor an absence.
async fn strange_state(rig: &dyn Rig) {
    let tag = rig.place().tag("strange");
    let launched = rig.launch(&tag).await.expect("launched");
    let job = JobRef { reference: Some(&launched.reference), ..JobRef::from(&tag) };
    runs(rig, job).await;
    if rig.fault(Fault::StrangeState(tag.clone())).await {
        until("the state is shown", || async {
            match rig.engine().observe(job).await.expect("an answer") {
                Observed::Running { state: Some(state) } | Observed::Queued { state: Some(state) } => {
                    state.contains("STRANGE").then_some(())
                }
                Observed::Running { .. } | Observed::Queued { .. } => None,
                other => panic!("{other:?}"),
            }
        })
        .await;
    }
    clear(rig).await;
}

/// A credential that is over: nothing is known, and it is said why; afterwards all goes on.
async fn unauthorized(rig: &dyn Rig) {
    let tag = rig.place().tag("stranger");
    let launched = rig.launch(&tag).await.expect("launched");
    let job = JobRef { reference: Some(&launched.reference), ..JobRef::from(&tag) };
    runs(rig, job).await;
    if rig.fault(Fault::Unauthorized).await {
        let list = rig.engine().list(&rig.place().prefix).await;
        assert!(matches!(&list, Err(EngineError::Unreachable(why)) if why.contains("credential")), "{list:?}");
        // For those who asked at the same time the answer holds a moment longer.
        until("it is let in again", || async { rig.engine().observe(job).await.ok() }).await;
        runs(rig, job).await;
    }
    clear(rig).await;
}

/// Unreachable is not gone, however long it lasts.
async fn deaf(rig: &dyn Rig) {
    let engine = rig.engine();
    let tag = rig.place().tag("deaf");
    let launched = rig.launch(&tag).await.expect("launched");
    let job = JobRef { reference: Some(&launched.reference), ..JobRef::from(&tag) };
    runs(rig, job).await;
    if rig.fault(Fault::Deaf(true)).await {
        until("the last list is over", || async { is_unreachable(&engine.observe(job).await).then_some(()) }).await;
        assert!(is_unreachable(&engine.find(job).await));
        assert!(is_unreachable(&engine.list(&rig.place().prefix).await));
        assert!(is_unreachable(&engine.stop(job, Stop::Gently).await), "a stop that was not sent is not called sent");
        assert!(is_unreachable(&rig.restarted().observe(job).await));
        assert!(rig.fault(Fault::Deaf(false)).await);
        until("it answers", || async { engine.observe(job).await.ok() }).await;
        runs(rig, job).await;
    }
    clear(rig).await;
}

/// A service that was restarted and forgot: absent, and of another life than the launch.
async fn new_life(rig: &dyn Rig) {
    let engine = rig.engine();
    let tag = rig.place().tag("forgotten");
    let launched = rig.launch(&tag).await.expect("launched");
    let job = JobRef { reference: Some(&launched.reference), ..JobRef::from(&tag) };
    runs(rig, job).await;
    if rig.fault(Fault::NewLife).await {
        until("it is absent", || async {
            match engine.observe(job).await {
                Ok(Observed::Absent { incarnation }) => {
                    assert_ne!(
                        incarnation, launched.incarnation,
                        "an absence after a restart is no evidence of an end"
                    );
                    Some(())
                }
                Ok(Observed::Ended(ended)) => panic!("{ended:?}"),
                _ => None,
            }
        })
        .await;
    }
    clear(rig).await;
}

/// At the address is a web server of something else: that is said, and is neither an end, nor an absence, nor a launch.
async fn something_else(rig: &dyn Rig) {
    for status in [200, 404] {
        let page = WebPage::start(status).expect("a server");
        let Some(engine) = rig.elsewhere(&page.url()) else { return };
        let tag = rig.place().tag("elsewhere");
        let job = JobRef::from(&tag);
        let list = engine.list(&rig.place().prefix).await;
        assert!(is_unreachable(&list), "{status}: {list:?}");
        let why = list.expect_err("checked").to_string();
        assert!(why.contains(&page.url()), "where: {why}");
        assert!(is_unreachable(&engine.observe(job).await), "{status}");
        assert!(is_unreachable(&engine.find(job).await), "{status}");
        assert!(rig.launch_on(engine.as_ref(), &tag).await.is_err(), "{status}");
    }
    clear(rig).await;
}
