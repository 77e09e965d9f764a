//! Data sources, and on them the rules of ownership and protection (sahara-v1.1.md sections 2.1 and 4).

use foggara_app::ops::{
    data_sources::{self, DataSourceChange, create, delete, get, update},
    executions::Submit,
};
use foggara_domain::{flag::Flag, page::ListQuery};
use serde_json::json;

use crate::place::{object, place, refusal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_taken_among_all_that_the_caller_sees_and_before_the_url_is_looked_at() {
    let place = place().await;
    place.source("own", "/own", false).await;
    place.source("shared", "/shared", true).await;
    let again = create(&place.app, &place.owner, place.new_source("own", "", false)).await;
    assert_eq!(refusal(again), "NAME_ALREADY_EXISTS Data source with name 'own' already exists");
    let foreign = create(&place.app, &place.other, place.new_source("shared", "/x", false)).await;
    assert_eq!(refusal(foreign), "NAME_ALREADY_EXISTS Data source with name 'shared' already exists");
    let theirs = create(&place.app, &place.other, place.new_source("own", "/x", false)).await;
    let theirs = theirs.expect("names are the project's");
    let rename = DataSourceChange { name: Some("shared".to_owned()), ..DataSourceChange::default() };
    assert_eq!(
        refusal(update(&place.app, &place.other, &theirs.id, rename).await),
        "NAME_ALREADY_EXISTS Data source with name 'shared' already exists"
    );
    let empty = create(&place.app, &place.owner, place.new_source("new", "", false)).await;
    assert_eq!(refusal(empty), "INVALID_DATA HDFS url must not be empty");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_see_only_public_ones_and_change_none() {
    let place = place().await;
    let own = place.source("own", "/own", false).await;
    let shared = place.source("shared", "/shared", true).await;
    let unseen = refusal(get(&place.app, &place.other, &own.id).await);
    assert_eq!(unseen, format!("Object with {{'id': '{}'}} not found", own.id));
    assert_eq!(get(&place.app, &place.other, &shared.id).await.expect("public"), shared);
    let seen = data_sources::list(&place.app, &place.other, &ListQuery::default()).await.expect("a list");
    assert_eq!(seen.items, std::slice::from_ref(&shared));
    let why = "because it wasn't created in this tenant";
    let rename = DataSourceChange { name: Some("mine".to_owned()), ..DataSourceChange::default() };
    assert_eq!(
        refusal(update(&place.app, &place.other, &shared.id, rename.clone()).await),
        format!("UPDATE_FAILED DataSource with id '{}' could not be updated {why}", shared.id)
    );
    assert_eq!(
        refusal(delete(&place.app, &place.other, &shared.id).await),
        format!("DELETION_FAILED DataSource with id '{}' could not be deleted {why}", shared.id)
    );
    assert!(refusal(update(&place.app, &place.other, &own.id, rename).await).contains("not found"));
    assert!(refusal(delete(&place.app, &place.other, &own.id).await).contains("not found"));
    assert_eq!(get(&place.app, &place.owner, &shared.id).await.expect("still there"), shared);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protection_holds_until_it_is_lifted() {
    let place = place().await;
    let new = data_sources::NewDataSource { is_protected: Flag::On, ..place.new_source("p", "/p", false) };
    let source = create(&place.app, &place.owner, new).await.expect("a data source");
    let change = DataSourceChange::default;
    let why = "because it's marked as protected";
    assert_eq!(
        refusal(delete(&place.app, &place.owner, &source.id).await),
        format!("DELETION_FAILED DataSource with id '{}' could not be deleted {why}", source.id)
    );
    let rename = DataSourceChange { name: Some("q".to_owned()), ..change() };
    assert_eq!(
        refusal(update(&place.app, &place.owner, &source.id, rename.clone()).await),
        format!("UPDATE_FAILED DataSource with id '{}' could not be updated {why}", source.id)
    );
    // Only whether others see it may change, even with other members that say what already is.
    let public = DataSourceChange { is_public: Some(Flag::On), name: Some("p".to_owned()), ..change() };
    let shown = update(&place.app, &place.owner, &source.id, public).await.expect("let through");
    assert!(shown.is_public.is_on() && shown.is_protected.is_on());
    // Null lifts as false does, and lets the rest of the body through.
    let lifted = DataSourceChange { is_protected: Some(Flag::Null), ..rename };
    let free = update(&place.app, &place.owner, &source.id, lifted).await.expect("lifted");
    assert_eq!((free.name.as_str(), free.is_protected), ("q", Flag::Null));
    delete(&place.app, &place.owner, &source.id).await.expect("free now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_checked_as_a_whole_and_dated_only_when_it_changes_something() {
    let place = place().await;
    let source = place.source("s", "/s", false).await;
    let change = DataSourceChange::default;
    let same = DataSourceChange { url: Some("/s".to_owned()), ..change() };
    assert_eq!(update(&place.app, &place.owner, &source.id, same).await.expect("no change").updated_at, None);
    let swift = DataSourceChange { kind: Some("swift".to_owned()), ..change() };
    let wrong = refusal(update(&place.app, &place.owner, &source.id, swift.clone()).await);
    assert_eq!(wrong, "INVALID_DATA URL scheme must be 'swift'");
    let whole = DataSourceChange {
        url: Some("swift://c/o".to_owned()),
        credentials: Some(object(json!({"user": "u", "password": "p"}))),
        ..swift
    };
    let changed = update(&place.app, &place.owner, &source.id, whole).await.expect("it fits");
    assert!(changed.updated_at.is_some());
    // The stored credentials count for later changes.
    let moved = DataSourceChange { url: Some("swift://c/p".to_owned()), ..change() };
    update(&place.app, &place.owner, &source.id, moved).await.expect("credentials are kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_execution_uses_stays() {
    let place = place().await;
    let job = place.shell().await;
    let source = place.source("in", "/in", false).await;
    let submit = Submit { input: Some(source.id.clone()), ..Submit::default() };
    place.execute(&job.id, submit).await.expect("submitted");
    let rename = DataSourceChange { name: Some("x".to_owned()), ..DataSourceChange::default() };
    assert_eq!(
        refusal(update(&place.app, &place.owner, &source.id, rename).await),
        "UPDATE_FAILED Object 'DataSource is used in a PENDING Job and can not be updated.' could not be updated"
    );
    assert_eq!(
        refusal(delete(&place.app, &place.owner, &source.id).await),
        "DELETION_FAILED Data Source deletion failed"
    );
}
