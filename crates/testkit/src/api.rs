//! A small client of the data API for tests: status and JSON of each answer.

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The JSON, if the status is the wanted one.
    pub fn expect(self, status: u16) -> Result<Value> {
        if self.status.as_u16() != status {
            bail!("{} instead of {status}: {}", self.status, self.text());
        }
        Ok(self.json())
    }
}

/// A logged-in caller.
#[derive(Clone)]
pub struct Api {
    http: Client,
    /// The server.
    pub url: String,
    /// The token.
    pub token: String,
    /// The project of the token.
    pub project: String,
}

/// A client whose TLS has a provider.
pub fn http() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

impl Api {
    /// Logs in by password.
    pub async fn log_in(url: &str, user: &str, password: &str, project: &str) -> Result<Self> {
        let http = http();
        let domain = json!({"id": "default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {"name": user, "domain": domain, "password": password}}},
            "scope": {"project": {"name": project, "domain": domain}},
        }});
        let answer = http.post(format!("{url}/v3/auth/tokens")).json(&body).send().await?;
        let token = answer.headers().get("X-Subject-Token").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body: Value = answer.json().await?;
        let project = body["token"]["project"]["id"].as_str().context("no project in the token")?.to_owned();
        Ok(Self { http, url: url.to_owned(), token: token.context("no token")?, project })
    }

    /// A request to any path of the server.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !headers.iter().any(|(key, _)| key.eq_ignore_ascii_case("x-auth-token")) {
            request = request.header("X-Auth-Token", &self.token);
        }
        for (key, value) in headers {
            request = request.header(*key, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await?;
        Ok(Answer { status: answer.status(), headers: answer.headers().clone(), bytes: answer.bytes().await?.to_vec() })
    }

    /// A request with a JSON body below `/v1.1/<project>`.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Answer> {
        let path = format!("/v1.1/{}{path}", self.project);
        let bytes = body.map(|body| body.to_string().into_bytes());
        self.raw(method, &path, &[("Content-Type", "application/json")], bytes).await
    }

    /// GET below `/v1.1/<project>`, 200 expected.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await?.expect(200)
    }

    /// An execution in our own words, or what lies below it: GET of `/api/v1/executions/<path>`, 200 expected.
    pub async fn own(&self, path: &str) -> Result<Value> {
        self.raw(Method::GET, &format!("/api/v1/executions/{path}"), &[], None).await?.expect(200)
    }

    /// POST below `/v1.1/<project>`, 202 expected.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await?.expect(202)
    }

    /// DELETE below `/v1.1/<project>`, 204 expected.
    pub async fn delete(&self, path: &str) -> Result<()> {
        self.call(Method::DELETE, path, None).await?.expect(204).map(|_| ())
    }

    /// Uploads bytes and makes a job binary of them; gives its id.
    pub async fn binary(&self, name: &str, bytes: &[u8]) -> Result<String> {
        let path = format!("/v1.1/{}/job-binary-internals/{name}", self.project);
        let internal = self.raw(Method::PUT, &path, &[], Some(bytes.to_vec())).await?.expect(202)?;
        let internal = internal["job_binary_internal"]["id"].as_str().context("no id")?.to_owned();
        let body = json!({"name": name, "url": format!("internal-db://{internal}")});
        let binary = self.post("/job-binaries", body).await?;
        Ok(binary["job_binary"]["id"].as_str().context("no id")?.to_owned())
    }

    /// Makes a job template; gives its id.
    pub async fn template(&self, name: &str, job_type: &str, mains: &[&str], libs: &[&str]) -> Result<String> {
        let body = json!({"name": name, "type": job_type, "mains": mains, "libs": libs});
        let job = self.post("/jobs", body).await?;
        Ok(job["job"]["id"].as_str().context("no id")?.to_owned())
    }

    /// The id of a cluster by its name.
    pub async fn cluster(&self, name: &str) -> Result<String> {
        let clusters = self.get("/clusters").await?;
        let all = clusters["clusters"].as_array().cloned().unwrap_or_default();
        let found = all.iter().find(|cluster| cluster["name"] == name).context("no such cluster")?;
        Ok(found["id"].as_str().context("no id")?.to_owned())
    }

    /// One execution.
    pub async fn execution(&self, id: &str) -> Result<Value> {
        Ok(self.get(&format!("/job-executions/{id}")).await?["job_execution"].take())
    }

    /// The whole log of an execution.
    pub async fn log(&self, id: &str, stream: &str) -> Result<Vec<u8>> {
        let (mut bytes, mut offset) = (Vec::new(), 0u64);
        loop {
            let path = format!("/api/v1/executions/{id}/logs/{stream}?offset={offset}");
            let answer = self.raw(Method::GET, &path, &[], None).await?;
            if answer.status != StatusCode::OK {
                bail!("log: {} {}", answer.status, answer.text());
            }
            if answer.bytes.is_empty() {
                return Ok(bytes);
            }
            let next = answer.headers.get("X-Next-Offset").and_then(|value| value.to_str().ok()?.parse().ok());
            offset = next.context("no X-Next-Offset")?;
            bytes.extend(answer.bytes);
        }
    }
}
