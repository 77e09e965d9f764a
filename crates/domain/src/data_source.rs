//! Data sources: records and rules (sahara-v1.1.md section 4).

use serde_json::{Map, Value};

use crate::{Code, DataSourceId, Error, ProjectId, Result, Timestamp, flag::Flag, placeholder};

/// A named place that jobs read from or write to.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSource {
    /// Its id.
    pub id: DataSourceId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Unique among the project's.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// `swift hdfs maprfs manila s3 file http obs`.
    pub kind: String,
    /// May hold placeholders.
    pub url: String,
    /// Credentials, sealed in the database and never shown.
    pub credentials: Option<Map<String, Value>>,
    /// Others may read and use it.
    pub is_public: Flag,
    /// It may not be deleted or changed.
    pub is_protected: Flag,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}

/// Types of data sources: Sahara's, MRS's `obs` (spec/README.md conflict 7), and `file` and `http` (decision 1).
pub const KINDS: [&str; 8] = ["swift", "hdfs", "maprfs", "manila", "s3", "obs", "file", "http"];

/// Checks type, url and credentials of a data source (sahara-v1.1.md section 4).
pub fn check(kind: &str, url: &str, credentials: Option<&Map<String, Value>>) -> Result<()> {
    placeholder::check(url)?;
    if url.is_empty() {
        return invalid(match kind {
            "swift" => "Swift url must not be empty".to_owned(),
            "hdfs" => "HDFS url must not be empty".to_owned(),
            "maprfs" => "MapR FS url must not be empty".to_owned(),
            "manila" => "Manila url must not be empty".to_owned(),
            "s3" => "S3 url must not be empty".to_owned(),
            other => format!("{other} url must not be empty"),
        });
    }
    let parts = UrlParts::of(url);
    match kind {
        "swift" => check_swift(&parts, credentials),
        "hdfs" => check_hdfs(&parts),
        "maprfs" => scheme(&parts, &["", "maprfs"], "URL scheme must be 'maprfs'"),
        "manila" => check_manila(&parts),
        "s3" => check_s3(&parts, credentials),
        "obs" => {
            scheme(&parts, &["obs", "s3a"], "URL scheme must be 'obs' or 's3a'")?;
            check_bucket(&parts)
        }
        "file" => {
            scheme(&parts, &["file", ""], "URL scheme must be 'file'")?;
            if parts.host.is_empty() && parts.path.len() > 1 && parts.path.starts_with('/') {
                return Ok(());
            }
            invalid("URL must be of the form file:///path")
        }
        "http" => {
            scheme(&parts, &["http", "https"], "URL scheme must be 'http' or 'https'")?;
            if parts.host.is_empty() { invalid("URL must name a host") } else { Ok(()) }
        }
        other => invalid(format!("Unknown data source type '{other}': one of {}", KINDS.join(", "))),
    }
}

fn invalid(text: impl Into<String>) -> Result<()> {
    Err(Error::refused(Code::InvalidData, text))
}

fn scheme(parts: &UrlParts<'_>, known: &[&str], text: &str) -> Result<()> {
    if known.contains(&parts.scheme) { Ok(()) } else { invalid(text) }
}

fn check_swift(parts: &UrlParts<'_>, credentials: Option<&Map<String, Value>>) -> Result<()> {
    scheme(parts, &["swift"], "URL scheme must be 'swift'")?;
    // "/" alone names a container, not an object.
    if parts.path.len() < 2 || (parts.host.contains('.') && !parts.host.ends_with(".sahara")) {
        return invalid("URL must be of the form swift://container.sahara/object");
    }
    let refuse = |text: &str| Err(Error::refused(Code::InvalidCredentials, text));
    let Some(credentials) = credentials else { return refuse("No credentials provided for Swift") };
    if !credentials.contains_key("user") {
        return refuse("User is not provided in credentials for Swift");
    }
    if !credentials.contains_key("password") {
        return refuse("Password is not provided in credentials for Swift");
    }
    Ok(())
}

fn check_hdfs(parts: &UrlParts<'_>) -> Result<()> {
    scheme(parts, &["", "hdfs", "webhdfs", "swebhdfs"], "URL scheme must be 'hdfs'")?;
    if parts.scheme.ends_with("webhdfs") && parts.host.is_empty() {
        return invalid("HDFS url is incorrect, cannot determine a hostname");
    }
    // Without a host it is a path on the cluster's own file system; `hdfs:///p` means the same here (decision 1).
    if parts.scheme == "hdfs" && parts.host.is_empty() && parts.path.len() < 2 {
        return invalid("HDFS url is incorrect, cannot determine a hostname");
    }
    Ok(())
}

fn check_manila(parts: &UrlParts<'_>) -> Result<()> {
    scheme(parts, &["manila"], "Manila url scheme must be 'manila'")?;
    if uuid::Uuid::parse_str(parts.host).is_err() {
        return invalid("Manila url netloc must be a uuid");
    }
    if parts.path.is_empty() { invalid("Manila url path must not be empty") } else { Ok(()) }
}

fn check_s3(parts: &UrlParts<'_>, credentials: Option<&Map<String, Value>>) -> Result<()> {
    scheme(parts, &["s3", "s3a"], "URL scheme must be 's3' or 's3a'")?;
    check_bucket(parts)?;
    for (key, value) in credentials.into_iter().flatten() {
        match key.as_str() {
            "accesskey" | "secretkey" | "endpoint" => {}
            "bucket_in_path" | "ssl" if !value.is_boolean() => {
                return invalid(format!("Config '{key}' must be boolean"));
            }
            "bucket_in_path" | "ssl" => {}
            _ => return invalid(format!("Unknown config '{key}' for S3 data source")),
        }
    }
    Ok(())
}

