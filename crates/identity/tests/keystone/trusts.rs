//! Acting for a user whose token is over.

use foggara_domain::Secret;
use foggara_identity::{
    Authenticator,
    keystone::{Keystone, TrustError, Trusts},
};
use serde_json::json;

use crate::fake::{Fake, Fault};

async fn trust(fake: &Fake, keystone: &Keystone) -> String {
    fake.issue("ada-token");
    let caller = keystone.caller("ada-token").await.expect("a caller");
    keystone.create_trust(&Secret::new("ada-token"), &caller).await.expect("a trust")
}

#[tokio::test]
async fn a_trust_delegates_all_roles_of_the_token_to_the_service_user() {
    let fake = Fake::start().await;
    let keystone = fake.keystone();
    let id = trust(&fake, &keystone).await;
    let wanted = json!({
        "trustor_user_id": "user-ada", "trustee_user_id": "user-foggara", "project_id": "project-demo",
        "impersonation": true, "roles": [{"name": "member"}, {"name": "reader"}],
    });
    assert_eq!(fake.place().trusts.get(&id), Some(&wanted));
}

#[tokio::test]
async fn a_trust_gives_tokens_in_the_name_of_its_user() {
    let fake = Fake::start().await;
    let keystone = fake.keystone();
    let id = trust(&fake, &keystone).await;
    fake.place().subjects.remove("ada-token");
    let delegated = keystone.token_for_trust(&id).await.expect("a token");
    assert!(!format!("{delegated:?}").contains("trust-token"));
    let caller = keystone.caller(delegated.token.reveal()).await.expect("a caller");
    assert_eq!((caller.user_name.as_str(), caller.project_name.as_str()), ("ada", "demo"));
    assert_eq!(caller.roles, ["member", "reader"]);
}

#[tokio::test]
async fn it_is_deleted_with_a_token_of_its_own() {
    let fake = Fake::start().await;
    let keystone = fake.keystone();
    let id = trust(&fake, &keystone).await;
    keystone.delete_trust(&id).await.expect("deleted");
    assert!(fake.place().trusts.is_empty());
    assert_eq!(fake.place().deleted_with, [format!("trust-token-{id}")]);
    keystone.delete_trust(&id).await.expect("gone is fine");
    keystone.delete_trust("../../users/admin").await.expect("no id: gone");
    assert_eq!(keystone.token_for_trust(&id).await.map(|_| ()), Err(TrustError::Gone));
}

#[tokio::test]
async fn of_a_disabled_user_only_an_administrator_deletes_it() {
    let fake = Fake::start().await;
    let keystone = fake.keystone();
    let id = trust(&fake, &keystone).await;
    fake.place().trustor_disabled = true;
    assert!(matches!(keystone.token_for_trust(&id).await.map(|_| ()), Err(TrustError::Refused(_))));
    assert!(matches!(keystone.delete_trust(&id).await, Err(TrustError::Refused(_))));
    fake.place().service_is_admin = true;
    keystone.delete_trust(&id).await.expect("deleted");
    assert!(fake.place().trusts.is_empty());
}

#[tokio::test]
async fn a_token_that_may_not_delegate_is_refused() {
    let fake = Fake::start().await;
    fake.issue_with("app", json!({"methods": ["application_credential"]}));
    let keystone = fake.keystone();
    let caller = keystone.caller("app").await.expect("a caller");
    let answer = keystone.create_trust(&Secret::new("app"), &caller).await;
    assert!(matches!(answer, Err(TrustError::Refused(_))), "{answer:?}");
}

#[tokio::test]
async fn an_absent_or_misled_keystone_does_not_mean_that_the_trust_is_gone() {
    let fake = Fake::start().await;
    let keystone = fake.keystone();
    let id = trust(&fake, &keystone).await;
    for fault in [Fault::Status(503), Fault::Status(404), Fault::Body("{}".to_owned())] {
        fake.place().login_fault = Some(fault.clone());
        let answer = keystone.token_for_trust(&id).await.map(|_| ());
        assert_ne!(answer, Err(TrustError::Gone), "{fault:?}");
        assert!(answer.is_err(), "{fault:?}");
        // A new client, which has to log in first.
        let fresh = fake.keystone();
        let answer = fresh.delete_trust(&id).await;
        assert!(matches!(answer, Err(TrustError::Unavailable(_))), "{fault:?}: {answer:?}");
    }
    fake.place().login_fault = Some(Fault::Error(404));
    let fresh = fake.keystone();
    let answer = fresh.delete_trust(&id).await;
    assert!(matches!(answer, Err(TrustError::Unavailable(_))), "{answer:?}");
    assert_eq!(fake.place().trusts.len(), 1);
}
