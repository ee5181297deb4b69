//! Jobs: what a user asks for, one file each. A job talks to a device and reports to its runner; it opens no file and
//! asks no question.

pub mod advice;
mod already;
pub mod backup;
pub mod clocks;
pub mod estimate;
mod halfway;
pub mod identify;
mod interruption;
pub mod journal;
pub mod ownership;
mod patience;
pub mod plan;
pub mod policy;
mod prepare;
pub mod protect;
mod refusal;
mod repair;
mod report;
pub mod spec;
mod stray;
mod survey;
mod unfinished;
mod verify;
pub mod wiring;
mod write;

pub use advice::{Advice, Reader, after_failure};
pub use already::{AlreadyThere, already_there};
pub use backup::{BackupSpec, Earlier, Keeper, KeeperHandle, Passes, back_up};
pub use clocks::{ClockMemory, ClocksHandle, Remembered};
pub use halfway::Halfway;
pub use identify::{Backups, BackupsHandle, FlashIdentity, Identity};
pub use interruption::Interruption;
pub use journal::{Handed, Journal, JournalHandle, Start};
pub use patience::meanwhile;
pub use plan::{Action, Group, Plan, Run, Situation, hex, overlay, plan};
pub use policy::{behind_loader, check_openbeken};
pub use prepare::{Intent, NOT_PROVEN, PrepareSpec, Prepared, Ready, Shelf, ShelfHandle, prepare, rf_sector};
pub use protect::{Protection, Range, RegisterBits};
pub use refusal::Refusal;
pub use report::{JobError, Phase, Reporter};
pub use spec::{
    BYPASS_PHRASE, BackupProof, BackupRead, CONSENT_PHRASE, Change, ConnectSpec, Extract, Interrupted, JobSpec,
    Outcome, Overlay, ProtectGoal, ProvenBackup, STRONG_CONSENT_PHRASE, SectorCounts, SectorState, Usual, WriteReport,
    WriteSpec, chip_phrase,
};
pub use stray::sector_crcs;
pub use survey::survey;
pub use unfinished::Unfinished;
pub use verify::{extract, verify};
pub use wiring::{FirstSuspect, Stability, WiringError, WiringReport, WiringRow, WiringSpec, link_over};
pub use write::{make_plan, write};
