//! Static facts about flash parts and modules, read from the two tables beside this file.

pub mod loader;
pub mod module;
pub mod part;
pub mod protection;
pub mod timing;

pub use loader::{CHIP_ID_REGISTERS, chip_by_id, loader_by_crc};
pub use module::{ANY, HEADER, Module, Pad, PadKind, WireRow, any_module, function, module, modules, wiring};
pub use part::{Confidence, Part, SdkValues, part, part_named, parts};
pub use timing::{Limits, Typical};
