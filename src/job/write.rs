//! A write, from survey to proof. Erases, programs and reads back group by group; nothing counts before every sector of
//! the chip was compared (product.md rules 1 and 7).
//!
//! Each pass over the chip has a reason of its own, and no two prove the same: the survey is what the plan is made from
//! and what kept sectors are held against; the comparison of a group tells whether the next one may be touched, and what
//! a later start may trust; the last one proves what no group has proven yet.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::halfway::Halfway;
use super::identify::Identity;
use super::journal::{JournalHandle, Start};
use super::patience::{back_off, meanwhile, prove_write_path, record};
use super::plan::{self, Action, Group, Plan, Situation, hex, overlay};
use super::protect::{self, Protection, Range};
use super::repair::put_back;
use super::report::{JobError, Phase, Reporter};
use super::spec::{BackupProof, ProtectGoal, SectorCounts, SectorState, WriteReport, WriteSpec};
use super::survey::{confirmed, survey};
use super::verify::first_difference;
use crate::device::{DeviceError, EraseUnit, Level, SectorData, Uncounted, WriteFlash};
use crate::image::firmware;
use crate::link::LinkInfo;
use crate::units::{SECTOR, Span, hex_text};

/// How often a group is tried, the first time included: once more as it is, then a step slower each time.
const ATTEMPTS: u32 = 8;
/// How often sectors that the final comparison finds different are looked at again before that is believed.
const SECOND_LOOKS: u32 = 2;

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
    Ok(look(device, link, spec, run)?.plan)
}

/// What a look at the chip gives.
struct Looked {
    plan: Plan,
    identity: Identity,
    protection: Protection,
}

fn look(
    device: &mut dyn WriteFlash,
    link: &LinkInfo,
    spec: &WriteSpec,
    run: &mut dyn Reporter,
) -> Result<Looked, JobError> {
    let known = match &spec.backup {
        BackupProof::Proven(backup) => Some(&*backup.bytes),
        _ => None,
    };
    // A chip that holds the image already shows it by its CRC.
    let at = spec.at.or_else(|| firmware::identify(&spec.image).natural_address);
    let likely = known.zip(at).map(|(known, at)| {
        let image = overlay(known.to_vec(), at, &spec.image);
        spec.overlays.iter().fold(image, |likely, over| overlay(likely, over.at, &over.bytes))
    });
    let current = survey(device, known, likely.as_deref(), run)?;
    let (facts, abilities) = (device.facts().clone(), device.abilities());
    let identity = meanwhile(device, || Identity::from_flash(&facts, abilities, link, &current));
    run.identity(Arc::new(identity.clone()));
    let protection = protect::read(device)?;
    run.protection(Arc::new(protection.clone()));
    let situation = Situation { identity: &identity, protection: &protection, abilities, current: &current };
    let plan = meanwhile(device, || plan::plan(spec, &situation))?;
    Ok(Looked { plan, identity, protection })
}

