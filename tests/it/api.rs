//! What the recorded cases do not prove (decision 22): pages of executions, the `is_public` filter, `GET /`, clusters and
//! plugins; and the whole way of files, Streaming and data sources.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use foggara_testkit::s3::{ACCESS_KEY, FakeS3, SECRET_KEY};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{On, World};

#[tokio::test]
async fn all_pages_together_are_the_list() -> Result<()> {
    let world = World::start(On::Sqlite, "[sim]\nenabled = true\n").await?;
    let template = world.shell("paged", "true").await?;
    let cluster = world.api.cluster("sim-idle").await?;
    for _ in 0..7 {
        world.api.post(&format!("/jobs/{template}/execute"), json!({"cluster_id": cluster})).await?;
    }
    let of = |page: &Value| -> Vec<String> {
        let rows = page["job_executions"].as_array().cloned().unwrap_or_default();
        rows.iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect()
    };
    for sort in ["id", "-id", "job_template", "cluster", "-status"] {
        let whole = of(&world.api.get(&format!("/job-executions?sort_by={sort}")).await?);
        assert_eq!(whole.len(), 7);
        for limit in 1..5 {
            let (mut pieces, mut marker) = (Vec::new(), String::new());
            loop {
                let page = world.api.get(&format!("/job-executions?limit={limit}&sort_by={sort}{marker}")).await?;
                let ids = of(&page);
                assert!(ids.len() <= limit);
                pieces.extend(ids);
                match page["markers"]["next"].as_str() {
                    Some(next) => marker = format!("&marker={next}"),
                    None => break,
                }
            }
            assert_eq!(pieces, whole, "{sort} by {limit}");
        }
    }
    // A marker is exclusive, and after the last row comes an empty page.
    let whole = of(&world.api.get("/job-executions").await?);
    let last = whole.last().context("rows")?;
    assert_eq!(of(&world.api.get(&format!("/job-executions?marker={last}")).await?), Vec::<String>::new());
    assert_eq!(of(&world.api.get(&format!("/job-executions?marker={}", whole[2])).await?), whole[3..]);
    let second = world.api.get(&format!("/job-executions?limit=2&marker={}", whole[1])).await?;
    assert_eq!(of(&second), whole[2..4]);
    assert_eq!(second["markers"], json!({"prev": null, "next": whole[3]}));
    let third = world.api.get(&format!("/job-executions?limit=2&marker={}", whole[3])).await?;
    assert_eq!(third["markers"], json!({"prev": whole[1], "next": whole[5]}));
    Ok(())
}

#[tokio::test]
async fn the_public_filter_knows_words() -> Result<()> {
    let world = World::plain().await?;
    for (name, public) in [("one", true), ("two", false)] {
        let body = json!({"name": name, "type": "hdfs", "url": format!("/{name}"), "is_public": public});
        world.api.post("/data-sources", body).await?;
    }
    for (text, name) in [("true", "one"), ("1", "one"), ("False", "two"), ("0", "two")] {
        let list = world.api.get(&format!("/data-sources?is_public={text}")).await?;
        let names: Vec<&str> =
            list["data_sources"].as_array().into_iter().flatten().filter_map(|row| row["name"].as_str()).collect();
        assert_eq!(names, [name], "{text}");
    }
    let wrong = world.api.call(Method::GET, "/data-sources?is_public=perhaps", None).await?;
    assert_eq!(wrong.status.as_u16(), 400);
    Ok(())
}

#[tokio::test]
async fn the_root_names_the_versions() -> Result<()> {
    let world = World::plain().await?;
    let answer = world.api.raw(Method::GET, "/", &[("X-Auth-Token", "")], None).await?;
    let versions = answer.expect(300)?;
    let found: BTreeMap<String, (String, String)> = versions["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|version| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&version["id"]), (text(&version["status"]), text(&version["links"][0]["href"])))
        })
        .collect();
    assert_eq!(found["v1.1"], ("SUPPORTED".to_owned(), format!("{}/v1.1/", world.api.url)));
    assert_eq!(found["v2"], ("CURRENT".to_owned(), format!("{}/v2/", world.api.url)));
    assert_eq!(found["v1.0"].0, "SUPPORTED");
    assert_eq!(found["v3.14"].1, format!("{}/v3/", world.api.url));
    Ok(())
}

