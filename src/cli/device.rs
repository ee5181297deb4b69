//! Commands that look at a chip: info, read, verify, protect, reboot.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::Context;
use super::args::ProtectAction;
use super::client::Client;
use crate::archive::{self, unfinished};
use crate::codec::nor::StatusBytes;
use crate::image::firmware;
use crate::job::{BackupRead, Identity, JobSpec, Outcome, ProtectGoal, Protection, behind_loader};
use crate::problem::{Class, Problem};
use crate::store::{self, Saved};
use crate::units::{Span, clock_text, size_text, time_text};

/// A client with the link open and the chip identified.
pub(super) fn connect(context: &Context) -> Result<(Client, Arc<Identity>), Problem> {
    let wanted = context.link()?;
    let mut client = Client::new(context.out, context.server())?;
    // A backup takes long enough that the search for its clock is of interest.
    client.notes = context.name == "read";
    match client.run(JobSpec::Connect(wanted))? {
        Outcome::Connected(identity) => Ok((client, identity)),
        other => Err(unexpected("connect", &other)),
    }
}

/// A job that answers with another job's outcome is a fault of the program.
pub(super) fn unexpected(job: &str, outcome: &Outcome) -> Problem {
    let kind = format!("{outcome:?}");
    let kind = kind.split('(').next().unwrap_or_default();
    Problem::new(
        Class::Internal,
        "E604",
        format!("{job} ended with {kind}"),
        "a fault of the program",
        "please report this",
    )
}

/// `info`
pub(super) fn info(context: &Context) -> Result<(), Problem> {
    let (client, identity) = connect(context)?;
    let protection = client.view.protection.clone();
    let found = archive::find(&context.settings, &identity)?;
    let path = found.backup.map(|backup| backup.path.display().to_string());
    // A record that cannot be read is named here and stops only what would write.
    let left = match unfinished::find(&context.settings.journal_folder()?, &identity) {
        Ok(left) => left.map(|left| left.sentence),
        Err(problem) => Some(problem.what),
    };
    let mut document = json!(&*identity);
    if let Some(fields) = document.as_object_mut() {
        fields.insert("protection".to_owned(), json!(protection.as_deref()));
        fields.insert("backup".to_owned(), json!(path));
        fields.insert("unfinished".to_owned(), json!(left));
    }
    context.out.result(document, || {
        let mut text = info_text(&identity, protection.as_deref(), path.as_deref());
        if let Some(left) = left {
            text.push_str(&format!("\nunfinished  {left}; `bkbench resume` goes on"));
        }
        text
    });
    Ok(())
}

fn info_text(identity: &Identity, protection: Option<&Protection>, backup: Option<&str>) -> String {
    let flash = &identity.flash;
    let unknown = || "unknown".to_owned();
    let speed = match identity.wire {
        crate::link::WireKind::Spi => clock_text(identity.speed),
        crate::link::WireKind::Uart => format!("{} baud", identity.speed),
    };
    let mut lines = vec![
        format!("chip        {}", identity.chip_text()),
        format!(
            "flash       {}  {}  {} ({})",
            flash.jedec.clone().unwrap_or_else(|| "no JEDEC id".to_owned()),
            flash.part.clone().unwrap_or_else(|| "unknown part".to_owned()),
            size_text(flash.size.into()),
            flash.size_sources.join(", ")
        ),
        format!("link        {} ({}, {speed})", identity.link, identity.wire),
        format!("boot loader {}", identity.boot_version.clone().unwrap_or_else(unknown)),
        format!("firmware    {}", identity.firmware.clone().unwrap_or_else(unknown)),
        format!("code key    {}", identity.code_key.clone().unwrap_or_else(unknown)),
        format!("chip key    {}", identity.chip_key),
        format!("protection  {}", protection.map_or_else(unknown, |protection| protection.sentence.clone())),
        format!("backup      {}", backup.unwrap_or("none of this chip")),
    ];
    if let Some(fault) = identity.rf_fault() {
        lines.push(format!("MAC         {fault}; `bkbench rf rebuild BACKUP --mac-lost` restores that sector from a"));
        lines.push(
            "            backup of this chip made before, `bkbench restore BACKUP --mac-lost` the whole chip"
                .to_owned(),
        );
    }
    if identity.simulated {
        lines.push("simulated   yes: nothing here is a statement about silicon".to_owned());
    }
    lines.push("evidence".to_owned());
    lines.extend(identity.evidence.iter().map(|line| format!("  {line}")));
    lines.join("\n")
}

