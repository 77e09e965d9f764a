//! From a url, its credentials and the operator's settings to namenodes, path and who asks.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use foggara_domain::Secret;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use url::Url;

use super::{HdfsSettings, answer::Status};
use crate::{StoreError, listing::is_plain};

/// Where a namenode answers HTTP and HTTPS unless somebody says otherwise (Hadoop 3).
const HTTP: u16 = 9870;
const HTTPS: u16 = 9871;
/// Where it answers Hadoop's own protocol, which an `hdfs` url without a port means.
const RPC: &str = ":8020";

/// The namenodes of one file system, one of which is active.
#[derive(Debug)]
pub(super) struct Service {
    pub urls: Vec<Url>,
    /// Whether they stand in the operator's settings.
    pub is_operators: bool,
    active: AtomicUsize,
}

impl Service {
    pub fn new(urls: Vec<Url>, is_operators: bool) -> Self {
        Self { urls, is_operators, active: AtomicUsize::new(0) }
    }

    /// Its addresses, the one that was active last at first, each with its number.
    pub fn in_turn(&self) -> impl Iterator<Item = (usize, &Url)> {
        let first = self.active.load(Ordering::Relaxed);
        let count = self.urls.len();
        (0..count).map(move |step| (first + step) % count).map(|number| (number, &self.urls[number]))
    }

    pub fn is_active(&self, number: usize) {
        self.active.store(number, Ordering::Relaxed);
    }
}

/// The operator's file systems, by the names that urls give them.
#[derive(Debug)]
pub(super) struct Services(Vec<(String, Arc<Service>)>);

impl Services {
    pub fn new(settings: &HdfsSettings) -> Self {
        let service = |urls: &Vec<Url>| Arc::new(Service::new(urls.clone(), true));
        Self(settings.named().map(|(name, urls)| (name.clone(), service(urls))).collect())
    }

    /// The file system of a url: by its name, else by its address, else one that only the url knows.
    fn of(&self, url: &Url) -> Result<Arc<Service>, StoreError> {
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let name = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let is_rpc = url.scheme() == "hdfs";
        let same = |own: &str| {
            own == name || (is_rpc && (own.strip_suffix(RPC) == Some(&name) || name.strip_suffix(RPC) == Some(own)))
        };
        if let Some((_, service)) = self.0.iter().find(|(own, _)| same(own)) {
            return Ok(Arc::clone(service));
        }
        let (scheme, usual) = if url.scheme() == "swebhdfs" { ("https", HTTPS) } else { ("http", HTTP) };
        let port = url.port().filter(|_| !is_rpc).unwrap_or(usual);
        let address = Url::parse(&format!("{scheme}://{host}:{port}"));
        let address = address.map_err(|_| StoreError::Unsupported(format!("{name} is not a host's name")))?;
        let listed = self.0.iter().find(|(_, service)| service.urls.contains(&address));
        Ok(listed.map_or_else(|| Arc::new(Service::new(vec![address], false)), |(_, service)| Arc::clone(service)))
    }
}

/// What a request is about.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The url as it may be shown.
    pub name: String,
    pub service: Arc<Service>,
    /// Decoded, with `/` at its head and not at its end; `/` alone is the root.
    pub path: String,
    pub user: Option<String>,
    pub token: Option<Secret>,
}

impl Target {
    pub fn of(
        url: &Url,
        credentials: Option<&Map<String, Value>>,
        settings: &HdfsSettings,
        services: &Services,
    ) -> Result<Self, StoreError> {
        let refuse = |text: String| Err(StoreError::Unsupported(text));
        let scheme = url.scheme();
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            return refuse(format!("a {scheme} url has the form {scheme}://host:port/path"));
        };
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let name = format!("{scheme}://{host}{port}{}", url.path());
        if !url.username().is_empty() || url.password().is_some() {
            return refuse(format!(
                "{name}: a user may not stand in the url; give user or delegation_token as credentials, or fs.webhdfs.user or \
                 fs.webhdfs.delegation.token in the job's configs"
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse(format!("{name}: in a path ? is written %3F and # %23"));
        }
        let Ok(path) = percent_decode_str(url.path()).decode_utf8() else {
            return refuse(format!("{name} is not UTF-8"));
        };
        let path = path.trim_end_matches('/');
        if !path.is_empty() && (!is_plain(&path[1..]) || path.contains('\0')) {
            return refuse(format!("{name} has empty parts, '.', '..' or a zero byte in it"));
        }
        let word = |sahara: &str, hadoop: &str| {
            let of = |key: &str| credentials?.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty());
            of(sahara).or_else(|| of(hadoop)).map(ToOwned::to_owned)
        };
        Ok(Self {
            service: services.of(url)?,
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            user: word("user", "fs.webhdfs.user").or_else(|| settings.user().map(ToOwned::to_owned)),
            token: word("delegation_token", "fs.webhdfs.delegation.token").map(Secret::new),
            name,
        })
    }

