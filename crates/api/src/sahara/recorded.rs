//! The body checker against every recorded `VALIDATION_ERROR` of the original.

use serde_json::Value;

use super::{body, view::View};

/// What our wider lists of types make of the original's texts (spec/README.md conflicts 5 and 7).
const WIDER: [(&str, &str); 2] = [
    ("'manila', 's3']", "'manila', 's3', 'file', 'http', 'obs']"),
    ("'Storm', 'Storm.Pyleus']", "'Storm', 'Storm.Pyleus', 'SparkScript', 'SparkSql', 'DistCp', 'hql', 'Flink']"),
];

fn recorded(file: &str) -> Value {
    let path = format!("{}/../../tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_slice(&text).expect("the recordings are JSON")
}

fn schema_of(view: View, method: &str, path: &str) -> Option<&'static str> {
    let rule = path.split_once("{project}/").map(|(_, rule)| rule)?;
    let collection = rule.split('/').next().unwrap_or_default();
    Some(match (method, collection, rule.ends_with("/execute")) {
        // v2 changes with PATCH, and its jobs are v1.1's executions.
        ("PATCH", "data-sources", _) => "data_source_update",
        ("PATCH", "job-binaries", _) => "job_binary_update",
        ("POST", "job-templates", _) => "job_create",
        ("PATCH", "job-templates", _) => "job_update",
        ("POST", "jobs", _) if view == View::V2 => "job_execute",
        ("PATCH", "jobs", _) if view == View::V2 => "job_execution_update",
        ("POST", "data-sources", _) => "data_source_create",
        ("PUT", "data-sources", _) => "data_source_update",
        ("POST", "job-binaries", _) => "job_binary_create",
        ("PUT", "job-binaries", _) => "job_binary_update",
        ("PATCH", "job-binary-internals", _) => "job_binary_internal_update",
        ("POST", "jobs", true) => "job_execute",
        ("POST", "jobs", false) => "job_create",
        ("PATCH", "jobs", _) => "job_update",
        ("PATCH", "job-executions", _) => "job_execution_update",
        _ => return None,
    })
}

#[test]
fn every_recorded_violation_is_worded_as_recorded() {
    compare("sahara-v11.json", View::V1);
    compare("sahara-v2.json", View::V2);
}

fn compare(file: &str, view: View) {
    let recorded = recorded(file);
    let mut compared = 0;
    for case in recorded["cases"].as_array().expect("cases") {
        for step in case["steps"].as_array().expect("steps") {
            let (request, response) = (&step["request"], &step["response"]);
            let wanted = response["body"]["error_message"].as_str().unwrap_or_default();
            // Where a binary lies is a rule of the domain here, not of the schema.
            let ours = response["body"]["error_name"] == "VALIDATION_ERROR" && !wanted.contains("valid_job_location");
            if !ours || step.get("expect_instead").is_some() {
                continue;
            }
            let (method, path) = (request["method"].as_str().unwrap_or(""), request["path"].as_str().unwrap_or(""));
            let schema = schema_of(view, method, path).unwrap_or_else(|| panic!("no schema for {method} {path}"));
            let given = match (&request["body"], request["body_text"].as_str()) {
                (Value::Null, Some(text)) => serde_json::from_str(text).expect("a recorded body"),
                (Value::Null, None) => Value::Object(serde_json::Map::new()),
                (body, _) => body.clone(),
            };
            // Variables of the recording stand for ids.
            let known = "\"00000000-0000-4000-8000-000000000404\"";
            let text = given.to_string().replace("\"{cluster}\"", known).replace("\"{jt}\"", known);
            let given: Value = serde_json::from_str(&text).expect("a body with its variables filled");
            let wanted = wanted.strip_suffix("\nError ID: {uuid}").expect("an id at the end");
            let wanted = WIDER.iter().fold(wanted.to_owned(), |text, (old, new)| text.replace(old, new));
            let fault = body::check(schema, view, given).expect_err(case["name"].as_str().unwrap_or_default());
            assert_eq!(fault.said().message, wanted, "{}", case["name"]);
            compared += 1;
        }
    }
    assert!(compared > 50, "only {compared} recorded violations were found");
}
