//! The UART download protocol of the Beken boot loaders and boot ROMs (uart-protocol.md §4 to §9).

pub mod crc;
pub mod decoder;
pub mod reply;
pub mod request;
#[cfg(test)]
mod transcripts;

pub use crc::{chip_crc, zlib_of};
pub use decoder::Decoder;
pub use reply::{Answer, Reply, status_meaning};
pub use request::{EraseCode, PageBytes, Request};
