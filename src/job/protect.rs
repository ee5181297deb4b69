//! What is protected, in words and as a range; and the jobs that show and change it (product.md rule 6).

use std::sync::Arc;

use serde::Serialize;

use super::patience::prove_write_path;
use super::report::PROTECTION_REFUSED;
use super::spec::{Outcome, ProtectGoal};
use super::{JobError, Reporter};
use crate::chip::Part;
use crate::codec::nor::{StatusBytes, StatusRefusal};
use crate::device::{Abilities, Level, ReadFlash, WriteFlash};
use crate::problem::{Class, Explain, Problem};
use crate::units::{Span, Verdict, size_text};

/// The protection of a chip as read at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Protection {
    /// The registers as read; `None` where the link cannot show them.
    pub status: Option<StatusBytes>,
    /// The protected bytes.
    pub range: Range,
    /// The registers bit by bit.
    pub registers: Vec<RegisterBits>,
    /// The lock bits forbid a change of the registers.
    pub registers_locked: bool,
    /// The state in one sentence.
    pub sentence: String,
    /// How sure the decoding is.
    pub verdict: Verdict,
    /// Where the knowledge about this part's bits comes from.
    pub confidence: String,
}

/// The protected bytes of a chip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "span")]
pub enum Range {
    /// The link cannot show the registers.
    Unreadable,
    /// The registers are read, but nobody knows what they mean for this part.
    Unknown,
    /// Nothing is protected.
    Open,
    /// These bytes are protected.
    Protected(Span),
}

/// One status register, bit by bit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegisterBits {
    /// `SR1`, `SR2` or `SR3`.
    pub name: &'static str,
    /// The value.
    pub value: u8,
    /// Name and state of the bits, bit 7 first.
    pub bits: Vec<(String, bool)>,
}

/// Whether two readings of the registers are the same but for the two bits that every command moves, WIP and WEL.
pub fn same(one: StatusBytes, other: StatusBytes) -> bool {
    let settled = |status: StatusBytes| StatusBytes { sr1: status.sr1 & !0b11, ..status };
    settled(one) == settled(other)
}

impl Protection {
    /// Decodes the registers of a part with a chip of `size` bytes.
    pub fn decode(status: Option<StatusBytes>, part: Option<&Part>, size: u32, abilities: Abilities) -> Self {
        let Some(bytes) = status else {
            let sentence = if abilities.status_registers {
                "the status registers could not be read".to_owned()
            } else {
                "this boot loader can neither show nor change the protection; SPI can".to_owned()
            };
            return Self {
                status,
                range: Range::Unreadable,
                registers: Vec::new(),
                registers_locked: false,
                sentence,
                verdict: Verdict::NotChecked,
                confidence: "not checked".to_owned(),
            };
        };
        let span = part.and_then(|part| part.protected(bytes));
        let range = match span {
            None => Range::Unknown,
            Some(span) if span.is_empty() => Range::Open,
            Some(span) => Range::Protected(span),
        };
        Self {
            status,
            sentence: sentence(&range, size),
            range,
            registers: registers(bytes, part),
            registers_locked: part.is_some_and(|part| part.layout.is_set("SRP1", bytes)),
            verdict: part.map_or(Verdict::NotChecked, |part| part.scheme_confidence.verdict()),
            confidence: part.map_or_else(
                || "the part is not in the table".to_owned(),
                |part| part.scheme_confidence.words().to_owned(),
            ),
        }
    }

    /// Two words for the header.
    pub fn badge(&self) -> &'static str {
        match self.range {
            Range::Unreadable => "not readable",
            Range::Unknown => "unknown",
            Range::Open => "open",
            Range::Protected(_) => "locked",
        }
    }
}

