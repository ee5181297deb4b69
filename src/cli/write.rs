//! Commands that change the flash: write, erase, resume, restore, rf. Plan, agree, carry out.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::Consent;
use super::client::Client;
use super::device::{connect, unexpected};
use super::{Context, Failure, configure};
use crate::archive;
use crate::job::{
    Advice, AlreadyThere, BackupProof, Identity, Intent, JobSpec, Outcome, Plan, PrepareSpec, Prepared, ProvenBackup,
    Reader, Ready, Refusal, SectorState, WriteReport, after_failure, rf_sector,
};
use crate::link::WireKind;
use crate::problem::{Class, Explain, Problem};
use crate::store;
use crate::units::{SECTOR, Span, time_text, whole_time_text};

/// Ranges listed to people after a write that ended early.
const LISTED: usize = 24;

/// `write`
pub(super) fn image(
    context: &Context,
    file: &Path,
    at: Option<u32>,
    config: Option<&Path>,
    consent: &Consent,
) -> Result<(), Failure> {
    let image: Arc<[u8]> = store::read_file(file).map_err(Problem::from)?.into();
    let name = file_name(file);
    match config {
        Some(config) => configure::write(context, configure::Image { name, at, image }, config, consent),
        None => change(context, Intent::Image { name, at, image, settings: None }, consent),
    }
}

/// `erase`
pub(super) fn erase(context: &Context, start: u32, length: u32, consent: &Consent) -> Result<(), Failure> {
    change(context, Intent::Erase(Span::new(start, length)), consent)
}

/// `resume`
pub(super) fn resume(context: &Context, consent: &Consent) -> Result<(), Failure> {
    change(context, Intent::Resume, consent)
}

/// `restore`
pub(super) fn restore(context: &Context, file: &Path, mac_lost: bool, consent: &Consent) -> Result<(), Failure> {
    let (client, identity) = connect(context)?;
    let backup = archive::open(file, &identity)?;
    carry_out(context, client, Intent::Restore { backup, mac_lost }, consent)
}

/// `rf rebuild`
pub(super) fn rebuild(
    context: &Context,
    file: Option<&Path>,
    mac_lost: bool,
    consent: &Consent,
) -> Result<(), Failure> {
    let (client, identity) = connect(context)?;
    let backup = file.map(|file| archive::open(file, &identity)).transpose()?;
    carry_out(context, client, Intent::RfBlock { backup, mac_lost }, consent)
}

/// Connects, and carries a wish out.
pub(super) fn change(context: &Context, intent: Intent, consent: &Consent) -> Result<(), Failure> {
    let (client, _) = connect(context)?;
    carry_out(context, client, intent, consent)
}

/// Prepares, shows, asks, and carries out.
fn carry_out(context: &Context, mut client: Client, intent: Intent, consent: &Consent) -> Result<(), Failure> {
    let ready = match prepared(context, &mut client, &intent, consent)? {
        Prepared::Ready(ready) => *ready,
        Prepared::AlreadyThere(there) => {
            context.out.result(json!({"report": null, "already_there": &*there}), || there_text(&there));
            return Ok(());
        }
        Prepared::NothingUnfinished => {
            context.out.result(json!({"unfinished": null}), || "no write of this chip is unfinished".to_owned());
            return Ok(());
        }
    };
    let plan = Arc::clone(&ready.plan);
    let with_config = |mut whole: Value, proven: bool| {
        let config = configure::document(&ready, proven);
        if let (Some(fields), Some(config)) = (whole.as_object_mut(), config) {
            fields.insert("config".to_owned(), config);
        }
        whole
    };
    let text = || ready_text(&ready);
    if let Some(output) = &consent.image_out {
        store::write_new(output, &plan.wanted).map_err(Problem::from)?;
    }
    if consent.dry_run {
        context.out.result(with_config(json!({"plan": &*plan, "dry_run": true}), false), text);
        return Ok(());
    }
    context.out.say_aside(text());
    agree(&plan.hash, plan.is_empty(), consent, &client)?;
    let report = execute(context, &mut client, &ready)?;
    context.out.result(with_config(json!({"report": &*report}), true), || report_text(&report));
    Ok(())
}

