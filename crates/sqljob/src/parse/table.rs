//! CREATE and ALTER: the clauses of tables, in any order.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::{ast::Query, tokenizer::Location, tokenizer::Token};
use foggara_domain::sql::SqlDialect;

use super::{Name, Order, reader::Reader};
use crate::{
    catalogue::{Column, Format, TextOptions},
    fault::{Fault, Outcome},
};

/// CREATE TABLE.
#[derive(Debug)]
pub struct TableForm {
    /// Its name.
    pub name: Name,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// EXTERNAL was said.
    pub external: bool,
    /// Columns of the files.
    pub columns: Vec<Column>,
    /// Columns of the folders.
    pub partitions: Vec<Column>,
    /// Names of partition columns that the query gives.
    pub partition_names: Vec<String>,
    /// How files are written.
    pub format: Format,
    /// How text is cut.
    pub text: TextOptions,
    /// As written, and where.
    pub location: Option<(String, Location)>,
    /// COMMENT.
    pub comment: Option<String>,
    /// TBLPROPERTIES.
    pub properties: BTreeMap<String, String>,
    /// LIKE.
    pub like: Option<Name>,
    /// AS.
    pub query: Option<Box<Query>>,
}

/// After CREATE.
pub fn create(reader: &mut Reader<'_>) -> Outcome<Order> {
    let place = reader.place();
    if reader.take(&["DATABASE"]) || reader.take(&["SCHEMA"]) {
        let if_not_exists = reader.take(&["IF", "NOT", "EXISTS"]);
        let name = reader.ident()?;
        if reader.take(&["COMMENT"]) {
            reader.string()?;
        }
        if reader.at(&["LOCATION"]) || reader.at(&["MANAGEDLOCATION"]) {
            return Err(reader.refused("a database with a LOCATION", "leave it out; give tables a LOCATION"));
        }
        if reader.take(&["WITH", "DBPROPERTIES"]) {
            reader.properties()?;
        }
        return Ok(Order::CreateDatabase { name, if_not_exists, place });
    }
    let replace = reader.take(&["OR", "REPLACE"]);
    if reader.take(&["VIEW"]) {
        let if_not_exists = reader.take(&["IF", "NOT", "EXISTS"]);
        let name = reader.name()?;
        let columns = if reader.at_open() { reader.idents()? } else { Vec::new() };
        if reader.take(&["COMMENT"]) {
            reader.string()?;
        }
        if reader.take(&["TBLPROPERTIES"]) {
            reader.properties()?;
        }
        reader.need(&["AS"])?;
        let text = reader.rest();
        let query = reader.query()?;
        return Ok(Order::CreateView { name, columns, replace, if_not_exists, text, query });
    }
    if replace {
        return Err(reader.refused("CREATE OR REPLACE of a table", "DROP TABLE IF EXISTS t; CREATE TABLE t"));
    }
    for (word, hint) in [
        ("TEMPORARY", "a table or view of the catalogue does; drop it at the end"),
        ("GLOBAL", "CREATE VIEW"),
        ("FUNCTION", "the functions that run are listed in docs/sql.md; run others on a cluster with Spark or Hive"),
        ("MATERIALIZED", "CREATE TABLE .. AS SELECT"),
        ("INDEX", "leave it out; use PARTITIONED BY or STORED AS PARQUET"),
    ] {
        if reader.at(&[word]) {
            return Err(reader.refused(&format!("CREATE {word}"), hint));
        }
    }
    let external = reader.take(&["EXTERNAL"]);
    reader.need(&["TABLE"])?;
    let if_not_exists = reader.take(&["IF", "NOT", "EXISTS"]);
    let name = reader.name()?;
    let like = if reader.take(&["LIKE"]) { Some(reader.name()?) } else { None };
    let columns = if reader.at_open() { reader.columns()? } else { Vec::new() };
    let mut clauses = Clauses::default();
    while clauses.read(reader)? {}
    let query = if reader.take(&["AS"]) || reader.at(&["SELECT"]) || reader.at(&["WITH"]) {
        Some(reader.query()?)
    } else {
        None
    };
    let (format, text) = clauses.format(reader.dialect)?;
    Ok(Order::CreateTable(Box::new(TableForm {
        name,
        if_not_exists,
        external,
        columns,
        partitions: clauses.partitions,
        partition_names: clauses.partition_names,
        format,
        text,
        location: clauses.location,
        comment: clauses.comment,
        properties: clauses.properties,
        like,
        query,
    })))
}

