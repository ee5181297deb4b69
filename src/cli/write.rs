//! Commands that change the flash: write, erase, resume, restore, rf. Plan, agree, carry out.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::Consent;
use super::client::Client;
use super::device::{back_up_and_keep, connect, unexpected};
use super::{Context, Failure, configure};
use crate::archive::{self, unfinished};
use crate::image::{Family, rf};
use crate::job::{
    Advice, AlreadyThere, BackupProof, Change, Identity, JobSpec, Outcome, Plan, ProvenBackup, SectorState,
    WriteReport, WriteSpec, after_failure,
};
use crate::problem::{Class, Explain, Problem};
use crate::store;
use crate::store::journal::Unfinished;
use crate::units::{SECTOR, Span};

/// Ranges listed to people after a write that ended early.
const LISTED: usize = 24;

/// A change of the flash as asked for on the command line.
pub(super) struct Wish {
    pub change: Change,
    pub name: String,
    pub at: Option<u32>,
    pub image: Arc<[u8]>,
}

/// `write`
pub(super) fn image(
    context: &Context,
    file: &Path,
    at: Option<u32>,
    config: Option<&Path>,
    consent: &Consent,
) -> Result<(), Failure> {
    let image = store::read_file(file).map_err(Problem::from)?.into();
    let wish = Wish { change: Change::Image, name: file_name(file), at, image };
    match config {
        Some(config) => configure::write(context, wish, config, consent),
        None => change(context, consent, wish),
    }
}

/// `erase`
pub(super) fn erase(context: &Context, start: u32, length: u32, consent: &Consent) -> Result<(), Failure> {
    let image = vec![0xFF; length as usize].into();
    change(context, consent, Wish { change: Change::Erase, name: "erase".to_owned(), at: Some(start), image })
}

fn change(context: &Context, consent: &Consent, wish: Wish) -> Result<(), Failure> {
    let (mut client, identity) = connect(context)?;
    if let Some(there) = already_there(context, &mut client, &identity, &wish, consent)? {
        context.out.result(json!({"report": null, "already_there": &*there}), || there_text(&there));
        return Ok(());
    }
    let (spec, journal_key) = wished(context, &mut client, &identity, wish, consent)?;
    carry_out(context, &mut client, spec, consent, &journal_key)
}

/// Looks whether there is anything to write, before a backup is made and the whole chip looked at. Not where a plan was
/// asked to be shown, and not where an earlier write of this chip was cut off: that one has to be ended.
fn already_there(
    context: &Context,
    client: &mut Client,
    identity: &Arc<Identity>,
    wish: &Wish,
    consent: &Consent,
) -> Result<Option<Arc<AlreadyThere>>, Problem> {
    let shown = consent.dry_run || consent.image_out.is_some();
    let folder = context.settings.journal_folder().map_err(Problem::from)?;
    if shown || wish.change != Change::Image || unfinished::find(&folder, identity)?.is_some() {
        return Ok(None);
    }
    let spec = WriteSpec {
        change: wish.change,
        name: wish.name.clone(),
        at: wish.at,
        image: Arc::clone(&wish.image),
        backup: BackupProof::None,
        protect_after: false,
        interrupted: None,
        mac_lost: false,
    };
    match client.run(JobSpec::AlreadyThere { spec, identity: Arc::clone(identity) })? {
        Outcome::AlreadyThere(there) => {
            if there.is_some() {
                // A write that was killed right behind its proof may have left a copy of the image.
                unfinished::journal(&folder, &identity.chip_key).get().finished()?;
            }
            Ok(there)
        }
        other => Err(unexpected("compare", &other)),
    }
}

