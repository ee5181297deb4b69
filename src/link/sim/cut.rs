//! Chip files whose module lost its supply for good in this process, so that opening the link again does not heal it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Chip files with the operation in which their supply was cut.
static DEAD: Mutex<BTreeSet<(PathBuf, u64)>> = Mutex::new(BTreeSet::new());

/// Whether the module in this file is without supply for a link with `power-cut:operation`. A link without the fault
/// (`None`) gives every module in the file its supply back.
pub(super) fn is_dead(file: &Path, operation: Option<u64>) -> bool {
    let Ok(mut dead) = DEAD.lock() else { return false };
    let file = real(file);
    match operation {
        Some(operation) => dead.contains(&(file, operation)),
        None => {
            dead.retain(|(other, _)| *other != file);
            false
        }
    }
}

/// The supply of the module in this file is gone.
pub(super) fn remember(file: &Path, operation: u64) {
    if let Ok(mut dead) = DEAD.lock() {
        dead.insert((real(file), operation));
    }
}

/// One name for one file.
fn real(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_owned())
}
