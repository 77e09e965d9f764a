//! The `Authorization` header of a signed request.

use super::{ALGORITHM, Refusal};

/// No access key of any cloud is longer; it bounds what an answer and a log repeat.
const LONGEST_NAME: usize = 128;

/// `SDK-HMAC-SHA256 Access=<AK>, SignedHeaders=<h1;h2>, Signature=<64 hexadecimal digits>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The access key.
    pub access: String,
    /// The names of the signed headers as they were sent: they are signed themselves.
    pub signed_headers: String,
    /// The signature, in lower hexadecimal digits.
    pub signature: String,
}

/// Whether the value of `Authorization` is a signature of a request, of whatever algorithm. Other schemes (`Basic`, `Bearer`)
/// are none, and nothing is no header at all: clients that send a token empty it.
pub fn looks_signed(value: &str) -> bool {
    let scheme = scheme(value);
    scheme.starts_with("SDK-") || scheme.starts_with("V11-") || (scheme.contains('-') && value.contains("Signature="))
}

fn scheme(value: &str) -> &str {
    value.split_whitespace().next().unwrap_or_default()
}

impl Authorization {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Refusal::Algorithm`] and [`Refusal::Malformed`].
    pub fn read(value: &str) -> Result<Self, Refusal> {
        let scheme = scheme(value);
        if scheme != ALGORITHM {
            let named: String = scheme.chars().filter(|letter| letter.is_ascii_graphic()).take(LONGEST_NAME).collect();
            return Err(Refusal::Algorithm(named));
        }
        let rest = value.trim_start().strip_prefix(ALGORITHM).unwrap_or_default();
        let (mut access, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (key, value) = part.trim().split_once('=').ok_or(Refusal::Malformed("a part of it has no value"))?;
            let place = match key {
                "Access" => &mut access,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(Refusal::Malformed("a part of it is not known")),
            };
            if place.replace(value.trim().to_owned()).is_some() {
                return Err(Refusal::Malformed("a part of it comes twice"));
            }
        }
        let access: String = access.ok_or(Refusal::Malformed("Access is missing"))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if access.is_empty() || access.len() > LONGEST_NAME || !access.bytes().all(plain) {
            return Err(Refusal::Malformed("Access is no access key"));
        }
        let signed_headers: String = signed_headers.ok_or(Refusal::Malformed("SignedHeaders is missing"))?;
        let is_name = |name: &str| !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase());
        if !signed_headers.split(';').all(is_name) {
            return Err(Refusal::Malformed("SignedHeaders is no list of names in lower case"));
        }
        let signature: String = signature.ok_or(Refusal::Malformed("Signature is missing"))?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if signature.len() != 64 || !signature.bytes().all(is_digit) {
            return Err(Refusal::Malformed("Signature has not 64 lower hexadecimal digits"));
        }
        Ok(Self { access, signed_headers, signature })
    }

    /// The names of the signed headers in their order.
    pub fn signed(&self) -> impl Iterator<Item = &str> {
        self.signed_headers.split(';')
    }

    /// Whether a header is among them.
    pub fn signs(&self, name: &str) -> bool {
        self.signed().any(|signed| signed == name)
    }
}