    /// The same file system and user, another path.
    pub fn at(&self, path: String) -> Self {
        Self { path, ..self.clone() }
    }

    /// The error for what is there and no file.
    pub fn not_a_file(&self, status: &Status) -> StoreError {
        let what = if status.is_folder() { "a folder" } else { "something else" };
        StoreError::NotFound(format!("{} is not a file but {what}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn settings() -> HdfsSettings {
        let names = [("cluster", "http://a:9870,http://b:9870"), ("nn:8020", "http://nn-web:50070")];
        let names = names.map(|(name, urls)| (name.to_owned(), urls.to_owned()));
        HdfsSettings::of(Some("usual".to_owned()), &BTreeMap::from(names)).expect("settings")
    }

    fn of(url: &str, credentials: Value) -> Result<Target, String> {
        let (url, settings) = (Url::parse(url).expect("a url"), settings());
        let target = Target::of(&url, credentials.as_object(), &settings, &Services::new(&settings));
        target.map_err(|error| error.to_string())
    }

    #[test]
    fn names_lead_to_the_operators_namenodes_and_others_to_the_usual_port() {
        let first = |url: &str| {
            let target = of(url, Value::Null).expect("a target");
            (target.service.urls[0].to_string(), target.service.urls.len(), target.service.is_operators)
        };
        for (url, address, count, operators) in [
            ("hdfs://cluster/p", "http://a:9870/", 2, true),
            ("webhdfs://Cluster/p", "http://a:9870/", 2, true),
            ("hdfs://nn:8020/p", "http://nn-web:50070/", 1, true),
            ("hdfs://nn/p", "http://nn-web:50070/", 1, true),
            ("webhdfs://b:9870/p", "http://a:9870/", 2, true),
            ("hdfs://nn:9000/p", "http://nn:9870/", 1, false),
            ("webhdfs://nn/p", "http://nn:9870/", 1, false),
            ("webhdfs://other:50070/p", "http://other:50070/", 1, false),
            ("swebhdfs://other/p", "https://other:9871/", 1, false),
            ("webhdfs://2130706433:1/p", "http://127.0.0.1:1/", 1, false),
            ("webhdfs://[::1]:1/p", "http://[::1]:1/", 1, false),
        ] {
            assert_eq!(first(url), (address.to_owned(), count, operators), "{url}");
        }
    }

    #[test]
    fn who_asks_is_told_by_the_job_or_the_operator() {
        let who = |credentials: Value| {
            let target = of("hdfs://cluster/a%20b/", credentials).expect("a target");
            assert_eq!(target.path, "/a b");
            assert!(!format!("{target:?}").contains("very-secret"));
            (target.user, target.token.map(|token| token.reveal().to_owned()))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(who(Value::Null), (some("usual"), None));
        assert_eq!(who(json!({"user": "me"})), (some("me"), None));
        let hadoop = json!({"fs.webhdfs.user": "me", "fs.webhdfs.delegation.token": "very-secret"});
        assert_eq!(who(hadoop), (some("me"), some("very-secret")));
        assert_eq!(who(json!({"delegation_token": "very-secret"})), (some("usual"), some("very-secret")));
    }

    #[test]
    fn urls_that_would_mean_something_else_are_refused() {
        for (url, why) in [
            ("webhdfs:///p", "host:port"),
            ("webhdfs://me@h/p", "may not stand"),
            ("webhdfs://h/p?op=DELETE", "%3F"),
            ("webhdfs://h/p#x", "%23"),
            ("webhdfs://h/a//b", "empty parts"),
            ("webhdfs://h/a/..%2fb", "'..'"),
            ("webhdfs://h/%00", "zero byte"),
            ("webhdfs://h/%ff", "UTF-8"),
            ("webhdfs://h%20h/p", "host"),
        ] {
            let error = of(url, Value::Null).expect_err(url);
            assert!(error.contains(why), "{url}: {error}");
        }
    }
}
