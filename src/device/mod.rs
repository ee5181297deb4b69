//! Devices: one flash, reached over UART or SPI. Joins the codecs with a transport.

mod again;
pub mod attach;
pub mod contract;
mod error;
mod guard;
mod spi;
mod status;
#[cfg(test)]
mod testing;
mod tie;
mod tried;
mod uart;
mod unique;
mod watch;
pub mod wiring;

pub use attach::{AttachOptions, KnownClock, attach};
pub use contract::{Abilities, EraseUnit, Facts, ReadFlash, SectorData, Seen, WriteFlash};
pub use error::DeviceError;
pub use tie::Tie;
pub use tried::{EntryOutcome, EntryTry};
pub use unique::UniqueId;
pub use watch::{Cancelled, Level, Uncounted, Unwatched, Watch};
