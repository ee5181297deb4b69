//! `rfc2217:` links: a serial port that another computer serves with its settings, as ser2net does (RFC 2217).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::socket::Socket;
use super::telnet::{BINARY, COM_PORT, DO, DONT, Heard, IAC, Parser, SUPPRESS_GO_AHEAD, WILL, WONT, com_port, escape};
use super::{KEYS, NetError, link};
use crate::link::contract::{Link, LinkError, ResetLine, SerialLink};
use crate::link::serial::{LINK_BAUD, local_reset};
use crate::link::spec::LinkSpec;

/// Settings by their number; the server confirms each under the number plus 100 (RFC 2217 §3).
const SET_BAUD: u8 = 1;
const SET_DATA_SIZE: u8 = 2;
const SET_PARITY: u8 = 3;
const SET_STOP_SIZE: u8 = 4;
const SET_CONTROL: u8 = 5;
const PURGE: u8 = 12;
const CONFIRMED: u8 = 100;
/// Values of "set control".
const NO_FLOW_CONTROL: u8 = 1;
const DTR: (u8, u8) = (8, 9);
const RTS: (u8, u8) = (11, 12);
/// "Purge" both directions.
const BOTH: u8 = 3;
/// How long a setting may take to be confirmed.
const LIMIT: Duration = Duration::from_secs(5);
/// How often a server that hangs up at once is called, and the time between two calls.
const CALLS: u32 = 8;
const BETWEEN_CALLS: Duration = Duration::from_millis(300);

/// The port at the other end.
struct Remote {
    socket: Socket,
    parser: Parser,
    received: VecDeque<u8>,
    heard: Vec<Heard>,
    baud: u32,
    out: Vec<u8>,
}

/// Opens `rfc2217:HOST:PORT?reset=dtr|rts|hand|gpio:22`. The key `baud` is for the attach step.
pub(in crate::link) fn open(spec: &LinkSpec) -> Result<Link, LinkError> {
    spec.only_keys(&KEYS)?;
    let modem = match spec.get("reset") {
        Some("dtr") => Some(true),
        Some("rts") => Some(false),
        _ => None,
    };
    let mut reset = if modem.is_some() { None } else { local_reset(spec)? };
    let remote = Rc::new(RefCell::new(Remote::call(spec)?));
    if let Some(dtr) = modem {
        reset = Some(Box::new(ModemLine { remote: Rc::clone(&remote), dtr }));
    }
    Ok(link(spec, Box::new(Port(remote)), reset, "RFC 2217"))
}

impl Remote {
    /// Calls the server and agrees with it on the port. A server that hangs up meanwhile is called again for a while: it
    /// may still be closing the port that its last caller left.
    fn call(spec: &LinkSpec) -> Result<Self, LinkError> {
        let mut calls = 0;
        loop {
            let mut remote = Self {
                socket: Socket::open(spec)?,
                parser: Parser::default(),
                received: VecDeque::new(),
                heard: Vec::new(),
                baud: LINK_BAUD,
                out: Vec::new(),
            };
            calls += 1;
            match remote.agree() {
                Ok(()) => return Ok(remote),
                Err(LinkError::Gone { .. }) if calls < CALLS => std::thread::sleep(BETWEEN_CALLS),
                Err(error) => return Err(error),
            }
        }
    }

    /// Options, then the port as a boot loader needs it (uart-protocol.md §2), with nothing left over in its buffers.
    fn agree(&mut self) -> Result<(), LinkError> {
        let mut hello = Vec::new();
        for option in [COM_PORT, BINARY, SUPPRESS_GO_AHEAD] {
            hello.extend([IAC, WILL, option]);
        }
        for option in [BINARY, SUPPRESS_GO_AHEAD] {
            hello.extend([IAC, DO, option]);
        }
        self.socket.send(&hello)?;
        let name = self.socket.name.clone();
        let agreed = self.wait_for(|heard| match heard {
            Heard::Option(DO, COM_PORT) => Some(true),
            Heard::Option(DONT, COM_PORT) => Some(false),
            _ => None,
        })?;
        if agreed != Some(true) {
            return Err(NetError::NotRfc2217 { name }.into());
        }
        self.set(SET_BAUD, &self.baud.to_be_bytes())?;
        for (setting, value) in
            [(SET_DATA_SIZE, 8), (SET_PARITY, 1), (SET_STOP_SIZE, 1), (SET_CONTROL, NO_FLOW_CONTROL), (PURGE, BOTH)]
        {
            self.set(setting, &[value])?;
        }
        // A server asserts DTR and RTS when it opens its port, which holds a module in reset whose CEN is wired to one of
        // them. One that has no such lines need not confirm.
        for line in [DTR, RTS] {
            self.socket.send(&com_port(SET_CONTROL, &[line.1]))?;
        }
        self.received.clear();
        Ok(())
    }

