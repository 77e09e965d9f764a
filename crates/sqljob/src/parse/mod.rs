//! A statement into what is to be done. Queries are parsed by sqlparser; the forms around them, whose clauses Hive and Spark
//! allow in more orders than sqlparser does, are read here from its tokens.

mod dml;
mod reader;
mod table;

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::{ast::Query, tokenizer::Location};
use foggara_domain::sql::SqlDialect;

pub use table::TableForm;

use self::reader::Reader;
use crate::{
    catalogue::{Column, Format, TextOptions},
    fault::{Fault, Outcome},
    script::Piece,
};

/// Name of a table.
#[derive(Debug, Clone)]
pub struct Name {
    /// As written; the current one when absent.
    pub database: Option<String>,
    /// In small letters.
    pub table: String,
    /// Where it stands.
    pub place: Location,
}

/// A value of a partition column; none: taken from the query.
pub type Partition = (String, Option<String>);

/// Where files go or come from, with their form.
#[derive(Debug, Clone)]
pub struct Files {
    /// As written.
    pub path: String,
    /// Where it stands.
    pub place: Location,
    /// How they are written.
    pub format: Format,
    /// How text is cut.
    pub text: TextOptions,
}

/// A statement.
#[derive(Debug)]
pub enum Order {
    /// Gives rows.
    Query(Box<Query>),
    /// Shows the plan.
    Explain(Box<Query>),
    /// CREATE TABLE in all its forms.
    CreateTable(Box<TableForm>),
    /// The text of the query is kept.
    CreateView { name: Name, columns: Vec<String>, replace: bool, if_not_exists: bool, text: String, query: Box<Query> },
    /// CREATE DATABASE or SCHEMA.
    CreateDatabase { name: String, if_not_exists: bool, place: Location },
    /// DROP DATABASE or SCHEMA.
    DropDatabase { name: String, if_exists: bool, cascade: bool, place: Location },
    /// DROP TABLE or VIEW.
    Drop { name: Name, if_exists: bool, view: bool },
    /// USE.
    Use { database: String, place: Location },
    /// SET key=value.
    Set { key: String, value: String },
    /// SET, or SET key.
    ShowSettings(Option<String>),
    /// SHOW DATABASES.
    ShowDatabases(Option<String>),
    /// SHOW TABLES.
    ShowTables { database: Option<String>, like: Option<String> },
    /// SHOW CREATE TABLE.
    ShowCreate(Name),
    /// SHOW COLUMNS.
    ShowColumns(Name),
    /// SHOW PARTITIONS.
    ShowPartitions(Name),
    /// DESCRIBE.
    Describe { name: Name, formatted: bool },
    /// DESCRIBE DATABASE.
    DescribeDatabase { database: String, place: Location },
    /// INSERT into a table.
    Insert { name: Name, overwrite: bool, partition: Vec<Partition>, columns: Vec<String>, query: Box<Query> },
    /// INSERT OVERWRITE DIRECTORY.
    InsertFolder { files: Files, query: Box<Query> },
    /// LOAD DATA.
    Load { path: String, place: Location, local: bool, overwrite: bool, name: Name, partition: Vec<Partition> },
    /// TRUNCATE TABLE.
    Truncate(Name),
    /// ALTER TABLE RENAME TO.
    Rename { from: Name, to: Name },
    /// ALTER TABLE ADD COLUMNS.
    AddColumns { name: Name, columns: Vec<Column> },
    /// ALTER TABLE ADD PARTITION.
    AddPartitions { name: Name, partitions: Vec<Vec<Partition>>, if_not_exists: bool },
    /// ALTER TABLE DROP PARTITION.
    DropPartitions { name: Name, partitions: Vec<Vec<Partition>>, if_exists: bool },
    /// ALTER TABLE SET TBLPROPERTIES.
    SetProperties { name: Name, properties: BTreeMap<String, String> },
    /// MSCK REPAIR TABLE: folders are listed at each reading.
    Repair(Name),
}

/// The word with which a statement begins, in capitals.
pub fn kind(piece: &Piece) -> String {
    let words = piece.text.split(|ch: char| !ch.is_ascii_alphabetic()).find(|word| !word.is_empty());
    words.unwrap_or("").to_uppercase()
}

