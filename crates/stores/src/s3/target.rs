//! From a url, its credentials and the operator's settings to bucket, key, endpoint and keys.
//!
//! Credentials bear Sahara's names (`accesskey`, `secretkey`, `endpoint`, `bucket_in_path`, `ssl`; sahara-v1.1.md section 4)
//! or Hadoop's (`fs.s3a.*`, `fs.obs.*`, and for one bucket `fs.s3a.bucket.NAME.*`). The operator's keys go to the operator's
//! endpoint only: a job that names another must bring keys of its own.

use std::net::IpAddr;

use foggara_domain::Secret;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use url::{Host, Url};

use super::S3Settings;
use crate::{StoreError, listing::is_plain};

const AWS: &str = "https://s3.amazonaws.com";
const REGION: &str = "us-east-1";
/// Ends of host names where a bucket stands in the host's name unless somebody says otherwise.
const BY_HOST: [&str; 4] = [".amazonaws.com", ".amazonaws.com.cn", ".myhuaweicloud.com", ".otc.t-systems.com"];

/// Keys of an account.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub access: String,
    pub secret: Secret,
    /// Beside keys that last only for a while.
    pub token: Option<Secret>,
}

/// What a request goes to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    scheme: String,
    pub bucket: String,
    /// Without a `/` at its head; empty for the whole bucket.
    pub key: String,
    /// With scheme, without path.
    pub endpoint: String,
    /// Whether that is the operator's, or AWS where the operator names none.
    pub is_operators: bool,
    pub region: String,
    /// Nothing for requests without a signature.
    pub keys: Option<Keys>,
    pub path_style: bool,
}