#[tokio::test]
async fn clusters_and_plugins_can_be_read_in_both_versions() -> Result<()> {
    let world = World::plain().await?;
    let id = world.api.cluster("local").await?;
    for version in ["v1.0", "v1.1"] {
        let get = |path: String| {
            let api = world.api.clone();
            async move { api.raw(Method::GET, &format!("/{version}/{}{path}", api.project), &[], None).await }
        };
        let cluster = get(format!("/clusters/{id}")).await?.expect(200)?;
        assert_eq!(cluster["cluster"]["hadoop_version"], "1.0");
        assert_eq!(cluster["cluster"]["node_groups"], json!([]));
        let plugins = get("/plugins".to_owned()).await?.expect(200)?;
        let names = plugins["plugins"].as_array().context("no list")?.iter().map(|plugin| &plugin["name"]);
        assert_eq!(names.filter(|name| *name == "local").count(), 1);
        let plugin = get("/plugins/local/1.0".to_owned()).await?.expect(200)?;
        for key in ["configs", "node_processes", "required_image_tags", "versions", "title", "description"] {
            assert!(plugin["plugin"].get(key).is_some(), "{key}");
        }
        assert_eq!(get("/plugins/none".to_owned()).await?.status.as_u16(), 404);
        assert_eq!(get("/clusters/local".to_owned()).await?.status.as_u16(), 404, "a name is no id");
    }
    let data = world.api.raw(Method::GET, &format!("/v1.0/{}/jobs", world.api.project), &[], None).await?;
    assert_eq!(data.status.as_u16(), 404, "v1.0 serves no jobs");
    Ok(())
}

#[tokio::test]
async fn streaming_counts_words_with_several_reducers() -> Result<()> {
    let world = World::plain().await?;
    let files = world.server.dir.join("files");
    std::fs::create_dir_all(files.join("in"))?;
    std::fs::write(files.join("in/a.txt"), "b a b\n")?;
    std::fs::write(files.join("in/b.txt"), "c b\n")?;
    std::fs::write(files.join("in/_hidden"), "x x x\n")?;
    let source = |name: &str, kind: &str, url: String| {
        let api = world.api.clone();
        let body = json!({"name": name, "type": kind, "url": url});
        async move {
            let made = api.post("/data-sources", body).await?;
            Ok::<_, anyhow::Error>(made["data_source"]["id"].as_str().context("no id")?.to_owned())
        }
    };
    let input = source("in", "file", format!("file://{}", files.join("in").display())).await?;
    let output = source("out", "hdfs", format!("{}/out-%JOB_EXEC_ID%", files.display())).await?;
    let template = world.api.template("words", "MapReduce.Streaming", &[], &[]).await?;
    let configs = json!({
        "edp.streaming.mapper": "awk '{ for (i = 1; i <= NF; i++) print $i \"\\t1\" }'",
        "edp.streaming.reducer": "awk -F '\\t' '{ n[$1] += $2 } END { for (w in n) print w \"\\t\" n[w] }'",
        "mapreduce.job.reduces": 3,
    });
    let body = json!({"input_id": input, "output_id": output, "job_configs": {"configs": configs}});
    let id = world.execute(&template, body.clone()).await?;
    let row = world.wait(&id, &["SUCCEEDED", "FAILED"]).await?;
    let errors = String::from_utf8(world.api.log(&id, "stderr").await?)?;
    assert_eq!(row["info"]["status"], "SUCCEEDED", "{row} {errors}");
    let out = files.join(format!("out-{id}"));
    assert_eq!(row["data_source_urls"][&output], out.display().to_string());
    let mut counts = BTreeMap::new();
    for number in 0..3 {
        let part = std::fs::read_to_string(out.join(format!("part-{number:05}")))?;
        for line in part.lines() {
            let (word, count) = line.split_once('\t').context("a pair")?;
            assert!(counts.insert(word.to_owned(), count.parse::<u32>()?).is_none(), "{word} in two parts");
        }
    }
    assert_eq!(counts, BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 3), ("c".to_owned(), 1)]));
    assert!(out.join("_SUCCESS").exists());
    Ok(())
}

#[tokio::test]
async fn references_to_data_sources_are_replaced() -> Result<()> {
    let world = World::plain().await?;
    let body = json!({"name": "src", "type": "hdfs", "url": "hdfs://nn:8020/p/%RANDSTR(5)%"});
    let made = world.api.post("/data-sources", body).await?;
    let source = made["data_source"]["id"].as_str().context("no id")?.to_owned();
    let template = world.shell("refs", "echo \"$1 $2 $P\"").await?;
    let configs = json!({
        "configs": {"edp.substitute_data_source_for_name": true, "edp.substitute_data_source_for_uuid": "True"},
        "args": ["datasource://src", "datasource://unknown"],
        "params": {"P": source},
    });
    let id = world.execute(&template, json!({"job_configs": configs})).await?;
    let row = world.wait(&id, &["SUCCEEDED"]).await?;
    let url = row["data_source_urls"][&source].as_str().context("a url")?.to_owned();
    assert!(url.starts_with("hdfs://nn:8020/p/") && url.len() == "hdfs://nn:8020/p/".len() + 5, "{url}");
    let out = String::from_utf8(world.api.log(&id, "stdout").await?)?;
    assert_eq!(out.trim(), format!("{url} datasource://unknown {url}"));
    Ok(())
}

