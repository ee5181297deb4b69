//! Bookmarks with notes: kept in the data folder under the SHA-256 of the file they belong to. So they are found
//! whatever the file is called and wherever it lies, also when its folder cannot be written to, and the file itself is
//! never touched.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::files::{make_folder, read_own, remove_own, replace_own};

/// Bookmarks of one file at most.
pub const MOST: usize = 1000;
/// Letters of a note at most.
pub const LONGEST: usize = 500;
/// Bytes of a notes file at most; a larger one was not written here.
const LARGEST: u64 = 4 * 1024 * 1024;

/// A place with a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bookmark {
    /// File offset.
    pub at: u32,
    /// What the user wrote; may be empty.
    pub note: String,
}

/// The bookmarks of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notes {
    /// What the file was called when it was last seen; for people who look into the folder.
    pub file: String,
    /// By rising offset.
    #[serde(default, rename = "bookmark")]
    pub bookmarks: Vec<Bookmark>,
}

impl Notes {
    /// The bookmark at a file offset.
    pub fn at(&self, at: u32) -> Option<&Bookmark> {
        self.bookmarks.binary_search_by_key(&at, |bookmark| bookmark.at).ok().map(|index| &self.bookmarks[index])
    }

    /// Sets a bookmark, or changes its note. Beyond [`MOST`] bookmarks nothing is added; a note is cut at [`LONGEST`].
    pub fn set(&mut self, at: u32, note: &str) {
        let note: String = note.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect();
        match self.bookmarks.binary_search_by_key(&at, |bookmark| bookmark.at) {
            Ok(index) => self.bookmarks[index].note = note,
            Err(index) if self.bookmarks.len() < MOST => self.bookmarks.insert(index, Bookmark { at, note }),
            Err(_) => {}
        }
    }

    /// Takes a bookmark away.
    pub fn remove(&mut self, at: u32) {
        self.bookmarks.retain(|bookmark| bookmark.at != at);
    }
}

fn path(folder: &Path, sha256: &str) -> PathBuf {
    folder.join(format!("{sha256}.toml"))
}

/// The notes of the file with this SHA-256, given in hex; none when there are none yet.
///
/// # Errors
/// [`StoreError::Notes`] for a file that is damaged, and what reading it meets.
pub fn load(folder: &Path, sha256: &str) -> Result<Notes, StoreError> {
    let path = path(folder, sha256);
    let bytes = match read_own(&path, LARGEST) {
        Ok(bytes) => bytes,
        Err(StoreError::Missing { .. }) => return Ok(Notes::default()),
        Err(error) => return Err(error),
    };
    let damaged = |text: String| StoreError::Notes { path: path.clone(), text };
    let text = String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
    let mut notes: Notes = toml::from_str(&text).map_err(|error| damaged(error.message().to_owned()))?;
    notes.bookmarks.sort_by_key(|bookmark| bookmark.at);
    notes.bookmarks.dedup_by_key(|bookmark| bookmark.at);
    Ok(notes)
}

/// Keeps the notes of the file with this SHA-256: whole or not at all, readable by this user only. Without bookmarks
/// nothing is left behind. Notes that cannot be read are not replaced.
///
/// # Errors
/// As [`load`], and what writing meets.
pub fn save(folder: &Path, sha256: &str, notes: &Notes) -> Result<(), StoreError> {
    load(folder, sha256)?;
    let path = path(folder, sha256);
    if notes.bookmarks.is_empty() {
        return remove_own(&path);
    }
    let text =
        toml::to_string(notes).map_err(|error| StoreError::Notes { path: path.clone(), text: error.to_string() })?;
    make_folder(folder)?;
    replace_own(&path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Explain;

    const HASH: &str = "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225";

    #[test]
    fn notes_come_back_as_they_were_kept_and_only_this_user_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("notes");
        let mut notes = Notes { file: "plug.bin".into(), bookmarks: Vec::new() };
        notes.set(0x1E_5000, "pin map \"here\"\n\x1B[31m");
        notes.set(0x10, "");
        save(&folder, HASH, &notes).unwrap();
        let kept = load(&folder, HASH).unwrap();
        assert_eq!(kept, notes);
        assert_eq!(kept.at(0x1E_5000).unwrap().note, "pin map \"here\"[31m", "no control character is kept");
        assert_eq!(kept.bookmarks[0].at, 0x10, "by rising offset");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(path(&folder, HASH)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn the_last_bookmark_takes_the_file_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut notes = Notes::default();
        save(folder.path(), HASH, &notes).unwrap();
        notes.set(1, "a");
        save(folder.path(), HASH, &notes).unwrap();
        assert!(path(folder.path(), HASH).exists());
        notes.set(1, "b");
        assert_eq!(notes.bookmarks.len(), 1);
        notes.remove(1);
        save(folder.path(), HASH, &notes).unwrap();
        assert!(!path(folder.path(), HASH).exists());
        assert_eq!(load(folder.path(), HASH).unwrap(), Notes::default());
    }

    #[test]
    fn damaged_notes_are_named_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for damage in [&b"file = 7"[..], b"\xFF\xFE", b"file = \"a\"\nbookmark = [{at = -1, note = \"\"}]"] {
            std::fs::write(path(folder.path(), HASH), damage).unwrap();
            assert_eq!(load(folder.path(), HASH).unwrap_err().explain().code, "E612");
            let mut notes = Notes::default();
            notes.set(1, "new");
            assert!(save(folder.path(), HASH, &notes).is_err());
            assert_eq!(std::fs::read(path(folder.path(), HASH)).unwrap(), damage);
        }
    }

    #[test]
    fn there_is_an_end_to_bookmarks_and_notes() {
        let mut notes = Notes::default();
        for at in 0..MOST as u32 + 5 {
            notes.set(at, &"x".repeat(LONGEST + 5));
        }
        assert_eq!((notes.bookmarks.len(), notes.bookmarks[0].note.len()), (MOST, LONGEST));
    }
}
