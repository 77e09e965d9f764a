//! Wrong input about clusters and their templates: each gives a clear error or a cluster in Error that says why.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

use super::*;

/// A body with some members changed.
fn with(mut body: Value, more: Value) -> Value {
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}

/// A node group with some members changed.
fn with_group(more: Value) -> Value {
    with(local("c", 1), json!({"node_groups": [with(group("g", 1), more)]}))
}

#[tokio::test]
async fn clusters_that_are_refused_and_leave_nothing() -> Result<()> {
    let world = World::plain().await?;
    let api = &world.api;
    let share = |path: &str| json!({"id": NOBODY, "path": path});
    for (body, code, words) in [
        (with_group(json!({"count": -1})), "INVALID_DATA", "-1"),
        (with_group(json!({"count": 10_000})), "INVALID_DATA", "10000"),
        (with_group(json!({"count": i64::MAX})), "INVALID_DATA", "1000"),
        (with_group(json!({"count": 1e300})), "VALIDATION_ERROR", "count"),
        (with_group(json!({"count": "1"})), "VALIDATION_ERROR", ""),
        (with(local("c", 1), json!({"node_groups": [group("g", 600), group("h", 600)]})), "INVALID_DATA", "1200"),
        (
            with(local("c", 1), json!({"node_groups": [group("g", i64::MAX), group("h", i64::MAX)]})),
            "INVALID_DATA",
            "1000",
        ),
        (with(local("c", 1), json!({"node_groups": [group("g", 1), group("g", 1)]})), "INVALID_DATA", "'g'"),
        (with_group(json!({"node_processes": ["namenode"]})), "INVALID_REFERENCE", "namenode"),
        (with_group(json!({"node_processes": ["local", "local"]})), "INVALID_DATA", "local"),
        (with_group(json!({"node_processes": []})), "VALIDATION_ERROR", ""),
        (with_group(json!({"node_configs": {"HDFS": {"x": 1}}})), "INVALID_REFERENCE", "target 'HDFS'"),
        (with_group(json!({"node_configs": {"local": {"colour": 1}}})), "INVALID_REFERENCE", "'colour'"),
        (with_group(json!({"node_configs": {"local": 5}})), "VALIDATION_ERROR", ""),
        (with_group(json!({"node_configs": {"local": {"slots": 1.5}}})), "VALIDATION_ERROR", ""),
        (with_group(json!({"volumes_per_node": 2})), "INVALID_REFERENCE", "volumes_size"),
        (with_group(json!({"volumes_per_node": 2, "volumes_size": null})), "INVALID_REFERENCE", "volumes_size"),
        (with_group(json!({"volumes_per_node": -1})), "VALIDATION_ERROR", ""),
        (with_group(json!({"shares": [share("/a"), share("/a")]})), "INVALID_DATA", "same path"),
        (with_group(json!({"node_group_template_id": NOBODY})), "NOT_FOUND", NOBODY),
        (with_group(json!({"node_group_template_id": "x"})), "VALIDATION_ERROR", ""),
        (with_group(json!({"name": "-bad-"})), "VALIDATION_ERROR", ""),
        (
            with(local("c", 1), json!({"cluster_configs": {"general": {"x": 1}}})),
            "INVALID_REFERENCE",
            "target 'general'",
        ),
        (with(local("c", 1), json!({"anti_affinity": ["datanode"]})), "INVALID_REFERENCE", "datanode"),
        (with(local("c", 1), json!({"anti_affinity": ["local", "local"]})), "INVALID_DATA", "local"),
        (with(local("c", 1), json!({"shares": [share("/a"), share("/a")]})), "INVALID_DATA", "same path"),
        (with(local("c", 1), json!({"shares": [share("a")]})), "INVALID_DATA", "absolute"),
        (with(local("c", 1), json!({"shares": [{"path": "/a"}]})), "VALIDATION_ERROR", "id"),
        (with(local("c", 1), json!({"cluster_template_id": NOBODY})), "NOT_FOUND", NOBODY),
        (with(local("c", 1), json!({"plugin_name": "vanilla"})), "INVALID_REFERENCE", "vanilla"),
        (with(local("c", 1), json!({"hadoop_version": "9"})), "INVALID_REFERENCE", "'9'"),
        (with(local("c", 1), json!({"colour": "red"})), "VALIDATION_ERROR", "colour"),
        (with(local("c", 1), json!({"name": "a b"})), "VALIDATION_ERROR", ""),
        (with(local("c", 1), json!({"name": ""})), "VALIDATION_ERROR", ""),
        (with(local("c", 1), json!({"name": "1c"})), "VALIDATION_ERROR", ""),
        (with(local("c", 1), json!({"user_keypair_id": "a/b"})), "VALIDATION_ERROR", ""),
        (with(local("c", 1), json!({"domain_name": "d".repeat(60)})), "INVALID_DATA", "64"),
        (local("local", 1), "NAME_ALREADY_EXISTS", "local"),
    ] {
        let (name, told) =
            refusal(api, Method::POST, "/clusters", Some(body.clone())).await.with_context(|| body.to_string())?;
        assert!(name == code && told.contains(words), "{body}: {name} {told}");
    }
    for (count, code) in
        [(json!(-1), "INVALID_DATA"), (json!(10_000), "INVALID_DATA"), (json!("2"), "VALIDATION_ERROR")]
    {
        let body = with(local("c", 1), json!({"count": count}));
        let (name, told) = refusal(api, Method::POST, "/clusters/multiple", Some(body)).await?;
        assert!(name == code && told.contains("ount"), "{count}: {name} {told}");
        let body = json!({"name": "c", "plugin_name": "local", "plugin_version": "1.0", "node_groups": [group("g", 1)], "count": count});
        let answer = ask(api, "v2", Method::POST, "/clusters", Some(body)).await?;
        assert_eq!((answer.status.as_u16(), answer.json()["error_name"].as_str()), (400, Some(code)), "{count}");
    }
    let (name, _) = refusal(api, Method::POST, "/clusters/multiple", Some(local("c", 1))).await?;
    assert_eq!(name, "VALIDATION_ERROR", "a count is needed");
    let none =
        ask(api, "v1.1", Method::POST, "/clusters/multiple", Some(with(local("c", 1), json!({"count": 0})))).await?;
    assert_eq!(none.expect(202)?, json!({"clusters": []}));
    let seen = api.get("/clusters").await?;
    let names: Vec<String> = seen["clusters"].as_array().into_iter().flatten().map(|one| text(one, "name")).collect();
    assert_eq!(names, ["local"], "nothing was stored");
    Ok(())
}

