//! Calls of TCLIService in Thrift's binary protocol, over a stream or over HTTP. The structs of the service are read and written as
//! values by field number, since the few that are used here are a small part of its interface.

use std::{collections::BTreeMap, time::Duration};

use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TFieldIdentifier, TInputProtocol, TMapIdentifier, TMessageIdentifier,
    TMessageType, TOutputProtocol, TStructIdentifier, TType,
};

use super::{
    address::{Address, Login},
    connection,
    http::Http,
};

/// A value of Thrift.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    Double(f64),
    Bytes(Vec<u8>),
    Struct(Fields),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

/// A struct by its fields' numbers.
pub(super) type Fields = BTreeMap<i16, Value>;

impl Value {
    pub fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }

    pub fn fields(fields: impl IntoIterator<Item = (i16, Self)>) -> Self {
        Self::Struct(fields.into_iter().collect())
    }

    /// A field of a struct; nothing where it is none or lacks the field.
    pub fn field(&self, id: i16) -> Option<&Self> {
        match self {
            Self::Struct(fields) => fields.get(&id),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<i64> {
        match self {
            Self::I8(number) => Some(i64::from(*number)),
            Self::I16(number) => Some(i64::from(*number)),
            Self::I32(number) => Some(i64::from(*number)),
            Self::I64(number) => Some(*number),
            _ => None,
        }
    }

    pub fn string(&self) -> Option<String> {
        match self {
            Self::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }

    const fn kind(&self) -> TType {
        match self {
            Self::Bool(_) => TType::Bool,
            Self::I8(_) => TType::I08,
            Self::I16(_) => TType::I16,
            Self::I32(_) => TType::I32,
            Self::I64(_) => TType::I64,
            Self::Double(_) => TType::Double,
            Self::Bytes(_) => TType::String,
            Self::Struct(_) => TType::Struct,
            Self::List(_) => TType::List,
            Self::Map(_) => TType::Map,
        }
    }
}

/// Why a call got no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// No connection came about.
    NotSent(String),
    /// It broke, or what answered is something else.
    Lost(String),
}

/// What calls go over.
pub(super) enum Line {
    /// Bytes that go on.
    Stream {
        /// Of the server's words.
        input: Box<dyn TInputProtocol + Send>,
        /// Of ours.
        output: Box<dyn TOutputProtocol + Send>,
    },
    /// A request of HTTP for each call.
    Http(Http),
}

/// A connection of one caller.
pub(super) struct Wire {
    line: Line,
    called: i32,
    server: String,
}

impl Wire {
    /// Connects and logs in. An answer of a later call may take `patience`.
    pub fn open(address: &Address, login: &Login, patience: Duration) -> Result<Self, Broken> {
        let line = match &address.http_path {
            Some(path) => Http::new(address, path, login, patience).map(Line::Http),
            None => connection::open(address, login, patience),
        };
        Ok(Self { line: line.map_err(Broken::NotSent)?, called: 0, server: address.server() })
    }

    /// Calls a function whose only argument is a struct, and gives the struct that it answers with.
    pub fn call(&mut self, function: &str, request: Value) -> Result<Value, Broken> {
        self.ask(function, request).map_err(|error| {
            let what = match &error {
                // Requests have no connection of their own that could break off.
                thrift::Error::Transport(error) if matches!(self.line, Line::Http(_)) => error.message.clone(),
                thrift::Error::Transport(error) => {
                    format!("the connection to {} broke off: {}", self.server, error.message)
                }
                thrift::Error::Protocol(error) => {
                    format!("{} does not answer as HiveServer2 does: {}", self.server, error.message)
                }
                thrift::Error::Application(error) => format!("{} refuses {function}: {}", self.server, error.message),
                thrift::Error::User(error) => format!("{}: {error}", self.server),
            };
            Broken::Lost(what)
        })
    }

    fn ask(&mut self, function: &str, request: Value) -> thrift::Result<Value> {
        self.called += 1;
        match &mut self.line {
            Line::Stream { input, output } => {
                put(output.as_mut(), function, self.called, request)?;
                take(input.as_mut())
            }
            Line::Http(http) => {
                let mut bytes = Vec::new();
                put(&mut TBinaryOutputProtocol::new(&mut bytes, true), function, self.called, request)?;
                let answer = http.post(bytes).map_err(|why| {
                    thrift::Error::Transport(thrift::TransportError::new(thrift::TransportErrorKind::Unknown, why))
                })?;
                take(&mut TBinaryInputProtocol::new(answer.as_slice(), true))
            }
        }
    }
}

fn put(output: &mut dyn TOutputProtocol, function: &str, called: i32, request: Value) -> thrift::Result<()> {
    output.write_message_begin(&TMessageIdentifier::new(function, TMessageType::Call, called))?;
    write(output, &Value::fields([(1, request)]))?;
    output.write_message_end()?;
    output.flush()
}

fn take(input: &mut dyn TInputProtocol) -> thrift::Result<Value> {
    let head = input.read_message_begin()?;
    if head.message_type == TMessageType::Exception {
        let error = thrift::Error::read_application_error_from_in_protocol(input)?;
        input.read_message_end()?;
        return Err(thrift::Error::Application(error));
    }
    let answer = read(input, TType::Struct)?;
    input.read_message_end()?;
    match answer {
        Value::Struct(mut fields) => fields.remove(&0),
        _ => None,
    }
    .ok_or_else(|| thrift::Error::from("an answer without a result"))
}

pub(super) fn write(out: &mut dyn TOutputProtocol, value: &Value) -> thrift::Result<()> {
    match value {
        Value::Bool(it) => out.write_bool(*it),
        Value::I8(it) => out.write_i8(*it),
        Value::I16(it) => out.write_i16(*it),
        Value::I32(it) => out.write_i32(*it),
        Value::I64(it) => out.write_i64(*it),
        Value::Double(it) => out.write_double(*it),
        Value::Bytes(it) => out.write_bytes(it),
        Value::Struct(fields) => {
            out.write_struct_begin(&TStructIdentifier::new(""))?;
            for (id, field) in fields {
                out.write_field_begin(&TFieldIdentifier::new("", field.kind(), *id))?;
                write(out, field)?;
                out.write_field_end()?;
            }
            out.write_field_stop()?;
            out.write_struct_end()
        }
        Value::Map(pairs) => {
            let size = i32::try_from(pairs.len()).unwrap_or(i32::MAX);
            out.write_map_begin(&TMapIdentifier::new(TType::String, TType::String, size))?;
            for (key, value) in pairs {
                write(out, key)?;
                write(out, value)?;
            }
            out.write_map_end()
        }
        // No request holds a list.
        Value::List(_) => Err(thrift::Error::from("a list cannot be sent")),
    }
}

/// How deep an answer may be nested: those of HiveServer2 are less than ten.
const DEEPEST: u8 = 32;

pub(super) fn read(input: &mut dyn TInputProtocol, kind: TType) -> thrift::Result<Value> {
    nested(input, kind, DEEPEST)
}

fn nested(input: &mut dyn TInputProtocol, kind: TType, left: u8) -> thrift::Result<Value> {
    // Thrift's library counts structures only, and the stack is not without end.
    let left = left.checked_sub(1).ok_or_else(|| thrift::Error::from("an answer that is nested too deeply"))?;
    Ok(match kind {
        TType::Bool => Value::Bool(input.read_bool()?),
        TType::I08 => Value::I8(input.read_i8()?),
        TType::I16 => Value::I16(input.read_i16()?),
        TType::I32 => Value::I32(input.read_i32()?),
        TType::I64 => Value::I64(input.read_i64()?),
        TType::Double => Value::Double(input.read_double()?),
        TType::String => Value::Bytes(input.read_bytes()?),
        TType::Struct => {
            let mut fields = Fields::new();
            input.read_struct_begin()?;
            loop {
                let field = input.read_field_begin()?;
                let (kind, Some(id)) = (field.field_type, field.id) else { break };
                if kind == TType::Stop {
                    break;
                }
                fields.insert(id, nested(input, kind, left)?);
                input.read_field_end()?;
            }
            input.read_struct_end()?;
            Value::Struct(fields)
        }
        TType::List => {
            let head = input.read_list_begin()?;
            let list = (0..head.size).map(|_| nested(input, head.element_type, left)).collect::<thrift::Result<_>>()?;
            input.read_list_end()?;
            Value::List(list)
        }
        TType::Map => {
            let head = input.read_map_begin()?;
            let mut pairs = Vec::new();
            for _ in 0..head.size {
                let (Some(key), Some(value)) = (head.key_type, head.value_type) else { break };
                pairs.push((nested(input, key, left)?, nested(input, value, left)?));
            }
            input.read_map_end()?;
            Value::Map(pairs)
        }
        other => return Err(thrift::Error::from(format!("a value of type {other} in an answer"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let value = Value::fields([
            (1, Value::Bool(true)),
            (2, Value::I8(-3)),
            (3, Value::I16(300)),
            (4, Value::I32(-70_000)),
            (5, Value::I64(1 << 40)),
            (6, Value::Double(1.5)),
            (7, Value::text("grüße")),
            (8, Value::Map(vec![(Value::text("use:database"), Value::text("d"))])),
            (9, Value::fields([(1, Value::Bytes(vec![0, 255]))])),
        ]);
        let mut bytes = Vec::new();
        write(&mut TBinaryOutputProtocol::new(&mut bytes, true), &value).expect("written");
        let mut input = TBinaryInputProtocol::new(bytes.as_slice(), true);
        assert_eq!(read(&mut input, TType::Struct).expect("read"), value);
        let mut cut = TBinaryInputProtocol::new(&bytes[..bytes.len() - 2], true);
        assert!(read(&mut cut, TType::Struct).is_err(), "half an answer is none");
    }

    /// Lists of one list each: the stack would be over before they are.
    #[test]
    fn an_answer_without_end_is_refused() {
        const LIST: [u8; 5] = [15, 0, 0, 0, 1];
        let deep = LIST.repeat(100_000);
        let why = read(&mut TBinaryInputProtocol::new(deep.as_slice(), true), TType::List).expect_err("refused");
        assert!(format!("{why:?}").contains("nested too deeply"), "{why:?}");
    }
}
