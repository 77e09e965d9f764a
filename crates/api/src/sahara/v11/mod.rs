//! The routes of v1.1 (sahara-v1.1.md section 3) and those that v1.0 shares (section 9).

mod clusters;
mod data_sources;
mod job_binaries;
mod job_binary_internals;
pub mod job_executions;
mod job_types;
mod jobs;
mod plugins;

use crate::route::{
    Answer::{Bytes, Json, Nothing},
    LIST, Route, Surface,
};

macro_rules! route {
    ($line:literal, $rule:literal, $operation:literal, $summary:literal, $answer:expr, $handler:path) => {
        Route::data(
            Surface::Sahara,
            $line,
            concat!("data-processing:", $rule),
            ($operation, $summary),
            $answer,
            $handler,
        )
    };
}

/// All of them.
pub fn routes() -> Vec<Route> {
    let mut routes = data_routes();
    routes.extend(job_routes());
    routes.extend(execution_routes());
    routes.extend(cluster_routes());
    routes
}

fn data_routes() -> Vec<Route> {
    vec![
        route!(
            "GET /v1.1/data-sources",
            "data-sources:get_all",
            "listDataSources",
            "List data sources",
            Json(200, "data_sources"),
            data_sources::list
        )
        .asks(LIST),
        route!(
            "POST /v1.1/data-sources",
            "data-sources:register",
            "createDataSource",
            "Create a data source",
            Json(202, "data_source"),
            data_sources::create
        )
        .takes("data_source_create"),
        route!(
            "GET /v1.1/data-sources/{id}",
            "data-sources:get",
            "getDataSource",
            "A data source",
            Json(200, "data_source"),
            data_sources::get
        ),
        route!(
            "PUT /v1.1/data-sources/{id}",
            "data-sources:modify",
            "updateDataSource",
            "Change a data source",
            Json(202, "data_source"),
            data_sources::update
        )
        .takes("data_source_update"),
        route!(
            "DELETE /v1.1/data-sources/{id}",
            "data-sources:delete",
            "deleteDataSource",
            "Delete a data source",
            Nothing,
            data_sources::delete
        ),
        route!(
            "GET /v1.1/job-binaries",
            "job-binaries:get_all",
            "listJobBinaries",
            "List job binaries",
            Json(200, "binaries"),
            job_binaries::list
        )
        .asks(LIST),
        route!(
            "POST /v1.1/job-binaries",
            "job-binaries:create",
            "createJobBinary",
            "Create a job binary",
            Json(202, "job_binary"),
            job_binaries::create
        )
        .takes("job_binary_create"),
        route!(
            "GET /v1.1/job-binaries/{id}",
            "job-binaries:get",
            "getJobBinary",
            "A job binary",
            Json(200, "job_binary"),
            job_binaries::get
        ),
        route!(
            "PUT /v1.1/job-binaries/{id}",
            "job-binaries:modify",
            "updateJobBinary",
            "Change a job binary",
            Json(202, "job_binary"),
            job_binaries::update
        )
        .takes("job_binary_update"),
        route!(
            "DELETE /v1.1/job-binaries/{id}",
            "job-binaries:delete",
            "deleteJobBinary",
            "Delete a job binary",
            Nothing,
            job_binaries::delete
        ),
        route!(
            "GET /v1.1/job-binaries/{id}/data",
            "job-binaries:get_data",
            "getJobBinaryData",
            "The bytes of a job binary",
            Bytes,
            job_binaries::data
        ),
        route!(
            "GET /v1.1/job-binary-internals",
            "job-binary-internals:get_all",
            "listJobBinaryInternals",
            "List internal binaries",
            Json(200, "binaries"),
            job_binary_internals::list
        )
        .asks(LIST),
        Route::upload(
            "PUT /v1.1/job-binary-internals/{id}",
            "data-processing:job-binary-internals:create",
            ("uploadJobBinaryInternal", "Upload an internal binary; the path holds its name"),
            Json(202, "job_binary_internal"),
            job_binary_internals::upload,
        ),
        route!(
            "GET /v1.1/job-binary-internals/{id}",
            "job-binary-internals:get",
            "getJobBinaryInternal",
            "An internal binary",
            Json(200, "job_binary_internal"),
            job_binary_internals::get
        ),
        route!(
            "PATCH /v1.1/job-binary-internals/{id}",
            "job-binary-internals:modify",
            "updateJobBinaryInternal",
            "Change an internal binary",
            Json(202, "job_binary_internal"),
            job_binary_internals::update
        )
        .takes("job_binary_internal_update"),
        route!(
            "DELETE /v1.1/job-binary-internals/{id}",
            "job-binary-internals:delete",
            "deleteJobBinaryInternal",
            "Delete an internal binary",
            Nothing,
            job_binary_internals::delete
        ),
        route!(
            "GET /v1.1/job-binary-internals/{id}/data",
            "job-binary-internals:get_data",
            "getJobBinaryInternalData",
            "The bytes of an internal binary",
            Bytes,
            job_binary_internals::data
        ),
    ]
}

