//! One line into fields, and fields into a line.

use crate::{
    catalogue::TextOptions,
    fault::{Fault, Outcome},
};

/// Walks over the fields of a line.
pub struct Fields<'a> {
    rest: Option<&'a [u8]>,
    options: &'a TextOptions,
    /// Text of the field that was read last.
    pub text: Vec<u8>,
    /// Whether it is NULL.
    pub null: bool,
}

impl<'a> Fields<'a> {
    /// Over a line without its end.
    pub fn new(line: &'a [u8], options: &'a TextOptions) -> Self {
        Self { rest: Some(line), options, text: Vec::new(), null: false }
    }

    /// All fields of a line.
    ///
    /// # Errors
    /// A quote that does not end.
    pub fn of(line: &'a [u8], options: &'a TextOptions) -> Outcome<Vec<Option<String>>> {
        let mut fields = Self::new(line, options);
        let mut found = Vec::new();
        while fields.next()? {
            found.push((!fields.null).then(|| String::from_utf8_lossy(&fields.text).into_owned()));
        }
        Ok(found)
    }

    /// Reads the next field; false behind the last.
    ///
    /// # Errors
    /// A quote that does not end.
    pub fn next(&mut self) -> Outcome<bool> {
        let Some(line) = self.rest else { return Ok(false) };
        self.text.clear();
        let quoted = self.options.quote.is_some() && line.first().copied() == self.options.quote;
        let end = if quoted { self.quoted(line)? } else { self.bare(line) };
        // A delimiter at the end is followed by one more field, of no length.
        self.rest = line.get(end + 1..);
        let raw = &line[..end];
        self.null = !quoted && raw == self.options.null.as_bytes();
        Ok(true)
    }

    /// Up to the delimiter; tells where it is.
    fn bare(&mut self, line: &[u8]) -> usize {
        let (delimiter, escape) = (self.options.delimiter, self.options.escape);
        // In quoted text the escape stands for itself outside of quotes.
        let Some(escape) = escape.filter(|_| self.options.quote.is_none()) else {
            let end = line.iter().position(|byte| *byte == delimiter).unwrap_or(line.len());
            self.text.extend_from_slice(&line[..end]);
            return end;
        };
        let mut index = 0;
        while index < line.len() {
            match line[index] {
                byte if byte == escape && index + 1 < line.len() => {
                    index += 1;
                    self.text.push(line[index]);
                }
                byte if byte == delimiter => return index,
                byte => self.text.push(byte),
            }
            index += 1;
        }
        line.len()
    }

    /// Up to the delimiter behind the closing quote.
    fn quoted(&mut self, line: &[u8]) -> Outcome<usize> {
        let (delimiter, escape, quote) = (self.options.delimiter, self.options.escape, line[0]);
        let mut index = 1;
        while index < line.len() {
            let byte = line[index];
            let next = line.get(index + 1).copied();
            if byte != quote && Some(byte) == escape && next.is_some_and(|next| next == quote || Some(next) == escape) {
                self.text.extend(next);
                index += 1;
            } else if byte == quote {
                match next {
                    Some(next) if next == quote => {
                        self.text.push(quote);
                        index += 1;
                    }
                    Some(next) if next == delimiter => return Ok(index + 1),
                    None => return Ok(line.len()),
                    // A quote in the middle stands for itself.
                    Some(_) => self.text.push(quote),
                }
            } else {
                self.text.push(byte);
            }
            index += 1;
        }
        let shown: String = String::from_utf8_lossy(line).chars().take(60).collect();
        Err(Fault::new(format!("a quoted value does not end on its line: {shown}"))
            .hint("values with line ends are not read from CSV; use Parquet or JSON"))
    }
}

/// Writes a field.
///
/// # Errors
/// A value that the form cannot hold.
pub fn put(out: &mut Vec<u8>, value: Option<&str>, options: &TextOptions) -> Outcome<()> {
    let Some(value) = value else {
        out.extend_from_slice(options.null.as_bytes());
        return Ok(());
    };
    let bytes = value.as_bytes();
    if bytes.contains(&b'\n') || bytes.contains(&b'\r') {
        return Err(Fault::new("a value with a line end cannot be kept in delimited text")
            .hint("replace it (regexp_replace), or use STORED AS PARQUET or JSON"));
    }
    let special = |byte: u8| byte == options.delimiter || Some(byte) == options.escape || Some(byte) == options.quote;
    match (options.quote, options.escape) {
        (Some(quote), escape) => {
            let needed = value == options.null
                || value.is_empty()
                || bytes.iter().any(|byte| special(*byte))
                || value.starts_with(' ')
                || value.ends_with(' ');
            if !needed {
                out.extend_from_slice(bytes);
                return Ok(());
            }
            out.push(quote);
            for byte in bytes {
                if *byte == quote || Some(*byte) == escape {
                    out.push(escape.unwrap_or(quote));
                }
                out.push(*byte);
            }
            out.push(quote);
        }
        (None, Some(escape)) => {
            for byte in bytes {
                if special(*byte) {
                    out.push(escape);
                }
                out.push(*byte);
            }
        }
        // As Hive does: without an escape a delimiter inside of a value begins a new field.
        (None, None) => out.extend_from_slice(bytes),
    }
    Ok(())
}
