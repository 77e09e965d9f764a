//! Microversions of v2 (sahara-v2.md section 1): one exists, and every answer of a v2 route names it.

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// The header in requests and answers.
pub const HEADER: HeaderName = HeaderName::from_static("openstack-api-version");
const SERVICE: &str = "data-processing";
/// The only one.
const VERSION: &str = "2.0";

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// The version that there is.
    Known,
    /// Something else, as it was written; it is well formed.
    Unknown(String),
    /// No version number.
    Malformed(String),
}

/// Reads the header; entries for other services do not count.
pub fn asked(headers: &HeaderMap) -> Asked {
    let texts = headers.get_all(&HEADER).into_iter().filter_map(|value| value.to_str().ok());
    let mut entries = texts.flat_map(|text| text.split(','));
    let ours = entries.find_map(|entry| {
        let rest = entry.trim().strip_prefix(SERVICE)?;
        (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim())
    });
    match ours {
        None => Asked::Known,
        Some(text) if text == VERSION || text.eq_ignore_ascii_case("latest") => Asked::Known,
        Some(text) if is_version(text) => Asked::Unknown(text.to_owned()),
        Some(text) => Asked::Malformed(text.to_owned()),
    }
}

fn is_version(text: &str) -> bool {
    let number = |part: &str, zero: bool| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (!part.starts_with('0') || (zero && part == "0"))
    };
    text.split_once('.').is_some_and(|(major, minor)| number(major, false) && number(minor, true))
}

impl Asked {
    /// The answer where the version cannot be served.
    pub fn refusal(&self) -> Option<Response> {
        let (status, name, message) = match self {
            Self::Known => return None,
            Self::Unknown(text) => (
                StatusCode::NOT_ACCEPTABLE,
                "NOT_ACCEPTABLE",
                format!("Version {text} is not supported by the API. Minimum is {VERSION} and maximum is {VERSION}."),
            ),
            Self::Malformed(text) => (
                StatusCode::BAD_REQUEST,
                "BAD_REQUEST",
                format!("API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."),
            ),
        };
        let code = status.as_u16();
        let body = json!({"error_code": code, "error_name": name, "error_message": message, "error_msg": message,
            "max_version": VERSION, "min_version": VERSION});
        Some((status, Json(body)).into_response())
    }

    /// Marks an answer with the version; a text that cannot be served is repeated.
    pub fn mark(&self, response: &mut Response) {
        let text = match self {
            Self::Known => VERSION,
            Self::Unknown(text) | Self::Malformed(text) => text,
        };
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("OpenStack-API-Version"));
        if let Ok(value) = HeaderValue::try_from(format!("{SERVICE} {text}")) {
            headers.insert(HEADER, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Asked {
        asked(&HeaderMap::from_iter([(HEADER, HeaderValue::try_from(text).expect("a header"))]))
    }

    #[test]
    fn what_is_asked_for() {
        assert_eq!(asked(&HeaderMap::new()), Asked::Known);
        for known in ["data-processing 2.0", "data-processing latest", "compute 2.1,data-processing 2.0", "compute 9.9"]
        {
            assert_eq!(of(known), Asked::Known, "{known}");
        }
        assert_eq!(of("data-processing 9.9"), Asked::Unknown("9.9".into()));
        assert_eq!(of("compute 2.1, data-processing 1.10"), Asked::Unknown("1.10".into()));
        for wrong in ["2", "02.0", "2.01", "2.x", "v2.0", ""] {
            assert_eq!(of(&format!("data-processing {wrong}")), Asked::Malformed(wrong.into()), "{wrong}");
        }
    }
}
