//! Serial ports behind a network: raw bytes over TCP, and TCP with the port's settings (RFC 2217).

pub mod rfc2217;
mod socket;
pub mod tcp;
mod telnet;

use std::rc::Rc;

use super::clock::SystemClock;
use super::contract::{Link, LinkInfo, ResetLine, SerialLink, Wire, WireKind};
use super::pins::Pins;
use super::spec::LinkSpec;
use crate::problem::{Class, Problem};

/// Keys of both schemes.
const KEYS: [&str; 2] = ["baud", "reset"];

/// A serial link on this computer's clock; `over` says for people what carries it.
fn link(spec: &LinkSpec, wire: Box<dyn SerialLink>, reset: Option<Box<dyn ResetLine>>, over: &str) -> Link {
    let how = reset.as_ref().map_or_else(|| "reset by hand".to_owned(), |line| line.describe());
    Link {
        wire: Wire::Serial(wire),
        reset,
        probe: None,
        clock: Rc::new(SystemClock::new()),
        record: None,
        info: LinkInfo {
            name: spec.name(),
            wire: WireKind::Uart,
            detail: format!("{} over {over}, {how}", spec.target),
            pins: Pins::here(spec),
            simulated: false,
        },
    }
}

/// What only a network can do to a link.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Nobody answers at that address.
    #[error("no connection to {name}: {why}")]
    NoConnection {
        /// Host and port.
        name: String,
        /// The system's words.
        why: String,
    },
    /// Somebody answers and knows nothing of a serial port's settings.
    #[error("{name} does not speak RFC 2217")]
    NotRfc2217 {
        /// Host and port.
        name: String,
    },
    /// A setting was not confirmed in time.
    #[error("{name} did not confirm {what}")]
    NotConfirmed {
        /// Host and port.
        name: String,
        /// What was set.
        what: String,
    },
}

impl NetError {
    /// The problem as people see it.
    pub(super) fn explain(&self) -> Problem {
        let what = self.to_string();
        match self {
            Self::NoConnection { .. } => Problem::new(
                Class::NoDevice,
                "E230",
                what,
                "the other computer is off, the name or port is wrong, or no serial server (such as ser2net) runs there",
                "try `nc -vz HOST PORT`; start the serial server; a connection that somebody else holds has to end first",
            ),
            Self::NotRfc2217 { .. } => Problem::new(
                Class::Host,
                "E231",
                what,
                "the server offers raw bytes only, or something else listens there",
                "in ser2net use `accepter: telnet(rfc2217),tcp,PORT`, or take tcp: and the one rate that the server has",
            ),
            Self::NotConfirmed { .. } => Problem::new(
                Class::NoDevice,
                "E232",
                what,
                "the network is slow, or the server lost its serial port",
                "check the cable at the other computer, then connect again",
            ),
        }
    }
}
