//! What is known of a table, as it stands in its file.

use std::collections::BTreeMap;

use foggara_domain::sql::SqlDialect;
use serde::{Deserialize, Serialize};

use crate::{
    fault::{Fault, Outcome},
    kind,
};

/// A table or a view.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    /// In small letters.
    pub name: String,
    /// Who owns the data.
    pub kind: Kind,
    /// Columns that stand in the files.
    pub columns: Vec<Column>,
    /// Columns that stand in the names of folders.
    #[serde(default)]
    pub partitions: Vec<Column>,
    /// How the files are written.
    pub format: Format,
    /// How text is cut into fields.
    #[serde(default)]
    pub text: TextOptions,
    /// Folder: an absolute path or the url of an object store. Empty for views.
    #[serde(default)]
    pub location: String,
    /// Of the owner.
    #[serde(default)]
    pub comment: Option<String>,
    /// TBLPROPERTIES; kept, shown, without effect other than what was read from them at the creation.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// Of a view.
    #[serde(default)]
    pub view: Option<View>,
    /// Seconds since 1970.
    pub created: u64,
}

/// Who owns the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// DROP TABLE removes the data.
    Managed,
    /// DROP TABLE leaves the data.
    External,
    /// No data.
    View,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// In small letters.
    pub name: String,
    /// In Hive's words.
    pub kind: String,
    /// Of the owner.
    #[serde(default)]
    pub comment: Option<String>,
}

/// How files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Delimited text without quotes, as Hive writes it.
    #[default]
    Text,
    /// Delimited text with quotes.
    Csv,
    /// One JSON object per line.
    Json,
    /// Apache Parquet.
    Parquet,
}

/// How text is cut into fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextOptions {
    /// Between fields; one byte.
    pub delimiter: u8,
    /// Around fields that hold the delimiter; none: quotes are ordinary characters.
    pub quote: Option<u8>,
    /// Before a character that stands for itself.
    pub escape: Option<u8>,
    /// Whether each file begins with a line of names.
    pub header: bool,
    /// What stands for NULL; an empty text in Spark's CSV, `\N` in Hive's.
    pub null: String,
}

impl Default for TextOptions {
    /// Hive's.
    fn default() -> Self {
        Self { delimiter: 1, quote: None, escape: None, header: false, null: "\\N".into() }
    }
}

impl TextOptions {
    /// Spark's `USING csv`.
    pub fn csv() -> Self {
        Self { delimiter: b',', quote: Some(b'"'), escape: Some(b'\\'), header: false, null: String::new() }
    }
}

/// The query of a view.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct View {
    /// As it was written.
    pub text: String,
    /// In which words.
    pub dialect: SqlDialect,
    /// Database in which its names are looked up.
    pub database: String,
}

impl Table {
    /// All columns, those of the folders last, as Hive shows them.
    pub fn all_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().chain(&self.partitions)
    }

    /// Checks names and types.
    ///
    /// # Errors
    /// A name that stands twice, a type that is unknown or that the format cannot hold.
    pub fn check(&self) -> Outcome<()> {
        let mut seen = std::collections::HashSet::new();
        for column in self.all_columns() {
            if !seen.insert(&column.name) {
                return Err(Fault::new(format!("column {} stands twice in table {}", column.name, self.name)));
            }
            let kind = kind::parse(&column.kind)?;
            if kind.is_nested() && matches!(self.format, Format::Text | Format::Csv) {
                return Err(Fault::new(format!(
                    "column {}: {} cannot be kept in delimited text here",
                    column.name, column.kind
                ))
                .hint("use STORED AS PARQUET or JSON"));
            }
        }
        for column in &self.partitions {
            if kind::parse(&column.kind)?.is_nested() {
                return Err(Fault::new(format!("column {}: a partition column has a plain type", column.name)));
            }
        }
        if self.columns.is_empty() && self.view.is_none() {
            return Err(Fault::new(format!("table {} has no columns", self.name))
                .hint("name them after the table: (a INT, b STRING)"));
        }
        Ok(())
    }
}
