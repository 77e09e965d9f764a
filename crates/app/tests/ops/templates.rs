//! Job templates, job types, plugins and the public clusters (sahara-v1.1.md sections 7 and 9).

use foggara_app::ops::{
    clusters,
    executions::Submit,
    job_templates::{self, JobTemplateChange, NewInterfaceArgument},
    job_types, plugins,
};
use foggara_domain::{BinaryId, ProjectId, page::ListQuery};
use serde_json::json;

use crate::place::{place, refusal};

fn argument(mapping: &str, default: Option<&str>, value_type: Option<&str>) -> NewInterfaceArgument {
    NewInterfaceArgument {
        name: "n".to_owned(),
        description: None,
        mapping_type: mapping.to_owned(),
        location: "0".to_owned(),
        value_type: value_type.map(str::to_owned),
        required: true,
        default: default.map(str::to_owned),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_are_told_in_the_order_of_the_original() {
    let place = place().await;
    let unknown = BinaryId::from("00000000-0000-4000-8000-000000000404");
    let main = place.binary("a.jar", "file:///a.jar").await;
    let make = async |mains: &[&BinaryId], interface: Vec<NewInterfaceArgument>| {
        let new = job_templates::NewJobTemplate { interface, ..place.new_template("t", "Spark", mains) };
        job_templates::create(&place.app, &place.owner, new).await
    };
    let wrong = || vec![argument("params", None, None)];
    assert_eq!(refusal(make(&[], wrong()).await), "INVALID_DATA Spark job requires main application jar");
    assert_eq!(
        refusal(make(&[&unknown], wrong()).await),
        "NOT_FOUND Job binary '00000000-0000-4000-8000-000000000404' does not exist"
    );
    assert!(refusal(make(&[&main.id], wrong()).await).starts_with("INVALID_DATA Only mapping types"));
    let nowhere = argument("configs", Some("00000000-0000-4000-8000-000000000404"), Some("data_source"));
    assert_eq!(
        refusal(make(&[&main.id], vec![nowhere]).await),
        "INVALID_REFERENCE DataSource with id '00000000-0000-4000-8000-000000000404' doesn't exist"
    );
    let made = make(&[&main.id], vec![argument("args", Some("x"), None)]).await.expect("a job template");
    assert_eq!(made.interface[0].value_type, "string");
    assert_eq!(
        refusal(make(&[&main.id], Vec::new()).await),
        "DB_DUPLICATE_ENTRY Duplicate entry for Job: ['name', 'tenant_id']"
    );
    assert_eq!(job_templates::get(&place.app, &place.owner, &made.id).await.expect("stored"), made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_can_be_removed_and_a_template_in_use_stays() {
    let place = place().await;
    let job = place.shell().await;
    let nothing = JobTemplateChange::default();
    let same = job_templates::update(&place.app, &place.owner, &job.id, nothing).await.expect("no change");
    assert_eq!((same.updated_at, same.description.as_deref()), (None, Some("d")));
    let removed = JobTemplateChange { description: Some(None), ..JobTemplateChange::default() };
    let changed = job_templates::update(&place.app, &place.owner, &job.id, removed).await.expect("changed");
    assert_eq!(changed.description, None);
    place.execute(&job.id, Submit::default()).await.expect("submitted");
    assert_eq!(
        refusal(job_templates::delete(&place.app, &place.owner, &job.id).await),
        "DELETION_FAILED Job deletion failed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn public_clusters_are_made_once_and_seen_by_all() {
    let place = place().await;
    let all = ListQuery::default();
    let before = clusters::list(&place.app, &place.owner, &all).await.expect("a list").items;
    clusters::ensure_public(&place.app).await.expect("a second start");
    let after = clusters::list(&place.app, &place.other, &all).await.expect("a list").items;
    assert_eq!(before, after, "ids are kept");
    let shown: Vec<(&str, &str)> = after.iter().map(|one| (one.name.as_str(), one.status.as_str())).collect();
    assert_eq!(shown.len(), 2, "no local engine here, so no such cluster");
    assert!(shown.contains(&("sim", "Active")) && shown.contains(&("sim-idle", "Error")));
    assert!(after.iter().all(|one| one.project == ProjectId::system() && one.is_public && one.is_protected));
    assert_eq!(ProjectId::system().as_str(), "0".repeat(32));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn job_types_are_listed_in_order_with_their_plugins() {
    let place = place().await;
    let names = |types: &[&str], plugin: &[&str], version: &[&str]| -> Vec<String> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let found = job_types::list(&place.app, &own(types), &own(plugin), &own(version), false);
        let items = found.as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item["name"].as_str().map(str::to_owned)).collect()
    };
    let sahara = ["Hive", "Java", "MapReduce", "MapReduce.Streaming", "Pig", "Shell", "Spark", "Storm", "Storm.Pyleus"];
    assert_eq!(names(&[], &[], &[])[..9], sahara);
    assert_eq!(names(&["Pig", "Nope"], &[], &[]), ["Pig"]);
    assert!(names(&[], &["nope"], &[]).is_empty());
    assert!(names(&[], &[], &["9"]).is_empty());
    let hints = job_types::list(&place.app, &["Java".to_owned()], &[], &[], true);
    let version = &hints[0]["plugins"][0]["versions"]["1.0"];
    assert_eq!(*version, json!({"job_config": {"configs": [], "args": []}}));
    assert_eq!(refusal(job_types::config_hints("Nope")), "Object with {'job_type': 'Nope'} not found");
    assert_eq!(plugins::list(&place.app)[0]["name"], "sim");
    assert_eq!(plugins::get(&place.app, "sim").expect("a plugin")["plugin_labels"]["enabled"]["status"], true);
    assert!(plugins::version(&place.app, "sim", "1.0").expect("a version")["node_processes"].is_object());
    assert_eq!(refusal(plugins::get(&place.app, "x")), "Object with {'plugin_name': 'x'} not found");
    assert_eq!(refusal(plugins::version(&place.app, "sim", "2")), "Object with {'version': '2'} not found");
}
