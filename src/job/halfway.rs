//! A write whose link went away and came back. It goes on only with the very plan that was agreed to: the plan is made
//! again from what stood on the chip before, it must have the same hash, and the chip must hold what the write has left
//! there. The group that was being written is distrusted and written afresh, whatever it reads.

use std::sync::Arc;
use std::time::Duration;

use super::journal::JournalHandle;
use super::plan::{self, Plan, Situation, overlay};
use super::protect::{self, Protection, Range};
use super::repair::put_back;
use super::report::{JobError, Phase, Reporter};
use super::spec::WriteSpec;
use super::unfinished::FEW;
use crate::codec::nor::StatusBytes;
use crate::device::{DeviceError, Level, WriteFlash};
use crate::link::LinkInfo;

/// How far a write has come.
pub struct Halfway {
    pub(super) plan: Arc<Plan>,
    /// The protection before the write.
    pub(super) before: Protection,
    /// The registers after the protection was lifted.
    pub(super) opened: Option<StatusBytes>,
    /// When the write began.
    pub(super) began: Duration,
    /// Groups that were written and proven.
    pub(super) done: usize,
    /// The group after those was begun.
    pub(super) torn: bool,
    /// Any sector was touched.
    pub(super) touched: bool,
}

impl Halfway {
    /// A write that is about to begin.
    pub(super) fn new(plan: Arc<Plan>, before: Protection, began: Duration) -> Self {
        Self { plan, before, opened: None, began, done: 0, torn: false, touched: false }
    }

    /// What the chip should hold, but for the group that was being written.
    fn present(&self) -> Vec<u8> {
        let mut content = self.plan.before.to_vec();
        for group in self.plan.groups.iter().take(self.done) {
            let range = group.span.start as usize..group.span.end() as usize;
            content = overlay(content, group.span.start, self.plan.wanted.get(range).unwrap_or_default());
        }
        content
    }

    /// Whether the sector at `at` may hold anything.
    fn distrusts(&self, at: u32) -> bool {
        self.torn && self.plan.groups.get(self.done).is_some_and(|group| group.touches(at))
    }

    /// Makes sure that the chip is as this write has left it, and that the plan is still the one agreed to. Sectors that a
    /// request torn by the loss may have hit are put back.
    ///
    /// # Errors
    /// [`JobError::PlanChanged`]; [`JobError::KeptChanged`] when more has changed than a torn request can;
    /// [`JobError::OutOfReach`]; [`DeviceError::StatusMoved`]; [`JobError::Device`].
    pub(super) fn confirm(
        &self,
        device: &mut dyn WriteFlash,
        link: &LinkInfo,
        spec: &WriteSpec,
        journal: Option<&JournalHandle>,
        run: &mut dyn Reporter,
    ) -> Result<Protection, JobError> {
        let now = protect::read(device)?;
        run.protection(Arc::new(now.clone()));
        // Lifted by this write, even where the answer to that was lost.
        let lifted = self.plan.unlock.is_some() && now.range == Range::Open;
        if let (Some(was), Some(is), false) = (self.before.status, now.status, lifted)
            && !protect::same(was, is)
            && self.opened.is_none_or(|opened| !protect::same(opened, is))
        {
            return Err(DeviceError::StatusMoved { was: was.to_string(), is: is.to_string() }.into());
        }

        run.phase(Phase::Survey, self.plan.chip_size.into());
        let present = self.present();
        let mut differing = device.compare(0, &present, run)?;
        differing.retain(|at| !self.distrusts(*at));
        if let Some(&at) = differing.first().filter(|_| differing.len() > FEW || device.abilities().chip_crc.is_none())
        {
            return Err(JobError::KeptChanged { count: differing.len(), at });
        }
        let repaired = if differing.is_empty() {
            0
        } else {
            let words = format!("{} sectors outside the work changed while the link was gone", differing.len());
            run.note(Level::Warning, words);
            put_back(device, &present, |at| self.distrusts(at), journal, run)?
        };

        let identity = super::Identity::from_flash(device.facts(), device.abilities(), link, &self.plan.before);
        let abilities = device.abilities();
        let (protection, current) = (&self.before, &*self.plan.before);
        let again = plan::plan(spec, &Situation { identity: &identity, protection, abilities, current })?;
        if again.hash != self.plan.hash {
            return Err(JobError::changed(&self.plan.hash, &again.hash));
        }
        run.redone(self.words(repaired));
        Ok(now)
    }

    /// What was found, and what is done again.
    fn words(&self, repaired: usize) -> String {
        let mut words = format!("{} of {} groups were done and still are", self.done, self.plan.groups.len());
        if let Some(group) = self.plan.groups.get(self.done).filter(|_| self.torn) {
            words.push_str(&format!("; {} was being written and is erased and written again", group.span));
        }
        if repaired > 0 {
            words.push_str(&format!("; {repaired} other sectors were put back"));
        }
        words
    }

    /// A group is about to be touched.
    pub(super) fn begin_group(&mut self) {
        (self.torn, self.touched) = (true, true);
    }

    /// It was written and proven.
    pub(super) fn end_group(&mut self) {
        (self.torn, self.done) = (false, self.done + 1);
    }

    /// Bytes of the groups that are done.
    pub(super) fn done_bytes(&self) -> u64 {
        self.plan.groups.iter().take(self.done).map(|group| u64::from(group.span.len)).sum()
    }
}
