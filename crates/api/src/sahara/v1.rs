//! The routes of v1.1 (sahara-v1.1.md section 3) and those that v1.0 shares (section 9).

use super::{
    clusters, data_sources, job_binaries, job_binary_internals, job_executions, job_templates, job_types, plugins,
    routes::routes,
};
use crate::route::{
    Answer::{Bytes, Json, Nothing},
    LIST, Route,
};

/// All of them.
pub fn routes() -> Vec<Route> {
    let mut all = data_routes();
    all.extend(job_routes());
    all.extend(cluster_routes());
    all.extend(cluster_routes_of_v10());
    all
}

fn data_routes() -> Vec<Route> {
    let mut all = routes! { "/v1.1", "";
        GET "/data-sources" "data-sources:get_all" "listDataSources" "List data sources" Json(200, "data_sources"), data_sources::list, asks LIST;
        POST "/data-sources" "data-sources:register" "createDataSource" "Create a data source" Json(202, "data_source"), data_sources::create, takes "data_source_create";
        GET "/data-sources/{id}" "data-sources:get" "getDataSource" "A data source" Json(200, "data_source"), data_sources::get;
        PUT "/data-sources/{id}" "data-sources:modify" "updateDataSource" "Change a data source" Json(202, "data_source"), data_sources::update, takes "data_source_update";
        DELETE "/data-sources/{id}" "data-sources:delete" "deleteDataSource" "Delete a data source" Nothing, data_sources::delete;
        GET "/job-binaries" "job-binaries:get_all" "listJobBinaries" "List job binaries" Json(200, "binaries"), job_binaries::list, asks LIST;
        POST "/job-binaries" "job-binaries:create" "createJobBinary" "Create a job binary" Json(202, "job_binary"), job_binaries::create, takes "job_binary_create";
        GET "/job-binaries/{id}" "job-binaries:get" "getJobBinary" "A job binary" Json(200, "job_binary"), job_binaries::get;
        PUT "/job-binaries/{id}" "job-binaries:modify" "updateJobBinary" "Change a job binary" Json(202, "job_binary"), job_binaries::update, takes "job_binary_update";
        DELETE "/job-binaries/{id}" "job-binaries:delete" "deleteJobBinary" "Delete a job binary" Nothing, job_binaries::delete;
        GET "/job-binaries/{id}/data" "job-binaries:get_data" "getJobBinaryData" "The bytes of a job binary" Bytes, job_binaries::data;
        GET "/job-binary-internals" "job-binary-internals:get_all" "listJobBinaryInternals" "List internal binaries" Json(200, "binaries"), job_binary_internals::list, asks LIST;
        GET "/job-binary-internals/{id}" "job-binary-internals:get" "getJobBinaryInternal" "An internal binary" Json(200, "job_binary_internal"), job_binary_internals::get;
        PATCH "/job-binary-internals/{id}" "job-binary-internals:modify" "updateJobBinaryInternal" "Change an internal binary" Json(202, "job_binary_internal"), job_binary_internals::update, takes "job_binary_internal_update";
        DELETE "/job-binary-internals/{id}" "job-binary-internals:delete" "deleteJobBinaryInternal" "Delete an internal binary" Nothing, job_binary_internals::delete;
        GET "/job-binary-internals/{id}/data" "job-binary-internals:get_data" "getJobBinaryInternalData" "The bytes of an internal binary" Bytes, job_binary_internals::data;
    };
    all.push(Route::upload(
        "PUT /v1.1/job-binary-internals/{id}",
        "data-processing:job-binary-internals:create",
        ("uploadJobBinaryInternal", "Upload an internal binary; the path holds its name"),
        Json(202, "job_binary_internal"),
        job_binary_internals::upload,
    ));
    all
}

fn job_routes() -> Vec<Route> {
    routes! { "/v1.1", "";
        GET "/jobs" "jobs:get_all" "listJobs" "List job templates" Json(200, "jobs"), job_templates::list, asks LIST;
        POST "/jobs" "jobs:create" "createJob" "Create a job template" Json(202, "job"), job_templates::create, takes "job_create";
        GET "/jobs/{id}" "jobs:get" "getJob" "A job template" Json(200, "job"), job_templates::get;
        PATCH "/jobs/{id}" "jobs:modify" "updateJob" "Change a job template" Json(202, "job"), job_templates::update, takes "job_update";
        DELETE "/jobs/{id}" "jobs:delete" "deleteJob" "Delete a job template" Nothing, job_templates::delete;
        POST "/jobs/{id}/execute" "jobs:execute" "executeJob" "Run a job template on a cluster" Json(202, "job_execution"), job_templates::execute, takes "job_execute";
        GET "/jobs/config-hints/{job_type}" "jobs:get_config_hints" "getConfigHints" "Settings that a job type takes" Json(200, "job_config"), job_templates::config_hints;
        GET "/job-types" "job-types:get_all" "listJobTypes" "Job types and the plugins that run them" Json(200, "job_types"), job_types::list, asks &["type", "plugin", "version", "hints"];
        GET "/job-executions" "job-executions:get_all" "listJobExecutions" "List executions" Json(200, "job_executions"), job_executions::list, asks LIST;
        GET "/job-executions/{id}" "job-executions:get" "getJobExecution" "An execution" Json(200, "job_execution"), job_executions::get;
        GET "/job-executions/{id}/refresh-status" "job-executions:refresh_status" "refreshJobExecution" "Ask the engine now, then show the execution" Json(200, "job_execution"), job_executions::refresh;
        GET "/job-executions/{id}/cancel" "job-executions:cancel" "cancelJobExecution" "Stop an execution; shows it as it was before" Json(200, "job_execution"), job_executions::cancel;
        PATCH "/job-executions/{id}" "job-executions:modify" "updateJobExecution" "Change an execution's flags, or suspend it" Json(202, "job_execution"), job_executions::update, takes "job_execution_update";
        DELETE "/job-executions/{id}" "job-executions:delete" "deleteJobExecution" "Delete an execution; a running job is stopped until it is gone" Nothing, job_executions::delete;
    }
}

/// What v1.0 and v1.1 share, as a table of either.
macro_rules! shared {
    ($prefix:literal, $suffix:literal) => {
        routes! { $prefix, $suffix;
            GET "/clusters" "clusters:get_all" "listClusters" "List clusters" Json(200, "clusters"), clusters::list, asks LIST;
            GET "/clusters/{id}" "clusters:get" "getCluster" "A cluster" Json(200, "cluster"), clusters::get, asks &["show_progress"];
            GET "/plugins" "plugins:get_all" "listPlugins" "List plugins" Json(200, "plugins"), plugins::list;
            GET "/plugins/{name}" "plugins:get" "getPlugin" "A plugin" Json(200, "plugin"), plugins::get;
            GET "/plugins/{name}/{version}" "plugins:get_version" "getPluginVersion" "A plugin's version" Json(200, "plugin"), plugins::version;
        }
    };
}

fn cluster_routes() -> Vec<Route> {
    shared!("/v1.1", "")
}

fn cluster_routes_of_v10() -> Vec<Route> {
    shared!("/v1.0", "V10")
}
