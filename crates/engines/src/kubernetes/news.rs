//! Which pods are watched, and what the API server says of them: a line for each change.

use reqwest::{RequestBuilder, header::ACCEPT};
use serde::{Deserialize, de::DeserializeOwned};

use super::{INSTALLATION, api::SERVICE, pods::Pod};
use crate::{EngineError, remote::speech::Speech};

/// The part of a query for pods that have not ended.
pub(super) const LIVING: &str = "fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed";

/// Pods of an installation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    /// Drivers, whole.
    Drivers,
    /// Executors that have not ended, with names and labels only.
    LivingExecutors,
}

impl Which {
    /// What the server calls one of them.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Drivers => "Pod",
            Self::LivingExecutors => "PartialObjectMetadata",
        }
    }

    /// The part of a query that names them.
    pub fn selector(self, installation: &str) -> String {
        let of = |role: &str| format!("labelSelector={INSTALLATION}%3D{installation}%2Cspark-role%3D{role}");
        match self {
            Self::Drivers => of("driver"),
            Self::LivingExecutors => {
                format!("{}&{LIVING}", of("executor"))
            }
        }
    }

    /// Asks for the form in which they are wanted, `List` or one by one.
    pub fn accept(self, request: RequestBuilder, list: &str) -> RequestBuilder {
        match self {
            Self::Drivers => request,
            Self::LivingExecutors => {
                request.header(ACCEPT, format!("application/json;as={}{list};g=meta.k8s.io;v=v1", self.kind()))
            }
        }
    }
}

/// A line of a watch.
#[derive(Debug)]
pub(super) enum Heard {
    News(News),
    /// The version where the watch was begun, or the server's memory of it, is over.
    Forgotten,
}

/// What changed, and the version at which a later watch goes on.
#[derive(Debug)]
pub(super) enum News {
    /// The pod is new or another one.
    Is(String, Box<Pod>),
    /// It is gone, or none of those any more that are watched.
    Goes(String, Box<Pod>),
    /// Nothing changed up to this version.
    Nothing(String),
}

/// A watch that is listened to.
pub(super) struct Ear(pub Speech);

impl Ear {
    /// The next word; nothing when the watch has ended.
    pub async fn next(&mut self) -> Result<Option<Heard>, EngineError> {
        match self.0.line().await? {
            Some(line) => read(&line).map(Some).map_err(|error| {
                EngineError::Unreachable(format!("what {SERVICE} tells of its pods cannot be read: {error}"))
            }),
            None => Ok(None),
        }
    }
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Event<T> {
    object: T,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    resource_version: String,
}

/// A Status of Kubernetes.
#[derive(Deserialize)]
struct Trouble {
    code: Option<u16>,
    reason: Option<String>,
    message: Option<String>,
}

fn read(line: &[u8]) -> Result<Heard, String> {
    fn object<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
        serde_json::from_slice::<Event<T>>(line).map(|event| event.object).map_err(|error| error.to_string())
    }
    let pod = || {
        let pod: Pod = object(line)?;
        let version = pod.metadata.resource_version.clone();
        if version.is_empty() { Err("a pod without a version".to_owned()) } else { Ok((version, Box::new(pod))) }
    };
    let kind = serde_json::from_slice::<Kind>(line).map_err(|error| error.to_string())?.kind;
    Ok(match kind.as_str() {
        "ADDED" | "MODIFIED" => {
            let (version, pod) = pod()?;
            Heard::News(News::Is(version, pod))
        }
        "DELETED" => {
            let (version, pod) = pod()?;
            Heard::News(News::Goes(version, pod))
        }
        "BOOKMARK" => Heard::News(News::Nothing(object::<Bookmark>(line)?.metadata.resource_version)),
        "ERROR" => match object::<Trouble>(line)? {
            Trouble { code: Some(410), .. } => Heard::Forgotten,
            trouble => {
                let words = trouble.message.or(trouble.reason).unwrap_or_default();
                return Err(format!("an error, {words}"));
            }
        },
        other => return Err(format!("an event '{other}'")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn heard(kind: &str, object: &serde_json::Value) -> Result<Heard, String> {
        read(json!({"type": kind, "object": object}).to_string().as_bytes())
    }

    #[test]
    fn events_are_read() {
        let pod = json!({"metadata": {"name": "fg-1", "resourceVersion": "7"}, "status": {"phase": "Running"}});
        let is = |heard, goes: bool| match heard {
            Ok(Heard::News(News::Is(at, pod))) => (at.as_str(), pod.name()) == ("7", "fg-1") && !goes,
            Ok(Heard::News(News::Goes(at, pod))) => (at.as_str(), pod.name()) == ("7", "fg-1") && goes,
            _ => false,
        };
        assert!(
            is(heard("ADDED", &pod), false) && is(heard("MODIFIED", &pod), false) && is(heard("DELETED", &pod), true)
        );
        let bookmark = json!({"kind": "Pod", "metadata": {"resourceVersion": "12", "creationTimestamp": null}});
        assert!(matches!(heard("BOOKMARK", &bookmark), Ok(Heard::News(News::Nothing(at))) if at == "12"));
        let gone = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"});
        assert!(matches!(heard("ERROR", &gone), Ok(Heard::Forgotten)));
        let other = json!({"kind": "Status", "code": 500, "message": "etcd is away"});
        assert!(heard("ERROR", &other).is_err_and(|why| why.contains("etcd is away")));
        assert!(heard("SOMETHING", &pod).is_err() && heard("ADDED", &json!({"metadata": {"name": "fg-1"}})).is_err());
    }
}