/// A lone `/` is a path too: the whole bucket.
fn check_bucket(parts: &UrlParts<'_>) -> Result<()> {
    if parts.host.is_empty() {
        return invalid("Bucket name must be present");
    }
    if parts.path.is_empty() { invalid("Object name must be present") } else { Ok(()) }
}

/// A url cut as the original cuts it: it may hold placeholders, so it need not be a valid one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlParts<'a> {
    /// Before `://`; empty when there is none.
    pub scheme: &'a str,
    /// Between `//` and the next `/`.
    pub host: &'a str,
    /// From that `/` on.
    pub path: &'a str,
}

impl<'a> UrlParts<'a> {
    /// Cuts a url.
    pub fn of(url: &'a str) -> Self {
        let is_scheme = |scheme: &str| {
            scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
                && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
        };
        let (scheme, rest) = match url.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
            _ => ("", url),
        };
        match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                Self { scheme, host: &rest[..end], path: &rest[end..] }
            }
            None => Self { scheme, host: "", path: rest },
        }
    }
}

/// The url that a job is given for a data source (sahara-v1.1.md sections 4 and 8.5): `s3` becomes `s3a`, a swift container
/// gets its suffix, and a path of the cluster's own file system is a file of this host.
pub fn native_url(kind: &str, url: &str) -> String {
    match kind {
        "s3" => url.strip_prefix("s3://").map_or_else(|| url.to_owned(), |rest| format!("s3a://{rest}")),
        "swift" => swift_url(url),
        _ => url.to_owned(),
    }
}

/// `swift://c/o` as the Hadoop connector wants it: `swift://c.sahara/o`.
pub fn swift_url(url: &str) -> String {
    let parts = UrlParts::of(url);
    if parts.scheme != "swift" || parts.host.ends_with(".sahara") || parts.host.is_empty() {
        return url.to_owned();
    }
    format!("swift://{}.sahara{}", parts.host, parts.path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(kind: &str, url: &str, credentials: Value) -> String {
        match check(kind, url, credentials.as_object()) {
            Ok(()) => String::new(),
            Err(Error::Refused { code, message }) => format!("{} {message}", code.name()),
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn every_type_has_its_rules() {
        let swift = json!({"user": "u", "password": "p"});
        for (kind, url, credentials) in [
            ("swift", "swift://c/o", swift.clone()),
            ("swift", "swift://c.sahara/o", swift.clone()),
            ("hdfs", "hdfs://nn:8020/p", Value::Null),
            ("hdfs", "swebhdfs://nn:9871/p", Value::Null),
            ("hdfs", "/user/p", Value::Null),
            ("hdfs", "hdfs:///p", Value::Null),
            ("maprfs", "maprfs:///p", Value::Null),
            ("manila", "manila://00000000-0000-4000-8000-000000000404/p", Value::Null),
            ("s3", "s3a://b/k", json!({"ssl": true, "endpoint": "e"})),
            ("s3", "s3://b/", Value::Null),
            ("obs", "obs://b/k", Value::Null),
            ("file", "file:///p", Value::Null),
            ("http", "https://h/p", Value::Null),
        ] {
            assert_eq!(refusal(kind, url, credentials), "", "{kind} {url}");
        }
        for (kind, url, credentials, wanted) in [
            ("hdfs", "webhdfs:///p", Value::Null, "INVALID_DATA HDFS url is incorrect, cannot determine a hostname"),
            ("hdfs", "http://h/p", Value::Null, "INVALID_DATA URL scheme must be 'hdfs'"),
            (
                "swift",
                "swift://c/",
                swift.clone(),
                "INVALID_DATA URL must be of the form swift://container.sahara/object",
            ),
            ("swift", "swift://c.x/o", swift, "INVALID_DATA URL must be of the form swift://container.sahara/object"),
            ("swift", "swift://c/o", Value::Null, "INVALID_CREDENTIALS No credentials provided for Swift"),
            (
                "swift",
                "swift://c/o",
                json!({"password": "p"}),
                "INVALID_CREDENTIALS User is not provided in credentials for Swift",
            ),
            ("s3", "s3://b/k", json!({"ssl": 1}), "INVALID_DATA Config 'ssl' must be boolean"),
            ("s3", "s3://b/k", json!({"user": 1}), "INVALID_DATA Unknown config 'user' for S3 data source"),
            ("s3", "s3:///k", Value::Null, "INVALID_DATA Bucket name must be present"),
            ("s3", "s3://b", Value::Null, "INVALID_DATA Object name must be present"),
            ("obs", "obs://b", Value::Null, "INVALID_DATA Object name must be present"),
            ("maprfs", "", Value::Null, "INVALID_DATA MapR FS url must not be empty"),
            ("hdfs", "", Value::Null, "INVALID_DATA HDFS url must not be empty"),
            ("manila", "manila://share/p", Value::Null, "INVALID_DATA Manila url netloc must be a uuid"),
            ("file", "file://host/p", Value::Null, "INVALID_DATA URL must be of the form file:///path"),
        ] {
            assert_eq!(refusal(kind, url, credentials), wanted, "{kind} {url}");
        }
        for kind in KINDS {
            assert!(!refusal(kind, "", Value::Null).is_empty(), "an empty url of type {kind}");
        }
    }

    #[test]
    fn native_urls() {
        assert_eq!(native_url("s3", "s3://b/k"), "s3a://b/k");
        assert_eq!(native_url("swift", "swift://c/o"), "swift://c.sahara/o");
        assert_eq!(native_url("swift", "swift://c.sahara/o"), "swift://c.sahara/o");
        assert_eq!(native_url("hdfs", "/p"), "/p");
    }
}
