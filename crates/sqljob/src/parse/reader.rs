//! Reading words, names and strings from the tokens of a statement.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::{
    ast::Query,
    parser::Parser,
    tokenizer::{Location, Token},
};
use foggara_domain::sql::SqlDialect;

use super::{Name, Partition};
use crate::{
    catalogue::Column,
    dialect::Words,
    fault::{Fault, Outcome},
    kind, script,
    script::Piece,
};

/// A parser with the few steps that the forms of Hive are made of.
pub struct Reader<'a> {
    parser: Parser<'a>,
    piece: &'a Piece,
    /// In which words the statement is written.
    pub dialect: SqlDialect,
}

impl<'a> Reader<'a> {
    /// Over the tokens of a statement.
    ///
    /// # Errors
    /// Wrong tokens.
    pub fn new(piece: &'a Piece, dialect: SqlDialect, words: &'a Words) -> Outcome<Self> {
        let tokens = script::tokens(piece, dialect)?;
        Ok(Self { parser: Parser::new(words).with_tokens_with_locations(tokens), piece, dialect })
    }

    /// Place of the next token.
    pub fn place(&self) -> Location {
        let token = self.parser.peek_token();
        if token.token == Token::EOF { self.end() } else { token.span.start }
    }

    /// Place behind the last character.
    fn end(&self) -> Location {
        let lines = self.piece.text.matches('\n').count() as u64;
        let last = self.piece.text.rsplit('\n').next().map_or(0, |line| line.chars().count()) as u64;
        let before = if lines == 0 { self.piece.start.column } else { 1 };
        Location { line: self.piece.start.line + lines, column: before + last }
    }

    /// What stands from here to the end, as it was written.
    pub fn rest(&self) -> String {
        let place = self.place();
        let (line, column) = (place.line - self.piece.start.line, place.column);
        let before = if line == 0 { self.piece.start.column } else { 1 };
        let start: usize =
            self.piece.text.split_inclusive('\n').take(usize::try_from(line).unwrap_or(0)).map(str::len).sum();
        let skip = usize::try_from(column.saturating_sub(before)).unwrap_or(0);
        self.piece.text[start..].chars().skip(skip).collect()
    }

    /// Whether all is read.
    pub fn ended(&self) -> bool {
        self.parser.peek_token().token == Token::EOF
    }

    /// Whether `(` is next.
    pub fn at_open(&self) -> bool {
        self.parser.peek_token().token == Token::LParen
    }

    /// Whether the parenthesis that is next holds a query.
    pub fn opens_query(&self) -> bool {
        let mut index = 1;
        while self.parser.peek_nth_token_ref(index).token == Token::LParen {
            index += 1;
        }
        match &self.parser.peek_nth_token_ref(index).token {
            Token::Word(word) => {
                ["SELECT", "WITH", "VALUES"].iter().any(|found| word.value.eq_ignore_ascii_case(found))
            }
            _ => false,
        }
    }

    /// Whether the parenthesis that is next holds names without types.
    pub fn names_only(&self) -> bool {
        matches!(self.parser.peek_nth_token_ref(2).token, Token::Comma | Token::RParen)
    }

