//! `POST /jobs/submit-job` (mrs-v1.1.md section 3), and the same members as a job of `run-job-flow`.

use std::collections::BTreeMap;

use axum::response::Response;
use foggara_app::ops::executions::{self, Refusal};
use foggara_domain::{
    ClusterId, Execution,
    direct::{Direct, Kind, Order, Origin, hql, rules, secret::hide_in_text},
};
use serde_json::{Map, Value, json};

use super::{
    asked::Members,
    error::Code,
    job_exes::{self, Times},
};
use crate::{
    call::Call,
    fault::{Fault, Outcome},
    reply,
};

/// `POST /jobs/submit-job`
pub async fn submit_job(mut call: Call) -> Outcome<Response> {
    let members = Members::of(call.json.take())?;
    let cluster = members.needed("cluster_id")?;
    let order = order(&members, cluster.into())?;
    let kind = order.direct.kind;
    let row = executions::submit_direct(&call.app, &call.caller, &call.token, order).await;
    Ok(reply::ok(answer(&row.map_err(|refusal| refused(kind, refusal))?)))
}

/// The members at the top, as the SDK reads them, and once more below their key, as the documents have it (spec/README.md
/// conflict 4).
pub fn answer(row: &Execution) -> Value {
    let shown = show(row);
    let mut both = shown.clone();
    both["job_execution"] = shown;
    both
}

/// The execution as section 3 shows it right after the submit.
fn show(row: &Execution) -> Value {
    let mut shown = job_exes::common(row, Times::Seconds);
    let created = Times::Seconds.of(row.created_at);
    let more = json!({
        "templated": false,
        "created_at": created,
        "updated_at": row.updated_at.map_or(created, |at| Times::Seconds.of(at)),
        "input_id": null,
        "output_id": null,
        "start_time": row.start_time.map_or(created, |at| Times::Seconds.of(at)),
        "end_time": row.end_time.map(|at| Times::Seconds.of(at)),
        "engine_job_id": row.engine_ref,
        "return_code": row.return_code,
        "is_public": row.is_public,
        "is_protected": row.is_protected,
        "credentials": "",
        "user_id": row.user,
        "job_configs": null,
        "extra": null,
        "data_source_urls": null,
        "info": null,
    });
    if let Value::Object(more) = more {
        shown.extend(more);
    }
    Value::Object(shown)
}

/// What is said when a job is not taken.
pub fn refused(kind: Kind, refusal: Refusal) -> Fault {
    match refusal {
        Refusal::NoCluster(id) => Code::NoCluster.fault(format!("Cluster {id}")),
        Refusal::ClusterState(status) => Code::ClusterState.fault(format!("It is {}", status.name())),
        Refusal::Unsupported(why) if matches!(kind, Kind::MapReduce | Kind::DistCp | Kind::Flink) => {
            Code::Submit.fault(why)
        }
        Refusal::Unsupported(why) => Code::NoSpark.fault(why),
        Refusal::Wrong(why) => Code::Parameter.fault(why),
        Refusal::Other(error) => error.into(),
    }
}

