//! What counts as a valid token, and for how long.

use std::{sync::Arc, time::Duration};

use foggara_domain::Timestamp;
use foggara_identity::{Authenticator, Error, Scope, issuer::Clock};
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use crate::fake::{Fake, HOUR, body, keystone, now};

#[tokio::test]
async fn a_valid_token_gives_its_caller() {
    let fake = Fake::start().await;
    fake.issue("good");
    let keystone = fake.keystone();
    let caller = keystone.caller("good").await.expect("a caller");
    assert_eq!((caller.user.as_str(), caller.user_name.as_str()), ("user-ada", "ada"));
    assert_eq!((caller.project.as_str(), caller.project_name.as_str()), ("project-demo", "demo"));
    assert_eq!(caller.roles, ["member", "reader"]);
    let seen = keystone.identify("good").await.expect("a token");
    assert_eq!((seen.methods, seen.audit_ids), (vec!["password".to_owned()], vec!["audit-1".to_owned()]));
    assert_eq!(seen.user.domain_name, "Default");
    assert!(seen.expires_at > now());
}

#[tokio::test]
async fn an_unknown_token_is_refused_and_asked_about_once() {
    let fake = Fake::start().await;
    let keystone = fake.keystone();
    for _ in 0..5 {
        assert_eq!(keystone.identify("unknown").await, Err(Error::Unauthorized));
    }
    assert_eq!(fake.place().examinations, 1);
}

#[tokio::test]
async fn what_cannot_be_a_token_is_refused_without_a_question() {
    let fake = Fake::start().await;
    let keystone = fake.keystone();
    let long = "x".repeat(8001);
    for text in ["", "two words", "line\nbreak", "t\u{f6}ken", "nul\0", long.as_str()] {
        assert_eq!(keystone.identify(text).await, Err(Error::Unauthorized));
    }
    assert_eq!(fake.asked_and_logged_in(), (0, 0));
}

#[tokio::test]
async fn tokens_without_a_project_identify_but_give_no_caller() {
    let fake = Fake::start().await;
    fake.issue_with("domain", json!({"project": null, "domain": {"id": "default", "name": "Default"}}));
    fake.issue_with("unscoped", json!({"project": null, "roles": null, "catalog": null}));
    let keystone = fake.keystone();
    let domain = keystone.identify("domain").await.expect("a token");
    assert_eq!(domain.scope, Scope::Domain { id: "default".to_owned(), name: "Default".to_owned() });
    assert_eq!(keystone.identify("unscoped").await.expect("a token").scope, Scope::Unscoped);
    for token in ["domain", "unscoped"] {
        assert_eq!(keystone.caller(token).await, Err(Error::NoProject));
    }
}

#[tokio::test]
async fn a_token_from_an_application_credential_is_as_any() {
    let fake = Fake::start().await;
    let credential = json!({"id": "c1", "name": "ci", "restricted": true});
    fake.issue_with("app", json!({"methods": ["application_credential"], "application_credential": credential}));
    let keystone = fake.keystone();
    assert_eq!(keystone.caller("app").await.expect("a caller").project_name, "demo");
    assert_eq!(keystone.identify("app").await.expect("a token").methods, ["application_credential"]);
}

#[tokio::test]
async fn an_answer_counts_for_the_cache_time_and_no_longer() {
    let fake = Fake::start().await;
    fake.issue("good");
    let mut settings = fake.settings();
    settings.cache = Duration::from_millis(400);
    let keystone = keystone(settings);
    for _ in 0..10 {
        keystone.identify("good").await.expect("a token");
    }
    assert_eq!(fake.place().examinations, 1);
    fake.place().subjects.clear();
    sleep(Duration::from_millis(400)).await;
    assert_eq!(keystone.identify("good").await, Err(Error::Unauthorized));
}

#[tokio::test]
async fn the_cache_time_runs_from_the_question_not_from_the_answer() {
    let fake = Fake::start().await;
    fake.issue("good");
    fake.place().slow = Duration::from_millis(300);
    let mut settings = fake.settings();
    settings.cache = Duration::from_millis(250);
    let keystone = keystone(settings);
    keystone.identify("good").await.expect("a token");
    fake.place().subjects.clear();
    assert_eq!(keystone.identify("good").await, Err(Error::Unauthorized));
}

