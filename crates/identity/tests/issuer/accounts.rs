//! What the operator does.

use foggara_db::data_sources;
use foggara_domain::{Code, DataSourceId, Error, Secret, data_source::DataSource};
use foggara_identity::{Authenticator as _, admin::NewUser, issuer::Clock};

use crate::{
    on_both,
    place::{PASSWORD, Place, demo},
};

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    match result {
        Err(Error::Refused { code, message }) => {
            assert!(message.len() > 20, "{message}");
            code
        }
        other => panic!("not refused: {other:?}"),
    }
}

fn new(name: &str) -> NewUser {
    NewUser { name: name.into(), password: Secret::new(PASSWORD), project: None, role: None }
}

on_both! {
    async fn the_first_start_is_done_once(place: Place) {
        let admin = place.admin();
        assert!(admin.is_bootstrapped().await.expect("an answer"));
        let project = admin.projects().await.expect("projects")[0].id.clone();
        assert!(!admin.bootstrap(&Secret::new("another")).await.expect("an answer"), "nothing to do");
        assert_eq!(admin.projects().await.expect("projects")[0].id, project);
        assert!(place.log_in(&place.issuer().await, demo()).await.is_ok(), "the first password still counts");
        let roles: Vec<_> = admin.roles().await.expect("roles").into_iter().map(|role| role.name).collect();
        assert_eq!(roles, ["admin", "member", "reader"]);
        let held: Vec<_> = admin.assignments().await.expect("assignments").into_iter()
            .map(|held| (held.user, held.role, held.target_name)).collect();
        let expected = [("admin", "demo"), ("member", "demo"), ("admin", "system")]
            .map(|(role, target)| ("admin".to_owned(), role.to_owned(), target.to_owned()));
        assert_eq!(held, expected);
    }

    async fn names_are_taken_once_and_checked(place: Place) {
        let admin = place.admin();
        admin.add_user(&new("ann")).await.expect("a user");
        assert_eq!(code(admin.add_user(&new("ann")).await), Code::NameAlreadyExists);
        admin.add_project("p", "words").await.expect("a project");
        assert_eq!(code(admin.add_project("p", "").await), Code::NameAlreadyExists);
        for wrong in ["", "  ", "a\nb", &"x".repeat(65)] {
            assert_eq!(code(admin.add_user(&new(wrong)).await), Code::InvalidData);
            assert_eq!(code(admin.add_project(wrong, "").await), Code::InvalidData);
        }
        let empty = NewUser { password: Secret::new(""), ..new("bob") };
        assert_eq!(code(admin.add_user(&empty).await), Code::InvalidData);
        let users: Vec<_> = admin.users().await.expect("users").into_iter().map(|user| user.name).collect();
        assert_eq!(users, ["admin", "ann"]);
        let projects: Vec<_> = admin.projects().await.expect("projects").into_iter().map(|p| p.name).collect();
        assert_eq!(projects, ["demo", "p"]);
    }

    async fn a_user_with_an_unknown_project_or_role_is_not_made(place: Place) {
        let admin = place.admin();
        let unknown = NewUser { project: Some("nowhere".into()), ..new("ann") };
        assert_eq!(code(admin.add_user(&unknown).await), Code::NotFound);
        let unknown = NewUser { project: Some("demo".into()), role: Some("king".into()), ..new("ann") };
        assert_eq!(code(admin.add_user(&unknown).await), Code::NotFound);
        let homeless = NewUser { role: Some("member".into()), ..new("ann") };
        assert_eq!(code(admin.add_user(&homeless).await), Code::InvalidData);
        assert_eq!(admin.users().await.expect("users").len(), 1, "nothing was left behind");
    }

    async fn what_does_not_exist_cannot_be_changed(place: Place) {
        let admin = place.admin();
        assert_eq!(code(admin.remove_user("nobody").await), Code::NotFound);
        assert_eq!(code(admin.set_enabled("nobody", true).await), Code::NotFound);
        assert_eq!(code(admin.set_password("nobody", &Secret::new("x")).await), Code::NotFound);
        assert_eq!(code(admin.remove_project("nowhere").await), Code::NotFound);
        assert_eq!(code(admin.grant("admin", "demo", "king").await), Code::NotFound);
        assert_eq!(code(admin.take_back("admin", "demo", "reader").await), Code::NotFound);
    }

    async fn a_project_that_holds_something_stays(place: Place) {
        let admin = place.admin();
        let project = admin.add_project("p", "").await.expect("a project");
        let source = DataSource {
            id: DataSourceId::new(),
            project: project.id.clone(),
            name: "words".into(),
            description: None,
            kind: "file".into(),
            url: "file:///words".into(),
            credentials: None,
            is_public: false.into(),
            is_protected: false.into(),
            created_at: Clock::default().now(),
            updated_at: None,
        };
        let insert = source.clone();
        let stored = place.db.write(move |conn| {
            let source = insert.clone();
            Box::pin(async move { data_sources::insert(conn, &source).await })
        });
        stored.await.expect("stored");
        assert_eq!(code(admin.remove_project("p").await), Code::DeletionFailed);
        assert_eq!(admin.projects().await.expect("projects").len(), 2);
    }

    async fn a_project_goes_with_its_roles(place: Place) {
        let admin = place.admin();
        let project = admin.add_project("p", "").await.expect("a project");
        place.add_user("ann", Some("p"), None).await;
        admin.remove_project(project.id.as_str()).await.expect("removed by its id");
        assert_eq!(admin.users().await.expect("users")[1].default_project, None);
        assert!(admin.assignments().await.expect("assignments").iter().all(|held| held.user == "admin"));
    }
}

async fn two_first_starts_at_the_same_moment_make_one(place: Place) {
    let admin = place.admin();
    let starts = (0..4).map(|_| {
        let admin = admin.clone();
        tokio::spawn(async move { admin.bootstrap(&Secret::new(PASSWORD)).await })
    });
    let mut made = 0;
    for start in starts.collect::<Vec<_>>() {
        made += usize::from(start.await.expect("no panic").expect("an answer"));
    }
    assert_eq!(made, 1);
    assert_eq!(admin.projects().await.expect("projects").len(), 1);
    let place = std::sync::Arc::new(place);
    let servers = (0..4).map(|_| {
        let place = std::sync::Arc::clone(&place);
        tokio::spawn(async move { place.issuer().await })
    });
    let mut issuers = Vec::new();
    for server in servers.collect::<Vec<_>>() {
        issuers.push(server.await.expect("an issuer"));
    }
    assert_eq!(place.count_of_keys().await, 2);
    let token = place.log_in(&issuers[0], demo()).await.expect("a token").token;
    for issuer in &issuers {
        assert!(issuer.identify(token.reveal()).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_first_starts_sqlite() {
    two_first_starts_at_the_same_moment_make_one(Place::empty_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_first_starts_postgres() {
    two_first_starts_at_the_same_moment_make_one(Place::empty_postgres("two_first_starts").await).await;
}
