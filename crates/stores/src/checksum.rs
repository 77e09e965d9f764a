//! A checksum that somebody gave beside a url.

use futures::{StreamExt, stream};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{StoreError, resume::Pieces};

/// The `sha256` of credentials: 64 hexadecimal digits.
pub(crate) fn expected(credentials: Option<&Map<String, Value>>) -> Result<Option<String>, StoreError> {
    let Some(value) = credentials.and_then(|credentials| credentials.get("sha256")) else { return Ok(None) };
    let text = value.as_str().unwrap_or_default().trim().to_ascii_lowercase();
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(StoreError::Unsupported("sha256 in the credentials is not 64 hexadecimal digits".to_owned()));
    }
    Ok(Some(text))
}

/// The pieces, with an error at their end when their SHA-256 is another one.
pub(crate) fn verified(pieces: Pieces, expected: Option<String>, name: String) -> Pieces {
    let Some(expected) = expected else { return pieces };
    let ended = pieces.map(Some).chain(stream::once(async { None }));
    let checked = ended.scan((Sha256::new(), expected, name), |(hash, expected, name), piece| {
        let out = match piece {
            Some(piece) => {
                if let Ok(piece) = &piece {
                    hash.update(piece);
                }
                Some(piece)
            }
            None => {
                let found = hex::encode(std::mem::take(hash).finalize());
                (found != *expected).then(|| {
                    Err(StoreError::Denied(format!(
                        "{name} has the SHA-256 {found}, and its credentials say {expected}: it is not what was meant"
                    )))
                })
            }
        };
        async move { out }
    });
    checked.boxed()
}
