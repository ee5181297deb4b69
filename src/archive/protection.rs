//! What the protection of a chip was before this program changed it, so that it can be put back without a backup.

use std::path::PathBuf;

use crate::codec::nor::StatusBytes;
use crate::job::Identity;
use crate::problem::Problem;
use crate::store::paths::Folders;
use crate::store::protection::{self, Found};

/// Records the registers as they are before a change. Registers that only lack bits of those recorded already come from
/// an unlocking of our own, a torn one too: then the earlier record stays.
///
/// # Errors
/// The store's problem when the record cannot be kept.
pub fn remember(identity: &Identity, now: StatusBytes) -> Result<(), Problem> {
    let folder = folder()?;
    if recorded_in(&folder, identity).is_some_and(|before| lacks_only(now, before)) {
        return Ok(());
    }
    let found = Found { jedec: identity.flash.jedec.clone(), sr1: now.sr1 & !0b11, sr2: now.sr2, sr3: now.sr3 };
    Ok(protection::keep(&folder, &identity.chip_key, &found)?)
}

/// The registers of this chip before they were changed.
///
/// # Errors
/// The store's problem: the user has no data folder.
pub fn recorded(identity: &Identity) -> Result<Option<StatusBytes>, Problem> {
    Ok(recorded_in(&folder()?, identity))
}

/// The registers are as they were: there is nothing to remember any more.
///
/// # Errors
/// The store's problem.
pub fn settled(identity: &Identity) -> Result<(), Problem> {
    Ok(protection::forget(&folder()?, &identity.chip_key)?)
}

fn folder() -> Result<PathBuf, Problem> {
    Ok(Folders::find()?.protection())
}

fn recorded_in(folder: &std::path::Path, identity: &Identity) -> Option<StatusBytes> {
    let found = protection::load(folder, &identity.chip_key)?;
    let same_flash = found.jedec.is_none() || identity.flash.jedec.is_none() || found.jedec == identity.flash.jedec;
    same_flash.then_some(StatusBytes { sr1: found.sr1, sr2: found.sr2, sr3: found.sr3 })
}

/// Whether every bit that is set now, but for WIP and WEL, was set before.
fn lacks_only(now: StatusBytes, before: StatusBytes) -> bool {
    let bits = |status: StatusBytes| status.value() & !0b11;
    bits(now) & !bits(before) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registers(sr1: u8, sr2: u8) -> StatusBytes {
        StatusBytes { sr1, sr2: Some(sr2), sr3: None }
    }

    #[test]
    fn an_unlocking_that_was_torn_leaves_a_part_of_the_bits() {
        let before = registers(0x7C, 0x42);
        assert!(lacks_only(registers(0x00, 0x02), before));
        assert!(lacks_only(registers(0x34 | 0b11, 0x42), before));
        assert!(!lacks_only(registers(0x80, 0x02), before), "somebody else has set a bit");
    }
}
