//! Requests signed with an access key instead of bearing a token (iam.md section 5): who signed, and the answer when it is not
//! believed, in the shape of the API gateway before Huawei's services, whose SDKs are the ones that sign.

use std::{
    mem,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::{
    Json,
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::BytesMut;
use foggara_domain::Caller;
use foggara_identity::{
    Identified, Issuer,
    aksk::{CONTENT, Payload, Refusal, Signed, looks_signed},
    issuer::{Asked, Presented, SignatureError},
};
use http_body_util::BodyExt;
use serde_json::json;
use uuid::Uuid;

use crate::{
    ApiState,
    fault::{Fault, Outcome},
    transport::{REQUEST_ID, TOKEN},
};

/// The project that the caller asks for.
const PROJECT: HeaderName = HeaderName::from_static("x-project-id");
/// The limit on a body whose hash is signed, in words: it has to be read before it is known whether the caller may send it.
const LIMIT: &str = "limits.json_body for a body that is signed by its hash (sign a larger upload as UNSIGNED-PAYLOAD)";
/// The gateway's code for every fault of an authentication.
const CODE: &str = "APIGW.0301";

/// The signature of a request that bears no token. With both the token counts.
pub fn of(headers: &HeaderMap) -> Option<&str> {
    if headers.get(TOKEN).is_some_and(|token| !token.is_empty()) {
        return None;
    }
    headers.get(header::AUTHORIZATION)?.to_str().ok().filter(|value| looks_signed(value))
}

/// Who signed a request of the data API. `project` is the one in its path. A body whose hash is signed is read, and is in
/// its place again afterwards; one that is not signed is not touched.
///
/// # Errors
/// [`Fault::Signature`]; [`Fault::TooLarge`] and [`Fault::BrokenBody`] for the body.
pub async fn caller(state: &ApiState, request: &mut Request, project: Option<&str>) -> Outcome<Caller> {
    let issuer = state.issuer.as_ref().ok_or(Fault::Signature(Refusal::NoKeys))?;
    let (parts, mut body) = mem::take(request).into_parts();
    let checked = check(issuer, &parts, &mut body, state.settings.json_body, project).await;
    *request = Request::from_parts(parts, body);
    Ok(checked?.caller()?)
}

async fn check(
    issuer: &Issuer,
    parts: &Parts,
    body: &mut Body,
    limit: usize,
    project: Option<&str>,
) -> Outcome<Identified> {
    let sent = Sent { method: &parts.method, uri: &parts.uri, headers: &parts.headers };
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let address = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
    let presented = sent.key(issuer, address.to_canonical()).await?;
    let payload = Payload::of(sent.text(CONTENT), !body.is_end_stream());
    if !payload.needs_body() {
        return Ok(sent.signer(issuer, &presented, &payload, b"", project).await?);
    }
    let bytes = read(body, limit).await?;
    let signer = sent.signer(issuer, &presented, &payload, &bytes, project).await?;
    *body = Body::from(bytes);
    Ok(signer)
}

async fn read(body: &mut Body, limit: usize) -> Outcome<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers hold no bytes.
        let Ok(piece) = frame.map_err(|_| Fault::BrokenBody)?.into_data() else { continue };
        if bytes.len() + piece.len() > limit {
            return Err(Fault::TooLarge { what: LIMIT, limit: limit as u64 });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

/// A request as it came, before the layers make its path one of the routes'.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path and query of the request line.
    pub uri: &'a Uri,
    /// Headers.
    pub headers: &'a HeaderMap,
}

impl Sent<'_> {
    /// Who signed it, where the whole body is there. `address` is the other end of the connection.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub async fn signer_of_whole(
        self,
        issuer: &Issuer,
        address: IpAddr,
        body: &[u8],
    ) -> Result<Identified, SignatureError> {
        let presented = self.key(issuer, address).await?;
        let payload = Payload::of(self.text(CONTENT), !body.is_empty());
        self.signer(issuer, &presented, &payload, body, None).await
    }

    async fn key(self, issuer: &Issuer, address: IpAddr) -> Result<Presented, SignatureError> {
        issuer.key_of(of(self.headers).unwrap_or_default(), &self.signed(), address).await
    }

    async fn signer(
        self,
        issuer: &Issuer,
        presented: &Presented,
        payload: &Payload,
        body: &[u8],
        project: Option<&str>,
    ) -> Result<Identified, SignatureError> {
        let asked = Asked { path: project, header: self.text(PROJECT.as_str()) };
        issuer.signer(presented, &self.signed(), payload, body, asked).await
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn signed(&self) -> Signed<'_> {
        Signed {
            method: self.method.as_str(),
            path: self.uri.path(),
            query: self.uri.query().unwrap_or_default(),
            headers: self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect(),
        }
    }
}

