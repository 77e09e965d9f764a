//! Lists: pages against a naive model, markers, sort fields, filters.

use foggara_db::{data_sources, executions};
use foggara_domain::{
    DataSourceId, Error, Execution, Timestamp,
    data_source::DataSource,
    flag::Flag,
    page::{ListQuery, Sort},
    status::{Outcome, Phase},
};

use super::fixture::{Fresh, NOW, execution, other_project, project, store};
use crate::on_both;

on_both! {
    pages_are_the_pieces_of_the_whole_list
    the_marker_is_exclusive_and_prev_and_next_lead_through_the_list
    filters_choose_rows
    wrong_questions_are_refused
    a_long_list_without_a_limit_is_whole
    pages_by_times_and_nulls_are_the_pieces_of_the_whole_list
}

async fn fill(fresh: &Fresh, many: i64) -> Vec<Execution> {
    let mut rows = Vec::new();
    for number in 0..many {
        let mut row = execution(&format!("job-{}", number % 3));
        row.created_at = Timestamp::from_micros(NOW.as_micros() + number);
        if number % 2 == 0 {
            row.phase = Phase::Ended;
            row.outcome = Some(Outcome::Succeeded);
        }
        store(&fresh.db, &row).await;
        rows.push(row);
    }
    rows
}

async fn ids(fresh: &Fresh, query: &ListQuery) -> (Vec<String>, Option<String>, Option<String>) {
    let mut conn = fresh.db.read().await.expect("a reader");
    let page = executions::list(&mut conn, &project(), query, false).await.expect("a page");
    (page.items.iter().map(|row| row.id.to_string()).collect(), page.prev, page.next)
}

fn sorts() -> Vec<Option<Sort>> {
    let mut sorts = vec![None];
    for field in ["id", "job_template", "cluster", "status"] {
        for descending in [false, true] {
            sorts.push(Some(Sort { field: field.to_owned(), descending }));
        }
    }
    sorts
}

/// The order that the specification names, made naively.
fn model(rows: &[Execution], sort: Option<&Sort>) -> Vec<String> {
    let mut keyed: Vec<(String, String)> = rows
        .iter()
        .map(|row| {
            let key = match sort.map(|sort| sort.field.as_str()) {
                Some("job_template") => row.job_name.clone(),
                Some("status") => row.status().to_owned(),
                _ => String::new(),
            };
            (key, row.id.to_string())
        })
        .collect();
    keyed.sort();
    if sort.is_some_and(|sort| sort.descending) {
        keyed.reverse();
    }
    keyed.into_iter().map(|(_, id)| id).collect()
}

async fn pages_are_the_pieces_of_the_whole_list(fresh: Fresh) {
    let rows = fill(&fresh, 11).await;
    for sort in sorts() {
        let whole = model(&rows, sort.as_ref());
        for limit in [1u64, 2, 5, 11, 50] {
            let (mut pieces, mut marker) = (Vec::new(), None);
            loop {
                let query =
                    ListQuery { limit: Some(limit), marker: marker.clone(), sort: sort.clone(), ..Default::default() };
                let (items, _, next) = ids(&fresh, &query).await;
                pieces.extend(items);
                match next {
                    Some(next) => marker = Some(next),
                    None => break,
                }
            }
            assert_eq!(pieces, whole, "{sort:?} by {limit}");
        }
    }
}

async fn the_marker_is_exclusive_and_prev_and_next_lead_through_the_list(fresh: Fresh) {
    let whole = model(&fill(&fresh, 7).await, None);
    for limit in 1..9usize {
        for at in 0..whole.len() {
            let query =
                ListQuery { limit: u64::try_from(limit).ok(), marker: Some(whole[at].clone()), ..Default::default() };
            let (items, prev, next) = ids(&fresh, &query).await;
            let end = (at + 1 + limit).min(whole.len());
            assert_eq!(items, whole[at + 1..end], "limit {limit} after {at}");
            assert_eq!(
                next.as_ref(),
                (at + 1 + limit < whole.len()).then(|| &whole[at + limit]),
                "next, limit {limit}, {at}"
            );
            assert_eq!(prev.as_ref(), at.checked_sub(limit).map(|before| &whole[before]), "prev, limit {limit}, {at}");
        }
    }
    let (items, prev, next) = ids(&fresh, &ListQuery { marker: Some(whole[6].clone()), ..Default::default() }).await;
    assert_eq!((items.len(), prev, next), (0, None, None));
}

