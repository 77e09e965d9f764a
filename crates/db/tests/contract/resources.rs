//! Data sources, job binaries, internal binaries, job templates: round trips, names, references.

use foggara_db::{Db, data_sources, executions, internal_binaries, job_binaries, job_templates};
use foggara_domain::{
    BinaryId, Code, DataSourceId, Error, InternalBinaryId, JobId, Result,
    binary::{InternalBinary, JobBinary},
    data_source::DataSource,
    flag::Flag,
    job_template::{InterfaceArgument, JobTemplate},
};
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::fixture::{Fresh, NOW, execution, other_project, project};
use crate::on_both;

on_both! {
    a_data_source_comes_back_whole_and_only_to_its_own
    a_name_is_taken_once_per_project
    a_binary_in_use_stays
    a_template_with_executions_stays_and_a_tombstone_frees_it
    an_upload_is_visible_when_it_is_finished
}

/// A write whose only value is moved in by clone.
pub async fn write<V, F>(db: &Db, value: V, work: F) -> Result<()>
where
    V: Clone + Send + Sync + 'static,
    F: for<'c> Fn(&'c mut foggara_db::Conn, V) -> BoxFuture<'c, Result<()>> + Send + Sync + 'static,
{
    db.write(move |conn| work(conn, value.clone())).await
}

fn source(name: &str) -> DataSource {
    DataSource {
        id: DataSourceId::new(),
        project: project(),
        name: name.to_owned(),
        description: Some("text".to_owned()),
        kind: "swift".to_owned(),
        url: "swift://c/o".to_owned(),
        credentials: Some(Map::from_iter([("password".to_owned(), Value::from("p"))])),
        is_public: Flag::Off,
        is_protected: Flag::On,
        created_at: NOW,
        updated_at: Some(NOW),
    }
}

fn binary(name: &str) -> JobBinary {
    JobBinary {
        id: BinaryId::new(),
        project: project(),
        name: name.to_owned(),
        description: None,
        url: "internal-db://x".to_owned(),
        extra: None,
        is_public: Flag::On,
        is_protected: Flag::Off,
        created_at: NOW,
        updated_at: None,
    }
}

fn template(name: &str, mains: Vec<JobBinary>, libs: Vec<JobBinary>) -> JobTemplate {
    JobTemplate {
        id: JobId::new(),
        project: project(),
        name: name.to_owned(),
        description: None,
        job_type: "Shell".to_owned(),
        mains,
        libs,
        interface: vec![InterfaceArgument {
            id: "a".to_owned() + name,
            name: "n".to_owned(),
            description: None,
            mapping_type: "args".to_owned(),
            location: "0".to_owned(),
            value_type: "string".to_owned(),
            required: true,
            default: Some(Value::from("d")),
            created_at: NOW,
        }],
        is_public: Flag::Off,
        is_protected: Flag::Off,
        created_at: NOW,
        updated_at: None,
    }
}

async fn put_source(db: &Db, source: &DataSource) -> Result<()> {
    write(db, source.clone(), |conn, source| Box::pin(async move { data_sources::insert(conn, &source).await })).await
}

async fn put_binary(db: &Db, binary: &JobBinary) -> Result<()> {
    write(db, binary.clone(), |conn, binary| Box::pin(async move { job_binaries::insert(conn, &binary).await })).await
}

async fn put_template(db: &Db, job: &JobTemplate) -> Result<()> {
    write(db, job.clone(), |conn, job| Box::pin(async move { job_templates::insert(conn, &job).await })).await
}

async fn a_data_source_comes_back_whole_and_only_to_its_own(fresh: Fresh) {
    let mut source = source("mine");
    put_source(&fresh.db, &source).await.expect("stored");
    let mut conn = fresh.db.read().await.expect("a reader");
    let found = data_sources::get(&mut conn, &project(), &source.id).await.expect("an answer");
    assert_eq!(found.as_ref(), Some(&source));
    assert!(data_sources::get(&mut conn, &other_project(), &source.id).await.expect("an answer").is_none());
    source.is_public = Flag::On;
    source.is_protected = Flag::Null;
    source.credentials = None;
    write(&fresh.db, source.clone(), |conn, source| Box::pin(async move { data_sources::update(conn, &source).await }))
        .await
        .expect("changed");
    let found = data_sources::get(&mut conn, &other_project(), &source.id).await.expect("an answer");
    assert_eq!(found.as_ref(), Some(&source));
    let named = data_sources::by_name(&mut conn, &other_project(), "mine").await.expect("an answer");
    assert_eq!(named, Some(source));
}

async fn a_name_is_taken_once_per_project(fresh: Fresh) {
    let duplicate = |answer: Result<()>| match answer {
        Err(Error::Refused { code: Code::DbDuplicateEntry, message }) => message,
        other => panic!("{other:?}"),
    };
    put_source(&fresh.db, &source("taken")).await.expect("stored");
    assert!(duplicate(put_source(&fresh.db, &source("taken")).await).contains("DataSource"));
    let mut elsewhere = source("taken");
    elsewhere.project = other_project();
    put_source(&fresh.db, &elsewhere).await.expect("another project may");
    put_binary(&fresh.db, &binary("taken")).await.expect("stored");
    assert!(duplicate(put_binary(&fresh.db, &binary("taken")).await).contains("JobBinary"));
    put_template(&fresh.db, &template("taken", vec![], vec![])).await.expect("stored");
    let again = JobTemplate { interface: vec![], ..template("taken", vec![], vec![]) };
    assert!(duplicate(put_template(&fresh.db, &again).await).contains("Job"));
}

