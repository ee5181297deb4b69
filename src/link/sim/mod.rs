//! An embedded module with its flash, chip and wires, on a clock of its own. It shares no code with the program's codecs,
//! so that a mistake in one of them cannot hide behind the same mistake here.
//!
//! What stands behind it: spi-flash.md §12 (entry and flash rules), uart-protocol.md §4 to §10, §18.2 and §21 (both
//! download dialects), formats.md (the factory-like image). Where these are silent the choice is a [`Knobs`] field.
//!
//! # Faults (`faults=` of a link, [`Faults`] in a test), a comma list
//!
//! | fault | what happens |
//! |---|---|
//! | `clock:HZ` | above this SPI clock (11 MHz without the fault) bytes reach the host one bit late, a quarter above it all of them; above twice of it bits flip both ways |
//! | `noise:1/N` | one byte in N is damaged: on the UART dropped, flipped or doubled, on SPI one bit flipped |
//! | `ignore-program` | page programs seem to work and change nothing |
//! | `ignore-erase` | the same for erases |
//! | `ignore-status` | the same for status register writes |
//! | `drop-page:N` | the N-th page program, counted from 1, changes nothing |
//! | `late-entry` or `late-entry:MS` | the chip is deaf for this long after reset (30 ms) |
//! | `stuck-busy` or `stuck-busy:N` | the N-th flash operation (the first) never ends |
//! | `power-loss:N` | the supply drops in the N-th flash operation: half-done cells, and the link is gone |
//! | `power-cut:N` | the same, and the module stays dead: it answers nothing until another process opens its chip file, or a link without this fault |
//! | `sag:N` | from the N-th command to the flash on, reads included, the flash answers FF for 300 ms and does nothing |
//! | `unplug:N` | the cable is pulled after the N-th flash operation has begun; the chip ends it in peace |
//! | `no-answer:N` | the N-th UART answer is never sent |
//! | `bad-status:N` | the N-th long UART answer carries status 03 |
//! | `delay:MS` | every UART answer comes this much later |
//! | `late:1/N` | one UART answer in N begins up to half a second late |
//! | `stall:1/N` | one UART answer in N stops in its middle for up to 2 s |
//! | `echo` | the host hears its own UART bytes |
//! | `console:BAUD` | the firmware logs at this rate |
//! | `tuya-mcu` | the firmware talks to a second controller at 9600 baud and does not log |
//! | `drift:PERCENT` | the chip's UART runs this much too fast |
//! | `weak-supply` or `weak-supply:BYTES` | after so many bytes of flash traffic (400) the chip starts anew by itself |
//! | `id:HEX` | the flash answers every byte of its id with this one: `id:00`, `id:ff` |
//!
//! # Wires (`wires=` of a link, [`Wires`] in a test), a comma list
//!
//! `PAD-open`, `PAD-short-gnd`, `PAD-short-3v3` for any of sck, csn, si, so, cen, rx, tx; `gnd-open` makes every level
//! uncertain; `3v3-open` takes the supply away; `A-B-swapped` for any two of sck, csn, si, so, and for rx with tx;
//! `A-B-bridged` for any two of the four. A `seed=` in the link also chooses one of the boards of [`Electrics::varied`].
//!
//! # CEN (`cen=` and `bare=` of a link)
//!
//! `cen=line` is a line of the host, `cen=hand` a simulated person with a wire, `cen=none` the flash chip alone. `bare=yes`
//! puts the chip alone behind a line or a hand too, which then has no effect on it.

//! # Unique id (`uid=` of a link)
//!
//! The flash answers opcode 4B with an id made from the RF sectors of what it held first, and keeps it in the state file of
//! `chip=FILE`, so that the same image is the same chip and a chip stays itself whatever is written to it. `uid=HEX` (16
//! digits) chooses another, `uid=none` a part without.

mod backing;
mod board;
mod chance;
mod clock;
mod cut;
mod electrics;
mod factory;
mod faults;
mod flash;
mod hand;
mod loader;
mod module;
mod modules;
mod nor;
mod part;
mod probe;
mod serial;
mod serprog;
mod served;
mod setup;
mod spi;
mod sums;
mod uart;
mod uid;
mod wires;

#[cfg(test)]
mod tests;

pub use board::Traffic;
pub use clock::{Pace, SimClock};
pub use electrics::{Echo, Electrics};
pub use faults::Faults;
pub use flash::{Counters, Effect, Operation, Rules};
pub use hand::Cen;
pub use loader::Program;
pub use module::Module;
pub use modules::Silicon;
pub use part::Part;
pub use serprog::Serprog;
pub use served::Served;
pub use setup::{Knobs, Setup};
pub use wires::Wires;

use super::contract::{Endpoint, Link, LinkError, WireKind};
use super::spec::LinkSpec;

/// Opens `sim:MODULE`.
///
/// # Errors
/// [`LinkError::BadLink`] for an unknown module, key or value; [`LinkError::File`] for an image or chip file that cannot
/// be used.
pub fn open(spec: &LinkSpec) -> Result<Link, LinkError> {
    Ok(Module::quiet(Setup::from_spec(spec)?)?.link())
}

/// The wire that a link leads over: its own word, else what the module brings out.
pub(super) fn wire_of(spec: &LinkSpec) -> WireKind {
    let uart_only = || modules::find(&spec.target).is_some_and(|board| !board.spi_missing.is_empty());
    match spec.get("wire") {
        Some("uart") => WireKind::Uart,
        None if uart_only() => WireKind::Uart,
        _ => WireKind::Spi,
    }
}

/// The embedded modules, for lists of links.
pub fn endpoints() -> Vec<Endpoint> {
    let endpoint = |board: &modules::Board| Endpoint {
        link: format!("sim:{}", board.name.to_ascii_lowercase()),
        about: format!("embedded practice module ({} with {})", board.name, board.silicon),
        obstacle: None,
        device: None,
    };
    modules::all().iter().map(endpoint).collect()
}
