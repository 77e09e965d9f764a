//! Our own surface `/api/v1`: only what the compatible ones cannot say (contract.md section 3).

mod executions;
mod logs;
pub mod problem;

use crate::route::{
    Answer::{Json, Log},
    Route, Surface,
};

/// All of its routes.
pub fn routes() -> Vec<Route> {
    const GET: &str = "data-processing:job-executions:get";
    const LIST: &str = "data-processing:job-executions:get_all";
    let own = Surface::Own;
    vec![
        Route::data(
            own,
            "GET /api/v1/executions",
            LIST,
            ("listExecutions", "List executions with everything known about them"),
            Json(200, "executions"),
            executions::list,
        )
        .asks(&["limit", "cursor", "sort", "status", "job_id", "cluster_id", "job.name", "cluster.name"]),
        Route::data(
            own,
            "GET /api/v1/executions/{id}",
            GET,
            ("getExecution", "An execution with everything known about it"),
            Json(200, "the execution"),
            executions::get,
        ),
        Route::data(
            own,
            "GET /api/v1/executions/{id}/explain",
            GET,
            ("explainExecution", "Why it is where it is, in one sentence"),
            Json(200, "the explanation"),
            executions::explain,
        ),
        Route::data(
            own,
            "GET /api/v1/executions/{id}/events",
            GET,
            ("listExecutionEvents", "What happened to it, in order"),
            Json(200, "events"),
            executions::events,
        ),
        Route::data(
            own,
            "GET /api/v1/executions/{id}/logs/{stream}",
            GET,
            ("getExecutionLog", "stdout or stderr, from an offset, or followed to the job's end"),
            Log,
            logs::read,
        )
        .asks(&["offset", "limit", "follow"]),
    ]
}
