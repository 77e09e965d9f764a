//! The client side of the program: it speaks HTTP to a server as any other client does, and knows nothing else of it.

mod login;

use std::{fmt, path::PathBuf};

use anyhow::{Context, Result};
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

/// A body that is sent.
pub enum Body {
    /// None.
    Empty,
    /// JSON.
    Json(Value),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A session with a server.
pub struct Client {
    http: reqwest::Client,
    token: String,
    /// `http://host/v1.1/<project>`
    sahara: String,
    /// `http://host/api/v1`
    own: String,
}

impl Client {
    /// Logs in.
    pub async fn connect(args: &ClientArgs) -> Result<Self> {
        login::connect(args).await
    }

    /// The url of the Sahara API with the project.
    pub fn sahara_url(&self) -> &str {
        &self.sahara
    }

    async fn send(&self, method: Method, url: &str, body: Body) -> Result<Response> {
        let mut request = self.http.request(method, url).header("X-Auth-Token", &self.token);
        request = match body {
            Body::Empty => request,
            Body::Json(json) => request.json(&json),
            Body::Bytes(bytes) => request.header("Content-Type", "application/octet-stream").body(bytes),
        };
        let answer = request.send().await.map_err(|error| Refused::no_answer(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        Err(Refused { status: Some(status), message: said(status, &body) }.into())
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

/// The message of an error in any of the server's forms.
fn said(status: StatusCode, body: &Value) -> String {
    let text = ["error_message", "detail", "message", "title"].iter().find_map(|key| body.get(*key)?.as_str());
    let text = text.or_else(|| body.get("error")?.get("message")?.as_str());
    let text = text.map(|text| text.split("\nError ID").next().unwrap_or(text).to_owned());
    text.unwrap_or_else(|| format!("the server answered {status}"))
}
