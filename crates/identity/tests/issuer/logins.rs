//! Who gets in.

use std::time::Duration;

use foggara_domain::Secret;
use foggara_identity::{
    Scope,
    issuer::{DomainRef, Login, LoginError, Method, UserRef, WantedScope},
};

use crate::{
    on_both,
    place::{PASSWORD, Place, by_token, demo, login},
};

fn as_user(user: UserRef, password: &str) -> Login {
    Login { methods: vec![Method::Password(user, Secret::new(password))], scope: demo() }
}

on_both! {
    async fn every_way_to_name_a_user(place: Place) {
        let issuer = place.issuer().await;
        let id = place.log_in(&issuer, demo()).await.expect("a token").identified.user.id;
        for user in [
            UserRef::Id(id),
            UserRef::Name("admin".into(), DomainRef::Id("default".into())),
            UserRef::Name("admin".into(), DomainRef::Name("Default".into())),
        ] {
            assert!(issuer.log_in(&as_user(user.clone(), PASSWORD), place.address()).await.is_ok(), "{user:?}");
            let wrong = issuer.log_in(&as_user(user.clone(), "wrong"), place.address()).await;
            assert_eq!(wrong.err(), Some(LoginError::Refused), "{user:?}");
        }
        for user in [
            UserRef::Id("nobody".into()),
            UserRef::Name("nobody".into(), DomainRef::Id("default".into())),
            UserRef::Name("admin".into(), DomainRef::Id("elsewhere".into())),
            UserRef::Name("admin".into(), DomainRef::Name("elsewhere".into())),
        ] {
            let refused = issuer.log_in(&as_user(user.clone(), PASSWORD), place.address()).await;
            assert_eq!(refused.err(), Some(LoginError::Refused), "{user:?}");
        }
    }

    async fn without_a_scope_the_default_project_counts(place: Place) {
        let (issuer, admin) = (place.issuer().await, place.admin());
        let issued = place.log_in(&issuer, WantedScope::Default).await.expect("a token");
        assert!(matches!(issued.identified.scope, Scope::Project(project) if project.name == "demo"));
        place.add_user("ann", None, None).await;
        let issued = issuer.log_in(&login("ann", PASSWORD, WantedScope::Default), place.address()).await;
        assert_eq!(issued.expect("a token").identified.scope, Scope::Unscoped);
        admin.add_project("p", "").await.expect("a project");
        place.add_user("bob", Some("p"), None).await;
        admin.take_back("bob", "p", "member").await.expect("taken back");
        let issued = issuer.log_in(&login("bob", PASSWORD, WantedScope::Default), place.address()).await;
        assert_eq!(issued.expect("a token").identified.scope, Scope::Unscoped, "a default without a role");
    }

    async fn five_failures_close_the_door_for_this_address(place: Place) {
        let issuer = place.issuer().await;
        // By name and by id it is the same user.
        let id = place.log_in(&issuer, demo()).await.expect("a token").identified.user.id;
        for round in 0..5 {
            let user = if round % 2 == 0 { UserRef::Id(id.clone()) } else {
                UserRef::Name("admin".into(), DomainRef::Name("Default".into()))
            };
            let failed = issuer.log_in(&as_user(user, "wrong"), place.address()).await;
            assert_eq!(failed.err(), Some(LoginError::Refused));
        }
        let Err(LoginError::TooMany { retry_after_seconds }) = place.log_in(&issuer, demo()).await else {
            panic!("the right password went through a closed door")
        };
        assert!((1..=300).contains(&retry_after_seconds), "{retry_after_seconds}");
        let elsewhere = issuer.log_in(&login("admin", PASSWORD, demo()), [192, 0, 2, 77].into()).await;
        assert!(elsewhere.is_ok(), "another address");
        place.add_user("ann", Some("demo"), None).await;
        assert!(issuer.log_in(&login("ann", PASSWORD, demo()), place.address()).await.is_ok(), "another user");
        place.later(Duration::from_secs(301));
        assert!(place.log_in(&issuer, demo()).await.is_ok(), "after five minutes");
    }

    async fn unknown_users_are_limited_too(place: Place) {
        let issuer = place.issuer().await;
        for _ in 0..5 {
            let failed = issuer.log_in(&login("nobody", "x", demo()), place.address()).await;
            assert_eq!(failed.err(), Some(LoginError::Refused));
        }
        let limited = issuer.log_in(&login("nobody", "x", demo()), place.address()).await;
        assert!(matches!(limited, Err(LoginError::TooMany { .. })));
    }

    async fn two_methods_must_name_one_user(place: Place) {
        let issuer = place.issuer().await;
        place.add_user("ann", Some("demo"), None).await;
        let token = place.log_in(&issuer, demo()).await.expect("a token").token;
        let mut both = login("ann", PASSWORD, demo());
        both.methods.extend(by_token(&token, demo()).methods);
        assert_eq!(issuer.log_in(&both, place.address()).await.err(), Some(LoginError::Refused));
        let mut both = login("admin", PASSWORD, demo());
        both.methods.extend(by_token(&token, demo()).methods);
        let issued = issuer.log_in(&both, place.address()).await.expect("a token");
        assert_eq!(issued.identified.methods, ["token", "password"]);
        assert_eq!(issued.identified.audit_ids.len(), 2);
    }
}
