//! A statement with its values, and the rows that come back, without saying which database it is for.
//!
//! Only three kinds of columns exist, the same in both databases: TEXT, BIGINT (also booleans as 0 and 1 and times in
//! microseconds) and bytes. So ordering and comparing cannot differ.

use foggara_domain::{Error, Timestamp};
use sqlx::{Row as _, postgres::PgRow, sqlite::SqliteRow};

/// A value for a placeholder.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// TEXT or null.
    Text(Option<String>),
    /// BIGINT or null.
    Int(Option<i64>),
    /// BLOB or BYTEA or null.
    Bytes(Option<Vec<u8>>),
}

macro_rules! texts {
    ($($from:ty),*) => { $(
        impl From<&$from> for Value { fn from(x: &$from) -> Self { Self::Text(Some(x.as_str().to_owned())) } }
        impl From<Option<&$from>> for Value { fn from(x: Option<&$from>) -> Self { Self::Text(x.map(|x| x.as_str().to_owned())) } }
    )* };
}

macro_rules! ints {
    ($($from:ty),*) => { $(
        impl From<$from> for Value { fn from(x: $from) -> Self { Self::Int(Some(i64::from(x))) } }
        impl From<Option<$from>> for Value { fn from(x: Option<$from>) -> Self { Self::Int(x.map(i64::from)) } }
    )* };
}

texts!(
    String,
    foggara_domain::ExecutionId,
    foggara_domain::JobId,
    foggara_domain::BinaryId,
    foggara_domain::InternalBinaryId,
    foggara_domain::DataSourceId,
    foggara_domain::ClusterId,
    foggara_domain::ClusterTemplateId,
    foggara_domain::NodeGroupTemplateId,
    foggara_domain::NodeGroupId,
    foggara_domain::InstanceId,
    foggara_domain::UserId,
    foggara_domain::ProjectId,
    foggara_domain::Tag
);
ints!(i64, i32, u32, bool);

impl From<&str> for Value {
    fn from(x: &str) -> Self {
        Self::Text(Some(x.to_owned()))
    }
}
impl From<Option<&str>> for Value {
    fn from(x: Option<&str>) -> Self {
        Self::Text(x.map(str::to_owned))
    }
}
impl From<String> for Value {
    fn from(x: String) -> Self {
        Self::Text(Some(x))
    }
}
impl From<Option<String>> for Value {
    fn from(x: Option<String>) -> Self {
        Self::Text(x)
    }
}
impl From<Timestamp> for Value {
    fn from(x: Timestamp) -> Self {
        Self::Int(Some(x.as_micros()))
    }
}
impl From<Option<Timestamp>> for Value {
    fn from(x: Option<Timestamp>) -> Self {
        Self::Int(x.map(Timestamp::as_micros))
    }
}
impl From<Vec<u8>> for Value {
    fn from(x: Vec<u8>) -> Self {
        Self::Bytes(Some(x))
    }
}
impl From<Option<Vec<u8>>> for Value {
    fn from(x: Option<Vec<u8>>) -> Self {
        Self::Bytes(x)
    }
}

/// A statement and its values. Placeholders are `$1`, `$2`, ... in both databases.
#[derive(Clone, Debug)]
pub struct Query {
    pub(crate) text: std::borrow::Cow<'static, str>,
    pub(crate) values: Vec<Value>,
}

/// Begins a statement. The text is a constant, or is put together from constants: never from what a caller sent.
pub fn sql(text: impl Into<std::borrow::Cow<'static, str>>) -> Query {
    Query { text: text.into(), values: Vec::new() }
}

impl Query {
    /// Adds the value of the next placeholder.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }
}

/// A row of an answer; columns are named as in the statement.
pub enum Row {
    /// From SQLite.
    Sqlite(SqliteRow),
    /// From PostgreSQL.
    Postgres(PgRow),
}

macro_rules! get {
    ($self:ident, $name:ident, $type:ty) => {
        match $self {
            Row::Sqlite(row) => row.try_get::<$type, _>($name),
            Row::Postgres(row) => row.try_get::<$type, _>($name),
        }
        .map_err(|error| Error::Internal(format!("column {}: {error}", $name)))
    };
}

impl Row {
    /// A TEXT column that is never null.
    pub fn text(&self, name: &str) -> Result<String, Error> {
        get!(self, name, String)
    }

    /// A TEXT column.
    pub fn text_or_null(&self, name: &str) -> Result<Option<String>, Error> {
        get!(self, name, Option<String>)
    }

    /// A BIGINT column that is never null.
    pub fn int(&self, name: &str) -> Result<i64, Error> {
        get!(self, name, i64)
    }

    /// A BIGINT column.
    pub fn int_or_null(&self, name: &str) -> Result<Option<i64>, Error> {
        get!(self, name, Option<i64>)
    }

    /// A BIGINT column that holds 0 or 1.
    pub fn flag(&self, name: &str) -> Result<bool, Error> {
        Ok(self.int(name)? != 0)
    }

    /// A BIGINT column that holds 0, 1 or null.
    pub fn flag_or_null(&self, name: &str) -> Result<Option<bool>, Error> {
        Ok(self.int_or_null(name)?.map(|flag| flag != 0))
    }

    /// A BIGINT column that holds a time.
    pub fn time(&self, name: &str) -> Result<Timestamp, Error> {
        Ok(Timestamp::from_micros(self.int(name)?))
    }

    /// A BIGINT column that holds a time.
    pub fn time_or_null(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        Ok(self.int_or_null(name)?.map(Timestamp::from_micros))
    }

    /// A column of bytes.
    pub fn bytes_or_null(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        get!(self, name, Option<Vec<u8>>)
    }
}
