//! A write, from survey to proof. Erases, programs and reads back group by group; nothing counts before the whole
//! chip was compared (product.md rules 1 and 7).

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::identify::Identity;
use super::plan::{self, Action, Group, Plan, Situation, hex};
use super::protect::{self, Protection, Range};
use super::report::{JobError, Phase, Quiet, Reporter};
use super::spec::{BackupProof, ProtectGoal, SectorCounts, SectorState, WriteReport, WriteSpec};
use super::survey::{confirmed, survey};
use super::verify::first_difference;
use crate::device::{Level, SectorData, WriteFlash};
use crate::link::LinkInfo;
use crate::units::{SECTOR, Span, hex_text};

/// How often a sector that verifies wrong is erased and written again.
const WRITE_ATTEMPTS: u32 = 3;

/// Looks at the chip and makes the plan; changes nothing.
///
/// # Errors
/// [`JobError::Refused`] with the rule, [`JobError::Device`].
pub fn make_plan(
    device: &mut dyn WriteFlash,
    link: &LinkInfo,
    spec: &WriteSpec,
    run: &mut dyn Reporter,
) -> Result<Plan, JobError> {
    let known = match &spec.backup {
        BackupProof::Proven(backup) => Some(&*backup.bytes),
        _ => None,
    };
    let current = survey(device, known, run)?;
    let identity = Identity::from_flash(device.facts(), device.abilities(), link, &current);
    run.identity(Arc::new(identity.clone()));
    let protection = protect::read(device)?;
    run.protection(Arc::new(protection.clone()));
    let abilities = device.abilities();
    let situation = Situation { identity: &identity, protection: &protection, abilities, current: &current };
    Ok(plan::plan(spec, &situation)?)
}

/// Identifies the chip again, makes the plan again, and carries it out when it is the one agreed to.
///
/// # Errors
/// [`JobError::PlanChanged`], [`JobError::VerifyFailed`], [`JobError::KeptChanged`], [`JobError::Refused`],
/// [`JobError::Device`]. The reporter knows by then what every sector holds.
pub fn write(
    device: &mut dyn WriteFlash,
    link: &LinkInfo,
    spec: &WriteSpec,
    agreed: &str,
    run: &mut dyn Reporter,
) -> Result<WriteReport, JobError> {
    let began = run.now();
    device.identify_again()?;
    let plan = make_plan(device, link, spec, run)?;
    if plan.hash != agreed {
        let tail = |hash: &str| hash.get(hash.len().saturating_sub(4)..).unwrap_or(hash).to_owned();
        return Err(JobError::PlanChanged { agreed: tail(agreed), now: tail(&plan.hash) });
    }
    let plan = Arc::new(plan);
    run.planned(Arc::clone(&plan));

    let before = protect::read(device)?;
    if plan.unlock.is_some() && !plan.is_empty() {
        run.phase(Phase::Unlock, 0);
        let after = protect::change(device, &before, ProtectGoal::Off, run)?;
        run.protection(Arc::new(after));
    }
    let carried_out = carry_out(device, &plan, run);
    // Put back also after a failure: a chip that was locked before is not left open by accident.
    let protection = lock_again(device, &plan, &before, run);
    carried_out?;
    let protection = protection?;
    // The chip holds other firmware now.
    let identity = Identity::from_flash(device.facts(), device.abilities(), link, &plan.wanted);
    run.identity(Arc::new(identity));

    Ok(WriteReport {
        sectors: SectorCounts {
            erased: plan.count(Action::erases),
            programmed: plan.count(Action::programs),
            kept: plan.count(|action| action == Action::Keep),
        },
        verified: true,
        kept_proven: true,
        sha256: hex(&Sha256::digest(&plan.wanted)),
        retries: run.retries(),
        protection,
        took: run.now().saturating_sub(began),
        backup: match &spec.backup {
            BackupProof::Proven(backup) => backup.path.display().to_string(),
            BackupProof::Bypassed(phrase) => format!("none; typed instead: {phrase}"),
            BackupProof::None => "none".to_owned(),
        },
        not_checked: vec!["whether the firmware boots".to_owned()],
        plan,
    })
}

fn lock_again(
    device: &mut dyn WriteFlash,
    plan: &Plan,
    before: &Protection,
    run: &mut dyn Reporter,
) -> Result<String, JobError> {
    let Some(status) = before.status.filter(|_| plan.protect_after) else {
        return Ok(match (before.status, plan.unlock) {
            (None, _) => "not readable over this link; not changed by this program".to_owned(),
            (Some(_), None) => "not changed".to_owned(),
            (Some(_), Some(span)) => format!("lifted from {span} and left open"),
        });
    };
    run.phase(Phase::Lock, 0);
    let now = protect::read(device)?;
    let after = protect::change(device, &now, ProtectGoal::Restore(status), run)?;
    run.protection(Arc::new(after.clone()));
    Ok(format!("put back: {}", after.sentence))
}

fn carry_out(device: &mut dyn WriteFlash, plan: &Plan, run: &mut dyn Reporter) -> Result<(), JobError> {
    let total: u64 = plan.groups.iter().map(|group| u64::from(group.span.len)).sum();
    if total > 0 {
        run.phase(Phase::Write, total);
    }
    for group in &plan.groups {
        run.checkpoint()?;
        write_group(device, plan, group, run)?;
        run.advance(group.span.len.into());
    }
    run.phase(Phase::Verify, plan.chip_size.into());
    let seemed = device.compare(0, &plan.wanted, run)?;
    let differing = confirmed(device, seemed, &plan.wanted, run)?;
    let Some(&first) = differing.first() else { return Ok(()) };
    let written = plan.groups.iter().any(|group| group.span.contains(first));
    for &at in &differing {
        run.sectors(Span::new(at, SECTOR), SectorState::Unknown);
    }
    if written {
        Err(failed(device, plan, &differing, run)?)
    } else {
        Err(JobError::KeptChanged { count: differing.len(), at: first })
    }
}

