//! The service user's own token.

use std::{sync::Arc, time::Duration};

use foggara_domain::Secret;
use foggara_identity::{Authenticator, Error, keystone::Settings};
use tokio::{task::JoinSet, time::sleep};

use crate::fake::{Fake, Fault, keystone};

/// Asks about one token after the other, never the same.
async fn ask(keystone: &impl Authenticator, number: usize) -> Result<(), Error> {
    match keystone.identify(&format!("unknown-{number}")).await {
        Err(Error::Unauthorized) => Ok(()),
        Err(error) => Err(error),
        Ok(seen) => panic!("{seen:?}"),
    }
}

#[tokio::test]
async fn one_log_in_serves_many_questions() {
    let fake = Fake::start().await;
    let keystone = fake.keystone();
    assert_eq!(fake.place().logins, 0, "nothing is asked before there is a need");
    for number in 0..20 {
        ask(&keystone, number).await.expect("an answer");
    }
    assert_eq!(fake.place().logins, 1);
}

#[tokio::test]
async fn a_token_that_keystone_refuses_is_replaced_once() {
    let fake = Fake::start().await;
    fake.issue("good");
    let keystone = fake.keystone();
    ask(&keystone, 1).await.expect("an answer");
    // As after two rotations of Keystone's keys.
    fake.place().service_tokens.clear();
    keystone.identify("good").await.expect("a token");
    assert_eq!(fake.asked_and_logged_in(), (3, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_meet_the_refusal_share_one_log_in() {
    let fake = Fake::start().await;
    let keystone = Arc::new(fake.keystone());
    ask(&*keystone, 1).await.expect("an answer");
    fake.place().service_tokens.clear();
    fake.place().slow = Duration::from_millis(100);
    let mut all = JoinSet::new();
    for number in 2..22 {
        let keystone = Arc::clone(&keystone);
        all.spawn(async move { ask(&*keystone, number).await });
    }
    while let Some(done) = all.join_next().await {
        done.expect("no panic").expect("an answer");
    }
    assert_eq!(fake.place().logins, 2);
}

#[tokio::test]
async fn refused_with_a_fresh_token_it_gives_up() {
    let fake = Fake::start().await;
    fake.issue("good");
    fake.place().examine_fault = Some(Fault::Error(401));
    let keystone = fake.keystone();
    let answer = keystone.identify("good").await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    assert_eq!(fake.asked_and_logged_in(), (2, 2));
}

#[tokio::test]
async fn it_is_renewed_before_its_end() {
    let fake = Fake::start().await;
    fake.place().lifetime = Duration::from_secs(2);
    let keystone = fake.keystone();
    ask(&keystone, 1).await.expect("an answer");
    assert_eq!(fake.place().logins, 1);
    sleep(Duration::from_millis(1850)).await;
    ask(&keystone, 2).await.expect("an answer");
    assert_eq!(fake.place().logins, 2);
}

#[tokio::test]
async fn while_the_renewal_fails_the_old_one_serves_until_its_end() {
    let fake = Fake::start().await;
    fake.place().lifetime = Duration::from_secs(3);
    let keystone = fake.keystone();
    ask(&keystone, 1).await.expect("an answer");
    fake.place().login_fault = Some(Fault::Status(503));
    sleep(Duration::from_millis(2750)).await;
    ask(&keystone, 2).await.expect("an answer with the old token");
    ask(&keystone, 3).await.expect("an answer with the old token");
    assert_eq!(fake.place().logins, 2, "one attempt to renew");
    sleep(Duration::from_millis(300)).await;
    let answer = ask(&keystone, 4).await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_with_every_request() {
    let fake = Fake::start().await;
    let keystone = keystone(Settings::new(&fake.url, "foggara", Secret::new("wrong")));
    for number in 0..20 {
        let answer = ask(&keystone, number).await;
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    }
    assert_eq!(fake.asked_and_logged_in(), (0, 1));
}

#[tokio::test]
async fn after_a_failure_that_passes_it_logs_in_at_once() {
    let fake = Fake::start().await;
    let keystone = fake.keystone();
    fake.place().login_fault = Some(Fault::Status(503));
    assert!(ask(&keystone, 1).await.is_err());
    fake.place().login_fault = None;
    ask(&keystone, 2).await.expect("an answer");
    keystone.log_in().await.expect("logged in");
    assert_eq!(fake.place().logins, 2);
}