async fn a_binary_in_use_stays(fresh: Fresh) {
    let (main, lib, free) = (binary("main"), binary("lib"), binary("free"));
    for binary in [&main, &lib, &free] {
        put_binary(&fresh.db, binary).await.expect("stored");
    }
    let job = template("user", vec![main.clone()], vec![lib.clone()]);
    put_template(&fresh.db, &job).await.expect("stored");
    let found = job_templates::get(&mut fresh.db.read().await.expect("a reader"), &project(), &job.id).await;
    assert_eq!(found.expect("an answer"), Some(job));
    let delete = |id: &BinaryId| {
        write(&fresh.db, id.clone(), |conn, id| Box::pin(async move { job_binaries::delete(conn, &id).await }))
    };
    for used in [&main.id, &lib.id] {
        let refused = delete(used).await.expect_err("refused");
        assert!(matches!(refused, Error::Refused { code: Code::DeletionFailed, .. }), "{refused:?}");
    }
    delete(&free.id).await.expect("a free one goes");
    let gone = template("late", vec![free], vec![]);
    let refused = put_template(&fresh.db, &JobTemplate { interface: vec![], ..gone }).await.expect_err("refused");
    assert!(matches!(refused, Error::Refused { code: Code::NotFound, .. }), "{refused:?}");
}

async fn a_template_with_executions_stays_and_a_tombstone_frees_it(fresh: Fresh) {
    let job = template("run", vec![], vec![]);
    put_template(&fresh.db, &job).await.expect("stored");
    let input = source("input");
    put_source(&fresh.db, &input).await.expect("stored");
    let mut row = execution("run");
    row.job = Some(job.id.clone());
    row.input = Some(input.id.clone());
    super::fixture::store(&fresh.db, &row).await;
    let mut conn = fresh.db.read().await.expect("a reader");
    assert!(executions::of_job(&mut conn, &job.id).await.expect("an answer"));
    assert!(executions::using_source(&mut conn, &input.id).await.expect("an answer"));
    assert!(executions::pending_using_source(&mut conn, &input.id).await.expect("an answer"));
    let delete = |id: &JobId| {
        write(&fresh.db, id.clone(), |conn, id| Box::pin(async move { job_templates::delete(conn, &id).await }))
    };
    assert!(delete(&job.id).await.is_err());
    row.job = None;
    row.input = None;
    row.deleted_at = Some(NOW);
    write(&fresh.db, row, |conn, row| {
        Box::pin(async move {
            assert!(executions::save(conn, &row, 1).await?);
            Ok(())
        })
    })
    .await
    .expect("buried");
    assert!(!executions::using_source(&mut conn, &input.id).await.expect("an answer"));
    delete(&job.id).await.expect("free");
    write(&fresh.db, input.id, |conn, id| Box::pin(async move { data_sources::delete(conn, &id).await }))
        .await
        .expect("free");
}

async fn an_upload_is_visible_when_it_is_finished(fresh: Fresh) {
    let upload = InternalBinary {
        id: InternalBinaryId::new(),
        project: project(),
        name: "up".to_owned(),
        size: 0,
        sha256: String::new(),
        is_public: Flag::Off,
        is_protected: Flag::Off,
        created_at: NOW,
        updated_at: None,
    };
    let begin = |upload: &InternalBinary| {
        write(&fresh.db, upload.clone(), |conn, upload| {
            Box::pin(async move {
                internal_binaries::begin(conn, &upload).await?;
                internal_binaries::put_piece(conn, &upload.id, 0, b"hello ".to_vec()).await?;
                internal_binaries::put_piece(conn, &upload.id, 1, b"world".to_vec()).await
            })
        })
    };
    let finish = |id: &InternalBinaryId| {
        write(&fresh.db, id.clone(), |conn, id| {
            Box::pin(async move { internal_binaries::finish(conn, &id, 11, "hash").await })
        })
    };
    let second = InternalBinary { id: InternalBinaryId::new(), ..upload.clone() };
    begin(&upload).await.expect("begun");
    begin(&second).await.expect("a name is held only by a finished one");
    let mut conn = fresh.db.read().await.expect("a reader");
    assert!(internal_binaries::get(&mut conn, &project(), &upload.id).await.expect("an answer").is_none());
    finish(&upload.id).await.expect("finished");
    let refused = finish(&second.id).await.expect_err("refused");
    assert!(matches!(refused, Error::Refused { code: Code::DbDuplicateEntry, .. }), "{refused:?}");
    let found = internal_binaries::get(&mut conn, &project(), &upload.id).await.expect("an answer").expect("visible");
    assert_eq!((found.size, found.sha256.as_str()), (11, "hash"));
    let mut bytes = Vec::new();
    let mut number = 0;
    while let Some(piece) = internal_binaries::piece(&mut conn, &upload.id, number).await.expect("an answer") {
        bytes.extend(piece);
        number += 1;
    }
    assert_eq!(bytes, b"hello world");
    let later = foggara_domain::Timestamp::from_micros(NOW.as_micros() + 1);
    let swept = fresh.db.write(move |conn| Box::pin(async move { internal_binaries::sweep(conn, later).await })).await;
    assert_eq!(swept.expect("swept"), 1, "the one that was never finished");
    assert!(internal_binaries::piece(&mut conn, &second.id, 0).await.expect("an answer").is_none());
}