fn write_group(
    device: &mut dyn WriteFlash,
    plan: &Plan,
    group: &Group,
    run: &mut dyn Reporter,
) -> Result<(), JobError> {
    for &(unit, at) in &group.erases {
        run.checkpoint()?;
        let span = Span::new(at, unit.bytes());
        // Until the erase is known to have ended, nobody can say what the sectors hold.
        run.sectors(span, SectorState::Unknown);
        device.erase(unit, at)?;
        run.sectors(span, SectorState::Erased);
    }
    for &at in &group.programs {
        run.checkpoint()?;
        program(device, plan, at, run)?;
    }
    let mut wrong = verify_group(device, plan, group, run)?;
    for _ in 1..WRITE_ATTEMPTS {
        if wrong.is_empty() {
            break;
        }
        for &at in &wrong {
            run.checkpoint()?;
            run.retried(format!("sector 0x{at:06X} reads back wrong; erasing and writing it again"));
            run.sectors(Span::new(at, SECTOR), SectorState::Unknown);
            device.erase(crate::device::EraseUnit::Sector, at)?;
            run.sectors(Span::new(at, SECTOR), SectorState::Erased);
            program(device, plan, at, run)?;
        }
        wrong = verify_group(device, plan, group, run)?;
    }
    if wrong.is_empty() { Ok(()) } else { Err(failed(device, plan, &wrong, run)?) }
}

fn program(device: &mut dyn WriteFlash, plan: &Plan, at: u32, run: &mut dyn Reporter) -> Result<(), JobError> {
    let span = Span::new(at, SECTOR);
    let Some(data) = sector(&plan.wanted, at) else { return Err(JobError::OutsideChip { span, size: plan.chip_size }) };
    run.sectors(span, SectorState::Unknown);
    device.program(at, data)?;
    run.sectors(span, SectorState::Written);
    Ok(())
}

/// Reads the group's changed sectors back; returns those that are wrong.
fn verify_group(
    device: &mut dyn WriteFlash,
    plan: &Plan,
    group: &Group,
    run: &mut dyn Reporter,
) -> Result<Vec<u32>, JobError> {
    let Some(wanted) = plan.wanted.get(group.span.start as usize..group.span.end() as usize) else {
        return Err(JobError::OutsideChip { span: group.span, size: plan.chip_size });
    };
    let seemed = device.compare(group.span.start, wanted, &mut Quiet(run))?;
    let wrong = confirmed(device, seemed, &plan.wanted, run)?;
    for at in group.span.pieces(SECTOR).map(|sector| sector.start) {
        let changed = plan.runs.iter().any(|run| run.action != Action::Keep && run.span.contains(at));
        if changed {
            let state = if wrong.contains(&at) { SectorState::Unknown } else { SectorState::Verified };
            run.sectors(Span::new(at, SECTOR), state);
        }
    }
    Ok(wrong)
}

/// Builds the error of a failed verification, with its cause from what the chip shows.
fn failed(
    device: &mut dyn WriteFlash,
    plan: &Plan,
    wrong: &[u32],
    run: &mut dyn Reporter,
) -> Result<JobError, JobError> {
    let at = wrong.first().copied().unwrap_or(0);
    let wanted = sector(&plan.wanted, at).map(|data| &data[..]).unwrap_or_default();
    let difference = first_difference(device, at, wanted, &mut Quiet(run))?;
    let protection = protect::read(device)?;
    let registers = protection.status.map_or_else(|| "not readable".to_owned(), |status| status.to_string());
    let (cause, remedy) = match protection.range {
        Range::Protected(span) if span.contains(at) => (
            format!("the write protection holds {span}: status registers {registers}"),
            "unlock it on the Protect tab (`bkbench protect off`); if the registers do not take it, power-cycle the module".to_owned(),
        ),
        _ if all_kept(plan, at, &difference.content) => (
            format!("the chip ignored erase and program: its write protection holds this range (status registers {registers})"),
            "over UART: connect over SPI, which can lift the protection; over SPI: power-cycle the module and read the protection again".to_owned(),
        ),
        _ if difference.content.iter().all(|byte| *byte == 0xFF) => (
            format!("the chip erased the sector and ignored the program commands: its supply dips, or its write protection came back (status registers {registers})"),
            "check the supply, read the protection again, then write the same image again: equal sectors are kept".to_owned(),
        ),
        _ => (
            "bits were lost on the way: a clock too fast for the wires, a weak supply, or a worn sector".to_owned(),
            "lower the speed, check supply and ground, then write the same image again: equal sectors are kept".to_owned(),
        ),
    };
    run.note(
        Level::Error,
        format!("sector 0x{at:06X} starts with {}", difference.content.get(..8).map(hex_text).unwrap_or_default()),
    );
    Ok(JobError::VerifyFailed {
        count: wrong.len(),
        at: difference.at,
        expected: difference.expected,
        read: difference.read,
        cause,
        remedy,
    })
}

/// Whether the sector still holds what the survey saw there.
fn all_kept(plan: &Plan, at: u32, is: &[u8]) -> bool {
    plan.surveyed(at).is_some_and(|before| before == is)
}

fn sector(bytes: &[u8], at: u32) -> Option<&SectorData> {
    bytes.get(at as usize..)?.first_chunk()
}
