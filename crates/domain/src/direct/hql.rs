//! V1.1's `hql`: one letter that means nothing, then Base64 in whose alphabet `J` and `L` have changed places (mrs-v1.1.md
//! section 3). It hides the text from proxies that look for SQL; it is no secret.

use base64::{
    Engine,
    alphabet::Alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::{Code, Error, Result};

/// The standard alphabet with the letters at 9 and 11 exchanged.
const SWAPPED: &str = "ABCDEFGHILKJMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn engine() -> Option<GeneralPurpose> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    Some(GeneralPurpose::new(&Alphabet::new(SWAPPED).ok()?, config))
}

/// The statements.
///
/// # Errors
/// `INVALID_DATA`: it does not begin with a letter, is not Base64, or what it holds is not UTF-8 text.
pub fn decode(text: &str) -> Result<String> {
    let wrong = |why: &str| Error::refused(Code::InvalidData, format!("hql: {why}"));
    let body = text.strip_prefix(|first: char| first.is_ascii_alphabetic());
    let body = body.ok_or_else(|| wrong("it has to begin with one letter, before the Base64 text"))?;
    let engine = engine().ok_or_else(|| Error::Internal("the alphabet of hql is wrong".to_owned()))?;
    let bytes = engine
        .decode(body.trim_end())
        .map_err(|error| wrong(&format!("after its first letter it is not Base64 with J and L exchanged: {error}")))?;
    String::from_utf8(bytes).map_err(|_| wrong("what it holds is not UTF-8 text"))
}

/// The form in which clients send statements, behind the letter `g`.
pub fn encode(statements: &str) -> String {
    engine().map_or_else(String::new, |engine| format!("g{}", engine.encode(statements)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_documented_example() {
        assert_eq!(decode("gc2hvdyB0YWLsZXM7").expect("decoded"), "show tables;");
        assert_eq!(encode("show tables;"), "gc2hvdyB0YWLsZXM7");
        assert_eq!(decode("Xc2hvdyB0YWLsZXM7").expect("any letter"), "show tables;");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("", "begin with one letter"),
            ("1c2hvdw", "begin with one letter"),
            ("gc2h*", "not Base64"),
            ("g////", "not UTF-8"),
        ] {
            let error = decode(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(text in "\\PC*", first in "[a-zA-Z]") {
            let sent = encode(&text);
            prop_assert_eq!(decode(&sent).expect("decoded"), text.clone());
            prop_assert_eq!(decode(&format!("{first}{}", &sent[1..])).expect("decoded"), text);
        }

        #[test]
        fn nothing_panics(text in "\\PC*") {
            let _ = decode(&text);
        }
    }
}