/// The write asked for, with what an earlier one left on this chip and what stands behind it; and the chip that its
/// journal is kept under.
pub(super) fn wished(
    context: &Context,
    client: &mut Client,
    identity: &Identity,
    wish: Wish,
    consent: &Consent,
) -> Result<(WriteSpec, String), Problem> {
    let folder = context.settings.journal_folder().map_err(Problem::from)?;
    let left = unfinished::find(&folder, identity)?;
    let spec = match &left {
        Some(left) if unfinished::is_same(left, wish.change, wish.at, &wish.image) => {
            context.out.say_aside(format!("going on with {}", unfinished::sentence(left)));
            let spec = resumed(context, client, identity, left, consent)?;
            WriteSpec { name: wish.name, protect_after: consent.protection(context), ..spec }
        }
        Some(left) if left.touched => return Err(unfinished::blocked(left)),
        _ => WriteSpec {
            change: wish.change,
            name: wish.name,
            at: wish.at,
            image: wish.image,
            backup: proof(context, client, identity, consent)?,
            protect_after: consent.protection(context),
            // Nothing was touched, but the protection may have been lifted.
            interrupted: left.as_ref().map(|left| unfinished::interrupted(left, identity)),
            mac_lost: false,
        },
    };
    Ok((spec, journal_key(left.as_ref(), identity)))
}

/// `resume`
pub(super) fn resume(context: &Context, consent: &Consent) -> Result<(), Failure> {
    let (mut client, identity) = connect(context)?;
    let folder = context.settings.journal_folder().map_err(Problem::from)?;
    let Some(left) = unfinished::find(&folder, &identity)? else {
        context.out.result(json!({"unfinished": null}), || "no write of this chip is unfinished".to_owned());
        return Ok(());
    };
    context.out.say_aside(format!("going on with {}", unfinished::sentence(&left)));
    let spec = resumed(context, &mut client, &identity, &left, consent)?;
    carry_out(context, &mut client, spec, consent, &left.head.chip_key)
}

/// `restore`
pub(super) fn restore(context: &Context, file: &Path, mac_lost: bool, consent: &Consent) -> Result<(), Failure> {
    let (mut client, identity) = connect(context)?;
    let backup = archive::open(file, &identity)?;
    let (at, image) = (Some(0), Arc::clone(&backup.bytes));
    put_back(
        context,
        &mut client,
        &identity,
        Wish { change: Change::Restore, name: file_name(file), at, image },
        backup,
        mac_lost,
        consent,
    )
}

/// `rf rebuild`
pub(super) fn rebuild(
    context: &Context,
    file: Option<&Path>,
    mac_lost: bool,
    consent: &Consent,
) -> Result<(), Failure> {
    let (mut client, identity) = connect(context)?;
    let backup = backup_named_or_found(context, file, &identity)?;
    let (span, sector) = rf_sector(&backup.bytes).ok_or_else(|| no_rf_block(&backup.path))?;
    let wish =
        Wish { change: Change::RfBlock, name: file_name(&backup.path), at: Some(span.start), image: sector.into() };
    put_back(context, &mut client, &identity, wish, backup, mac_lost, consent)
}

/// `rf extract`: needs no chip when the backup is named.
pub(super) fn extract(context: &Context, file: Option<&Path>, output: Option<&Path>) -> Result<(), Problem> {
    let backup = match file {
        Some(file) => store::backup::read_backup(file).map_err(|why| archive::not_a_backup(file, &why))?,
        None => {
            let (_, identity) = connect(context)?;
            let found = backup_named_or_found(context, None, &identity)?;
            store::backup::read_backup(&found.path).map_err(|why| archive::not_a_backup(&found.path, &why))?
        }
    };
    let (span, sector) = rf_sector(&backup.bytes).ok_or_else(|| no_rf_block(&backup.path))?;
    let usual = format!("rf-{}.bin", backup.manifest.provenance.chip_key);
    let output = output.map_or_else(|| usual.into(), Path::to_path_buf);
    store::write_new(&output, sector)?;
    let document = json!({"file": output.display().to_string(), "from": backup.path.display().to_string(), "span": span,
        "sha256": crate::image::sha256_hex(sector)});
    context.out.result(document, || {
        format!("{}\nRF calibration and MAC, {span}, from {}", output.display(), backup.path.display())
    });
    Ok(())
}