impl Target {
    pub fn of(url: &Url, credentials: Option<&Map<String, Value>>, settings: &S3Settings) -> Result<Self, StoreError> {
        let (scheme, bucket) = (url.scheme().to_owned(), url.host_str().unwrap_or_default().to_owned());
        let refuse = |text: String| Err(StoreError::Unsupported(text));
        if bucket.is_empty() || url.port().is_some() {
            return refuse(format!("a {scheme} url has the form {scheme}://bucket/key"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse(format!(
                "{scheme}://{bucket}: keys may not stand in a url; give them as credentials (accesskey, secretkey) or configs \
                 (fs.s3a.access.key, fs.s3a.secret.key)"
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse(format!("{scheme}://{bucket}{}: in a key ? is written %3F and # %23", url.path()));
        }
        let path = url.path().strip_prefix('/').unwrap_or(url.path());
        let Ok(key) = percent_decode_str(path).decode_utf8() else {
            return refuse(format!("{scheme}://{bucket}/{path} is not UTF-8"));
        };
        let key = key.into_owned();
        let whole = key.strip_suffix('/').unwrap_or(&key);
        if !whole.is_empty() && (!is_plain(whole) || key.trim() != key) || key == "/" {
            return refuse(format!(
                "{scheme}://{bucket}/{path}: a key with empty parts, '.' or '..' or blanks at its ends cannot be addressed"
            ));
        }
        let words = Words { credentials, bucket: &bucket, obs_first: scheme == "obs" };
        let endpoint = endpoint(&words, settings, &scheme)?;
        let region = region(&words, settings, &endpoint)?;
        let keys = keys(&words, settings, &endpoint, &format!("{scheme}://{bucket}/{path}"))?;
        let path_style = match words.flag("bucket_in_path", "path.style.access")? {
            Some(flag) => flag,
            None => {
                settings.path_style.filter(|_| endpoint.is_operators).unwrap_or_else(|| by_path(&endpoint.url, &bucket))
            }
        };
        let (is_operators, endpoint) = (endpoint.is_operators, endpoint.text());
        Ok(Self { scheme, bucket, key, endpoint, is_operators, region, keys, path_style })
    }

    /// Another object of the same bucket.
    pub fn at(&self, key: String) -> Self {
        Self { key, ..self.clone() }
    }

    /// The url as it may be shown.
    pub fn name(&self) -> String {
        format!("{}://{}/{}", self.scheme, self.bucket, self.key)
    }

    pub fn bucket_name(&self) -> String {
        format!("{}://{}", self.scheme, self.bucket)
    }

    /// Refuses a url that cannot be an object's.
    pub fn need_object(&self) -> Result<(), StoreError> {
        if self.key.is_empty() || self.key.ends_with('/') {
            return Err(StoreError::NotFound(format!("{} is not an object but a bucket or folder", self.name())));
        }
        Ok(())
    }
}

/// The credentials that came with a url.
struct Words<'a> {
    credentials: Option<&'a Map<String, Value>>,
    bucket: &'a str,
    obs_first: bool,
}

impl Words<'_> {
    /// A value by Sahara's name or by Hadoop's, for this bucket before for all.
    fn get(&self, sahara: &str, hadoop: &str) -> Option<String> {
        let credentials = self.credentials?;
        let of = |key: &str| match credentials.get(key)? {
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        };
        let stores = if self.obs_first { ["fs.obs", "fs.s3a"] } else { ["fs.s3a", "fs.obs"] };
        let of_bucket = || stores.iter().find_map(|store| of(&format!("{store}.bucket.{}.{hadoop}", self.bucket)));
        let of_all = || stores.iter().find_map(|store| of(&format!("{store}.{hadoop}")));
        of_bucket().or_else(|| of(sahara)).or_else(of_all)
    }

    fn flag(&self, sahara: &str, hadoop: &str) -> Result<Option<bool>, StoreError> {
        match self.get(sahara, hadoop).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(StoreError::Unsupported(format!(
                "{sahara} (or fs.s3a.{hadoop}) must be true or false for {}",
                self.bucket
            ))),
        }
    }
}

struct Endpoint {
    url: Url,
    /// Whether the operator's keys may go there.
    is_operators: bool,
}

impl Endpoint {
    fn text(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }
}

fn endpoint(words: &Words<'_>, settings: &S3Settings, scheme: &str) -> Result<Endpoint, StoreError> {
    let plain = words.flag("ssl", "connection.ssl.enabled")? == Some(false);
    let operators = settings.endpoint.as_deref().map(|text| parse(text, false, "[stores.s3] endpoint")).transpose()?;
    let Some(own) = words.get("endpoint", "endpoint") else {
        return match operators {
            Some(url) => Ok(Endpoint { url, is_operators: true }),
            // What AWS is to S3 nobody is to OBS: each region has an address of its own.
            None if scheme == "obs" => Err(StoreError::Denied(format!(
                "obs://{}: nobody says where OBS is: set fs.obs.endpoint in the job's configs, endpoint in the credentials, or \
                 [stores.s3] endpoint",
                words.bucket
            ))),
            None => Ok(Endpoint { url: parse(AWS, false, "AWS")?, is_operators: true }),
        };
    };
    let url = parse(&own, plain, "endpoint")?;
    let of_settings = operators.unwrap_or(parse(AWS, false, "AWS")?);
    Ok(Endpoint { is_operators: url == of_settings, url })
}

/// An endpoint without a scheme is one of TLS unless `ssl` is false.
fn parse(text: &str, plain: bool, what: &str) -> Result<Url, StoreError> {
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false if plain => format!("http://{text}"),
        false => format!("https://{text}"),
    };
    let malformed = || StoreError::Unsupported(format!("{what} is not of the form https://host or https://host:port"));
    let url = Url::parse(&whole).map_err(|_| malformed())?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_open = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !is_bare || !is_open || url.host_str().is_none_or(str::is_empty) {
        return Err(malformed());
    }
    Ok(url)
}

/// `s3.REGION.amazonaws.com`, `obs.REGION.myhuaweicloud.com` and their like tell the region.
fn region(words: &Words<'_>, settings: &S3Settings, endpoint: &Endpoint) -> Result<String, StoreError> {
    let named = words.get("region", "endpoint.region");
    // It becomes a part of the host that is asked.
    let is_region =
        |name: &str| name.len() <= 40 && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    if let Some(name) = named.as_deref().filter(|name| !is_region(name)) {
        return Err(StoreError::Unsupported(format!(
            "'{name}' is no region: it has letters, digits and '-', and 40 at most"
        )));
    }
    let named = named.or_else(|| settings.region.clone().filter(|_| endpoint.is_operators));
    Ok(named.unwrap_or_else(|| {
        let host = endpoint.url.host_str().unwrap_or_default();
        let middle = BY_HOST.iter().find_map(|end| host.strip_suffix(end)).and_then(|head| head.split_once('.'));
        middle.map_or(REGION, |(_, region)| region).to_owned()
    }))
}

