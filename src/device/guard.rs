//! The last gate before bytes leave: every address is checked against what this link may touch, on every command.

use std::time::Duration;

use super::contract::EraseUnit;
use super::error::DeviceError;
use super::watch::Watch;
use crate::link::Clock;

/// Longest nap between two checkpoints while waiting for a board.
pub(super) const NAP: Duration = Duration::from_millis(20);

/// Passes when `at..at + len` lies in `first..end`.
pub(super) fn in_range(request: &'static str, at: u32, len: usize, first: u32, end: u32) -> Result<(), DeviceError> {
    let fits = at >= first && u64::from(at) + len as u64 <= u64::from(end);
    if fits { Ok(()) } else { Err(DeviceError::OutOfRange { request, at, first, end }) }
}

/// Passes when `at` is where a unit begins and the whole unit lies in `first..end`.
pub(super) fn may_erase(unit: EraseUnit, at: u32, first: u32, end: u32) -> Result<(), DeviceError> {
    if !at.is_multiple_of(unit.bytes()) {
        return Err(DeviceError::OutOfRange { request: "erase", at, first, end });
    }
    in_range("erase", at, unit.bytes() as usize, first, end)
}

/// Lets time pass in naps, with a checkpoint before each.
pub(super) fn wait(clock: &dyn Clock, time: Duration, watch: &mut dyn Watch) -> Result<(), DeviceError> {
    let mut left = time;
    while !left.is_zero() {
        watch.checkpoint()?;
        let nap = left.min(NAP);
        clock.sleep(nap);
        left -= nap;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_range_passes() {
        let ok = |at, len| in_range("erase", at, len, 0x1_1000, 0x20_0000).is_ok();
        assert!(ok(0x1_1000, 0x1000) && ok(0x1F_F000, 0x1000) && ok(0x20_0000, 0));
        assert!(!ok(0x1_0000, 0x1000), "below the guard");
        assert!(!ok(0x1F_F000, 0x1001), "across the end");
        assert!(!ok(0x20_0000, 0x1000), "would wrap to the boot loader");
        assert!(!ok(u32::MAX, 2), "would overflow");
    }

    #[test]
    fn an_erase_begins_where_its_unit_begins() {
        assert!(may_erase(EraseUnit::Block, 0x2_0000, 0x1_1000, 0x20_0000).is_ok());
        assert!(may_erase(EraseUnit::Block, 0x1_1000, 0x1_1000, 0x20_0000).is_err());
        assert!(
            may_erase(EraseUnit::Block, 0x1_0000, 0x1_1000, 0x20_0000).is_err(),
            "would take the loader's end along"
        );
        assert!(may_erase(EraseUnit::Sector, 0x1_1800, 0x1_1000, 0x20_0000).is_err());
    }
}
