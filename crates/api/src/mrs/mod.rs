//! MRS's surface (mrs-v1.1.md, mrs-v2.md): what it has beside Sahara's routes. Those that both have are Sahara's, with an
//! `error_msg` in their errors (spec/README.md conflict 1).

mod asked;
mod cluster_view;
mod clusters;
pub mod error;
pub mod flow;
mod job_exes;
mod jobs_v2;
mod sql;
mod state;
mod submit;

use foggara_app::{App, ops};
use foggara_domain::Caller;
use serde_json::Value;

use crate::{
    fault::Outcome,
    route::{
        Answer::{Json, Nothing},
        Route, Surface,
    },
};

macro_rules! routes {
    ($surface:expr, $prefix:literal; $(
        $method:ident $path:literal $rule:literal $operation:literal $summary:literal $answer:expr, $handler:path
        $(, asks $query:expr)?;
    )*) => {
        vec![$(
            Route::data(
                $surface,
                concat!(stringify!($method), " ", $prefix, $path),
                concat!("data-processing:", $rule),
                ($operation, $summary),
                $answer,
                $handler,
            )$(.asks($query))?
        ),*]
    };
}

/// All of its routes.
pub fn routes() -> Vec<Route> {
    let mut all = routes! { Surface::MrsV11, "/v1.1";
        POST "/jobs/submit-job" "jobs:execute" "mrsSubmitJob" "Submit a job in one call" Json(200, "job_execution"), submit::submit_job;
        GET "/job-exes" "job-executions:get_all" "mrsListJobExes" "List the jobs of a cluster" Json(200, "job_executions"), job_exes::list, asks &["cluster_id", "id", "job_name", "state", "page_size", "current_page"];
        GET "/job-exes/{id}" "job-executions:get" "mrsGetJobExe" "A job" Json(200, "job_execution"), job_exes::get;
        GET "/cluster_infos" "clusters:get_all" "mrsListClusters" "List clusters" Json(200, "clusters"), clusters::list, asks &["pageSize", "currentPage", "clusterName", "clusterState", "tags", "enterpriseProjectId"];
        GET "/cluster_infos/{id}" "clusters:get" "mrsGetCluster" "A cluster" Json(200, "cluster"), clusters::get;
        POST "/run-job-flow" "clusters:create" "mrsRunJobFlow" "Make a cluster, and run a job on it" Json(200, "cluster_id"), flow::run_v1;
        GET "/clusters/{id}/hosts" "clusters:get" "mrsListHosts" "List the nodes of a cluster" Json(200, "hosts"), clusters::hosts, asks &["pageSize", "currentPage"];
        GET "/clusters/{id}/tags" "clusters:get" "mrsListClusterTags" "List the tags of a cluster" Json(200, "tags"), clusters::tags;
        POST "/clusters/{id}/tags" "clusters:modify" "mrsAddClusterTag" "Give a cluster a tag" Nothing, clusters::add_tag;
        POST "/clusters/{id}/tags/action" "clusters:modify" "mrsChangeClusterTags" "Give a cluster tags, or take them away" Nothing, clusters::tags_action;
        DELETE "/clusters/{id}/tags/{key}" "clusters:modify" "mrsRemoveClusterTag" "Take a tag from a cluster" Nothing, clusters::remove_tag;
    };
    all.extend(routes! { Surface::MrsV2, "/v2";
        POST "/clusters/{id}/job-executions" "jobs:execute" "mrsV2SubmitJob" "Submit a job" Json(200, "job_submit_result"), jobs_v2::submit;
        GET "/clusters/{id}/job-executions" "job-executions:get_all" "mrsV2ListJobs" "List the jobs of a cluster" Json(200, "job_list"), jobs_v2::list, asks &["job_name", "job_id", "user", "job_type", "job_state", "job_result", "queue", "limit", "offset", "sort_by", "submitted_time_begin", "submitted_time_end"];
        GET "/clusters/{id}/job-executions/{job}" "job-executions:get" "mrsV2GetJob" "A job" Json(200, "job_detail"), jobs_v2::get;
        POST "/clusters/{id}/job-executions/{job}/kill" "job-executions:cancel" "mrsV2KillJob" "Stop a job" Json(202, "result"), jobs_v2::kill;
        POST "/clusters/{id}/job-executions/batch-delete" "job-executions:delete" "mrsV2DeleteJobs" "Delete jobs; running ones are stopped until they are gone" Nothing, jobs_v2::batch_delete;
        GET "/clusters/{id}/job-executions/{job}/sql-result" "job-executions:get" "mrsV2SqlResult" "The rows of a Spark SQL job" Json(200, "sql_results"), jobs_v2::sql_result;
        POST "/clusters/{id}/sql-execution" "jobs:execute" "mrsV2RunSql" "Run an SQL statement" Json(200, "sql_id"), sql::submit;
        GET "/clusters/{id}/sql-execution/{sql}" "job-executions:get" "mrsV2GetSql" "An SQL statement and its rows" Json(200, "sql_id"), sql::get;
        POST "/clusters/{id}/sql-execution/{sql}/cancel" "job-executions:cancel" "mrsV2CancelSql" "Stop an SQL statement" Json(200, "status"), sql::cancel;
        POST "/run-job-flow" "clusters:create" "mrsV2RunJobFlow" "Make a cluster, and run a job on it" Json(200, "cluster_id"), flow::run_v2;
    });
    all
}