/// Identifies the chip again, makes the plan again, and carries it out when it is the one agreed to. How far it has come
/// is left in `halfway`, so that the same job goes on from there after its link has gone and come back.
///
/// # Errors
/// [`JobError::PlanChanged`], [`JobError::VerifyFailed`], [`JobError::KeptChanged`], [`JobError::Refused`],
/// [`JobError::Journal`], [`JobError::Device`]. The reporter knows by then what every sector holds.
pub fn write(
    device: &mut dyn WriteFlash,
    link: &LinkInfo,
    spec: &WriteSpec,
    agreed: &str,
    journal: Option<&JournalHandle>,
    halfway: &mut Option<Halfway>,
    run: &mut dyn Reporter,
) -> Result<WriteReport, JobError> {
    device.identify_again()?;
    let (halfway, now) = match halfway {
        Some(left) => {
            let now = left.confirm(device, link, spec, journal, run)?;
            (left, now)
        }
        None => {
            let began = run.now();
            let Looked { plan, identity, protection: before } = look(device, link, spec, run)?;
            if plan.hash != agreed {
                return Err(JobError::changed(agreed, &plan.hash));
            }
            let plan = Arc::new(plan);
            run.planned(Arc::clone(&plan));
            let status = spec.interrupted.as_ref().and_then(|left| left.status).or(before.status);
            let start = Start { spec, plan: &plan, identity: &identity, status };
            record(device, journal.filter(|_| !plan.is_empty()), |journal| journal.begin(&start))?;
            let now = before.clone();
            (halfway.insert(Halfway::new(plan, before, began)), now)
        }
    };
    let plan = Arc::clone(&halfway.plan);
    let before = halfway.before.clone();

    if !plan.is_empty() {
        prove_write_path(device, run)?;
    }
    if plan.unlock.is_some() && !plan.is_empty() && now.range != Range::Open {
        run.phase(Phase::Unlock, 0);
        let after = protect::change(device, &now, ProtectGoal::Off, run)?;
        halfway.opened = after.status;
        run.protection(Arc::new(after));
    }
    let carried_out = carry_out(device, halfway, journal, run)
        .and_then(|()| record(device, journal.filter(|_| !plan.is_empty()), |journal| journal.proven(&plan)));
    // Put back also after a failure: a chip that was locked before is not left open by accident.
    let protection = lock_again(device, &plan, &before, run);
    let nothing_left = carried_out.is_ok() || (!halfway.touched && spec.interrupted.is_none());
    record(device, journal.filter(|_| nothing_left && protection.is_ok()), |journal| journal.finished())?;
    carried_out?;
    let protection = protection?;
    // The chip holds other firmware now.
    let identity = Identity::from_flash(device.facts(), device.abilities(), link, &plan.wanted);
    run.identity(Arc::new(identity.clone()));

    let guarded = guarded(&plan, spec, &identity);
    Ok(WriteReport {
        guarded,
        sectors: SectorCounts {
            erased: plan.count(Action::erases),
            programmed: plan.count(Action::programs),
            kept: plan.count(|action| action == Action::Keep),
        },
        verified: true,
        kept_proven: true,
        sha256: hex(&Sha256::digest(&plan.wanted)),
        retries: run.retries(),
        repaired: run.repairs(),
        supply: run.supply(),
        interruptions: run.interruptions(),
        speed: device.facts().speed,
        protection,
        took: run.now().saturating_sub(halfway.began),
        backup: spec.backup.words(),
        not_checked: vec!["whether the firmware boots".to_owned()],
        plan,
    })
}

/// The guarded ranges against the backup. By now the chip is proven to hold the plan's content.
fn guarded(plan: &Plan, spec: &WriteSpec, identity: &Identity) -> String {
    let BackupProof::Proven(backup) = &spec.backup else { return "not compared: there is no backup".to_owned() };
    let boot_loader = Span::between(0, identity.abilities.first_writable);
    let ranges = [("RF calibration and MAC", identity.rf_block), ("boot loader", Some(boot_loader))];
    let words = ranges.into_iter().filter_map(|(name, span)| {
        let span = span.filter(|span| !span.is_empty())?;
        let range = span.start as usize..span.end() as usize;
        let equal = plan.wanted.get(range.clone())? == backup.bytes.get(range)?;
        Some(if equal {
            format!("{name} equal to the backup")
        } else {
            format!("{name} left as found, which is not what the backup holds at {span}")
        })
    });
    words.collect::<Vec<_>>().join("; ")
}

