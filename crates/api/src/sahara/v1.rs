//! The routes of v1.1 (sahara-v1.1.md section 3) and those that v1.0 shares (section 9).

use super::{
    cluster_templates, clusters, data_sources, images, job_binaries, job_binary_internals, job_executions,
    job_templates, job_types, node_group_templates, plugins, routes::routes,
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
            POST "/clusters" "clusters:create" "createCluster" "Make a cluster" Json(202, "cluster"), clusters::create, takes "cluster_create";
            POST "/clusters/multiple" "clusters:create" "createClusters" "Make several clusters" Json(202, "clusters"), clusters::create_multiple, takes "cluster_create_multiple";
            GET "/clusters/{id}" "clusters:get" "getCluster" "A cluster" Json(200, "cluster"), clusters::get, asks &["show_progress"];
            PUT "/clusters/{id}" "clusters:scale" "scaleCluster" "Scale a cluster" Json(202, "cluster"), clusters::scale, takes "cluster_scale";
            PATCH "/clusters/{id}" "clusters:modify" "updateCluster" "Change a cluster, or look at its health" Json(202, "cluster"), clusters::update, takes "cluster_update";
            DELETE "/clusters/{id}" "clusters:delete" "deleteCluster" "Delete a cluster; its jobs are stopped first" Nothing, clusters::delete;
            GET "/cluster-templates" "cluster-templates:get_all" "listClusterTemplates" "List cluster templates" Json(200, "cluster_templates"), cluster_templates::list, asks LIST;
            POST "/cluster-templates" "cluster-templates:create" "createClusterTemplate" "Make a cluster template" Json(202, "cluster_template"), cluster_templates::create, takes "cluster_template_create";
            GET "/cluster-templates/{id}" "cluster-templates:get" "getClusterTemplate" "A cluster template" Json(200, "cluster_template"), cluster_templates::get;
            PUT "/cluster-templates/{id}" "cluster-templates:modify" "updateClusterTemplate" "Change a cluster template" Json(202, "cluster_template"), cluster_templates::update, takes "cluster_template_update";
            DELETE "/cluster-templates/{id}" "cluster-templates:delete" "deleteClusterTemplate" "Delete a cluster template" Nothing, cluster_templates::delete;
            GET "/cluster-templates/{id}/export" "cluster-templates:get" "exportClusterTemplate" "A cluster template to be used elsewhere" Json(200, "cluster_template"), cluster_templates::export;
            GET "/node-group-templates" "node-group-templates:get_all" "listNodeGroupTemplates" "List node group templates" Json(200, "node_group_templates"), node_group_templates::list, asks LIST;
            POST "/node-group-templates" "node-group-templates:create" "createNodeGroupTemplate" "Make a node group template" Json(202, "node_group_template"), node_group_templates::create, takes "node_group_template_create";
            GET "/node-group-templates/{id}" "node-group-templates:get" "getNodeGroupTemplate" "A node group template" Json(200, "node_group_template"), node_group_templates::get;
            PUT "/node-group-templates/{id}" "node-group-templates:modify" "updateNodeGroupTemplate" "Change a node group template" Json(202, "node_group_template"), node_group_templates::update, takes "node_group_template_update";
            DELETE "/node-group-templates/{id}" "node-group-templates:delete" "deleteNodeGroupTemplate" "Delete a node group template" Nothing, node_group_templates::delete;
            GET "/node-group-templates/{id}/export" "node-group-templates:get" "exportNodeGroupTemplate" "A node group template to be used elsewhere" Json(200, "node_group_template"), node_group_templates::export;
            GET "/plugins" "plugins:get_all" "listPlugins" "List plugins" Json(200, "plugins"), plugins::list;
            GET "/plugins/{name}" "plugins:get" "getPlugin" "A plugin" Json(200, "plugin"), plugins::get;
            PATCH "/plugins/{name}" "plugins:patch" "updatePlugin" "Set labels of a plugin for the project" Json(202, "plugin"), plugins::update, takes "plugin_update";
            GET "/plugins/{name}/{version}" "plugins:get_version" "getPluginVersion" "A plugin's version" Json(200, "plugin"), plugins::version;
            GET "/images" "images:get_all" "listImages" "List registered images" Json(200, "images"), images::list, asks &["name", "tags"];
            GET "/images/{id}" "images:get" "getImage" "A registered image" Json(200, "image"), images::get;
            POST "/images/{id}" "images:register" "registerImage" "Register an image" Json(202, "image"), images::register, takes "image_register";
            DELETE "/images/{id}" "images:unregister" "unregisterImage" "Take an image out of the registry" Nothing, images::unregister;
            POST "/images/{id}/tag" "images:add_tags" "tagImage" "Add tags to an image" Json(202, "image"), images::tag, takes "image_tags";
            POST "/images/{id}/untag" "images:remove_tags" "untagImage" "Take tags off an image" Json(202, "image"), images::untag, takes "image_tags";
        }
    };
}

fn cluster_routes() -> Vec<Route> {
    let mut all = shared!("/v1.1", "");
    all.push(convert("POST /v1.1/plugins/{name}/{version}/convert-config/{template}", "convertConfig"));
    all
}

fn cluster_routes_of_v10() -> Vec<Route> {
    let mut all = shared!("/v1.0", "V10");
    all.push(convert("POST /v1.0/plugins/{name}/{version}/convert-config/{template}", "convertConfigV10"));
    all
}

/// Takes a file of any type.
fn convert(line: &'static str, operation: &'static str) -> Route {
    let name = (operation, "Refused: no plugin converts configuration files");
    let rule = "data-processing:plugins:convert_config";
    Route::upload(line, rule, name, Json(202, "cluster_template"), plugins::convert)
}
