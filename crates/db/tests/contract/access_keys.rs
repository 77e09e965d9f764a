//! Access keys: sealed, found, listed, and gone with their user and their project.

use foggara_db::{
    Db,
    access_keys::{self, AccessKey},
    accounts::{self, Domain, Project, User},
    sql,
};
use foggara_domain::{ProjectId, Secret, UserId};

use super::fixture::{Fresh, NOW, other_project, project};
use crate::on_both;

on_both! {
    a_pair_comes_back_and_its_secret_is_sealed
    a_name_is_taken_once
    pairs_go_with_their_user_and_with_their_project
}

const SECRET: &str = "SKsecret0123456789abcdefghijklmnopqrstuv";

fn pair(access: &str, user: &str, project: ProjectId) -> AccessKey {
    AccessKey {
        access: access.to_owned(),
        secret: Secret::new(SECRET),
        user: user.into(),
        project,
        description: "of a test".to_owned(),
        created_at: NOW,
    }
}

/// A domain with the users `u` and `v`, two projects, and three pairs.
async fn filled(db: &Db) {
    let made = db.write(|conn| {
        Box::pin(async move {
            let domain = Domain { id: "d".to_owned(), name: "D".to_owned() };
            accounts::insert_domain(conn, &domain).await?;
            for (id, name) in [(project(), "one"), (other_project(), "two")] {
                let project = Project { id, name: name.to_owned(), description: String::new(), domain: domain.clone() };
                accounts::insert_project(conn, &project, NOW).await?;
            }
            for name in ["u", "v"] {
                let user = User {
                    id: UserId::from(name),
                    name: format!("user {name}"),
                    domain: domain.clone(),
                    enabled: true,
                    default_project: None,
                    password_hash: Secret::new("x"),
                    generation: 0,
                };
                accounts::insert_user(conn, &user, NOW).await?;
            }
            for key in [pair("AK1", "u", project()), pair("AK2", "u", other_project()), pair("AK3", "v", project())] {
                assert!(access_keys::insert(conn, &key).await?);
            }
            Ok(())
        })
    });
    made.await.expect("written");
}

async fn names(db: &Db) -> Vec<String> {
    let all = access_keys::all(&mut db.read().await.expect("a reader")).await.expect("a list");
    all.into_iter().map(|key| key.access).collect()
}

async fn a_pair_comes_back_and_its_secret_is_sealed(fresh: Fresh) {
    filled(&fresh.db).await;
    let mut conn = fresh.db.read().await.expect("a reader");
    assert_eq!(access_keys::find(&mut conn, "AK2").await.expect("read"), Some(pair("AK2", "u", other_project())));
    for unknown in ["ak2", "AK", "AK2 ", ""] {
        assert_eq!(access_keys::find(&mut conn, unknown).await.expect("read"), None, "{unknown:?}");
    }
    let all = access_keys::all(&mut conn).await.expect("a list");
    assert_eq!(all.len(), 3);
    assert_eq!((all[2].user_name.as_str(), all[2].project_name.as_str()), ("user v", "one"));
    let rows = conn.all(sql("SELECT sealed FROM iam_access_key")).await.expect("rows");
    let mut seen = Vec::new();
    for row in &rows {
        let sealed = row.bytes_or_null("sealed").expect("a column").expect("a value");
        assert!(!String::from_utf8_lossy(&sealed).contains(&SECRET[..8]));
        assert!(!seen.contains(&sealed), "the same secret is sealed anew for each row");
        seen.push(sealed);
    }
    assert!(!format!("{:?}", pair("AK1", "u", project())).contains(SECRET));
    drop(conn);
    // A sealed secret is good in its own row only.
    let moved = fresh.db.write(|conn| {
        Box::pin(async move {
            conn.run(sql(
                "UPDATE iam_access_key SET sealed = (SELECT sealed FROM iam_access_key WHERE access = 'AK1') \
                 WHERE access = 'AK2'",
            ))
            .await
        })
    });
    moved.await.expect("written");
    let mut conn = fresh.db.read().await.expect("a reader");
    assert!(access_keys::find(&mut conn, "AK2").await.is_err());
    assert!(access_keys::find(&mut conn, "AK1").await.expect("read").is_some());
}

async fn a_name_is_taken_once(fresh: Fresh) {
    filled(&fresh.db).await;
    let again = fresh
        .db
        .write(|conn| Box::pin(async move { access_keys::insert(conn, &pair("AK1", "v", other_project())).await }));
    assert!(!again.await.expect("an answer"));
    let kept = access_keys::find(&mut fresh.db.read().await.expect("a reader"), "AK1").await.expect("read");
    assert_eq!(kept.expect("the first").user, UserId::from("u"));
    for (wanted, left) in [(true, ["AK2", "AK3"]), (false, ["AK2", "AK3"])] {
        let deleted = fresh.db.write(|conn| Box::pin(async move { access_keys::delete(conn, "AK1").await }));
        assert_eq!(deleted.await.expect("an answer"), wanted);
        assert_eq!(names(&fresh.db).await, left);
    }
}

async fn pairs_go_with_their_user_and_with_their_project(fresh: Fresh) {
    filled(&fresh.db).await;
    let removed =
        fresh.db.write(|conn| Box::pin(async move { accounts::remove_project(conn, &other_project()).await }));
    assert!(removed.await.expect("an answer"));
    assert_eq!(names(&fresh.db).await, ["AK1", "AK3"]);
    let removed = fresh.db.write(|conn| Box::pin(async move { accounts::remove_user(conn, &"u".into()).await }));
    assert!(removed.await.expect("an answer"));
    assert_eq!(names(&fresh.db).await, ["AK3"]);
    let mut conn = fresh.db.read().await.expect("a reader");
    let rows = conn.all(sql("SELECT access FROM iam_access_key")).await.expect("rows");
    assert_eq!(rows.len(), 1, "nothing that no list shows is left");
}
