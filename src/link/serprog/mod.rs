//! `serprog:` links: a flash programmer that speaks flashrom's serial protocol, over TCP or at a serial port
//! (spi-flash.md §13). The protocol has no line for CEN: a bare flash chip, or a person with a wire.

mod client;
mod pipe;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use self::client::Client;
use self::pipe::open_pipe;
use super::cen::Cen;
use super::clock::SystemClock;
use super::contract::{Endpoint, Link, LinkError, LinkInfo, Wire, WireKind};
use super::pins::Pins;
use super::spec::LinkSpec;

/// Rate of a programmer at a serial port where the link names none, in baud. Adapters with USB inside ignore it.
const USUAL_BAUD: u32 = 115_200;

/// Opens `serprog:HOST:PORT` or `serprog:/dev/ttyACM0?baud=RATE`, with `cen=none` (as without the key) or `cen=hand`.
pub(super) fn open(spec: &LinkSpec) -> Result<Link, LinkError> {
    spec.only_keys(&["cen", "clock", "baud"])?;
    let cen = Cen::of(spec, Cen::Bare)?;
    if matches!(cen, Cen::Line(_)) {
        return Err(spec.bad("serprog has no line for CEN; write cen=none for a bare flash chip or cen=hand"));
    }
    let baud = match spec.get("baud").map(str::parse) {
        None => USUAL_BAUD,
        Some(Ok(baud)) => baud,
        Some(Err(_)) => return Err(spec.bad("baud is no whole number")),
    };
    let client = Client::start(open_pipe(spec, baud)?, spec.name())?;
    let detail = format!("{}, {}", client.about(), cen.words());
    let wire = Box::new(client);
    Ok(Link {
        wire: if cen == Cen::Bare { Wire::Nor(wire) } else { Wire::Spi(wire) },
        reset: None,
        probe: None,
        clock: Rc::new(SystemClock::new()),
        record: None,
        info: LinkInfo { name: spec.name(), wire: WireKind::Spi, detail, pins: Pins::here(spec), simulated: false },
    })
}

/// Nothing tells a programmer from any other port or server without talking to it.
pub(super) fn endpoints() -> Vec<Endpoint> {
    Vec::new()
}
