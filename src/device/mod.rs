//! Devices: one flash, reached over UART or SPI. Joins the codecs with a transport.

pub mod attach;
pub mod contract;
mod guard;
mod spi;
mod status;
#[cfg(test)]
mod testing;
mod tie;
mod tried;
mod uart;
pub mod wiring;

pub use attach::{AttachOptions, KnownClock, attach};
pub use contract::{
    Abilities, Cancelled, DeviceError, EraseUnit, Facts, Level, ReadFlash, SectorData, Seen, Uncounted, Unwatched,
    Watch, WriteFlash,
};
pub use tie::Tie;
pub use tried::{EntryOutcome, EntryTry};