    /// Makes a setting and waits for the server's word; returns the value it settled on.
    fn set(&mut self, setting: u8, value: &[u8]) -> Result<Vec<u8>, LinkError> {
        self.heard.clear();
        self.socket.send(&com_port(setting, value))?;
        let confirmed = self.wait_for(|heard| match heard {
            Heard::ComPort(number, value) if *number == setting + CONFIRMED => Some(value.clone()),
            _ => None,
        })?;
        confirmed.ok_or_else(|| {
            let what = match setting {
                SET_BAUD => "the rate",
                SET_CONTROL => "a control line",
                PURGE => "that its buffers are empty",
                _ => "the format of the port",
            };
            NetError::NotConfirmed { name: self.socket.name.clone(), what: what.to_owned() }.into()
        })
    }

    /// Waits until something was heard, and keeps the data that comes meanwhile. `None` when the time is up.
    fn wait_for<T>(&mut self, wanted: impl Fn(&Heard) -> Option<T>) -> Result<Option<T>, LinkError> {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(found) = self.heard.iter().find_map(&wanted) {
                return Ok(Some(found));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.take_in(Some(left))?;
        }
    }

    /// Takes in what arrives, waiting for the first byte or not at all; answers the server's questions about options.
    fn take_in(&mut self, wait: Option<Duration>) -> Result<usize, LinkError> {
        let mut buffer = [0; 4096];
        let got = match wait {
            Some(wait) => self.socket.receive(&mut buffer, wait)?,
            None => self.socket.receive_now(&mut buffer)?,
        };
        let before = self.heard.len();
        self.parser.push(buffer.get(..got).unwrap_or_default(), &mut self.received, &mut self.heard);
        let refusals: Vec<u8> = self.heard.iter().skip(before).filter_map(refusal).flatten().collect();
        if !refusals.is_empty() {
            self.socket.send(&refusals)?;
        }
        // What the server tells by itself, such as modem lines, is kept only while somebody waits for a word of it.
        if self.heard.len() > 64 {
            self.heard.drain(..32);
        }
        Ok(got)
    }
}

/// The answer to a wish for an option that this program did not ask for itself.
fn refusal(heard: &Heard) -> Option<[u8; 3]> {
    match *heard {
        Heard::Option(_, COM_PORT | BINARY | SUPPRESS_GO_AHEAD) => None,
        Heard::Option(WILL, option) => Some([IAC, DONT, option]),
        Heard::Option(DO, option) => Some([IAC, WONT, option]),
        _ => None,
    }
}

struct Port(Rc<RefCell<Remote>>);

impl SerialLink for Port {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let mut remote = self.0.borrow_mut();
        let mut out = std::mem::take(&mut remote.out);
        out.clear();
        escape(bytes, &mut out);
        let sent = remote.socket.send(&out);
        remote.out = out;
        sent
    }

    fn receive(&mut self, into: &mut [u8], wait: Duration) -> Result<usize, LinkError> {
        let mut remote = self.0.borrow_mut();
        let until = Instant::now() + wait;
        while remote.received.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            remote.take_in(Some(left))?;
            if left.is_zero() {
                break;
            }
        }
        let len = into.len().min(remote.received.len());
        for (place, byte) in into.iter_mut().zip(remote.received.drain(..len)) {
            *place = byte;
        }
        Ok(len)
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), LinkError> {
        let mut remote = self.0.borrow_mut();
        if remote.baud == baud {
            return Ok(());
        }
        let settled = remote.set(SET_BAUD, &baud.to_be_bytes())?;
        // A server whose adapter cannot do the rate answers with the one it kept.
        if settled != baud.to_be_bytes() {
            let before = remote.baud.to_be_bytes();
            let _ = remote.set(SET_BAUD, &before);
            return Err(LinkError::Unsupported { name: remote.socket.name.clone(), what: format!("{baud} baud") });
        }
        remote.baud = baud;
        Ok(())
    }

    fn baud(&self) -> u32 {
        self.0.borrow().baud
    }

    /// Drops what has arrived here. What is still on its way cannot be told from what the chip sends next.
    fn discard_input(&mut self) -> Result<(), LinkError> {
        let mut remote = self.0.borrow_mut();
        while remote.take_in(None)? > 0 {}
        remote.received.clear();
        remote.heard.clear();
        Ok(())
    }
}

/// CEN wired to DTR or RTS of the port at the other end: asserted means low at TTL level.
struct ModemLine {
    remote: Rc<RefCell<Remote>>,
    dtr: bool,
}

impl ResetLine for ModemLine {
    fn hold(&mut self, reset: bool) -> Result<(), LinkError> {
        let (on, off) = if self.dtr { DTR } else { RTS };
        self.remote.borrow_mut().set(SET_CONTROL, &[if reset { on } else { off }]).map(|_| ())
    }

    fn describe(&self) -> String {
        format!("{} of {} → CEN", if self.dtr { "DTR" } else { "RTS" }, self.remote.borrow().socket.name)
    }
}

impl Drop for ModemLine {
    fn drop(&mut self) {
        // A connection that is gone holds nothing any more.
        let _ = self.hold(false);
    }
}

#[cfg(test)]
mod tests;
