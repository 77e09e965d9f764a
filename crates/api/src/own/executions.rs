//! Executions with everything that is known about them (contract.md section 3).

use axum::response::Response;
use foggara_app::ops::executions;
use foggara_domain::{
    Code, Execution, Timestamp,
    execution::Event,
    page::{ListQuery, Sort},
};
use serde_json::{Value, json};

use crate::{
    call::Call,
    fault::{Fault, Outcome},
    page::Query,
    reply,
};

/// Items of a page when the caller does not say.
const PAGE: u64 = 100;
/// Most items of a page.
const LARGEST_PAGE: u64 = 1000;

/// `GET /api/v1/executions?limit=&cursor=&sort=&...`: newest first is not a column, so the order is by id unless `sort` says
/// otherwise; `next` is the cursor of the next page, null on the last.
pub async fn list(call: Call) -> Outcome<Response> {
    let query = question(&call.query)?;
    let page = executions::list(&call.app, &call.caller, &query).await?;
    let next = page.next;
    let items: Vec<Value> = page.items.iter().map(show).collect();
    Ok(reply::ok(json!({"executions": items, "next": next})))
}

/// The same parameters as everywhere, in our own words.
fn question(query: &Query) -> Outcome<ListQuery> {
    let wrong = |text: String| Fault::refused(Code::InvalidParamsOnRequest, text);
    let limit = match query.get("limit") {
        None => PAGE,
        Some(text) => {
            let number = text.parse::<u64>().ok().filter(|number| (1..=LARGEST_PAGE).contains(number));
            number.ok_or_else(|| wrong(format!("limit is '{text}'; it has to be a number from 1 to {LARGEST_PAGE}")))?
        }
    };
    let sort = query.get("sort").filter(|text| !text.is_empty()).map(|text| {
        let (descending, field) = text.strip_prefix('-').map_or((false, text), |field| (true, field));
        Sort { field: field.to_owned(), descending }
    });
    let marker = query.get("cursor").filter(|text| !text.is_empty()).map(str::to_owned);
    let filters = query.filters(&["limit", "cursor", "sort"]);
    Ok(ListQuery { limit: Some(limit), marker, sort, filters })
}

/// `GET /api/v1/executions/{id}`
pub async fn get(call: Call) -> Outcome<Response> {
    let row = executions::get(&call.app, &call.caller, &call.id()).await?;
    Ok(reply::ok(show(&row)))
}

/// `GET /api/v1/executions/{id}/explain`
pub async fn explain(call: Call) -> Outcome<Response> {
    let explained = executions::explain(&call.app, &call.caller, &call.id()).await?;
    Ok(reply::ok(json!({
        "id": explained.execution.id,
        "status": explained.execution.status(),
        "phase": explained.execution.phase.name(),
        "explanation": explained.text,
        "owner": explained.owner,
        "deadline": time(explained.execution.deadline),
        "events": explained.events.iter().map(event).collect::<Vec<_>>(),
    })))
}

/// `GET /api/v1/executions/{id}/events`
pub async fn events(call: Call) -> Outcome<Response> {
    let events = executions::history(&call.app, &call.caller, &call.id()).await?;
    Ok(reply::ok(json!({"events": events.iter().map(event).collect::<Vec<_>>()})))
}

fn event(event: &Event) -> Value {
    json!({
        "sequence": event.sequence,
        "at": event.at.rfc3339(),
        "kind": event.kind,
        "status": event.status,
        "text": event.text,
    })
}

fn show(row: &Execution) -> Value {
    json!({
        "id": row.id,
        "project_id": row.project,
        "user_id": row.user,
        "job_id": row.job,
        "job_name": row.job_name,
        "job_type": row.job_type,
        "cluster_id": row.cluster,
        "input_id": row.input,
        "output_id": row.output,
        "status": row.status(),
        "phase": row.phase.name(),
        // The engine's own word; UNKNOWN when it does not know the job just now.
        "engine_state": row.engine_state,
        "wish": row.wish,
        "reason": row.reason,
        "return_code": row.return_code,
        "engine_job_id": row.engine_ref,
        "place": row.place,
        // Retries are off, so the attempts are the present one (lifecycle.md "Phases").
        "attempt": row.attempt,
        "attempts": [{
            "number": row.attempt,
            "tag": row.tag,
            "engine_job_id": row.engine_ref,
            "launched_at": time(row.launch_sent_at),
            "stopped_at": time(row.stop_sent_at),
            "gone_at": time(row.gone_at),
            "gone_evidence": row.gone_evidence,
        }],
        "timings": {
            "queued": row.created_at.rfc3339(),
            "staged": time(row.staged_at),
            "launched": time(row.start_time),
            "running": time(row.running_at),
            "settled": time(row.end_time),
        },
        "usage": row.usage,
        // As the engine told some seconds ago; counters by the name of their group.
        "progress": row.progress.as_ref().map(|progress| progress.percent),
        "counters": row.progress.as_ref().map(|progress| &progress.counters).filter(|counters| !counters.is_empty()),
        "job_configs": row.job_configs,
        "data_source_urls": row.data_source_urls,
        "is_public": row.is_public,
        "is_protected": row.is_protected,
        "created_at": row.created_at.rfc3339(),
        "updated_at": time(row.updated_at),
    })
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(Timestamp::rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_words_for_a_question_to_a_list() {
        let query = Query::read("limit=5&cursor=abc&sort=-created_at&status=RUNNING").expect("a query");
        let asked = question(&query).expect("a question");
        assert_eq!((asked.limit, asked.marker.as_deref()), (Some(5), Some("abc")));
        assert_eq!(asked.sort, Some(Sort { field: "created_at".into(), descending: true }));
        assert_eq!(asked.filters, [("status".into(), "RUNNING".into())]);
        for wrong in ["limit=0", "limit=1001", "limit=x"] {
            assert!(question(&Query::read(wrong).expect("a query")).is_err(), "{wrong}");
        }
    }
}
