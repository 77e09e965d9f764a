//! A session at HiveServer2: statements, their states and rows. Numbers of fields and states are those of TCLIService.thrift.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    address::{Address, Login},
    wire::{Broken, Value, Wire},
};

/// `HIVE_CLI_SERVICE_PROTOCOL_V8`: rows by columns, known to Hive 1.2 and newer and to Spark.
const PROTOCOL: i32 = 7;
/// Rows fetched at once.
const ROWS: i64 = 500;
/// Status codes.
const INVALID_HANDLE: i64 = 4;

/// Names a session for ever: with it every connection can close it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Handle {
    guid: Vec<u8>,
    secret: Vec<u8>,
}

impl Handle {
    #[cfg(test)]
    pub fn named(guid: &[u8], secret: &[u8]) -> Self {
        Self { guid: guid.to_vec(), secret: secret.to_vec() }
    }

    fn value(&self) -> Value {
        let id = Value::fields([(1, Value::Bytes(self.guid.clone())), (2, Value::Bytes(self.secret.clone()))]);
        Value::fields([(1, id)])
    }

    fn of(value: &Value) -> Option<Self> {
        let id = value.field(1)?;
        match (id.field(1)?, id.field(2)?) {
            (Value::Bytes(guid), Value::Bytes(secret)) => Some(Self { guid: guid.clone(), secret: secret.clone() }),
            _ => None,
        }
    }
}

/// Why something came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server cannot be asked, or its answer was lost.
    Broken(Broken),
    /// It said no, with its words.
    Refused(String),
    /// It does not know the session or the statement.
    Unknown,
}

impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl Trouble {
    /// For a person.
    pub fn words(&self) -> String {
        match self {
            Self::Broken(Broken::NotSent(why) | Broken::Lost(why)) | Self::Refused(why) => why.clone(),
            Self::Unknown => "the server does not know the session any more: it was restarted, or closed it".to_owned(),
        }
    }
}

/// A statement that the server works at.
pub(super) struct Operation {
    handle: Value,
    /// Whether it gives rows.
    pub has_rows: bool,
}

/// A piece of the rows: each value as text.
pub(super) type Rows = Vec<Vec<Option<String>>>;

/// An open session.
pub(super) struct Session {
    wire: Wire,
    pub handle: Handle,
}

/// Closes a session from elsewhere. When this is well, nothing that it ran goes on.
pub(super) fn close(address: &Address, login: &Login, handle: &Handle, patience: Duration) -> Result<(), Trouble> {
    let mut wire = Wire::open(address, login, patience)?;
    let answer = wire.call("CloseSession", Value::fields([(1, handle.value())]))?;
    match checked(answer) {
        // It is closed already, or went with the server's process.
        Ok(_) | Err(Trouble::Unknown) => Ok(()),
        Err(trouble) => Err(trouble),
    }
}

/// Whether the server still has a session.
pub(super) fn is_open(address: &Address, login: &Login, handle: &Handle, patience: Duration) -> Result<bool, Trouble> {
    let mut wire = Wire::open(address, login, patience)?;
    // The lightest call of a session. `GetInfo` would be lighter, but a server that does not know the session breaks off its answer.
    match checked(wire.call("GetCatalogs", Value::fields([(1, handle.value())]))?) {
        Err(Trouble::Unknown) => Ok(false),
        Err(Trouble::Broken(broken)) => Err(broken.into()),
        // A server that refuses it for another reason has the session.
        Ok(_) | Err(Trouble::Refused(_)) => Ok(true),
    }
}

/// An answer whose status says that all went well.
fn checked(answer: Value) -> Result<Value, Trouble> {
    let status = answer.field(1);
    let part = |id| status.and_then(|status| status.field(id));
    // SUCCESS, SUCCESS_WITH_INFO
    let code = part(1).and_then(Value::number);
    if matches!(code, Some(0 | 1)) {
        return Ok(answer);
    }
    let message = part(5).and_then(Value::string).unwrap_or_else(|| "it does not say why".to_owned());
    // Of a call in a session that is gone, and of its second close.
    let is_unknown = ["Invalid SessionHandle", "Session does not exist"].iter().any(|words| message.contains(words));
    if code == Some(INVALID_HANDLE) || is_unknown {
        return Err(Trouble::Unknown);
    }
    Err(Trouble::Refused(plain(&message)))
}