#[tokio::test]
async fn binaries_come_from_files_and_uploads_of_any_size() -> Result<()> {
    let world = World::plain().await?;
    let files = world.server.dir.join("files");
    std::fs::write(files.join("job.sh"), "cat big.bin | wc -c")?;
    let url = format!("file://{}", files.join("job.sh").display());
    let main = world.api.post("/job-binaries", json!({"name": "job.sh", "url": url})).await?;
    let main = main["job_binary"]["id"].as_str().context("no id")?.to_owned();
    let big: Vec<u8> = (0..3_000_001u32).map(|number| (number % 251) as u8).collect();
    let lib = world.api.binary("big.bin", &big).await?;
    let data = world.api.call(Method::GET, &format!("/job-binaries/{lib}/data"), None).await?;
    assert!(data.bytes == big, "{} bytes came back", data.bytes.len());
    let template = world.api.template("files", "Shell", &[&main], &[&lib]).await?;
    let id = world.execute(&template, json!({})).await?;
    world.wait(&id, &["SUCCEEDED"]).await?;
    assert_eq!(String::from_utf8(world.api.log(&id, "stdout").await?)?.trim(), "3000001");
    Ok(())
}

#[tokio::test]
async fn binaries_come_from_s3_with_their_own_keys_and_with_the_operators() -> Result<()> {
    let s3 = FakeS3::start(&["jobs"])?;
    s3.put("jobs", "dir/job.sh", b"cat lib.txt");
    s3.put("jobs", "lib.txt", b"from s3");
    let endpoint = s3.endpoint();
    let settings =
        format!("[stores.s3]\nendpoint = '{endpoint}'\naccess_key = '{ACCESS_KEY}'\nsecret_key = '{SECRET_KEY}'\n");
    let world = World::start(On::Sqlite, &settings).await?;
    let binary = async |name: &str, url: &str, extra: Value| -> Result<String> {
        let made = world.api.post("/job-binaries", json!({"name": name, "url": url, "extra": extra})).await?;
        Ok(made["job_binary"]["id"].as_str().context("no id")?.to_owned())
    };
    let keys = json!({"accesskey": ACCESS_KEY, "secretkey": SECRET_KEY, "endpoint": endpoint});
    let main = binary("job.sh", "s3://jobs/dir/job.sh", keys).await?;
    let lib = binary("lib.txt", "s3a://jobs/lib.txt", json!({})).await?;
    let data = world.api.call(Method::GET, &format!("/job-binaries/{main}/data"), None).await?;
    assert_eq!((data.status.as_u16(), data.text().as_str()), (200, "cat lib.txt"));
    let template = world.api.template("s3", "Shell", &[&main], &[&lib]).await?;
    let id = world.execute(&template, json!({})).await?;
    world.wait(&id, &["SUCCEEDED"]).await?;
    assert_eq!(String::from_utf8(world.api.log(&id, "stdout").await?)?, "from s3");
    let wrong = json!({"accesskey": ACCESS_KEY, "secretkey": "another-secret", "endpoint": endpoint});
    let wrong = binary("wrong.sh", "s3://jobs/dir/job.sh", wrong).await?;
    let data = world.api.call(Method::GET, &format!("/job-binaries/{wrong}/data"), None).await?;
    assert_eq!(data.status.as_u16(), 400);
    let text = data.text();
    assert!(text.contains("S3_CLIENT_EXCEPTION") && text.contains("secret key is wrong"), "{text}");
    let template = world.api.template("wrong", "Shell", &[&wrong], &[]).await?;
    let id = world.execute(&template, json!({})).await?;
    let row = world.wait(&id, &["FAILED"]).await?;
    assert!(row["info"]["reason"].as_str().is_some_and(|why| why.contains("secret key is wrong")), "{row}");
    let seen = format!("{text} {row} {}", world.server.log());
    assert!(!seen.contains("another-secret") && !seen.contains(SECRET_KEY));
    Ok(())
}
