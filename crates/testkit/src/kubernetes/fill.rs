//! Pods in numbers: drivers as large as those of a real cluster, which are mostly what Kubernetes writes into them.

use serde_json::{Value, json};

/// A running driver.
pub(super) fn driver(installation: &str, name: &str) -> Value {
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": "2026-01-01T00:00:01Z"});
    let conditions =
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map(condition);
    let toleration =
        |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    let fields: serde_json::Map<String, Value> =
        (0..60).map(|at| (format!("f:field-{at}"), json!({"f:value": {}}))).collect();
    let manager = |name: &str| {
        json!({
            "manager": name, "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {}}, "f:spec": fields},
        })
    };
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": name, "namespace": super::NAMESPACE,
            "labels": {
                "foggara-installation": installation, "foggara-id": name,
                "spark-role": "driver", "spark-app-selector": name,
            },
            "annotations": {"foggara/launched": "true"},
            "managedFields": [manager("foggara"), manager("kubelet")],
        },
        "spec": {
            "restartPolicy": "Never", "serviceAccountName": super::ACCOUNT, "nodeName": "node-1", "priority": 0,
            "terminationGracePeriodSeconds": 30, "tolerations": [toleration("node.kubernetes.io/not-ready"), toleration("node.kubernetes.io/unreachable")],
            "containers": [{
                "name": "spark-kubernetes-driver", "image": "spark:test", "imagePullPolicy": "IfNotPresent",
                "args": ["driver", "--properties-file", "/opt/foggara/spark.properties", "file:///opt/foggara/files/main.py"],
                "resources": {"requests": {"cpu": "1", "memory": "1408Mi"}, "limits": {"memory": "1408Mi"}},
                "volumeMounts": [{"name": "foggara", "mountPath": "/opt/foggara", "readOnly": true}],
            }],
            "volumes": [{"name": "foggara", "secret": {"secretName": name, "defaultMode": 420}}],
        },
        "status": {
            "phase": "Running", "hostIP": "10.0.0.1", "podIP": "10.1.0.1", "startTime": "2026-01-01T00:00:00Z", "qosClass": "Burstable",
            "conditions": conditions,
            "containerStatuses": [{
                "name": "spark-kubernetes-driver", "ready": true, "restartCount": 0, "started": true, "image": "spark:test",
                "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}},
            }],
        },
    })
}