#[tokio::test]
async fn without_a_cache_every_request_asks() {
    let fake = Fake::start().await;
    fake.issue("good");
    let mut settings = fake.settings();
    settings.cache = Duration::ZERO;
    let keystone = keystone(settings);
    for _ in 0..3 {
        keystone.identify("good").await.expect("a token");
    }
    assert_eq!(fake.place().examinations, 3);
}

#[tokio::test]
async fn a_refusal_counts_shortly_even_with_a_long_cache() {
    let fake = Fake::start().await;
    let mut settings = fake.settings();
    settings.cache = Duration::from_millis(200);
    let keystone = keystone(settings);
    assert_eq!(keystone.identify("early").await, Err(Error::Unauthorized));
    fake.issue("early");
    assert_eq!(keystone.identify("early").await, Err(Error::Unauthorized));
    sleep(Duration::from_millis(200)).await;
    keystone.identify("early").await.expect("a token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_at_once_are_one_question() {
    let fake = Fake::start().await;
    fake.issue("good");
    fake.place().slow = Duration::from_millis(200);
    let keystone = Arc::new(fake.keystone());
    let mut all = JoinSet::new();
    for _ in 0..100 {
        let keystone = Arc::clone(&keystone);
        all.spawn(async move { keystone.caller("good").await });
    }
    while let Some(caller) = all.join_next().await {
        assert_eq!(caller.expect("no panic").expect("a caller").user_name, "ada");
    }
    assert_eq!(fake.asked_and_logged_in(), (1, 1));
}

#[tokio::test]
async fn the_first_who_asked_may_go_away() {
    let fake = Fake::start().await;
    fake.issue("good");
    fake.place().slow = Duration::from_millis(200);
    let keystone = Arc::new(fake.keystone());
    let first = tokio::spawn({
        let keystone = Arc::clone(&keystone);
        async move { keystone.identify("good").await }
    });
    while fake.place().examinations == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    first.abort();
    keystone.identify("good").await.expect("a token");
    assert_eq!(fake.place().examinations, 1);
}

#[tokio::test]
async fn many_different_tokens_at_once_all_get_an_answer() {
    let fake = Fake::start().await;
    for number in (0..200).step_by(2) {
        fake.issue(&format!("token-{number}"));
    }
    let keystone = Arc::new(fake.keystone());
    let mut all = JoinSet::new();
    for number in 0..200 {
        let keystone = Arc::clone(&keystone);
        all.spawn(async move { (number, keystone.identify(&format!("token-{number}")).await.is_ok()) });
    }
    while let Some(done) = all.join_next().await {
        let (number, good) = done.expect("no panic");
        assert_eq!(good, number % 2 == 0, "{number}");
    }
    assert_eq!(fake.place().logins, 1);
}

#[tokio::test]
async fn a_token_past_its_end_is_taken_within_the_skew_only() {
    let fake = Fake::start().await;
    let end = now();
    let mut token = body(json!({}), HOUR);
    token["expires_at"] = json!(end.keystone());
    fake.place().subjects.insert("old".to_owned(), token);
    for (late, taken) in [(10, true), (29, true), (31, false)] {
        let mut settings = fake.settings();
        let now = end.plus(Duration::from_secs(late));
        settings.clock = Clock::new(move || now);
        let keystone = keystone(settings);
        assert_eq!(keystone.identify("old").await.is_ok(), taken, "{late} s");
        // Past its end each use is a question of its own, so that Keystone's clock decides.
        assert_eq!(keystone.identify("old").await.is_ok(), taken, "{late} s");
    }
    assert_eq!(fake.place().examinations, 2 + 2 + 1);
}

#[tokio::test]
async fn a_token_that_ends_while_it_is_remembered_is_asked_about_again() {
    let fake = Fake::start().await;
    fake.issue("good");
    let ahead = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let mut settings = fake.settings();
    let clock = Arc::clone(&ahead);
    settings.clock = Clock::new(move || {
        let ahead = clock.load(std::sync::atomic::Ordering::SeqCst);
        Timestamp::from_micros(now().as_micros() + ahead)
    });
    let keystone = keystone(settings);
    keystone.identify("good").await.expect("a token");
    ahead.store(3_605_000_000, std::sync::atomic::Ordering::SeqCst);
    fake.place().subjects.clear();
    assert_eq!(keystone.identify("good").await, Err(Error::Unauthorized));
}