/// Writes what a backup of this very chip holds; an unfinished write ends with it where it covers what that one tore.
fn put_back(
    context: &Context,
    client: &mut Client,
    identity: &Identity,
    wish: Wish,
    backup: Arc<ProvenBackup>,
    mac_lost: bool,
    consent: &Consent,
) -> Result<(), Failure> {
    let folder = context.settings.journal_folder().map_err(Problem::from)?;
    let left = unfinished::find(&folder, identity)?;
    if let Some(left) = &left {
        context.out.say_aside(format!("this ends {}", unfinished::sentence(left)));
    }
    let spec = WriteSpec {
        change: wish.change,
        name: wish.name,
        at: wish.at,
        image: wish.image,
        mac_lost: mac_lost || (left.is_some() && identity.mac_hash.is_none()),
        backup: BackupProof::Proven(backup),
        protect_after: consent.protection(context),
        interrupted: left.as_ref().map(|left| unfinished::interrupted(left, identity)),
    };
    carry_out(context, client, spec, consent, &journal_key(left.as_ref(), identity))
}

fn backup_named_or_found(
    context: &Context,
    file: Option<&Path>,
    identity: &Identity,
) -> Result<Arc<ProvenBackup>, Problem> {
    match file {
        Some(file) => archive::open(file, identity),
        None => archive::find(&context.settings, identity)?.backup.ok_or_else(|| {
            Problem::new(
                Class::Refused,
                "E423",
                "there is no proven backup of this chip in the folder of backups",
                "a chip that lost its MAC cannot be found by it",
                "name the backup: `bkbench rf rebuild BACKUP`",
            )
        }),
    }
}

/// The sector with RF calibration and MAC that a flash holds.
fn rf_sector(flash: &[u8]) -> Option<(Span, &[u8])> {
    let places = [Family::Bk7231T, Family::Bk7231N].into_iter().filter_map(Family::rf_block);
    let span = places.into_iter().find(|place| rf::find(flash, place.start).is_some())?;
    Some((span, flash.get(span.start as usize..span.end() as usize)?))
}

fn no_rf_block(path: &Path) -> Problem {
    Problem::new(
        Class::Usage,
        "E125",
        format!("{} holds no RF block at 0x1E0000 (T) or 0x1D0000 (N)", path.display()),
        "the backup was made when the block was gone already, or it is of a chip that keeps it elsewhere",
        "name an older backup of the same chip",
    )
}

