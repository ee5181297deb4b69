//! What is kept on disk: settings, files read and written whole, proven backups, the records of unfinished writes and
//! backups, clocks that worked. No file of the user is ever replaced.

pub mod backup;
pub mod clocks;
pub mod extract;
pub mod files;
pub mod history;
pub mod journal;
pub mod notes;
pub mod part;
pub mod paths;
pub mod protection;
pub mod settings;

mod error;

pub use backup::{Manifest, Provenance, Saved, StoredBackup, find_backup, save_backup, start_backup};
pub use error::StoreError;
pub use extract::{extract, is_inside};
pub use files::{NewFile, must_be_new, must_be_private, own_text, read_file, write_new};
pub use notes::{Bookmark, Notes};
pub use settings::{Loaded, Origin, Setting, Settings};

/// Removes what killed processes left in the program's own folders and nothing needs: unfinished files, and copies of
/// images without the record that they belong to. To be called at the start of every command.
pub fn tidy() {
    let Ok(folders) = paths::Folders::find() else { return };
    for folder in [&folders.data, &folders.notes(), &folders.history()] {
        files::sweep(folder);
    }
    journal::tidy(&folders.journal());
}