/// Has the session prepare a wish. Where content does not show whose the backup is, a person at a terminal is asked.
fn prepared(context: &Context, client: &mut Client, intent: &Intent, consent: &Consent) -> Result<Prepared, Problem> {
    let chosen = consent.protect_after || consent.no_protect_after;
    let resumed = matches!(intent, Intent::Resume) && !chosen;
    let mut spec = PrepareSpec {
        intent: intent.clone(),
        protect_after: (!resumed).then(|| consent.protection(context)),
        phrase: consent.no_backup.clone(),
        consent: consent.this_chip.clone(),
        chip_phrase: consent.erased_chip.clone(),
        always_plan: consent.dry_run || consent.image_out.is_some(),
        shelf: archive::shelf(&context.settings)?,
    };
    let outcome = match client.run(JobSpec::Prepare(spec.clone())) {
        Err(problem) if problem.code == Refusal::CONSENT_NEEDED && spec.consent.is_none() => {
            let Some(typed) = ask_consent(client, &problem) else { return Err(problem) };
            spec.consent = Some(typed);
            client.run(JobSpec::Prepare(spec))?
        }
        outcome => outcome?,
    };
    match outcome {
        Outcome::Prepared(prepared) => {
            if let Prepared::Ready(ready) = &prepared {
                ready.said.iter().for_each(|line| context.out.say_aside(line));
            }
            Ok(prepared)
        }
        other => Err(unexpected("plan", &other)),
    }
}

/// Shows what differs, and has the person type the phrase; `None` without a terminal.
fn ask_consent(client: &Client, problem: &Problem) -> Option<String> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let _ = write!(std::io::stderr(), "{}\n  {}\nType the phrase, or nothing to stop: ", problem.what, problem.remedy);
    // A question that cannot be shown is answered by nobody.
    let _ = std::io::stderr().flush();
    client.ask().map(|typed| typed.trim().to_owned()).filter(|typed| !typed.is_empty())
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

fn backup_named_or_found(
    context: &Context,
    file: Option<&Path>,
    identity: &Identity,
) -> Result<Arc<ProvenBackup>, Problem> {
    match file {
        Some(file) => archive::open(file, identity),
        None => archive::find(&context.settings, identity)?.backup.ok_or_else(|| Refusal::NoneOfThisChip.explain()),
    }
}

fn no_rf_block(path: &Path) -> Problem {
    Refusal::NoRfBlock { path: path.display().to_string() }.explain()
}

fn file_name(file: &Path) -> String {
    file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Carries out what was prepared and agreed to.
fn execute(context: &Context, client: &mut Client, ready: &Ready) -> Result<Arc<WriteReport>, Failure> {
    let (spec, plan, journal) = (ready.spec.clone(), &ready.plan, ready.journal.clone());
    let backup = match &spec.backup {
        BackupProof::Proven(backup) => Some(backup.path.display().to_string()),
        _ => None,
    };
    match client.run(JobSpec::Write { spec, agreed: plan.hash.clone(), journal: Some(journal) }) {
        Ok(Outcome::Written(report)) => Ok(report),
        Ok(other) => Err(unexpected("write", &other).into()),
        Err(problem) => {
            let left = client.view.last.as_ref().map(|ended| ended.left.clone()).unwrap_or_default();
            let wire = client.view.last.as_ref().map_or(WireKind::Spi, |ended| ended.job.wire);
            let advice = after_failure(&left, &problem, wire, Reader::CommandLine(backup.as_deref()));
            context.out.say_aside(left_text(&left, &advice));
            Err(Failure { aside: Some(Box::new(left_json(&left, &advice))), problem })
        }
    }
}

/// Has the plan with this hash agreed to; one with nothing to do needs no word.
fn agree(hash: &str, empty: bool, consent: &Consent, client: &Client) -> Result<(), Problem> {
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

/// The plan, and where the configuration's values come from.
fn ready_text(ready: &Ready) -> String {
    let reasons = ready.configured.iter().flatten().map(|reason| format!("\n  {reason}"));
    format!("{}{}", plan_text(&ready.plan), reasons.collect::<String>())
}

fn plan_text(plan: &Plan) -> String {
    let mut lines = vec![format!("{} → {}", plan.name, plan.span), format!("  {}", plan.summary())];
    if let Some(span) = plan.unlock {
        lines.push(format!("  protected now: {span}; will be opened"));
    }
    for run in &plan.runs {
        lines.push(format!("  {}  {:>4} sectors  {}", run.span, run.span.len / SECTOR, action_text(run.action)));
    }
    lines.extend(plan.settings.iter().map(|change| format!("  sets {change}")));
    lines.extend(plan.notes.iter().map(|note| format!("  note: {note}")));
    lines.push(format!("  about {}   hash {}", whole_time_text(plan.time), plan.hash));
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

fn report_text(report: &WriteReport) -> String {
    let done = if report.plan.is_empty() {
        format!("nothing had to be changed: {} already holds it", report.plan.span)
    } else {
        format!(
            "written   {}: {} sectors erased, {} programmed, {} kept, {} retries, {}",
            report.plan.span,
            report.sectors.erased,
            report.sectors.programmed,
            report.sectors.kept,
            report.retries,
            time_text(report.took)
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
        "already there: {} holds {} ({}); nothing was written, and no backup was made\nproven    every byte of it compared {}, {} retries, {}\nunchecked {}\nsha256    {} (the image in its place)",
        there.span,
        there.name,
        there.about,
        there.compared,
        there.retries,
        time_text(there.took),
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