/// ROW FORMAT, STORED AS, USING and OPTIONS before a query.
pub fn form(reader: &mut Reader<'_>) -> Outcome<(Format, TextOptions)> {
    let mut clauses = Clauses::default();
    while !reader.at(&["SELECT"]) && !reader.at(&["WITH"]) && clauses.read(reader)? {}
    clauses.format(reader.dialect)
}

/// What the clauses said.
#[derive(Default)]
struct Clauses {
    partitions: Vec<Column>,
    partition_names: Vec<String>,
    location: Option<(String, Location)>,
    comment: Option<String>,
    properties: BTreeMap<String, String>,
    options: BTreeMap<String, String>,
    delimited: Option<TextOptions>,
    serde: Option<(String, Location)>,
    stored: Option<(String, Location)>,
    using: bool,
}

impl Clauses {
    /// Reads one clause; false when none is next.
    fn read(&mut self, reader: &mut Reader<'_>) -> Outcome<bool> {
        let place = reader.place();
        if reader.take(&["COMMENT"]) {
            self.comment = Some(reader.string()?);
        } else if reader.take(&["PARTITIONED", "BY"]) {
            if reader.names_only() {
                self.partition_names = reader.idents()?;
            } else {
                self.partitions = reader.columns()?;
            }
        } else if reader.take(&["ROW", "FORMAT", "DELIMITED"]) {
            self.delimited = Some(delimited(reader)?);
        } else if reader.take(&["ROW", "FORMAT", "SERDE"]) {
            self.serde = Some((reader.string()?, place));
            if reader.take(&["WITH", "SERDEPROPERTIES"]) {
                self.options.extend(reader.properties()?);
            }
        } else if reader.take(&["STORED", "AS"]) {
            if reader.at(&["INPUTFORMAT"]) {
                return Err(reader.refused("STORED AS INPUTFORMAT", "STORED AS TEXTFILE, PARQUET or JSON"));
            }
            self.stored = Some((reader.value()?, place));
        } else if reader.at(&["STORED", "BY"]) {
            return Err(reader.refused("STORED BY", "STORED AS TEXTFILE, PARQUET or JSON"));
        } else if reader.take(&["USING"]) {
            self.stored = Some((reader.value()?, place));
            self.using = true;
        } else if reader.take(&["OPTIONS"]) {
            self.options.extend(reader.properties()?);
        } else if reader.dialect == SqlDialect::Presto && reader.take(&["WITH"]) {
            let mut found = reader.properties()?;
            if let Some(format) = found.remove("format") {
                self.stored = Some((format, place));
            }
            if let Some(location) = found.remove("external_location") {
                self.location = Some((location, place));
            }
            self.properties.extend(found);
        } else if reader.take(&["LOCATION"]) {
            let place = reader.place();
            self.location = Some((reader.string()?, place));
        } else if reader.take(&["TBLPROPERTIES"]) {
            self.properties.extend(reader.properties()?);
        } else if reader.at(&["CLUSTERED"]) || reader.at(&["SKEWED"]) {
            return Err(reader.refused("CLUSTERED BY and SKEWED BY", "leave it out; PARTITIONED BY runs"));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn format(&self, dialect: SqlDialect) -> Outcome<(Format, TextOptions)> {
        let mut format = match &self.stored {
            None if dialect == SqlDialect::Presto => Format::Parquet,
            None => Format::Text,
            Some((name, place)) => match name.to_lowercase().as_str() {
                "textfile" | "text" if !self.using => Format::Text,
                "csv" => Format::Csv,
                "json" | "jsonfile" => Format::Json,
                "parquet" => Format::Parquet,
                "hive" => Format::Text,
                other => {
                    return Err(Fault::new(format!("files of the format {} are not read here", other.to_uppercase()))
                        .at(*place)
                        .hint("PARQUET, JSON, TEXTFILE and CSV are; convert the files with Spark"));
                }
            },
        };
        let mut text = self.delimited.clone().unwrap_or_default();
        if let Some((class, place)) = &self.serde {
            match class.rsplit('.').next().unwrap_or(class) {
                "LazySimpleSerDe" => {}
                "OpenCSVSerde" => {
                    format = Format::Csv;
                    text = TextOptions { null: "\\N".into(), ..TextOptions::csv() };
                }
                "JsonSerDe" => format = Format::Json,
                "ParquetHiveSerDe" => format = Format::Parquet,
                _ => {
                    return Err(Fault::new(format!("the row format {class} does not run here"))
                        .at(*place)
                        .hint("ROW FORMAT DELIMITED, OpenCSVSerde, JsonSerDe and PARQUET do"));
                }
            }
        } else if format == Format::Csv && self.delimited.is_none() {
            text = TextOptions::csv();
        }
        for (key, value) in self.options.iter().chain(&self.properties) {
            option(&mut text, key, value)?;
        }
        for (key, value) in &self.options {
            if !known(key) {
                return Err(Fault::new(format!("option {key}={value} is not known here"))
                    .hint("known are header, sep, delimiter, quote, escape, nullValue and inferSchema"));
            }
        }
        Ok((format, text))
    }
}

fn known(key: &str) -> bool {
    let known = [
        "header",
        "sep",
        "delimiter",
        "quote",
        "escape",
        "nullvalue",
        "inferschema",
        "field.delim",
        "separatorchar",
        "quotechar",
        "escapechar",
        "serialization.format",
        "serialization.null.format",
        "path",
        "compression",
        "mode",
        "encoding",
        "charset",
    ];
    known.contains(&key.to_lowercase().as_str())
}

/// An option of Spark's CSV or a property of Hive's text.
fn option(text: &mut TextOptions, key: &str, value: &str) -> Outcome<()> {
    match key.to_lowercase().as_str() {
        "sep" | "delimiter" | "field.delim" | "separatorchar" => text.delimiter = byte(value)?,
        "quote" | "quotechar" => text.quote = if value.is_empty() { None } else { Some(byte(value)?) },
        "escape" | "escapechar" => text.escape = if value.is_empty() { None } else { Some(byte(value)?) },
        "nullvalue" | "serialization.null.format" => text.null = value.to_owned(),
        "header" => text.header = value.eq_ignore_ascii_case("true"),
        "skip.header.line.count" => {
            text.header = match value {
                "0" => false,
                "1" => true,
                _ => return Err(Fault::new("skip.header.line.count can only be 0 or 1 here")),
            }
        }
        "skip.footer.line.count" if value != "0" => return Err(Fault::new("skip.footer.line.count does not run here")),
        "compression" if !["none", "uncompressed", ""].contains(&value.to_lowercase().as_str()) => {
            return Err(Fault::new(format!("text compressed with {value} does not run here")).hint("use PARQUET"));
        }
        "inferschema" if value.eq_ignore_ascii_case("true") => {
            return Err(Fault::new("inferSchema does not run here").hint("name the columns with their types"));
        }
        "mode" if !value.eq_ignore_ascii_case("permissive") => {
            return Err(
                Fault::new(format!("mode {value} does not run here")).hint("values that cannot be read become NULL")
            );
        }
        "encoding" | "charset" if !["utf-8", "utf8", "us-ascii"].contains(&value.to_lowercase().as_str()) => {
            return Err(Fault::new(format!("encoding {value} does not run here")).hint("text is UTF-8"));
        }
        _ => {}
    }
    Ok(())
}

/// A delimiter: a character, `\t`, or its number as Hive writes it.
fn byte(value: &str) -> Outcome<u8> {
    let unescaped = match value {
        "\\t" => "\t",
        "\\n" => "\n",
        other => other,
    };
    if let [one] = unescaped.as_bytes() {
        return Ok(*one);
    }
    let octal = unescaped.strip_prefix('\\').map(|digits| digits.trim_start_matches('u'));
    if let Some(number) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
        return Ok(number);
    }
    // `'\001'` reaches here as the characters 00 and 1, since the tokenizer knows \0 only.
    if let Some(rest) = unescaped.strip_prefix('\0')
        && let Ok(number) = u8::from_str_radix(rest, 8)
    {
        return Ok(number);
    }
    if unescaped.len() > 1
        && let Ok(number) = unescaped.parse::<u8>()
    {
        return Ok(number);
    }
    Err(Fault::new(format!("{value:?} is not a delimiter that is known here"))
        .hint("one ASCII character, or '\\t', or '\\001'"))
}

/// After ROW FORMAT DELIMITED.
fn delimited(reader: &mut Reader<'_>) -> Outcome<TextOptions> {
    let mut text = TextOptions::default();
    loop {
        let place = reader.place();
        if reader.take(&["FIELDS", "TERMINATED", "BY"]) {
            text.delimiter = byte(&reader.string()?).map_err(|fault| fault.at(place))?;
        } else if reader.take(&["ESCAPED", "BY"]) {
            text.escape = Some(byte(&reader.string()?).map_err(|fault| fault.at(place))?);
        } else if reader.take(&["LINES", "TERMINATED", "BY"]) {
            if byte(&reader.string()?).map_err(|fault| fault.at(place))? != b'\n' {
                return Err(Fault::new("lines end with '\\n' here").at(place));
            }
        } else if reader.take(&["NULL", "DEFINED", "AS"]) {
            text.null = reader.string()?;
        } else if reader.take(&["COLLECTION", "ITEMS", "TERMINATED", "BY"])
            || reader.take(&["MAP", "KEYS", "TERMINATED", "BY"])
        {
            // Columns that would need them are refused with the table.
            reader.string()?;
        } else {
            return Ok(text);
        }
    }
}

/// After ALTER TABLE.
pub fn alter(reader: &mut Reader<'_>) -> Outcome<Order> {
    let name = reader.name()?;
    if reader.take(&["RENAME", "TO"]) {
        return Ok(Order::Rename { from: name, to: reader.name()? });
    }
    if reader.take(&["SET", "TBLPROPERTIES"]) {
        return Ok(Order::SetProperties { name, properties: reader.properties()? });
    }
    if reader.take(&["ADD", "COLUMNS"]) {
        return Ok(Order::AddColumns { name, columns: reader.columns()? });
    }
    let add = reader.take(&["ADD"]);
    if add || reader.take(&["DROP"]) {
        let condition = if add { reader.take(&["IF", "NOT", "EXISTS"]) } else { reader.take(&["IF", "EXISTS"]) };
        let mut partitions = Vec::new();
        while reader.take(&["PARTITION"]) {
            partitions.push(reader.partition()?);
            if reader.at(&["LOCATION"]) {
                return Err(
                    reader.refused("a partition with a LOCATION of its own", "the folder is <table>/<column>=<value>")
                );
            }
            reader.take_token(&Token::Comma);
        }
        if partitions.is_empty() {
            return Err(reader.expected("PARTITION or COLUMNS"));
        }
        return Ok(if add {
            Order::AddPartitions { name, partitions, if_not_exists: condition }
        } else {
            Order::DropPartitions { name, partitions, if_exists: condition }
        });
    }
    Err(reader
        .refused("this ALTER TABLE", "RENAME TO, ADD COLUMNS, ADD PARTITION, DROP PARTITION and SET TBLPROPERTIES run"))
}
