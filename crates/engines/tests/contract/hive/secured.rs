//! TLS and the HTTP transport: TLS of the binary transport by a front of ours before the server, HTTPS by the server itself.

use std::{fs, path::PathBuf, process::Command};

use foggara_domain::status::Outcome;
use foggara_engines::{
    Engine, JobRef, Stop,
    hive::{Hive, HiveSettings},
};
use foggara_testkit::tls::{CA, TlsFront};

use super::{HiveRig, launch_on, run_on, server::Server};
use crate::place::until;

/// Of the key store; it protects nothing.
const STORE: &str = "a-pass-word";

fn engine(rig: &HiveRig, url: &str, ca: Option<PathBuf>) -> Hive {
    let settings = HiveSettings::of_spark(url).expect("settings");
    let settings = match ca {
        Some(ca) => settings.trusting(ca),
        None => settings,
    };
    Hive::new(settings, rig.place.settings.clone()).expect("an engine")
}

/// Why a job on such an engine fails.
async fn refused(rig: &HiveRig, name: &str, url: &str, ca: Option<PathBuf>) -> String {
    let engine = engine(rig, url, ca);
    let ended = run_on(&engine, &rig.place, &rig.place.tag(name)).await;
    assert_eq!(ended.outcome, Outcome::Failed);
    ended.reason.expect("a reason")
}

pub async fn tls_before_the_server(rig: &HiveRig) {
    let front = TlsFront::before(rig.server.port).await.expect("a front");
    let ca = rig.place.path("ca.pem");
    fs::write(&ca, CA).expect("written");
    let url = |host: &str, port: u16| format!("jdbc:hive2://{host}:{port}/default;ssl=true");
    let good = url("127.0.0.1", front.port());

    let tag = rig.place.tag("tls");
    let ended = run_on(&engine(rig, &good, Some(ca.clone())), &rig.place, &tag).await;
    assert_eq!((ended.outcome, ended.reason), (Outcome::Succeeded, None));
    assert_eq!(rig.place.out(&tag).await, "1\n");

    let why = refused(rig, "issuer", &good, None).await;
    assert!(why.contains("from nobody whom this host trusts") && why.contains("hive.ca_file"), "{why}");
    let why = refused(rig, "name", &url("localhost", front.port()), Some(ca.clone())).await;
    assert!(why.contains("for another name than 'localhost'"), "{why}");
    let why = refused(rig, "plain", &format!("jdbc:hive2://127.0.0.1:{}/default", front.port()), None).await;
    assert!(why.contains(";ssl=true"), "{why}");
    let why = refused(rig, "both", &url("127.0.0.1", rig.server.port), Some(ca)).await;
    assert!(why.contains(";ssl=true"), "{why}");
}

/// Starts the server anew at its old port, with HTTP under TLS of its own, and an engine that knows.
pub async fn restart_by_https(rig: &mut HiveRig) {
    let (store, ca) = (rig.place.path("store.p12"), rig.place.path("server.pem"));
    let keytool = |arguments: &[&str]| {
        let mut command = Command::new("keytool");
        command.args(arguments).args(["-alias", "server", "-storepass", STORE, "-keystore"]).arg(&store);
        let made = command.output().expect("keytool is part of the JDK");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    };
    let words = ["-genkeypair", "-keyalg", "EC", "-dname", "CN=server", "-ext", "san=ip:127.0.0.1"];
    keytool(&[words.as_slice(), &["-storetype", "PKCS12"]].concat());
    keytool(&["-exportcert", "-rfc", "-file", &ca.display().to_string()]);
    let (port, store) = (rig.server.port, store.display().to_string());
    let settings = [
        "hive.server2.transport.mode=http".to_owned(),
        format!("hive.server2.thrift.http.port={port}"),
        "hive.server2.use.SSL=true".to_owned(),
        format!("hive.server2.keystore.path={store}"),
        format!("hive.server2.keystore.password={STORE}"),
    ];
    let more: Vec<&str> = settings.iter().flat_map(|setting| ["--hiveconf", setting]).collect();
    rig.server = Server::start_at(rig.place.dir.path(), port, &more);
    rig.engine = engine(rig, &https(port, "cliservice"), Some(ca));
}

fn https(port: u16, path: &str) -> String {
    format!("jdbc:hive2://127.0.0.1:{port}/default;ssl=true;transportMode=http;httpPath={path}")
}

pub async fn statements_by_https(rig: &HiveRig) {
    let (tag, ended) = rig.run_sql("https", "select id, concat('x', id) from range(0, 3) order by id").await;
    assert_eq!((ended.outcome, ended.reason), (Outcome::Succeeded, None), "{}", rig.place.errors(&tag).await);
    assert_eq!(rig.place.out(&tag).await, "0\tx0\n1\tx1\n2\tx2\n");
    let (_, ended) = rig.run_sql("wrong", "selec 2").await;
    assert!(ended.reason.as_ref().is_some_and(|why| why.contains("PARSE_SYNTAX_ERROR")), "{ended:?}");

    let tag = rig.long("long").await;
    rig.engine.stop(JobRef::from(&tag), Stop::Hard).await.expect("stopped");
    rig.end(&tag).await;
    until("nothing runs", || async { (rig.server.running() == 0).then_some(()) }).await;

    let port = rig.server.port;
    let why = refused(rig, "unknown-ca", &https(port, "cliservice"), None).await;
    assert!(why.contains("hive.ca_file"), "{why}");
    let ca = rig.place.path("server.pem");
    let why = refused(rig, "path", &https(port, "elsewhere"), Some(ca.clone())).await;
    assert!(why.contains(";httpPath="), "{why}");
    let binary = engine(rig, &format!("jdbc:hive2://127.0.0.1:{port}/default;ssl=true"), Some(ca));
    let tag = rig.place.tag("binary");
    launch_on(&binary, &rig.place, &tag, "select 1").await;
    let ended = rig.end(&tag).await;
    assert!(ended.reason.as_ref().is_some_and(|why| why.contains(";transportMode=http")), "{ended:?}");
}
