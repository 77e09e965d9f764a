//! What a namenode or datanode answers: statuses of files, and exceptions by their Java names (Hadoop's WebHDFS page, "HTTP
//! Response Codes" and "RemoteException JSON Schema").

use std::time::{Duration, SystemTime};

use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::target::Target;
use crate::{StoreError, Version, resume::Fault};

/// Bytes of a JSON answer: a folder of a million files has about 300 MB.
const LARGEST: usize = 512 << 20;
/// Characters of a server's text that are passed on.
const TEXT: usize = 300;
/// What a namenode answers that is not the active one.
const STANDBY: &str = "StandbyException";

/// A `FileStatus`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Status {
    kind: String,
    /// Its name in the folder that was listed; empty for what was asked itself.
    pub name: String,
    pub size: u64,
    /// Milliseconds since 1970.
    changed: u64,
    /// Stays the same when the file is renamed. Not every server tells it.
    pub id: Option<u64>,
}

impl Status {
    pub fn is_file(&self) -> bool {
        self.kind == "FILE"
    }

    pub fn is_folder(&self) -> bool {
        self.kind == "DIRECTORY"
    }

    pub fn modified(&self) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(self.changed))
    }

    /// Whether the content cannot have changed between the two.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.size, self.changed, self.id) == (other.size, other.changed, other.id)
    }

    /// The file's version; nothing where the server gives files no numbers, since a time alone may be set back.
    pub fn version(&self) -> Option<Version> {
        Some(Version { size: self.size, mark: format!("{} {}", self.changed, self.id?) })
    }

    fn of(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
        let number = |key: &str| value.get(key).and_then(Value::as_u64);
        Some(Self {
            kind: text("type")?,
            name: text("pathSuffix")?,
            size: number("length")?,
            changed: number("modificationTime")?,
            id: number("fileId").filter(|id| *id != 0),
        })
    }
}

fn strange(target: &Target, what: &str) -> StoreError {
    StoreError::Unsupported(format!(
        "{}: the answer is not one of WebHDFS ({what}): is the address right?",
        target.name
    ))
}

/// The JSON of an answer. An answer without a body is null.
pub(super) async fn json(target: &Target, mut answer: Response) -> Result<Value, Fault> {
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(piece)) if bytes.len() + piece.len() <= LARGEST => bytes.extend_from_slice(&piece),
            Ok(Some(_)) => {
                let text = format!("{}: an answer has more than {} MiB", target.name, LARGEST >> 20);
                return Err(StoreError::TooBig(text).into());
            }
            Ok(None) if bytes.is_empty() => return Ok(Value::Null),
            Ok(None) => return serde_json::from_slice(&bytes).map_err(|_| strange(target, "no JSON").into()),
            Err(_) => {
                return Err(Fault::passing(StoreError::Unreachable(format!("{}: an answer broke off", target.name))));
            }
        }
    }
}

pub(super) fn status(target: &Target, answer: &Value) -> Result<Status, StoreError> {
    answer.get("FileStatus").and_then(Status::of).ok_or_else(|| strange(target, "no FileStatus"))
}

pub(super) fn statuses(target: &Target, answer: &Value) -> Result<Vec<Status>, StoreError> {
    let list = answer.get("FileStatuses").and_then(|list| list.get("FileStatus")).and_then(Value::as_array);
    let list = list.and_then(|list| list.iter().map(Status::of).collect::<Option<Vec<_>>>());
    list.ok_or_else(|| strange(target, "no FileStatuses"))
}

/// A refusal.
pub(super) struct Refusal {
    pub fault: Fault,
    /// Another namenode is active.
    pub is_standby: bool,
}

/// What a refusal means.
pub(super) async fn refusal(target: &Target, answer: Response) -> Refusal {
    let code = answer.status();
    let challenge = answer.headers().get(reqwest::header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
    let is_kerberos = challenge.is_some_and(|text| text.to_ascii_lowercase().contains("negotiate"));
    let told = json(target, answer).await.ok();
    let exception = told.as_ref().and_then(|told| told.get("RemoteException"));
    let word = |key: &str| exception.and_then(|told| told.get(key)).and_then(Value::as_str).unwrap_or_default();
    let text = word("message").lines().next().unwrap_or_default();
    let mut text: String = text.chars().filter(|letter| !letter.is_control()).take(TEXT).collect();
    if let Some(token) = &target.token {
        text = text.replace(token.reveal(), "***");
    }
    let is_standby = word("exception") == STANDBY;
    Refusal { fault: of_words(target, code, is_kerberos, word("exception"), &text), is_standby }
}

fn of_words(target: &Target, code: StatusCode, is_kerberos: bool, exception: &str, text: &str) -> Fault {
    let name = &target.name;
    let said = format!("{name}: {exception}: {text}");
    let who = target.user.as_deref().unwrap_or("nobody's name");
    let passing = |text: String| Fault::passing(StoreError::Unreachable(text));
    match exception {
        STANDBY => passing(format!("{name}: the namenode is in standby, and none that is active was found")),
        "RetriableException" | "SafeModeException" | "ObserverRetryOnActiveException" => passing(said),
        "FileNotFoundException" => StoreError::NotFound(format!("{name} does not exist")).into(),
        "InvalidToken" => StoreError::Denied(format!(
            "{name}: the delegation token is not valid (any more): give a new one (delegation_token, \
             fs.webhdfs.delegation.token): {text}"
        ))
        .into(),
        "AccessControlException" | "SecurityException" | "AuthorizationException" => {
            StoreError::Denied(format!("{name} may not be used as {who}: {text}")).into()
        }
        "IllegalArgumentException" | "UnsupportedOperationException" => StoreError::Unsupported(said).into(),
        "" if code == StatusCode::UNAUTHORIZED && is_kerberos => StoreError::Denied(format!(
            "{name}: HDFS asks for Kerberos: give a delegation token (delegation_token, fs.webhdfs.delegation.token)"
        ))
        .into(),
        _ if code == StatusCode::UNAUTHORIZED => {
            StoreError::Denied(format!("{name} may not be used as {who} ({code}) {text}")).into()
        }
        _ if code.is_server_error() || code == StatusCode::TOO_MANY_REQUESTS => {
            passing(format!("{name}: the server answered {code} {exception} {text}").trim_end().to_owned())
        }
        "" => strange(target, &code.to_string()).into(),
        // Hadoop answers 403 to every other fault of its file system: a quota, a file where a folder should be.
        _ => StoreError::Denied(said).into(),
    }
}
