//! Job templates, job types, plugins and the public clusters (sahara-v1.1.md sections 7 and 9).

use foggara_app::ops::{
    clusters,
    executions::Submit,
    job_templates::{self, JobTemplateChange, NewInterfaceArgument},
    job_types,
    plugins::{self, NewLabels},
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
    let list = async |caller| {
        let page = clusters::list(&place.app, caller, &all).await.expect("a list");
        page.items.into_iter().map(|shown| shown.cluster).collect::<Vec<_>>()
    };
    let before = list(&place.owner).await;
    clusters::ensure_public(&place.app).await.expect("a second start");
    let after = list(&place.other).await;
    assert_eq!(before, after, "ids are kept");
    let shown: Vec<(&str, &str)> = after.iter().map(|one| (one.name.as_str(), one.status.name())).collect();
    assert_eq!(shown.len(), 2, "no local engine here, so no such cluster");
    assert!(shown.contains(&("sim", "Active")) && shown.contains(&("sim-idle", "Error")));
    assert!(
        after.iter().all(|one| one.project == ProjectId::system() && one.is_public.is_on() && one.is_protected.is_on())
    );
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_are_shown_and_their_labels_belong_to_a_project() {
    let place = place().await;
    let (app, owner, other) = (&place.app, &place.owner, &place.other);
    assert_eq!(plugins::list(app, owner).await.expect("a list")[0]["name"], "sim");
    let shown = plugins::version(app, owner, "sim", "1.0").await.expect("a version");
    assert!(shown["node_processes"].is_object());
    assert_eq!(shown["required_image_tags"], json!(["sim", "1.0"]));
    let unknown = "Object with {'plugin_name': 'x'} not found";
    assert_eq!(refusal(plugins::get(app, owner, "x").await), unknown);
    let unknown = "Object with {'version': '2'} not found";
    assert_eq!(refusal(plugins::version(app, owner, "sim", "2").await), unknown);
    let off = NewLabels { of_plugin: vec![("enabled".to_owned(), false)], ..NewLabels::default() };
    let shown = plugins::update(app, owner, "sim", off).await.expect("changed");
    assert_eq!(shown["plugin_labels"]["enabled"]["status"], false);
    let shown = plugins::get(app, other, "sim").await.expect("a plugin");
    assert_eq!(shown["plugin_labels"]["enabled"]["status"], true, "another project has its own");
    let fixed = NewLabels { of_plugin: vec![("stable".to_owned(), false)], ..NewLabels::default() };
    let why = "INVALID_DATA Label 'stable' can't be updated because it's not mutable";
    assert_eq!(refusal(plugins::update(app, owner, "sim", fixed).await), why);
    let of_none =
        NewLabels { of_versions: vec![("9".to_owned(), "enabled".to_owned(), false)], ..NewLabels::default() };
    assert_eq!(
        refusal(plugins::update(app, owner, "sim", of_none).await),
        "INVALID_DATA Unknown plugin version '9' of sim"
    );
}