/// The job that the members of a request ask for, with its words in the order of V2.
pub fn order(members: &Members, cluster: ClusterId) -> Outcome<Order> {
    let name = members.text("job_name")?;
    rules::name(&name)?;
    let number = members.number("job_type")?.ok_or_else(|| Code::Parameter.fault("job_type: it is missing"))?;
    let kind = Kind::of_number(number)
        .ok_or_else(|| Code::Parameter.fault(format!("job_type: {number} is none; they are 1 to 7")))?;
    let text = |member: &'static str| members.text(member);
    let (jar, script) = (text("jar_path")?, text("hive_script_path")?);
    let (input, output, log) = (text("input")?, text("output")?, text("job_log")?);
    let (arguments, action, hql) = (text("arguments")?, text("file_action")?, text("hql")?);
    for (member, path) in [("input", &input), ("output", &output), ("job_log", &log)] {
        rules::optional_path(member, path)?;
    }
    rules::arguments(&arguments)?;
    let mut words = arguments.split_whitespace().map(str::to_owned);
    let folders = [input.clone(), output.clone()].into_iter().filter(|path| !path.is_empty());
    let args: Vec<String> = match kind {
        Kind::MapReduce => {
            program(Code::NoJar, "jar_path", &jar, &[".jar"])?;
            [jar.clone()].into_iter().chain(words).chain(folders).collect()
        }
        Kind::Spark => {
            program(Code::NoJar, "jar_path", &jar, &[".jar", ".py"])?;
            let class = if jar.to_ascii_lowercase().ends_with(".py") { None } else { words.next() };
            let class = class.into_iter().flat_map(|class| ["--class".to_owned(), class]);
            class.chain([jar.clone()]).chain(words).chain(folders).collect()
        }
        Kind::HiveScript => {
            program(Code::NoScript, "hive_script_path", &script, &[".sql"])?;
            vec![script.clone()]
        }
        Kind::SparkScript => {
            let (member, path) =
                if script.trim().is_empty() { ("jar_path", &jar) } else { ("hive_script_path", &script) };
            program(Code::NoScript, member, path, &[".sql"])?;
            vec![path.clone()]
        }
        Kind::HiveSql | Kind::SparkSql => {
            if hql.is_empty() {
                return Err(Code::Parameter.fault("hql: the statements are missing"));
            }
            vec![hql::decode(&hql)?]
        }
        Kind::DistCp => {
            rules::copy(&action, &input, &output)?;
            vec![input.clone(), output.clone()]
        }
        Kind::Flink | Kind::Presto => return Err(Code::Parameter.fault("job_type: V1.1 has no number for it")),
    };
    // Of those that the kind does not use only the shape is looked at.
    for (member, path) in [("jar_path", &jar), ("hive_script_path", &script)] {
        rules::optional_path(member, path)?;
    }
    let shown = [
        ("jar_path", jar),
        ("input", input),
        ("output", output),
        ("job_log", log),
        ("arguments", hide_in_text(&arguments)),
        ("file_action", action),
        ("hql", hql),
        ("hive_script_path", script),
    ];
    let shown: Map<String, Value> =
        shown.into_iter().map(|(member, text)| (member.to_owned(), Value::from(text))).collect();
    let direct = Direct { kind, origin: Origin::SubmitJob, shown };
    Ok(Order { name, cluster, args, properties: BTreeMap::new(), direct })
}

/// The path of a program; a blank one has a code of its own.
fn program(blank: Code, member: &str, path: &str, ends: &[&str]) -> Outcome<()> {
    if path.trim().is_empty() {
        return Err(blank.fault(""));
    }
    Ok(rules::program(member, path, ends)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Outcome<Order> {
        order(&Members::of(body)?, "c".into())
    }

    #[test]
    fn members_become_words_of_v2() {
        for (body, args) in [
            (
                json!({"job_type": 1, "jar_path": "/a.jar", "arguments": "wordcount  -x", "input": "/in", "output": "/out"}),
                vec!["/a.jar", "wordcount", "-x", "/in", "/out"],
            ),
            (
                json!({"job_type": "2", "jar_path": "s3a://b/a.jar", "arguments": "org.App @k=v", "output": "/out"}),
                vec!["--class", "org.App", "s3a://b/a.jar", "@k=v", "/out"],
            ),
            (json!({"job_type": 2, "jar_path": "/a.py", "arguments": "x"}), vec!["/a.py", "x"]),
            (json!({"job_type": 3, "hive_script_path": "/a.sql"}), vec!["/a.sql"]),
            (json!({"job_type": 6, "jar_path": "/a.sql"}), vec!["/a.sql"]),
            (json!({"job_type": 7, "hql": "gc2hvdyB0YWLsZXM7"}), vec!["show tables;"]),
            (
                json!({"job_type": 5, "file_action": "import", "input": "s3a://b/x", "output": "/y"}),
                vec!["s3a://b/x", "/y"],
            ),
        ] {
            let mut body = body;
            body["job_name"] = json!("n");
            let order = read(body.clone()).unwrap_or_else(|fault| panic!("{body}: {fault:?}"));
            assert_eq!(order.args, args, "{body}");
            assert!(!Value::Object(order.direct.shown).to_string().contains("@k=v"));
        }
    }
}
