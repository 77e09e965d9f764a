//! A cluster from its creation on: its way, its jobs, its limits, its health, and what plugins and images have to do with it.

use anyhow::{Context, Result};
use foggara_testkit::wait;
use reqwest::Method;
use serde_json::{Value, json};

use super::*;
use crate::world::member_of;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_comes_up_with_its_nodes_sqlite() -> Result<()> {
    a_cluster_comes_up_with_its_nodes(On::Sqlite).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_comes_up_with_its_nodes_postgres() -> Result<()> {
    a_cluster_comes_up_with_its_nodes(On::Postgres).await
}

async fn a_cluster_comes_up_with_its_nodes(on: On) -> Result<()> {
    let world = World::start(on, "").await?;
    let api = &world.api;
    for (version, label, project) in [
        ("v1.0", "hadoop_version", "tenant_id"),
        ("v1.1", "hadoop_version", "tenant_id"),
        ("v2", "plugin_version", "project_id"),
    ] {
        let name = format!("C-{}", version.replace('.', ""));
        let body = json!({
            "name": name, "plugin_name": "local", label: "1.0", "description": "some text", "user_keypair_id": "a key",
            "is_transient": false, "node_groups": [group("workers", 2), group("more", 1)],
        });
        let made = ask(api, version, Method::POST, "/clusters", Some(body)).await?.expect(202)?;
        let made = &made["cluster"];
        assert_eq!((&made["status"], &made["status_description"]), (&json!("Validating"), &json!("")));
        assert_eq!((&made[label], &made[project]), (&json!("1.0"), &json!(api.project)), "{made}");
        for key in [
            "default_image_id",
            "neutron_management_network",
            "cluster_template_id",
            "shares",
            "trust_id",
            "domain_name",
        ] {
            assert_eq!(made.get(key), Some(&Value::Null), "{key}: {made}");
        }
        assert_eq!((&made["user_keypair_id"], &made["anti_affinity_ratio"]), (&json!("a key"), &json!(1)));
        assert!(made.get("verification").is_none(), "{made}");
        let id = text(made, "id");
        let up = settles(&world, &id, "Active").await?;
        let lower = name.to_lowercase();
        let wanted: Vec<String> =
            ["more-1", "workers-1", "workers-2"].iter().map(|node| format!("{lower}-{node}")).collect();
        assert_eq!(nodes(&up), wanted);
        assert_eq!(up["info"], json!({"Local": {"Slots": 3}}));
        let shown = ask(api, version, Method::GET, &format!("/clusters/{id}"), None).await?.expect(200)?;
        let steps = shown["cluster"]["provision_progress"].as_array().cloned().unwrap_or_default();
        let first = steps.first().context("a step")?;
        assert_eq!((&first["step_name"], &first["total"]), (&json!("Create nodes"), &json!(3)), "{first}");
        for step in &steps {
            assert_eq!(step["successful"], true, "{step}");
            assert_eq!((&step["cluster_id"], &step[project]), (&json!(id), &json!(api.project)), "{step}");
            assert!(step.get("events").is_none(), "{step}");
        }
        for value in ["true", "TRUE"] {
            let path = format!("/clusters/{id}?show_progress={value}");
            let shown = ask(api, version, Method::GET, &path, None).await?.expect(200)?;
            assert_eq!(shown["cluster"]["provision_progress"][0]["events"], json!([]), "gone with the step's success");
        }
        let node = &up["node_groups"][0]["instances"][0];
        assert!(node["id"].is_string() && node["instance_id"].is_string() && node["created_at"].is_string(), "{node}");
        assert_eq!(up["node_groups"][0]["volume_mount_prefix"], "/volumes/disk");
        // The host has one more place to run jobs.
        let template = world.shell(&format!("on-{lower}"), "echo here").await?;
        let job = execute_on(api, &id, &template, json!({})).await?;
        assert_eq!(world.wait(&job, &["SUCCEEDED", "FAILED"]).await?["info"]["status"], "SUCCEEDED");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_limit_how_many_run() -> Result<()> {
    let world = World::start(On::Sqlite, "[local]\nmax_running = 1\n").await?;
    let mut body = local("two", 1);
    body["node_groups"][0]["node_configs"] = json!({"local": {"slots": "2"}});
    let id = make(&world.api, body).await?;
    settles(&world, &id, "Active").await?;
    let gate = world.server.dir.join("gate");
    let template = world.shell("gated", &format!("while [ ! -e {} ]; do sleep 0.02; done", gate.display())).await?;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(execute_on(&world.api, &id, &template, json!({})).await?);
    }
    for job in &jobs[..2] {
        world.wait(job, &["RUNNING"]).await?;
    }
    for (place, job) in (1..).zip(&jobs[2..]) {
        let path = format!("/api/v1/executions/{job}/explain");
        let why = world.api.raw(Method::GET, &path, &[], None).await?.expect(200)?;
        let words = why["explanation"].as_str().unwrap_or_default();
        assert!(words.contains(&format!("runs 2 of 2, place {place}")), "{why}");
        assert_eq!(world.api.execution(job).await?["info"]["status"], "PENDING");
    }
    // The slots of one cluster are none of another's: `local` has one of its own.
    let other = world.execute(&template, json!({})).await?;
    world.wait(&other, &["RUNNING"]).await?;
    std::fs::write(&gate, "")?;
    for job in jobs.iter().chain([&other]) {
        world.wait(job, &["SUCCEEDED"]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_sent_early_waits_until_the_cluster_is_active() -> Result<()> {
    let world = with_stand_in(On::Sqlite, "", false).await?;
    let _sweep = Sweep::of(&world);
    let id = make(&world.api, spark("early", 2, 100)).await?;
    settles(&world, &id, "Waiting").await?;
    let template = world.shell("early", "echo ran").await?;
    let job = execute_on(&world.api, &id, &template, json!({})).await?;
    let path = format!("/api/v1/executions/{job}/explain");
    let why = world.api.raw(Method::GET, &path, &[], None).await?.expect(200)?;
    assert!(why["explanation"].as_str().is_some_and(|words| words.contains("`early` is Waiting")), "{why}");
    // Scaling, a look at its health and a new name are for later, or not.
    let scale = json!({"resize_node_groups": [{"name": "workers", "count": 1}]});
    let (name, words) = refusal(&world.api, Method::PUT, &format!("/clusters/{id}"), Some(scale)).await?;
    assert!(name == "INVALID_REFERENCE" && words.contains("Cluster status: Waiting"), "{name} {words}");
    let verify = json!({"verification": {"status": "START"}});
    let (name, _) = refusal(&world.api, Method::PATCH, &format!("/clusters/{id}"), Some(verify)).await?;
    assert_eq!(name, "CANNOT_VERIFY");
    assert_eq!(world.api.execution(&job).await?["info"]["status"], "PENDING");
    open_gate(&world)?;
    let up = settles(&world, &id, "Active").await?;
    assert_eq!(nodes(&up), ["early-master-1", "early-workers-1", "early-workers-2"]);
    world.wait(&job, &["SUCCEEDED"]).await?;
    assert_eq!(world.api.log(&job, "stdout").await?, b"ran\n");
    let master = up["info"]["Spark"]["Master"].as_str().unwrap_or_default();
    assert!(master.starts_with("spark://127.0.0.1:"), "{up}");
    assert_eq!(node_processes(&world.server.dir).iter().filter(|line| line.contains("worker.Worker")).count(), 2);
    world.api.delete(&format!("/clusters/{id}")).await?;
    vanishes(&world, &id).await?;
    assert_eq!(
        (node_processes(&world.server.dir), folders(&world)),
        (vec![], vec![]),
        "gone means that nothing is left"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_limited_where_a_cluster_says_so() -> Result<()> {
    let world = World::plain().await?;
    let hog = world.shell("hog", "exec python3 -c 'print(len(bytearray(400 * 1024 * 1024)))'").await?;
    let small = world.shell("small", "echo fits").await?;
    let mut body = local("limited", 1);
    body["node_groups"][0]["node_configs"] = json!({"local": {"memory_mb": 100}});
    for (body, wanted) in [(body, "FAILED"), (local("free", 1), "SUCCEEDED")] {
        let id = make(&world.api, body).await?;
        let fits = execute_on(&world.api, &id, &small, json!({})).await?;
        let big = execute_on(&world.api, &id, &hog, json!({})).await?;
        world.wait(&fits, &["SUCCEEDED"]).await?;
        let row = world.wait(&big, &["SUCCEEDED", "FAILED"]).await?;
        assert_eq!(row["info"]["status"], wanted, "{row}");
        let out = world.api.log(&big, "stdout").await?;
        assert_eq!(out == b"419430400\n", wanted == "SUCCEEDED", "{}", String::from_utf8_lossy(&out));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_at_once_have_numbers() -> Result<()> {
    let world = World::plain().await?;
    let api = &world.api;
    let mut body = local("many", 1);
    body["count"] = json!(10);
    let made = ask(api, "v1.1", Method::POST, "/clusters/multiple", Some(body.clone())).await?.expect(202)?;
    let ids = made["clusters"].as_array().cloned().unwrap_or_default();
    assert_eq!(ids.len(), 10);
    for (number, id) in (1..).zip(&ids) {
        let found = settles(&world, id.as_str().context("an id")?, "Active").await?;
        assert_eq!(found["name"], format!("many-{number:02}"));
    }
    // All or none: one name is taken.
    let (name, words) = refusal(api, Method::POST, "/clusters/multiple", Some(body)).await?;
    assert!(name == "NAME_ALREADY_EXISTS" && words.contains("many-01"), "{words}");
    assert_eq!(api.get("/clusters?name=many").await?["clusters"].as_array().map(Vec::len), Some(10));
    let body = json!({"name": "v", "plugin_name": "local", "plugin_version": "1.0", "count": 2, "node_groups": [group("g", 1)]});
    let made = ask(api, "v2", Method::POST, "/clusters", Some(body.clone())).await?.expect(202)?;
    let made = made["clusters"].as_array().cloned().unwrap_or_default();
    assert_eq!(made.len(), 2);
    for (number, item) in (1..).zip(&made) {
        let item = &item["cluster"];
        assert_eq!((&item["name"], &item["plugin_version"]), (&json!(format!("v-{number}")), &json!("1.0")));
        settles(&world, &text(item, "id"), "Active").await?;
    }
    // v1.1 knows no count for one cluster.
    let (name, _) = refusal(
        api,
        Method::POST,
        "/clusters",
        Some(json!({"name": "x", "plugin_name": "local", "hadoop_version": "1.0", "count": 1})),
    )
    .await?;
    assert_eq!(name, "VALIDATION_ERROR");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_name_one_is_made_sqlite() -> Result<()> {
    of_one_name_one_is_made(On::Sqlite).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_name_one_is_made_postgres() -> Result<()> {
    of_one_name_one_is_made(On::Postgres).await
}

async fn of_one_name_one_is_made(on: On) -> Result<()> {
    let world = World::start(on, "[local]\nmax_running = 3\n").await?;
    let api = &world.api;
    // Without node groups a cluster has the slots of the server's settings.
    let body = json!({"name": "same", "plugin_name": "local", "hadoop_version": "1.0", "is_transient": true});
    let ngt = with_name("same");
    let ct = json!({"name": "same", "plugin_name": "local", "hadoop_version": "1.0"});
    for (path, body) in [("/clusters", body), ("/node-group-templates", ngt), ("/cluster-templates", ct)] {
        let send = || ask(api, "v1.1", Method::POST, path, Some(body.clone()));
        let (a, b, c, d) = tokio::try_join!(send(), send(), send(), send())?;
        let mut made = 0;
        for answer in [a, b, c, d] {
            match answer.status.as_u16() {
                202 => made += 1,
                status => assert_eq!(
                    (status, answer.json()["error_name"].as_str()),
                    (400, Some("NAME_ALREADY_EXISTS")),
                    "{path}"
                ),
            }
        }
        assert_eq!(made, 1, "{path}");
    }
    let up = settles(&world, &api.cluster("same").await?, "Active").await?;
    assert_eq!((&up["info"]["Local"]["Slots"], &up["is_transient"], nodes(&up)), (&json!(3), &json!(true), vec![]));
    Ok(())
}

fn with_name(name: &str) -> Value {
    json!({"name": name, "flavor_id": "1", "plugin_name": "local", "hadoop_version": "1.0", "node_processes": ["local"]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_flags_and_shares_change() -> Result<()> {
    let world = World::plain().await?;
    let api = &world.api;
    let other = member_of(&world.server, "other", "member").await?;
    let mut body = local("first", 1);
    body["description"] = json!("text");
    let id = make(api, body).await?;
    let path = format!("/clusters/{id}");
    settles(&world, &id, "Active").await?;
    make(api, local("second", 1)).await?;
    let patch = |body: Value| ask(api, "v1.1", Method::PATCH, &path, Some(body));
    let changed = patch(json!({"name": "renamed", "description": null})).await?.expect(202)?;
    assert_eq!((&changed["cluster"]["name"], &changed["cluster"]["description"]), (&json!("renamed"), &Value::Null));
    assert!(changed["cluster"]["updated_at"].is_string());
    let (name, _) = refusal(api, Method::PATCH, &path, Some(json!({"name": "second"}))).await?;
    assert_eq!(name, "NAME_ALREADY_EXISTS");
    let share = |path: &str| json!({"id": NOBODY, "path": path, "access_level": "ro"});
    let changed = patch(json!({"shares": [share("/a")]})).await?.expect(202)?;
    assert_eq!(changed["cluster"]["shares"], json!([share("/a")]));
    let (name, words) = refusal(api, Method::PATCH, &path, Some(json!({"shares": [share("/a"), share("/a")]}))).await?;
    assert!(name == "INVALID_DATA" && words.contains("same path"), "{name} {words}");
    // Seen by others once it is public, and changed by none of them.
    assert_eq!(other.call(Method::GET, &path, None).await?.status.as_u16(), 404);
    patch(json!({"is_public": true})).await?.expect(202)?;
    assert_eq!(other.get(&path).await?["cluster"]["name"], "renamed");
    let scale = json!({"resize_node_groups": [{"name": "workers", "count": 2}]});
    for (method, body, code) in [
        (Method::PATCH, Some(json!({"name": "theirs"})), "UPDATE_FAILED"),
        (Method::PATCH, Some(json!({"verification": {"status": "START"}})), "UPDATE_FAILED"),
        (Method::PUT, Some(scale.clone()), "UPDATE_FAILED"),
        (Method::DELETE, None, "DELETION_FAILED"),
    ] {
        let (name, words) = refusal(&other, method.clone(), &path, body).await?;
        assert!(name == code && words.contains("wasn't created in this tenant"), "{method}: {name} {words}");
    }
    // A job of theirs runs on it all the same.
    let script = other.binary("theirs.sh", b"echo theirs").await?;
    let template = other.template("theirs", "Shell", &[&script], &[]).await?;
    let job = execute_on(&other, &id, &template, json!({})).await?;
    wait::until("their job has run", LONG, || async {
        (other.execution(&job).await.ok()?["info"]["status"] == "SUCCEEDED").then_some(())
    })
    .await?;
    // Protected: only its publicity may change, or the protection be lifted.
    patch(json!({"is_protected": true})).await?.expect(202)?;
    for (method, body) in
        [(Method::PATCH, Some(json!({"name": "x"}))), (Method::PUT, Some(scale)), (Method::DELETE, None)]
    {
        let (_, words) = refusal(api, method.clone(), &path, body).await?;
        assert!(words.contains("marked as protected"), "{method}: {words}");
    }
    patch(json!({"is_public": false})).await?.expect(202)?;
    patch(json!({"is_protected": false, "name": "again"})).await?.expect(202)?;
    let seen = cluster(api, &id).await?;
    assert_eq!(
        (&seen["name"], &seen["is_public"], &seen["status"]),
        (&json!("again"), &json!(false), &json!("Active"))
    );
    // v2 knows one more member, which does nothing here.
    ask(api, "v2", Method::PATCH, &path, Some(json!({"update_keypair": true}))).await?.expect(202)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_its_health_is_green() -> Result<()> {
    let world = World::plain().await?;
    let id = make(&world.api, local("well", 1)).await?;
    settles(&world, &id, "Active").await?;
    let path = format!("/clusters/{id}");
    let start = json!({"verification": {"status": "START"}});
    let both = json!({"verification": {"status": "START"}, "name": "other"});
    let (name, _) = refusal(&world.api, Method::PATCH, &path, Some(both)).await?;
    assert_eq!(name, "CANNOT_VERIFY", "alone");
    let (name, _) =
        refusal(&world.api, Method::PATCH, &path, Some(json!({"verification": {"status": "STOP"}}))).await?;
    assert_eq!(name, "VALIDATION_ERROR");
    for version in ["v1.1", "v2"] {
        let asked = ask(&world.api, version, Method::PATCH, &path, Some(start.clone())).await?.expect(202)?;
        assert_eq!(asked["cluster"]["verification"]["status"], "CHECKING", "{asked}");
        let asked = text(&asked["cluster"]["verification"], "id");
        let seen = wait::until("it was looked at", LONG, || async {
            let seen = cluster(&world.api, &id).await.ok()?["verification"].take();
            (seen["status"] != "CHECKING").then_some(seen)
        })
        .await?;
        assert_eq!((&seen["status"], &seen["id"], &seen["cluster_id"]), (&json!("GREEN"), &json!(asked), &json!(id)));
        let check = &seen["checks"][0];
        assert_eq!((&check["status"], &check["verification_id"]), (&json!("GREEN"), &json!(asked)), "{seen}");
        assert!(!text(check, "description").is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn plugins_are_read_in_three_versions_and_labelled() -> Result<()> {
    let world = World::start(On::Sqlite, "[sim]\nenabled = true\n").await?;
    let api = &world.api;
    for version in ["v1.0", "v1.1", "v2"] {
        let get = |path: &'static str| ask(api, version, Method::GET, path, None);
        let all = get("/plugins").await?.expect(200)?;
        let names: Vec<String> =
            all["plugins"].as_array().into_iter().flatten().map(|plugin| text(plugin, "name")).collect();
        let known = ["flink", "hive", "kubernetes", "local", "sim", "spark", "storm", "yarn"];
        assert_eq!(names, known, "{version}");
        let plugin = get("/plugins/spark").await?.expect(200)?;
        let plugin = &plugin["plugin"];
        assert_eq!((&plugin["versions"], plugin.get("configs")), (&json!(["2.3"]), None));
        assert_eq!(plugin["plugin_labels"]["enabled"]["status"], true);
        assert_eq!(plugin["version_labels"]["2.3"]["enabled"]["mutable"], true);
        let whole = get("/plugins/spark/2.3").await?.expect(200)?;
        let whole = &whole["plugin"];
        assert_eq!(whole["node_processes"]["Spark"], json!(["master", "slave"]));
        assert!(whole["required_image_tags"].is_array());
        let cores = whole["configs"].as_array().into_iter().flatten().find(|config| config["name"] == "cores");
        let cores = cores.context("the setting cores")?;
        assert_eq!(
            (&cores["config_type"], &cores["scope"], &cores["applicable_target"]),
            (&json!("int"), &json!("node"), &json!("spark"))
        );
        for path in ["/plugins/none", "/plugins/none/1.0", "/plugins/spark/9.9"] {
            assert_eq!(get(path).await?.status.as_u16(), 404, "{version} {path}");
        }
    }
    let convert = "/plugins/spark/2.3/convert-config/name";
    let answer = ask(api, "v1.1", Method::POST, convert, None).await?;
    assert_eq!((answer.status.as_u16(), answer.json()["error_name"].as_str()), (400, Some("INVALID_REFERENCE")));
    assert_eq!(ask(api, "v2", Method::POST, convert, None).await?.status.as_u16(), 404);
    // Labels: for this project alone, by its administrator alone.
    let member = member_of(&world.server, "other", "member").await?;
    let enabled = |on: bool| json!({"plugin_labels": {"enabled": {"status": on}}});
    let of_version = |on: bool| json!({"version_labels": {"1.0": {"enabled": {"status": on}}}});
    let answer = ask(&member, "v1.1", Method::PATCH, "/plugins/local", Some(enabled(false))).await?;
    assert_eq!(answer.status.as_u16(), 403, "{}", answer.text());
    for (version, off, on) in [("v1.1", enabled(false), enabled(true)), ("v2", of_version(false), of_version(true))] {
        ask(api, version, Method::PATCH, "/plugins/local", Some(off)).await?.expect(202)?;
        let (name, words) = refusal(api, Method::POST, "/clusters", Some(local("refused", 1))).await?;
        assert!(name == "INVALID_REFERENCE" && words.contains("not enabled"), "{name} {words}");
        let theirs = make(&member, local(&format!("theirs-{}", version.replace('.', "-")), 1)).await?;
        assert_eq!(theirs.len(), 36);
        ask(api, version, Method::PATCH, "/plugins/local", Some(on)).await?.expect(202)?;
        make(api, local(&format!("works-{}", version.replace('.', "-")), 1)).await?;
    }
    for (body, code) in [
        (json!({"plugin_labels": {"stable": {"status": false}}}), "INVALID_DATA"),
        (json!({"plugin_labels": {"deprecated": {"status": false}}}), "INVALID_DATA"),
        (json!({"plugin_labels": {"colour": {"status": false}}}), "VALIDATION_ERROR"),
        (json!({"version_labels": {"7": {"enabled": {"status": false}}}}), "INVALID_DATA"),
        (json!({"version_labels": {"1.0": 5}}), "VALIDATION_ERROR"),
    ] {
        let (name, words) = refusal(api, Method::PATCH, "/plugins/local", Some(body.clone())).await?;
        assert_eq!(name, code, "{body}: {words}");
    }
    ask(api, "v1.1", Method::PATCH, "/plugins/none", Some(enabled(true))).await?.expect(404)?;
    Ok(())
}

#[tokio::test]
async fn images_are_registered_and_tagged() -> Result<()> {
    let world = World::plain().await?;
    let api = &world.api;
    let other = member_of(&world.server, "other", "member").await?;
    let (one, two) = ("11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002");
    for version in ["v1.0", "v1.1", "v2"] {
        let call = |method: Method, path: String, body: Option<Value>| async move {
            ask(api, version, method, &path, body).await
        };
        let answer = call(Method::GET, format!("/images/{one}"), None).await?;
        assert_eq!((answer.status.as_u16(), answer.json()["error_name"].as_str()), (400, Some("IMAGE_NOT_REGISTERED")));
        let (name, _) =
            refusal(api, Method::POST, &format!("/images/{one}"), Some(json!({"description": "x"}))).await?;
        assert_eq!(name, "VALIDATION_ERROR", "a user name is needed");
        for (id, user) in [(one, "ubuntu"), (two, "centos")] {
            let body = json!({"username": user, "description": "text"});
            let made = call(Method::POST, format!("/images/{id}"), Some(body)).await?.expect(202)?;
            assert_eq!((&made["image"]["id"], &made["image"]["username"]), (&json!(id), &json!(user)));
            let theirs = ask(&other, version, Method::GET, "/images", None).await?.expect(200)?;
            assert_eq!(theirs["images"], json!([]), "each project has a registry of its own");
            assert_eq!((&made["image"]["status"], &made["image"]["tags"]), (&json!("ACTIVE"), &json!([])));
        }
        let tags = |tags: &[&str]| Some(json!({"tags": tags}));
        if version == "v2" {
            let path = format!("/images/{one}/tags");
            assert_eq!(call(Method::GET, path.clone(), None).await?.expect(200)?, json!({}));
            call(Method::PUT, path.clone(), tags(&["spark", "old"])).await?.expect(200)?;
            let set = call(Method::PUT, path.clone(), tags(&["spark", "2.3"])).await?.expect(200)?;
            assert_eq!(set["image"]["tags"], json!(["spark", "2.3"]));
            assert_eq!(call(Method::GET, path, None).await?.expect(200)?, json!(["spark", "2.3"]));
        } else {
            call(Method::POST, format!("/images/{one}/tag"), tags(&["spark", "2.3", "old"])).await?.expect(202)?;
            let left = call(Method::POST, format!("/images/{one}/untag"), tags(&["old", "none"])).await?.expect(202)?;
            assert_eq!(left["image"]["tags"], json!(["spark", "2.3"]));
            let (name, _) = refusal(api, Method::POST, &format!("/images/{one}/tag"), tags(&["bad tag"])).await?;
            assert_eq!(name, "VALIDATION_ERROR");
        }
        for (query, wanted) in [
            ("", vec![one, two]),
            ("?tags=spark", vec![one]),
            ("?tags=spark&tags=2.3", vec![one]),
            ("?tags=spark&tags=none", vec![]),
            ("?name=2222", vec![two]),
            ("?name=none", vec![]),
        ] {
            let found = call(Method::GET, format!("/images{query}"), None).await?.expect(200)?;
            let mut ids: Vec<String> =
                found["images"].as_array().into_iter().flatten().map(|image| text(image, "id")).collect();
            ids.sort();
            assert_eq!(ids, wanted, "{version} {query}");
        }
        if version == "v2" {
            call(Method::DELETE, format!("/images/{one}/tags"), None).await?.expect(204)?;
            assert_eq!(call(Method::GET, format!("/images/{one}/tags"), None).await?.expect(200)?, json!({}));
            let answer = call(Method::GET, "/images?colour=red".to_owned(), None).await?;
            assert_eq!(answer.json()["error_name"], "INVALID_PARAMS_ON_REQUEST", "{}", answer.text());
        }
        for id in [one, two] {
            call(Method::DELETE, format!("/images/{id}"), None).await?.expect(204)?;
            call(Method::DELETE, format!("/images/{id}"), None).await?.expect(404)?;
        }
        assert_eq!(call(Method::GET, "/images".to_owned(), None).await?.expect(200)?["images"], json!([]));
    }
    Ok(())
}

#[tokio::test]
async fn microversions_are_told_on_cluster_routes() -> Result<()> {
    let world = World::plain().await?;
    let id = world.api.cluster("local").await?;
    let name = "OpenStack-API-Version";
    let get = |version: &'static str| {
        let (api, path) = (world.api.clone(), format!("/v2/clusters/{id}"));
        async move { api.raw(Method::GET, &path, &[(name, version)], None).await }
    };
    for (asked, told, status) in [
        ("data-processing 2.0", "2.0", 200),
        ("compute 2.1, data-processing latest", "2.0", 200),
        ("compute 2.1", "2.0", 200),
        ("data-processing 9.9", "9.9", 406),
        ("data-processing two", "two", 400),
    ] {
        let answer = get(asked).await?;
        assert_eq!(answer.status.as_u16(), status, "{asked}: {}", answer.text());
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        assert_eq!(header(name), Some(format!("data-processing {told}")), "{asked}");
        assert!(header("vary").is_some_and(|vary| vary.contains(name)), "{asked}");
        if status != 200 {
            assert_eq!(answer.json()["max_version"], "2.0", "{}", answer.text());
        }
    }
    Ok(())
}
