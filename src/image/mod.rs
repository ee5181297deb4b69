//! What bytes mean: flash maps, code blocks and keys, headers, chip evidence, search. Pure functions over `&[u8]`:
//! no I/O, no clock, no panic, whatever the bytes are. What is wrong with a file comes back as [`Finding`]s beside
//! what was found, never as an error. Facts are from formats.md.

pub mod app;
pub mod bootloader;
pub mod calibration;
pub mod code;
pub mod diff;
pub mod entropy;
pub mod esphome;
pub mod explain;
pub mod family;
pub mod finding;
pub mod firmware;
pub mod inspect;
pub mod kind;
pub mod known;
pub mod libretiny;
pub mod littlefs;
pub mod openbeken;
pub mod plain;
pub mod plausible;
pub mod rbl;
pub mod redact;
pub mod region;
pub mod rf;
pub mod search;
pub mod strings;
pub mod structures;
pub mod sums;
pub mod template;
pub mod text;
pub mod tuya;
pub mod values;
pub mod votes;

mod bytes;
mod report;

#[cfg(test)]
mod never_panics;
#[cfg(test)]
pub(crate) mod samples;

pub use bytes::{Address, Word, sha256_hex};
pub use family::Family;
pub use finding::{Finding, Severity};
pub use kind::Kind;
pub use region::{Region, RegionKind};
