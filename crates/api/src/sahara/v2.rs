//! The routes of v2 (sahara-v2.md section 3). Each takes only the query parameters that it names.

use super::{
    cluster_templates, clusters, data_sources, images, job_binaries, job_executions, job_templates, job_types,
    node_group_templates, plugins, routes::routes,
};
use crate::route::{
    Answer::{Bytes, Json, Nothing},
    Route,
};

/// All of them.
pub fn routes() -> Vec<Route> {
    let mut all = data_routes();
    all.extend(job_routes());
    all.extend(cluster_routes());
    all.extend(catalogue_routes());
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
        GET "/job-types" "job-type:list" "listJobTypes" "Job types and the plugins that run them" Json(200, "job_types"), job_types::list, only "job_types_get" ["type", "plugin_name", "plugin_version"], and ["hints", "plugin", "version"];
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
        POST "/clusters" "cluster:create" "createCluster" "Make a cluster, or several with a count" Json(202, "cluster or clusters"), clusters::create, takes "cluster_create_v2", only "clusters_create" [];
        GET "/clusters/{id}" "cluster:get" "getCluster" "A cluster" Json(200, "cluster"), clusters::get, only "clusters_get" ["show_progress"];
        PUT "/clusters/{id}" "cluster:scale" "scaleCluster" "Scale a cluster" Json(202, "cluster"), clusters::scale, takes "cluster_scale_v2", only "clusters_scale" [];
        PATCH "/clusters/{id}" "cluster:update" "updateCluster" "Change a cluster, or look at its health" Json(202, "cluster"), clusters::update, takes "cluster_update_v2", only "clusters_update" [];
        DELETE "/clusters/{id}" "cluster:delete" "deleteCluster" "Delete a cluster; its jobs are stopped first" Nothing, clusters::delete, takes "cluster_delete_v2", only "clusters_delete" [];
        GET "/cluster-templates" "cluster-template:list" "listClusterTemplates" "List cluster templates" Json(200, "cluster_templates"), cluster_templates::list, only "cluster_templates_list" ["plugin_name", "plugin_version", "name"];
        POST "/cluster-templates" "cluster-template:create" "createClusterTemplate" "Make a cluster template" Json(202, "cluster_template"), cluster_templates::create, takes "cluster_template_create_v2", only "cluster_templates_create" [];
        GET "/cluster-templates/{id}" "cluster-template:get" "getClusterTemplate" "A cluster template" Json(200, "cluster_template"), cluster_templates::get, only "cluster_templates_get" [];
        PATCH "/cluster-templates/{id}" "cluster-template:update" "updateClusterTemplate" "Change a cluster template" Json(202, "cluster_template"), cluster_templates::update, takes "cluster_template_update_v2", only "cluster_templates_update" [];
        DELETE "/cluster-templates/{id}" "cluster-template:delete" "deleteClusterTemplate" "Delete a cluster template" Nothing, cluster_templates::delete, only "cluster_templates_delete" [];
        GET "/cluster-templates/{id}/export" "cluster-template:get" "exportClusterTemplate" "A cluster template to be used elsewhere" Json(200, "cluster_template"), cluster_templates::export, only "cluster_template_export" [];
        GET "/node-group-templates" "node-group-template:list" "listNodeGroupTemplates" "List node group templates" Json(200, "node_group_templates"), node_group_templates::list, only "node_group_templates_list" ["plugin_name", "plugin_version", "name"];
        POST "/node-group-templates" "node-group-template:create" "createNodeGroupTemplate" "Make a node group template" Json(202, "node_group_template"), node_group_templates::create, takes "node_group_template_create_v2", only "node_group_templates_create" [];
        GET "/node-group-templates/{id}" "node-group-template:get" "getNodeGroupTemplate" "A node group template" Json(200, "node_group_template"), node_group_templates::get, only "node_group_templates_get" [];
        PATCH "/node-group-templates/{id}" "node-group-template:update" "updateNodeGroupTemplate" "Change a node group template" Json(202, "node_group_template"), node_group_templates::update, takes "node_group_template_update_v2", only "node_group_templates_update" [];
        DELETE "/node-group-templates/{id}" "node-group-template:delete" "deleteNodeGroupTemplate" "Delete a node group template" Nothing, node_group_templates::delete, only "node_group_templates_delete" [];
        GET "/node-group-templates/{id}/export" "node-group-template:get" "exportNodeGroupTemplate" "A node group template to be used elsewhere" Json(200, "node_group_template"), node_group_templates::export, only "node_group_template_export" [];
    }
}

fn catalogue_routes() -> Vec<Route> {
    routes! { "/v2", "V2";
        GET "/plugins" "plugin:list" "listPlugins" "List plugins" Json(200, "plugins"), plugins::list, only "plugins_list" [];
        GET "/plugins/{name}" "plugin:get" "getPlugin" "A plugin" Json(200, "plugin"), plugins::get, only "plugins_get" [];
        PATCH "/plugins/{name}" "plugin:update" "updatePlugin" "Set labels of a plugin for the project" Json(202, "plugin"), plugins::update, takes "plugin_update", only "plugins_update" [];
        GET "/plugins/{name}/{version}" "plugin:get-version" "getPluginVersion" "A plugin's version" Json(200, "plugin"), plugins::version, only "plugins_get_version" [];
        GET "/images" "image:list" "listImages" "List registered images" Json(200, "images"), images::list, only "images_list" ["name", "tags", "username"];
        GET "/images/{id}" "image:get" "getImage" "A registered image" Json(200, "image"), images::get, only "images_get" [];
        POST "/images/{id}" "image:register" "registerImage" "Register an image" Json(202, "image"), images::register, takes "image_register", only "images_set" [];
        DELETE "/images/{id}" "image:unregister" "unregisterImage" "Take an image out of the registry" Nothing, images::unregister, only "images_unset" [];
        GET "/images/{id}/tags" "image:get-tags" "getImageTags" "The tags of an image, as a bare list" Json(200, "tags"), images::tags, only "image_tags_get" [];
        PUT "/images/{id}/tags" "image:set-tags" "setImageTags" "Set the tags of an image" Json(200, "image"), images::set_tags, takes "image_tags", only "image_tags_update" [];
        DELETE "/images/{id}/tags" "image:remove-tags" "removeImageTags" "Take all tags off an image" Nothing, images::remove_tags, only "image_tags_delete" [];
    }
}
