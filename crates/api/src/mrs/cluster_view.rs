//! A cluster in the members of `/cluster_infos` (mrs-v1.1.md section 6).

use foggara_app::ops::clusters::Shown;
use foggara_domain::{Timestamp, cluster::ClusterStatus, node_group::NodeGroup};
use serde_json::{Map, Value, json};

/// MRS's word for where a cluster stands (spec/README.md conflict 21).
pub fn state(status: ClusterStatus) -> &'static str {
    match status {
        ClusterStatus::Active => "running",
        ClusterStatus::Error => "failed",
        ClusterStatus::Deleting => "terminating",
        ClusterStatus::Scaling | ClusterStatus::AddingInstances => "scaling-out",
        ClusterStatus::Decommissioning | ClusterStatus::DeletingInstances => "scaling-in",
        _ => "starting",
    }
}

/// A text among what was said of a cluster; empty without it.
pub fn text<'a>(members: &'a Map<String, Value>, name: &str) -> &'a str {
    members.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The cluster as section 6 shows it. Numbers of nodes and times are texts there.
pub fn show(shown: &Shown) -> Value {
    let (cluster, said) = (&shown.cluster, &shown.cluster.settings.mrs.shown);
    let seconds = |at: Timestamp| at.as_seconds().to_string();
    let created = seconds(cluster.created_at);
    let groups = groups(shown);
    let number_of = |master: bool| -> i64 {
        let is_master = |group: &&Value| group["groupName"].as_str().unwrap_or_default().contains("master") == master;
        groups.iter().filter(is_master).filter_map(|group| group["nodeNum"].as_i64()).sum()
    };
    let version = match text(said, "cluster_version") {
        "" => format!("{} {}", cluster.plugin, cluster.version),
        version => version.to_owned(),
    };
    let tags: Vec<String> = cluster.settings.mrs.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let address = shown.instances.iter().find_map(|node| node.address.as_ref()).map_or("", |at| at.host.as_str());
    let component = json!({
        "componentId": cluster.plugin, "componentName": cluster.plugin, "componentVersion": cluster.version,
        "componentDesc": "",
    });
    let error = if cluster.status == ClusterStatus::Error { cluster.status_description.as_str() } else { "" };
    let mut object = json!({
        "clusterId": cluster.id,
        "clusterName": cluster.name,
        "clusterState": state(cluster.status),
        "stageDesc": cluster.status_description,
        "errorInfo": error,
        "totalNodeNum": (number_of(true) + number_of(false)).to_string(),
        "masterNodeNum": number_of(true).to_string(),
        "coreNodeNum": number_of(false).to_string(),
        "masterNodeSize": text(said, "master_node_size"),
        "coreNodeSize": text(said, "core_node_size"),
        "createAt": created,
        "updateAt": cluster.updated_at.map_or_else(|| created.clone(), seconds),
        "chargingStartTime": created,
        "billingType": "Metered",
        "duration": "0",
        "fee": "0",
        "dataCenter": text(said, "data_center"),
        "vpc": text(said, "vpc"),
        "vpcId": text(said, "vpc_id"),
        "subnetId": text(said, "subnet_id"),
        "subnetName": text(said, "subnet_name"),
        "securityGroupsId": text(said, "security_groups_id"),
        "slaveSecurityGroupsId": text(said, "security_groups_id"),
        "azId": text(said, "available_zone_id"),
        "azName": text(said, "availability_zone"),
        "azCode": text(said, "availability_zone"),
    });
    let more = json!({
        "clusterVersion": version,
        "hadoopVersion": "",
        "componentList": [component],
        "safeMode": 0,
        "clusterType": 0,
        "internalIp": address,
        "masterNodeIp": address,
        "privateIpFirst": address,
        "externalIp": "",
        "externalAlternateIp": "",
        "deploymentId": cluster.id,
        "instanceId": cluster.id,
        "remark": cluster.description.as_deref().unwrap_or_default(),
        "orderId": "",
        "vnc": "",
        "volumeSize": 0,
        "volumeType": "",
        "nodePublicCertName": cluster.keypair.as_deref().unwrap_or_default(),
        "tenantId": cluster.project,
        "enterpriseProjectId": text(said, "enterprise_project_id"),
        "scale": "",
        "isMrsManagerFinish": cluster.status == ClusterStatus::Active,
        "logCollection": 0,
        "periodType": 0,
        "tags": tags.join(","),
        "nodeGroups": groups,
        "taskNodeGroups": [],
        "bootstrapScripts": [],
    });
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

/// Node groups: those that the cluster is made of, or those that the request named.
fn groups(shown: &Shown) -> Vec<Value> {
    let group = |name: &str, count: i64, size: &str, said: &Value| {
        let number = |names: [&str; 2]| {
            let found = names.iter().find_map(|name| said.pointer(name).filter(|value| !value.is_null()));
            found.and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok())).unwrap_or(0)
        };
        let word = |names: [&str; 2]| {
            names.iter().find_map(|name| said.pointer(name)?.as_str()).unwrap_or_default().to_owned()
        };
        json!({
            "groupName": name,
            "nodeNum": count,
            "nodeSize": size,
            "nodeSpecId": "",
            "nodeProductId": "",
            "vmProductId": "",
            "vmSpecCode": "",
            "rootVolumeSize": number(["/root_volume/size", "/root_volume_size"]),
            "rootVolumeType": word(["/root_volume/type", "/root_volume_type"]),
            "rootVolumeProductId": "",
            "rootVolumeResourceSpecCode": "",
            "rootVolumeResourceType": "",
            "dataVolumeType": word(["/data_volume/type", "/data_volume_type"]),
            "dataVolumeCount": number(["/data_volume_count", "/data_volume_count"]),
            "dataVolumeSize": number(["/data_volume/size", "/data_volume_size"]),
            "dataVolumeProductId": "",
            "dataVolumeResourceSpecCode": "",
            "dataVolumeResourceType": "",
        })
    };
    let cluster = &shown.cluster;
    if !cluster.node_groups.is_empty() {
        let real = |one: &NodeGroup| {
            let size = one.settings.flavor_id.as_deref().unwrap_or_default();
            group(&one.name, one.count, size, &Value::Null)
        };
        return cluster.node_groups.iter().map(real).collect();
    }
    let said = cluster.settings.mrs.shown.get("node_groups").and_then(Value::as_array).into_iter().flatten();
    said.map(|one| {
        let count = &one["node_num"];
        let count = count.as_i64().or_else(|| count.as_str()?.parse().ok()).unwrap_or(0);
        let name = one["group_name"].as_str().unwrap_or_default();
        group(name, count, one["node_size"].as_str().unwrap_or_default(), one)
    })
    .collect()
}
