//! Provisional.
use super::{Endpoint, Link, LinkError, LinkSpec};
/// Provisional.
pub fn open(spec: &LinkSpec) -> Result<Link, LinkError> {
    Err(spec.bad("provisional"))
}
/// Provisional.
pub fn endpoints() -> Vec<Endpoint> {
    Vec::new()
}
