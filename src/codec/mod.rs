//! Bytes and messages, pure: no I/O, no clock, no panic. `beken` speaks to the boot loaders, `nor` to the flash itself.

pub mod beken;
pub mod nor;
