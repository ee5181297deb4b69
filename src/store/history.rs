//! What finished writes left on chips, one line a write, in a file for each backup that stood behind them. It explains later
//! why a chip differs from its backup: by the CRC of every sector, not by anybody's word.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::backup::rfc3339;
use super::files;

/// Version of a line's shape.
pub const SCHEMA: u32 = 1;
/// Lines kept for one backup: what counts is what the chip holds by now.
const MOST: usize = 32;
/// No file is as large as this, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// A finished write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When it was proven; RFC 3339 in the file.
    #[serde(with = "rfc3339")]
    pub time: Timestamp,
    /// What was changed: `image`, `erase`, `restore` …
    pub change: String,
    /// What people call the image.
    pub name: String,
    /// Hash of the plan.
    pub plan: String,
    /// CRC of every sector of the chip afterwards, eight hex digits each.
    pub sectors: String,
}

/// The lines of the backup with this SHA-256, oldest first. Lines that cannot be read explain nothing and are left out.
pub fn of_backup(folder: &Path, sha256: &str) -> Vec<Line> {
    read(&path(folder, sha256)).map(|(lines, _)| lines).unwrap_or_default()
}

/// The lines of a file that can be read, and how many it has.
fn read(path: &Path) -> Result<(Vec<Line>, usize), StoreError> {
    let bytes = match files::read_own(path, LARGEST) {
        Err(StoreError::Missing { .. }) => return Ok((Vec::new(), 0)),
        read => read?,
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    Ok((lines.filter(|line| line.schema == SCHEMA).collect(), text.lines().count()))
}

/// Adds a line to those of the backup with this SHA-256.
///
/// # Errors
/// The disk's; [`StoreError::Exists`] when the file holds something else: it is not replaced.
pub fn add(folder: &Path, sha256: &str, line: Line) -> Result<(), StoreError> {
    files::make_folder(folder)?;
    let path = path(folder, sha256);
    let (mut lines, all) = read(&path)?;
    if lines.is_empty() && all > 0 {
        return Err(StoreError::Exists { path });
    }
    lines.push(line);
    let mut bytes = Vec::new();
    for line in lines.iter().rev().take(MOST).rev() {
        let failed = |error: serde_json::Error| StoreError::Journal { path: path.clone(), text: error.to_string() };
        serde_json::to_writer(&mut bytes, line).map_err(failed)?;
        bytes.push(b'\n');
    }
    files::replace_own(&path, &bytes)
}

fn path(folder: &Path, sha256: &str) -> PathBuf {
    let name: String = sha256.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    folder.join(format!("{name}.writes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str) -> Line {
        let words = |text: &str| text.to_owned();
        let (change, plan, sectors) = (words("image"), words("hash"), words("0011aabb"));
        Line { schema: SCHEMA, time: Timestamp::UNIX_EPOCH, change, name: name.to_owned(), plan, sectors }
    }

    #[test]
    fn lines_are_kept_by_backup_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        assert!(of_backup(folder.path(), "ab12").is_empty());
        for number in 0..MOST + 3 {
            add(folder.path(), "ab12", line(&number.to_string())).unwrap();
        }
        let kept = of_backup(folder.path(), "ab12");
        assert_eq!((kept.len(), kept[0].name.as_str()), (MOST, "3"));
        assert!(of_backup(folder.path(), "cd34").is_empty());
    }

    #[test]
    fn a_file_of_something_else_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), "ab12");
        std::fs::write(&path, "my shopping list\n").unwrap();
        assert!(of_backup(folder.path(), "ab12").is_empty());
        assert!(matches!(add(folder.path(), "ab12", line("one")), Err(StoreError::Exists { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "my shopping list\n");
    }

    #[test]
    fn a_damaged_line_explains_nothing() {
        let folder = tempfile::tempdir().unwrap();
        add(folder.path(), "ab12", line("one")).unwrap();
        let path = path(folder.path(), "ab12");
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{half a li\n");
        std::fs::write(&path, text).unwrap();
        assert_eq!(of_backup(folder.path(), "ab12").len(), 1);
    }
}