/// Reads a statement.
///
/// # Errors
/// Wrong syntax; a form that does not run here, with a hint.
pub fn parse(piece: &Piece, dialect: SqlDialect) -> Outcome<Order> {
    // Hive cuts SET by hand too: the value is what follows up to the end, quotes and all.
    if kind(piece) == "SET" {
        return set(piece);
    }
    let words = crate::dialect::Words(dialect);
    let mut reader = Reader::new(piece, dialect, &words)?;
    let order = order(&mut reader)?;
    if !reader.ended() {
        return Err(reader.expected("the end of the statement"));
    }
    Ok(order)
}

/// Reads a query alone, as of a view.
///
/// # Errors
/// Wrong syntax.
pub fn query(piece: &Piece, dialect: SqlDialect) -> Outcome<Box<Query>> {
    let words = crate::dialect::Words(dialect);
    let mut reader = Reader::new(piece, dialect, &words)?;
    let query = reader.query()?;
    if reader.ended() { Ok(query) } else { Err(reader.expected("the end of the statement")) }
}

fn set(piece: &Piece) -> Outcome<Order> {
    let rest = piece.text[3..].trim();
    if rest.is_empty() || rest.eq_ignore_ascii_case("-v") {
        return Ok(Order::ShowSettings(None));
    }
    let Some((key, value)) = rest.split_once('=') else {
        if rest.split_whitespace().count() > 1 {
            return Err(Fault::new(format!("syntax error: SET {rest} is not understood"))
                .at(piece.start)
                .hint("SET key=value"));
        }
        return Ok(Order::ShowSettings(Some(rest.to_owned())));
    };
    let key = key.trim();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(Fault::new("syntax error: SET needs a name before the =").at(piece.start).hint("SET key=value"));
    }
    Ok(Order::Set { key: key.to_owned(), value: value.trim().to_owned() })
}

fn order(reader: &mut Reader<'_>) -> Outcome<Order> {
    let place = reader.place();
    if reader.at(&["SELECT"]) || reader.at(&["WITH"]) || reader.at(&["VALUES"]) || reader.at_open() {
        return Ok(Order::Query(reader.query()?));
    }
    if reader.take(&["EXPLAIN"]) {
        for word in ["EXTENDED", "FORMATTED", "CODEGEN", "COST", "ANALYZE", "DEPENDENCY", "AUTHORIZATION"] {
            if reader.at(&[word]) {
                return Err(reader.refused(&format!("EXPLAIN {word}"), "EXPLAIN alone shows the plan"));
            }
        }
        return Ok(Order::Explain(reader.query()?));
    }
    if reader.take(&["CREATE"]) {
        return table::create(reader);
    }
    if reader.take(&["DROP"]) {
        return drop(reader);
    }
    if reader.take(&["USE"]) {
        let place = reader.place();
        return Ok(Order::Use { database: reader.ident()?, place });
    }
    if reader.take(&["SHOW"]) {
        return show(reader);
    }
    if reader.take(&["DESCRIBE"]) || reader.take(&["DESC"]) {
        return describe(reader);
    }
    if reader.take(&["INSERT"]) {
        return dml::insert(reader);
    }
    if reader.take(&["LOAD", "DATA"]) {
        return dml::load(reader);
    }
    if reader.take(&["TRUNCATE"]) {
        reader.take(&["TABLE"]);
        return Ok(Order::Truncate(reader.name()?));
    }
    if reader.take(&["ALTER", "TABLE"]) {
        return table::alter(reader);
    }
    if reader.take(&["MSCK"]) {
        reader.take(&["REPAIR"]);
        reader.need(&["TABLE"])?;
        return Ok(Order::Repair(reader.name()?));
    }
    let refused: [(&[&str], &str, &str); 13] = [
        (
            &["ADD"],
            "ADD",
            "the program has no JVM and loads no jars or files; run the script on a cluster with Spark or Hive",
        ),
        (&["FROM"], "FROM .. INSERT", "write one INSERT statement for each table"),
        (&["DELETE"], "DELETE", "INSERT OVERWRITE TABLE t SELECT .. the rows to keep"),
        (&["UPDATE"], "UPDATE", "INSERT OVERWRITE TABLE t SELECT .. with CASE"),
        (&["MERGE"], "MERGE", "INSERT OVERWRITE TABLE t SELECT .. from a join"),
        (&["ANALYZE"], "ANALYZE", "leave it out; there are no stored statistics"),
        (&["CACHE"], "CACHE", "leave it out, or CREATE TABLE .. AS SELECT"),
        (&["UNCACHE"], "UNCACHE", "leave it out"),
        (&["REFRESH"], "REFRESH", "leave it out; folders are listed at each reading"),
        (&["GRANT"], "GRANT", "rights are those of the project"),
        (&["REVOKE"], "REVOKE", "rights are those of the project"),
        (&["EXPORT"], "EXPORT", "INSERT OVERWRITE DIRECTORY"),
        (&["IMPORT"], "IMPORT", "CREATE EXTERNAL TABLE .. LOCATION"),
    ];
    for (words, name, hint) in refused {
        if reader.at(words) {
            return Err(reader.refused(name, hint));
        }
    }
    Err(reader
        .expected(
            "a statement (SELECT, INSERT, CREATE, DROP, SHOW, DESCRIBE, USE, SET, LOAD DATA, ALTER TABLE, TRUNCATE)",
        )
        .at(place))
}

