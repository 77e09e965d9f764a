//! Errors of the identity routes, in Keystone's shape (iam.md section 3).

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use foggara_domain::{Code, Error};
use foggara_identity::{
    aksk::Refusal,
    issuer::{LoginError, SignatureError},
};
use serde_json::json;

const UNAUTHORIZED: &str = "The request you have made requires authentication.";

/// Why a request was not done.
#[derive(Debug, PartialEq)]
pub enum Fault {
    /// The body or a parameter is wrong.
    BadRequest(String),
    /// Wrong credentials or token; never said which part.
    Unauthorized,
    /// The signature of the request is not believed.
    Signature(Refusal),
    /// A login by a method that this server does not have.
    NoSuchMethod,
    /// The name is taken.
    Conflict(String),
    /// Not allowed; the action's name in Keystone.
    Forbidden(&'static str),
    /// Not allowed, in words of its own.
    Refused(&'static str),
    /// No such object.
    NotFound(String),
    /// Too many failed logins.
    TooMany {
        /// The text.
        message: String,
        /// When to ask again.
        retry_after_seconds: u64,
    },
    /// The database is away.
    Unavailable(String),
    /// A defect of ours; it is in the log.
    Internal,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable { message, .. } => Self::Unavailable(message),
            Error::TooMany { message, retry_after_seconds } => Self::TooMany { message, retry_after_seconds },
            Error::NotFound { .. } => Self::NotFound(error.to_string()),
            Error::Refused { code: Code::NameAlreadyExists, .. } => Self::Conflict(error.to_string()),
            Error::Refused { .. } | Error::BadParameter(_) => Self::BadRequest(error.to_string()),
            Error::Forbidden(_) => Self::Forbidden("identity:create_application_credential"),
            Error::Internal(_) => {
                tracing::error!(%error, "an identity request failed");
                Self::Internal
            }
        }
    }
}

impl From<SignatureError> for Fault {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Refused(refusal) => Self::Signature(refusal),
            SignatureError::Failed(error) => error.into(),
        }
    }
}

impl From<LoginError> for Fault {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Refused => Self::Unauthorized,
            LoginError::TooMany { retry_after_seconds } => {
                Self::TooMany { message: error.to_string(), retry_after_seconds }
            }
            LoginError::Failed(error) => error.into(),
        }
    }
}

/// An error in Keystone's shape; also for what goes wrong on these paths before a route is found. `base` is scheme and
/// host of the request, for the challenge of a 401.
pub fn error_answer(status: StatusCode, message: &str, base: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let mut body = json!({"error": {"code": status.as_u16(), "title": title, "message": message}});
    if status == StatusCode::UNAUTHORIZED {
        // Sahara's clients read these three (decision 2).
        body["error_code"] = json!(401);
        body["error_message"] = json!(message);
        body["error_name"] = json!("UNAUTHORIZED");
    }
    let mut response = (status, [(header::VARY, "X-Auth-Token")], Json(body)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::try_from(format!("Keystone uri=\"{base}\""));
        response.headers_mut().extend(challenge.ok().map(|value| (header::WWW_AUTHENTICATE, value)));
    }
    response
}

impl Fault {
    /// The answer. `base` is the identity service's address for `WWW-Authenticate`.
    pub fn answer(self, base: &str) -> Response {
        if let Self::Signature(refusal) = &self {
            return crate::signing::answer(refusal, false, base);
        }
        let retry_after = match &self {
            Self::TooMany { retry_after_seconds, .. } => Some(*retry_after_seconds),
            _ => None,
        };
        let (status, message) = self.said();
        let mut response = error_answer(status, &message, base);
        response.headers_mut().extend(retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))));
        response
    }

    fn said(self) -> (StatusCode, String) {
        match self {
            Self::BadRequest(message) => (StatusCode::BAD_REQUEST, message),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, UNAUTHORIZED.to_owned()),
            Self::Signature(refusal) => (StatusCode::UNAUTHORIZED, crate::signing::message(&refusal)),
            Self::NoSuchMethod => {
                (StatusCode::UNAUTHORIZED, "Attempted to authenticate with an unsupported method.".to_owned())
            }
            Self::Conflict(message) => (StatusCode::CONFLICT, message),
            Self::Forbidden(action) => {
                (StatusCode::FORBIDDEN, format!("You are not authorized to perform the requested action: {action}."))
            }
            Self::Refused(message) => (StatusCode::FORBIDDEN, message.to_owned()),
            Self::NotFound(message) => (StatusCode::NOT_FOUND, message),
            Self::TooMany { message, .. } => (StatusCode::TOO_MANY_REQUESTS, message),
            Self::Unavailable(message) => (StatusCode::SERVICE_UNAVAILABLE, message),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "An unexpected error prevented the server from fulfilling your request.".to_owned(),
            ),
        }
    }
}

/// The header in which a token travels that is spoken of.
pub const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");
/// The header in which the caller's own token travels.
pub const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_401_has_the_challenge_and_a_429_says_when() {
        let response = Fault::Unauthorized.answer("http://h:1");
        assert_eq!(response.headers()["www-authenticate"], "Keystone uri=\"http://h:1\"");
        let response = Fault::TooMany { message: "m".into(), retry_after_seconds: 7 }.answer("http://h:1");
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &HeaderValue::from(7)));
        assert!(response.headers().get("www-authenticate").is_none());
    }

    #[test]
    fn a_defect_is_not_shown() {
        let fault = Fault::from(Error::Internal("SELECT secret".into()));
        assert!(!fault.said().1.contains("SELECT"));
    }
}
