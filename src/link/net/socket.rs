//! A TCP connection with limits on every wait.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};

use super::NetError;
use crate::link::contract::LinkError;
use crate::link::spec::LinkSpec;

/// How long each address of a name is tried.
const CONNECT: Duration = Duration::from_secs(5);
/// A silent connection is asked for a sign of life after this time, and again as often; a few missing answers end it.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Signs of life that may be missing.
const MISSING: u32 = 3;
/// How long a peer may take no byte before it counts as stalled.
const STALL: Duration = Duration::from_secs(2);

/// A connection to a serial server.
pub(super) struct Socket {
    /// `host:port`.
    pub(super) name: String,
    stream: TcpStream,
    wait: Duration,
}

impl Socket {
    /// Connects to the target of a link.
    pub(super) fn open(spec: &LinkSpec) -> Result<Self, LinkError> {
        let name = spec.target.clone();
        let number = name.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(number, Some(Ok(1..))) || name.starts_with(':') {
            return Err(spec.bad(format!("write host and port, such as {}:raspberrypi:2000", spec.scheme)));
        }
        let stream = connect(&name)?;
        Ok(Self { name, stream, wait: Duration::ZERO })
    }

    /// Hands all bytes to the network.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let mut rest = bytes;
        let began = Instant::now();
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(0) => return Err(self.gone("the connection takes nothing any more")),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if passes(error.kind()) && began.elapsed() < STALL => {}
                Err(error) if passes(error.kind()) => {
                    return Err(LinkError::Stalled { name: self.name.clone(), waited: STALL });
                }
                Err(error) => return Err(self.gone(error)),
            }
        }
        Ok(())
    }

    /// Reads what has arrived, waiting up to `wait` for the first byte; 0 when nothing came.
    pub(super) fn receive(&mut self, into: &mut [u8], wait: Duration) -> Result<usize, LinkError> {
        let wait = wait.max(Duration::from_millis(1));
        if wait != self.wait {
            self.stream.set_read_timeout(Some(wait)).map_err(|error| self.gone(error))?;
            self.wait = wait;
        }
        self.read(into)
    }

    /// Reads what is here, without waiting.
    pub(super) fn receive_now(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        self.stream.set_nonblocking(true).map_err(|error| self.gone(error))?;
        let got = self.read(into);
        self.stream.set_nonblocking(false).map_err(|error| self.gone(error))?;
        got
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        if into.is_empty() {
            return Ok(0);
        }
        match self.stream.read(into) {
            Ok(0) => Err(self.gone("the other side closed the connection")),
            Ok(count) => Ok(count),
            Err(error) if passes(error.kind()) => Ok(0),
            Err(error) => Err(self.gone(error)),
        }
    }

    fn gone(&self, why: impl std::fmt::Display) -> LinkError {
        LinkError::Gone { name: self.name.clone(), why: why.to_string() }
    }
}

fn passes(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn connect(name: &str) -> Result<TcpStream, LinkError> {
    let failed = |why: String| LinkError::Net(NetError::NoConnection { name: name.to_owned(), why });
    let mut last = "the name has no address".to_owned();
    for address in name.to_socket_addrs().map_err(|error| failed(error.to_string()))? {
        match TcpStream::connect_timeout(&address, CONNECT).and_then(prepare) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error.to_string(),
        }
    }
    Err(failed(last))
}

/// Small frames leave at once, and a peer that lost its power is noticed.
fn prepare(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(STALL))?;
    let alive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE).with_retries(MISSING);
    SockRef::from(&stream).set_tcp_keepalive(&alive)?;
    Ok(stream)
}