fn sentence(range: &Range, size: u32) -> String {
    match range {
        Range::Unreadable => "the status registers cannot be read over this link".to_owned(),
        Range::Unknown => {
            "the protection of this part is not known; whether a write took is seen by reading back".to_owned()
        }
        Range::Open => "nothing is protected".to_owned(),
        // Of a part above 16 MiB only the first 16 are reached.
        Range::Protected(span) if span.len >= size => format!("the whole chip is protected ({span})"),
        Range::Protected(span) => {
            format!(
                "{span} is protected ({}), {} open",
                size_text(span.len.into()),
                size_text(size.saturating_sub(span.len).into())
            )
        }
    }
}

fn registers(status: StatusBytes, part: Option<&Part>) -> Vec<RegisterBits> {
    let values = [("SR1", Some(status.sr1)), ("SR2", status.sr2), ("SR3", status.sr3)];
    let present = values.into_iter().enumerate().filter_map(|(index, (name, value))| Some((index, name, value?)));
    present
        .map(|(index, name, value)| {
            let layout = part.map(|part| part.layout);
            let names = layout.and_then(|layout| [Some(&layout.sr1), layout.sr2.as_ref(), layout.sr3.as_ref()][index]);
            let bits = (0..8_usize).rev().map(|bit| {
                let name = names.and_then(|names| names.get(bit)).cloned().unwrap_or_else(|| format!("bit {bit}"));
                (name, value >> bit & 1 == 1)
            });
            RegisterBits { name, value, bits: bits.collect() }
        })
        .collect()
}

/// Reads and decodes the protection.
///
/// # Errors
/// [`JobError::Device`].
pub fn read(device: &mut (impl ReadFlash + ?Sized)) -> Result<Protection, JobError> {
    let status = device.read_status()?;
    let facts = device.facts();
    Ok(Protection::decode(status, facts.part, facts.size, device.abilities()))
}

/// Changes the protection to the goal and reads it back. Writes no register when the goal already holds.
///
/// # Errors
/// [`JobError::ProtectionRefused`] when the part, the lock bits or the link forbid it; [`JobError::Device`].
pub fn set(device: &mut dyn WriteFlash, goal: ProtectGoal, run: &mut dyn Reporter) -> Result<Outcome, JobError> {
    let before = read(device)?;
    run.protection(Arc::new(before.clone()));
    let after = change(device, &before, goal, run)?;
    run.protection(Arc::new(after.clone()));
    Ok(Outcome::ProtectionSet { before: Arc::new(before), after: Arc::new(after) })
}

/// Why registers that were not read are not changed.
fn unreadable(before: &Protection, abilities: Abilities) -> Problem {
    let (cause, remedy) = if abilities.status_registers {
        ("the chip did not answer when its registers were read", "connect again at a lower speed")
    } else {
        ("the boot loader that serves this link has no command for them", "connect over SPI to see and change them")
    };
    Problem::new(Class::Refused, PROTECTION_REFUSED, before.sentence.clone(), cause, remedy)
}

/// The change itself; also used inside a write.
///
/// # Errors
/// As [`set`].
pub fn change(
    device: &mut dyn WriteFlash,
    before: &Protection,
    goal: ProtectGoal,
    run: &mut dyn Reporter,
) -> Result<Protection, JobError> {
    let Some(status) = before.status else {
        return Err(JobError::ProtectionRefused(unreadable(before, device.abilities())));
    };
    let Some(part) = device.facts().part else {
        return Err(JobError::ProtectionRefused(StatusRefusal::UnknownScheme.explain()));
    };
    let size = device.facts().size;
    let refused = |why: StatusRefusal| JobError::ProtectionRefused(why.explain());
    let change = match goal {
        ProtectGoal::Off => part.open(status),
        ProtectGoal::On => part.factory(status),
        ProtectGoal::Restore(earlier) => part.back_to(status, earlier),
    }
    .map_err(refused)?;
    let Some(change) = change else {
        run.note(Level::Info, "the status registers already are as wanted; nothing was written to them".to_owned());
        return Ok(before.clone());
    };
    prove_write_path(device, run)?;
    let now = device.write_status(&change)?;
    let after = Protection::decode(Some(now), Some(part), size, device.abilities());
    run.note(Level::Info, format!("status registers {status} → {now}: {}", after.sentence));
    Ok(after)
}
