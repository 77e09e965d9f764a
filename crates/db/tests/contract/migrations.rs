//! Versions of the database.

use foggara_db::{Version, sql};

use super::fixture::{Fresh, NOW};
use crate::on_both;

on_both! {
    a_database_is_brought_up_to_date_once
    a_newer_database_is_refused_and_not_changed
    the_installation_keeps_its_name
}

async fn a_database_is_brought_up_to_date_once(fresh: Fresh) {
    assert_eq!(fresh.db.version().await.expect("an answer"), Version::UpToDate);
    assert!(fresh.db.migrate(NOW).await.expect("nothing to do").is_empty());
}

async fn a_newer_database_is_refused_and_not_changed(fresh: Fresh) {
    fresh
        .db
        .write(|conn| {
            Box::pin(async move {
                conn.run(sql("INSERT INTO schema_migration (version, name, applied_at) VALUES (9999, 'later', 0)"))
                    .await
            })
        })
        .await
        .expect("written");
    assert!(matches!(fresh.db.version().await.expect("an answer"), Version::Newer { database: 9999, .. }));
    let refused = fresh.db.migrate(NOW).await.expect_err("refused");
    assert!(refused.to_string().contains("newer"), "{refused}");
}

async fn the_installation_keeps_its_name(fresh: Fresh) {
    let first = foggara_db::meta::installation(&fresh.db).await.expect("a name");
    assert_eq!(foggara_db::meta::installation(&fresh.db).await.expect("a name"), first);
    assert!(!first.is_empty() && first.chars().all(|letter| letter.is_ascii_lowercase()));
}
