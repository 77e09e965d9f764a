//! The requests to the API server: as few kinds as there are, so that an account needs few rights.

use std::{env, path::PathBuf, time::Duration};

use reqwest::{Method, StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ACCOUNT, ID, IN_CLUSTER, KubernetesSettings,
    news::{Ear, LIVING, Which},
    pods::{Meta, Pod, STOPPED},
    watch::silence,
};
use crate::{
    EngineError,
    remote::{
        rest::{Answer, Auth, Rest, RestSettings},
        speech::Followed,
    },
};

pub(super) const SERVICE: &str = "the Kubernetes API server";
/// Objects of a page. A driver's pod is about 6 KB.
const PAGE: usize = 1000;
/// How often a list is begun anew because its pages were too slow.
const TRIES: usize = 3;
/// How a change is written.
const MERGE: &str = "application/merge-patch+json";
/// Where it is told which rights are needed.
const ROLE: &str = "give its account the Role that docs/engines/kubernetes.md shows";

/// What our account must be allowed to: verb, resource, subresource.
const RIGHTS: [(&str, &str, &str); 10] = [
    ("create", "pods", ""),
    ("get", "pods", ""),
    ("list", "pods", ""),
    ("watch", "pods", ""),
    ("patch", "pods", ""),
    ("delete", "pods", ""),
    ("deletecollection", "pods", ""),
    ("get", "pods", "log"),
    ("create", "secrets", ""),
    ("get", "namespaces", ""),
];

/// A right, as people say it: `create pods`.
pub type Right = String;

/// What became of a request to make a pod.
pub(super) enum Made {
    New(Box<Pod>),
    /// The name is taken.
    Exists,
}

/// A list of pods.
pub(super) struct List {
    /// Of this moment; a watch goes on from there.
    pub version: String,
    pub pods: Vec<Pod>,
}

pub(super) struct Api {
    rest: Rest,
    namespace: String,
}

#[derive(Deserialize)]
struct Page {
    kind: String,
    metadata: PageMeta,
    items: Option<Vec<Pod>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta {
    #[serde(default)]
    resource_version: String,
    #[serde(rename = "continue", default)]
    next: String,
}

#[derive(Deserialize)]
struct OnlyMeta {
    metadata: Meta,
}

/// How the API server says that something went wrong.
#[derive(Deserialize)]
struct Failure {
    kind: String,
    message: Option<String>,
    reason: Option<String>,
}

impl Api {
    pub fn new(settings: &KubernetesSettings) -> Result<Self, String> {
        let in_cluster = settings.server == IN_CLUSTER;
        let of_account = |name: &str| in_cluster.then(|| PathBuf::from(ACCOUNT).join(name));
        let variable = |name: &str| env::var(name).ok();
        let urls = if in_cluster {
            in_cluster_url(variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT"))?
        } else {
            settings.server.clone()
        };
        let token_file = settings.token_file.clone().or_else(|| of_account("token"));
        let rest = RestSettings {
            service: SERVICE,
            urls,
            ca_file: settings.ca_file.clone().or_else(|| of_account("ca.crt")),
            auth: token_file.map_or(Auth::None, Auth::TokenFile),
        };
        Ok(Self { rest: Rest::new(rest)?, namespace: settings.namespace.clone() })
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}{rest}", self.namespace)
    }

    async fn change(&self, method: Method, path: &str, kind: &str, body: &Value) -> Result<Answer, EngineError> {
        let text = body.to_string();
        self.rest.send(method, path, |request| request.header(CONTENT_TYPE, kind).body(text.clone())).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Answer, EngineError> {
        self.change(Method::POST, path, "application/json", body).await
    }

    pub async fn version(&self) -> Result<String, EngineError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            git_version: String,
        }
        let answer = self.rest.send(Method::GET, "/version", |request| request).await?;
        Ok(good(answer)?.json::<Version>()?.git_version)
    }

    /// The uid of the namespace: another cluster at this address has another, and so has a namespace that was made anew.
    pub async fn incarnation(&self) -> Result<String, EngineError> {
        let answer = self.rest.send(Method::GET, &self.path(""), |request| request).await?;
        if answer.status == StatusCode::NOT_FOUND && failure(&answer).is_some() {
            return Err(EngineError::NotSent(format!(
                "{SERVICE} has no namespace '{}': make it, or set kubernetes.namespace",
                self.namespace
            )));
        }
        Ok(good(answer)?.json::<OnlyMeta>()?.metadata.uid)
    }

