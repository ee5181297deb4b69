//! `write IMAGE --config FILE`: OpenBeken's configuration as a second step behind the image, so that a module comes up
//! configured. Both steps are planned and shown before the first one runs, and agreed to together. Passwords are asked
//! for without echo or come out of files that nobody else may read; no plan, report or event has them.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::args::Consent;
use super::client::Client;
use super::device::{connect, unexpected};
use super::write::{Wish as Image, agree, execute, plan_text, report_text, wished as image_spec};
use super::{Context, Failure};
use crate::image::inspect::inspect;
use crate::image::openbeken::encode::{self, Settings};
use crate::image::openbeken::wish::{self, Wifi, Wish};
use crate::image::openbeken::{self, Config};
use crate::image::template::{Template, lint};
use crate::image::{Family, rf};
use crate::job::{BackupProof, Change, JobSpec, Outcome, Plan, WriteSpec, check_openbeken};
use crate::problem::{Class, Explain, Problem};
use crate::store;
use crate::units::Span;

/// `write IMAGE --config FILE`
pub(super) fn write(context: &Context, image: Image, file: &Path, consent: &Consent) -> Result<(), Failure> {
    // Everything that a person has to answer comes before the chip is touched.
    let (wish, mut settings) = wished(file)?;
    check_openbeken(&image.name, &image.image).map_err(|refusal| refusal.explain())?;
    let (mut client, identity) = connect(context)?;
    let (first, journal_key) = image_spec(context, &mut client, &identity, image, consent)?;
    // The protection is put back between the steps, so that the second one finds what it was planned with.
    let first = WriteSpec { protect_after: true, ..first };
    let flash = planned(&mut client, &first)?;
    if let Some(output) = &consent.image_out {
        store::write_new(output, &flash.wanted).map_err(Problem::from)?;
    }

    let chip = identity.chip.ok_or_else(|| encode::EncodeError::UnknownChip.explain())?;
    let place = chip.config_sector().ok_or_else(|| encode::EncodeError::UnknownChip.explain())?;
    let before = flash.wanted.get(place.start as usize..place.end() as usize).unwrap_or_default();
    let reasons = pins(&wish, file, &first.backup, before, &mut settings)?;
    let mac = chip.rf_block().and_then(|rf| rf::find(&flash.wanted, rf.start)).and_then(|block| block.mac);
    let sector = encode::sector(before, chip, mac, &settings).map_err(|error| error.explain())?;
    let shown = masked(&sector, chip);
    let second = WriteSpec {
        change: Change::Config,
        name: "OpenBeken configuration".to_owned(),
        at: Some(place.start),
        image: sector.clone().into(),
        protect_after: consent.protection(context),
        interrupted: None,
        ..first.clone()
    };
    let config = planned(&mut client, &second)?;
    let hash = joint(&flash, &config);

    let text = || {
        let mut lines = vec!["step 1: the image".to_owned(), plan_text(&flash), String::new()];
        lines.extend(["step 2: OpenBeken's configuration".to_owned(), plan_text(&config)]);
        lines.extend(reasons.iter().map(|reason| format!("  {reason}")));
        lines.push(format!("both steps: hash {hash}"));
        lines.join("\n")
    };
    let step = json!({"plan": &*config, "sets": &shown, "reasons": &reasons});
    if consent.dry_run {
        let document = json!({"plan": &*flash, "config": step, "hash": hash, "dry_run": true});
        context.out.result(document, text);
        return Ok(());
    }
    context.out.say_aside(text());
    agree(&hash, flash.is_empty() && config.is_empty(), consent, &client)?;
    let written = execute(context, &mut client, first, &flash.hash, &journal_key)?;
    context.out.say_aside(format!("{}\n", report_text(&written)));
    let configured = execute(context, &mut client, second, &config.hash, &identity.chip_key)?;
    read_back(&mut client, place, &sector)?;
    let document = json!({
        "report": &*written,
        "config": {"report": &*configured, "sets": &shown, "reasons": &reasons, "read_back": true},
    });
    context.out.result(document, || {
        format!(
            "{}\nconfigured read back from the chip and decoded: it is what was wished for",
            report_text(&configured)
        )
    });
    Ok(())
}

fn planned(client: &mut Client, spec: &WriteSpec) -> Result<std::sync::Arc<Plan>, Problem> {
    match client.run(JobSpec::Plan(spec.clone()))? {
        Outcome::Planned(plan) => Ok(plan),
        other => Err(unexpected("plan", &other)),
    }
}