/// What a person can use of an error: without the places in the server's code, and without the names of Java's classes before it.
pub(super) fn plain(message: &str) -> String {
    let lines = message.lines().map(str::trim).take_while(|line| !line.starts_with("Caused by:"));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("at ") && !line.starts_with("... "));
    let mut text = lines.collect::<Vec<_>>().join(" ");
    while let Some((class, rest)) = text.split_once(": ") {
        let is_class = class.contains('.') && !class.contains(char::is_whitespace);
        if !is_class || rest.is_empty() {
            break;
        }
        text = rest.to_owned();
    }
    text.chars().take(2000).collect()
}

impl Session {
    /// Opens a session in a database, with settings that no statement shows.
    pub fn open(
        address: &Address,
        login: &Login,
        database: &str,
        settings: &[(String, String)],
        patience: Duration,
    ) -> Result<Self, Trouble> {
        let mut wire = Wire::open(address, login, patience)?;
        let mut pairs = vec![(Value::text("use:database"), Value::text(database))];
        pairs.extend(
            settings.iter().map(|(key, value)| (Value::text(&format!("set:hiveconf:{key}")), Value::text(value))),
        );
        let request = Value::fields([
            (1, Value::I32(PROTOCOL)),
            (2, Value::text(&login.user)),
            (3, Value::text(login.password.reveal())),
            (4, Value::Map(pairs)),
        ]);
        let answer = checked(wire.call("OpenSession", request)?)?;
        let handle = answer.field(3).and_then(Handle::of);
        let lost = || Broken::Lost(format!("{} opened a session and did not name it", address.server()));
        Ok(Self { wire, handle: handle.ok_or_else(lost)? })
    }

    /// Begins a statement; it goes on by itself.
    pub fn execute(&mut self, statement: &str) -> Result<Operation, Trouble> {
        let request = Value::fields([
            (1, self.handle.value()),
            (2, Value::text(statement)),
            (3, Value::Map(Vec::new())),
            (4, Value::Bool(true)),
        ]);
        let answer = checked(self.wire.call("ExecuteStatement", request)?)?;
        let lost = || Broken::Lost("the server began a statement and did not name it".to_owned());
        let handle = answer.field(2).cloned().ok_or_else(lost)?;
        let has_rows = handle.field(3) == Some(&Value::Bool(true));
        Ok(Operation { handle, has_rows })
    }

    /// Whether a statement is over; the server takes a few seconds for a no. An end that is not good is an error.
    pub fn is_over(&mut self, operation: &mut Operation) -> Result<bool, Trouble> {
        let request = Value::fields([(1, operation.handle.clone())]);
        let answer = checked(self.wire.call("GetOperationStatus", request)?)?;
        if let Some(Value::Bool(has_rows)) = answer.field(9) {
            operation.has_rows = *has_rows;
        }
        match answer.field(2).and_then(Value::number) {
            // INITIALIZED, RUNNING, PENDING
            Some(0 | 1 | 7) => Ok(false),
            // FINISHED
            Some(2) => Ok(true),
            Some(3 | 4) => Err(Trouble::Refused("it was cancelled at the server".to_owned())),
            Some(8) => Err(Trouble::Refused("the server ended it: it took longer than the server allows".to_owned())),
            state => {
                let said = answer.field(5).and_then(Value::string).map(|text| plain(&text));
                Err(Trouble::Refused(said.unwrap_or_else(|| format!("it ended in state {state:?} without a reason"))))
            }
        }
    }

    /// The names of a statement's columns.
    pub fn columns(&mut self, operation: &Operation) -> Result<Vec<String>, Trouble> {
        let request = Value::fields([(1, operation.handle.clone())]);
        let answer = checked(self.wire.call("GetResultSetMetadata", request)?)?;
        let columns = answer.field(2).and_then(|schema| schema.field(1)).map(Value::list).unwrap_or_default();
        Ok(columns.iter().map(|column| column.field(1).and_then(Value::string).unwrap_or_default()).collect())
    }

