//! Work that may take a while: files and folders, searches, backups on disk. Runs on its own thread, never on the
//! screen's.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::effect::Task;
use super::look;
use super::msg::{Done, FolderEntry, Target};
use super::shared::{BackupState, KnownBackup, OpenFile, about};
use crate::archive;
use crate::image::{firmware, inspect};
use crate::job::{BackupRead, Identity};
use crate::link;
use crate::problem::{Class, Explain, Problem};
use crate::store::{self, Settings};
use crate::units::{Verdict, size_text};

/// Larger files are not looked into by the file picker, in bytes.
const LARGEST_PEEK: u64 = 32 * 1024 * 1024;

/// Does one task. Never panics on what files hold; every failure comes back as a [`Problem`].
pub fn perform(task: Task, settings: &Settings) -> Done {
    match task {
        Task::Links => Done::Links(link::endpoints(settings.cen)),
        Task::List(folder) => {
            let entries = list(&folder);
            Done::Listed(folder, entries)
        }
        Task::Peek(path) => {
            let words = peek(&path);
            Done::Peeked(path, words)
        }
        Task::ShowBackup(known) => {
            let file = OpenFile::new(&known.proof.path, Arc::clone(&known.proof.bytes), Some(Verdict::Proven));
            Done::Loaded(Target::Dump, Ok(Arc::new(file)))
        }
        Task::TakeBackup(known) => {
            let file = OpenFile::new(&known.proof.path, Arc::clone(&known.proof.bytes), Some(Verdict::Proven));
            Done::Loaded(Target::Image, Ok(Arc::new(file)))
        }
        Task::Take(target, file) => Done::Loaded(target, Ok(file)),
        Task::FindUnfinished(identity) => find_unfinished(settings, &identity).unwrap_or_else(Done::Failed),
        Task::Load(target, path) => Done::Loaded(target, load(&path).map(Arc::new)),
        Task::Look(look) => Done::Looked(look::perform(look, settings)),
        Task::Inspect(file) => {
            let found = inspect::inspect(&file.bytes);
            Done::Inspected(file, Arc::new(found))
        }
        Task::WriteFile(path, bytes) => match store::write_new(&path, &bytes) {
            Ok(()) => Done::FileWritten(path),
            Err(error) => Done::Failed(error.explain()),
        },
        Task::FindBackup(identity) => find_backup(settings, &identity),
        Task::SaveBackup(read) => save_backup(settings, &read),
    }
}

/// Folders first, then files, each by name; hidden ones are left out.
fn list(folder: &Path) -> Result<Vec<FolderEntry>, Problem> {
    let failed = |error: std::io::Error| {
        Problem::new(
            Class::Host,
            "E131",
            format!("the folder {} cannot be listed: {error}", folder.display()),
            "it was removed, or you may not read it",
            "choose another folder with Backspace, or type a path",
        )
    };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A broken link is no file to open.
        let Ok(meta) = std::fs::metadata(entry.path()) else { continue };
        if !name.starts_with('.') {
            entries.push(FolderEntry { name, folder: meta.is_dir(), size: meta.len() });
        }
    }
    entries.sort_by(|a, b| b.folder.cmp(&a.folder).then_with(|| a.name.cmp(&b.name)));
    Ok(entries)
}

fn peek(path: &Path) -> String {
    let size = std::fs::metadata(path).map(|meta| meta.len());
    match size {
        Ok(0) => return "empty".to_owned(),
        Ok(size) if size > LARGEST_PEEK => return format!("{}, not looked into", size_text(size)),
        _ => {}
    }
    match store::read_file(path) {
        Ok(bytes) => about(&firmware::identify(&bytes)),
        Err(error) => error.explain().what,
    }
}

fn load(path: &Path) -> Result<OpenFile, Problem> {
    let bytes: Arc<[u8]> = store::read_file(path).map_err(|error| error.explain())?.into();
    Ok(OpenFile::new(path, bytes, None))
}

/// When a file was written: the time of day today, else the date.
fn when(path: &Path) -> String {
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified()).unwrap_or_else(|_| SystemTime::now());
    let Ok(time) = Timestamp::try_from(modified) else { return String::new() };
    let (then, now) = (time.to_zoned(TimeZone::system()), Timestamp::now().to_zoned(TimeZone::system()));
    let format = if then.date() == now.date() { "%H:%M" } else { "%Y-%m-%d" };
    then.strftime(format).to_string()
}

fn find_backup(settings: &Settings, identity: &Arc<Identity>) -> Done {
    let chip_key = identity.chip_key.clone();
    match archive::find(settings, identity) {
        Ok(found) => {
            let state = found.backup.map_or(BackupState::None, |proof| {
                let when = when(&proof.path);
                BackupState::Proven(Arc::new(KnownBackup { proof, when, status: found.status }))
            });
            Done::Backup { chip_key, state, problem: None }
        }
        Err(problem) => Done::Backup { chip_key, state: BackupState::Unknown, problem: Some(problem) },
    }
}

fn find_unfinished(settings: &Settings, identity: &Identity) -> Result<Done, Problem> {
    let folder = settings.journal_folder().map_err(|error| error.explain())?;
    Ok(match archive::unfinished::find(&folder, identity)?.filter(|left| left.touched) {
        None => Done::NothingUnfinished,
        Some(left) => Done::Unfinished(left.sentence),
    })
}

fn save_backup(settings: &Settings, read: &Arc<BackupRead>) -> Done {
    let (saved, read) = match archive::keep(settings, None, read) {
        Ok(kept) => kept,
        Err(problem) => return Done::Failed(problem),
    };
    let proven = read.proven();
    let verdict = if proven { Verdict::Proven } else { Verdict::Unsure };
    let file = Arc::new(OpenFile::new(&saved.path, Arc::clone(&read.bytes), Some(verdict)));
    if !proven {
        let problem = archive::unproven(&read);
        let state = BackupState::Unproven { path: saved.path, why: problem.what.clone() };
        return Done::Saved { state, file, problem: Some(problem) };
    }
    let proof = archive::just_made(&saved, &read);
    let when = when(&proof.path);
    let known = KnownBackup { proof: Arc::new(proof), when, status: read.status };
    Done::Saved { state: BackupState::Proven(Arc::new(known)), file, problem: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_first_and_hidden_files_not_at_all() {
        let folder = tempfile::tempdir().expect("folder");
        for name in ["b.bin", "a.bin", ".hidden"] {
            std::fs::write(folder.path().join(name), b"x").expect("file");
        }
        std::fs::create_dir(folder.path().join("z")).expect("folder");
        let names: Vec<String> = list(folder.path()).expect("list").into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["z", "a.bin", "b.bin"]);
    }

    #[test]
    fn a_missing_folder_is_a_problem_with_a_remedy() {
        let problem = list(Path::new("/no/such/folder")).expect_err("missing");
        assert_eq!(problem.code, "E131");
        assert!(problem.remedy.contains("Backspace"));
    }

    #[test]
    fn an_unknown_file_is_not_called_anything() {
        assert_eq!(about(&firmware::identify(b"hello, this is a letter")), "unknown content");
    }

    #[test]
    fn a_missing_file_cannot_be_loaded() {
        assert!(load(Path::new("/no/such/file.bin")).is_err());
    }
}
