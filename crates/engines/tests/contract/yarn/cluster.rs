//! A cluster as such: what answers at its address, who we are there, how much it lists, its settings.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use foggara_domain::{cluster::Health, plan::Plan, status::Outcome};
use foggara_engines::{
    EngineError, JobRef, Plugin, Stop,
    plugin::HostSize,
    remote::{
        rest::{Auth, Rest, RestSettings},
        spnego::{Spnego, SpnegoSettings},
    },
};
use foggara_testkit::{
    api::http,
    yarn::{COOKIE, FakeYarn},
};
use serde_json::{Value, json};

use super::{Way, Yarn, cluster, plugin, script};
use crate::{place::Place, rig::Rig};

#[tokio::test]
async fn an_address_of_something_else_is_told() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    let look = plugin(&yarn.place).look(&cluster(&yarn.settings), &[]).await;
    assert!(look.checks.iter().all(|check| check.1 == Health::Green), "{look:?}");
    yarn.fake.set_something_else();
    let list = yarn.engine.list(&yarn.place.prefix).await;
    let told = "does not answer as the ResourceManager does";
    assert!(
        matches!(&list, Err(EngineError::Unreachable(why)) if why.contains(told) && why.contains("nginx")),
        "{list:?}"
    );
    let launched = (&yarn as &dyn Rig).launch(&yarn.place.tag("nowhere")).await;
    assert!(matches!(&launched, Err(EngineError::Unreachable(_))), "{launched:?}");
    let look = plugin(&yarn.place).look(&cluster(&yarn.settings), &[]).await;
    assert!(look.checks[0].2.contains(told), "{look:?}");
}

#[tokio::test]
async fn another_users_application_cannot_be_killed_in_silence() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    let (tag, reference) = yarn.launch("foreign").await;
    let mut settings = yarn.settings.clone();
    settings["user"] = json!("bob");
    let bob = plugin(&yarn.place).engine(&cluster(&settings)).expect("an engine");
    let stopped = bob.stop(JobRef { reference: Some(&reference), ..JobRef::from(&tag) }, Stop::Hard).await;
    assert!(
        matches!(&stopped, Err(EngineError::Unreachable(why)) if why.contains("does not allow it to the configured user")),
        "{stopped:?}"
    );
}

#[tokio::test]
async fn installations_on_one_cluster_do_not_see_each_other() {
    let one = Yarn::new(Way::SparkSubmit, 1);
    let (tag, _) = one.launch("mine").await;
    let other = Place::new();
    let engine = plugin(&other).engine(&cluster(&one.settings)).expect("an engine");
    assert_eq!(engine.list(&other.prefix).await, Ok(Vec::new()));
    assert_eq!(engine.list("fg-").await, Ok(Vec::new()), "the ResourceManager was not even asked for them");
    assert_eq!(one.engine.list(&one.place.prefix).await, Ok(vec![tag]));
}

/// Kerberos without a realm: the real curl has no ticket, and it is said what is missing.
#[tokio::test]
async fn a_log_in_by_kerberos_without_a_ticket_says_so() {
    let fake = FakeYarn::start(1).expect("a fake");
    fake.set_negotiates();
    let yarn = Yarn::on(Way::SparkSubmit, fake, |settings| {
        settings["auth"] = json!("kerberos");
        settings["credential_cache"] = json!("FILE:/no/such/cache");
    });
    let list = yarn.engine.list(&yarn.place.prefix).await;
    assert!(
        matches!(&list, Err(EngineError::NotSent(why)) if why.contains("does not take our ticket (401)")),
        "{list:?}"
    );
}