    /// Whether these words are next.
    pub fn at(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(index, word)| match &self.parser.peek_nth_token_ref(index).token {
            Token::Word(found) => found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word),
            _ => false,
        })
    }

    /// Reads these words if they are next.
    pub fn take(&mut self, words: &[&str]) -> bool {
        let found = self.at(words);
        if found {
            for _ in words {
                self.parser.next_token();
            }
        }
        found
    }

    /// Reads these words.
    ///
    /// # Errors
    /// Others are next.
    pub fn need(&mut self, words: &[&str]) -> Outcome<()> {
        if self.take(words) { Ok(()) } else { Err(self.expected(&words.join(" "))) }
    }

    /// Reads a token if it is next.
    pub fn take_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// Another is next.
    pub fn need_token(&mut self, token: &Token) -> Outcome<()> {
        if self.take_token(token) { Ok(()) } else { Err(self.expected(&token.to_string())) }
    }

    /// A failure: something else was expected here.
    pub fn expected(&self, what: &str) -> Fault {
        let found = self.parser.peek_token().token;
        let found = if found == Token::EOF { "the end".to_owned() } else { found.to_string() };
        Fault::new(format!("syntax error: expected {what}, found {found}")).at(self.place())
    }

    /// A failure: this does not run here.
    pub fn refused(&self, what: &str, hint: &str) -> Fault {
        Fault::new(format!("{what} does not run here")).at(self.place()).hint(hint)
    }

    /// A name, in small letters.
    ///
    /// # Errors
    /// None is next.
    pub fn ident(&mut self) -> Outcome<String> {
        match self.parser.peek_token().token {
            Token::Word(word) => {
                self.parser.next_token();
                Ok(word.value.to_lowercase())
            }
            _ => Err(self.expected("a name")),
        }
    }

    /// Name of a table.
    ///
    /// # Errors
    /// None is next.
    pub fn name(&mut self) -> Outcome<Name> {
        let place = self.place();
        let first = self.ident()?;
        if !self.take_token(&Token::Period) {
            return Ok(Name { database: None, table: first, place });
        }
        let table = self.ident()?;
        if self.at_period() {
            return Err(Fault::new("a table has at most a database before its name")
                .at(place)
                .hint("write database.table"));
        }
        Ok(Name { database: Some(first), table, place })
    }

    fn at_period(&self) -> bool {
        self.parser.peek_token().token == Token::Period
    }

    /// A string.
    ///
    /// # Errors
    /// None is next.
    pub fn string(&mut self) -> Outcome<String> {
        match self.parser.peek_token().token {
            Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => {
                self.parser.next_token();
                Ok(text)
            }
            _ => Err(self.expected("a string")),
        }
    }

    /// A string, a number or a word.
    ///
    /// # Errors
    /// None is next.
    pub fn value(&mut self) -> Outcome<String> {
        let minus = self.take_token(&Token::Minus);
        match self.parser.peek_token().token {
            Token::Number(number, _) => {
                self.parser.next_token();
                Ok(if minus { format!("-{number}") } else { number })
            }
            Token::Word(word) if !minus => {
                self.parser.next_token();
                Ok(word.value)
            }
            _ if minus => Err(self.expected("a number")),
            _ => self.string(),
        }
    }

    /// A query.
    ///
    /// # Errors
    /// Wrong syntax.
    pub fn query(&mut self) -> Outcome<Box<Query>> {
        let end = self.end();
        self.parser.parse_query().map_err(|error| {
            // The parser may name the place of the token behind the one that it means.
            let current = self.parser.get_current_token();
            let meant = error.to_string().contains(&format!("found: {} at Line", current.token));
            let fault = Fault::from(error).at(end);
            if meant && current.span.start.line > 0 { fault.moved(current.span.start) } else { fault }
        })
    }

    /// `[LIKE] 'pattern'`, if next.
    ///
    /// # Errors
    /// LIKE without a pattern.
    pub fn like(&mut self) -> Outcome<Option<String>> {
        let like = self.take(&["LIKE"]);
        if like || !self.ended() { self.string().map(Some) } else { Ok(None) }
    }

    /// Names in parentheses.
    ///
    /// # Errors
    /// Wrong syntax.
    pub fn idents(&mut self) -> Outcome<Vec<String>> {
        self.need_token(&Token::LParen)?;
        let mut names = vec![self.ident()?];
        while self.take_token(&Token::Comma) {
            names.push(self.ident()?);
        }
        self.need_token(&Token::RParen)?;
        Ok(names)
    }

    /// `(key=value, ..)`, also `(key value, ..)` and `(a.b 'value')`.
    ///
    /// # Errors
    /// Wrong syntax.
    pub fn properties(&mut self) -> Outcome<BTreeMap<String, String>> {
        self.need_token(&Token::LParen)?;
        let mut found = BTreeMap::new();
        loop {
            let mut key = match self.parser.peek_token().token {
                Token::Word(word) => {
                    self.parser.next_token();
                    word.value
                }
                _ => self.string()?,
            };
            while self.take_token(&Token::Period) {
                key = format!("{key}.{}", self.ident()?);
            }
            self.take_token(&Token::Eq);
            found.insert(key, self.value()?);
            if !self.take_token(&Token::Comma) {
                break;
            }
        }
        self.need_token(&Token::RParen)?;
        Ok(found)
    }

    /// `(column=value, column)` after PARTITION.
    ///
    /// # Errors
    /// Wrong syntax.
    pub fn partition(&mut self) -> Outcome<Vec<Partition>> {
        self.need_token(&Token::LParen)?;
        let mut found = Vec::new();
        loop {
            let name = self.ident()?;
            let value = if self.take_token(&Token::Eq) { Some(self.value()?) } else { None };
            found.push((name, value));
            if !self.take_token(&Token::Comma) {
                break;
            }
        }
        self.need_token(&Token::RParen)?;
        Ok(found)
    }

    /// `(name type [COMMENT 'text'], ..)`.
    ///
    /// # Errors
    /// Wrong syntax, an unknown type, a constraint.
    pub fn columns(&mut self) -> Outcome<Vec<Column>> {
        self.need_token(&Token::LParen)?;
        let mut columns = Vec::new();
        loop {
            let name = self.ident()?;
            let kind = self.kind()?;
            let mut comment = None;
            while !matches!(self.parser.peek_token().token, Token::Comma | Token::RParen) {
                if self.take(&["COMMENT"]) {
                    comment = Some(self.string()?);
                } else {
                    return Err(self.refused(
                        "a constraint or default of a column",
                        "leave it out; only a type and COMMENT are kept",
                    ));
                }
            }
            columns.push(Column { name, kind, comment });
            if !self.take_token(&Token::Comma) {
                break;
            }
        }
        self.need_token(&Token::RParen)?;
        Ok(columns)
    }

    /// A type, in Hive's words.
    fn kind(&mut self) -> Outcome<String> {
        let place = self.place();
        let mut text = String::new();
        let mut depth = 0_i32;
        loop {
            let token = self.parser.peek_token().token;
            match &token {
                Token::Lt | Token::LParen => depth += 1,
                Token::RParen if depth == 0 => break,
                Token::Gt | Token::RParen => depth -= 1,
                Token::ShiftRight => depth -= 2,
                Token::Comma if depth == 0 => break,
                Token::Word(word)
                    if depth == 0
                        && !text.is_empty()
                        && !(text.eq_ignore_ascii_case("double") && word.value.eq_ignore_ascii_case("precision")) =>
                {
                    break;
                }
                Token::EOF => break,
                _ => {}
            }
            text += &token.to_string();
            self.parser.next_token();
        }
        kind::parse(&text).map(|kind| kind::show(&kind)).map_err(|fault| fault.at(place))
    }
}
