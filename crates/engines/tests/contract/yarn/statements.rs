//! Statements on a YARN cluster: the server is a real one (Spark's, that of the contract of Hive), the ResourceManager the fake.

use std::{collections::BTreeMap, fs};

use foggara_domain::{
    Tag,
    plan::{Plan, PlanKind, SqlScript},
    sql::SqlDialect,
    status::Outcome,
};
use foggara_engines::{Ability, EngineError, JobRef, Observed, Plugin, Stop, Stream, plugin::HostSize};
use foggara_testkit::yarn::FakeYarn;
use serde_json::{Value, json};

use super::{Way, Yarn, cluster, plugin};
use crate::place::until;

fn sql(script: &str) -> Plan {
    Plan::Sql {
        script: SqlScript::Text(script.to_owned()),
        dialect: SqlDialect::Hive,
        database: None,
        variables: BTreeMap::new(),
        settings: BTreeMap::new(),
        engine: None,
        project: String::new(),
    }
}

/// An application of a job's session, as the server would start one.
fn application(yarn: &Yarn, tag: &Tag) {
    let installation = yarn.place.prefix.trim_end_matches('-');
    yarn.fake.submitted("alice", &format!("{installation},{tag}"));
}

/// Everything about them with one server, which takes long to start; `running` tells how much it has to do at present.
pub async fn run_on_the_clusters_server(url: &str, running: &dyn Fn() -> u64) {
    let yarn = Yarn::on(Way::Client, FakeYarn::start(1).expect("a fake"), |settings| {
        settings["hive_url"] = json!(url);
        settings["hive_server"] = json!("spark");
    });
    assert_eq!(plugin(&yarn.place).ability_of(&yarn.made, PlanKind::Sql), Ability::Yes);
    let look = plugin(&yarn.place).look(&yarn.made, &[]).await;
    assert!(look.checks.iter().any(|check| check.0 == "HiveServer2" && check.2.contains("opens sessions")), "{look:?}");

    // The session has the tags; the job lasts as long as an application of it.
    let tag = yarn.place.tag("tagged");
    let job = JobRef::from(&tag);
    assert_eq!(yarn.engine.find(job).await, Ok(None));
    yarn.launch_plan(&tag, &sql("set mapreduce.job.tags; set tez.application.tags")).await.expect("launched");
    application(&yarn, &tag);
    let word = "its session is closed, an application of it goes on";
    until("its session is closed", || async {
        let observed = yarn.engine.observe(job).await;
        (observed == Ok(Observed::Running { state: Some(word.to_owned()) })).then_some(())
    })
    .await;
    assert_eq!(yarn.engine.list(&yarn.place.prefix).await, Ok(vec![tag.clone()]));
    yarn.fake.finish(tag.as_str(), "SUCCEEDED", "");
    assert_eq!(yarn.end(&tag, tag.as_str()).await.outcome, Outcome::Succeeded);
    let out = yarn.engine.logs(job, Stream::Stdout, 0, 10_000).await.expect("a log").bytes;
    let tags = format!("{},{tag}", yarn.place.prefix.trim_end_matches('-'));
    let wanted = format!("mapreduce.job.tags\t{tags}\ntez.application.tags\t{tags}\n");
    assert_eq!(String::from_utf8_lossy(&out), wanted);
    assert!(yarn.engine.results(&tag).await.expect("asked").is_some(), "rows are kept");
    assert_eq!(yarn.engine.list(&yarn.place.prefix).await, Ok(Vec::new()));

    // Stopped: the session is closed and its application killed, by a server that was restarted meanwhile.
    let tag = yarn.place.tag("stopped");
    let job = JobRef::from(&tag);
    yarn.launch_plan(&tag, &sql("select count(*) from range(0, 4000000000000, 1, 2)")).await.expect("launched");
    application(&yarn, &tag);
    until("its statement runs", || async { (running() > 0).then_some(()) }).await;
    let again = plugin(&yarn.place).engine(&yarn.made).expect("an engine");
    assert_eq!(again.list(&yarn.place.prefix).await, Ok(vec![tag.clone()]));
    until("it is told to stop", || async {
        again.stop(job, Stop::Gently).await.expect("sent");
        (yarn.fake.applications(tag.as_str())[0].1 == "KILLED").then_some(())
    })
    .await;
    let ended = yarn.end(&tag, tag.as_str()).await;
    assert_eq!(ended.exit_code, Some(143), "{ended:?}");
    until("nothing of it runs", || async { (running() == 0).then_some(()) }).await;
    let all = yarn.engine.list(&yarn.place.prefix).await;
    assert_eq!(all, Ok(Vec::new()));
}

#[tokio::test]
async fn a_cluster_without_a_server_names_the_setting() {
    let yarn = Yarn::new(Way::Client, 1);
    let settings = cluster(&yarn.settings);
    match plugin(&yarn.place).ability_of(&settings, PlanKind::Sql) {
        Ability::Lacks(why) => assert!(why.contains("yarn.hive_url"), "{why}"),
        other => panic!("{other:?}"),
    }
    let tag = yarn.place.tag("nowhere");
    let refused = yarn.launch_plan(&tag, &sql("select 1")).await;
    assert!(matches!(refused, Err(EngineError::Refused(_))), "{refused:?}");
    let mut wrong: Value = yarn.settings.clone();
    wrong["hive_url"] = json!("hive:10000");
    let checked = plugin(&yarn.place).check(&cluster(&wrong), HostSize { cores: 1, memory_mb: 1 });
    assert!(checked.is_err(), "{checked:?}");
    // Every setting of plugin hive that a cluster of YARN takes is one of its own.
    let plugin = plugin(&yarn.place);
    let configs = &plugin.description().configs;
    assert_eq!(configs.iter().filter(|item| item.name.starts_with("hive_")).count(), 4);
    fs::metadata(yarn.place.path("conf")).expect("its settings");
}
