//! Against a real Keystone, which tests/keystone/client.py makes and describes in variables.

use std::{env, process::Command, time::Duration};

use foggara_domain::Secret;
use foggara_identity::{
    Authenticator, Error, Scope,
    keystone::{Settings, TrustError, Trusts},
};

use crate::fake::keystone;

fn given(name: &str) -> String {
    env::var(format!("REAL_KEYSTONE_{name}")).unwrap_or_else(|_| panic!("REAL_KEYSTONE_{name}: see the file's head"))
}

fn settings() -> Settings {
    let mut settings = Settings::new(given("URL"), "foggara", Secret::new(given("PASSWORD")));
    settings.cache = Duration::from_secs(1);
    settings
}

fn rotate(times: usize) {
    for _ in 0..times {
        let done = Command::new("sh").args(["-c", &given("ROTATE")]).status().expect("a shell");
        assert!(done.success());
    }
}

#[tokio::test]
#[ignore = "needs a real Keystone: tests/keystone/client.py"]
async fn tokens_of_every_kind() {
    let keystone = keystone(settings());
    keystone.log_in().await.expect("logged in");
    let caller = keystone.caller(&given("TOKEN")).await.expect("a caller");
    assert_eq!((caller.user_name.as_str(), caller.project_name.as_str()), ("ada", "demo"));
    assert!(caller.has_role("member") && caller.has_role("reader"), "{caller:?}");
    let found = keystone.endpoint(&given("TOKEN"), &["object-store"], "public", Some("RegionOne")).await;
    assert_eq!(found.expect("an answer"), Some(format!("http://127.0.0.1:1/v1/AUTH_{}", caller.project.as_str())));
    let seen = keystone.identify(&given("APPLICATION_TOKEN")).await.expect("a token");
    assert_eq!(seen.methods, ["application_credential"]);
    assert_eq!(seen.caller().expect("a caller"), caller);
    let unscoped = keystone.identify(&given("UNSCOPED_TOKEN")).await.expect("a token");
    assert_eq!(unscoped.scope, Scope::Unscoped);
    let system = keystone.identify(&given("SYSTEM_TOKEN")).await.expect("a token");
    assert!(system.scope == Scope::Unscoped && system.roles.is_empty(), "{system:?}");
    let domain = keystone.identify(&given("DOMAIN_TOKEN")).await.expect("a token");
    assert!(matches!(domain.scope, Scope::Domain { .. }) && domain.has_role("admin"), "{domain:?}");
    let mut damaged = given("TOKEN");
    damaged.truncate(100);
    let long = "x".repeat(7000);
    for text in ["x", "{}", "%00", "../../users", "\"'", "gAAAAA", damaged.as_str(), long.as_str()] {
        assert_eq!(keystone.identify(text).await, Err(Error::Unauthorized), "{text}");
    }
}

#[tokio::test]
#[ignore = "needs a real Keystone: tests/keystone/client.py"]
async fn trusts_and_rotated_keys() {
    let keystone = keystone(settings());
    let token = Secret::new(given("TOKEN"));
    let caller = keystone.caller(token.reveal()).await.expect("a caller");
    let trust = keystone.create_trust(&token, &caller).await.expect("a trust");
    rotate(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(keystone.caller(token.reveal()).await.expect("a caller"), caller);
    // Now the keys of both tokens, ours and the caller's, are gone: ours is replaced, the caller's is refused.
    rotate(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(keystone.caller(token.reveal()).await, Err(Error::Unauthorized));
    let delegated = keystone.token_for_trust(&trust).await.expect("a token");
    let acting = keystone.caller(delegated.token.reveal()).await.expect("a caller");
    assert_eq!((&acting.user, &acting.project), (&caller.user, &caller.project));
    assert!(caller.roles.iter().all(|role| acting.has_role(role)), "{acting:?}");
    assert!(delegated.catalogue.endpoint(&["object-store"], "public", None).is_some());
    let again = keystone.create_trust(&delegated.token, &acting).await;
    assert!(matches!(again, Err(TrustError::Refused(_))), "{again:?}");
    keystone.delete_trust(&trust).await.expect("deleted");
    keystone.delete_trust(&trust).await.expect("gone is fine");
    assert_eq!(keystone.token_for_trust(&trust).await.map(|_| ()), Err(TrustError::Gone));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(keystone.caller(delegated.token.reveal()).await, Err(Error::Unauthorized), "its tokens end with it");
}

#[tokio::test]
#[ignore = "needs a real Keystone: tests/keystone/client.py"]
async fn a_restricted_application_credential_gives_no_trust() {
    let keystone = keystone(settings());
    let token = Secret::new(given("APPLICATION_TOKEN"));
    let caller = keystone.caller(token.reveal()).await.expect("a caller");
    let answer = keystone.create_trust(&token, &caller).await;
    assert!(matches!(answer, Err(TrustError::Refused(_))), "{answer:?}");
}

#[tokio::test]
#[ignore = "needs a real Keystone: tests/keystone/client.py"]
async fn a_wrong_service_password_is_not_the_callers_fault() {
    let mut settings = settings();
    settings.password = Secret::new("wrong");
    let answer = keystone(settings).identify(&given("TOKEN")).await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
}
