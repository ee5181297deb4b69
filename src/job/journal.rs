//! The record of a write that outlives the program (product.md rule 9). Jobs open no file: the front end hands a
//! [`Journal`] in, and what it is told reaches the disk before the chip is touched.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::backup::{Keeper, KeeperHandle};
use super::clocks::{ClockMemory, ClocksHandle};
use super::identify::{Backups, BackupsHandle, Identity};
use super::plan::Plan;
use super::prepare::{Shelf, ShelfHandle};
use super::spec::WriteSpec;
use crate::codec::nor::StatusBytes;
use crate::problem::Problem;
use crate::units::Span;

/// Where a write records how far it is. Every call returns only when the record is on the disk.
pub trait Journal: Send {
    /// A write with work to do begins; takes the place of an earlier unfinished write of the same chip, whose
    /// distrusted sectors are in `start`.
    ///
    /// # Errors
    /// The problem of the disk. Nothing has been touched.
    fn begin(&mut self, start: &Start<'_>) -> Result<(), Problem>;

    /// These sectors are about to be erased or programmed.
    ///
    /// # Errors
    /// The problem of the disk. They have not been touched.
    fn group_started(&mut self, sectors: &[Span]) -> Result<(), Problem>;

    /// These sectors were read back and are right.
    ///
    /// # Errors
    /// The problem of the disk.
    fn group_done(&mut self, sectors: &[Span]) -> Result<(), Problem>;

    /// The chip holds what the plan wanted, every sector proven: whoever looks at the chip later can know why it differs from
    /// its backup.
    ///
    /// # Errors
    /// The problem of the disk.
    fn proven(&mut self, plan: &Plan) -> Result<(), Problem>;

    /// The write came to its end, proven, or nothing of it was begun: the record is no longer needed.
    ///
    /// # Errors
    /// The problem of the disk.
    fn finished(&mut self) -> Result<(), Problem>;
}

/// What a journal is told at the beginning.
pub struct Start<'a> {
    /// What was asked for, with what earlier writes left.
    pub spec: &'a WriteSpec,
    /// What will be done.
    pub plan: &'a Plan,
    /// The chip.
    pub identity: &'a Identity,
    /// The status registers to put back at the end.
    pub status: Option<StatusBytes>,
}

/// Something the front end hands to a job for the job's time. Two are equal when they are the same.
pub struct Handed<T: ?Sized>(Arc<Mutex<T>>);

/// A journal on its way into a job.
pub type JournalHandle = Handed<dyn Journal>;

impl JournalHandle {
    /// Wraps a journal.
    pub fn new(journal: impl Journal + 'static) -> Self {
        Self(Arc::new(Mutex::new(journal)))
    }
}

impl KeeperHandle {
    /// Wraps a keeper.
    pub fn new(keeper: impl Keeper + 'static) -> Self {
        Self(Arc::new(Mutex::new(keeper)))
    }
}

impl ClocksHandle {
    /// Wraps a memory of clocks.
    pub fn new(memory: impl ClockMemory + 'static) -> Self {
        Self(Arc::new(Mutex::new(memory)))
    }
}

impl ShelfHandle {
    /// Wraps a shelf.
    pub fn new(shelf: impl Shelf + 'static) -> Self {
        Self(Arc::new(Mutex::new(shelf)))
    }
}

impl BackupsHandle {
    /// Wraps what finds backups.
    pub fn new(backups: impl Backups + 'static) -> Self {
        Self(Arc::new(Mutex::new(backups)))
    }
}

impl<T: ?Sized> Handed<T> {
    /// What was handed in. A panic in an earlier job does not take it away.
    pub fn get(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Clone for Handed<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> fmt::Debug for Handed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handed")
    }
}

impl<T: ?Sized> PartialEq for Handed<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
