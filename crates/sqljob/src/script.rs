//! A script into statements: split at `;` outside of strings, names and comments; variables replaced.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};
use foggara_domain::sql::SqlDialect;

use crate::{
    dialect::Words,
    fault::{Fault, Outcome},
};

/// The text of one statement and where it begins in the script.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Without the `;`.
    pub text: String,
    /// Place of its first character.
    pub start: Location,
}

/// Walks over the characters and knows the place of the next one.
struct Walk<'a> {
    chars: std::iter::Peekable<std::str::CharIndices<'a>>,
    line: u64,
    column: u64,
}

impl Walk<'_> {
    fn next(&mut self) -> Option<(usize, char)> {
        let (index, ch) = self.chars.next()?;
        if ch == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some((index, ch))
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, ch)| *ch)
    }

    fn place(&self) -> Location {
        Location { line: self.line, column: self.column }
    }
}

/// Splits a script; statements that hold only comments are left out.
///
/// # Errors
/// A string, a name or a comment that does not end.
pub fn split(script: &str, dialect: SqlDialect) -> Outcome<Vec<Piece>> {
    let mut walk = Walk { chars: script.char_indices().peekable(), line: 1, column: 1 };
    let mut pieces = Vec::new();
    let mut begin: Option<(usize, Location)> = None;
    loop {
        let place = walk.place();
        let Some((index, ch)) = walk.next() else { break };
        match ch {
            ';' => {
                if let Some((from, start)) = begin.take() {
                    pieces.push(Piece { text: script[from..index].to_owned(), start });
                }
            }
            '-' if walk.peek() == Some('-') => while walk.next().is_some_and(|(_, ch)| ch != '\n') {},
            '/' if walk.peek() == Some('*') => {
                walk.next();
                let mut last = ' ';
                loop {
                    match walk.next() {
                        Some((_, '/')) if last == '*' => break,
                        Some((_, ch)) => last = ch,
                        None => return Err(Fault::new("syntax error: this comment does not end").at(place)),
                    }
                }
            }
            '\'' | '"' | '`' => {
                begin.get_or_insert((index, place));
                loop {
                    match walk.next() {
                        Some((_, end)) if end == ch => break,
                        Some((_, '\\')) if ch != '`' && dialect != SqlDialect::Presto => {
                            walk.next();
                        }
                        Some(_) => {}
                        None => {
                            return Err(
                                Fault::new(format!("syntax error: what begins with {ch} does not end")).at(place)
                            );
                        }
                    }
                }
            }
            ch if ch.is_whitespace() => {}
            _ => {
                begin.get_or_insert((index, place));
            }
        }
    }
    if let Some((from, start)) = begin {
        pieces.push(Piece { text: script[from..].to_owned(), start });
    }
    Ok(pieces)
}

/// The tokens of a statement with places in the script.
///
/// # Errors
/// A character that begins nothing.
pub fn tokens(piece: &Piece, dialect: SqlDialect) -> Outcome<Vec<TokenWithSpan>> {
    let shift = |place: Location| match place.line {
        0 => place,
        1 => Location { line: piece.start.line, column: place.column + piece.start.column - 1 },
        line => Location { line: line + piece.start.line - 1, column: place.column },
    };
    let words = Words(dialect);
    let tokens = Tokenizer::new(&words, &piece.text).tokenize_with_location();
    let mut tokens =
        tokens.map_err(|error| Fault::new(format!("syntax error: {}", error.message)).at(shift(error.location)))?;
    let mut before = [None, None];
    for token in &mut tokens {
        token.span = Span { start: shift(token.span.start), end: shift(token.span.end) };
        // Names do not depend on the case of their letters, quoted or not; only the path in csv.`/Path` does.
        let path = matches!(&before, [Some(Token::Word(format)), Some(Token::Period)]
            if ["csv", "json", "parquet", "orc", "avro", "text"].contains(&format.value.to_lowercase().as_str()));
        if let Token::Word(word) = &mut token.token
            && word.quote_style.is_some()
            && !path
        {
            word.value = word.value.to_lowercase();
        }
        if !matches!(token.token, Token::Whitespace(_)) {
            before = [before[1].take(), Some(token.token.clone())];
        }
    }
    bounded(&tokens)?;
    Ok(tokens)
}

