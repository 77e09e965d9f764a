//! Requests to namenodes, and the step to a datanode that some of them ask for.
//!
//! Redirects are followed by hand. User and delegation token are sent to the namenodes; a datanode gets the url that the
//! namenode names, unchanged and with nothing beside it.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use reqwest::{Body, Client, Method, Response, StatusCode, header};
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::{
    answer::{self, Refusal, Status},
    target::Target,
};
use crate::{
    Reach, StoreError,
    reach::{allowed_step, forbidden, free_client},
    resume::{Fault, Pieces, tried},
};

/// How long no byte may come.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a datanode may take no byte, or need for its answer after the last one.
const UPLOAD: Duration = Duration::from_secs(300);

/// An operation with its method and parameters.
#[derive(Clone, Debug)]
pub(super) struct Operation<'a>(pub Method, pub &'static str, pub &'a [(&'static str, &'a str)]);

struct Connections {
    asking: Client,
    /// Without a limit for silence, which would count from the head of the request on.
    sending: Client,
}

/// Connections to the operator's namenodes and to those that jobs name, with their datanodes.
pub(super) struct WebHdfs {
    reach: Reach,
    free: Connections,
    bound: Connections,
}

impl WebHdfs {
    pub fn new(reach: Reach) -> Result<Self, StoreError> {
        let failed = |error| StoreError::Local(format!("cannot make an HTTP client: {error}"));
        let connections = |builder: fn(&Reach) -> reqwest::ClientBuilder| {
            let asking = builder(&reach).read_timeout(SILENCE).build().map_err(failed)?;
            Ok::<_, StoreError>(Connections { asking, sending: builder(&reach).build().map_err(failed)? })
        };
        Ok(Self { free: connections(|_| free_client())?, bound: connections(Reach::client)?, reach })
    }

    fn connections(&self, target: &Target) -> &Connections {
        if target.service.is_operators { &self.free } else { &self.bound }
    }

    /// Asks the namenodes in turn until one of them is active, and again where that may help. The answer may be a redirect.
    async fn ask(&self, target: &Target, operation: &Operation<'_>) -> Result<(Response, Url), StoreError> {
        tried(|| self.ask_once(target, operation)).await
    }

    async fn ask_once(&self, target: &Target, operation: &Operation<'_>) -> Result<(Response, Url), Fault> {
        let (mut fault, mut standby) = (None, None);
        for (number, base) in target.service.in_turn() {
            match self.ask_at(target, operation, base).await {
                Ok(answer) => {
                    target.service.is_active(number);
                    return Ok(answer);
                }
                Err(refusal) if refusal.is_standby => standby = Some(refusal.fault),
                Err(refusal) if refusal.fault.again => fault = Some(refusal.fault),
                Err(refusal) => return Err(refusal.fault),
            }
        }
        // What the active one says, or why it cannot be asked, tells more than that the others are not it.
        let none = || StoreError::Unsupported(format!("{} has no namenode", target.name)).into();
        Err(fault.or(standby).unwrap_or_else(none))
    }

    async fn ask_at(&self, target: &Target, operation: &Operation<'_>, base: &Url) -> Result<(Response, Url), Refusal> {
        let no = |fault: Fault| Refusal { fault, is_standby: false };
        self.check(target, base).map_err(|error| no(error.into()))?;
        let Operation(method, name, parameters) = operation;
        let url = address(target, base, name, parameters).map_err(|error| no(error.into()))?;
        let request = self.connections(target).asking.request(method.clone(), url.clone());
        let answer = request.send().await.map_err(|error| no(failed(target, base, &error)))?;
        match answer.status() {
            StatusCode::OK | StatusCode::CREATED | StatusCode::TEMPORARY_REDIRECT => Ok((answer, url)),
            _ => Err(answer::refusal(target, answer).await),
        }
    }

    /// Where jobs' urls and their redirects may lead; the operator's namenodes are trusted with theirs.
    fn check(&self, target: &Target, url: &Url) -> Result<(), StoreError> {
        if target.service.is_operators {
            return Ok(());
        }
        self.reach
            .check(url)
            .map_err(|fault| StoreError::Denied(format!("{}: {} is not asked: {fault}", target.name, shown(url))))
    }