    /// The next rows; none at the end.
    pub fn rows(&mut self, operation: &Operation) -> Result<Rows, Trouble> {
        let request = Value::fields([(1, operation.handle.clone()), (2, Value::I32(0)), (3, Value::I64(ROWS))]);
        let answer = checked(self.wire.call("FetchResults", request)?)?;
        let columns = answer.field(3).and_then(|rows| rows.field(3)).map(Value::list).unwrap_or_default();
        let columns: Vec<Vec<Option<String>>> = columns.iter().map(column).collect();
        let height = columns.first().map_or(0, Vec::len);
        Ok((0..height).map(|row| columns.iter().map(|column| column.get(row).cloned().flatten()).collect()).collect())
    }

    /// What the server noted of a statement since it was last asked; nothing where it keeps no such notes.
    pub fn notes(&mut self, operation: &Operation) -> Result<Vec<String>, Trouble> {
        let request = Value::fields([
            (1, operation.handle.clone()),
            (2, Value::I32(0)),
            (3, Value::I64(ROWS)),
            (4, Value::I16(1)),
        ]);
        let answer = checked(self.wire.call("FetchResults", request)?)?;
        let columns = answer.field(3).and_then(|rows| rows.field(3)).map(Value::list).unwrap_or_default();
        Ok(columns.first().map(column).unwrap_or_default().into_iter().flatten().collect())
    }

    /// Gives up what the server keeps of a statement.
    pub fn done(&mut self, operation: &Operation) -> Result<(), Trouble> {
        let request = Value::fields([(1, operation.handle.clone())]);
        checked(self.wire.call("CloseOperation", request)?).map(drop)
    }
}

/// A column is a union of lists by type, each with a bitmap of its nulls.
fn column(column: &Value) -> Vec<Option<String>> {
    let Value::Struct(fields) = column else { return Vec::new() };
    let Some(column) = fields.values().next() else { return Vec::new() };
    let nulls = match column.field(2) {
        Some(Value::Bytes(bits)) => bits.as_slice(),
        _ => &[],
    };
    let is_null = |row: usize| nulls.get(row / 8).is_some_and(|bits| bits & (1 << (row % 8)) != 0);
    let values = column.field(1).map(Value::list).unwrap_or_default();
    values.iter().enumerate().map(|(row, value)| (!is_null(row)).then(|| text(value))).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Bool(it) => it.to_string(),
        Value::Double(it) => double(*it),
        other => other.number().map(|number| number.to_string()).or_else(|| other.string()).unwrap_or_default(),
    }
}

/// As Java and with it Hive writes a double.
fn double(number: f64) -> String {
    let size = number.abs();
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{number:?}");
    }
    let text = format!("{number:E}");
    match text.split_once('E') {
        Some((digits, power)) if !digits.contains('.') => format!("{digits}.0E{power}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_texts() {
        let strings = Value::fields([(
            7,
            Value::fields([
                (1, Value::List(vec![Value::text("a"), Value::text(""), Value::text("")])),
                (2, Value::Bytes(vec![0b100])),
            ]),
        )]);
        assert_eq!(column(&strings), [Some("a".to_owned()), Some(String::new()), None]);
        for (number, wanted) in [
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (1e7, "1.0E7"),
            (1.25e-5, "1.25E-5"),
            (f64::INFINITY, "Infinity"),
            (0.0, "0.0"),
        ] {
            assert_eq!(double(number), wanted);
        }
    }

    #[test]
    fn errors_lose_what_only_the_server_s_authors_need() {
        let said = "org.apache.hive.service.cli.HiveSQLException: Error running query: [PARSE_SYNTAX_ERROR] \
                    org.apache.spark.sql.catalyst.parser.ParseException: \nSyntax error at or near 'selec'. (line 1, pos 0)\n\tat a.b.C.d(E.scala:1)\n\
                    Caused by: x";
        let text = plain(said);
        assert!(text.starts_with("Error running query") && text.ends_with("(line 1, pos 0)"), "{text}");
    }
}
