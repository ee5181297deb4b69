//! What the app hears.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyEvent, MouseEvent};

use super::look::Looked;
use super::shared::{BackupState, OpenFile};
use crate::image::inspect::Inspection;
use crate::link::Endpoint;
use crate::problem::Problem;
use crate::session::Event;

/// One message.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key.
    Key(KeyEvent),
    /// Text from the clipboard.
    Paste(String),
    /// The mouse.
    Mouse(MouseEvent),
    /// The terminal has another size.
    Resize(u16, u16),
    /// The session told something.
    Session(Box<Event>),
    /// A worker finished a task.
    Done(Box<Done>),
    /// Time went by while a job ran: so long since its last event.
    Tick(Duration),
    /// The system wants the program to end, or the terminal is gone.
    Terminate,
}

/// What a worker finished.
#[derive(Clone, Debug)]
pub enum Done {
    /// Links were looked for.
    Links(Vec<Endpoint>),
    /// A folder was listed.
    Listed(PathBuf, Result<Vec<FolderEntry>, Problem>),
    /// A file was looked at: what it is, in words.
    Peeked(PathBuf, String),
    /// A file was loaded.
    Loaded(Target, Result<Arc<OpenFile>, Problem>),
    /// A file was looked through.
    Inspected(Arc<OpenFile>, Arc<Inspection>),
    /// A look into a file ended.
    Looked(Looked),
    /// The store was asked for a backup of a chip.
    Backup {
        /// Of which chip.
        chip_key: String,
        /// What it holds.
        state: BackupState,
        /// What stood in the way, if anything did.
        problem: Option<Problem>,
    },
    /// A write of the connected chip was cut off: what it was.
    Unfinished(String),
    /// No write of the connected chip was cut off.
    NothingUnfinished,
    /// A backup was saved.
    Saved {
        /// What is known of it now.
        state: BackupState,
        /// The backup as a file for the Dump tab.
        file: Arc<OpenFile>,
        /// Why it is not proven.
        problem: Option<Problem>,
    },
    /// A new file was written.
    FileWritten(PathBuf),
    /// A task could not be done at all.
    Failed(Problem),
}

/// A file or folder in the picker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderEntry {
    /// Its name.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Bytes of a file.
    pub size: u64,
}

/// What a file is loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To be looked at.
    Dump,
    /// To be written.
    Image,
    /// To be compared with the one that is looked at.
    Second,
    /// The text of a template, to be checked.
    Template,
    /// A list of devices, to look for similar ones in.
    List,
}
