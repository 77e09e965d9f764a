//! The client side of the program: it speaks HTTP to a server as any other client does, and knows nothing else of it.

mod login;

use std::{
    fmt,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use super::Exit;

/// Where to find a server and how to log in; the first that is there wins: flags, OS_* variables, clouds.yaml, the server that
/// this user started last on this host.
#[derive(clap::Args, Debug, Default, Clone)]
pub struct ClientArgs {
    /// Identity url of the server, with /v3
    #[arg(long = "os-auth-url", global = true, value_name = "URL")]
    pub auth_url: Option<String>,
    /// A cloud of clouds.yaml
    #[arg(long = "os-cloud", global = true, value_name = "NAME")]
    pub cloud: Option<String>,
    /// Project by name
    #[arg(long = "os-project-name", global = true, value_name = "NAME")]
    pub project: Option<String>,
    /// Region of the service
    #[arg(long = "os-region-name", global = true, value_name = "NAME")]
    pub region: Option<String>,
    /// Data directory of a server on this host
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// A request that was answered with an error, or not at all.
#[derive(Debug)]
pub struct Refused {
    /// The status; nothing when there was no answer.
    pub status: Option<StatusCode>,
    /// What the server said.
    pub message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}

impl Refused {
    /// The exit code of the command.
    pub fn exit(&self) -> Exit {
        match self.status {
            None => Exit::Unreachable,
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Exit::Denied,
            Some(_) => Exit::Failed,
        }
    }

    /// Whether an error may be over in a moment: no answer, or a server that says so.
    pub fn may_pass(error: &anyhow::Error) -> bool {
        error.downcast_ref::<Self>().is_some_and(|refused| {
            refused.status.is_none_or(|status| {
                matches!(
                    status,
                    StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
                )
            })
        })
    }

    /// With where the credentials come from.
    fn with_source(mut self, source: &str) -> Self {
        self.message = format!("{} (credentials: {source})", self.message);
        self
    }

    pub(super) fn no_answer(error: &reqwest::Error) -> Self {
        // The url may hold nothing secret, but the chain of causes says it better.
        let mut cause: &dyn std::error::Error = error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        let place = error
            .url()
            .map(|url| format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(0)));
        Self {
            status: None,
            message: format!(
                "no connection to the server at {}: {cause}; is it running? (`foggara serve`)",
                place.unwrap_or_default()
            ),
        }
    }
}

/// A body that is sent. Clones share the bytes.
#[derive(Clone)]
pub enum Body {
    /// None.
    Empty,
    /// JSON.
    Json(Value),
    /// Bytes.
    Bytes(Bytes),
}

/// A session with a server.
pub struct Client {
    http: reqwest::Client,
    found: login::Found,
    /// Replaced when it has expired: a job may last longer than a token.
    token: Mutex<String>,
    /// `http://host/v1.1/<project>`
    sahara: String,
    /// `http://host/api/v1`
    own: String,
}

impl Client {
    /// Logs in.
    pub async fn connect(args: &ClientArgs) -> Result<Self> {
        let found = login::find(args)?;
        let http = login::http(&found.credentials.auth_url)?;
        let login::Session { token, sahara } = login::log_in(&http, &found).await?;
        let root = sahara.split("/v1.1").next().unwrap_or(&sahara).to_owned();
        Ok(Self { http, found, token: Mutex::new(token), own: format!("{root}/api/v1"), sahara })
    }

    async fn send(&self, method: Method, url: &str, body: Body) -> Result<Response> {
        let answer = self.send_once(method.clone(), url, body.clone()).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            let session = login::log_in(&self.http, &self.found).await?;
            *self.token.lock().unwrap_or_else(PoisonError::into_inner) = session.token;
            return accepted(self.send_once(method, url, body).await?).await;
        }
        accepted(answer).await
    }

    async fn send_once(&self, method: Method, url: &str, body: Body) -> Result<Response> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut request = self.http.request(method, url).header("X-Auth-Token", token);
        request = match body {
            Body::Empty => request,
            Body::Json(json) => request.json(&json),
            Body::Bytes(bytes) => request.header("Content-Type", "application/octet-stream").body(bytes),
        };
        Ok(request.send().await.map_err(|error| Refused::no_answer(&error))?)
    }

    /// A call of the Sahara API, whose path begins after the project; gives the object below `key`.
    pub async fn sahara(&self, method: Method, path: &str, body: Body, key: &str) -> Result<Value> {
        let answer = self.send(method, &format!("{}{path}", self.sahara), body).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let mut json: Value = answer.json().await.context("the server's answer is not JSON")?;
        Ok(json.get_mut(key).map(Value::take).unwrap_or(json))
    }

    /// The status of a GET.
    pub async fn status_of(&self, path: &str) -> Result<StatusCode> {
        match self.send(Method::GET, &format!("{}{path}", self.sahara), Body::Empty).await {
            Ok(answer) => Ok(answer.status()),
            Err(error) => match error.downcast_ref::<Refused>().and_then(|refused| refused.status) {
                Some(status) => Ok(status),
                None => Err(error),
            },
        }
    }

    /// A GET of our own API.
    pub async fn own(&self, path: &str) -> Result<Value> {
        let answer = self.send(Method::GET, &format!("{}{path}", self.own), Body::Empty).await?;
        answer.json().await.context("the server's answer is not JSON")
    }

    /// A piece of a log, and where to read on.
    pub async fn log(&self, id: &str, stream: &str, offset: u64) -> Result<(Vec<u8>, u64)> {
        let url = format!("{}/executions/{id}/logs/{stream}?offset={offset}", self.own);
        let answer = self.send(Method::GET, &url, Body::Empty).await?;
        let next = answer.headers().get("X-Next-Offset").and_then(|value| value.to_str().ok()?.parse().ok());
        let bytes = answer.bytes().await.map_err(|error| Refused::no_answer(&error))?.to_vec();
        let next = next.unwrap_or(offset + u64::try_from(bytes.len()).unwrap_or(0));
        Ok((bytes, next))
    }
}

