//! Where HiveServer2 is, as JDBC's clients write it, and who we are to it.

use std::path::PathBuf;

use foggara_domain::Secret;
use serde::{Deserialize, Serialize};

/// Port of HiveServer2 when nobody says.
const PORT: u16 = 10000;
/// The same of the HTTP transport, and its path.
const HTTP_PORT: u16 = 10001;
const HTTP_PATH: &str = "cliservice";

/// `jdbc:hive2://host:port/database;ssl=true;transportMode=http;httpPath=cliservice`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub host: String,
    pub port: u16,
    /// Database to begin in.
    pub database: String,
    /// Whether there is a log-in by SASL PLAIN. HTTP has one of its own.
    pub sasl: bool,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Path of the HTTP transport, without a slash before it; nothing for the binary one.
    pub http_path: Option<String>,
    /// Certificates (PEM) that are trusted beside the system's: no part of the URL, but a setting.
    pub ca_file: Option<PathBuf>,
}

/// Who we are.
#[derive(Clone)]
pub(super) struct Login {
    pub user: String,
    pub password: Secret,
}

impl Address {
    /// Reads the setting `hive.url`. The error is for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("the setting hive.url {why}; it looks like jdbc:hive2://host:{PORT}/default");
        let rest = text.strip_prefix("jdbc:hive2://").ok_or_else(|| wrong("is no address of HiveServer2"))?;
        let (main, options) = rest.split_once(';').unwrap_or((rest, ""));
        if options.contains(['?', '#']) || main.contains(['?', '#']) {
            return Err(wrong("holds settings of Hive behind ? or #: give them with the job instead"));
        }
        // Told without its words: one of them is a password.
        if main.contains('@') {
            return Err(wrong("holds a credential: use the settings hive.user and hive.password_file"));
        }
        let (mut sasl, mut tls, mut http, mut path) = (true, false, false, None);
        for option in options.split(';').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match (name, value) {
                ("auth", value) if value.eq_ignore_ascii_case("noSasl") => sasl = false,
                ("ssl", "true") => tls = true,
                ("ssl", "false") => tls = false,
                ("transportMode", "http") => http = true,
                ("transportMode", "binary") => http = false,
                ("httpPath", value) if !value.is_empty() && !value.contains(char::is_whitespace) => {
                    path = Some(value.trim_start_matches('/').to_owned());
                }
                ("user" | "password", _) => {
                    return Err(wrong("holds a credential: use the settings hive.user and hive.password_file"));
                }
                ("sslTrustStore" | "trustStorePassword", _) => {
                    return Err(wrong(&format!(
                        "names a key store of Java ({name}): give its CA as PEM with the setting hive.ca_file, or to the system"
                    )));
                }
                (
                    "ssl" | "transportMode" | "httpPath" | "serviceDiscoveryMode" | "principal" | "zooKeeperNamespace",
                    _,
                ) => {
                    return Err(wrong(&format!(
                        "asks for {name}={value}, which is not known here: one server, binary or ;transportMode=http, with TLS \
                         (;ssl=true) or without, with a password or without (;auth=noSasl)"
                    )));
                }
                _ => return Err(wrong(&format!("has the option '{name}', which is not known here"))),
            }
        }
        if path.is_some() && !http {
            return Err(wrong("has httpPath without transportMode=http"));
        }
        let http_path = http.then(|| path.unwrap_or_else(|| HTTP_PATH.to_owned()));
        let (host, database) = main.split_once('/').unwrap_or((main, ""));
        if host.contains(',') {
            return Err(wrong("names several hosts: a session lives in one server, so name one"));
        }
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => {
                (host, port.parse().map_err(|_| wrong(&format!("has the port '{port}'")))?)
            }
            _ => (host, if http { HTTP_PORT } else { PORT }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(' ') {
            return Err(wrong("names no host"));
        }
        let database = if database.is_empty() { "default" } else { database };
        Ok(Self {
            host: host.to_owned(),
            port,
            database: database.to_owned(),
            sasl: sasl && !http,
            tls,
            http_path,
            ca_file: None,
        })
    }

    /// For errors.
    pub fn server(&self) -> String {
        format!("HiveServer2 at {}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let address = |host: &str, port, database: &str, sasl| Address {
            host: host.to_owned(),
            port,
            database: database.to_owned(),
            sasl,
            tls: false,
            http_path: None,
            ca_file: None,
        };
        let http =
            |port, path: &str, tls| Address { tls, http_path: Some(path.to_owned()), ..address("h", port, "d", false) };
        for (text, wanted) in [
            ("jdbc:hive2://h:1/d", address("h", 1, "d", true)),
            ("jdbc:hive2://h", address("h", PORT, "default", true)),
            ("jdbc:hive2://[::1]:2/;auth=noSasl", address("::1", 2, "default", false)),
            ("jdbc:hive2://h:1/d;ssl=true", Address { tls: true, ..address("h", 1, "d", true) }),
            ("jdbc:hive2://h/d;transportMode=http", http(HTTP_PORT, "cliservice", false)),
            ("jdbc:hive2://h:3/d;ssl=true;transportMode=http;httpPath=/a/b", http(3, "a/b", true)),
        ] {
            assert_eq!(Address::parse(text), Ok(wanted));
        }
        for (text, why) in [
            ("http://h:1", "looks like"),
            ("jdbc:hive2://:1/d", "looks like"),
            ("jdbc:hive2://h:p/d", "port 'p'"),
            ("jdbc:hive2://a:1,b:1/d", "several hosts"),
            ("jdbc:hive2://h:1/d;password=x", "hive.password_file"),
            ("jdbc:hive2://u:pw=x@h:1/d", "hive.password_file"),
            ("jdbc:mysql://h:1/d?password=x", "looks like"),
            ("jdbc:hive2://h:1/d;ssl=yes", "ssl=yes"),
            ("jdbc:hive2://h:1/d;httpPath=x", "without transportMode"),
            ("jdbc:hive2://h:1/d;ssl=true;sslTrustStore=/x.jks;trustStorePassword=x", "hive.ca_file"),
            ("jdbc:hive2://h:1/d;principal=hive/_HOST@R", "principal"),
        ] {
            let error = Address::parse(text).expect_err(text);
            assert!(error.contains(why) && !error.contains("=x"), "{error}");
        }
    }
}
