//! Job binaries and internal binaries: records and rules (sahara-v1.1.md sections 5 and 6).

use serde_json::{Map, Value};

use crate::{BinaryId, Code, Error, InternalBinaryId, ProjectId, Result, Timestamp, data_source::UrlParts, flag::Flag};

/// A name for the url of a script, jar or library.
#[derive(Clone, Debug, PartialEq)]
pub struct JobBinary {
    /// Its id.
    pub id: BinaryId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Unique among the project's; a staged file bears it.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Where the bytes are.
    pub url: String,
    /// Credentials, sealed in the database and never shown.
    pub extra: Option<Map<String, Value>>,
    /// Others may read and use it.
    pub is_public: Flag,
    /// It may not be deleted or changed.
    pub is_protected: Flag,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}

/// Bytes that were uploaded into the service itself.
#[derive(Clone, Debug, PartialEq)]
pub struct InternalBinary {
    /// Its id; `internal-db://<id>` names it.
    pub id: InternalBinaryId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Unique among the project's.
    pub name: String,
    /// How many bytes.
    pub size: u64,
    /// Lower-case hexadecimal SHA-256 of the bytes.
    pub sha256: String,
    /// Others may read and use it.
    pub is_public: Flag,
    /// It may not be deleted or changed.
    pub is_protected: Flag,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}

/// Schemes of the original.
const SAHARA_SCHEMES: [&str; 4] = ["swift", "manila", "internal-db", "s3"];
/// Schemes of MRS (spec/README.md conflict 8) and of this program (decision 1).
const MORE_SCHEMES: [&str; 9] = ["hdfs", "webhdfs", "swebhdfs", "maprfs", "s3a", "obs", "file", "http", "https"];

/// Checks a job binary's url (sahara-v1.1.md section 5). For the four schemes of the original its rules hold.
pub fn check_url(url: &str) -> Result<()> {
    let parts = UrlParts::of(url);
    if parts.scheme.is_empty() {
        // MRS names a file of the cluster by its path alone.
        return if url.starts_with('/') && url.len() > 1 {
            Ok(())
        } else {
            Err(Error::refused(Code::InvalidData, "Job binary url must have a scheme"))
        };
    }
    let well_formed = match parts.scheme {
        "swift" | "s3" => !parts.host.is_empty(),
        "manila" => is_uuid(parts.host) && !parts.path.is_empty(),
        "internal-db" => is_uuid(parts.host),
        "s3a" | "obs" | "http" | "https" => !parts.host.is_empty(),
        "hdfs" => parts.path.len() > 1,
        "webhdfs" | "swebhdfs" => !parts.host.is_empty() && parts.path.len() > 1,
        "maprfs" => parts.host.is_empty() && parts.path.len() > 1,
        "file" => parts.host.is_empty() && parts.path.len() > 1 && parts.path.starts_with('/'),
        _ => return Err(Error::refused(Code::InvalidData, "Invalid job binary")),
    };
    debug_assert!(SAHARA_SCHEMES.contains(&parts.scheme) || MORE_SCHEMES.contains(&parts.scheme));
    if well_formed {
        return Ok(());
    }
    Err(Error::refused(Code::ValidationError, format!("url: '{url}' is not a 'valid_job_location'")))
}

fn is_uuid(text: &str) -> bool {
    uuid::Uuid::parse_str(text).is_ok()
}

/// What the original checks only at create: the credentials beside a swift or s3 url.
pub fn check_extra(url: &str, extra: Option<&Map<String, Value>>) -> Result<()> {
    let parts = UrlParts::of(url);
    let has = |key: &str| extra.is_some_and(|extra| extra.get(key).is_some_and(|value| value.as_str() != Some("")));
    match parts.scheme {
        "swift" if !(has("user") && has("password")) => Err(Error::refused(
            Code::BadJobBinary,
            "To work with JobBinary located in internal swift add 'user' and 'password' to extra",
        )),
        "s3" if parts.path.len() < 2 => {
            Err(Error::refused(Code::BadJobBinary, "URL for binary in S3 must specify an object not a bucket"))
        }
        "s3" => {
            let exact = extra.is_some_and(|extra| {
                extra.len() == 3 && ["accesskey", "secretkey", "endpoint"].iter().all(|key| extra.contains_key(*key))
            });
            if exact {
                return Ok(());
            }
            let text = "Configs 'accesskey', 'secretkey', and 'endpoint' must be provided.";
            Err(Error::refused(Code::InvalidData, text))
        }
        _ => Ok(()),
    }
}

/// The internal binary that an `internal-db` url names.
pub fn internal_id(url: &str) -> Option<InternalBinaryId> {
    let parts = UrlParts::of(url);
    (parts.scheme == "internal-db").then(|| InternalBinaryId::from(parts.host))
}

/// Longest name of an internal binary: the width of the original's column.
const INTERNAL_NAME: usize = 80;

/// Checks the name of an upload.
pub fn check_internal_name(name: &str) -> Result<()> {
    let first = name.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    let rest = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    if first && rest && name.len() <= INTERNAL_NAME {
        return Ok(());
    }
    Err(Error::refused(Code::BadJobBinary, format!("{name} is not a valid name")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(answer: Result<()>) -> String {
        match answer {
            Ok(()) => String::new(),
            Err(Error::Refused { code, message }) => format!("{} {message}", code.name()),
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn urls() {
        for url in [
            "swift://c/o",
            "s3://b/o",
            "internal-db://00000000-0000-4000-8000-000000000404",
            "/user/hadoop/a.jar",
            "s3a://b/a.jar",
            "file:///opt/a.sh",
            "https://h/a",
            "hdfs://nn/a",
            "webhdfs://nn:9870/a",
            "maprfs:///a",
        ] {
            assert_eq!(refusal(check_url(url)), "", "{url}");
        }
        assert_eq!(refusal(check_url("a.jar")), "INVALID_DATA Job binary url must have a scheme");
        assert_eq!(refusal(check_url("ftp://c/o")), "INVALID_DATA Invalid job binary");
        assert_eq!(
            refusal(check_url("internal-db://x")),
            "VALIDATION_ERROR url: 'internal-db://x' is not a 'valid_job_location'"
        );
        assert_eq!(
            refusal(check_url("swift:///o")),
            "VALIDATION_ERROR url: 'swift:///o' is not a 'valid_job_location'"
        );
    }

    #[test]
    fn credentials() {
        let extra = |value: Value| value.as_object().cloned();
        assert!(refusal(check_extra("swift://c/o", None)).starts_with("BAD_JOB_BINARY To work with"));
        assert_eq!(refusal(check_extra("swift://c/o", extra(json!({"user": "u", "password": "p"})).as_ref())), "");
        assert!(refusal(check_extra("s3://b", None)).contains("not a bucket"));
        let four = extra(json!({"accesskey": "a", "secretkey": "b", "endpoint": "c", "x": "y"}));
        assert!(refusal(check_extra("s3://b/o", four.as_ref())).contains("must be provided"));
    }

    #[test]
    fn names_of_uploads() {
        assert_eq!(refusal(check_internal_name("a-b_c.sh")), "");
        for name in ["-bad", "a b", "../x", "a/b", "", "a\nb", &"x".repeat(81)] {
            assert_eq!(refusal(check_internal_name(name)), format!("BAD_JOB_BINARY {name} is not a valid name"));
        }
    }
}
