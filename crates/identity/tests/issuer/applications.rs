//! Application credentials, and the scope of the system.

use std::time::Duration;

use foggara_domain::Secret;
use foggara_identity::{
    Authenticator as _, Error, Scope,
    issuer::{
        ApplicationRef, Issuer, Login, LoginError, Method, NewApplicationCredential, ProjectRef, UserRef, WantedScope,
    },
};

use crate::{
    on_both,
    place::{Place, by_token, demo},
};

fn with(named: ApplicationRef, secret: &Secret, scope: WantedScope) -> Login {
    Login { methods: vec![Method::Application(named, secret.clone())], scope }
}

fn new(name: &str) -> NewApplicationCredential {
    NewApplicationCredential { name: name.to_owned(), ..NewApplicationCredential::default() }
}

async fn bearer(place: &Place, issuer: &Issuer) -> foggara_identity::Identified {
    place.log_in(issuer, demo()).await.expect("a token").identified
}

on_both! {
    async fn a_credential_logs_in_by_id_and_by_name(place: Place) {
        let issuer = place.issuer().await;
        let admin = bearer(&place, &issuer).await;
        let asked = NewApplicationCredential { roles: Some(vec!["member".to_owned()]), ..new("ci") };
        let (made, secret) = issuer.make_application(&admin, asked).await.expect("a credential");
        assert_eq!(secret.reveal().len(), 64);
        let by_id = || ApplicationRef::Id(made.id.clone());
        let by_name = ApplicationRef::Name("ci".to_owned(), UserRef::Id(admin.user.id.clone()));
        for named in [by_id(), by_name] {
            let issued = issuer.log_in(&with(named, &secret, WantedScope::Default), place.address()).await.expect("a token");
            let caller = issuer.caller(issued.token.reveal()).await.expect("a caller");
            assert_eq!((caller.project_name.as_str(), caller.roles), ("demo", vec!["member".to_owned()]));
            assert_eq!(issued.identified.methods, ["application_credential"]);
            let shown = issued.identified.credential.expect("named in the token");
            assert_eq!((shown.name.as_str(), shown.restricted), ("ci", true));
        }
        for scope in [WantedScope::Unscoped, demo(), WantedScope::System] {
            let refused = issuer.log_in(&with(by_id(), &secret, scope.clone()), place.address()).await.err();
            assert_eq!(refused, Some(LoginError::Refused), "{scope:?}: the credential says what it is for");
        }
        let wrong = issuer.log_in(&with(by_id(), &Secret::new("wrong"), WantedScope::Default), place.address()).await;
        assert_eq!(wrong.err(), Some(LoginError::Refused));
        let unknown = ApplicationRef::Id("0".repeat(32));
        let unknown = issuer.log_in(&with(unknown, &secret, WantedScope::Default), place.address()).await;
        assert_eq!(unknown.err(), Some(LoginError::Refused));
    }

    async fn its_token_leads_nowhere_else(place: Place) {
        let issuer = place.issuer().await;
        let admin = bearer(&place, &issuer).await;
        let (made, secret) = issuer.make_application(&admin, new("ci")).await.expect("a credential");
        let login = with(ApplicationRef::Id(made.id.clone()), &secret, WantedScope::Default);
        let first = issuer.log_in(&login, place.address()).await.expect("a token");
        for scope in [WantedScope::Unscoped, WantedScope::System, WantedScope::Project(ProjectRef::Id("x".into()))] {
            let refused = issuer.log_in(&by_token(&first.token, scope.clone()), place.address()).await.err();
            assert_eq!(refused, Some(LoginError::Refused), "{scope:?}");
        }
        let same = WantedScope::Project(ProjectRef::Id(made.project.to_string()));
        let again = issuer.log_in(&by_token(&first.token, same), place.address()).await.expect("the same project");
        assert!(again.identified.credential.is_some());
        let second = issuer.make_application(&first.identified, new("second")).await.err();
        assert!(second.expect("refused").to_string().contains("restricted"));
        assert!(issuer.end_application(&admin.user.id, &made.id).await.expect("an answer"));
        assert_eq!(issuer.identify(first.token.reveal()).await, Err(Error::Unauthorized), "its tokens end with it");
        assert_eq!(issuer.identify(again.token.reveal()).await, Err(Error::Unauthorized));
        assert!(!issuer.end_application(&admin.user.id, &made.id).await.expect("an answer"));
    }

    async fn names_roles_and_ends_are_checked(place: Place) {
        let issuer = place.issuer().await;
        let admin = bearer(&place, &issuer).await;
        issuer.make_application(&admin, new("ci")).await.expect("a credential");
        let text = |outcome: foggara_domain::Result<_>| outcome.map(|_| ()).expect_err("refused").to_string();
        assert!(text(issuer.make_application(&admin, new("ci")).await).contains("already"));
        let foreign = NewApplicationCredential { roles: Some(vec!["reader".to_owned()]), ..new("r") };
        assert!(text(issuer.make_application(&admin, foreign).await).contains("does not have the role 'reader'"));
        let unscoped = place.log_in(&issuer, WantedScope::Unscoped).await.expect("a token").identified;
        assert!(text(issuer.make_application(&unscoped, new("u")).await).contains("project scope"));
        let end = admin.issued_at.plus(Duration::from_secs(60));
        let short = NewApplicationCredential { expires_at: Some(end), ..new("short") };
        let (made, secret) = issuer.make_application(&admin, short).await.expect("a credential");
        let login = with(ApplicationRef::Id(made.id), &secret, WantedScope::Default);
        let issued = issuer.log_in(&login, place.address()).await.expect("a token");
        place.later(Duration::from_secs(61));
        assert_eq!(issuer.identify(issued.token.reveal()).await, Err(Error::Unauthorized));
        assert_eq!(issuer.log_in(&login, place.address()).await.err(), Some(LoginError::Refused));
        assert_eq!(issuer.applications_of(&admin.user.id).await.expect("a list").len(), 2);
    }

    async fn the_system_is_for_its_administrators(place: Place) {
        let issuer = place.issuer().await;
        let system = place.log_in(&issuer, WantedScope::System).await.expect("a token");
        assert_eq!(system.identified.scope, Scope::System);
        assert!(system.identified.has_role("admin"));
        assert_eq!(issuer.caller(system.token.reveal()).await, Err(Error::NoProject));
        place.add_user("mia", Some("demo"), Some("member")).await;
        let login = crate::place::login("mia", crate::place::PASSWORD, WantedScope::System);
        assert_eq!(issuer.log_in(&login, place.address()).await.err(), Some(LoginError::Refused));
    }
}