fn file_name(file: &Path) -> String {
    file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The chip that the journal is kept under: a chip in the middle of a restore may not show its MAC.
fn journal_key(left: Option<&Unfinished>, identity: &Identity) -> String {
    left.map_or_else(|| identity.chip_key.clone(), |left| left.head.chip_key.clone())
}

fn resumed(
    context: &Context,
    client: &mut Client,
    identity: &Identity,
    left: &Unfinished,
    consent: &Consent,
) -> Result<WriteSpec, Problem> {
    let fallback = match unfinished::proof(left) {
        Some(proof) => proof,
        // What the chip holds now is half old and half new: only an older backup counts.
        None if left.touched => archive::find(&context.settings, identity)?.backup.map_or_else(
            || consent.no_backup.clone().map_or(BackupProof::None, BackupProof::Bypassed),
            BackupProof::Proven,
        ),
        None => proof(context, client, identity, consent)?,
    };
    unfinished::resume(left, identity, fallback)
}

/// Plans, shows, asks, and carries out.
fn carry_out(
    context: &Context,
    client: &mut Client,
    spec: WriteSpec,
    consent: &Consent,
    journal_key: &str,
) -> Result<(), Failure> {
    let plan = match client.run(JobSpec::Plan(spec.clone()))? {
        Outcome::Planned(plan) => plan,
        other => return Err(unexpected("plan", &other).into()),
    };
    if let Some(output) = &consent.image_out {
        store::write_new(output, &plan.wanted).map_err(Problem::from)?;
    }
    if consent.dry_run {
        context.out.result(json!({"plan": &*plan, "dry_run": true}), || plan_text(&plan));
        return Ok(());
    }
    context.out.say_aside(plan_text(&plan));
    agree(&plan.hash, plan.is_empty(), consent, client)?;
    let report = execute(context, client, spec, &plan.hash, journal_key)?;
    context.out.result(json!({"report": &*report}), || report_text(&report));
    Ok(())
}

/// Carries out the plan with this hash.
pub(super) fn execute(
    context: &Context,
    client: &mut Client,
    spec: WriteSpec,
    agreed: &str,
    journal_key: &str,
) -> Result<Arc<WriteReport>, Failure> {
    let folder = context.settings.journal_folder().map_err(Problem::from)?;
    let journal = Some(unfinished::journal(&folder, journal_key));
    let backup = match &spec.backup {
        BackupProof::Proven(backup) => Some(backup.path.display().to_string()),
        _ => None,
    };
    match client.run(JobSpec::Write { spec, agreed: agreed.to_owned(), journal }) {
        Ok(Outcome::Written(report)) => Ok(report),
        Ok(other) => Err(unexpected("write", &other).into()),
        Err(problem) => {
            let left = client.view.last.as_ref().map(|ended| ended.left.clone()).unwrap_or_default();
            let advice = after_failure(&left, &problem, true, backup.as_deref());
            context.out.say_aside(left_text(&left, &advice));
            Err(Failure { aside: Some(Box::new(left_json(&left, &advice))), problem })
        }
    }
}

/// What stands behind the write: the typed phrase, a proven backup of this chip, or one made now.
fn proof(
    context: &Context,
    client: &mut Client,
    identity: &Identity,
    consent: &Consent,
) -> Result<BackupProof, Problem> {
    if let Some(phrase) = &consent.no_backup {
        return Ok(BackupProof::Bypassed(phrase.clone()));
    }
    let found = archive::find(&context.settings, identity)?;
    for line in &found.skipped {
        context.out.say_aside(line);
    }
    if let Some(backup) = found.backup {
        context.out.say_aside(format!("backup of this chip: {}", backup.path.display()));
        return Ok(BackupProof::Proven(backup));
    }
    // What will be refused anyway is refused before minutes of reading.
    if let Some(refusal) = identity.unfit_for_writing() {
        return Err(refusal.explain());
    }
    context.out.say_aside("no proven backup of this chip yet: making one first");
    let (read, saved) = back_up_and_keep(context, client, identity, None)?;
    if !read.proven() {
        return Err(archive::unproven(&read));
    }
    context.out.say_aside(format!("backup: {}", saved.path.display()));
    Ok(BackupProof::Proven(Arc::new(ProvenBackup {
        path: saved.path,
        sha256: saved.sha256,
        chip_key: read.identity.chip_key.clone(),
        bytes: Arc::clone(&read.bytes),
    })))
}

/// Has the plan with this hash agreed to; one with nothing to do needs no word.
pub(super) fn agree(hash: &str, empty: bool, consent: &Consent, client: &Client) -> Result<(), Problem> {
    let tail = |len: usize| hash.get(hash.len().saturating_sub(len)..).unwrap_or(hash);
    if empty || consent.yes {
        return Ok(());
    }
    let not_agreed = |cause: &str| {
        Problem::new(
            Class::Refused,
            "E103",
            format!("the plan with the hash …{} was not agreed to; nothing was changed", tail(4)),
            cause,
            format!("give --yes, or --plan {}", tail(12)),
        )
    };
    let agreed = |typed: &str| typed.len() >= 4 && hash.ends_with(&typed.to_ascii_lowercase());
    if let Some(hash) = &consent.plan {
        return if agreed(hash) { Ok(()) } else { Err(not_agreed("--plan names another plan")) };
    }
    if !std::io::stdin().is_terminal() {
        return Err(not_agreed("there is no terminal to ask on"));
    }
    let _ = write!(
        std::io::stderr(),
        "To carry this out, type the last four characters of the plan's hash ({}): ",
        tail(4)
    );
    // A question that cannot be shown is answered by nobody.
    let _ = std::io::stderr().flush();
    match client.ask() {
        Some(typed) if agreed(typed.trim()) => Ok(()),
        Some(_) => Err(not_agreed("something else was typed")),
        None => Err(Problem::new(
            Class::Cancelled,
            "E107",
            "stopped at the question; nothing was changed",
            "asked to stop",
            "run the command again; the plan is made anew",
        )),
    }
}

pub(super) fn plan_text(plan: &Plan) -> String {
    let mut lines = vec![format!("{} → {}", plan.name, plan.span), format!("  {}", plan.summary())];
    if let Some(span) = plan.unlock {
        lines.push(format!("  protected now: {span}; will be opened"));
    }
    for run in &plan.runs {
        lines.push(format!("  {}  {:>4} sectors  {}", run.span, run.span.len / SECTOR, action_text(run.action)));
    }
    lines.extend(plan.notes.iter().map(|note| format!("  note: {note}")));
    lines.push(format!("  about {} s   hash {}", plan.time.as_secs_f64().ceil(), plan.hash));
    lines.join("\n")
}

fn action_text(action: crate::job::Action) -> String {
    use crate::job::Action;
    let word = match action {
        Action::Keep => "keep",
        Action::Program => "program",
        Action::Erase => "erase",
        Action::EraseProgram => "erase, program",
    };
    format!("{word} ({})", action.why())
}

pub(super) fn report_text(report: &WriteReport) -> String {
    let done = if report.plan.is_empty() {
        format!("nothing had to be changed: {} already holds it", report.plan.span)
    } else {
        format!(
            "written   {}: {} sectors erased, {} programmed, {} kept, {} retries, {:.1} s",
            report.plan.span,
            report.sectors.erased,
            report.sectors.programmed,
            report.sectors.kept,
            report.retries,
            report.took.as_secs_f64()
        )
    };
    let supply = report.supply.map(|record| format!("\nsupply    {}", record.words())).unwrap_or_default();
    let repaired: String = report
        .repaired
        .iter()
        .map(|at| format!("\nrepaired  0x{at:06X}: hit by a damaged request, put back"))
        .collect();
    let gone: String = report.interruptions.iter().map(|gone| format!("\nlink lost {}", gone.words())).collect();
    format!(
        "{done}\nverified  every written sector, and every kept sector of the chip\nguarded   {}\nboots     not checked\nsha256    {} (whole chip)\nprotection {}\nbackup    {}{supply}{repaired}{gone}",
        report.guarded, report.sha256, report.protection, report.backup
    )
}

fn there_text(there: &AlreadyThere) -> String {
    format!(
        "already there: {} holds {} ({}); nothing was written, and no backup was made\nproven    every byte of it compared {}, {} retries, {:.1} s\nunchecked {}\nsha256    {} (the image in its place)",
        there.span,
        there.name,
        there.about,
        there.compared,
        there.retries,
        there.took.as_secs_f64(),
        there.not_checked.join(", "),
        there.sha256
    )
}

/// Which sectors hold what after a write that ended early, and the one next step.
fn left_text(left: &[(Span, SectorState)], advice: &Advice) -> String {
    let line =
        |(span, state): &(Span, SectorState)| format!("\n  {span}  {:>4} sectors  {}", span.len / SECTOR, state.word());
    let mut lines: String = left.iter().take(LISTED).map(line).collect();
    if let Some(more) = left.get(LISTED..).filter(|more| !more.is_empty()) {
        let sectors: u32 = more.iter().map(|(span, _)| span.len / SECTOR).sum();
        lines.push_str(&format!("\n  … and {} more ranges with {sectors} sectors; --json lists them all", more.len()));
    }
    format!("what the chip holds now: {}{lines}\nnext: {}", advice.state, advice.next)
}

fn left_json(left: &[(Span, SectorState)], advice: &Advice) -> Value {
    let left: Vec<Value> = left.iter().map(|(span, state)| json!({"span": span, "state": state.word()})).collect();
    json!({"left": left, "holds": advice.holds, "next": advice.next})
}
