//! Columns that hold JSON.

use foggara_domain::{Error, Result};

/// A value as the text of a JSON column.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Internal(error.to_string()))
}

/// What stands in a JSON column; `column` is named when it cannot be read.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(column: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Internal(format!("{column}: {error}")))
}
