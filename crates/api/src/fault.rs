//! Why a request is not answered, before a surface gives it its own body.
//!
//! [`Fault`] is what handlers and layers return. The HTTP status is decided here, once; the shape of the body belongs to the
//! surface: `sahara::error`, `own::problem`, `identity_v3`.

use axum::http::StatusCode;
use foggara_domain::{Code, Error};
use foggara_identity::{Error as IdentityError, aksk::Refusal};

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// An operation or rule says no.
    Domain(Error),
    /// No valid token (401).
    Unauthorized,
    /// The signature of the request is not believed (401).
    Signature(Refusal),
    /// The project in the path is not the token's (401, as the original).
    WrongProject,
    /// The token has no project (503, as the original).
    NoProject,
    /// The path has too few segments to name anything (404).
    ShortPath,
    /// There is no such route (404).
    NoRoute,
    /// The route does not know the method (405).
    NoMethod,
    /// The caller takes no JSON (406).
    NotAcceptable,
    /// The body is larger than allowed (413): which limit, and its value in bytes.
    TooLarge {
        /// The limit's name.
        what: &'static str,
        /// Its value in bytes.
        limit: u64,
    },
    /// The connection broke while the body was read (400).
    BrokenBody,
    /// A refusal by MRS's code.
    Mrs(Box<crate::mrs::error::Refused>),
    /// Not done in time (504).
    TooSlow {
        /// The deadline.
        seconds: u64,
        /// The request changes something, and nobody knows whether it did.
        outcome_unknown: bool,
    },
}

/// Result of a handler.
pub type Outcome<T, E = Fault> = Result<T, E>;

/// A fault in the words that every surface needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable name: Sahara's `error_name`, our `code`.
    pub name: &'static str,
    /// What is wrong, where, and what to do.
    pub message: String,
    /// When to ask again, in seconds.
    pub retry_after: Option<u64>,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Domain(error)
    }
}

impl From<IdentityError> for Fault {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Unauthorized => Self::Unauthorized,
            IdentityError::NoProject => Self::NoProject,
            IdentityError::Unavailable(message) => Self::Domain(Error::unavailable(message)),
        }
    }
}

impl Fault {
    /// A refusal by name.
    pub fn refused(code: Code, message: impl Into<String>) -> Self {
        Self::Domain(Error::refused(code, message))
    }

    /// The fault in words.
    pub fn said(&self) -> Said {
        let said = |status, name, message: &str| Said { status, name, message: message.to_owned(), retry_after: None };
        match self {
            Self::Domain(error) => of_domain(error),
            Self::Mrs(refused) => refused.said(),
            Self::Unauthorized => {
                said(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "The request you have made requires authentication.")
            }
            Self::Signature(refusal) => {
                said(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", &crate::signing::message(refusal))
            }
            Self::WrongProject => said(
                StatusCode::UNAUTHORIZED,
                "UNAUTHORIZED",
                "Token tenant != requested tenant: the path names another project than the token is for",
            ),
            Self::NoProject => said(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "The token is not for a project; ask for a token with a project scope",
            ),
            Self::ShortPath => said(StatusCode::NOT_FOUND, "NOT_FOUND", "Incorrect path"),
            Self::NoRoute => said(
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                "The requested URL was not found on the server. If you entered the URL manually please check your \
                 spelling and try again.",
            ),
            Self::NoMethod => said(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "The method is not allowed for the requested URL.",
            ),
            Self::NotAcceptable => said(
                StatusCode::NOT_ACCEPTABLE,
                "NOT_ACCEPTABLE",
                "This answer exists only as application/json, which the Accept header excludes",
            ),
            Self::TooLarge { what, limit } => {
                let text = format!("The request body is larger than the limit {what} = {limit} bytes");
                said(StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_TOO_LARGE", &text)
            }
            Self::BrokenBody => {
                said(StatusCode::BAD_REQUEST, "MALFORMED_REQUEST_BODY", "The request body ended before it was complete")
            }
            Self::TooSlow { seconds, outcome_unknown } => {
                let what = if *outcome_unknown {
                    "whether it was done is not known: look before you repeat it, or repeat it with the same Idempotency-Key"
                } else {
                    "try again"
                };
                let text = format!("The request was not answered within {seconds} seconds; {what}");
                said(StatusCode::GATEWAY_TIMEOUT, "TIMEOUT", &text)
            }
        }
    }
}

fn of_domain(error: &Error) -> Said {
    let mut said =
        Said { status: StatusCode::BAD_REQUEST, name: "INVALID_DATA", message: error.to_string(), retry_after: None };
    (said.status, said.name) = match error {
        Error::NotFound { .. } => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        // Sahara knows no 409; a key used twice is ours, and contract.md section 2.2 names this status.
        Error::Refused { code: Code::IdempotencyConflict, .. } => {
            (StatusCode::CONFLICT, Code::IdempotencyConflict.name())
        }
        Error::Refused { code, .. } => (StatusCode::BAD_REQUEST, code.name()),
        Error::BadParameter(_) => (StatusCode::BAD_REQUEST, "BAD_PARAMETER"),
        Error::Forbidden(_) => (StatusCode::FORBIDDEN, "FORBIDDEN"),
        Error::TooMany { retry_after_seconds, .. } => {
            said.retry_after = Some(*retry_after_seconds);
            (StatusCode::TOO_MANY_REQUESTS, Code::QuotaError.name())
        }
        Error::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE"),
        Error::Internal(text) => {
            tracing::error!(error = %text, "a request failed by a defect of the server");
            said.message = "Internal Server Error".to_owned();
            (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR")
        }
    };
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_is_not_shown() {
        let said = Fault::from(Error::Internal("SELECT secret FROM t".into())).said();
        assert_eq!((said.status.as_u16(), said.message.as_str()), (500, "Internal Server Error"));
    }

    #[test]
    fn refusals_are_400_and_a_used_key_is_409() {
        assert_eq!(Fault::refused(Code::NameAlreadyExists, "x").said().status.as_u16(), 400);
        assert_eq!(Fault::refused(Code::NotFound, "x").said().status.as_u16(), 400);
        assert_eq!(Fault::refused(Code::IdempotencyConflict, "x").said().status.as_u16(), 409);
        assert_eq!(Fault::from(Error::no_such_id("x")).said().status.as_u16(), 404);
    }
}
