//! What execute refuses and what it stores (sahara-v1.1.md sections 8.1 and 8.2).

use foggara_app::ops::{
    executions::{self, Submit},
    job_templates::{NewInterfaceArgument, NewJobTemplate},
};
use foggara_domain::{BinaryId, ClusterId, DataSourceId, Error, page::ListQuery};
use serde_json::{Value, json};

use crate::place::{Place, object, place, refusal};

const NOWHERE: &str = "00000000-0000-4000-8000-000000000404";

fn with(job_configs: Value) -> Submit {
    Submit { job_configs: Some(object(job_configs)), ..Submit::default() }
}

fn argument(name: &str, mapping: &str, at: &str, value_type: &str, default: Option<&str>) -> NewInterfaceArgument {
    NewInterfaceArgument {
        name: name.to_owned(),
        description: None,
        mapping_type: mapping.to_owned(),
        location: at.to_owned(),
        value_type: Some(value_type.to_owned()),
        required: default.is_none(),
        default: default.map(str::to_owned),
    }
}

async fn count(place: &Place) -> usize {
    executions::list(&place.app, &place.owner, &ListQuery::default()).await.expect("a list").items.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configs_are_kept_and_credentials_set_apart() {
    let place = place().await;
    let job = place.shell().await;
    let bare = place.execute(&job.id, Submit::default()).await.expect("submitted");
    assert_eq!(bare.job_configs, json!({"job_execution_info": {}}));
    let sent = json!({"configs": {"a": "b", "n": 5, "t": true}, "params": {"P": "q"}, "args": ["1", "2"]});
    let kept = place.execute(&job.id, with(sent)).await.expect("submitted").job_configs;
    let wanted = json!({"configs": {"a": "b", "n": 5, "t": true}, "params": {"P": "q"}, "args": ["1", "2"],
        "job_execution_info": {}});
    assert_eq!(kept, wanted);
    let sent = json!({"configs": {"fs.s3a.access.key": "k", "fs.s3a.secret.key": "s"},
        "job_execution_info": {"job_execution_type": "scheduled"}});
    let row = place.execute(&job.id, with(sent)).await.expect("submitted");
    let shown = json!({"configs": {"fs.s3a.access.key": "", "fs.s3a.secret.key": ""}, "job_execution_info": {}});
    assert_eq!(row.job_configs, shown);
    let stored = executions::get(&place.app, &place.owner, &row.id).await.expect("stored");
    assert_eq!(stored.job_configs, shown);
    assert_eq!(Value::Object(stored.secret_configs), json!({"fs.s3a.access.key": "k", "fs.s3a.secret.key": "s"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interface_is_filled_in() {
    let place = place().await;
    let main = place.binary("a.sh", "file:///a.sh").await;
    let interface = vec![
        argument("Count", "configs", "n", "number", None),
        argument("Arg", "args", "0", "string", Some("dflt")),
        argument("Key", "configs", "fs.s3a.secret.key", "string", Some("")),
    ];
    let new = NewJobTemplate { interface, ..place.new_template("t", "Shell", &[&main.id]) };
    let job = place.template(new).await;
    let send = async |interface: Option<Value>, configs: Option<Value>| {
        let submit = Submit { interface: interface.map(object), job_configs: configs.map(object), ..Submit::default() };
        place.execute(&job.id, submit).await
    };
    assert!(refusal(send(None, None).await).starts_with("INVALID_DATA An interface was specified with the template"));
    let missing = refusal(send(Some(json!({})), None).await);
    assert_eq!(missing, "INVALID_DATA Argument names: ['Count'] are required for this job.");
    let both = refusal(send(Some(json!({"Count": "5"})), Some(json!({"configs": {"n": "6"}}))).await);
    assert!(both.starts_with("INVALID_DATA Argument 'Count' was passed both through the interface and in location"));
    let own = json!({"args": ["own"]});
    let row = send(Some(json!({"Count": "5", "Key": "secret"})), Some(own)).await.expect("submitted");
    let wanted = json!({"args": ["dflt", "own"], "configs": {"n": "5", "fs.s3a.secret.key": ""},
        "job_execution_info": {}});
    assert_eq!(row.job_configs, wanted, "a credential that came by the interface is hidden too");
    assert_eq!(row.secret_configs["fs.s3a.secret.key"], "secret");
    assert_eq!(count(&place).await, 1, "nothing of the refused ones");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_comes_first_then_the_interface_then_what_the_type_needs() {
    let place = place().await;
    let main = place.binary("a.pig", "file:///a.pig").await;
    let job = place.template(place.new_template("t", "Pig", &[&main.id])).await;
    let input = place.source("in", "hdfs://h/p", false).await;
    let twin = place.source("twin", "hdfs://h/p", false).await;
    let output = place.source("out", "hdfs://h/q", false).await;
    let refused = async |submit: Submit| refusal(place.execute(&job.id, submit).await);
    let odd = || Some(object(json!({"X": "1"})));
    assert_eq!(
        refused(Submit { cluster: Some(ClusterId::from(NOWHERE)), interface: odd(), ..Submit::default() }).await,
        format!("INVALID_REFERENCE Cluster with id '{NOWHERE}' doesn't exist")
    );
    assert_eq!(
        refused(Submit { interface: odd(), ..Submit::default() }).await,
        "INVALID_DATA Argument names: ['X'] were not found in the interface for this job."
    );
    assert_eq!(
        refused(Submit { input: Some(input.id.clone()), ..Submit::default() }).await,
        "INVALID_DATA Pig job requires 'input_id' and 'output_id'"
    );
    let unknown = DataSourceId::from(NOWHERE);
    assert_eq!(
        refused(Submit { input: Some(input.id.clone()), output: Some(unknown), ..Submit::default() }).await,
        format!("INVALID_REFERENCE DataSource with id '{NOWHERE}' doesn't exist")
    );
    assert_eq!(
        refused(Submit { input: Some(input.id.clone()), output: Some(twin.id), ..Submit::default() }).await,
        "INVALID_DATA Provided input and output DataSources reference the same location: hdfs://h/p"
    );
    let ours = Submit { input: Some(input.id.clone()), output: Some(output.id.clone()), ..Submit::default() };
    let taken = Submit { job_configs: Some(object(json!({"configs": {"spark.yarn.tags": "x"}}))), ..ours.clone() };
    assert!(refused(taken).await.contains("'spark.yarn.tags' in job_configs.configs is set by the service"));
    assert_eq!(count(&place).await, 0);
    place.execute(&job.id, ours).await.expect("all is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_application_needs_no_main_class() {
    let place = place().await;
    let make = async |name: &str, main: &BinaryId| place.template(place.new_template(name, "Spark", &[main])).await;
    let jar = place.binary("app.jar", "file:///app.jar").await;
    let python = place.binary("app.py", "file:///app.py").await;
    let (jar, python) = (make("jar", &jar.id).await, make("python", &python.id).await);
    assert_eq!(
        refusal(place.execute(&jar.id, Submit::default()).await),
        "INVALID_DATA Spark job must specify edp.java.main_class"
    );
    place.execute(&python.id, Submit::default()).await.expect("decision 5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_so_many_may_wait() {
    let place = place().await;
    let job = place.shell().await;
    for _ in 0..5 {
        place.execute(&job.id, Submit::default()).await.expect("below the cap");
    }
    let over = place.execute(&job.id, Submit::default()).await.expect_err("over the cap");
    assert!(matches!(over, Error::TooMany { .. }), "{over}");
    assert!(over.to_string().contains("[jobs] max_waiting is 5"), "{over}");
}