/// `read`: the whole chip.
pub(super) fn back_up(context: &Context, output: Option<PathBuf>) -> Result<(), Problem> {
    if let Some(path) = &output {
        store::backup::must_be_new(path)?;
    }
    let (mut client, identity) = connect(context)?;
    let (read, saved) = back_up_and_keep(context, &mut client, &identity, output.as_deref())?;
    let proven = read.proven();
    let document = json!({
        "file": saved.path.display().to_string(),
        "manifest": saved.manifest_path.display().to_string(),
        "size": read.bytes.len(),
        "sha256": saved.sha256,
        "proven": proven,
        "rules": &read.rules,
        "retries": read.retries,
        "entry": &identity.entry,
        "supply": read.supply,
        "interruptions": &read.interruptions,
        "unstable_sectors": read.unstable.iter().map(|at| format!("0x{at:06X}")).collect::<Vec<_>>(),
        "already_had": saved.already_had,
        "seconds": read.took.as_secs_f64(),
    });
    context.out.result(document, || {
        let state = if proven { "proven: two independent passes agree" } else { "NOT proven" };
        let gone: String = read
            .interruptions
            .iter()
            .map(|gone| format!("\nlink lost after {}: {}", time_text(gone.at), gone.words()))
            .collect();
        let had = if saved.already_had { "\nthe same content was already there" } else { "" };
        let rules: Vec<String> = read
            .rules
            .iter()
            .map(|rule| format!("  {:<12} {}: {}", rule.verdict.word(), rule.name, rule.what))
            .collect();
        format!(
            "{}\nsha256 {}\n{}, {state}\n{}{gone}{had}",
            saved.path.display(),
            saved.sha256,
            size_text(read.bytes.len() as u64),
            rules.join("\n")
        )
    });
    if proven { Ok(()) } else { Err(archive::unproven(&read)) }
}

/// Runs the backup job and keeps what it read.
fn back_up_and_keep(
    context: &Context,
    client: &mut Client,
    identity: &Identity,
    output: Option<&Path>,
) -> Result<(Arc<BackupRead>, Saved), Problem> {
    let spec = archive::backup_spec(&context.settings, output, identity)?;
    if let Some(earlier) = &spec.earlier {
        let twice: u32 = earlier.twice.iter().map(|span| span.len).sum();
        context
            .out
            .say_aside(format!("going on with a backup that was cut off ({} read twice)", size_text(twice.into())));
    }
    let read = match client.run(JobSpec::Backup(spec))? {
        Outcome::Backup(read) => read,
        other => return Err(unexpected("back up", &other)),
    };
    let (saved, read) = archive::keep(&context.settings, output, &read)?;
    Ok((Arc::new(read), saved))
}

/// `read --start --length`
pub(super) fn extract(context: &Context, output: Option<PathBuf>, start: u32, length: u32) -> Result<(), Problem> {
    let path = output.unwrap_or_else(|| PathBuf::from(format!("extract-{start:06X}-{length:X}.bin")));
    // The name and the room before the minutes that reading takes.
    let file = store::NewFile::reserve(&path, u64::from(length).min(store::files::LARGEST))?;
    let (mut client, _) = connect(context)?;
    let extract = match client.run(JobSpec::Read(Span::new(start, length)))? {
        Outcome::Extract(extract) => extract,
        other => return Err(unexpected("read", &other)),
    };
    file.appear(&extract.bytes)?;
    let sha256 = crate::image::sha256_hex(&extract.bytes);
    let document = json!({"file": path.display().to_string(), "extract": extract.span, "size": extract.bytes.len(), "sha256": sha256});
    context
        .out
        .result(document, || format!("{}\nextract of {}, read twice\nsha256 {sha256}", path.display(), extract.span));
    Ok(())
}

