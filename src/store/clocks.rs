//! `clocks.toml` in the data folder: the SPI clock that last worked with each module.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::files;

/// Clocks kept; the oldest make room.
const MOST: usize = 200;
/// No such file is as large as this, in bytes.
const LARGEST: u64 = 256 * 1024;

/// The clock of one module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleClock {
    /// The link without its query: `spi:0.0`.
    pub link: String,
    /// Tells the chip from any other of its kind.
    pub chip_key: String,
    /// JEDEC id of its flash, `EB 60 15`.
    pub jedec: String,
    /// Bit clock in Hz.
    pub hz: u32,
}

#[derive(Default, Serialize, Deserialize)]
struct File {
    #[serde(default)]
    clock: Vec<ModuleClock>,
}

/// Every clock in the file, the latest last. A file that is missing or damaged holds none: it only spares time.
pub fn load(path: &Path) -> Vec<ModuleClock> {
    read(path).unwrap_or_default()
}

fn read(path: &Path) -> Result<Vec<ModuleClock>, StoreError> {
    let bytes = match files::read_own(path, LARGEST) {
        Err(StoreError::Missing { .. }) => return Ok(Vec::new()),
        read => read?,
    };
    let damaged = |text: String| {
        StoreError::from_io(path, "read", std::io::Error::other(format!("it is not a list of clocks ({text})")))
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| damaged(error.to_string()))?;
    Ok(toml::from_str::<File>(text).map_err(|error| damaged(error.message().to_owned()))?.clock)
}

/// Puts a clock at the end of the file, in place of an earlier one of the same module on the same link.
///
/// # Errors
/// [`StoreError`] of the folder or the disk. A file that holds something else is not replaced.
pub fn keep(path: &Path, clock: ModuleClock) -> Result<(), StoreError> {
    let mut all = read(path)?;
    all.retain(|known| known.link != clock.link || known.chip_key != clock.chip_key);
    all.push(clock);
    all.drain(..all.len().saturating_sub(MOST));
    let text = toml::to_string(&File { clock: all })
        .map_err(|error| StoreError::from_io(path, "write", std::io::Error::other(error)))?;
    files::make_folder(files::folder_of(path))?;
    files::replace_own(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(chip_key: &str, hz: u32) -> ModuleClock {
        ModuleClock { link: "spi:0.0".to_owned(), chip_key: chip_key.to_owned(), jedec: "EB 60 15".to_owned(), hz }
    }

    #[test]
    fn the_latest_clock_of_a_module_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/clocks.toml");
        assert_eq!(load(&path), []);
        for (chip_key, hz) in [("a", 8_000_000), ("b", 4_000_000), ("a", 2_000_000)] {
            keep(&path, clock(chip_key, hz)).unwrap();
        }
        assert_eq!(load(&path), [clock("b", 4_000_000), clock("a", 2_000_000)]);
    }

    #[test]
    fn a_file_of_something_else_holds_no_clocks_and_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clocks.toml");
        for text in ["[[clock]]\nlink = 5", "my shopping list"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(load(&path), []);
            let refused = keep(&path, clock("a", 1_000_000)).unwrap_err().to_string();
            assert!(refused.contains("not a list of clocks"), "{refused}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn the_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clocks.toml");
        for index in 0..MOST + 3 {
            keep(&path, clock(&index.to_string(), 1_000_000)).unwrap();
        }
        let all = load(&path);
        assert_eq!((all.len(), all[0].chip_key.as_str()), (MOST, "3"));
    }
}