fn job_routes() -> Vec<Route> {
    vec![
        route!("GET /v1.1/jobs", "jobs:get_all", "listJobs", "List job templates", Json(200, "jobs"), jobs::list)
            .asks(LIST),
        route!("POST /v1.1/jobs", "jobs:create", "createJob", "Create a job template", Json(202, "job"), jobs::create)
            .takes("job_create"),
        route!("GET /v1.1/jobs/{id}", "jobs:get", "getJob", "A job template", Json(200, "job"), jobs::get),
        route!(
            "PATCH /v1.1/jobs/{id}",
            "jobs:modify",
            "updateJob",
            "Change a job template",
            Json(202, "job"),
            jobs::update
        )
        .takes("job_update"),
        route!("DELETE /v1.1/jobs/{id}", "jobs:delete", "deleteJob", "Delete a job template", Nothing, jobs::delete),
        route!(
            "POST /v1.1/jobs/{id}/execute",
            "jobs:execute",
            "executeJob",
            "Run a job template on a cluster",
            Json(202, "job_execution"),
            jobs::execute
        )
        .takes("job_execute"),
        route!(
            "GET /v1.1/jobs/config-hints/{job_type}",
            "jobs:get_config_hints",
            "getConfigHints",
            "Settings that a job type takes",
            Json(200, "job_config"),
            jobs::config_hints
        ),
        route!(
            "GET /v1.1/job-types",
            "job-types:get_all",
            "listJobTypes",
            "Job types and the plugins that run them",
            Json(200, "job_types"),
            job_types::list
        )
        .asks(&["type", "plugin", "version", "hints"]),
    ]
}

fn execution_routes() -> Vec<Route> {
    vec![
        route!(
            "GET /v1.1/job-executions",
            "job-executions:get_all",
            "listJobExecutions",
            "List executions",
            Json(200, "job_executions"),
            job_executions::list
        )
        .asks(LIST),
        route!(
            "GET /v1.1/job-executions/{id}",
            "job-executions:get",
            "getJobExecution",
            "An execution",
            Json(200, "job_execution"),
            job_executions::get
        ),
        route!(
            "GET /v1.1/job-executions/{id}/refresh-status",
            "job-executions:refresh_status",
            "refreshJobExecution",
            "Ask the engine now, then show the execution",
            Json(200, "job_execution"),
            job_executions::refresh
        ),
        route!(
            "GET /v1.1/job-executions/{id}/cancel",
            "job-executions:cancel",
            "cancelJobExecution",
            "Stop an execution; shows it as it was before",
            Json(200, "job_execution"),
            job_executions::cancel
        ),
        route!(
            "PATCH /v1.1/job-executions/{id}",
            "job-executions:modify",
            "updateJobExecution",
            "Change an execution's flags, or suspend it",
            Json(202, "job_execution"),
            job_executions::update
        )
        .takes("job_execution_update"),
        route!(
            "DELETE /v1.1/job-executions/{id}",
            "job-executions:delete",
            "deleteJobExecution",
            "Delete an execution; a running job is stopped until it is gone",
            Nothing,
            job_executions::delete
        ),
    ]
}

fn cluster_routes() -> Vec<Route> {
    const PROGRESS: &[&str] = &["show_progress"];
    vec![
        route!(
            "GET /v1.0/clusters",
            "clusters:get_all",
            "listClustersV10",
            "List clusters",
            Json(200, "clusters"),
            clusters::list
        )
        .asks(LIST),
        route!(
            "GET /v1.1/clusters",
            "clusters:get_all",
            "listClusters",
            "List clusters",
            Json(200, "clusters"),
            clusters::list
        )
        .asks(LIST),
        route!(
            "GET /v1.0/clusters/{id}",
            "clusters:get",
            "getClusterV10",
            "A cluster",
            Json(200, "cluster"),
            clusters::get
        )
        .asks(PROGRESS),
        route!(
            "GET /v1.1/clusters/{id}",
            "clusters:get",
            "getCluster",
            "A cluster",
            Json(200, "cluster"),
            clusters::get
        )
        .asks(PROGRESS),
        route!(
            "GET /v1.0/plugins",
            "plugins:get_all",
            "listPluginsV10",
            "List plugins",
            Json(200, "plugins"),
            plugins::list
        ),
        route!(
            "GET /v1.1/plugins",
            "plugins:get_all",
            "listPlugins",
            "List plugins",
            Json(200, "plugins"),
            plugins::list
        ),
        route!(
            "GET /v1.0/plugins/{name}",
            "plugins:get",
            "getPluginV10",
            "A plugin",
            Json(200, "plugin"),
            plugins::get
        ),
        route!("GET /v1.1/plugins/{name}", "plugins:get", "getPlugin", "A plugin", Json(200, "plugin"), plugins::get),
        route!(
            "GET /v1.0/plugins/{name}/{version}",
            "plugins:get_version",
            "getPluginVersionV10",
            "A plugin's version",
            Json(200, "plugin"),
            plugins::version
        ),
        route!(
            "GET /v1.1/plugins/{name}/{version}",
            "plugins:get_version",
            "getPluginVersion",
            "A plugin's version",
            Json(200, "plugin"),
            plugins::version
        ),
    ]
}
