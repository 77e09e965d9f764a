//! Templates of node groups and of clusters: from their creation to their end, in the three versions.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

use super::*;
use crate::world::member_of;

/// Names of the members that differ between the versions, and the method of a change.
fn words(version: &str) -> (&'static str, &'static str, Method) {
    if version == "v2" {
        ("plugin_version", "project_id", Method::PATCH)
    } else {
        ("hadoop_version", "tenant_id", Method::PUT)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_node_group_to_a_cluster_sqlite() -> Result<()> {
    from_a_node_group_to_a_cluster(On::Sqlite).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_node_group_to_a_cluster_postgres() -> Result<()> {
    from_a_node_group_to_a_cluster(On::Postgres).await
}

async fn from_a_node_group_to_a_cluster(on: On) -> Result<()> {
    let world = World::start(on, "").await?;
    for version in ["v1.0", "v1.1", "v2"] {
        the_whole_way(&world, version).await.with_context(|| version.to_owned())?;
    }
    Ok(())
}

async fn the_whole_way(world: &World, version: &str) -> Result<()> {
    let api = &world.api;
    let (label, project, change) = words(version);
    let call =
        |method: Method, path: String, body: Option<Value>| async move { ask(api, version, method, &path, body).await };
    let (ngts, cts) = ("/node-group-templates", "/cluster-templates");
    // A template of node groups, with what it has when nothing is said.
    let new = json!({
        "name": "ngt", "flavor_id": 2, "plugin_name": "local", label: "1.0", "node_processes": ["local"],
        "node_configs": {"local": {"slots": 2, "memory_mb": 50}},
    });
    let made = call(Method::POST, ngts.to_owned(), Some(new.clone())).await?.expect(202)?;
    let ngt = made["node_group_template"].clone();
    let ngt_id = text(&ngt, "id");
    for (key, value) in [
        ("flavor_id", json!("2")),
        (label, json!("1.0")),
        (project, json!(api.project)),
        ("volumes_per_node", json!(0)),
        ("volume_mount_prefix", json!("/volumes/disk")),
        ("use_autoconfig", json!(true)),
        ("is_public", json!(false)),
        ("is_protected", json!(false)),
        ("is_default", json!(false)),
        ("description", Value::Null),
        ("image_id", Value::Null),
        ("updated_at", Value::Null),
    ] {
        assert_eq!(ngt.get(key), Some(&value), "{key}: {ngt}");
    }
    let ngt_path = format!("{ngts}/{ngt_id}");
    assert_eq!(call(Method::GET, ngt_path.clone(), None).await?.expect(200)?["node_group_template"], ngt);
    let again = call(Method::POST, ngts.to_owned(), Some(new)).await?;
    assert_eq!((again.status.as_u16(), again.json()["error_name"].as_str()), (400, Some("NAME_ALREADY_EXISTS")));
    // A template of clusters: a group from the template, whose settings are put together, and one on its own.
    let groups = json!([
        {"name": "made", "count": 2, "node_group_template_id": ngt_id, "node_configs": {"local": {"slots": 3}}},
        {"name": "bare", "count": 1, "flavor_id": "1", "node_processes": ["local"]},
    ]);
    let new = json!({"name": "ct", "plugin_name": "local", label: "1.0", "description": "of the template", "node_groups": groups,
                     "cluster_configs": {"local": {"memory_mb": 60}}, "anti_affinity": ["local"], "domain_name": "example.org"});
    let made = call(Method::POST, cts.to_owned(), Some(new)).await?.expect(202)?;
    let ct = made["cluster_template"].clone();
    let ct_path = format!("{cts}/{}", text(&ct, "id"));
    assert_eq!(ct["node_groups"][0]["node_configs"], json!({"local": {"slots": 3, "memory_mb": 50}}), "{ct}");
    assert_eq!(ct["node_groups"][0]["node_group_template_id"], json!(ngt_id));
    assert_eq!((&ct["node_groups"][0]["flavor_id"], &ct["node_groups"][1]["name"]), (&json!("2"), &json!("bare")));
    assert_eq!(
        (&ct["use_autoconfig"], &ct["default_image_id"], &ct["is_default"]),
        (&json!(true), &Value::Null, &json!(false))
    );
    assert_eq!(call(Method::GET, ct_path.clone(), None).await?.expect(200)?["cluster_template"], ct);
    for (path, key) in [(ngts, "node_group_templates"), (cts, "cluster_templates")] {
        let list = call(Method::GET, path.to_owned(), None).await?.expect(200)?;
        assert_eq!(list[key].as_array().map(Vec::len), Some(1), "{list}");
        assert_eq!(list[key][0][project], json!(api.project));
    }
    // Changes; what is not named stays. Groups of cluster templates follow their template.
    let body = json!({"description": "new", "is_public": true, "node_configs": {"local": {"slots": 1}}});
    let changed = call(change.clone(), ngt_path.clone(), Some(body)).await?.expect(202)?;
    let changed = &changed["node_group_template"];
    assert_eq!(
        (&changed["description"], &changed["is_public"], &changed["name"]),
        (&json!("new"), &json!(true), &json!("ngt"))
    );
    assert_eq!(changed["node_configs"], json!({"local": {"slots": 1}}));
    assert!(changed["updated_at"].is_string());
    let body = json!({"description": null, "is_public": null});
    let changed = call(change.clone(), ngt_path.clone(), Some(body)).await?.expect(202)?;
    assert_eq!(
        (&changed["node_group_template"]["description"], &changed["node_group_template"]["is_public"]),
        (&Value::Null, &Value::Null)
    );
    let followed = call(Method::GET, ct_path.clone(), None).await?.expect(200)?;
    assert_eq!(followed["cluster_template"]["node_groups"][0]["node_configs"]["local"]["slots"], 1, "{followed}");
    let body = json!({"plugin_name": "local"});
    let answer = call(change.clone(), ngt_path.clone(), Some(body)).await?;
    assert_eq!(answer.json()["error_name"], "INVALID_REFERENCE", "a plugin only with its version: {}", answer.text());
    assert!(answer.text().contains(label), "{}", answer.text());
    let body = json!({"description": null, "name": "ct-renamed", "node_groups": [
        {"name": "made", "count": 1, "node_group_template_id": ngt_id}], "anti_affinity": null});
    let changed = call(change.clone(), ct_path.clone(), Some(body)).await?.expect(202)?;
    let changed = &changed["cluster_template"];
    assert_eq!(
        (&changed["description"], &changed["name"], &changed["anti_affinity"]),
        (&Value::Null, &json!("ct-renamed"), &json!([]))
    );
    assert_eq!(
        (changed["node_groups"].as_array().map(Vec::len), &changed["domain_name"]),
        (Some(1), &json!("example.org"))
    );
    // Export.
    for (path, key, file, placeholders) in [
        (
            &ngt_path,
            "node_group_template",
            "node_group_template.json",
            vec!["flavor_id", "security_groups", "image_id", "floating_ip_pool"],
        ),
        (&ct_path, "cluster_template", "cluster_template.json", vec!["default_image_id", "node_groups"]),
    ] {
        let answer = call(Method::GET, format!("{path}/export"), None).await?;
        let header = answer.headers.get("content-disposition").and_then(|value| value.to_str().ok()).map(str::to_owned);
        assert_eq!(header, Some(format!("attachment; filename={file}")));
        let exported = answer.expect(200)?[key].take();
        for name in placeholders {
            assert_eq!(exported[name], json!(format!("{{{name}}}")), "{exported}");
        }
        for name in ["id", "created_at", "updated_at", "tenant_id", "project_id", "is_default"] {
            assert!(exported.get(name).is_none(), "{name}: {exported}");
        }
        assert_eq!((&exported[label], &exported["plugin_name"]), (&json!("1.0"), &json!("local")));
    }
    // In use by the cluster template.
    let answer = call(Method::DELETE, ngt_path.clone(), None).await?;
    let json = answer.json();
    assert_eq!((answer.status.as_u16(), json["error_name"].as_str()), (400, Some("INVALID_REFERENCE")), "{json}");
    assert!(
        text(&json, "error_message").contains("in use by cluster templates: ct-renamed; and clusters: N/A"),
        "{json}"
    );
    // A cluster of it, with settings of its own on top.
    let ct_id = text(&ct, "id");
    let name = format!("of-{}", version.replace('.', "-"));
    let body = json!({"name": name, "plugin_name": "local", label: "1.0", "cluster_template_id": ct_id,
                      "node_groups": null, "cluster_configs": {"local": {"slots": 2}}, "default_image_id": null});
    let made = call(Method::POST, "/clusters".to_owned(), Some(body)).await?.expect(202)?;
    let made = &made["cluster"];
    let id = text(made, "id");
    assert_eq!((&made["cluster_template_id"], &made["domain_name"]), (&json!(ct_id), &json!("example.org")));
    assert_eq!(made["cluster_configs"], json!({"local": {"memory_mb": 60, "slots": 2}}), "{made}");
    assert_eq!(made["node_groups"][0]["node_group_template_id"], json!(ngt_id));
    assert_ne!(made["node_groups"][0]["id"], changed["node_groups"][0]["id"], "a group of its own");
    let up = settles(world, &id, "Active").await?;
    assert_eq!(nodes(&up), [format!("{name}-made-1")]);
    let answer = call(Method::DELETE, ct_path.clone(), None).await?;
    assert_eq!(answer.json()["error_name"], "INVALID_REFERENCE");
    assert!(answer.text().contains(&format!("in use by {name}")), "{}", answer.text());
    let answer = call(Method::DELETE, ngt_path.clone(), None).await?;
    assert!(answer.text().contains(&format!("ct-renamed; and clusters: {name}")), "{}", answer.text());
    for path in [&ct_path, &ngt_path] {
        let answer = call(change.clone(), path.clone(), Some(json!({"description": "late"}))).await?;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["error_name"].as_str()),
            (400, Some("UPDATE_FAILED")),
            "{}",
            answer.text()
        );
    }
    // Its end: the cluster first, then what it was made of.
    call(Method::DELETE, format!("/clusters/{id}"), None).await?.expect(204)?;
    vanishes(world, &id).await?;
    for path in [ct_path, ngt_path] {
        call(Method::DELETE, path.clone(), None).await?.expect(204)?;
        call(Method::GET, path.clone(), None).await?.expect(404)?;
        call(Method::GET, format!("{path}/export"), None).await?.expect(404)?;
        call(Method::DELETE, path, None).await?.expect(404)?;
    }
    Ok(())
}

#[tokio::test]
async fn lists_have_pages_orders_and_filters() -> Result<()> {
    let world = World::plain().await?;
    let api = &world.api;
    for name in ["b", "a", "d", "c", "e"] {
        let ngt = json!({"name": name, "flavor_id": "1", "plugin_name": "local", "hadoop_version": "1.0", "node_processes": ["local"],
                         "description": format!("about {name}")});
        api.post("/node-group-templates", ngt).await?;
        let ct = json!({"name": name, "plugin_name": "local", "hadoop_version": "1.0", "description": format!("about {name}")});
        api.post("/cluster-templates", ct).await?;
        make(api, local(name, 1)).await?;
    }
    let spark = json!({"name": "s", "flavor_id": "1", "plugin_name": "spark", "hadoop_version": "2.3", "node_processes": ["master"]});
    api.post("/node-group-templates", spark).await?;
    let names = |list: &Value, key: &str| -> Vec<String> {
        list[key].as_array().into_iter().flatten().map(|item| text(item, "name")).collect()
    };
    let all: Vec<&str> = vec!["a", "b", "c", "d", "e"];
    for (path, key) in [
        ("/node-group-templates", "node_group_templates"),
        ("/cluster-templates", "cluster_templates"),
        ("/clusters", "clusters"),
    ] {
        // `local` is public, and `s` is Spark's.
        let own = |list: &Value| -> Vec<String> {
            names(list, key).into_iter().filter(|name| all.contains(&name.as_str())).collect()
        };
        assert_eq!(own(&api.get(&format!("{path}?sort_by=name")).await?), all, "{path}");
        let mut down = all.clone();
        down.reverse();
        assert_eq!(own(&api.get(&format!("{path}?sort_by=-name")).await?), down, "{path}");
        let whole = names(&api.get(&format!("{path}?sort_by=-name")).await?, key);
        let (mut pieces, mut marker) = (Vec::new(), String::new());
        loop {
            let page = api.get(&format!("{path}?sort_by=-name&limit=2{marker}")).await?;
            let piece = names(&page, key);
            assert!(piece.len() <= 2);
            pieces.extend(piece);
            match page["markers"]["next"].as_str() {
                Some(next) => marker = format!("&marker={next}"),
                None => break,
            }
        }
        assert_eq!(pieces, whole, "{path}");
        assert_eq!(names(&api.get(&format!("{path}?name=c$")).await?, key), ["c"], "{path}");
        assert_eq!(
            own(&api.get(&format!("{path}?plugin_name=local&hadoop_version=1.0&sort_by=name")).await?),
            all,
            "{path}"
        );
        assert_eq!(names(&api.get(&format!("{path}?plugin_name=vanilla")).await?, key), Vec::<String>::new());
        assert_eq!(own(&api.get(&format!("{path}?is_public=true")).await?), Vec::<String>::new(), "{path}");
        for (query, code) in [("colour=red", 400), ("sort_by=colour", 400), ("limit=0", 400)] {
            let answer = api.call(Method::GET, &format!("{path}?{query}"), None).await?;
            assert_eq!(answer.status.as_u16(), code, "{path} {query}: {}", answer.text());
        }
        let answer = api.call(Method::GET, &format!("{path}?marker={NOBODY}"), None).await?;
        assert_eq!(answer.status.as_u16(), 404, "{path}: {}", answer.text());
        // v2 names the version otherwise, and takes nothing that it does not name.
        let of_v2 = |query: String| async move { ask(api, "v2", Method::GET, &format!("{path}?{query}"), None).await };
        let list = of_v2("plugin_version=1.0&sort_by=name&plugin_name=local".to_owned()).await?.expect(200)?;
        assert_eq!(own(&list), all, "{path}");
        assert_eq!(names(&of_v2("sort_by=name&limit=1&name=d$".to_owned()).await?.expect(200)?, key), ["d"]);
        for query in ["hadoop_version=1.0", "is_public=true", "colour=red"] {
            let answer = of_v2(query.to_owned()).await?;
            assert_eq!(
                (answer.status.as_u16(), answer.json()["error_name"].as_str()),
                (400, Some("INVALID_PARAMS_ON_REQUEST")),
                "{path} {query}"
            );
        }
    }
    for (path, key) in [("/node-group-templates", "node_group_templates"), ("/cluster-templates", "cluster_templates")]
    {
        assert_eq!(names(&api.get(&format!("{path}?description=about%20b")).await?, key), ["b"], "{path}");
    }
    assert_eq!(names(&api.get("/node-group-templates?plugin_name=spark").await?, "node_group_templates"), ["s"]);
    Ok(())
}

#[tokio::test]
async fn public_and_protected_ones() -> Result<()> {
    let world = World::plain().await?;
    let (api, other) = (&world.api, member_of(&world.server, "other", "member").await?);
    let ngt = json!({"name": "t", "flavor_id": "1", "plugin_name": "local", "hadoop_version": "1.0", "node_processes": ["local"]});
    let made = api.post("/node-group-templates", ngt.clone()).await?;
    let ngt_id = text(&made["node_group_template"], "id");
    let ct = json!({"name": "t", "plugin_name": "local", "hadoop_version": "1.0",
                    "node_groups": [{"name": "g", "count": 1, "node_group_template_id": ngt_id}]});
    let made = api.post("/cluster-templates", ct.clone()).await?;
    let ct_id = text(&made["cluster_template"], "id");
    let group = json!({"name": "g", "count": 1, "node_group_template_id": ngt_id});
    let of_group = json!({"name": "c", "plugin_name": "local", "hadoop_version": "1.0", "node_groups": [group]});
    let of_template =
        json!({"name": "c", "plugin_name": "local", "hadoop_version": "1.0", "cluster_template_id": ct_id});
    // Another project's, and no one's: not there.
    for body in [&of_group, &of_template] {
        let (name, words) = refusal(&other, Method::POST, "/clusters", Some(body.clone())).await?;
        assert!(name == "NOT_FOUND" && words.contains("not found"), "{name} {words}");
    }
    let (name, _) = refusal(&other, Method::POST, "/cluster-templates", Some(ct)).await?;
    assert_eq!(name, "NOT_FOUND");
    let paths = [format!("/node-group-templates/{ngt_id}"), format!("/cluster-templates/{ct_id}")];
    for path in &paths {
        other.call(Method::GET, path, None).await?.expect(404)?;
        other.call(Method::PUT, path, Some(json!({"name": "x"}))).await?.expect(404)?;
        other.call(Method::DELETE, path, None).await?.expect(404)?;
        let body = json!({"is_public": true, "is_protected": true});
        api.call(Method::PUT, path, Some(body)).await?.expect(202)?;
        other.get(path).await?;
        other.get(&format!("{path}/export")).await?;
        let (name, words) = refusal(&other, Method::PUT, path, Some(json!({"is_protected": false}))).await?;
        assert!(name == "UPDATE_FAILED" && words.contains("wasn't created in this tenant"), "{words}");
        let (name, words) = refusal(api, Method::PUT, path, Some(json!({"name": "x"}))).await?;
        assert!(name == "UPDATE_FAILED" && words.contains("marked as protected"), "{words}");
        // All that is sent but the flag is as it was: let through.
        api.call(Method::PUT, path, Some(json!({"is_public": true, "name": "t"}))).await?.expect(202)?;
    }
    let (name, words) = refusal(&other, Method::DELETE, &paths[1], None).await?;
    assert!(name == "DELETION_FAILED" && words.contains("wasn't created in this tenant"), "{name} {words}");
    let (name, words) = refusal(api, Method::DELETE, &paths[1], None).await?;
    assert!(name == "DELETION_FAILED" && words.contains("marked as protected"), "{name} {words}");
    // A name is taken by all that one sees, and public templates can be used.
    let (name, _) = refusal(&other, Method::POST, "/node-group-templates", Some(ngt)).await?;
    assert_eq!(name, "NAME_ALREADY_EXISTS");
    let id = make(&other, of_template).await?;
    let made = other.get(&format!("/clusters/{id}")).await?;
    assert_eq!(made["cluster"]["node_groups"][0]["node_group_template_id"], json!(ngt_id));
    let answer = api.call(Method::DELETE, &paths[1], None).await?;
    assert!(answer.text().contains("in use by c"), "{}", answer.text());
    Ok(())
}
