//! Errors of Sahara's surface (sahara-v1.1.md section 1.5, spec/README.md conflict 1): always a JSON object with an integer
//! `error_code`, because clients crash on anything else (clients.md section 1).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use foggara_domain::{Code, Error};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fault::Fault;

/// The answer for a fault. `base` is the identity service's address, named in a 401.
pub fn answer(fault: &Fault, base: &str) -> Response {
    let said = fault.said();
    let id = Uuid::new_v4();
    let message = if bears_id(fault) { format!("{}\nError ID: {id}", said.message) } else { said.message.clone() };
    if said.status.is_server_error() {
        tracing::warn!(error_id = %id, name = said.name, "answered with a server error");
    }
    let status = said.status.as_u16();
    // A bad `limit` or `sort_by` has the number in the place of the name: the original fills the wrong slot, and clients
    // may compare.
    let name = if matches!(fault, Fault::Domain(Error::BadParameter(_))) { json!(status) } else { json!(said.name) };
    let mut body = json!({"error_code": status, "error_message": message, "error_name": name, "error_msg": message});
    let title = said.status.canonical_reason().unwrap_or_default();
    match fault {
        Fault::Unauthorized => {
            body["error"] = json!({"code": status, "title": title, "message": said.message});
        }
        Fault::NoRoute | Fault::NoMethod => body["error"] = json!(status),
        Fault::WrongProject | Fault::ShortPath | Fault::NoProject => {
            body["message"] = Value::from(said.message.clone());
            body["code"] = Value::from(format!("{status} {title}"));
            body["title"] = Value::from(title);
        }
        _ => {}
    }
    let mut response = (said.status, Json(body)).into_response();
    let headers = response.headers_mut();
    if said.status == StatusCode::UNAUTHORIZED
        && let Ok(challenge) = HeaderValue::try_from(format!("Keystone uri=\"{base}\""))
    {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    headers.extend(said.retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))));
    response
}

/// Messages of Sahara's exceptions end with an id; those of the fixed texts and of the layers before Sahara do not.
fn bears_id(fault: &Fault) -> bool {
    match fault {
        Fault::Domain(Error::Internal(_)) => false,
        Fault::Domain(Error::Refused { code, .. }) => *code != Code::InvalidParamsOnRequest,
        Fault::Domain(_) | Fault::NotAcceptable | Fault::TooLarge { .. } | Fault::BrokenBody => true,
        Fault::TooSlow { .. } => true,
        Fault::Mrs(_) => false,
        Fault::Unauthorized
        | Fault::Signature(_)
        | Fault::WrongProject
        | Fault::NoProject
        | Fault::ShortPath
        | Fault::NoRoute
        | Fault::NoMethod => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn body(fault: Fault) -> (u16, Value) {
        let response = answer(&fault, "http://h");
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        (status, serde_json::from_slice(&bytes).expect("JSON"))
    }

    #[tokio::test]
    async fn a_refusal_has_all_four_members_and_an_id() {
        let (status, body) = body(Fault::refused(Code::DeletionFailed, "no")).await;
        assert_eq!((status, &body["error_code"], &body["error_name"]), (400, &json!(400), &json!("DELETION_FAILED")));
        let text = body["error_message"].as_str().expect("a text");
        let (start, id) = text.split_at("no\nError ID: ".len());
        assert_eq!((start, id.len()), ("no\nError ID: ", 36));
        assert_eq!(body["error_msg"], body["error_message"]);
    }

    #[tokio::test]
    async fn the_odd_shapes() {
        let (status, limit) = body(Error::BadParameter("'limit' must be positive integer".into()).into()).await;
        assert_eq!((status, &limit["error_name"]), (400, &json!(400)));
        let (status, unknown) = body(Fault::NoRoute).await;
        assert_eq!((status, &unknown["error"], &unknown["error_code"]), (404, &json!(404), &json!(404)));
        assert!(!unknown["error_message"].as_str().expect("a text").contains("Error ID"));
        let (status, token) = body(Fault::Unauthorized).await;
        assert_eq!(status, 401);
        assert_eq!(
            token["error"],
            json!({"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."})
        );
        assert_eq!(token["error_code"], json!(401));
        let (status, other) = body(Fault::WrongProject).await;
        assert_eq!((status, &other["code"]), (401, &json!("401 Unauthorized")));
    }

    #[tokio::test]
    async fn a_401_names_the_identity_service_and_a_429_a_time() {
        let response = answer(&Fault::Unauthorized, "http://h:1");
        assert_eq!(response.headers()["www-authenticate"], "Keystone uri=\"http://h:1\"");
        let many = Error::TooMany { message: "m".into(), retry_after_seconds: 9 };
        let response = answer(&many.into(), "http://h:1");
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &HeaderValue::from(9)));
    }
}
