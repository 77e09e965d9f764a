//! A request to the identity routes, taken apart.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    body::{Bytes, to_bytes},
    extract::{ConnectInfo, Request},
    http::{HeaderMap, HeaderName, Method, Uri},
};
use foggara_identity::{Identified, Issuer, policy};
use percent_encoding::percent_decode_str;

use super::fault::{AUTH_TOKEN, Fault, SUBJECT_TOKEN};
use crate::signing;

/// Largest body of a request for a token, in bytes.
const BODY: usize = 1024 * 1024;

/// What the routes need of the server.
#[derive(Clone)]
pub struct At {
    /// The embedded issuer; none with an outside Keystone.
    pub issuer: Option<Arc<Issuer>>,
    /// Whether `X-Forwarded-Proto` is believed: only behind a proxy that sets it.
    pub trust_forwarded_proto: bool,
}

/// The request.
pub struct Asked {
    /// The embedded issuer.
    pub issuer: Arc<Issuer>,
    /// Scheme and host as the caller wrote them, without a slash at the end.
    pub base: String,
    /// The address of the other end of the connection.
    pub address: IpAddr,
    /// The body.
    pub body: Bytes,
    method: Method,
    uri: Uri,
    path: String,
    query: String,
    headers: HeaderMap,
}

impl Asked {
    /// Takes a request apart. In the case of an error the base address for its answer comes along.
    pub async fn new(at: &At, request: Request) -> Result<Self, (Fault, String)> {
        let (parts, body) = request.into_parts();
        let base = crate::base::of(&parts.headers, at.trust_forwarded_proto);
        let Some(issuer) = at.issuer.clone() else { return Err((no_route(), base)) };
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let address = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
        let Ok(body) = to_bytes(body, BODY).await else {
            return Err((Fault::BadRequest(format!("The body cannot be read, or has more than {BODY} bytes.")), base));
        };
        let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
        let (method, uri, headers) = (parts.method, parts.uri, parts.headers);
        Ok(Self { issuer, base, address: address.to_canonical(), body, method, uri, path, query, headers })
    }

    /// Who asks: the bearer of `X-Auth-Token`.
    ///
    /// # Errors
    /// 401 without a valid one.
    pub async fn bearer(&self) -> Result<Identified, Fault> {
        let token = self.header(&AUTH_TOKEN).ok_or(Fault::Unauthorized)?;
        self.issuer.examine(token).await?.ok_or(Fault::Unauthorized)
    }

    /// Who signed the request with an access key; nothing when it is not signed, or bears a token. Only the look-ups that an
    /// SDK makes to find its project take a signature, all else wants a token.
    ///
    /// # Errors
    /// 401 when the signature is not believed.
    pub async fn signer(&self) -> Result<Option<Identified>, Fault> {
        if signing::of(&self.headers).is_none() {
            return Ok(None);
        }
        let sent = signing::Sent { method: &self.method, uri: &self.uri, headers: &self.headers };
        Ok(Some(sent.signer_of_whole(&self.issuer, self.address, &self.body).await?))
    }

    /// The text of `X-Subject-Token`.
    ///
    /// # Errors
    /// 404 without one, as Keystone answers.
    pub fn subject_token(&self) -> Result<&str, Fault> {
        self.header(&SUBJECT_TOKEN).ok_or_else(|| Fault::NotFound("No token in the request".to_owned()))
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().filter(|text| !text.is_empty())
    }

    /// A piece of the path, decoded; the one after `/v3/` is number 0.
    pub fn segment(&self, number: usize) -> String {
        let text = self.path.split('/').nth(number + 2).unwrap_or_default();
        percent_decode_str(text).decode_utf8_lossy().into_owned()
    }

    /// The path and query as they came, for the links of a list.
    pub fn link(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    /// The value of a query parameter; empty when it has none.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find(|(key, _)| decode(key) == name).map(|(_, value)| decode(value))
    }
}

/// What the original says on a path that it does not know.
pub fn no_route() -> Fault {
    Fault::NotFound("The resource could not be found.".to_owned())
}

/// Whether the bearer holds the role `admin` on its scope.
pub fn is_admin(bearer: &Identified) -> bool {
    bearer.has_role(policy::ADMIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base_of(pairs: &[(&'static str, &str)], trust: bool) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().expect("a header value"));
        }
        crate::base::of(&headers, trust)
    }

    #[test]
    fn the_base_is_what_the_caller_wrote() {
        assert_eq!(base_of(&[("host", "127.0.0.1:8386")], false), "http://127.0.0.1:8386");
        assert_eq!(base_of(&[("host", "[::1]:8386")], false), "http://[::1]:8386");
        let proxied = [("host", "jobs.example.org"), ("x-forwarded-proto", "https")];
        assert_eq!(base_of(&proxied, true), "https://jobs.example.org");
        assert_eq!(base_of(&proxied, false), "http://jobs.example.org");
        assert_eq!(base_of(&[("host", "a\" b")], false), "http://localhost");
        assert_eq!(base_of(&[], false), "http://localhost");
    }
}
