//! Properties of the rules of resources, interfaces and job configs.

#![allow(missing_docs, reason = "tests")]

use std::{collections::BTreeMap, path::PathBuf};

use foggara_domain::{
    Timestamp,
    binary::{check_internal_name, check_url},
    data_source::{self, UrlParts},
    interface,
    job_template::InterfaceArgument,
    job_type::{
        self, Staged, StagedFile,
        configs::{hide_credentials, is_credential, refuse_identity_keys},
    },
    plan::Plan,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Urls and what looks a little like them.
fn urlish() -> impl Strategy<Value = String> {
    let scheme = prop::sample::select(vec!["swift", "hdfs", "s3", "s3a", "file", "internal-db", "manila", "x", ""]);
    let tail = prop::sample::select(vec!["", ":", "://", ":///", "://h", "://h/", "://h/p", "/p", "://%RANDSTR(3)%/x"]);
    prop_oneof![(scheme, tail).prop_map(|(scheme, tail)| format!("{scheme}{tail}")), "\\PC{0,40}"]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "fs.s3a.secret.key",
            "fs.s3a.access.key",
            "fs.swift.service.sahara.password",
            "spark.hadoop.fs.s3a.secret.key",
            "edp.java.main_class",
            "edp.substitute_data_source_for_name",
            "oozie.x",
            "spark.executor.cores",
            "mapreduce.job.reduces",
        ])
        .prop_map(str::to_owned),
        "[a-z.]{1,12}",
    ]
}

fn positional(position: usize, default: Option<&str>) -> InterfaceArgument {
    InterfaceArgument {
        id: String::new(),
        name: format!("a{position}"),
        description: None,
        mapping_type: "args".to_owned(),
        location: position.to_string(),
        value_type: "string".to_owned(),
        required: default.is_none(),
        default: default.map(Value::from),
        created_at: Timestamp::from_micros(0),
    }
}