/// What is agreed to: both plans.
fn joint(first: &Plan, second: &Plan) -> String {
    let digest = Sha256::digest(format!("bkbench plan and configuration\0{}\0{}", first.hash, second.hash));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The configuration of a sector as `inspect` shows it.
fn masked(sector: &[u8], chip: Family) -> Value {
    let offset = chip.config_sector().map_or(0, |span| span.start);
    Config::read(sector, offset as usize).map_or(Value::Null, |config| config.inside(false))
}

/// Reads the file given with `--config`, and gets the passwords that it does not hold.
fn wished(file: &Path) -> Result<(Wish, Settings), Problem> {
    let text = store::read_file(file)?;
    let text = std::str::from_utf8(&text).unwrap_or("\0");
    let wish = Wish::parse(text).map_err(|error| error.explain())?;
    let inline = [&wish.wifi, &wish.wifi2].into_iter().flatten().any(|wifi| wifi.password.is_some())
        || wish.mqtt.as_ref().is_some_and(|mqtt| mqtt.password.is_some());
    if inline {
        store::must_be_private(file)?;
    }
    let mut settings = wish.settings();
    for (name, wifi) in [("wifi_password", &wish.wifi), ("wifi_password2", &wish.wifi2)] {
        if let Some(wifi) = wifi {
            settings.texts.insert(name, wifi_password(wifi, file)?);
        }
    }
    if let Some(mqtt) = &wish.mqtt {
        let from_file = mqtt.password_file.as_ref().map(|path| secret(&beside(file, path))).transpose()?;
        settings.texts.extend(mqtt.password.clone().or(from_file).map(|password| ("mqtt_password", password)));
    }
    // What does not fit is told now, and not after a backup was made.
    encode::sector(&[], Family::Bk7231T, None, &settings).map_err(|error| error.explain())?;
    Ok((wish, settings))
}

/// A path as a file names it: from the folder that the file is in.
fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

/// The first line of a file that nobody else may read.
fn secret(path: &Path) -> Result<String, Problem> {
    let text = store::read_file(path)?;
    store::must_be_private(path)?;
    Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
}

fn wifi_password(wifi: &Wifi, file: &Path) -> Result<String, Problem> {
    match (&wifi.password, &wifi.password_file) {
        (Some(password), _) => Ok(password.clone()),
        (None, Some(path)) => secret(&beside(file, path)),
        (None, None) => ask(&wifi.ssid).ok_or_else(|| {
            Problem::new(
                Class::Usage,
                "E771",
                "the Wi-Fi password cannot be asked for",
                "there is no terminal to ask on",
                "name a file with it: password_file = \"wifi.txt\" under [wifi], readable by you alone (chmod 600)",
            )
        }),
    }
}

/// Asks without echo; `None` without a terminal.
fn ask(network: &str) -> Option<String> {
    let question = format!("Password of the Wi-Fi network {network:?}, which is not shown while you type: ");
    std::io::stdin().is_terminal().then(|| rpassword::prompt_password(question).ok()).flatten()
}

/// Decides pins and start-up command; returns where they come from, line by line.
fn pins(
    wish: &Wish,
    file: &Path,
    backup: &BackupProof,
    before: &[u8],
    settings: &mut Settings,
) -> Result<Vec<String>, Problem> {
    settings.start_up.clone_from(&wish.command);
    let mut reasons = Vec::new();
    let mut from = |template: &Template, source: &str| {
        settings.pins = Some(encode::pins_of(template));
        if settings.start_up.is_none() && !template.commands.is_empty() {
            settings.start_up = Some(template.command());
        }
        reasons.push(source.to_owned());
        reasons
            .extend(template.lines.iter().map(|line| format!("P{:<3} {:<18} {}", line.pin, line.value(), line.reason)));
        reasons.extend(template.notes.iter().map(|note| format!("note: {note}")));
    };
    let has_pins = encode::base_of(before).ok().flatten().is_some_and(|config| !config.pins().is_empty());
    if let Some(own) = wish.own_pins().map_err(|error| error.explain())? {
        settings.pins = Some(own);
        reasons.push("pins: from the file given with --config".to_owned());
    } else if let Some(path) = &wish.template {
        let path = beside(file, path);
        let text = store::read_file(&path)?;
        let checked = lint::check(&String::from_utf8_lossy(&text), None);
        if !checked.is_usable() {
            return Err(unusable(&path, &checked));
        }
        let written = checked.pins.into_iter().map(|(pin, value)| (pin.to_string(), value)).collect();
        settings.pins = Some(wish::pin_settings(&written).map_err(|error| error.explain())?);
        let command = serde_json::from_slice::<Value>(&text).ok();
        let command = command.and_then(|json| Some(json.get("command")?.as_str()?.to_owned()));
        settings.start_up = settings.start_up.take().or(command.filter(|command| !command.is_empty()));
        reasons.push(format!("pins: from the template {}", path.display()));
    } else if has_pins {
        reasons.push("pins: those of the configuration that is on the chip".to_owned());
    } else if let BackupProof::Proven(backup) = backup
        && let Some(template) = inspect(&backup.bytes).template_recommended
    {
        from(&template, &format!("pins: made from the factory firmware in {}", backup.path.display()));
    } else {
        reasons.push("pins: none; nothing names them. They can be set in OpenBeken's web page".to_owned());
    }
    Ok(reasons)
}

fn unusable(path: &Path, checked: &lint::Checked) -> Problem {
    let first = checked.lints.iter().find(|lint| lint.severity == crate::image::Severity::Error);
    let why =
        first.map_or_else(String::new, |lint| format!("line {}, column {}: {}", lint.line, lint.column, lint.what));
    Problem::new(
        Class::Usage,
        "E772",
        format!("the template {} cannot be used: {why}", path.display()),
        "pins of a broken template would be set wrongly",
        "`bkbench template FILE` names every mistake and its remedy",
    )
}

/// Reads the sector from the chip once more and decodes it: a proof that does not rest on the write.
fn read_back(client: &mut Client, place: Span, sector: &[u8]) -> Result<(), Problem> {
    let read = match client.run(JobSpec::Read(place))? {
        Outcome::Extract(extract) => extract,
        other => return Err(unexpected("read", &other)),
    };
    let found = openbeken::Config::read(&read.bytes, 0);
    if found.is_some_and(|config| config.good) && *read.bytes == *sector {
        return Ok(());
    }
    Err(Problem::new(
        Class::Verification,
        "E442",
        format!("the configuration at {place} does not read back as it was written"),
        "bits were lost on the way, or something else wrote there",
        "lower the speed and give the same command again: what is right is kept",
    ))
}