    /// The pods of an installation. Without `resourceVersion=0`: what the server's cache does not know yet would look gone.
    pub async fn list(&self, which: &Which, installation: &str) -> Result<List, EngineError> {
        let kind = which.kind();
        'anew: for _ in 0..TRIES {
            let mut all = List { version: String::new(), pods: Vec::new() };
            let mut next = String::new();
            loop {
                let path = self.path(&format!("/pods?limit={PAGE}&{}{next}", which.selector(installation)));
                let answer = self.rest.send(Method::GET, &path, |request| which.accept(request, "List")).await?;
                if answer.status == StatusCode::GONE {
                    continue 'anew;
                }
                let answer = good(answer)?;
                let page: Page = answer.json()?;
                if page.kind != format!("{kind}List") {
                    return Err(EngineError::Unreachable(format!(
                        "{} answered with {}, not {kind}List: does {SERVICE} serve there?",
                        answer.asked, page.kind
                    )));
                }
                // All pages are of the first one's version.
                if all.version.is_empty() {
                    all.version = page.metadata.resource_version;
                }
                all.pods.extend(page.items.unwrap_or_default());
                if page.metadata.next.is_empty() {
                    return Ok(all);
                }
                next = format!("&continue={}", encoded(&page.metadata.next));
            }
        }
        Err(EngineError::Unreachable(format!("{SERVICE} gave up the list of pods {TRIES} times before it was whole")))
    }

    /// What happens to the pods after a version, for so long; nothing when the server has forgotten that version.
    pub async fn watch(
        &self,
        which: &Which,
        installation: &str,
        version: &str,
        length: Duration,
    ) -> Result<Option<Ear>, EngineError> {
        let path = self.path(&format!(
            "/pods?watch=true&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}&{}",
            length.as_secs().max(1),
            encoded(version),
            which.selector(installation)
        ));
        match self.rest.follow(&path, silence(length), |request| which.accept(request, "")).await? {
            Followed::Speaks(speech) => Ok(Some(Ear(speech))),
            Followed::Refuses(answer) if answer.status == StatusCode::GONE => Ok(None),
            Followed::Refuses(answer) => Err(EngineError::Unreachable(said(&answer))),
        }
    }

    /// The executors of a job as they are now, at most a page of them.
    pub async fn executors(&self, tag: &str) -> Result<Vec<Pod>, EngineError> {
        let path = self.path(&format!("/pods?limit={PAGE}&labelSelector={ID}%3D{tag}%2Cspark-role%3Dexecutor"));
        let answer = good(self.rest.send(Method::GET, &path, |request| request).await?)?;
        Ok(answer.json::<Page>()?.items.unwrap_or_default())
    }

    pub async fn pod(&self, name: &str) -> Result<Option<Pod>, EngineError> {
        let answer = self.rest.send(Method::GET, &self.path(&format!("/pods/{name}")), |request| request).await?;
        found(answer)?.map(|answer| answer.json()).transpose()
    }

    pub async fn create_pod(&self, pod: &Value, dry: bool) -> Result<Made, EngineError> {
        let answer = self.post(&self.path(if dry { "/pods?dryRun=All" } else { "/pods" }), pod).await?;
        if exists(&answer) {
            return Ok(Made::Exists);
        }
        taken(answer)?.json().map(|pod| Made::New(Box::new(pod)))
    }

    /// Makes it; one that is there already was made by an earlier try.
    pub async fn create_secret(&self, secret: &Value) -> Result<(), EngineError> {
        let answer = self.post(&self.path("/secrets"), secret).await?;
        if exists(&answer) { Ok(()) } else { taken(answer).map(|_| ()) }
    }

    pub async fn annotate(&self, name: &str, key: &str) -> Result<(), EngineError> {
        let body = json!({"metadata": {"annotations": {key: "true"}}});
        good(self.change(Method::PATCH, &self.path(&format!("/pods/{name}")), MERGE, &body).await?).map(|_| ())
    }

    /// Tells the kubelet that the pod's time is over. False: the pod does not take that.
    pub async fn end_now(&self, name: &str) -> Result<bool, EngineError> {
        let body = json!({"metadata": {"annotations": {STOPPED: "true"}}, "spec": {"activeDeadlineSeconds": 1}});
        let answer = self.change(Method::PATCH, &self.path(&format!("/pods/{name}")), MERGE, &body).await?;
        if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
            return Ok(false);
        }
        found(answer).map(|_| true)
    }

    /// Deletes a pod with so many seconds of grace, or its own; one that is not there is no error.
    pub async fn delete_pod(&self, name: &str, grace: Option<u32>) -> Result<(), EngineError> {
        let path = self.path(&format!("/pods/{name}"));
        let answer = self.change(Method::DELETE, &path, "application/json", &delete_options(grace)).await?;
        found(answer).map(|_| ())
    }

    /// Deletes a job's executors that have not ended; the others say why, and go with their driver.
    pub async fn delete_executors(&self, tag: &str) -> Result<(), EngineError> {
        let path = self.path(&format!("/pods?labelSelector={ID}%3D{tag}%2Cspark-role%3Dexecutor&{LIVING}"));
        good(self.change(Method::DELETE, &path, "application/json", &delete_options(Some(1))).await?).map(|_| ())
    }

    /// The newest lines of a driver's log with their times, at most `limit` bytes of them; nothing when there is none (yet).
    pub async fn log(&self, name: &str, since: Option<&str>, limit: u64) -> Result<Option<Vec<u8>>, EngineError> {
        let mut path = format!("/pods/{name}/log?container={}&timestamps=true&limitBytes={limit}", super::CONTAINER);
        if let Some(since) = since {
            path.push_str("&sinceTime=");
            path.push_str(&encoded(since));
        }
        let answer = self.rest.send(Method::GET, &self.path(&path), |request| request).await?;
        // 400: its container is not up yet.
        if answer.status == StatusCode::BAD_REQUEST && failure(&answer).is_some() {
            return Ok(None);
        }
        Ok(found(answer)?.map(|answer| answer.bytes))
    }

    pub async fn lacks(&self) -> Result<Vec<Right>, EngineError> {
        #[derive(Deserialize)]
        struct Review {
            status: Verdict,
        }
        #[derive(Deserialize)]
        struct Verdict {
            allowed: bool,
        }
        let mut lacks = Vec::new();
        for (verb, resource, subresource) in RIGHTS {
            let mut attributes = json!({"namespace": self.namespace, "verb": verb, "resource": resource});
            if !subresource.is_empty() {
                attributes["subresource"] = json!(subresource);
            }
            // The Role names this one namespace, and a question without a name is about all.
            if resource == "namespaces" {
                attributes["name"] = json!(self.namespace);
            }
            let review = json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            });
            let answer = self.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).await?;
            if !good(answer)?.json::<Review>()?.status.allowed {
                let of = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
                lacks.push(format!("{verb} {resource}{of}"));
            }
        }
        Ok(lacks)
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn in_cluster_url(host: Option<String>, port: Option<String>) -> Result<String, String> {
    let host = host.ok_or_else(|| {
        format!(
            "the setting kubernetes.server is '{IN_CLUSTER}', but this server does not run in a pod (KUBERNETES_SERVICE_HOST \
             is not set): give the address of the API server"
        )
    })?;
    let port = port.unwrap_or_else(|| "443".to_owned());
    Ok(if host.contains(':') { format!("https://[{host}]:{port}") } else { format!("https://{host}:{port}") })
}

