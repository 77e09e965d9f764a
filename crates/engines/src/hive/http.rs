//! The HTTP transport: each call a POST with the name and the password, plain or under TLS.

use std::{error::Error, time::Duration};

use foggara_domain::Secret;
use reqwest::{
    Client, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::{
    address::{Address, Login},
    connection::{CONNECT, not_let_in},
    tls,
};
use crate::remote::reach;

/// Thrift's binary protocol as a type of content.
const THRIFT: &str = "application/x-thrift";

/// See the module.
pub(super) struct Http {
    client: Client,
    /// Calls wait for their answers: there is one at a time.
    runtime: Runtime,
    url: String,
    host: String,
    user: String,
    password: Secret,
}

impl Http {
    /// Checks the settings; nothing is sent. An answer may take `patience`.
    pub fn new(address: &Address, path: &str, login: &Login, patience: Duration) -> Result<Self, String> {
        let client = reach::client()
            .tls_backend_preconfigured(tls::config(address.ca_file.as_deref())?)
            .connect_timeout(CONNECT)
            .timeout(patience);
        let client = client.build().map_err(|error| format!("cannot make an HTTP client: {error}"))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot make a runtime: {error}"))?;
        let scheme = if address.tls { "https" } else { "http" };
        let host = if address.host.contains(':') { format!("[{}]", address.host) } else { address.host.clone() };
        let url = format!("{scheme}://{host}:{}/{path}", address.port);
        reach::check(&Url::parse(&url).map_err(|error| format!("{url}: {error}"))?)?;
        Ok(Self {
            client,
            runtime,
            url,
            host: address.host.clone(),
            user: login.user.clone(),
            password: login.password.clone(),
        })
    }

    /// Sends the bytes of a call and gives those of its answer. The error says what was wrong with the transport.
    pub fn post(&self, call: Vec<u8>) -> Result<Vec<u8>, String> {
        let request = self.client.post(&self.url);
        let request = request.basic_auth(&self.user, Some(self.password.reveal()));
        let request = request.header(CONTENT_TYPE, THRIFT).header(ACCEPT, THRIFT).body(call);
        self.runtime.block_on(async {
            let answer = request.send().await.map_err(|error| self.words(&error))?;
            let status = answer.status();
            let bytes = answer.bytes().await.map_err(|error| self.words(&error))?;
            match status {
                StatusCode::OK => Ok(bytes.to_vec()),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    Err(format!("{} {} ({status})", self.url, not_let_in(&self.user)))
                }
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                    Err(format!("{} is no HiveServer2 ({status}): is ;httpPath= right?", self.url))
                }
                _ => Err(format!("{} answers {status}: is this the HTTP port of HiveServer2?", self.url)),
            }
        })
    }

    /// Without what reqwest puts before the cause.
    fn words(&self, error: &reqwest::Error) -> String {
        if let Some(why) = tls::why(error, &self.host) {
            return why;
        }
        let mut cause: &dyn Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let what = if error.is_connect() { "cannot be reached" } else { "gives no answer" };
        format!("{} {what}: {cause}", self.url)
    }
}