#[tokio::test]
async fn names_at_the_limit_and_beyond() -> Result<()> {
    let world = World::plain().await?;
    let api = &world.api;
    let (long, longer) = ("n".repeat(80), "n".repeat(81));
    let ngt = |name: &str| json!({"name": name, "flavor_id": "1", "plugin_name": "local", "hadoop_version": "1.0", "node_processes": ["local"]});
    let ct = |name: &str| json!({"name": name, "plugin_name": "local", "hadoop_version": "1.0"});
    for (path, good, bad) in
        [("/node-group-templates", ngt(&long), ngt(&longer)), ("/cluster-templates", ct(&long), ct(&longer))]
    {
        api.post(path, good).await?;
        let (name, told) = refusal(api, Method::POST, path, Some(bad)).await?;
        assert!(name == "VALIDATION_ERROR" && told.contains("is too long"), "{told}");
        for name in ["-a", "a-", "a..b", "a_b", "ä", "a/../b"] {
            let (code, told) =
                refusal(api, Method::POST, path, Some(if path.starts_with("/n") { ngt(name) } else { ct(name) }))
                    .await?;
            assert_eq!(code, "VALIDATION_ERROR", "{name}: {told}");
        }
    }
    // The name of a host: <cluster>-<group>-<number>.<domain>, 64 at most; the domain is `novalocal` unless one is given.
    let fits = "c".repeat(64 - "-workers-1.novalocal".len());
    let id = make(api, local(&fits, 1)).await?;
    assert_eq!(id.len(), 36);
    for (body, host) in [
        (local(&format!("{fits}c"), 1), "novalocal"),
        (local(&format!("{}d", &fits[1..]), 10), "-workers-10.novalocal"),
        (with(local(&fits, 1), json!({"name": format!("e{}", &fits[1..]), "domain_name": "novalocal1"})), "novalocal1"),
    ] {
        let (name, told) = refusal(api, Method::POST, "/clusters", Some(body)).await?;
        assert!(name == "INVALID_DATA" && told.contains(host) && told.contains("64"), "{name} {told}");
    }
    // So do several of one name.
    let several = json!({"name": long, "plugin_name": "local", "hadoop_version": "1.0", "count": 2});
    let (name, told) = refusal(api, Method::POST, "/clusters/multiple", Some(several)).await?;
    assert!(name == "INVALID_DATA" && told.contains("has 82 characters"), "{name} {told}");
    // Scaling makes numbers longer, too.
    settles(&world, &id, "Active").await?;
    let body = json!({"resize_node_groups": [{"name": "workers", "count": 10}]});
    let (name, told) = refusal(api, Method::PUT, &format!("/clusters/{id}"), Some(body)).await?;
    assert!(name == "INVALID_DATA" && told.contains("64"), "{name} {told}");
    Ok(())
}

