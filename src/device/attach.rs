//! Provisional.
use super::{DeviceError, Watch, WriteFlash};
use crate::link::Link;
/// Provisional.
pub struct AttachOptions {
    /// x
    pub speed: Option<u32>,
}
/// Provisional.
pub fn attach(_: Link, _: &AttachOptions, _: &mut dyn Watch) -> Result<Box<dyn WriteFlash>, DeviceError> {
    Err(DeviceError::Unable { what: "x", remedy: "y" })
}