async fn filters_choose_rows(fresh: Fresh) {
    let rows = fill(&fresh, 9).await;
    let mut public = execution("of another project");
    public.project = other_project();
    public.is_public = true;
    store(&fresh.db, &public).await;
    let mut hidden = execution("hidden");
    hidden.project = other_project();
    store(&fresh.db, &hidden).await;
    let count = |filters: &[(&str, &str)]| {
        let filters = filters.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let query = ListQuery { filters, ..Default::default() };
        let fresh = &fresh;
        async move { ids(fresh, &query).await.0.len() }
    };
    assert_eq!(count(&[]).await, 10);
    assert_eq!(count(&[("status", "succeeded")]).await, 5);
    assert_eq!(count(&[("status", "PENDING")]).await, 5);
    assert_eq!(count(&[("job.name", "job-[01]$")]).await, 6);
    assert_eq!(count(&[("job.name", "b-1")]).await, 3);
    assert_eq!(count(&[("job.name", "JOB")]).await, 0, "patterns mind the case");
    assert_eq!(count(&[("job.name", "job-(")]).await, 0, "an invalid pattern is compared as text");
    assert_eq!(count(&[("is_public", "true")]).await, 1);
    assert_eq!(count(&[("is_public", "0")]).await, 9);
    assert_eq!(count(&[("tenant_id", other_project().as_str())]).await, 1);
    assert_eq!(count(&[("id", rows[0].id.as_str())]).await, 1);
    assert_eq!(count(&[("created_at", &NOW.sahara())]).await, 10);
    assert_eq!(count(&[("created_at", "no time")]).await, 0);
    assert_eq!(count(&[("status", "SUCCEEDED"), ("job.name", "job-0")]).await, 2);
}

async fn wrong_questions_are_refused(fresh: Fresh) {
    fill(&fresh, 1).await;
    let db = fresh.db.clone();
    let ask = |query: ListQuery| {
        let db = db.clone();
        async move {
            let mut conn = db.read().await.expect("a reader");
            executions::list(&mut conn, &project(), &query, false).await.expect_err("refused")
        }
    };
    let sort = Some(Sort { field: "created_at".to_owned(), descending: false });
    assert!(matches!(ask(ListQuery { sort, ..Default::default() }).await, Error::BadParameter(_)));
    let filters = vec![("colour".to_owned(), "red".to_owned())];
    assert!(matches!(ask(ListQuery { filters, ..Default::default() }).await, Error::Refused { .. }));
    let filters = vec![("is_public".to_owned(), "perhaps".to_owned())];
    assert!(matches!(ask(ListQuery { filters, ..Default::default() }).await, Error::Refused { .. }));
    let marker = Some("nobody".to_owned());
    assert!(matches!(ask(ListQuery { marker, ..Default::default() }).await, Error::NotFound { .. }));
}

async fn a_long_list_without_a_limit_is_whole(fresh: Fresh) {
    let rows: Vec<Execution> = (0..2300).map(|number| execution(&format!("long-{number}"))).collect();
    let stored = rows.clone();
    fresh
        .db
        .write(move |conn| {
            let rows = stored.clone();
            Box::pin(async move {
                for row in &rows {
                    executions::insert(conn, row).await?;
                }
                Ok(())
            })
        })
        .await
        .expect("stored");
    let (items, prev, next) = ids(&fresh, &ListQuery::default()).await;
    assert_eq!(items, model(&rows, None));
    assert_eq!((prev, next), (None, None));
}

fn source(number: i64) -> DataSource {
    DataSource {
        id: DataSourceId::new(),
        project: project(),
        name: format!("source-{number}"),
        description: None,
        kind: "hdfs".to_owned(),
        url: "/p".to_owned(),
        credentials: None,
        is_public: Flag::Off,
        is_protected: Flag::Null,
        // Some at the same time, some never changed.
        created_at: Timestamp::from_micros(NOW.as_micros() + number % 3),
        updated_at: (number % 2 == 0).then(|| Timestamp::from_micros(NOW.as_micros() - number)),
    }
}

async fn pages_by_times_and_nulls_are_the_pieces_of_the_whole_list(fresh: Fresh) {
    let sources: Vec<DataSource> = (0..9).map(source).collect();
    let stored = sources.clone();
    fresh
        .db
        .write(move |conn| {
            let sources = stored.clone();
            Box::pin(async move {
                for source in &sources {
                    data_sources::insert(conn, source).await?;
                }
                Ok(())
            })
        })
        .await
        .expect("stored");
    let mut conn = fresh.db.read().await.expect("a reader");
    for field in ["created_at", "updated_at"] {
        for descending in [false, true] {
            // Null comes before every time.
            let key = |source: &DataSource| {
                let at = if field == "created_at" { Some(source.created_at) } else { source.updated_at };
                (at.map(Timestamp::as_micros), source.id.to_string())
            };
            let mut whole: Vec<_> = sources.iter().map(key).collect();
            whole.sort();
            if descending {
                whole.reverse();
            }
            for limit in [1u64, 2, 4, 9] {
                let (mut pieces, mut marker) = (Vec::new(), None);
                loop {
                    let sort = Some(Sort { field: field.to_owned(), descending });
                    let query = ListQuery { limit: Some(limit), marker, sort, ..Default::default() };
                    let page = data_sources::list(&mut conn, &project(), &query).await.expect("a page");
                    pieces.extend(page.items.iter().map(key));
                    marker = page.next;
                    if marker.is_none() {
                        break;
                    }
                }
                assert_eq!(pieces, whole, "{field}, descending: {descending}, by {limit}");
            }
        }
    }
}
