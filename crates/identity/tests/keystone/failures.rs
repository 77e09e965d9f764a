//! Whatever is wrong with Keystone or our way to it is never the caller's fault.

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use foggara_domain::Secret;
use foggara_identity::{
    Authenticator, Error,
    keystone::{Settings, SettingsError},
};
use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::fake::{Fake, Fault, PASSWORD, keystone};

fn is_away<T: std::fmt::Debug>(answer: Result<T, Error>, what: &str) {
    match answer {
        Err(Error::Unavailable(text)) => {
            assert_eq!(text, "The identity service cannot answer at the moment.", "{what}");
        }
        other => panic!("{what}: {other:?}"),
    }
}

fn faults() -> Vec<Fault> {
    let text = |text: &str| Fault::Body(text.to_owned());
    vec![
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(503),
        Fault::Status(504),
        Fault::Status(429),
        Fault::Status(404),
        Fault::Status(204),
        Fault::Status(400),
        Fault::Error(403),
        Fault::Error(500),
        Fault::Error(400),
        text(""),
        text("<html>It works!</html>"),
        text("{\"token\": {\"user\": null}}"),
        text("{\"token\": "),
        text("[]"),
        Fault::Body("x".repeat(5 * 1024 * 1024)),
        Fault::Redirect("http://127.0.0.1:9/v3/auth/tokens".to_owned()),
    ]
}

#[tokio::test]
async fn a_broken_examination_is_unavailable_and_is_not_remembered() {
    let fake = Fake::start().await;
    fake.issue("good");
    let keystone = fake.keystone();
    for fault in faults() {
        let what = format!("{fault:?}");
        let what = what.get(..60).unwrap_or(&what);
        fake.place().examine_fault = Some(fault);
        is_away(keystone.identify("good").await, what);
        is_away(keystone.identify("unknown").await, what);
    }
    fake.place().examine_fault = None;
    keystone.identify("good").await.expect("a token");
    assert_eq!(keystone.identify("unknown").await, Err(Error::Unauthorized));
}

#[tokio::test]
async fn a_broken_log_in_is_unavailable() {
    for fault in faults().into_iter().chain([Fault::Error(401), Fault::Error(404)]) {
        let fake = Fake::start().await;
        fake.issue("good");
        let what = format!("{fault:?}");
        let what = what.get(..60).unwrap_or(&what);
        fake.place().login_fault = Some(fault);
        let keystone = fake.keystone();
        is_away(keystone.identify("good").await, what);
        is_away(keystone.identify("unknown").await, what);
        assert!(matches!(keystone.log_in().await, Err(Error::Unavailable(_))), "{what}");
    }
}

#[tokio::test]
async fn silence_ends_at_the_time_limit_and_other_tokens_do_not_wait_for_it() {
    let fake = Fake::start().await;
    fake.issue("good");
    let mut settings = fake.settings();
    settings.timeout = Duration::from_millis(300);
    let keystone = keystone(settings);
    keystone.identify("good").await.expect("a token");
    fake.place().examine_fault = Some(Fault::Hang);
    let began = Instant::now();
    let (silent, known) =
        tokio::join!(keystone.identify("silent"), async { keystone.identify("good").await.map(|_| began.elapsed()) });
    is_away(silent, "silence");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(known.expect("a token") < Duration::from_millis(200));
    fake.place().examine_fault = None;
    assert_eq!(keystone.identify("silent").await, Err(Error::Unauthorized));
}

#[tokio::test]
async fn the_time_limit_holds_for_log_in_and_examination_together() {
    let fake = Fake::start().await;
    fake.issue("good");
    fake.place().login_fault = Some(Fault::Hang);
    let mut settings = fake.settings();
    settings.timeout = Duration::from_millis(300);
    let keystone = keystone(settings);
    let began = Instant::now();
    let (one, two, three) =
        tokio::join!(keystone.identify("good"), keystone.identify("other"), keystone.identify("third"));
    is_away(one, "one");
    is_away(two, "two");
    is_away(three, "three");
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    fake.place().login_fault = None;
    keystone.identify("good").await.expect("a token");
}

#[tokio::test]
async fn nobody_listens() {
    let fake = Fake::start().await;
    fake.issue("good");
    fake.issue("other");
    let keystone = fake.keystone();
    keystone.identify("good").await.expect("a token");
    fake.stop().await;
    is_away(keystone.identify("other").await, "nobody listens");
    keystone.identify("good").await.expect("remembered");
}

#[tokio::test]
async fn an_answer_that_breaks_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{\"token\": {").await;
        }
    });
    let keystone = keystone(Settings::new(url, "foggara", Secret::new(PASSWORD)));
    is_away(keystone.identify("good").await, "broken off");
}

#[test]
fn settings_that_cannot_be_used() {
    let dir = tempfile::tempdir().expect("a directory");
    let empty = dir.path().join("ca.pem");
    std::fs::write(&empty, "no certificate").expect("written");
    let wrong = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::new("http://127.0.0.1:1/v3", "foggara", Secret::new(PASSWORD));
        change(&mut settings);
        foggara_identity::keystone::Keystone::new(settings).expect_err("an error")
    };
    assert!(matches!(wrong(&|settings| settings.auth_url = "keystone".to_owned()), SettingsError::AuthUrl(_)));
    for path in [empty, dir.path().join("missing")] {
        let error = wrong(&|settings| settings.ca_file = Some(path.clone()));
        assert!(matches!(&error, SettingsError::CaFile { .. }), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn neither_debug_nor_errors_bear_a_secret() {
    let fake = Fake::start().await;
    fake.issue("good-token");
    let keystone = fake.keystone();
    let mut shown = format!("{:?} {keystone:?}", fake.settings());
    shown += &format!("{:?}", keystone.identify("good-token").await);
    for fault in [Fault::Error(403), Fault::Body("{}".to_owned()), Fault::Status(500)] {
        fake.place().examine_fault = Some(fault.clone());
        shown += &format!("{:?}", keystone.identify("other-token").await);
        let second = fake.keystone();
        fake.place().login_fault = Some(fault);
        shown += &format!("{:?}", second.log_in().await);
        fake.place().login_fault = None;
    }
    assert!(shown.contains("***") && shown.contains("foggara"), "{shown}");
    for secret in [PASSWORD, "good-token", "other-token", "service-token"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_names_the_reason_and_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // For this thread, on which the tasks of this test run as well.
    let _guard = tracing::subscriber::set_default(subscriber);
    let fake = Fake::start().await;
    fake.issue("good-token");
    let keystone = fake.keystone();
    keystone.identify("good-token").await.expect("a token");
    fake.place().service_tokens.clear();
    let _ = keystone.identify("other-token").await;
    fake.place().examine_fault = Some(Fault::Status(502));
    let _ = keystone.identify("third-token").await;
    let text = String::from_utf8(log.0.lock().expect("a log").clone()).expect("text");
    assert!(text.contains("502") && text.contains("logging in again"), "{text}");
    for secret in [PASSWORD, "good-token", "other-token", "third-token", "service-token"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}