/// In the place of curl and kinit stand scripts: the one gives the cookie that the service would, if the other was asked before.
#[tokio::test]
async fn the_cookie_of_a_log_in_by_kerberos_is_kept_until_it_is_over() {
    http();
    let fake = FakeYarn::start(1).expect("a fake");
    fake.set_negotiates();
    let place = Place::new();
    let (curl, kinit) = (place.path("curl"), place.path("kinit"));
    script(&kinit, "#!/bin/sh\necho x >> $0.called\necho \"$@\" > ${KRB5CCNAME#FILE:}\n");
    let jar = format!("#HttpOnly_rm\\tFALSE\\t/\\tFALSE\\t0\\thadoop.auth\\t{COOKIE}\\n");
    let log_in = "#!/bin/sh\n[ -f ${KRB5CCNAME#FILE:} ] || exit 1\nprintf '%s\\n' \"$*\" >> $0.called\n";
    script(&curl, &format!("{log_in}printf '{jar}status 200\\n'\n"));
    let spnego = SpnegoSettings {
        curl: curl.clone(),
        kinit,
        cache: Some(format!("FILE:{}", place.path("cache").display())),
        keytab: Some((place.path("key"), "foggara@EXAMPLE".to_owned())),
        ca_file: None,
    };
    let settings = RestSettings {
        service: "the ResourceManager",
        urls: fake.urls(),
        ca_file: None,
        auth: Auth::Kerberos(Arc::new(Spnego::new(spnego.clone()))),
    };
    let rest = Rest::new(settings.clone()).expect("a client");
    let called = || fs::read_to_string(place.path("curl.called")).unwrap_or_default();
    for _ in 0..2 {
        rest.get::<Value>("/ws/v1/cluster/info?x=y").await.expect("let in");
    }
    assert_eq!(called().lines().count(), 1, "one log-in for all requests: {}", called());
    assert!(called().ends_with("/ws/v1/cluster/info\n") && !called().contains(COOKIE), "{}", called());
    let ticket = fs::read_to_string(place.path("cache")).expect("kinit was asked");
    assert_eq!(ticket, format!("-k -t {} foggara@EXAMPLE\n", place.path("key").display()));
    fake.refuse_next();
    rest.get::<Value>("/ws/v1/cluster/info").await.expect("let in anew");
    assert_eq!(called().lines().count(), 2);
    let tickets = || fs::read_to_string(place.path("kinit.called")).unwrap_or_default().lines().count();
    assert_eq!(tickets(), 1, "a young ticket serves");

    // A key that is not taken any more: said with kinit's words, and not tried with each request.
    script(
        &place.path("kinit"),
        "#!/bin/sh\necho x >> $0.called\necho 'kinit: Preauthentication failed' >&2\nexit 1\n",
    );
    let settings = RestSettings { auth: Auth::Kerberos(Arc::new(Spnego::new(spnego))), ..settings };
    let rest = Rest::new(settings).expect("a client");
    for _ in 0..2 {
        let refused = rest.get::<Value>("/ws/v1/cluster/info").await;
        assert!(
            matches!(&refused, Err(EngineError::NotSent(why)) if why.contains("Preauthentication failed")),
            "{refused:?}"
        );
    }
    assert_eq!(tickets(), 2);
}

#[tokio::test]
async fn we_act_for_the_configured_user() {
    let yarn = Yarn::on(Way::SparkSubmit, FakeYarn::start(1).expect("a fake"), |settings| {
        settings["auth"] = json!("token");
        settings["token_file"] = json!("/proc/sys/kernel/ostype");
        settings["impersonate"] = json!("true");
    });
    let (tag, reference) = yarn.launch("impersonated").await;
    let job = JobRef { reference: Some(&reference), ..JobRef::from(&tag) };
    yarn.engine.stop(job, Stop::Gently).await.expect("allowed");
    assert_eq!(yarn.end(&tag, &reference).await.outcome, Outcome::Killed);
    let asked = yarn.fake.asked();
    let cluster = asked.iter().filter(|line| line.contains("/ws/v1/"));
    for line in cluster {
        assert!(line.contains("doAs=alice") && !line.contains("user.name"), "{line}");
    }
}