fn lock_again(
    device: &mut dyn WriteFlash,
    plan: &Plan,
    before: &Protection,
    run: &mut dyn Reporter,
) -> Result<String, JobError> {
    let Some(status) = plan.lock else {
        return Ok(match (before.status, plan.unlock) {
            (None, _) => before.sentence.clone(),
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

fn carry_out(
    device: &mut dyn WriteFlash,
    halfway: &mut Halfway,
    journal: Option<&JournalHandle>,
    run: &mut dyn Reporter,
) -> Result<(), JobError> {
    let plan = &*Arc::clone(&halfway.plan);
    let total: u64 = plan.groups.iter().map(|group| u64::from(group.span.len)).sum();
    let (retries, losses) = (run.retries(), device.losses());
    let from_start = halfway.done == 0 && !halfway.torn;
    if total > 0 {
        run.phase_from(Phase::Write, halfway.done_bytes(), total);
    }
    for (index, group) in plan.groups.iter().enumerate().skip(halfway.done) {
        run.checkpoint()?;
        let sectors = group.sectors();
        record(device, journal, |journal| journal.group_started(&sectors))?;
        let torn = halfway.torn;
        halfway.begin_group();
        let done = plan.groups.get(..index).unwrap_or_default();
        write_group(device, plan, group, done, torn, journal, run)?;
        record(device, journal, |journal| journal.group_done(&sectors))?;
        halfway.end_group();
        run.advance(group.span.len.into());
    }
    // The survey right before has compared every block with the chip's own CRC, and nothing was sent since.
    if plan.is_empty() && device.abilities().chip_crc.is_some() {
        return Ok(());
    }
    // Where every command was answered at once and for its own address, a group that was compared holds still what it
    // held then. Else, after the link was gone, and over wires that answer nothing, the whole chip is compared.
    let in_step = from_start && losses.is_some() && device.losses() == losses && run.retries() == retries;
    let rest = if in_step { untouched(plan) } else { vec![Span::new(0, plan.chip_size)] };
    run.phase(Phase::Verify, rest.iter().map(|span| u64::from(span.len)).sum());
    let mut differing = Vec::new();
    for span in rest {
        let wanted = plan.wanted.get(span.start as usize..span.end() as usize).unwrap_or_default();
        differing.extend(device.compare(span.start, wanted, run)?);
    }
    let mut differing = look_again(device, plan, differing, run)?;
    // Where the line was disturbed before, this is damage of our own making, and what stood there is known.
    if !differing.is_empty() && run.retries() > retries && device.abilities().chip_crc.is_some() {
        put_back(device, &plan.wanted, |_| false, journal, run)?;
        differing = device.compare(0, &plan.wanted, &mut Uncounted(run))?;
    }
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

/// What no group has changed, and so none has answered for, as runs.
fn untouched(plan: &Plan) -> Vec<Span> {
    let mut at = 0;
    let ends = plan.groups.iter().flat_map(Group::sectors).chain([Span::new(plan.chip_size, 0)]);
    let gaps = ends.map(|span| Span::between(std::mem::replace(&mut at, span.end()), span.start));
    gaps.filter(|span| !span.is_empty()).collect()
}

/// Sectors that the final comparison found different, looked at again, slower: one disturbed read is no proof.
fn look_again(
    device: &mut dyn WriteFlash,
    plan: &Plan,
    mut differing: Vec<u32>,
    run: &mut dyn Reporter,
) -> Result<Vec<u32>, JobError> {
    for round in 1..=SECOND_LOOKS {
        if differing.is_empty() {
            break;
        }
        run.retried(format!("{} sectors differ at the end; looking again", differing.len()));
        back_off(device, round, run)?;
        let mut still = Vec::new();
        for at in differing {
            if let Some(wanted) = sector(&plan.wanted, at) {
                still.extend(device.compare(at, wanted, &mut Uncounted(run))?);
            }
        }
        differing = still;
    }
    Ok(differing)
}

fn write_group(
    device: &mut dyn WriteFlash,
    plan: &Plan,
    group: &Group,
    done: &[Group],
    torn: bool,
    journal: Option<&JournalHandle>,
    run: &mut dyn Reporter,
) -> Result<(), JobError> {
    let all =
        || group.sectors().into_iter().flat_map(|span| span.pieces(SECTOR)).map(|at| at.start).collect::<Vec<u32>>();
    let mut wrong: Vec<u32> = Vec::new();
    let mut disturbed: Option<DeviceError> = None;
    for attempt in 0..ATTEMPTS {
        let worked = if attempt == 0 && torn {
            afresh(device, plan, &all(), run)
        } else if attempt == 0 {
            as_planned(device, plan, group, run)
        } else {
            for at in &wrong {
                let why = disturbed.as_ref().map_or_else(|| "it reads back wrong".to_owned(), ToString::to_string);
                run.retried(format!("sector 0x{at:06X} is erased and written again: {why}"));
            }
            back_off(device, attempt, run).and_then(|()| afresh(device, plan, &wrong, run))
        };
        match worked.and_then(|()| verify_group(device, plan, group, run)) {
            Ok(found) if found.is_empty() => return Ok(()),
            Ok(found) => (wrong, disturbed) = (found, None),
            Err(JobError::Device(error)) if error.may_pass() || matches!(error, DeviceError::Misdirected { .. }) => {
                if let DeviceError::Misdirected { instead, .. } = error {
                    // On the disk first: whoever ends this process before the sector is put back has it on record.
                    let hit = Span::new(instead % plan.chip_size, 1).to_sectors();
                    record(device, journal, |journal| journal.group_started(&[hit]))?;
                    run.note(Level::Error, error.to_string());
                    put_back(device, &present(plan, done), |at| group.touches(at), journal, run)?;
                }
                wrong = all();
                disturbed = Some(error);
            }
            Err(other) => return Err(other),
        }
    }
    match disturbed {
        Some(error) => Err(error.into()),
        None => Err(failed(device, plan, &wrong, run)?),
    }
}

/// What the chip should hold when these groups are done.
fn present(plan: &Plan, done: &[Group]) -> Vec<u8> {
    let mut content = plan.before.to_vec();
    for group in done {
        let range = group.span.start as usize..group.span.end() as usize;
        if let (Some(place), Some(wanted)) = (content.get_mut(range.clone()), plan.wanted.get(range)) {
            place.copy_from_slice(wanted);
        }
    }
    content
}

fn as_planned(device: &mut dyn WriteFlash, plan: &Plan, group: &Group, run: &mut dyn Reporter) -> Result<(), JobError> {
    for &(unit, at) in &group.erases {
        run.checkpoint()?;
        erase(device, unit, at, run)?;
    }
    for &at in &group.programs {
        run.checkpoint()?;
        program(device, plan, at, run)?;
    }
    Ok(())
}

/// Erases and programs sectors one by one, whatever they hold.
fn afresh(device: &mut dyn WriteFlash, plan: &Plan, sectors: &[u32], run: &mut dyn Reporter) -> Result<(), JobError> {
    for &at in sectors {
        run.checkpoint()?;
        erase(device, EraseUnit::Sector, at, run)?;
        program(device, plan, at, run)?;
    }
    Ok(())
}

fn erase(device: &mut dyn WriteFlash, unit: EraseUnit, at: u32, run: &mut dyn Reporter) -> Result<(), JobError> {
    let span = Span::new(at, unit.bytes());
    // Until the erase is known to have ended, nobody can say what the sectors hold.
    run.sectors(span, SectorState::Unknown);
    device.erase(unit, at)?;
    run.sectors(span, SectorState::Erased);
    Ok(())
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
    let mut wrong = device.compare(group.span.start, wanted, &mut Uncounted(run))?;
    let sectors = group.sectors();
    // Kept sectors in between are the final comparison's matter: nothing here may touch them.
    wrong.retain(|at| sectors.iter().any(|span| span.contains(*at)));
    let wrong = confirmed(device, wrong, &plan.wanted, run)?;
    for at in sectors.into_iter().flat_map(|span| span.pieces(SECTOR)).map(|sector| sector.start) {
        let state = if wrong.contains(&at) { SectorState::Unknown } else { SectorState::Verified };
        run.sectors(Span::new(at, SECTOR), state);
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
    let difference = first_difference(device, at, wanted, &mut Uncounted(run))?;
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
            "check the supply and read the protection again".to_owned(),
        ),
        _ => (
            "bits were lost on the way: a clock too fast for the wires, a weak supply, or a worn sector".to_owned(),
            "lower the speed, check supply and ground".to_owned(),
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