    /// The datanode that a namenode's redirect names.
    fn datanode(&self, target: &Target, answer: &Response, from: &Url) -> Result<Url, StoreError> {
        let to = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let to = to
            .and_then(|text| from.join(text).ok())
            .ok_or_else(|| StoreError::Unreachable(format!("{}: the namenode redirects to nowhere", target.name)))?;
        allowed_step(Some(from), &to).map_err(|fault| StoreError::Denied(format!("{}: {fault}", target.name)))?;
        self.check(target, &to)?;
        Ok(to)
    }

    async fn json(&self, target: &Target, operation: Operation<'_>) -> Result<Value, StoreError> {
        let read = || async {
            let (answer, _) = self.ask_once(target, &operation).await?;
            answer::json(target, answer).await
        };
        tried(read).await
    }

    /// GETFILESTATUS
    pub async fn status(&self, target: &Target) -> Result<Status, StoreError> {
        let answer = self.json(target, Operation(Method::GET, "GETFILESTATUS", &[])).await?;
        answer::status(target, &answer)
    }

    /// LISTSTATUS
    pub async fn statuses(&self, target: &Target) -> Result<Vec<Status>, StoreError> {
        let answer = self.json(target, Operation(Method::GET, "LISTSTATUS", &[])).await?;
        answer::statuses(target, &answer)
    }

