//! Where settings come from, and what is said of wrong ones.

use super::*;

fn load(file: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Sources { file: Some((PathBuf::from("f.toml"), file.to_owned())), variables }.load()
}

#[test]
fn the_reference_is_a_file_of_the_defaults() {
    assert_eq!(load(&print_reference(), &[]), Ok(Config::default()));
}

#[test]
fn a_variable_wins_over_the_file() {
    let config = load("[jobs]\nkill_grace = 3\nmax_waiting = 4\n", &[("FOGGARA__JOBS__KILL_GRACE", "7")]);
    let config = config.expect("settings");
    assert_eq!((config.jobs.kill_grace, config.jobs.max_waiting), (7, 4));
    let roots = load("", &[("FOGGARA__STORES__FILE__ROOTS", "[\"/a\"]")]).expect("settings").stores.file.roots;
    assert_eq!(roots, Some(vec![PathBuf::from("/a")]));
    let listen = load("", &[("FOGGARA__SERVER__LISTEN", "127.0.0.1:0")]).expect("settings").server.listen;
    assert_eq!(listen, "127.0.0.1:0");
}

#[test]
fn a_variable_for_a_text_is_taken_as_it_stands() {
    let of = |key: &str, text: &str| load("", &[(key, text)]).expect("settings");
    assert_eq!(of("FOGGARA__SERVER__REGION", "1").server.region, "1");
    assert_eq!(of("FOGGARA__SERVER__DATA_DIR", "2024").server.data_dir, Some(PathBuf::from("2024")));
    assert_eq!(of("FOGGARA__SERVER__ROLE", "worker").server.role, Role::Worker);
    assert!(of("FOGGARA__SERVER__INSECURE_HTTP", "true").server.insecure_http);
    assert_eq!(of("FOGGARA__SERVER__CORS_ORIGINS", r#"["*"]"#).server.cors_origins, ["*"]);
}

#[test]
fn values_out_of_their_range_are_refused() {
    for (file, key, reason) in [
        ("[jobs]\nkill_grace = 99999999999", "jobs.kill_grace", "too large"),
        ("[jobs]\nkill_grace = -1", "jobs.kill_grace", "-1"),
        ("[local]\nmax_running = 0", "local.max_running", "too small"),
        ("[limits]\nrequest_seconds = 0", "limits.request_seconds", "too small"),
        ("[server]\nregion = ' '", "server.region", "empty"),
        ("[server]\ncors_origins = ['example.org']", "server.cors_origins", "example.org"),
        ("[stores.file]\nroots = ['data']", "stores.file.roots", "absolute"),
        ("[stores.s3]\nendpoint = 'host'", "stores.s3.endpoint", "https://host"),
        ("[stores.swift]\nauth_url = 'host'", "stores.swift.auth_url", "https://host"),
        ("[stores.swift]\nendpoint = 'host'", "stores.swift.endpoint", "https://host"),
        ("[stores.s3]\naccess_key = 'a'", "stores.s3.secret_key", "unset"),
        ("[stores.s3]\nsecret_key = 'a'", "stores.s3.access_key", "unset"),
    ] {
        let error = load(file, &[]).expect_err(file);
        assert!(error.starts_with(&format!("f.toml: {key}: ")) && error.contains(reason), "{error}");
    }
    let error = load("", &[("FOGGARA__JOBS__MAX_WAITING", "0")]).expect_err("refused");
    assert!(error.starts_with("FOGGARA__JOBS__MAX_WAITING: jobs.max_waiting: "), "{error}");
}

#[test]
fn a_secret_is_taken_as_it_stands_and_never_shown() {
    let pairs = [("FOGGARA__STORES__S3__ACCESS_KEY", "1"), ("FOGGARA__STORES__S3__SECRET_KEY", "123")];
    let config = load("", &pairs).expect("settings");
    assert_eq!(config.stores.s3.secret_key, Some(SecretString(Secret::new("123"))));
    assert!(!format!("{config:?}").contains("123"), "{config:?}");
    assert_eq!(Value::try_from(&config.stores.s3.secret_key).ok(), Some(Value::from("***")));
}

#[test]
fn what_is_wrong_is_named() {
    let unknown = load("[jobs]\nkill_graze = 3\n", &[]).expect_err("refused");
    assert!(unknown.contains("f.toml: jobs.kill_graze") && unknown.contains("jobs.kill_grace"), "{unknown}");
    let kind = load("[jobs]\nkill_grace = \"soon\"\n", &[]).expect_err("refused");
    assert!(kind.contains("f.toml: jobs.kill_grace"), "{kind}");
    let variable = load("", &[("FOGGARA__SERVER__ROLE", "boss")]).expect_err("refused");
    assert!(variable.contains("FOGGARA__SERVER__ROLE") && variable.contains("boss"), "{variable}");
    let name = load("", &[("FOGGARA__SERVER__LISTN", "x")]).expect_err("refused");
    assert!(name.contains("FOGGARA__SERVER__LISTN") && name.contains("server.listen"), "{name}");
    let section = load("[jbos]\n", &[]).expect_err("refused");
    assert!(section.contains("f.toml: jbos"), "{section}");
    assert!(load("[stores]\n[jobs]\n", &[]).is_ok(), "empty sections are no fault");
    assert!(load("[jobs\n", &[]).expect_err("refused").contains("f.toml"));
}
