//! Where HiveServer2 is, as JDBC's clients write it, and who we are to it.

use foggara_domain::Secret;
use serde::{Deserialize, Serialize};

/// Port of HiveServer2 when nobody says.
const PORT: u16 = 10000;

/// `jdbc:hive2://host:port/database;auth=noSasl`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub host: String,
    pub port: u16,
    /// Database to begin in.
    pub database: String,
    /// Whether there is a log-in by SASL PLAIN.
    pub sasl: bool,
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
        let rest = text.strip_prefix("jdbc:hive2://").ok_or_else(|| wrong(&format!("is '{text}'")))?;
        let (main, options) = rest.split_once(';').unwrap_or((rest, ""));
        if options.contains(['?', '#']) || main.contains(['?', '#']) {
            return Err(wrong("holds settings of Hive behind ? or #: give them with the job instead"));
        }
        let mut sasl = true;
        for option in options.split(';').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match (name, value) {
                ("auth", value) if value.eq_ignore_ascii_case("noSasl") => sasl = false,
                ("transportMode", "binary") | ("ssl", "false") => {}
                ("user" | "password", _) => {
                    return Err(wrong("holds a credential: use the settings hive.user and hive.password_file"));
                }
                ("ssl" | "transportMode" | "serviceDiscoveryMode" | "principal" | "zooKeeperNamespace", _) => {
                    return Err(wrong(&format!(
                        "asks for {name}={value}, which is not known here: binary transport without TLS to one server, with a \
                         password or without (;auth=noSasl)"
                    )));
                }
                _ => return Err(wrong(&format!("has the option '{name}', which is not known here"))),
            }
        }
        let (host, database) = main.split_once('/').unwrap_or((main, ""));
        if host.contains(',') {
            return Err(wrong("names several hosts: a session lives in one server, so name one"));
        }
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => {
                (host, port.parse().map_err(|_| wrong(&format!("has the port '{port}'")))?)
            }
            _ => (host, PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(['@', ' ']) {
            return Err(wrong(&format!("is '{text}'")));
        }
        let database = if database.is_empty() { "default" } else { database };
        Ok(Self { host: host.to_owned(), port, database: database.to_owned(), sasl })
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
        };
        for (text, wanted) in [
            ("jdbc:hive2://h:1/d", address("h", 1, "d", true)),
            ("jdbc:hive2://h", address("h", PORT, "default", true)),
            ("jdbc:hive2://[::1]:2/;auth=noSasl", address("::1", 2, "default", false)),
        ] {
            assert_eq!(Address::parse(text), Ok(wanted));
        }
        for (text, why) in [
            ("http://h:1", "looks like"),
            ("jdbc:hive2://:1/d", "looks like"),
            ("jdbc:hive2://h:p/d", "port 'p'"),
            ("jdbc:hive2://a:1,b:1/d", "several hosts"),
            ("jdbc:hive2://h:1/d;password=x", "hive.password_file"),
            ("jdbc:hive2://h:1/d;ssl=true", "ssl=true"),
            ("jdbc:hive2://h:1/d;principal=hive/_HOST@R", "principal"),
        ] {
            let error = Address::parse(text).expect_err(text);
            assert!(error.contains(why) && !error.contains("=x"), "{error}");
        }
    }
}