fn delete_options(grace: Option<u32>) -> Value {
    let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"});
    if let Some(grace) = grace {
        options["gracePeriodSeconds"] = json!(grace);
    }
    options
}

fn failure(answer: &Answer) -> Option<Failure> {
    let failure: Failure = serde_json::from_slice(&answer.bytes).ok()?;
    (failure.kind == "Status").then_some(failure)
}

fn exists(answer: &Answer) -> bool {
    answer.status == StatusCode::CONFLICT
        && failure(answer).is_some_and(|failure| failure.reason.as_deref() == Some("AlreadyExists"))
}

/// Nothing where the object is not there. A 404 of something else is no answer about our object.
fn found(answer: Answer) -> Result<Option<Answer>, EngineError> {
    let of_object = answer.status == StatusCode::NOT_FOUND && failure(&answer).is_some();
    if of_object { Ok(None) } else { good(answer).map(Some) }
}

/// The answer, if all went well.
fn good(answer: Answer) -> Result<Answer, EngineError> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    Err(EngineError::Unreachable(said(&answer)))
}

/// The answer to a request that makes something, if it was taken. What the server says no to is not there; a quota has room again
/// later, and so has a server that has too many requests.
fn taken(answer: Answer) -> Result<Answer, EngineError> {
    let no = [
        StatusCode::BAD_REQUEST,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ];
    let is_quota = answer.status == StatusCode::FORBIDDEN
        && failure(&answer)
            .and_then(|failure| failure.message)
            .is_some_and(|message| message.contains("exceeded quota"));
    if is_quota || answer.status == StatusCode::TOO_MANY_REQUESTS {
        return Err(EngineError::Full(said(&answer)));
    }
    if no.contains(&answer.status) && failure(&answer).is_some() {
        return Err(EngineError::Refused(said(&answer)));
    }
    good(answer)
}

/// What went wrong, in the server's words where it is a Kubernetes that answers.
fn said(answer: &Answer) -> String {
    let message =
        failure(answer).and_then(|failure| failure.message).filter(|_| answer.status != StatusCode::UNAUTHORIZED);
    match message {
        Some(message) if answer.status == StatusCode::FORBIDDEN && message.contains(" cannot ") => {
            format!("{SERVICE} does not allow it: {message} ({}): {ROLE}", answer.asked)
        }
        Some(message) => format!("{SERVICE} refused: {message} ({} answered {})", answer.asked, answer.status),
        None => answer.unexpected().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_knows_its_api_server() {
        let url = |host: &str, port: Option<&str>| in_cluster_url(Some(host.to_owned()), port.map(str::to_owned));
        assert_eq!(url("10.96.0.1", Some("6443")).as_deref(), Ok("https://10.96.0.1:6443"));
        assert_eq!(url("fd00::1", None).as_deref(), Ok("https://[fd00::1]:443"));
        assert!(in_cluster_url(None, None).expect_err("no pod").contains("does not run in a pod"));
    }
}
