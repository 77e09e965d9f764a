//! The statements of a script.

use std::collections::BTreeMap;

/// The script with `${name}`, `${hiveconf:name}` and `${hivevar:name}` replaced where the name is known.
pub(super) fn filled(script: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(script.len());
    let mut rest = script;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let value = after.split_once('}').and_then(|(name, tail)| {
            let name = name.strip_prefix("hiveconf:").or_else(|| name.strip_prefix("hivevar:")).unwrap_or(name);
            variables.get(name).map(|value| (value, tail))
        });
        match value {
            Some((value, tail)) => {
                out.push_str(value);
                rest = tail;
            }
            None => {
                out.push_str("${");
                rest = after;
            }
        }
    }
    out + rest
}

/// What a backslash in a string is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backslash {
    /// The letter after it is part of the string, as in Hive.
    Escapes,
    /// A letter as others, as in standard SQL.
    Plain,
}

/// The statements: `;` ends one, except in strings, quoted names and comments. Empty ones are left out.
pub(crate) fn split(script: &str, backslash: Backslash) -> Vec<&str> {
    let mut statements = Vec::new();
    let (mut begun, mut at) = (0, 0);
    let bytes = script.as_bytes();
    let end_of =
        |from: usize, what: &str| script[from..].find(what).map_or(script.len(), |found| from + found + what.len());
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'\'' | b'"' | b'`') => {
                at += 1;
                while at < bytes.len() && bytes[at] != quote {
                    let escapes = bytes[at] == b'\\' && quote != b'`' && backslash == Backslash::Escapes;
                    at += if escapes { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' if bytes[at..].starts_with(b"--") => at = end_of(at, "\n"),
            b'/' if bytes[at..].starts_with(b"/*") => at = end_of(at + 2, "*/"),
            b';' => {
                statements.push(&script[begun..at]);
                at += 1;
                begun = at;
            }
            _ => at += 1,
        }
    }
    statements.push(&script[begun..]);
    statements.into_iter().map(str::trim).filter(|statement| !bare(statement).is_empty()).collect()
}

/// A statement without the comments before its first word.
pub(crate) fn bare(statement: &str) -> &str {
    let mut rest = statement.trim_start();
    loop {
        rest = if rest.starts_with("--") {
            rest.split_once('\n').map_or("", |(_, rest)| rest)
        } else if rest.starts_with("/*") {
            rest.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            return rest;
        }
        .trim_start();
    }
}

/// The word that a statement begins with, in capitals.
pub(super) fn kind(statement: &str) -> String {
    let word = bare(statement).trim_start_matches('(').split(|letter: char| !letter.is_alphanumeric()).next();
    word.unwrap_or_default().to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_ends_a_statement_unless_it_is_quoted() {
        let script = "select ';' a, \"\\\";\" b; -- no; end\n/* ; */ (select `x;` from t);;\n -- over";
        let statements = split(script, Backslash::Escapes);
        assert_eq!(statements, ["select ';' a, \"\\\";\" b", "-- no; end\n/* ; */ (select `x;` from t)"]);
        assert_eq!(kind(statements[1]), "SELECT");
        assert_eq!(split("select 'open; ü\\", Backslash::Escapes), ["select 'open; ü\\"]);
        assert_eq!(split("select '\\'; select 'it''s;'", Backslash::Plain), ["select '\\'", "select 'it''s;'"]);
    }

    #[test]
    fn known_names_are_filled_in() {
        let variables = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        assert_eq!(filled("${a} ${hiveconf:a} ${hivevar:a} ${b} ${a", &variables), "1 1 1 ${b} ${a");
    }
}