fn keys(words: &Words<'_>, settings: &S3Settings, endpoint: &Endpoint, name: &str) -> Result<Option<Keys>, StoreError> {
    let how = "give accesskey and secretkey in the credentials (extra of a job binary), or fs.s3a.access.key and \
               fs.s3a.secret.key (fs.obs.access.key, fs.obs.secret.key) in the job's configs";
    match (words.get("accesskey", "access.key"), words.get("secretkey", "secret.key")) {
        (Some(access), Some(secret)) => {
            let token = words.get("sessiontoken", "session.token").map(Secret::new);
            return Ok(Some(Keys { access, secret: Secret::new(secret), token }));
        }
        (Some(_), None) => {
            return Err(StoreError::Denied(format!("{name}: there is an access key without its secret: {how}")));
        }
        (None, Some(_)) => {
            return Err(StoreError::Denied(format!("{name}: there is a secret key without its access key: {how}")));
        }
        (None, None) => {}
    }
    match (&settings.access_key, &settings.secret_key) {
        (Some(access), Some(secret)) if endpoint.is_operators => {
            Ok(Some(Keys { access: access.clone(), secret: secret.clone(), token: None }))
        }
        _ if settings.allow_anonymous => Ok(None),
        (Some(_), Some(_)) => Err(StoreError::Denied(format!(
            "{name}: there are no credentials for the endpoint {}, and those of [stores.s3] are not sent there: {how}",
            endpoint.text()
        ))),
        _ => Err(StoreError::Denied(format!(
            "{name}: there are no credentials: {how}; the operator can set [stores.s3]"
        ))),
    }
}

