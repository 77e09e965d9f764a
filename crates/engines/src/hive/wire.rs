//! Calls of TCLIService over TCP: Thrift's binary protocol, after a log-in by SASL PLAIN or without one. The structs of the service
//! are read and written as values by field number, since the few that are used here are a small part of its interface.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, BufWriter, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use thrift::{
    protocol::{
        TBinaryInputProtocol, TBinaryOutputProtocol, TFieldIdentifier, TInputProtocol, TMapIdentifier,
        TMessageIdentifier, TMessageType, TOutputProtocol, TStructIdentifier, TType,
    },
    transport::{TFramedReadTransport, TFramedWriteTransport},
};

use super::address::{Address, Login};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long each answer of the log-in may take.
const LOG_IN: Duration = Duration::from_secs(10);
/// The longest answer of the log-in.
const LONGEST: u32 = 64 * 1024;

/// What SASL's messages begin with.
const START: u8 = 1;
const OK: u8 = 2;
const BAD: u8 = 3;
const ERROR: u8 = 4;
const COMPLETE: u8 = 5;

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

/// A connection of one caller.
pub(super) struct Wire {
    input: Box<dyn TInputProtocol + Send>,
    output: Box<dyn TOutputProtocol + Send>,
    called: i32,
    server: String,
}

impl Wire {
    /// Connects and logs in. An answer of a later call may take `patience`.
    pub fn open(address: &Address, login: &Login, patience: Duration) -> Result<Self, Broken> {
        let server = address.server();
        let unreachable = |error: &io::Error| Broken::NotSent(format!("{server} cannot be reached: {error}"));
        let mut found = (address.host.as_str(), address.port).to_socket_addrs().map_err(|error| unreachable(&error))?;
        let mut connected = Err(io::Error::other("its name has no address"));
        while let (Err(_), Some(socket)) = (&connected, found.next()) {
            connected = TcpStream::connect_timeout(&socket, CONNECT);
        }
        let stream = connected.map_err(|error| unreachable(&error))?;
        let broken = |error: io::Error| Broken::NotSent(format!("{server}: {error}"));
        stream.set_nodelay(true).map_err(broken)?;
        stream.set_read_timeout(Some(LOG_IN)).map_err(broken)?;
        stream.set_write_timeout(Some(patience)).map_err(broken)?;
        if address.sasl {
            log_in(&stream, &server, login).map_err(Broken::NotSent)?;
        }
        stream.set_read_timeout(Some(patience)).map_err(broken)?;
        let reader = BufReader::new(stream.try_clone().map_err(broken)?);
        let writer = BufWriter::new(stream);
        let (input, output): (Box<dyn TInputProtocol + Send>, Box<dyn TOutputProtocol + Send>) = if address.sasl {
            (
                Box::new(TBinaryInputProtocol::new(TFramedReadTransport::new(reader), true)),
                Box::new(TBinaryOutputProtocol::new(TFramedWriteTransport::new(writer), true)),
            )
        } else {
            (Box::new(TBinaryInputProtocol::new(reader, true)), Box::new(TBinaryOutputProtocol::new(writer, true)))
        };
        Ok(Self { input, output, called: 0, server })
    }

    /// Calls a function whose only argument is a struct, and gives the struct that it answers with.
    pub fn call(&mut self, function: &str, request: Value) -> Result<Value, Broken> {
        self.ask(function, request).map_err(|error| {
            let what = match &error {
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
        self.output.write_message_begin(&TMessageIdentifier::new(function, TMessageType::Call, self.called))?;
        write(self.output.as_mut(), &Value::fields([(1, request)]))?;
        self.output.write_message_end()?;
        self.output.flush()?;
        let head = self.input.read_message_begin()?;
        if head.message_type == TMessageType::Exception {
            let error = thrift::Error::read_application_error_from_in_protocol(self.input.as_mut())?;
            self.input.read_message_end()?;
            return Err(thrift::Error::Application(error));
        }
        let answer = read(self.input.as_mut(), TType::Struct)?;
        self.input.read_message_end()?;
        match answer {
            Value::Struct(mut fields) => fields.remove(&0),
            _ => None,
        }
        .ok_or_else(|| thrift::Error::from("an answer without a result"))
    }
}

/// SASL's PLAIN: the mechanism, then the name and the password, then a word of the server.
fn log_in(mut stream: &TcpStream, server: &str, login: &Login) -> Result<(), String> {
    let mut words = vec![0];
    words.extend(login.user.as_bytes());
    words.push(0);
    words.extend(login.password.reveal().as_bytes());
    let mut say = |status: u8, words: &[u8]| -> io::Result<()> {
        let length = u32::try_from(words.len()).map_err(io::Error::other)?;
        stream.write_all(&[&[status], length.to_be_bytes().as_slice(), words].concat())
    };
    let broken = |error: io::Error| {
        let hint = "is this the Thrift port of HiveServer2, and does it want another authentication (;auth=noSasl)?";
        format!("{server} broke off the log-in ({error}): {hint}")
    };
    say(START, b"PLAIN").and_then(|()| say(OK, &words)).map_err(broken)?;
    let mut head = [0; 5];
    stream.read_exact(&mut head).map_err(broken)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    if !(START..=COMPLETE).contains(&head[0]) || length > LONGEST {
        return Err(format!("{server} does not answer as HiveServer2 does: is this its Thrift port?"));
    }
    let mut text = vec![0; length as usize];
    stream.read_exact(&mut text).map_err(broken)?;
    match head[0] {
        COMPLETE => Ok(()),
        BAD | ERROR => {
            let text = String::from_utf8_lossy(&text).into_owned();
            Err(format!("{server} does not let '{}' in: the credential is missing, wrong or over ({text})", login.user))
        }
        _ => Err(format!("{server} asks for a log-in that is not known here")),
    }
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

pub(super) fn read(input: &mut dyn TInputProtocol, kind: TType) -> thrift::Result<Value> {
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
                fields.insert(id, read(input, kind)?);
                input.read_field_end()?;
            }
            input.read_struct_end()?;
            Value::Struct(fields)
        }
        TType::List => {
            let head = input.read_list_begin()?;
            let list = (0..head.size).map(|_| read(input, head.element_type)).collect::<thrift::Result<_>>()?;
            input.read_list_end()?;
            Value::List(list)
        }
        TType::Map => {
            let head = input.read_map_begin()?;
            let mut pairs = Vec::new();
            for _ in 0..head.size {
                let (Some(key), Some(value)) = (head.key_type, head.value_type) else { break };
                pairs.push((read(input, key)?, read(input, value)?));
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
}