proptest! {
    #[test]
    fn an_accepted_data_source_has_a_scheme_of_its_type(url in urlish(), kind in prop::sample::select(data_source::KINDS.to_vec())) {
        if data_source::check(kind, &url, json!({"user": "u", "password": "p"}).as_object()).is_ok() {
            let scheme = UrlParts::of(&url).scheme;
            let fits = match kind {
                "s3" => matches!(scheme, "s3" | "s3a"),
                "obs" => matches!(scheme, "obs" | "s3a"),
                "http" => matches!(scheme, "http" | "https"),
                "hdfs" | "maprfs" | "file" => scheme == kind || scheme.is_empty(),
                other => scheme == other,
            };
            prop_assert!(fits, "{kind} took {url}");
        }
    }

    #[test]
    fn an_accepted_job_binary_is_a_path_or_has_a_known_scheme(url in urlish()) {
        if check_url(&url).is_ok() {
            let scheme = UrlParts::of(&url).scheme;
            prop_assert!(url.starts_with('/') || data_source::KINDS.contains(&scheme)
                || matches!(scheme, "internal-db" | "s3a" | "https"), "{url}");
        }
    }

    #[test]
    fn a_url_is_cut_without_loss(url in urlish()) {
        let parts = UrlParts::of(&url);
        let scheme = if parts.scheme.is_empty() { String::new() } else { format!("{}:", parts.scheme) };
        let slashes = if url[scheme.len()..].starts_with("//") { "//" } else { "" };
        prop_assert_eq!(format!("{scheme}{slashes}{}{}", parts.host, parts.path), url);
    }

    #[test]
    fn an_accepted_upload_name_is_one_plain_file_name(name in "\\PC{0,90}") {
        if check_internal_name(&name).is_ok() {
            prop_assert!(!name.is_empty() && name.len() <= 80);
            prop_assert!(!name.starts_with(['.', '-', '_']) && !name.contains(['/', '\\', ' ']));
        }
    }

    #[test]
    fn positional_arguments_stand_in_order_before_the_callers_own(
        many in 0usize..12,
        given in prop::collection::vec(any::<bool>(), 12),
        own in prop::collection::vec("[a-z]{0,4}", 0..4),
        turned in any::<prop::sample::Index>(),
    ) {
        let mut arguments: Vec<_> = (0..many).map(|at| positional(at, Some("default"))).collect();
        prop_assert!(interface::check("Shell", &["args"], &arguments).is_ok());
        if many > 0 {
            arguments.rotate_left(turned.index(many));
        }
        let values: Map<String, Value> =
            (0..many).filter(|at| given[*at]).map(|at| (format!("a{at}"), Value::from(format!("v{at}")))).collect();
        let mut configs = json!({"args": own}).as_object().cloned().unwrap_or_default();
        interface::merge(&arguments, Some(&values), &mut configs);
        let wanted = (0..many).map(|at| if given[at] { format!("v{at}") } else { "default".to_owned() });
        let wanted: Vec<String> = wanted.chain(own).collect();
        prop_assert_eq!(&configs["args"], &json!(wanted));
    }

    #[test]
    fn positions_with_a_gap_are_refused(many in 1usize..8, gap in any::<prop::sample::Index>()) {
        let at = gap.index(many);
        let arguments: Vec<_> = (0..=many).filter(|position| *position != at).map(|at| positional(at, None)).collect();
        let refused = interface::check("Shell", &["args"], &arguments);
        prop_assert!(refused.expect_err("a gap").to_string().starts_with("Locations of positional"));
    }

    #[test]
    fn no_credential_is_shown_and_none_is_lost(configs in prop::collection::btree_map(key(), "[A-Z]{3,9}", 0..8)) {
        let sent = json!({"configs": configs}).as_object().cloned().unwrap_or_default();
        let (shown, secrets) = hide_credentials(sent);
        for (key, value) in &configs {
            if is_credential(key) {
                prop_assert_eq!(&shown["configs"][key], "");
                prop_assert_eq!(&secrets[key], value);
            } else {
                prop_assert_eq!(&shown["configs"][key], value);
                prop_assert!(!secrets.contains_key(key));
            }
        }
    }

    #[test]
    fn what_is_meant_for_the_service_never_reaches_a_job(configs in prop::collection::btree_map(key(), "[a-z]{1,5}", 0..8)) {
        let mut configs: BTreeMap<String, Value> = configs.into_iter().map(|(key, value)| (key, Value::from(value))).collect();
        configs.insert("edp.streaming.mapper".to_owned(), json!("cat"));
        configs.insert("edp.streaming.reducer".to_owned(), json!("cat"));
        configs.insert("mapreduce.job.reduces".to_owned(), json!(1));
        configs.insert("edp.java.main_class".to_owned(), json!("C"));
        configs.insert("mapred.mapper.class".to_owned(), json!("M"));
        let staged = Staged {
            mains: vec![StagedFile { name: "m.jar".to_owned(), path: PathBuf::from("/w/m.jar") }],
            configs,
            input: Some("/in".to_owned()),
            output: Some("/out".to_owned()),
            ..Staged::default()
        };
        for name in ["Shell", "Java", "Spark", "MapReduce.Streaming", "Hive", "MapReduce", "Pig", "Storm", "Storm.Pyleus", "Flink"] {
            let plan = job_type::find(name).expect("a job type").plan(&staged).expect("a plan");
            prop_assert_eq!(plan.kind(), job_type::find(name).expect("a job type").plan_kind);
            let seen = match &plan {
                Plan::Program { env, .. } | Plan::Streaming { env, .. } => env,
                Plan::Java { properties, .. }
                | Plan::HadoopJar { properties, .. }
                | Plan::MapReduce { properties, .. }
                | Plan::Pig { properties, .. } => properties,
                Plan::Storm { settings, .. } | Plan::Flink { settings, .. } => settings,
                Plan::Spark { conf, .. } => conf,
                Plan::Sql { settings, .. } => settings,
                Plan::DistCp { settings, .. } => &settings.0,
            };
            // In an environment dots become underscores; Spark gets Hadoop's settings under a prefix.
            let reaches = |key: &str| {
                [key.to_owned(), key.replace('.', "_"), format!("spark.hadoop.{key}")].iter().any(|name| seen.contains_key(name))
            };
            for key in staged.configs.keys() {
                if key.starts_with("edp.") || key.starts_with("oozie.") {
                    prop_assert!(!reaches(key), "{name} sees {key}");
                }
                // An environment is seen by every process of the user; files of mode 0600 are not.
                if matches!(plan, Plan::Program { .. } | Plan::Streaming { .. }) && is_credential(key) {
                    prop_assert!(!reaches(key), "{name} has {key} in its environment");
                }
            }
        }
    }
}

#[test]
fn keys_of_the_service_are_refused_by_name_in_every_spelling() {
    for (map, key) in [
        ("configs", "spark.foggara.id"),
        ("configs", "spark.master"),
        ("configs", "spark.submit.deployMode"),
        ("configs", "spark.yarn.tags"),
        ("configs", "spark.kubernetes.driver.pod.name"),
        ("configs", "spark.driver.supervise"),
        ("configs", "mapreduce.job.tags"),
        ("configs", "spark.hadoop.mapreduce.job.tags"),
        ("params", "FOGGARA_TAG"),
    ] {
        let sent = json!({map: {"a": 1, key: "x"}}).as_object().cloned().unwrap_or_default();
        let refused = refuse_identity_keys(&sent).expect_err("ours").to_string();
        assert!(refused.contains(&format!("'{key}' in job_configs.{map}")), "{refused}");
    }
    let fine = json!({"configs": {"spark.executor.cores": 1}, "args": ["spark.master"]});
    assert!(refuse_identity_keys(&fine.as_object().cloned().unwrap_or_default()).is_ok());
}
