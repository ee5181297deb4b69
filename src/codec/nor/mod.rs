//! The 25-series SPI NOR flash: command frames, status registers and their protected ranges, SFDP.

pub mod change;
pub mod opcode;
pub mod sfdp;
pub mod status;

pub use change::{Registers, StatusChange, StatusRefusal, StatusWrite, WriteForm};
pub use status::{RegisterOpcodes, Scheme, StatusBytes, StatusLayout, protected_span};
