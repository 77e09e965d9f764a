//! Clusters of the operator's configuration, with a service that is only met over HTTP: the fake API server of Kubernetes, and the files of
//! jobs in the fake of S3.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use foggara_testkit::{
    kubernetes::FakeKubernetes,
    s3::{ACCESS_KEY, FakeS3, SECRET_KEY},
    wait::until,
};
use serde_json::{Value, json};

use crate::world::{On, World};

const SOON: Duration = Duration::from_secs(30);

struct Place {
    world: World,
    kubernetes: FakeKubernetes,
    s3: FakeS3,
    template: String,
}

impl Place {
    async fn start() -> Result<Self> {
        let (kubernetes, s3) = (FakeKubernetes::start()?, FakeS3::start(&["jars"])?);
        let server = kubernetes.url();
        let settings = format!(
            "[jobs]\nunknown_seconds = 4\n[stores.s3]\nendpoint = \"{}\"\naccess_key = \"{ACCESS_KEY}\"\nsecret_key = \"{SECRET_KEY}\"\n\
             [clusters.k8s]\nplugin = \"kubernetes\"\nserver = \"{server}\"\nnamespace = \"jobs\"\nservice_account = \"spark\"\nimage = \"spark:4\"\nartifacts = \"s3a://jars/here\"\n\
             [clusters.again]\nplugin = \"kubernetes\"\ndescription = \"the same address\"\nkubernetes.server = \"{server}\"\n\"kubernetes.namespace\" = \"jobs\"\nservice_account = \"spark\"\nimage = \"spark:4\"\n\
             [clusters.wrong]\nplugin = \"kubernetes\"\nserver = \"{server}\"\nnamespace = \"jobs\"\nservice_account = \"spark\"\nimage = \"spark:4\"\ncolour = \"blue\"\n",
            s3.endpoint()
        );
        let world = World::start(On::Sqlite, &settings).await?;
        let main = world.api.binary("app.py", b"print('hello')\n").await?;
        let template = world.api.template("app", "Spark", &[&main], &[]).await?;
        Ok(Self { world, kubernetes, s3, template })
    }

    /// Starts the job; gives its id and its pod when that is there.
    async fn running(&self, cluster: &str) -> Result<(String, String)> {
        let cluster = self.world.api.cluster(cluster).await?;
        let made =
            self.world.api.post(&format!("/jobs/{}/execute", self.template), json!({"cluster_id": cluster})).await?;
        let id = made["job_execution"]["id"].as_str().context("no id")?.to_owned();
        let pod = until("its pod", SOON, || async { self.kubernetes.pods().into_iter().find(|pod| pod.contains(&id)) });
        let pod = match pod.await {
            Ok(pod) => pod,
            Err(error) => bail!("{error}: {}\n{}", self.world.api.execution(&id).await?, self.world.server.log()),
        };
        self.world.wait(&id, &["RUNNING"]).await?;
        Ok((id, pod))
    }
}

impl Place {
    /// Pods with something that runs. One that was stopped stays for a while, with how it ended.
    fn living(&self) -> Vec<String> {
        let lives = |pod: &String| {
            self.kubernetes
                .pod(pod)
                .is_some_and(|pod| ["Pending", "Running"].iter().any(|phase| pod["status"]["phase"] == *phase))
        };
        self.kubernetes.pods().into_iter().filter(lives).collect()
    }
}

#[tokio::test]
async fn a_job_runs_elsewhere_and_a_deleted_one_is_gone_there() -> Result<()> {
    let place = Place::start().await?;
    let (id, pod) = place.running("k8s").await?;
    let keys = place.s3.keys("jars");
    let file = keys.iter().find(|key| key.ends_with("/app.py")).context("its file is not in the store")?;
    let spec = place.kubernetes.pod(&pod).context("no pod")?.to_string();
    assert!(spec.contains(&format!("s3a://jars/{file}")), "{spec}");
    assert_eq!(keys.iter().filter(|key| key.starts_with("here/.use/")).count(), 1, "{keys:?}");
    place.kubernetes.print(&pod, "hello\n");
    place.kubernetes.end(&pod, 0, "Completed");
    let row = place.world.wait(&id, &["SUCCEEDED", "FAILED"]).await?;
    assert_eq!(
        (&row["info"]["status"], &row["engine_job_id"]),
        (&json!("SUCCEEDED"), &json!(format!("jobs/{pod}"))),
        "{row}"
    );
    assert_eq!(place.world.api.log(&id, "stdout").await?, b"hello\n");
    assert!(!place.s3.keys("jars").iter().any(|key| key.starts_with("here/.use/")), "nobody uses it any more");

    let (id, pod) = place.running("k8s").await?;
    let same = place.s3.keys("jars").into_iter().filter(|key| key.ends_with("/app.py")).count();
    assert_eq!(same, 1, "the same file lies there once");
    place.world.api.delete(&format!("/job-executions/{id}")).await?;
    until("nothing of it is left", SOON, || async { (!place.kubernetes.pods().contains(&pod)).then_some(()) }).await?;
    place.world.wait_gone(&id).await?;

    let (id, pod) = place.running("k8s").await?;
    place.kubernetes.print(&pod, "half done\n");
    place.world.api.get(&format!("/job-executions/{id}/cancel")).await?;
    place.world.wait(&id, &["KILLED"]).await?;
    until("its pod goes soon", SOON, || async { (!place.kubernetes.pods().contains(&pod)).then_some(()) }).await?;
    assert_eq!(place.world.api.log(&id, "stdout").await?, b"half done\n");
    assert_eq!(place.kubernetes.pods().len(), 1, "the one that ended by itself is still to be seen");
    Ok(())
}