impl From<SignatureError> for Fault {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Refused(refusal) => Self::Signature(refusal),
            SignatureError::Failed(error) => Self::Domain(error),
        }
    }
}

/// The whole text of a refusal.
pub fn message(refusal: &Refusal) -> String {
    format!("Incorrect IAM authentication information: {refusal}")
}

/// The answer to a signed request that is not believed: the gateway's body, and on Sahara's routes the members of its errors
/// too, save that `error_code` stays the gateway's text. `base` is the identity service's address.
pub fn answer(refusal: &Refusal, on_sahara: bool, base: &str) -> Response {
    let (status, id, message) = (StatusCode::UNAUTHORIZED, Uuid::new_v4().simple().to_string(), message(refusal));
    tracing::debug!(request_id = %id, %refusal, "a signed request is refused");
    let mut body = json!({"error_msg": message, "error_code": CODE, "request_id": id});
    if on_sahara {
        let title = status.canonical_reason().unwrap_or_default();
        body["error_message"] = json!(message);
        body["error_name"] = json!("UNAUTHORIZED");
        body["error"] = json!({"code": status.as_u16(), "title": title, "message": message});
    }
    let mut response = (status, Json(body)).into_response();
    let challenge = HeaderValue::try_from(format!("Keystone uri=\"{base}\"")).ok();
    let headers = response.headers_mut();
    headers.extend(challenge.map(|challenge| (header::WWW_AUTHENTICATE, challenge)));
    headers.extend(HeaderValue::try_from(id).ok().map(|id| (REQUEST_ID, id)));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers =
            pairs.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        of(&headers.collect()).is_some()
    }

    #[test]
    fn which_requests_are_signed() {
        const SIGNATURE: (&str, &str) = ("authorization", "SDK-HMAC-SHA256 Access=a, SignedHeaders=h, Signature=0");
        assert!(signed(&[SIGNATURE]));
        assert!(signed(&[SIGNATURE, ("x-auth-token", "")]), "an empty token is none");
        assert!(!signed(&[SIGNATURE, ("x-auth-token", "t")]), "the token counts");
        for other in ["", "Basic dTpw", "Bearer t"] {
            assert!(!signed(&[("authorization", other)]), "{other}");
        }
        assert!(!signed(&[]));
    }

    #[tokio::test]
    async fn the_answer_is_the_gateways() {
        for on_sahara in [false, true] {
            let response = answer(&Refusal::Wrong, on_sahara, "http://h");
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            let id = response.headers()["x-request-id"].to_str().expect("a text").to_owned();
            let bytes = response.into_body().collect().await.expect("a body").to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
            assert_eq!(id.len(), 32);
            assert_eq!((&body["request_id"], &body["error_code"]), (&json!(id), &json!("APIGW.0301")));
            let text = "Incorrect IAM authentication information: verify aksk signature fail";
            assert_eq!(body["error_msg"], text);
            assert_eq!(body.as_object().map(|members| members.len()), Some(if on_sahara { 6 } else { 3 }));
            assert_eq!(body["error_message"].as_str(), on_sahara.then_some(text));
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        let mut body = Body::from("12345");
        assert_eq!(read(&mut body, 5).await, Ok(Bytes::from("12345")));
        let mut body = Body::from("123456");
        assert_eq!(read(&mut body, 5).await, Err(Fault::TooLarge { what: LIMIT, limit: 5 }));
    }
}
