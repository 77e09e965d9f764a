//! The routes of v2 (sahara-v2.md section 3). Each takes only the query parameters that it names.

use super::{clusters, data_sources, job_binaries, job_executions, job_templates, job_types, plugins, routes::routes};
use crate::route::{
    Answer::{Bytes, Json, Nothing},
    Route,
};

/// All of them.
pub fn routes() -> Vec<Route> {
    let mut all = data_routes();
    all.extend(job_routes());
    all.extend(cluster_routes());
    all
}

fn data_routes() -> Vec<Route> {
    routes! { "/v2", "V2";
        GET "/data-sources" "data-source:list" "listDataSources" "List data sources" Json(200, "data_sources"), data_sources::list, only "data_sources_list" ["type"];
        POST "/data-sources" "data-source:register" "createDataSource" "Create a data source" Json(202, "data_source"), data_sources::create, takes "data_source_create", only "data_source_register" [];
        GET "/data-sources/{id}" "data-source:get" "getDataSource" "A data source" Json(200, "data_source"), data_sources::get, only "data_source_get" [];
        PATCH "/data-sources/{id}" "data-source:update" "updateDataSource" "Change a data source" Json(202, "data_source"), data_sources::update, takes "data_source_update", only "data_source_update" [];
        DELETE "/data-sources/{id}" "data-source:delete" "deleteDataSource" "Delete a data source" Nothing, data_sources::delete, only "data_source_delete" [];
        GET "/job-binaries" "job-binary:list" "listJobBinaries" "List job binaries" Json(200, "binaries"), job_binaries::list, only "job_binary_list" ["name"];
        POST "/job-binaries" "job-binary:create" "createJobBinary" "Create a job binary" Json(202, "job_binary"), job_binaries::create, takes "job_binary_create", only "job_binary_create" [];
        GET "/job-binaries/{id}" "job-binary:get" "getJobBinary" "A job binary" Json(200, "job_binary"), job_binaries::get, only "job_binary_get" [];
        PATCH "/job-binaries/{id}" "job-binary:update" "updateJobBinary" "Change a job binary" Json(202, "job_binary"), job_binaries::update, takes "job_binary_update", only "job_binary_update" [];
        DELETE "/job-binaries/{id}" "job-binary:delete" "deleteJobBinary" "Delete a job binary" Nothing, job_binaries::delete, only "job_binary_delete" [];
        GET "/job-binaries/{id}/data" "job-binary:get-data" "getJobBinaryData" "The bytes of a job binary" Bytes, job_binaries::data, only "job_binary_data" [];
    }
}

fn job_routes() -> Vec<Route> {
    routes! { "/v2", "V2";
        GET "/job-templates" "job-template:list" "listJobTemplates" "List job templates" Json(200, "job_templates"), job_templates::list, only "job_templates_list" ["type", "name"];
        POST "/job-templates" "job-template:create" "createJobTemplate" "Create a job template" Json(202, "job_template"), job_templates::create, takes "job_create", only "job_templates_create" [];
        GET "/job-templates/{id}" "job-template:get" "getJobTemplate" "A job template" Json(200, "job_template"), job_templates::get, only "job_templates_get" [];
        PATCH "/job-templates/{id}" "job-template:update" "updateJobTemplate" "Change a job template" Json(202, "job_template"), job_templates::update, takes "job_update", only "job_templates_update" [];
        DELETE "/job-templates/{id}" "job-template:delete" "deleteJobTemplate" "Delete a job template" Nothing, job_templates::delete, only "job_templates_delete" [];
        GET "/job-templates/config-hints/{job_type}" "job-template:get-config-hints" "getConfigHints" "Settings that a job type takes" Json(200, "job_config"), job_templates::config_hints, only "job_config_hints_get" [];
        GET "/job-types" "job-type:list" "listJobTypes" "Job types and the plugins that run them" Json(200, "job_types"), job_types::list, only "job_types_get" ["type", "plugin_name", "plugin_version"], and ["hints"];
        GET "/jobs" "job:list" "listJobExecutions" "List executions" Json(200, "jobs"), job_executions::list, only "jobs_list" ["status"];
        POST "/jobs" "job:execute" "executeJob" "Run a job template on a cluster" Json(202, "job"), job_templates::execute_v2, takes "job_execute_v2", only "jobs_execute" [];
        GET "/jobs/{id}" "job:get" "getJobExecution" "An execution" Json(200, "job"), job_executions::get, only "jobs_get" [], and ["refresh_status"];
        PATCH "/jobs/{id}" "job:update" "updateJobExecution" "Change an execution's flags, cancel or suspend it" Json(202, "job"), job_executions::update, takes "job_execution_update", only "jobs_update" [];
        DELETE "/jobs/{id}" "job:delete" "deleteJobExecution" "Delete an execution; a running job is stopped until it is gone" Nothing, job_executions::delete, only "jobs_delete" [];
    }
}

fn cluster_routes() -> Vec<Route> {
    routes! { "/v2", "V2";
        GET "/clusters" "cluster:list" "listClusters" "List clusters" Json(200, "clusters"), clusters::list, only "clusters_list" ["plugin_name", "plugin_version", "name"];
        GET "/clusters/{id}" "cluster:get" "getCluster" "A cluster" Json(200, "cluster"), clusters::get, only "clusters_get" ["show_progress"];
        GET "/plugins" "plugin:list" "listPlugins" "List plugins" Json(200, "plugins"), plugins::list, only "plugins_list" [];
        GET "/plugins/{name}" "plugin:get" "getPlugin" "A plugin" Json(200, "plugin"), plugins::get, only "plugins_get" [];
        GET "/plugins/{name}/{version}" "plugin:get-version" "getPluginVersion" "A plugin's version" Json(200, "plugin"), plugins::version, only "plugins_get_version" [];
    }
}
