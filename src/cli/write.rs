//! Commands that change the flash: write and erase. Plan, agree, carry out.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::Context;
use super::args::Consent;
use super::client::Client;
use super::device::{connect, run_backup, unexpected};
use crate::archive;
use crate::job::{
    BackupProof, Change, Identity, JobSpec, Outcome, Plan, ProvenBackup, SectorState, WriteReport, WriteSpec,
};
use crate::problem::{Class, Problem};
use crate::store;
use crate::units::{SECTOR, Span};

/// Ranges listed to people after a write that ended early.
const LISTED: usize = 24;

/// `write`
pub(super) fn image(context: &Context, file: &Path, at: Option<u32>, consent: &Consent) -> Result<(), Problem> {
    let bytes = store::read_file(file)?;
    let name = file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned());
    change(context, consent, |backup| WriteSpec {
        change: Change::Image,
        name,
        at,
        image: bytes.into(),
        backup,
        protect_after: consent.protect_after || context.settings.write.protect_after,
    })
}

/// `erase`
pub(super) fn erase(context: &Context, start: u32, length: u32, consent: &Consent) -> Result<(), Problem> {
    change(context, consent, |backup| WriteSpec {
        change: Change::Erase,
        name: "erase".to_owned(),
        at: Some(start),
        image: vec![0xFF; length as usize].into(),
        backup,
        protect_after: consent.protect_after || context.settings.write.protect_after,
    })
}

fn change(context: &Context, consent: &Consent, spec: impl FnOnce(BackupProof) -> WriteSpec) -> Result<(), Problem> {
    let (mut client, identity) = connect(context)?;
    let spec = spec(proof(context, &mut client, &identity, consent)?);
    let plan = match client.run(JobSpec::Plan(spec.clone()))? {
        Outcome::Planned(plan) => plan,
        other => return Err(unexpected("plan", &other)),
    };
    if consent.dry_run {
        context.out.result(json!({"plan": &*plan, "dry_run": true}), || plan_text(&plan));
        return Ok(());
    }
    context.out.say_aside(plan_text(&plan));
    agree(&plan, consent)?;
    match client.run(JobSpec::Write { spec, agreed: plan.hash.clone() }) {
        Ok(Outcome::Written(report)) => {
            context.out.result(json!({"report": &*report}), || report_text(&report));
            Ok(())
        }
        Ok(other) => Err(unexpected("write", &other)),
        Err(problem) => {
            if let Some(ended) = &client.view.last {
                context.out.say_aside(left_text(&ended.left));
            }
            Err(problem)
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
    context.out.say_aside("no proven backup of this chip yet: making one first");
    let read = run_backup(client)?;
    let saved = archive::keep(&context.settings, None, &read)?;
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

fn agree(plan: &Plan, consent: &Consent) -> Result<(), Problem> {
    if plan.is_empty() || consent.yes {
        return Ok(());
    }
    let not_agreed = |cause: &str| {
        Problem::new(
            Class::Refused,
            "E103",
            format!("the plan with the hash …{} was not agreed to; nothing was changed", plan.short_hash()),
            cause,
            format!(
                "give --yes, or --plan {}",
                plan.hash.get(plan.hash.len().saturating_sub(12)..).unwrap_or(&plan.hash)
            ),
        )
    };
    let agreed = |typed: &str| typed.len() >= 4 && plan.hash.ends_with(&typed.to_ascii_lowercase());
    if let Some(hash) = &consent.plan {
        return if agreed(hash) { Ok(()) } else { Err(not_agreed("--plan names another plan")) };
    }
    if !std::io::stdin().is_terminal() {
        return Err(not_agreed("there is no terminal to ask on"));
    }
    eprint!("To carry this out, type the last four characters of the plan's hash ({}): ", plan.short_hash());
    let mut typed = String::new();
    let asked = std::io::stderr().flush().and_then(|()| std::io::stdin().lock().read_line(&mut typed));
    if asked.is_ok() && agreed(typed.trim()) { Ok(()) } else { Err(not_agreed("something else was typed")) }
}

fn plan_text(plan: &Plan) -> String {
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

fn report_text(report: &WriteReport) -> String {
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
    format!(
        "{done}\nverified  every written sector, and every kept sector of the chip\nboots     not checked\nsha256    {} (whole chip)\nprotection {}\nbackup    {}",
        report.sha256, report.protection, report.backup
    )
}

/// Which sectors hold what after a write that ended early.
fn left_text(left: &[(Span, SectorState)]) -> String {
    if left.is_empty() {
        return "no sector was changed".to_owned();
    }
    let line =
        |(span, state): &(Span, SectorState)| format!("  {span}  {:>4} sectors  {}", span.len / SECTOR, state.word());
    let mut lines: Vec<String> = left.iter().take(LISTED).map(line).collect();
    if let Some(more) = left.get(LISTED..).filter(|more| !more.is_empty()) {
        let sectors: u32 = more.iter().map(|(span, _)| span.len / SECTOR).sum();
        lines.push(format!("  … and {} more ranges with {sectors} sectors; --json lists them all", more.len()));
    }
    format!("what the chip holds now:\n{}", lines.join("\n"))
}
