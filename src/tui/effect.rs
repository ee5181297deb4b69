//! What the app wishes to happen outside of it, and what tabs and overlays wish from the app.

use std::path::PathBuf;
use std::sync::Arc;

use super::look::Look;
use super::msg::Target;
use super::overlay::Overlay;
use super::shared::{KnownBackup, OpenFile, Step};
use super::tabs::TabId;
use crate::job::{BackupRead, Identity, JobSpec};
use crate::link::WireKind;
use crate::session::JobId;

/// A wish that leaves the app.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Start a job.
    Start(Box<JobSpec>),
    /// Stop a job at its next safe point.
    Cancel(JobId),
    /// Have a worker do something that may take a while.
    Work(Task),
    /// Put a text on the clipboard of the terminal.
    Copy(String),
    /// Ring the terminal's bell.
    Bell,
    /// Stop the process until the shell continues it.
    Suspend,
    /// Leave.
    Quit,
}

/// Work for a worker thread; each ends as one [`super::msg::Done`].
#[derive(Clone, Debug)]
pub enum Task {
    /// Look for links.
    Links,
    /// List a folder.
    List(PathBuf),
    /// Tell what a file is.
    Peek(PathBuf),
    /// Load a file.
    Load(Target, PathBuf),
    /// Show a proven backup.
    ShowBackup(Arc<KnownBackup>),
    /// Take a proven backup as the image: writing it puts the chip back.
    TakeBackup(Arc<KnownBackup>),
    /// Take a file that is open already.
    Take(Target, Arc<OpenFile>),
    /// Write a new file; one that is there is never replaced.
    WriteFile(PathBuf, Arc<[u8]>),
    /// Look for a write of a chip that was cut off.
    FindUnfinished(Arc<Identity>),
    /// Tell what a file holds: pins, template, Tuya store.
    Inspect(Arc<OpenFile>),
    /// Look into a file.
    Look(Look),
    /// Look for a proven backup of a chip.
    FindBackup(Arc<Identity>),
    /// Save a backup.
    SaveBackup(Arc<BackupRead>),
}

/// What a tab or an overlay answers with.
pub enum Act {
    /// A wish that leaves the app.
    Effect(Effect),
    /// Show another tab.
    Go(TabId),
    /// Show an offset of the open file in the Dump tab.
    Show(u32),
    /// Put an overlay on top.
    Open(Box<dyn Overlay>),
    /// Take the top overlay away.
    Close,
    /// Choose the module on the bench.
    Module(&'static str),
    /// Choose the wire.
    Wire(WireKind),
    /// The person came so far, or fell back.
    Journey(Step, bool),
    /// Stop the running job, then leave.
    Leave,
    /// Use a new speed for the next connect; `None` is the wire's usual one.
    Speed(Option<u32>),
    /// Remember where the picker was.
    Folder(PathBuf),
    /// Go without a backup: the phrase that was typed.
    Bypass(String),
    /// Go on with the write that was cut off: the Flash tab plans it.
    Resume,
    /// No write of this chip is unfinished any more.
    NothingUnfinished,
    /// Say something in the status line.
    Say(String),
}

impl Act {
    /// Starts a job.
    pub fn start(spec: JobSpec) -> Self {
        Self::Effect(Effect::Start(Box::new(spec)))
    }

    /// Gives a worker a task.
    pub const fn work(task: Task) -> Self {
        Self::Effect(Effect::Work(task))
    }
}

/// Whether a key was taken, and what follows from it.
pub enum Response {
    /// Somebody else may have the key.
    Ignored,
    /// It was taken.
    Taken(Vec<Act>),
}

impl Response {
    /// Taken; nothing follows.
    pub const fn nothing() -> Self {
        Self::Taken(Vec::new())
    }

    /// Taken; one thing follows.
    pub fn act(act: Act) -> Self {
        Self::Taken(vec![act])
    }
}