    /// DELETE, of a file or an empty folder; what is not there is no fault.
    pub async fn delete(&self, target: &Target) -> Result<(), StoreError> {
        match self.json(target, Operation(Method::DELETE, "DELETE", &[("recursive", "false")])).await {
            Ok(_) | Err(StoreError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// MKDIRS
    pub async fn make_folder(&self, target: &Target) -> Result<(), StoreError> {
        let answer = self.json(target, Operation(Method::PUT, "MKDIRS", &[])).await?;
        match answer.get("boolean").and_then(Value::as_bool) {
            Some(false) => Err(StoreError::Denied(format!("{}: the folder cannot be made", target.name))),
            _ => Ok(()),
        }
    }

    /// RENAME, in the place of what is there. Gives whether it was done: a server that knows no options refuses where something
    /// is.
    pub async fn rename(&self, target: &Target, to: &str) -> Result<bool, StoreError> {
        let parameters = [("destination", to), ("renameoptions", "OVERWRITE")];
        let answer = self.json(target, Operation(Method::PUT, "RENAME", &parameters)).await?;
        Ok(answer.get("boolean").and_then(Value::as_bool) != Some(false))
    }

    /// OPEN: the bytes from an offset to the size, as the datanode sends them.
    pub async fn open(&self, target: &Target, offset: u64, size: u64) -> Result<Pieces, Fault> {
        let (offset, length) = (offset.to_string(), size.saturating_sub(offset).to_string());
        let parameters = [("offset", offset.as_str()), ("length", length.as_str())];
        let (answer, from) = self.ask_once(target, &Operation(Method::GET, "OPEN", &parameters)).await?;
        // A gateway sends the bytes itself.
        let (answer, at) = if answer.status() == StatusCode::TEMPORARY_REDIRECT {
            let to = self.datanode(target, &answer, &from)?;
            let request = self.connections(target).asking.get(to.clone());
            (request.send().await.map_err(|error| failed(target, &to, &error))?, to)
        } else {
            (answer, from)
        };
        if !answer.status().is_success() {
            return Err(answer::refusal(target, answer).await.fault);
        }
        let target = target.clone();
        let pieces = answer.bytes_stream();
        Ok(pieces.map(move |piece| piece.map_err(|error| failed(&target, &at, &error).error)).boxed())
    }

    /// CREATE in two steps: the namenode names a datanode, which gets the bytes. Gives how many there were.
    pub async fn create(&self, target: &Target, pieces: Pieces) -> Result<u64, StoreError> {
        let upload = Upload::new(pieces);
        let send = || async {
            let operation = Operation(Method::PUT, "CREATE", &[("overwrite", "true")]);
            let (answer, from) = self.ask(target, &operation).await?;
            if answer.status() != StatusCode::TEMPORARY_REDIRECT {
                let text = format!("{}: the namenode names no datanode for CREATE", target.name);
                return Err(StoreError::Unsupported(text).into());
            }
            let to = self.datanode(target, &answer, &from)?;
            let request = self.connections(target).sending.put(to.clone());
            let request = request.header(header::CONTENT_TYPE, "application/octet-stream");
            let sent = upload.watched(target, &to, request.body(Body::wrap_stream(upload.body())).send()).await;
            if let Some(fault) = upload.fault.lock().await.take() {
                return Err(fault.into());
            }
            let answer = sent.map_err(|mut fault| {
                // What was read of the content cannot be read again.
                fault.again &= upload.count() == 0;
                fault
            })?;
            if !answer.status().is_success() {
                let refusal = answer::refusal(target, answer).await;
                return Err(refusal.fault.error.into());
            }
            Ok(upload.count())
        };
        tried(send).await
    }
}

/// Content on its way up. Its own fault is kept, since the client would only say that the body failed.
struct Upload {
    pieces: Arc<Mutex<Pieces>>,
    fault: Arc<Mutex<Option<StoreError>>>,
    came: Arc<AtomicU64>,
}

impl Upload {
    fn new(pieces: Pieces) -> Self {
        Self { pieces: Arc::new(Mutex::new(pieces)), fault: Arc::default(), came: Arc::default() }
    }

    fn count(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    fn body(&self) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
        let state = (Arc::clone(&self.pieces), Arc::clone(&self.fault), Arc::clone(&self.came));
        stream::unfold(state, |(pieces, fault, came)| async move {
            let next = pieces.lock().await.next().await?;
            let next = match next {
                Ok(piece) => {
                    came.fetch_add(u64::try_from(piece.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
                    Ok(piece)
                }
                Err(error) => {
                    *fault.lock().await = Some(error);
                    Err(std::io::Error::other("the content broke off"))
                }
            };
            Some((next, (pieces, fault, came)))
        })
    }

    /// Waits for the answer as long as bytes move.
    async fn watched(
        &self,
        target: &Target,
        to: &Url,
        sending: impl Future<Output = Result<Response, reqwest::Error>>,
    ) -> Result<Response, Fault> {
        tokio::pin!(sending);
        loop {
            let before = self.count();
            match tokio::time::timeout(UPLOAD, &mut sending).await {
                Ok(answer) => return answer.map_err(|error| failed(target, to, &error)),
                Err(_) if self.count() > before => {}
                Err(_) => {
                    let text = format!("{}: {} took no byte for {} s", target.name, shown(to), UPLOAD.as_secs());
                    return Err(StoreError::Unreachable(text).into());
                }
            }
        }
    }
}

/// The address of an operation at a namenode.
fn address(
    target: &Target,
    base: &Url,
    operation: &str,
    parameters: &[(&'static str, &str)],
) -> Result<Url, StoreError> {
    let mut url = base.clone();
    match url.path_segments_mut() {
        Ok(mut parts) => {
            parts.pop_if_empty().extend(["webhdfs", "v1"]).extend(target.path[1..].split('/'));
        }
        Err(()) => return Err(StoreError::Unsupported(format!("{base} cannot be a namenode's address"))),
    }
    let mut query = url.query_pairs_mut();
    query.append_pair("op", operation).extend_pairs(parameters);
    match (&target.token, &target.user) {
        (Some(token), _) => query.append_pair("delegation", token.reveal()),
        (None, Some(user)) => query.append_pair("user.name", user),
        (None, None) => &mut query,
    };
    drop(query);
    Ok(url)
}

/// Host and port of an address: its query may hold a token.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

fn failed(target: &Target, at: &Url, error: &reqwest::Error) -> Fault {
    let (name, at) = (&target.name, shown(at));
    if let Some(fault) = forbidden(error) {
        return StoreError::Denied(format!("{name}: {at} is not asked: {fault}")).into();
    }
    let what = if error.is_timeout() {
        "did not answer in time"
    } else if error.is_connect() {
        "cannot be connected to"
    } else {
        "broke off"
    };
    // The outer texts hold the whole url, with what must not be told.
    let cause = std::iter::successors(error.source(), |inner| (*inner).source()).last();
    Fault::passing(StoreError::Unreachable(match cause {
        Some(cause) => format!("{name}: {at} {what}: {cause}"),
        None => format!("{name}: {at} {what}"),
    }))
}
