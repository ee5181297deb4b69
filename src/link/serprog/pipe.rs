//! The bytes below the serprog protocol: a TCP connection or a serial port.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::super::contract::LinkError;
use super::super::serial::{PortClaim, open_port};
use super::super::spec::LinkSpec;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the other end may take no byte, or give none that is due.
const STALL: Duration = Duration::from_secs(5);
/// How long one system call may block; the limits above are counted over several of them.
const SLICE: Duration = Duration::from_millis(100);
/// Bytes handed to a serial port at once: one large write to a port that nobody drains would block for ever.
const CHUNK: usize = 64;

/// Bytes in order, both ways.
pub(super) trait Pipe {
    /// Hands all bytes over.
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError>;
    /// Fills `into`, however many pieces it comes in.
    fn receive(&mut self, into: &mut [u8]) -> Result<(), LinkError>;
    /// Waits up to `wait` for a byte.
    fn next(&mut self, wait: Duration) -> Result<Option<u8>, LinkError>;
}

struct Stream<S> {
    name: String,
    stream: S,
    /// Most bytes of one write.
    chunk: usize,
    _claim: PortClaim,
}

/// Opens the other end: a path is a serial port, `HOST:PORT` a server.
pub(super) fn open_pipe(spec: &LinkSpec, baud: u32) -> Result<Box<dyn Pipe>, LinkError> {
    let name = spec.target.clone();
    match name.rsplit_once(':') {
        Some((host, port)) if !name.starts_with('/') && !host.is_empty() => {
            let port = port.parse().map_err(|_| spec.bad(format!("{port:?} is no TCP port")))?;
            let stream = connect(spec.name(), host.trim_matches(['[', ']']), port)?;
            Ok(Box::new(Stream { name, stream, chunk: usize::MAX, _claim: PortClaim::default() }))
        }
        _ if name.is_empty() => Err(spec.bad("write serprog:HOST:PORT or serprog:/dev/ttyACM0")),
        _ => {
            let (stream, claim) = open_port(&name, baud, SLICE, "plug the programmer in")?;
            Ok(Box::new(Stream { name, stream, chunk: CHUNK, _claim: claim }))
        }
    }
}

fn connect(name: String, host: &str, port: u16) -> Result<TcpStream, LinkError> {
    let failed = |why: String| LinkError::NoProgrammer { name: name.clone(), why };
    let addresses = (host, port).to_socket_addrs().map_err(|error| failed(error.to_string()))?;
    let mut last = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                let ready = stream
                    .set_nodelay(true)
                    .and_then(|()| stream.set_read_timeout(Some(SLICE)))
                    .and_then(|()| stream.set_write_timeout(Some(SLICE)));
                return ready.map(|()| stream).map_err(|error| failed(error.to_string()));
            }
            Err(error) => last = error.to_string(),
        }
    }
    Err(failed(last))
}

fn passes(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl<S: Read + Write> Stream<S> {
    fn gone(&self, why: impl std::fmt::Display) -> LinkError {
        LinkError::Gone { name: self.name.clone(), why: why.to_string() }
    }

    /// One read; `Ok(0)` when nothing came in a slice of time.
    fn read_some(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        match self.stream.read(into) {
            Ok(0) => Err(self.gone("the other end closed")),
            Ok(count) => Ok(count),
            Err(error) if passes(&error) => Ok(0),
            Err(error) => Err(self.gone(error)),
        }
    }
}

impl<S: Read + Write> Pipe for Stream<S> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let mut rest = bytes;
        let mut since = Instant::now();
        while !rest.is_empty() {
            let piece = rest.get(..self.chunk).unwrap_or(rest);
            match self.stream.write(piece) {
                Ok(0) => return Err(self.gone("the other end closed")),
                Ok(count) => {
                    rest = rest.get(count..).unwrap_or_default();
                    since = Instant::now();
                }
                Err(error) if passes(&error) => {
                    if since.elapsed() > STALL {
                        return Err(LinkError::Stalled { name: self.name.clone(), waited: STALL });
                    }
                }
                Err(error) => return Err(self.gone(error)),
            }
        }
        Ok(())
    }

    fn receive(&mut self, into: &mut [u8]) -> Result<(), LinkError> {
        let mut done = 0;
        let mut since = Instant::now();
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let count = self.read_some(rest)?;
            if count > 0 {
                since = Instant::now();
            } else if since.elapsed() > STALL {
                let why = format!("no answer within {} s", STALL.as_secs());
                return Err(LinkError::Programmer { name: self.name.clone(), why });
            }
            done += count;
        }
        Ok(())
    }

    fn next(&mut self, wait: Duration) -> Result<Option<u8>, LinkError> {
        let since = Instant::now();
        let mut byte = [0];
        loop {
            if self.read_some(&mut byte)? == 1 {
                return Ok(byte.first().copied());
            }
            if since.elapsed() >= wait {
                return Ok(None);
            }
        }
    }
}
