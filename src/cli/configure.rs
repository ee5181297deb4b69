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
use crate::image::openbeken::encode;
use crate::image::openbeken::provision;
use crate::image::openbeken::provisioning::{Passwords, Provisioning, ProvisioningFile, Wifi, text_of};
use crate::image::openbeken::{self, Config};
use crate::image::{Family, rf};
use crate::job::{BackupProof, Change, JobSpec, Outcome, Plan, WriteSpec, check_openbeken};
use crate::problem::{Class, Explain, Problem};
use crate::store;
use crate::units::Span;

/// `write IMAGE --config FILE`
pub(super) fn write(context: &Context, image: Image, file: &Path, consent: &Consent) -> Result<(), Failure> {
    // Everything that a person has to answer comes before the chip is touched.
    let provisioning = read_provisioning(file)?;
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
    let mac = chip.rf_block().and_then(|rf| rf::find(&flash.wanted, rf.start)).and_then(|block| block.mac);
    let factory = match &first.backup {
        BackupProof::Proven(backup) => Some(&*backup.bytes),
        _ => None,
    };
    let made = provision::sector(before, chip, mac, &provisioning, factory).map_err(|error| error.explain())?;
    let provision::Configured { sector, reasons, .. } = made;
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

/// Reads the file given with `--config`, its template and its password files, and asks for passwords that none of them
/// holds. Touches no chip.
pub(super) fn read_provisioning(file: &Path) -> Result<Provisioning, Problem> {
    let wanted = ProvisioningFile::parse(&store::read_file(file)?).map_err(|error| error.explain())?;
    if wanted.holds_a_password() {
        store::must_be_private(file)?;
    }
    let template = wanted.template.as_ref().map(|path| beside(file, path));
    let template = template.map(|path| store::read_file(&path).map(|text| (path, text))).transpose()?;
    let passwords = Passwords {
        wifi: wanted.wifi.as_ref().map(|wifi| wifi_password(wifi, file)).transpose()?,
        wifi2: wanted.wifi2.as_ref().map(|wifi| wifi_password(wifi, file)).transpose()?,
        mqtt: wanted
            .mqtt
            .as_ref()
            .map(|mqtt| given(mqtt.password.as_ref(), mqtt.password_file.as_ref(), file))
            .transpose()?
            .flatten(),
    };
    let template = template.as_ref().map(|(path, text)| (path.display().to_string(), text));
    let template = template.as_ref().map(|(path, text)| (path.as_str(), text.as_slice()));
    let provisioning = wanted.resolve(&passwords, template).map_err(|error| error.explain())?;
    // What does not fit is told now, and not after a backup was made.
    provisioning.check().map_err(|error| error.explain())?;
    Ok(provisioning)
}

/// A path as a file names it: from the folder that the file is in.
fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

/// The first line of a file that nobody else may read, without byte order mark and line end.
fn secret(path: &Path) -> Result<String, Problem> {
    let bytes = store::read_file(path)?;
    store::must_be_private(path)?;
    let unusable = |why: &str| {
        Problem::new(
            Class::Usage,
            "E773",
            format!("the password file {} is not usable: {why}", path.display()),
            "the password is the first line of the file, as UTF-8 text",
            "write the password into its first line; for an open network write password = \"\" instead of password_file",
        )
    };
    let text = text_of(&bytes).ok_or_else(|| unusable("it is not UTF-8 text"))?;
    let line = text.lines().next().unwrap_or_default().trim_end_matches('\r');
    if line.is_empty() { Err(unusable("its first line is empty")) } else { Ok(line.to_owned()) }
}

/// A password that stands in the file, or in one that it names.
fn given(password: Option<&String>, path: Option<&String>, file: &Path) -> Result<Option<String>, Problem> {
    match (password, path) {
        (Some(password), _) => Ok(Some(password.clone())),
        (None, Some(path)) => secret(&beside(file, path)).map(Some),
        (None, None) => Ok(None),
    }
}

fn wifi_password(wifi: &Wifi, file: &Path) -> Result<String, Problem> {
    if let Some(password) = given(wifi.password.as_ref(), wifi.password_file.as_ref(), file)? {
        return Ok(password);
    }
    let problem = |what: &str, cause: &str| {
        let remedy = "name a file with it: password_file = \"wifi.txt\" under [wifi], readable by you alone (chmod 600); for an open network: password = \"\"";
        Problem::new(Class::Usage, "E771", what, cause, remedy)
    };
    let typed = ask(&wifi.ssid)
        .ok_or_else(|| problem("the Wi-Fi password cannot be asked for", "there is no terminal to ask on"))?;
    // Enter alone would set up an open network that nobody has.
    if typed.is_empty() {
        Err(problem("no Wi-Fi password was typed", "Enter was pressed without one"))
    } else {
        Ok(typed)
    }
}

/// Asks without echo; `None` without a terminal.
fn ask(network: &str) -> Option<String> {
    let question = format!("Password of the Wi-Fi network {network:?}, which is not shown while you type: ");
    std::io::stdin().is_terminal().then(|| rpassword::prompt_password(question).ok()).flatten()
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