#[tokio::test]
async fn secret_arguments_stand_on_no_command_line() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    for (name, main) in [("python", "job.py"), ("jar", "job.jar")] {
        let tag = yarn.place.tag(name);
        let workspace = yarn.place.workspace(&tag);
        fs::write(workspace.join(main), "PK").expect("written");
        let plan = Plan::Spark {
            main: workspace.join(main),
            main_class: None,
            args: vec!["a-very-secret-word".to_owned()],
            secret_args: true,
            conf: BTreeMap::new(),
            py_files: Vec::new(),
            jars: Vec::new(),
            files: Vec::new(),
        };
        let launch = foggara_engines::Launch {
            tag: &tag,
            job_type: "Spark",
            job_name: "job",
            plan: Some(&plan),
            urls: &BTreeMap::new(),
            workspace: workspace.clone(),
            logs: yarn.place.path("logs"),
            kill_grace: yarn.place.kill_grace,
        };
        let launched = yarn.engine.launch(launch).await;
        if name == "jar" {
            assert!(
                matches!(&launched, Err(EngineError::Refused(why)) if why.contains("hold secrets")),
                "{launched:?}"
            );
            continue;
        }
        launched.expect("launched");
        let called = fs::read_to_string(workspace.join("called")).expect("called");
        assert!(called.contains(".words,") || called.contains("job.py,"), "{called}");
        assert!(called.ends_with(".launch.py .words\n") && !called.contains("a-very-secret-word"), "{called}");
    }
}

/// However many applications there are, a list is two requests.
#[tokio::test]
#[allow(clippy::print_stdout, reason = "a measured figure, shown with --no-capture")]
async fn a_thousand_applications_are_one_list() {
    let yarn = Yarn::new(Way::SparkSubmit, 1);
    let installation = &yarn.place.prefix;
    yarn.fake.fill(1000, |number| format!("{installation},{installation}-{number}-1"));
    let before = yarn.fake.asked().len();
    let begun = std::time::Instant::now();
    let list = yarn.engine.list(installation).await.expect("a list");
    println!("{} applications listed in {:?}", list.len(), begun.elapsed());
    let begun = std::time::Instant::now();
    yarn.engine.list(installation).await.expect("a list");
    println!("again in {:?}", begun.elapsed());
    assert_eq!((list.len(), yarn.fake.asked().len() - before), (1000, 4), "two requests each");
}

#[tokio::test]
async fn settings_are_checked() {
    http();
    let place = Place::new();
    let host = HostSize { cores: 1, memory_mb: 1 };
    let refused = |settings: Value| plugin(&place).check(&cluster(&settings), host).expect_err("refused");
    let good = json!({"resource_manager": "http://127.0.0.1:1", "hadoop_conf_dir": "/etc"});
    assert_eq!(plugin(&place).check(&cluster(&good), host), Ok(()));
    let with = |name: &str, value: Value| {
        let mut settings = good.clone();
        settings[name] = value;
        settings
    };
    for (settings, told) in [
        (json!({}), "yarn.resource_manager is missing"),
        (json!({"resource_manager": "http://127.0.0.1:1"}), "yarn.hadoop_conf_dir is missing"),
        (with("resource_manager", json!("rm:8088")), "it looks like http://host:port"),
        (with("auth", json!("magic")), "simple, kerberos or token"),
        (with("auth", json!("token")), "yarn.token_file"),
        (with("impersonate", json!("true")), "kerberos or token"),
        (with("impersonate", json!("perhaps")), "true or false"),
        (with("submit_timeout", json!(0)), "yarn.submit_timeout"),
    ] {
        let why = refused(settings);
        assert!(why.contains(told), "{why}");
    }
    let files: PathBuf = place.path("x");
    let mut settings = with("auth", json!("kerberos"));
    settings["keytab"] = json!(files);
    assert!(refused(settings).contains("yarn.principal"));
}
