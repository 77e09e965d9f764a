//! Regular expressions of Java in the words of the `regex` crate, which gives letters of all scripts to `\d`, `\w` and `\s` where
//! Java takes those of ASCII.

use crate::fault::{Fault, Outcome};

const CLASSES: [(char, &str); 6] = [
    ('d', "[0-9]"),
    ('D', "[^0-9]"),
    ('w', "[a-zA-Z_0-9]"),
    ('W', "[^a-zA-Z_0-9]"),
    ('s', "[ \\t\\n\\x0B\\f\\r]"),
    ('S', "[^ \\t\\n\\x0B\\f\\r]"),
];
/// Classes of POSIX, which Java writes `\p{Lower}`.
const NAMED: [&str; 13] = [
    "Lower", "Upper", "ASCII", "Alpha", "Digit", "Alnum", "Punct", "Graph", "Print", "Blank", "Cntrl", "XDigit",
    "Space",
];

/// Translates an expression.
///
/// # Errors
/// A quantifier that does not go back, which the crate would read as two.
pub fn pattern(text: &str) -> Outcome<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut depth = 0_usize;
    // Whether the sign before was a quantifier.
    let mut repeated = false;
    while let Some(ch) = chars.next() {
        let before = std::mem::replace(&mut repeated, false);
        match ch {
            '\\' => match chars.next() {
                Some(letter) if CLASSES.iter().any(|(known, _)| *known == letter) => {
                    out += CLASSES.iter().find(|(known, _)| *known == letter).map_or("", |(_, class)| class);
                }
                Some(letter @ ('p' | 'P')) if chars.peek() == Some(&'{') => {
                    let name: String = chars.by_ref().skip(1).take_while(|ch| *ch != '}').collect();
                    match NAMED.iter().find(|known| **known == name) {
                        Some(known) if letter == 'p' => out += &format!("[[:{}:]]", known.to_lowercase()),
                        Some(known) => out += &format!("[[:^{}:]]", known.to_lowercase()),
                        None => out += &format!("\\{letter}{{{}}}", name.strip_prefix("Is").unwrap_or(&name)),
                    }
                }
                Some('Z') => out += "(?:\\n?\\z)",
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            '[' => {
                depth += 1;
                out.push(ch);
                // A bracket right behind the first one stands for itself.
                if chars.peek() == Some(&'^') {
                    out.extend(chars.next());
                }
            }
            ']' if depth > 0 => {
                depth -= 1;
                out.push(ch);
            }
            '+' if depth == 0 && before => {
                return Err(Fault::new(format!("the regular expression {text:?} has a possessive quantifier"))
                    .hint("write it without the second +"));
            }
            '*' | '+' | '?' | '}' if depth == 0 => {
                repeated = !before || ch == '}';
                out.push(ch);
            }
            ch => out.push(ch),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn classes_are_those_of_ascii() {
        assert_eq!(pattern("\\d+[\\w-]").unwrap(), "[0-9]+[[a-zA-Z_0-9]-]");
        assert_eq!(pattern("\\p{Alpha}\\p{L}\\p{IsLatin}").unwrap(), "[[:alpha:]]\\p{L}\\p{Latin}");
        assert_eq!(pattern("a+?b*?\\\\d").unwrap(), "a+?b*?\\\\d");
        assert!(pattern("a++").is_err());
        assert!(pattern("a{2}+").is_err());
        assert_eq!(pattern("[+*]+").unwrap(), "[+*]+");
    }
}
