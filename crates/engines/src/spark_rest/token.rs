//! Who we are to a submission server that is guarded by Spark's JWSFilter: a token that is signed with a secret of both sides.

use base64::{
    Engine as _,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD},
};
use base64::{alphabet::URL_SAFE, engine::DecodePaddingMode};
use foggara_domain::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The smallest key that Spark takes for HS256.
const KEY_BYTES: usize = 32;
/// Spark takes secrets with padding and without.
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The token for a secret as it stands in Spark's settings (`param.secretKey`): base64url, at least 256 bits.
pub fn token(secret: &str) -> Result<Secret, &'static str> {
    const WRONG: &str = "a secret for Spark's JWSFilter is base64url of at least 32 bytes";
    let key = ANY_PADDING.decode(secret.trim()).map_err(|_| WRONG)?;
    if key.len() < KEY_BYTES {
        return Err(WRONG);
    }
    // Spark looks at the signature only.
    let signed =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#), URL_SAFE_NO_PAD.encode("{}"));
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| WRONG)?;
    mac.update(signed.as_bytes());
    Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))))
}

/// A new secret.
pub fn new_secret() -> Result<Secret, String> {
    let mut key = [0u8; KEY_BYTES];
    let mut at = 0;
    while at < key.len() {
        let got = rustix::rand::getrandom(&mut key[at..], rustix::rand::GetRandomFlags::empty());
        at += got.map_err(|error| format!("no random numbers: {error}"))?;
    }
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_signed_as_the_standard_says() {
        // RFC 7515 appendix A.1's way with a key of 32 zero bytes, computed with Python's hmac.
        let zero = URL_SAFE_NO_PAD.encode([0u8; 32]);
        let made = token(&zero).expect("a token");
        assert_eq!(made.reveal(), ZERO);
        assert_eq!(token(&format!("{zero}=")).expect("padded").reveal(), ZERO);
        assert!(token("c2hvcnQ").is_err() && token("!").is_err());
        let new = new_secret().expect("a secret");
        assert!(token(new.reveal()).is_ok());
    }

    const ZERO: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.LwimMJA3puF3ioGeS-tfczR3370GXBZMIL-bdpu4hOU";
}
