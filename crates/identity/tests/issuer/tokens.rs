//! What becomes of tokens.

use std::time::Duration;

use foggara_db::{accounts, keys::State, sql};
use foggara_identity::{
    Authenticator as _, Error, Scope,
    issuer::{DomainRef, LoginError, ProjectRef, WantedScope},
};

use crate::{
    on_both,
    place::{PASSWORD, Place, by_token, demo, login},
};

on_both! {
    async fn a_project_token_makes_a_caller(place: Place) {
        let issuer = place.issuer().await;
        let issued = place.log_in(&issuer, demo()).await.expect("a token");
        let caller = issuer.caller(issued.token.reveal()).await.expect("a caller");
        assert_eq!((caller.user_name.as_str(), caller.project_name.as_str()), ("admin", "demo"));
        assert_eq!(caller.roles, ["admin", "member"]);
        assert_eq!(issued.identified.methods, ["password"]);
        assert_eq!(issued.identified.audit_ids.len(), 1);
        assert_eq!(issued.identified.audit_ids[0].len(), 22);
        let lasts = issued.identified.expires_at.since(issued.identified.issued_at);
        assert_eq!(lasts, Duration::from_secs(3600));
    }

    async fn the_data_api_takes_only_a_project(place: Place) {
        let issuer = place.issuer().await;
        let unscoped = place.log_in(&issuer, WantedScope::Unscoped).await.expect("a token");
        assert_eq!(unscoped.identified.scope, Scope::Unscoped);
        assert!(unscoped.identified.roles.is_empty());
        assert_eq!(issuer.caller(unscoped.token.reveal()).await, Err(Error::NoProject));

        let domain = || WantedScope::Domain(DomainRef::Name("Default".into()));
        assert_eq!(place.log_in(&issuer, domain()).await.err(), Some(LoginError::Refused), "no role there yet");
        place.grant_on_domain("admin", "admin").await;
        let domain = place.log_in(&issuer, domain()).await.expect("a token");
        assert_eq!(domain.identified.scope, Scope::Domain { id: "default".into(), name: "Default".into() });
        assert_eq!(issuer.caller(domain.token.reveal()).await, Err(Error::NoProject));
    }

    async fn an_exchange_keeps_end_and_chain(place: Place) {
        let issuer = place.issuer().await;
        let first = place.log_in(&issuer, WantedScope::Unscoped).await.expect("a token");
        place.later(Duration::from_secs(600));
        let second = issuer.log_in(&by_token(&first.token, demo()), place.address()).await.expect("a token");
        assert_eq!(second.identified.expires_at, first.identified.expires_at);
        assert_eq!(second.identified.issued_at.since(first.identified.issued_at), Duration::from_secs(600));
        assert_eq!(second.identified.methods, ["token", "password"]);
        assert_eq!(second.identified.audit_ids[1..], first.identified.audit_ids[..]);
        let third = by_token(&second.token, WantedScope::Unscoped);
        let third = issuer.log_in(&third, place.address()).await.expect("a token");
        assert_eq!(third.identified.audit_ids[1], first.identified.audit_ids[0], "the first of the chain");
        assert_ne!(third.identified.audit_ids[0], second.identified.audit_ids[0]);
    }

    async fn a_token_ends(place: Place) {
        let issuer = place.issuer().await;
        let issued = place.log_in(&issuer, demo()).await.expect("a token");
        place.later(Duration::from_secs(3598));
        assert!(issuer.identify(issued.token.reveal()).await.is_ok());
        place.later(Duration::from_secs(3));
        assert_eq!(issuer.identify(issued.token.reveal()).await, Err(Error::Unauthorized));
        let exchange = issuer.log_in(&by_token(&issued.token, demo()), place.address()).await;
        assert_eq!(exchange.err(), Some(LoginError::Refused));
    }

    async fn a_revoked_token_is_void_on_every_server_and_alone(place: Place) {
        let (issuer, other) = (place.issuer().await, place.issuer().await);
        let first = place.log_in(&issuer, demo()).await.expect("a token");
        let second = place.log_in(&issuer, demo()).await.expect("a token");
        issuer.revoke(&first.identified).await.expect("revoked");
        issuer.revoke(&first.identified).await.expect("revoking twice changes nothing");
        for server in [&issuer, &other] {
            assert_eq!(server.identify(first.token.reveal()).await, Err(Error::Unauthorized));
            assert!(server.identify(second.token.reveal()).await.is_ok());
        }
        let exchange = issuer.log_in(&by_token(&first.token, demo()), place.address()).await;
        assert_eq!(exchange.err(), Some(LoginError::Refused));
        // The record of a revocation goes when the token would have ended.
        place.later(Duration::from_secs(7200));
        let third = place.log_in(&issuer, demo()).await.expect("a token");
        issuer.revoke(&third.identified).await.expect("revoked");
        let mut conn = place.db.read().await.expect("a connection");
        assert!(!accounts::is_revoked(&mut conn, &first.identified.audit_ids[0]).await.expect("an answer"));
        assert!(accounts::is_revoked(&mut conn, &third.identified.audit_ids[0]).await.expect("an answer"));
    }

    async fn keys_rotate_and_no_token_is_lost(place: Place) {
        let (issuer, stale) = (place.issuer().await, place.issuer().await);
        let mut tokens = vec![place.log_in(&issuer, demo()).await.expect("a token").token];
        for _ in 0..3 {
            issuer.rotate_token_keys().await.expect("rotated");
            tokens.push(place.log_in(&issuer, demo()).await.expect("a token").token);
        }
        for (number, token) in tokens.iter().enumerate() {
            assert!(issuer.identify(token.reveal()).await.is_ok(), "token {number}");
        }
        // The other server has keys from before: it knows the first and the second, and looks again for the others.
        assert!(stale.identify(tokens[1].reveal()).await.is_ok(), "the staged key was known before");
        place.wait_until("the stale server reads the keys again", async || {
            stale.identify(tokens[3].reveal()).await.is_ok()
        }).await;
        let made_there = place.log_in(&stale, demo()).await.expect("a token");
        assert!(issuer.identify(made_there.token.reveal()).await.is_ok());
    }

    async fn rotations_at_the_same_moment_leave_one_ring(place: Place) {
        let issuer = std::sync::Arc::new(place.issuer().await);
        let token = place.log_in(&issuer, demo()).await.expect("a token").token;
        let rotations = (0..6).map(|_| {
            let issuer = std::sync::Arc::clone(&issuer);
            tokio::spawn(async move { issuer.rotate_token_keys().await })
        });
        let mut done = 0;
        for rotation in rotations.collect::<Vec<_>>() {
            match rotation.await.expect("no panic") {
                Ok(()) => done += 1,
                Err(foggara_domain::Error::Refused { message, .. }) => assert!(message.contains("try again"), "{message}"),
                Err(other) => panic!("{other}"),
            }
        }
        assert!(done >= 1);
        let states: Vec<_> = place.keys().await.into_iter().map(|key| key.state).collect();
        for one in [State::Primary, State::Staged] {
            assert_eq!(states.iter().filter(|&&state| state == one).count(), 1, "{states:?}");
        }
        assert_eq!(states.len(), 2 + done);
        assert!(issuer.identify(token.reveal()).await.is_ok());
    }

    async fn a_retired_key_goes_when_its_last_token_has_ended(place: Place) {
        let issuer = place.issuer().await;
        issuer.rotate_token_keys().await.expect("rotated");
        issuer.rotate_token_keys().await.expect("rotated");
        assert_eq!(place.count_of_keys().await, 4, "staged, primary and two retired");
        place.later(Duration::from_secs(26 * 3600));
        issuer.rotate_token_keys().await.expect("rotated");
        assert_eq!(place.count_of_keys().await, 3, "the two are gone, one was retired now");
    }

    async fn keys_are_not_readable_in_the_database(place: Place) {
        let _issuer = place.issuer().await;
        let known: Vec<_> = place.keys().await.into_iter().map(|key| key.secret).collect();
        let mut conn = place.db.read().await.expect("a connection");
        let rows = conn.all(sql("SELECT sealed FROM iam_token_key")).await.expect("rows");
        assert_eq!((rows.len(), known.len()), (2, 2));
        for row in rows {
            let sealed = row.bytes_or_null("sealed").expect("bytes").expect("not null");
            for secret in &known {
                let open = secret.reveal().as_bytes();
                assert!(!sealed.windows(open.len()).any(|window| window == open), "a key lies open");
            }
        }
    }

    async fn what_ends_all_tokens_of_a_user(place: Place) {
        let (issuer, admin) = (place.issuer().await, place.admin());
        for (number, end) in ["password", "disabled", "role", "removed", "project"].into_iter().enumerate() {
            let (name, project) = (format!("user{number}"), format!("project{number}"));
            admin.add_project(&project, "").await.expect("a project");
            place.add_user(&name, Some(&project), Some("member")).await;
            admin.grant(&name, &project, "reader").await.expect("granted");
            let scope = || WantedScope::Project(ProjectRef::Name(project.clone(), None));
            let token = issuer.log_in(&login(&name, PASSWORD, scope()), place.address()).await.expect("a token").token;
            let exchanged = by_token(&token, scope());
            let exchanged = issuer.log_in(&exchanged, place.address()).await.expect("a token").token;
            match end {
                "password" => place.set_password(&name, "another").await,
                "disabled" => admin.set_enabled(&name, false).await.expect("disabled"),
                "role" => admin.take_back(&name, &project, "reader").await.expect("taken back"),
                "removed" => admin.remove_user(&name).await.expect("removed"),
                _ => admin.remove_project(&project).await.expect("removed"),
            }
            for token in [&token, &exchanged] {
                assert_eq!(issuer.identify(token.reveal()).await, Err(Error::Unauthorized), "{end}");
            }
            let again = issuer.log_in(&login(&name, PASSWORD, scope()), place.address()).await;
            match end {
                "role" => assert_eq!(again.expect("still a member").identified.roles.len(), 1),
                _ => assert_eq!(again.err(), Some(LoginError::Refused), "{end}"),
            }
        }
    }

    async fn a_new_role_counts_at_once(place: Place) {
        let (issuer, admin) = (place.issuer().await, place.admin());
        place.add_user("ann", Some("demo"), Some("reader")).await;
        let token = issuer.log_in(&login("ann", PASSWORD, demo()), place.address()).await.expect("a token").token;
        admin.grant("ann", "demo", "member").await.expect("granted");
        assert_eq!(issuer.caller(token.reveal()).await.expect("a caller").roles, ["member", "reader"]);
    }

    async fn texts_that_are_no_tokens(place: Place) {
        let issuer = place.issuer().await;
        let token = place.log_in(&issuer, demo()).await.expect("a token").token;
        let token = token.reveal();
        let texts = [String::new(), "x".into(), format!("{token}="), format!("{token}A"), token[1..].into(), "gAAAAA".into()];
        for text in texts {
            assert_eq!(issuer.identify(&text).await, Err(Error::Unauthorized), "{text}");
        }
        // A token of another installation: its keys are others.
        let elsewhere = Place::sqlite().await;
        let foreign = elsewhere.log_in(&elsewhere.issuer().await, demo()).await.expect("a token").token;
        assert_eq!(issuer.identify(foreign.reveal()).await, Err(Error::Unauthorized));
    }

    async fn the_target_of_a_token_must_exist_and_be_allowed(place: Place) {
        let issuer = place.issuer().await;
        let other = place.admin().add_project("other", "").await.expect("a project");
        for scope in [
            WantedScope::Project(ProjectRef::Id("nothing".into())),
            WantedScope::Project(ProjectRef::Id(other.id.to_string())),
            WantedScope::Project(ProjectRef::Name("other".into(), None)),
            WantedScope::Project(ProjectRef::Name("demo".into(), Some(DomainRef::Id("elsewhere".into())))),
            WantedScope::Domain(DomainRef::Id("elsewhere".into())),
        ] {
            assert_eq!(place.log_in(&issuer, scope.clone()).await.err(), Some(LoginError::Refused), "{scope:?}");
        }
        let by_names = WantedScope::Project(ProjectRef::Name("demo".into(), Some(DomainRef::Name("Default".into()))));
        assert!(place.log_in(&issuer, by_names).await.is_ok());
    }
}