/// Whether the bucket goes into the path: always where it cannot stand in a host's name.
fn by_path(endpoint: &Url, bucket: &str) -> bool {
    let host = match endpoint.host() {
        Some(Host::Domain(host)) => host,
        _ => return true,
    };
    let is_label = bucket.len() <= 63
        && bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    host.parse::<IpAddr>().is_ok() || !is_label || !BY_HOST.iter().any(|end| host.ends_with(end))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(url: &str, credentials: Value, settings: &S3Settings) -> Result<Target, String> {
        Target::of(&Url::parse(url).expect("a url"), credentials.as_object(), settings)
            .map_err(|error| error.to_string())
    }

    fn operators() -> S3Settings {
        S3Settings {
            endpoint: Some("https://store.test:9000".to_owned()),
            region: Some("here".to_owned()),
            access_key: Some("OPERATOR".to_owned()),
            secret_key: Some(Secret::new("operators-secret")),
            path_style: Some(false),
            allow_anonymous: false,
        }
    }

    fn access(target: &Target) -> &str {
        target.keys.as_ref().map_or("", |keys| keys.access.as_str())
    }

    /// It becomes a part of the host.
    #[test]
    fn a_region_is_a_word() {
        for region in ["evil.test/", "@127.0.0.1:8443/", "a b", "a?"] {
            let target = of("s3a://b/k", json!({"region": region}), &S3Settings::default());
            let Err(why) = target else { panic!("{region} was taken") };
            assert!(why.contains("is no region"), "{why}");
        }
    }

    #[test]
    fn sahara_and_hadoop_name_the_same_things() {
        let none = S3Settings::default();
        let sahara =
            json!({"accesskey": "A", "secretkey": "S", "endpoint": "h.test:1", "ssl": false, "bucket_in_path": false});
        let target = of("s3a://b/k/o", sahara, &none).expect("a target");
        assert_eq!((target.endpoint.as_str(), target.path_style, access(&target)), ("http://h.test:1", false, "A"));
        assert_eq!((target.bucket.as_str(), target.key.as_str(), target.region.as_str()), ("b", "k/o", "us-east-1"));
        let hadoop = json!({
            "fs.s3a.access.key": "A", "fs.s3a.secret.key": "S", "fs.obs.access.key": "O", "fs.obs.secret.key": "P",
            "fs.obs.endpoint": "obs.eu-west-101.myhuaweicloud.com", "fs.s3a.bucket.mine.access.key": "M",
            "fs.s3a.bucket.mine.secret.key": "N", "fs.s3a.endpoint": "https://x.test", "fs.s3a.path.style.access": "true",
        });
        let obs = of("obs://b/k", hadoop.clone(), &none).expect("a target");
        assert_eq!((access(&obs), obs.region.as_str()), ("O", "eu-west-101"));
        assert_eq!(obs.endpoint, "https://obs.eu-west-101.myhuaweicloud.com");
        assert_eq!(access(&of("s3a://b/k", hadoop.clone(), &none).expect("a target")), "A");
        assert_eq!(access(&of("s3a://mine/k", hadoop, &none).expect("a target")), "M");
    }

    #[test]
    fn the_operators_keys_go_to_the_operators_endpoint_only() {
        let settings = operators();
        let target = of("s3://b/k", Value::Null, &settings).expect("a target");
        assert_eq!((access(&target), target.region.as_str(), target.path_style), ("OPERATOR", "here", false));
        for endpoint in ["https://elsewhere.test", "http://store.test:9000", "https://store.test"] {
            let error = of("s3://b/k", json!({"endpoint": endpoint}), &settings).expect_err(endpoint);
            assert!(error.contains("not sent there") && !error.contains("operators-secret"), "{error}");
        }
        let same = of("s3://b/k", json!({"endpoint": "store.test:9000"}), &settings).expect("a target");
        assert_eq!(access(&same), "OPERATOR");
        let own = of("s3://b/k", json!({"accesskey": "A", "secretkey": "S"}), &settings).expect("a target");
        assert_eq!((access(&own), own.endpoint.as_str()), ("A", "https://store.test:9000"));
    }

    #[test]
    fn what_is_missing_is_told_with_what_to_set() {
        let none = S3Settings::default();
        let error = of("s3://b/k", Value::Null, &none).expect_err("no keys");
        assert!(
            error.contains("accesskey") && error.contains("fs.s3a.access.key") && error.contains("[stores.s3]"),
            "{error}"
        );
        let error = of("s3://b/k", json!({"accesskey": "A"}), &none).expect_err("half");
        assert!(error.contains("without its secret"), "{error}");
        let error = of("obs://b/k", json!({"accesskey": "A", "secretkey": "S"}), &none).expect_err("no endpoint");
        assert!(error.contains("fs.obs.endpoint"), "{error}");
        let anonymous = S3Settings { allow_anonymous: true, ..S3Settings::default() };
        assert!(of("s3://b/k", Value::Null, &anonymous).expect("a target").keys.is_none());
        let error = of("s3://b/k", json!({"ssl": "yes"}), &none).expect_err("no flag");
        assert!(error.contains("true or false"), "{error}");
    }

    #[test]
    fn urls_that_would_mean_something_else_are_refused() {
        let settings = operators();
        for (url, why) in [
            ("s3://me:very-secret@b/k", "may not stand in a url"),
            ("s3://b/k?version=1", "%3F"),
            ("s3://b/k#x", "%23"),
            ("s3://b//k", "cannot be addressed"),
            ("s3://b/a//k", "cannot be addressed"),
            ("s3://b/a/%2e%2e%2fk", "cannot be addressed"),
            ("s3://b/k%20", "cannot be addressed"),
            ("s3://b/%ff", "UTF-8"),
            ("s3://b:80/k", "bucket/key"),
            ("s3:///k", "bucket/key"),
        ] {
            let error = of(url, Value::Null, &settings).expect_err(url);
            assert!(error.contains(why) && !error.contains("very-secret"), "{url}: {error}");
        }
        for endpoint in ["ftp://h", "https://h/path", "https://me:very-secret@h", "https://", "h h"] {
            let error = of("s3://b/k", json!({"endpoint": endpoint}), &settings).expect_err(endpoint);
            assert!(error.contains("https://host") && !error.contains("very-secret"), "{endpoint}: {error}");
        }
        assert_eq!(of("s3://b/a%20b%3F", Value::Null, &settings).expect("a target").key, "a b?");
    }

    #[test]
    fn buckets_stand_in_the_host_only_where_that_is_the_custom() {
        let path_style = |bucket: &str, endpoint: &str| {
            let credentials = json!({"accesskey": "A", "secretkey": "S", "endpoint": endpoint});
            of(&format!("s3://{bucket}/k"), credentials, &S3Settings::default()).expect("a target").path_style
        };
        assert!(!path_style("b", "s3.eu-west-1.amazonaws.com"));
        assert!(!path_style("b", "obs.eu-de.otc.t-systems.com"));
        assert!(path_style("with.dot", "s3.eu-west-1.amazonaws.com"));
        assert!(path_style("Upper", "s3.eu-west-1.amazonaws.com"));
        assert!(path_style("b", "minio.test:9000"));
        assert!(path_style("b", "http://127.0.0.1:9000"));
        assert!(path_style("b", "http://[::1]:9000"));
    }
}