/// The answer, or what it refuses.
async fn accepted(answer: Response) -> Result<Response> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let body: Value = answer.json().await.unwrap_or_default();
    Err(Refused { status: Some(status), message: said(status, &body) }.into())
}

/// A text as one part of a path or a value of a query, whatever its letters.
pub fn part(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The message of an error in any of the server's forms.
fn said(status: StatusCode, body: &Value) -> String {
    let text = ["error_message", "detail", "message", "title"].iter().find_map(|key| body.get(*key)?.as_str());
    let text = text.or_else(|| body.get("error")?.get("message")?.as_str());
    let text = text.map(|text| text.split("\nError ID").next().unwrap_or(text).to_owned());
    text.unwrap_or_else(|| format!("the server answered {status}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_of_every_surface_are_read() {
        let of = |body: Value| said(StatusCode::BAD_REQUEST, &body);
        assert_eq!(of(json!({"error_code": 400, "error_message": "no\nError ID: 7", "error_name": "X"})), "no");
        assert_eq!(of(json!({"error": {"code": 401, "message": "who?", "title": "Unauthorized"}})), "who?");
        assert_eq!(of(json!({"title": "T", "detail": "why", "code": "c"})), "why");
        assert_eq!(of(json!(["x"])), "the server answered 400 Bad Request");
    }

    #[test]
    fn exit_codes_tell_why() {
        let of = |status: Option<u16>| {
            let status = status.map(|status| StatusCode::from_u16(status).expect("a status"));
            Refused { status, message: String::new() }.exit()
        };
        assert_eq!(of(None), Exit::Unreachable);
        assert_eq!((of(Some(401)), of(Some(403))), (Exit::Denied, Exit::Denied));
        assert_eq!((of(Some(404)), of(Some(500))), (Exit::Failed, Exit::Failed));
    }

    #[test]
    fn no_text_leaves_its_part_of_the_path() {
        assert_eq!(part("../a b?c"), "%2E%2E%2Fa%20b%3Fc");
        assert_eq!(part("0a-1"), "0a-1");
    }
}