/// A quota that is used up is no failure: the job waits, says why, can be given up, and runs when there is room.
#[tokio::test]
async fn a_job_waits_for_a_quota() -> Result<()> {
    let place = Place::start().await?;
    place.kubernetes.set_quota(Some(0));
    let cluster = place.world.api.cluster("k8s").await?;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let path = format!("/jobs/{}/execute", place.template);
        let made = place.world.api.post(&path, json!({"cluster_id": cluster})).await?;
        ids.push(made["job_execution"]["id"].as_str().context("no id")?.to_owned());
    }
    for id in &ids {
        let path = format!("/api/v1/executions/{id}/explain");
        let says_why = || async {
            let answer = place.world.api.raw(reqwest::Method::GET, &path, &[], None).await.ok()?;
            let text = answer.text();
            (text.contains("launching: the engine says") && text.contains("exceeded quota")).then_some(())
        };
        until("it says why it waits", SOON, says_why).await?;
    }
    place.world.api.get(&format!("/job-executions/{}/cancel", ids[0])).await?;
    place.world.wait(&ids[0], &["KILLED"]).await?;
    place.kubernetes.set_quota(None);
    place.world.wait(&ids[1], &["RUNNING"]).await?;
    assert_eq!(place.kubernetes.pods().len(), 1);
    Ok(())
}

/// Two clusters with one address: the jobs of each are its own, and no sweep stops those of the other.
#[tokio::test]
async fn two_clusters_with_one_address_leave_each_other_alone() -> Result<()> {
    let place = Place::start().await?;
    let (one, pod) = place.running("k8s").await?;
    let (other, _) = place.running("again").await?;
    place.world.api.delete(&format!("/job-executions/{other}")).await?;
    place.world.wait_gone(&other).await?;
    // Several rounds of both sweeps.
    let asked = place.kubernetes.asked().len();
    until("both have looked", SOON, || async { (place.kubernetes.asked().len() > asked + 20).then_some(()) }).await?;
    assert_eq!(place.living(), std::slice::from_ref(&pod));
    place.kubernetes.end(&pod, 3, "Error");
    let row = place.world.wait(&one, &["FAILED"]).await?;
    assert_eq!(row["return_code"], "3", "{row}");
    Ok(())
}

/// Somebody deletes the pod: for a while nobody knows, and that is shown; then the job is lost. Who was told to stop it calls it gone.
#[tokio::test]
async fn a_forgotten_job_is_unknown_and_then_lost() -> Result<()> {
    let place = Place::start().await?;
    let (id, pod) = place.running("k8s").await?;
    place.kubernetes.remove(&pod);
    let unknown = || async {
        let shown = place.world.api.own(&id).await.ok()?;
        (shown["engine_state"] == "UNKNOWN").then_some(shown)
    };
    let shown = until("it is unknown", SOON, unknown).await?;
    let row = place.world.api.execution(&id).await?;
    assert_eq!((&shown["phase"], &row["info"]["status"]), (&json!("running"), &json!("RUNNING")), "{shown} {row}");
    let row = place.world.wait(&id, &["FAILED"]).await?;
    assert!(row["info"]["reason"].to_string().contains("lost: the engine does not know the job any more"), "{row}");

    let (id, pod) = place.running("k8s").await?;
    place.kubernetes.remove(&pod);
    place.world.api.get(&format!("/job-executions/{id}/cancel")).await?;
    place.world.wait(&id, &["KILLED"]).await.map(|_| ())
}

/// The service does not answer, the job is there; then it does not answer and the server dies.
#[tokio::test]
async fn silence_is_no_end() -> Result<()> {
    let mut place = Place::start().await?;
    let (id, pod) = place.running("k8s").await?;
    place.kubernetes.set_deaf(true);
    place.world.restart_hard().await?;
    place.world.api.delete(&format!("/job-executions/{id}")).await?;
    assert_eq!(place.living(), std::slice::from_ref(&pod));
    place.kubernetes.set_deaf(false);
    until("nothing of it lives", SOON, || async { place.living().is_empty().then_some(()) }).await?;
    place.world.wait_gone(&id).await
}

#[tokio::test]
async fn what_is_wrong_with_a_cluster_is_said() -> Result<()> {
    let place = Place::start().await?;
    let api = &place.world.api;
    let shown = |name: &'static str| async move {
        let list = api.get("/clusters").await?;
        let found =
            list["clusters"].as_array().and_then(|all| all.iter().find(|cluster| cluster["name"] == name).cloned());
        found.with_context(|| format!("no cluster {name}"))
    };
    let wrong: Value = shown("wrong").await?;
    assert_eq!(wrong["status"], "Error");
    assert!(wrong["status_description"].to_string().contains("no setting 'colour'"), "{wrong}");
    let good = shown("again").await?;
    assert_eq!((&good["status"], &good["description"]), (&json!("Active"), &json!("the same address")));

    // What names files of the server's host is not for everybody.
    let body = json!({"name": "mine", "plugin_name": "kubernetes", "hadoop_version": good["hadoop_version"],
        "cluster_configs": {"kubernetes": {"token_file": "/etc/passwd"}}});
    let refused = api.call(reqwest::Method::POST, "/clusters", Some(body)).await?;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("only be set in the server's configuration"), "{}", refused.text());

    let check = place.world.server.run(&["serve", "--check"])?;
    let told = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(
        !check.status.success() && told.contains("clusters.wrong: plugin 'kubernetes' has no setting 'colour'"),
        "{told}"
    );

    let doctor = place.world.server.run(&["doctor"])?;
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(!doctor.status.success(), "{text}");
    for line in
        ["ran a script as a job", "clusters.k8s", "tells its jobs", "plugin 'kubernetes' has no setting 'colour'"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    Ok(())
}