/// Which of MRS's surfaces a path belongs to; the project may stand in it or not.
pub fn surface_of(path: &str) -> Option<Surface> {
    let mut segments = path.strip_prefix('/')?.split('/');
    let surface = match segments.next()? {
        "v1.1" => Surface::MrsV11,
        "v2" => Surface::MrsV2,
        _ => return None,
    };
    let rest: Vec<&str> = segments.map(|segment| segment.strip_suffix(".json").unwrap_or(segment)).collect();
    let ours = |rest: &[&str]| {
        matches!(
            (surface, rest),
            (_, ["run-job-flow"])
                | (Surface::MrsV11, ["job-exes" | "cluster_infos", ..] | ["jobs", "submit-job"])
                | (Surface::MrsV11, ["clusters", _, "hosts" | "tags", ..])
                | (Surface::MrsV2, ["clusters", _, "job-executions" | "sql-execution", ..])
        )
    };
    let begins = rest.first().is_some_and(|first| ["jobs", "clusters"].contains(first));
    (ours(&rest) || (!begins && rest.get(1..).is_some_and(ours))).then_some(surface)
}

/// The answer to a request with a key whose first answer was lost: made from what it made. Nothing for other routes.
pub async fn again(app: &App, caller: &Caller, path: &str, made: &str) -> Outcome<Option<(u16, Value)>> {
    let row = async || ops::executions::get(app, caller, &made.into()).await;
    Ok(Some(match path.rsplit('/').next().unwrap_or_default() {
        "submit-job" => (200, submit::answer(&row().await?)),
        "sql-execution" => (200, sql::show(&row().await?, Vec::new(), None)),
        "job-executions" if path.starts_with("/v2/clusters/") => (200, jobs_v2::submitted_answer(&made.into())),
        // With a job it is the job that was noted.
        "run-job-flow" => {
            let cluster = row().await.map_or_else(|_| made.into(), |row| row.cluster);
            let v2 = path.starts_with("/v2/");
            (200, if v2 { flow::answer_v2(&cluster) } else { flow::answer_v1(&cluster) })
        }
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_the_surface_with_and_without_project() {
        for project in ["", "/demo", "/0123456789abcdef0123456789abcdef"] {
            for path in ["/job-exes", "/job-exes/x", "/jobs/submit-job", "/cluster_infos/x.json", "/clusters/c/tags/k"]
            {
                assert_eq!(surface_of(&format!("/v1.1{project}{path}")), Some(Surface::MrsV11), "{project}{path}");
            }
            for path in ["/clusters/c/job-executions", "/clusters/c/sql-execution/x/cancel", "/run-job-flow"] {
                assert_eq!(surface_of(&format!("/v2{project}{path}")), Some(Surface::MrsV2), "{project}{path}");
            }
            for path in ["/jobs", "/jobs/x", "/job-executions", "/clusters", "/clusters/c"] {
                assert_eq!(surface_of(&format!("/v1.1{project}{path}")), None, "{project}{path}");
                assert_eq!(surface_of(&format!("/v2{project}{path}")), None, "{project}{path}");
            }
        }
        assert_eq!((surface_of("/v3/job-exes"), surface_of("/v1.1"), surface_of("/")), (None, None, None));
    }

    #[test]
    fn every_route_is_found_by_its_path() {
        for route in routes() {
            assert_eq!(surface_of(route.path), Some(route.surface), "{}", route.path);
        }
    }
}
