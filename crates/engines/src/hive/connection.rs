//! A stream to the server: TCP, TLS over it where the address asks for that, and a log-in by SASL PLAIN or none.

use std::{
    io::{self, BufReader, BufWriter, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use thrift::{
    protocol::{TBinaryInputProtocol, TBinaryOutputProtocol, TInputProtocol, TOutputProtocol},
    transport::TFramedWriteTransport,
};

use super::{
    address::{Address, Login},
    tls::{self, Tls},
    wire::Line,
};
use crate::remote::reach;

/// How long a connection may take to come about.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
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

/// The two directions.
type Halves = (Box<dyn Read + Send>, Box<dyn Write + Send>);

/// Connects and logs in. An answer of a later call may take `patience`.
pub(super) fn open(address: &Address, login: &Login, patience: Duration) -> Result<Line, String> {
    let server = address.server();
    let unreachable = |error: &io::Error| format!("{server} cannot be reached: {error}");
    let found = (address.host.as_str(), address.port).to_socket_addrs().map_err(|error| unreachable(&error))?;
    let mut found = reach::of_rule(&address.host, found).map_err(|error| unreachable(&error))?.into_iter();
    let mut connected = Err(io::Error::other("its name has no address"));
    while let (Err(_), Some(socket)) = (&connected, found.next()) {
        connected = TcpStream::connect_timeout(&socket, CONNECT);
    }
    let stream = connected.map_err(|error| unreachable(&error))?;
    let broken = |error: io::Error| format!("{server}: {error}");
    stream.set_nodelay(true).map_err(broken)?;
    stream.set_read_timeout(Some(LOG_IN)).map_err(broken)?;
    stream.set_write_timeout(Some(patience)).map_err(broken)?;
    let socket = stream.try_clone().map_err(broken)?;
    let (mut reader, mut writer): Halves = if address.tls {
        let config = tls::config(address.ca_file.as_deref())?;
        let tls = Tls::open(stream, config, &address.host).map_err(|why| format!("{server}: {why}"))?;
        (Box::new(tls.clone()), Box::new(tls))
    } else {
        (Box::new(stream.try_clone().map_err(broken)?), Box::new(stream))
    };
    if address.sasl {
        log_in(&mut reader, &mut writer, &server, login)?;
    }
    socket.set_read_timeout(Some(patience)).map_err(broken)?;
    let (reader, writer) = (BufReader::new(reader), BufWriter::new(writer));
    let (input, output): (Box<dyn TInputProtocol + Send>, Box<dyn TOutputProtocol + Send>) = if address.sasl {
        (
            Box::new(TBinaryInputProtocol::new(Frames { reader, left: 0 }, true)),
            Box::new(TBinaryOutputProtocol::new(TFramedWriteTransport::new(writer), true)),
        )
    } else {
        (Box::new(TBinaryInputProtocol::new(reader, true)), Box::new(TBinaryOutputProtocol::new(writer, true)))
    };
    Ok(Line::Stream { input, output })
}

/// The bytes of frames, each with its length before it. Thrift's own reader takes none over 16 MB, and a server sends an answer as one.
struct Frames<R> {
    reader: R,
    /// What is left of the present frame.
    left: usize,
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            let mut length = [0; 4];
            self.reader.read_exact(&mut length)?;
            self.left =
                usize::try_from(i32::from_be_bytes(length)).map_err(|_| io::Error::other("no frame of Thrift"))?;
        }
        let most = buffer.len().min(self.left);
        let read = self.reader.read(&mut buffer[..most])?;
        self.left -= read;
        Ok(read)
    }
}

/// SASL's PLAIN: the mechanism, then the name and the password, then a word of the server.
fn log_in(reader: &mut dyn Read, writer: &mut dyn Write, server: &str, login: &Login) -> Result<(), String> {
    let mut words = vec![0];
    words.extend(login.user.as_bytes());
    words.push(0);
    words.extend(login.password.reveal().as_bytes());
    let mut say = |status: u8, words: &[u8]| -> io::Result<()> {
        let length = u32::try_from(words.len()).map_err(io::Error::other)?;
        writer.write_all(&[&[status], length.to_be_bytes().as_slice(), words].concat())?;
        writer.flush()
    };
    let broken = |error: io::Error| {
        format!(
            "{server} broke off the log-in ({error}): is this the Thrift port of HiveServer2, does it want another authentication \
             (;auth=noSasl), TLS (;ssl=true) or HTTP (;transportMode=http)?"
        )
    };
    say(START, b"PLAIN").and_then(|()| say(OK, &words)).map_err(broken)?;
    let mut head = [0; 5];
    reader.read_exact(&mut head).map_err(broken)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    if !(START..=COMPLETE).contains(&head[0]) || length > LONGEST {
        return Err(format!(
            "{server} does not answer as HiveServer2 does: is this its Thrift port, and does it want TLS (;ssl=true) or HTTP \
             (;transportMode=http)?"
        ));
    }
    let mut text = vec![0; length as usize];
    reader.read_exact(&mut text).map_err(broken)?;
    match head[0] {
        COMPLETE => Ok(()),
        BAD | ERROR => {
            let text = String::from_utf8_lossy(&text).into_owned();
            Err(format!("{server} {} ({text})", not_let_in(&login.user)))
        }
        _ => Err(format!("{server} asks for a log-in that is not known here")),
    }
}

/// What a refused log-in is called.
pub(super) fn not_let_in(user: &str) -> String {
    format!("does not let '{user}' in: the credential is missing, wrong or over")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_through_whatever_their_length() {
        let long = vec![7u8; 20 << 20];
        let mut stream = Vec::new();
        for frame in [&b"ab"[..], b"", b"c", &long] {
            stream.extend(u32::try_from(frame.len()).expect("a length").to_be_bytes());
            stream.extend(frame);
        }
        let mut frames = Frames { reader: stream.as_slice(), left: 0 };
        let mut read = vec![0; 3 + long.len()];
        frames.read_exact(&mut read).expect("read");
        assert!(read.starts_with(b"abc") && read.ends_with(&long));
        assert!(frames.read(&mut [0]).is_err(), "there is no more");
        let mut wrong = Frames { reader: &[0xff; 8][..], left: 0 };
        assert_eq!(wrong.read(&mut [0]).expect_err("refused").to_string(), "no frame of Thrift");
    }
}