/// `verify`
pub(super) fn verify(context: &Context, file: &Path, at: Option<u32>) -> Result<(), Problem> {
    let bytes = store::read_file(file)?;
    let firmware = firmware::identify(&bytes);
    let from = at.or(firmware.natural_address).ok_or_else(|| {
        Problem::new(
            Class::Usage,
            "E102",
            format!("no address given for {}, and its content tells none", file.display()),
            "it is no known firmware image",
            "give --at ADDRESS",
        )
    })?;
    let (mut client, identity) = connect(context)?;
    // What a write over this link leaves alone is not compared, and that is said.
    let left = behind_loader(&firmware, bytes.len(), at, identity.abilities.first_writable);
    let (at, skipped) = left.map_or((from, 0), |left| (left.end(), left.len as usize));
    let expected = bytes.get(skipped..).unwrap_or_default().into();
    match client.run(JobSpec::Verify { at, expected })? {
        Outcome::Verified(span) => {
            context.out.result(json!({"verified": true, "span": span, "left_alone": left}), || {
                let left = left.map(|left| {
                    format!(
                        "\n{left} was not compared: the boot loader there serves this link, and no write changes it"
                    )
                });
                format!("{span} holds exactly what {} has there{}", file.display(), left.unwrap_or_default())
            });
            Ok(())
        }
        other => Err(unexpected("verify", &other)),
    }
}

/// `protect`
pub(super) fn protect(context: &Context, action: ProtectAction) -> Result<(), Problem> {
    let (mut client, identity) = connect(context)?;
    let goal = match action {
        ProtectAction::Status => {
            let protection = client.view.protection.clone();
            let document = json!({"protection": protection.as_deref()});
            context
                .out
                .result(document, || protection.as_deref().map_or_else(|| "unknown".to_owned(), protection_text));
            return Ok(());
        }
        ProtectAction::Off => ProtectGoal::Off,
        ProtectAction::On => ProtectGoal::On,
        ProtectAction::Restore => ProtectGoal::Restore(recorded(context, &identity)?),
    };
    if let (false, Some(now)) = (matches!(goal, ProtectGoal::Restore(_)), status_now(&client)) {
        archive::protection::remember(&identity, now)?;
    }
    match client.run(JobSpec::SetProtection(goal))? {
        Outcome::ProtectionSet { before, after } => {
            if matches!(goal, ProtectGoal::Restore(_)) {
                archive::protection::settled(&identity)?;
            }
            context.out.result(json!({"before": &*before, "after": &*after}), || {
                format!("before: {}\nafter:  {}", protection_text(&before), protection_text(&after))
            });
            Ok(())
        }
        other => Err(unexpected("protect", &other)),
    }
}

/// The status registers as they were read last.
fn status_now(client: &Client) -> Option<StatusBytes> {
    client.view.protection.as_ref()?.status
}

/// The registers before this program changed them, else those that the newest proven backup of this chip recorded.
fn recorded(context: &Context, identity: &Identity) -> Result<StatusBytes, Problem> {
    if let Some(status) = archive::protection::recorded(identity)? {
        return Ok(status);
    }
    archive::find(&context.settings, identity)?.status.ok_or_else(|| {
        Problem::new(
            Class::Refused,
            "E521",
            "it is not known what the protection was before",
            "bkbench has not changed it, and no proven backup of this chip recorded its status registers",
            "use `protect on` for the state that the factory firmware sets",
        )
    })
}

fn protection_text(protection: &Protection) -> String {
    let registers: Vec<String> = protection
        .registers
        .iter()
        .map(|register| {
            let bits: Vec<String> =
                register.bits.iter().map(|(name, set)| format!("{name}={}", u8::from(*set))).collect();
            format!("\n  {} {:02X}  {}", register.name, register.value, bits.join(" "))
        })
        .collect();
    format!("{}{}", protection.sentence, registers.concat())
}

/// `reboot`
pub(super) fn reboot(context: &Context) -> Result<(), Problem> {
    let (mut client, _) = connect(context)?;
    match client.run(JobSpec::Reboot)? {
        Outcome::Rebooted => {
            context.out.result(json!({"rebooted": true}), || {
                "the firmware was started; whether it runs was not checked".to_owned()
            });
            Ok(())
        }
        other => Err(unexpected("reboot", &other)),
    }
}
