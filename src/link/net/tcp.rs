//! `tcp:` links: the raw bytes of a serial port that another computer serves.

use std::time::Duration;

use super::socket::Socket;
use super::{KEYS, link};
use crate::link::contract::{Link, LinkError, SerialLink};
use crate::link::serial::{LINK_BAUD, local_reset};
use crate::link::spec::LinkSpec;

/// The port at the other end. Raw TCP carries no settings: the server has to have set the rate that every boot loader
/// starts with, and there it stays.
struct Raw(Socket);

/// Opens `tcp:HOST:PORT?reset=hand|gpio:22`.
pub(in crate::link) fn open(spec: &LinkSpec) -> Result<Link, LinkError> {
    spec.only_keys(&KEYS)?;
    if spec.get("baud").is_some_and(|baud| baud != LINK_BAUD.to_string()) {
        return Err(spec.bad("raw TCP cannot change the rate; set 115200 at the server, or use rfc2217:"));
    }
    let reset = local_reset(spec)?;
    let over = format!("raw TCP, {LINK_BAUD} baud as the server has it");
    Ok(link(spec, Box::new(Raw(Socket::open(spec)?)), reset, &over))
}

impl SerialLink for Raw {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.0.send(bytes)
    }

    fn receive(&mut self, into: &mut [u8], wait: Duration) -> Result<usize, LinkError> {
        self.0.receive(into, wait)
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), LinkError> {
        if baud == LINK_BAUD {
            return Ok(());
        }
        Err(LinkError::Unsupported { name: self.0.name.clone(), what: format!("{baud} baud over raw TCP") })
    }

    fn baud(&self) -> u32 {
        LINK_BAUD
    }

    fn discard_input(&mut self) -> Result<(), LinkError> {
        let mut buffer = [0; 4096];
        while self.0.receive_now(&mut buffer)? == buffer.len() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::link::contract::Wire;

    fn spec(text: &str) -> LinkSpec {
        LinkSpec::parse(text).unwrap()
    }

    fn pair() -> (Box<dyn SerialLink>, TcpStream, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let link = open(&spec(&format!("tcp:{address}"))).unwrap();
        let Wire::Serial(serial) = link.wire else { panic!("a serial wire") };
        let (peer, _) = listener.accept().unwrap();
        (serial, peer, listener)
    }

    #[test]
    fn bytes_pass_unchanged_both_ways() {
        let (mut serial, mut peer, _listener) = pair();
        let all: Vec<u8> = (0..=255).collect();
        serial.send(&all).unwrap();
        let mut got = [0; 256];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(got[..], all);
        peer.write_all(&all).unwrap();
        let mut back: Vec<u8> = Vec::new();
        while back.len() < 256 {
            let mut piece = [0; 100];
            let len = serial.receive(&mut piece, Duration::from_secs(5)).unwrap();
            back.extend(&piece[..len]);
        }
        assert_eq!(back, all);
        assert_eq!(serial.receive(&mut got, Duration::from_millis(1)).unwrap(), 0, "silence is no error");
    }

    #[test]
    fn old_input_is_thrown_away_without_waiting() {
        let (mut serial, mut peer, _listener) = pair();
        peer.write_all(&[1; 5000]).unwrap();
        let mut first = [0; 1];
        assert_eq!(serial.receive(&mut first, Duration::from_secs(5)).unwrap(), 1);
        serial.discard_input().unwrap();
        peer.write_all(&[2; 3]).unwrap();
        let mut got = [0; 3];
        while got != [2; 3] {
            let len = serial.receive(&mut got, Duration::from_secs(5)).unwrap();
            assert!(len > 0, "what came later is kept");
        }
    }

    #[test]
    fn a_closed_connection_is_gone() {
        let (mut serial, peer, _listener) = pair();
        drop(peer);
        assert!(matches!(serial.receive(&mut [0; 8], Duration::from_secs(5)), Err(LinkError::Gone { .. })));
    }

    #[test]
    fn one_rate_is_all_that_raw_tcp_has() {
        let (mut serial, _peer, _listener) = pair();
        assert!(serial.set_baud(115_200).is_ok());
        assert!(matches!(serial.set_baud(921_600), Err(LinkError::Unsupported { .. })));
    }

    #[test]
    fn bad_targets_are_named_and_a_dead_port_has_its_own_error() {
        for text in ["tcp:", "tcp:host", "tcp::2000", "tcp:host:0", "tcp:host:port", "tcp:host:2000?baud=921600"] {
            assert!(matches!(open(&spec(text)), Err(LinkError::BadLink { .. })), "{text}");
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let Err(LinkError::Net(error)) = open(&spec(&format!("tcp:{free}"))) else { panic!("nobody listens") };
        assert_eq!(error.explain().code, "E230");
    }
}