/// Operators in a row, at most. Each makes the tree one step deeper, and the parser bounds only parentheses.
const ROW: usize = 2000;
/// Set operations, joins and nested types of a statement, at most.
const SETS: usize = 500;

/// Refuses statements whose tree would be too deep to walk over.
fn bounded(tokens: &[TokenWithSpan]) -> Outcome<()> {
    // Operators in a row, for each open parenthesis.
    let mut rows = vec![0_usize];
    let mut sets = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        let row = rows.len() - 1;
        match &token.token {
            Token::LParen | Token::LBracket => rows.push(0),
            Token::RParen | Token::RBracket => {
                if row > 0 {
                    rows.pop();
                }
            }
            Token::Comma => rows[row] = 0,
            Token::Word(word) if word.quote_style.is_none() => match word.value.to_uppercase().as_str() {
                "SELECT" | "FROM" | "WHERE" | "ON" | "WHEN" | "THEN" | "ELSE" | "HAVING" | "BY" => rows[row] = 0,
                "UNION" | "INTERSECT" | "EXCEPT" | "MINUS" | "JOIN" | "LATERAL" => sets += 1,
                "ARRAY" | "MAP" | "STRUCT" => {
                    sets += usize::from(matches!(tokens.get(index + 1).map(|next| &next.token), Some(Token::Lt)));
                }
                "AND" | "OR" | "NOT" | "DIV" | "LIKE" | "RLIKE" | "REGEXP" | "IS" => rows[row] += 1,
                _ => {}
            },
            Token::Whitespace(_) | Token::Word(_) | Token::Number(..) | Token::Period | Token::EOF => {}
            Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) => {}
            _ => rows[row] += 1,
        }
        let what = match rows.last() {
            Some(row) if *row > ROW => format!("{ROW} operators in a row"),
            _ if sets > SETS => format!("{SETS} set operations, joins or nested types"),
            _ => continue,
        };
        return Err(Fault::new(format!("the statement is too long: more than {what}"))
            .at(token.span.start)
            .hint("use IN (..), a table of the values, or several statements"));
    }
    Ok(())
}

/// Puts values in the place of `${name}`, `${hiveconf:name}` and `${hivevar:name}`.
///
/// # Errors
/// A name without a value: Hive would hand the words on as they stand, which is never what was meant.
pub fn substitute(
    piece: &Piece,
    variables: &BTreeMap<String, String>,
    settings: &BTreeMap<String, String>,
) -> Outcome<Piece> {
    let mut text = piece.text.clone();
    // As in Hive, a value may name another variable; the bound ends circles.
    for _ in 0..40 {
        let Some(from) = text.find("${") else { return Ok(Piece { text, start: piece.start }) };
        let Some(length) = text[from..].find('}') else { return Ok(Piece { text, start: piece.start }) };
        let name = &text[from + 2..from + length];
        let value = match name.split_once(':') {
            None => variables.get(name).or_else(|| settings.get(name)),
            Some(("hivevar", key)) => variables.get(key),
            Some(("hiveconf", key)) => settings.get(key).or_else(|| variables.get(key)),
            Some(_) => None,
        };
        let Some(value) = value else {
            return Err(Fault::new(format!("variable ${{{name}}} has no value"))
                .at(place_in(piece, &text, from))
                .hint("give it as a parameter of the job or with SET hivevar:name=value"));
        };
        text = format!("{}{value}{}", &text[..from], &text[from + length + 1..]);
    }
    Err(Fault::new("variables name each other without end").at(piece.start))
}

/// Place of a byte of a statement's text.
fn place_in(piece: &Piece, text: &str, index: usize) -> Location {
    let before = &text[..index];
    let lines = before.matches('\n').count() as u64;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) as u64;
    match lines {
        0 => Location { line: piece.start.line, column: piece.start.column + column },
        lines => Location { line: piece.start.line + lines, column: column + 1 },
    }
}
