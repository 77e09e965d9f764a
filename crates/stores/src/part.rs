//! Names of what is not complete: hidden, beside the file that it is to become, `.NAME.WHOLE-VERSION.foggara-part`. WHOLE tells of
//! which file it is, since a long name is cut off; VERSION tells what it is a copy of, so that two versions are never mixed.

use sha2::{Digest, Sha256};

/// Ends such a name.
const END: &str = ".foggara-part";
/// Characters of the file's own name that are shown: a name may have 255 bytes.
const SHOWN: usize = 40;
/// Hexadecimal digits of WHOLE and of VERSION.
const DIGITS: (usize, usize) = (8, 16);

/// As many hexadecimal digits of a text's hash.
fn digits(text: &str, many: usize) -> String {
    let mut hex = hex::encode(Sha256::digest(text.as_bytes()));
    hex.truncate(many);
    hex
}

/// What stands for a version in names: 16 hexadecimal digits.
pub(crate) fn version(text: &str) -> String {
    digits(text, DIGITS.1)
}

/// One that no other writing has.
pub(crate) fn unique() -> String {
    let mut hex = uuid::Uuid::new_v4().simple().to_string();
    hex.truncate(DIGITS.1);
    hex
}

/// How the names of all unfinished files begin that are to become the file of this name.
pub fn part_prefix(name: &str) -> String {
    let shown: String = name.chars().take(SHOWN).collect();
    format!(".{shown}.{}-", digits(name, DIGITS.0))
}

/// The name of the unfinished file of a version.
pub(crate) fn name(of: &str, version: &str) -> String {
    format!("{}{version}{END}", part_prefix(of))
}

/// The path beside a path; both with `/` between their parts.
pub(crate) fn beside(path: &str, version: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, last)) => format!("{folder}/{}", name(last, version)),
        None => name(path, version),
    }
}

/// The unfinished thing in a path, which is a file or a folder: the path up to it. Nothing for all other paths.
pub fn part_of(path: &str) -> Option<&str> {
    let mut end = 0;
    for part in path.split('/') {
        end += part.len();
        if is_part(part) {
            return path.get(..end);
        }
        end += 1;
    }
    None
}

/// How the name of something unfinished begins, with its folders: as [`part_prefix`] says of its file.
pub fn prefix_of_part(part: &str) -> &str {
    part.get(..part.len().saturating_sub(END.len() + DIGITS.1)).unwrap_or(part)
}

fn is_part(name: &str) -> bool {
    let is_hex = |text: &str, many: usize| text.len() == many && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let head = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(END));
    let tail = head.and_then(|head| head.rsplit_once('.')).and_then(|(_, tail)| tail.split_once('-'));
    tail.is_some_and(|(whole, version)| is_hex(whole, DIGITS.0) && is_hex(version, DIGITS.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_known_by_its_name() {
        let long = format!("{}.{}", "ä".repeat(100), "x");
        for of in ["a", "a.b-c", ".hidden", &long] {
            let (one, other) =
                (beside(&format!("d/e/{of}"), &version("1")), beside(&format!("d/e/{of}"), &version("2")));
            assert!(one != other && one.starts_with(&format!("d/e/{}", part_prefix(of))), "{one}");
            assert_eq!(part_of(&one), Some(one.as_str()));
            assert_eq!(prefix_of_part(&one), format!("d/e/{}", part_prefix(of)));
            assert_eq!(part_of(&format!("{one}/00000001")), Some(one.as_str()));
            assert!(one.len() < 255);
        }
        assert_ne!(part_prefix(&format!("{long}1")), part_prefix(&format!("{long}2")));
        for other in ["a", ".a.foggara-part", "d/.a.b-c.foggara-part", "x.0123abcd-0123456789abcdef.foggara-part", ""] {
            assert_eq!(part_of(other), None, "{other}");
        }
    }
}