fn drop(reader: &mut Reader<'_>) -> Outcome<Order> {
    let place = reader.place();
    if reader.take(&["DATABASE"]) || reader.take(&["SCHEMA"]) {
        let if_exists = reader.take(&["IF", "EXISTS"]);
        let name = reader.ident()?;
        let cascade = reader.take(&["CASCADE"]);
        if !cascade {
            reader.take(&["RESTRICT"]);
        }
        return Ok(Order::DropDatabase { name, if_exists, cascade, place });
    }
    let view = reader.take(&["VIEW"]);
    if !view && !reader.take(&["TABLE"]) {
        return Err(reader.refused("DROP of this", "DROP TABLE, DROP VIEW and DROP DATABASE run"));
    }
    let if_exists = reader.take(&["IF", "EXISTS"]);
    let name = reader.name()?;
    reader.take(&["PURGE"]);
    Ok(Order::Drop { name, if_exists, view })
}

fn show(reader: &mut Reader<'_>) -> Outcome<Order> {
    if reader.take(&["DATABASES"]) || reader.take(&["SCHEMAS"]) {
        return Ok(Order::ShowDatabases(reader.like()?));
    }
    if reader.take(&["TABLES"]) || reader.take(&["VIEWS"]) {
        let database = if reader.take(&["IN"]) || reader.take(&["FROM"]) { Some(reader.ident()?) } else { None };
        return Ok(Order::ShowTables { database, like: reader.like()? });
    }
    if reader.take(&["CREATE"]) {
        if !reader.take(&["TABLE"]) {
            reader.need(&["VIEW"])?;
        }
        return Ok(Order::ShowCreate(reader.name()?));
    }
    if reader.take(&["COLUMNS"]) {
        if !reader.take(&["IN"]) {
            reader.need(&["FROM"])?;
        }
        return Ok(Order::ShowColumns(reader.name()?));
    }
    if reader.take(&["PARTITIONS"]) {
        return Ok(Order::ShowPartitions(reader.name()?));
    }
    Err(reader.refused("SHOW of this", "SHOW DATABASES, TABLES, CREATE TABLE, COLUMNS and PARTITIONS run"))
}

fn describe(reader: &mut Reader<'_>) -> Outcome<Order> {
    if reader.at(&["FUNCTION"]) {
        return Err(reader.refused("DESCRIBE FUNCTION", "the functions are listed in docs/sql.md"));
    }
    if reader.take(&["DATABASE"]) || reader.take(&["SCHEMA"]) {
        reader.take(&["EXTENDED"]);
        let place = reader.place();
        return Ok(Order::DescribeDatabase { database: reader.ident()?, place });
    }
    reader.take(&["TABLE"]);
    let formatted = reader.take(&["FORMATTED"]) || reader.take(&["EXTENDED"]);
    Ok(Order::Describe { name: reader.name()?, formatted })
}
