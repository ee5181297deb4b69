//! Transports: bytes, waiting, a reset line and a clock. Nothing in here knows about flash.

pub mod contract;
pub mod sim;
pub mod spec;

pub use contract::{Clock, Endpoint, Link, LinkError, LinkInfo, ResetLine, SerialLink, SpiLink, Wire, WireKind};
pub use spec::LinkSpec;