#[tokio::test]
async fn templates_that_are_refused() -> Result<()> {
    let world = World::plain().await?;
    let api = &world.api;
    let ngt = |more: Value| {
        with(
            json!({"name": "t", "flavor_id": "1", "plugin_name": "local", "hadoop_version": "1.0", "node_processes": ["local"]}),
            more,
        )
    };
    let share = |path: &str| json!({"id": NOBODY, "path": path});
    let cases = [
        (json!({"flavor_id": "big"}), "VALIDATION_ERROR"),
        (json!({"plugin_name": "vanilla"}), "INVALID_REFERENCE"),
        (json!({"hadoop_version": "9"}), "INVALID_REFERENCE"),
        (json!({"node_processes": []}), "VALIDATION_ERROR"),
        (json!({"node_processes": ["x"]}), "INVALID_REFERENCE"),
        (json!({"node_processes": ["local", "local"]}), "INVALID_DATA"),
        (json!({"node_configs": {"x": {"y": 1}}}), "INVALID_REFERENCE"),
        (json!({"node_configs": {"local": {"y": 1}}}), "INVALID_REFERENCE"),
        (json!({"volumes_per_node": 1}), "INVALID_REFERENCE"),
        (json!({"volumes_per_node": 1, "volumes_size": 0}), "VALIDATION_ERROR"),
        (json!({"volume_mount_prefix": "volumes"}), "VALIDATION_ERROR"),
        (json!({"shares": [share("/a"), share("/a")]}), "INVALID_DATA"),
        (json!({"image_id": "x"}), "VALIDATION_ERROR"),
        (json!({"boot_from_volume": true}), "VALIDATION_ERROR"),
    ];
    let made = api.post("/node-group-templates", ngt(json!({"name": "good"}))).await?;
    let path = format!("/node-group-templates/{}", text(&made["node_group_template"], "id"));
    for (more, code) in cases {
        let (name, told) = refusal(api, Method::POST, "/node-group-templates", Some(ngt(more.clone()))).await?;
        assert_eq!(name, code, "{more}: {told}");
        let (name, told) = refusal(api, Method::PUT, &path, Some(more.clone())).await?;
        assert_eq!(name, code, "changed to {more}: {told}");
    }
    assert_eq!(api.get(&path).await?["node_group_template"], made["node_group_template"], "it is as it was");
    // v2 knows more members.
    let body = json!({"name": "v", "flavor_id": "1", "plugin_name": "local", "plugin_version": "1.0", "node_processes": ["local"],
                      "boot_from_volume": true, "boot_volume_type": "ssd"});
    ask(api, "v2", Method::POST, "/node-group-templates", Some(body)).await?.expect(202)?;
    let ct = |more: Value| with(json!({"name": "t", "plugin_name": "local", "hadoop_version": "1.0"}), more);
    let made = api.post("/cluster-templates", ct(json!({"name": "good"}))).await?;
    let path = format!("/cluster-templates/{}", text(&made["cluster_template"], "id"));
    for (more, code) in [
        (json!({"node_groups": [group("g", -1)]}), "INVALID_DATA"),
        (json!({"node_groups": [group("g", 10_000)]}), "INVALID_DATA"),
        (json!({"node_groups": [group("g", 1), group("g", 2)]}), "INVALID_DATA"),
        (json!({"node_groups": [{"name": "g", "count": 1, "node_group_template_id": NOBODY}]}), "NOT_FOUND"),
        (json!({"node_groups": [{"name": "g", "count": 1}]}), "VALIDATION_ERROR"),
        (json!({"node_groups": [{"name": "g", "flavor_id": "1", "node_processes": ["local"]}]}), "VALIDATION_ERROR"),
        (json!({"cluster_configs": {"x": {"y": 1}}}), "INVALID_REFERENCE"),
        (json!({"anti_affinity": ["x"]}), "INVALID_REFERENCE"),
        (json!({"shares": [share("/a"), share("/a")]}), "INVALID_DATA"),
    ] {
        let (name, told) = refusal(api, Method::POST, "/cluster-templates", Some(ct(more.clone()))).await?;
        assert_eq!(name, code, "{more}: {told}");
        let (name, told) = refusal(api, Method::PUT, &path, Some(more.clone())).await?;
        assert_eq!(name, code, "changed to {more}: {told}");
    }
    // A name that another has; as in the original, a change is told of it by the database.
    for (path, body) in [("/node-group-templates", ngt(json!({}))), ("/cluster-templates", ct(json!({})))] {
        let made = api.post(path, body).await?;
        let key = if path.starts_with("/n") { "node_group_template" } else { "cluster_template" };
        let one = format!("{path}/{}", text(&made[key], "id"));
        let answer = api.call(Method::PUT, &one, Some(json!({"name": "good"}))).await?;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["error_name"].as_str()),
            (400, Some("DB_DUPLICATE_ENTRY")),
            "{}",
            answer.text()
        );
    }
    assert_eq!(api.get(&path).await?["cluster_template"]["node_groups"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_plugin_refuses_stays_in_error_and_says_why() -> Result<()> {
    let world = with_stand_in(On::Sqlite, "", true).await?;
    let _sweep = Sweep::of(&world);
    let api = &world.api;
    let meminfo = std::fs::read_to_string("/proc/meminfo")?;
    let total: u64 = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok())
        .context("memory")?;
    let limit =
        std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let has = limit.map_or(total / 1024, |limit| (limit / 1024 / 1024).min(total / 1024));
    let host = format!("this host has {has} MiB");
    let too_much = total / 1024;
    let memory = |value: Value| with(local("c", 2), json!({"cluster_configs": {"local": {"memory_mb": value}}}));
    let worker = |configs: Value| {
        let mut body = spark("c", 1, 100);
        body["node_groups"][1]["node_configs"] = configs;
        body
    };
    let external = |configs: Value| json!({"name": "c", "plugin_name": "spark", "hadoop_version": "2.3", "cluster_configs": {"spark": configs}});
    for (body, words) in [
        (local("c", 0), vec!["no slot".to_owned()]),
        (memory(json!(too_much)), vec![(too_much * 2).to_string(), host.clone()]),
        (memory(json!(i64::MAX)), vec![host.clone()]),
        (worker(json!({"spark": {"memory_mb": too_much}})), vec![(too_much + 512).to_string(), host.clone()]),
        (worker(json!({"spark": {"cores": "x"}})), vec!["spark.cores".to_owned()]),
        (worker(json!({"spark": {"cores": 0}})), vec!["spark.cores".to_owned()]),
        (spark("c", 0, 100), vec!["at least 1 node".to_owned()]),
        (spark("c", 100, 100), vec!["64".to_owned()]),
        (
            with(spark("c", 1, 100), json!({"cluster_configs": {"spark": {"master": "spark://h:1"}}})),
            vec!["elsewhere".to_owned()],
        ),
        (external(json!({"master": "h:7077"})), vec!["'h:7077'".to_owned()]),
        (external(json!({"master": "spark://h"})), vec!["'spark://h'".to_owned()]),
        (external(json!({"master": "spark://h:1", "web_ui": "h:8080"})), vec!["'h:8080'".to_owned()]),
        (external(json!({})), vec!["exactly 1 node".to_owned()]),
    ] {
        let (name, told) = refusal(api, Method::POST, "/clusters", Some(body.clone())).await?;
        assert_eq!(name, "INVALID_REFERENCE", "{body}: {told}");
        for word in words {
            assert!(told.contains(&word), "{body}: {told}");
        }
        refused_one_goes(&world, &told).await.with_context(|| body.to_string())?;
    }
    assert_eq!((node_processes(&world.server.dir), folders(&world)), (vec![], vec![]));
    Ok(())
}

/// The cluster of a refused request is in Error with what was said, is good for nothing, and can be deleted with its jobs.
async fn refused_one_goes(world: &World, told: &str) -> Result<()> {
    let api = &world.api;
    let list = api.get("/clusters?name=%5Ec$").await?;
    let left = &list["clusters"][0];
    assert_eq!(left["status"], "Error", "{list}");
    assert!(told.starts_with(&text(left, "status_description")), "{told}: {left}");
    let id = text(left, "id");
    let path = format!("/clusters/{id}");
    let (name, told) = refusal(api, Method::PUT, &path, Some(json!({"add_node_groups": [group("g", 1)]}))).await?;
    assert!(name == "INVALID_REFERENCE" && told.contains("Cluster status: Error"), "{told}");
    let (name, _) = refusal(api, Method::PATCH, &path, Some(json!({"verification": {"status": "START"}}))).await?;
    assert_eq!(name, "CANNOT_VERIFY");
    api.delete(&path).await?;
    vanishes(world, &id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_are_no_numbers() -> Result<()> {
    let world = with_stand_in(On::Sqlite, "", true).await?;
    let _sweep = Sweep::of(&world);
    let slots = |value: Value| with_group(json!({"node_configs": {"local": {"slots": value}}}));
    let memory = |value: Value| with(local("c", 1), json!({"cluster_configs": {"local": {"memory_mb": value}}}));
    let jobs = |value: Value| with(spark("c", 1, 100), json!({"cluster_configs": {"spark": {"max_running": value}}}));
    for (body, words) in [
        (slots(json!("x")), ["local.slots", "\"x\""]),
        (slots(json!(0)), ["local.slots", "greater than 0"]),
        (memory(json!("x")), ["local.memory_mb", "\"x\""]),
        (memory(json!(-5)), ["local.memory_mb", "-5"]),
        (memory(json!(true)), ["local.memory_mb", "true"]),
        (jobs(json!("")), ["spark.max_running", "\"\""]),
    ] {
        let (name, told) = refusal(&world.api, Method::POST, "/clusters", Some(body.clone())).await?;
        assert!(name == "INVALID_REFERENCE" && words.iter().all(|word| told.contains(word)), "{body}: {name} {told}");
        refused_one_goes(&world, &told).await.with_context(|| body.to_string())?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_on_a_cluster_in_error_wait_and_end_with_it() -> Result<()> {
    let world = World::plain().await?;
    let api = &world.api;
    let (_, told) = refusal(api, Method::POST, "/clusters", Some(local("c", 0))).await?;
    let id = api.cluster("c").await?;
    let template = world.shell("never", "true").await?;
    let job = execute_on(api, &id, &template, json!({})).await?;
    let why = api.raw(Method::GET, &format!("/api/v1/executions/{job}/explain"), &[], None).await?.expect(200)?;
    assert!(why["explanation"].as_str().is_some_and(|words| words.contains("`c` is Error")), "{why}");
    assert_eq!(api.execution(&job).await?["info"]["status"], "PENDING");
    refused_one_goes(&world, &told).await?;
    let row = api.execution(&job).await?;
    assert_eq!((&row["info"]["status"], &row["cluster_id"]), (&json!("KILLED"), &json!(id)), "{row}");
    api.delete(&format!("/job-executions/{job}")).await?;
    world.wait_unknown(&job).await
}

#[tokio::test]
async fn counts_that_no_number_of_ours_holds() -> Result<()> {
    let world = World::plain().await?;
    let api = &world.api;
    // 2^64 - 1 and a number with a point: refused, or taken for what they are; never for another number.
    for count in [json!(u64::MAX), json!(2.0), json!(2.5)] {
        let body =
            with(local("c", 1), json!({"node_groups": [group("g", 1), with(group("h", 1), json!({"count": count}))]}));
        let answer = ask(api, "v1.1", Method::POST, "/clusters", Some(body)).await?;
        let made = answer.json();
        let is_taken =
            answer.status.as_u16() == 202 && made["cluster"]["node_groups"][1]["count"].as_f64() == count.as_f64();
        assert!(answer.status.as_u16() == 400 || is_taken, "{count}: {made}");
        let body = with(local("d", 1), json!({"count": count}));
        let answer = ask(api, "v1.1", Method::POST, "/clusters/multiple", Some(body)).await?;
        let made = answer.json();
        let is_taken =
            answer.status.as_u16() == 202 && made["clusters"].as_array().map(|ids| ids.len() as f64) == count.as_f64();
        assert!(answer.status.as_u16() == 400 || is_taken, "{count}: {made}");
        if let Ok(id) = api.cluster("c").await {
            settles(&world, &id, "Active").await?;
            let body = json!({"resize_node_groups": [{"name": "h", "count": count}]});
            let answer = ask(api, "v1.1", Method::PUT, &format!("/clusters/{id}"), Some(body)).await?;
            let made = answer.json();
            let is_taken =
                answer.status.as_u16() == 202 && made["cluster"]["node_groups"][1]["count"].as_f64() == count.as_f64();
            assert!(answer.status.as_u16() == 400 || is_taken, "{count}: {made}");
            api.delete(&format!("/clusters/{id}")).await?;
            vanishes(&world, &id).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn volumes_that_no_number_of_ours_holds() -> Result<()> {
    let world = World::plain().await?;
    for name in ["volumes_size", "volumes_per_node"] {
        let mut body = json!({"name": name.replace('_', "-"), "flavor_id": "1", "plugin_name": "local", "hadoop_version": "1.0",
                              "node_processes": ["local"], "volumes_per_node": 1, "volumes_size": 1});
        body[name] = json!(u64::MAX);
        let answer = ask(&world.api, "v1.1", Method::POST, "/node-group-templates", Some(body)).await?;
        let made = answer.json();
        let is_taken = made["node_group_template"][name] == u64::MAX
            && made["node_group_template"]["node_processes"] == json!(["local"]);
        assert!(answer.status.as_u16() == 400 || is_taken, "{name}: {made}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_whose_names_differ_in_case_have_nodes_of_their_own() -> Result<()> {
    let world = World::plain().await?;
    let body = with(local("c", 1), json!({"node_groups": [group("W", 1), group("w", 1)]}));
    let answer = ask(&world.api, "v1.1", Method::POST, "/clusters", Some(body)).await?;
    if answer.status.as_u16() == 400 {
        assert_eq!(answer.json()["error_name"], "INVALID_DATA", "{}", answer.text());
        return Ok(());
    }
    let id = text(&answer.expect(202)?["cluster"], "id");
    let up = settles(&world, &id, "Active").await?;
    let names = nodes(&up);
    assert!(names.len() == 2 && names[0] != names[1], "names of nodes are unique: {names:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_always_fail_end_in_error() -> Result<()> {
    let world = with_stand_in(On::Sqlite, "[jobs]\nkill_grace = 1\n", true).await?;
    let _sweep = Sweep::of(&world);
    let script = world.server.dir.join("stand-in/bin/spark-class");
    let stand_in = std::fs::read_to_string(&script)?;
    std::fs::write(&script, "#!/bin/sh\necho begun; echo the disk is made of cheese >&2; exit 3\n")?;
    let id = make(&world.api, spark("bad", 1, 100)).await?;
    let seen = settles(&world, &id, "Error").await?;
    let told = text(&seen, "status_description");
    assert!(told.contains("bad-master-1") && told.contains("made of cheese"), "{told}");
    let steps = seen["provision_progress"].as_array().cloned().unwrap_or_default();
    let failed = steps.iter().find(|step| step["successful"] == false).context("a step that failed")?;
    let event = &failed["events"][0];
    assert_eq!((&event["successful"], &event["instance_name"]), (&json!(false), &json!("bad-master-1")), "{failed}");
    assert!(text(event, "event_info").contains("made of cheese"), "{event}");
    wait::until("nothing of it runs on", LONG, || async { node_processes(&world.server.dir).is_empty().then_some(()) })
        .await?;
    world.api.delete(&format!("/clusters/{id}")).await?;
    vanishes(&world, &id).await?;
    assert_eq!(folders(&world), Vec::<PathBuf>::new());
    // What was wrong is mended: the next one comes up.
    std::fs::write(&script, stand_in)?;
    let id = make(&world.api, spark("bad", 1, 100)).await?;
    settles(&world, &id, "Active").await?;
    world.api.delete(&format!("/clusters/{id}")).await?;
    vanishes(&world, &id).await
}
