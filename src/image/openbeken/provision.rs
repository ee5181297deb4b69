//! The sector of OpenBeken's configuration out of the one that stands there, a provisioning file and the factory
//! firmware's pin map. What the file omits stays as it is.

use super::changes::{FieldChange, changes};
use super::encode::{self, EncodeError, Settings};
use super::provisioning::{PinSource, Provisioning};
use super::{Config, MAGIC};
use crate::image::family::Family;
use crate::image::template::{self, Template, limits};
use crate::image::{kind, tuya};

/// A configuration that is ready to be written.
#[derive(Clone, PartialEq, Eq)]
pub struct Configured {
    /// The whole sector, 4096 bytes; the same bytes as before when it holds everything already.
    pub sector: Vec<u8>,
    /// Where pins, start-up command and names come from, line by line; no secret is in them.
    pub reasons: Vec<String>,
    /// Every field that changes; secrets masked.
    pub changes: Vec<FieldChange>,
    /// Whether a damaged configuration is replaced by the firmware's defaults.
    pub replaced_damaged: bool,
}

/// Makes the configuration of a chip.
///
/// `base` is the sector as it stands there before, `mac` the address in the RF block, and `factory` a dump of the whole
/// flash, which the pins come from where the file asks for them or where there is no configuration yet.
///
/// # Errors
/// [`EncodeError`]: a value or pin that does not fit, or a configuration of another layout on the chip.
pub fn sector(
    base: &[u8],
    chip: Family,
    mac: Option<[u8; 6]>,
    wanted: &Provisioning,
    factory: Option<&[u8]>,
) -> Result<Configured, EncodeError> {
    chip.config_sector().ok_or(EncodeError::UnknownChip)?;
    let present = encode::base_of(base)?;
    let replaced_damaged = present.is_none() && base.starts_with(MAGIC);
    let mut settings = wanted.settings.clone();
    let mut reasons = Vec::new();
    if replaced_damaged {
        reasons.push(
            "the configuration on the chip is damaged (wrong checksum) and OpenBeken ignores it: its defaults replace it"
                .to_owned(),
        );
    }
    reasons.extend(pins(present.as_ref(), chip, &wanted.pins, factory, &mut settings)?);
    let sector = encode::sector(base, chip, mac, &settings)?;
    if present.is_none() {
        reasons.extend(default_names(&settings));
    }
    let changes = changes(base, &sector, chip);
    Ok(Configured { sector, reasons, changes, replaced_damaged })
}

impl Provisioning {
    /// Checks every value that does not depend on the chip, so that a mistake is told before a chip is touched.
    ///
    /// # Errors
    /// [`EncodeError`] when it fits neither a BK7231T nor a BK7231N.
    pub fn check(&self) -> Result<(), EncodeError> {
        let fits = |chip| encode::sector(&[], chip, None, &self.settings).map(drop);
        fits(Family::Bk7231N).or_else(|_| fits(Family::Bk7231T))
    }
}

/// Decides pins and start-up command; returns where they come from.
fn pins(
    present: Option<&Config>,
    chip: Family,
    source: &PinSource,
    factory: Option<&[u8]>,
    settings: &mut Settings,
) -> Result<Vec<String>, EncodeError> {
    let found = || factory.and_then(|dump| factory_template(dump, chip));
    match (source, present) {
        (PinSource::File, _) => Ok(vec!["pins: from the file given with --config".to_owned()]),
        (PinSource::Template(name), _) => Ok(vec![format!("pins: from the template {name}")]),
        (PinSource::Factory, _) => {
            let why = if factory.is_none() { "there is no backup" } else { "the backup holds no pin map" };
            Ok(from_factory(&found().ok_or(EncodeError::NoFactoryPins(why))?, chip, present, settings))
        }
        (PinSource::Unnamed, Some(config)) if config.pins().is_empty() => Ok(vec![
            "pins: none, as in the configuration on the chip; pins = \"factory\" takes those of the factory firmware"
                .to_owned(),
        ]),
        (PinSource::Unnamed, Some(_)) => Ok(vec!["pins: those of the configuration on the chip".to_owned()]),
        (PinSource::Unnamed, None) => Ok(match found() {
            Some(template) => from_factory(&template, chip, None, settings),
            None => vec!["pins: none; nothing names them. They can be set in OpenBeken's web page".to_owned()],
        }),
    }
}

/// The template of a factory firmware's pin map.
fn factory_template(dump: &[u8], chip: Family) -> Option<Template> {
    let found = tuya::read(dump, kind::recognise(dump), Some(chip));
    Some(template::templates(&found, Some(chip))?.recommended)
}

fn from_factory(template: &Template, chip: Family, present: Option<&Config>, settings: &mut Settings) -> Vec<String> {
    let mut reasons = vec!["pins: made from the factory firmware in the backup".to_owned()];
    reasons.extend(template.lines.iter().map(|line| format!("P{:<3} {:<18} {}", line.pin, line.value(), line.reason)));
    reasons.extend(template.notes.iter().map(|note| format!("note: {note}")));
    let mut pins = encode::pins_of(template);
    pins.retain(|set| match limits::check(chip, set.pin, set.role, [set.channel, 0]) {
        Ok(()) => true,
        Err(misfit) => {
            reasons.push(format!("note: {misfit}; it is omitted"));
            false
        }
    });
    settings.pins = Some(pins);
    if settings.flags.is_none() && template.flags != 0 {
        // What the device needs comes on top of what is set already.
        settings.flags = Some(template.flags | present.map_or(0, Config::flags));
    }
    if settings.start_up.is_none() && !template.commands.is_empty() {
        settings.start_up = Some(template.command());
    }
    reasons
}

/// Names that a new configuration gets without being asked.
fn default_names(settings: &Settings) -> Option<String> {
    let names = [("long_name", "name"), ("short_name", "short name"), ("mqtt_client_id", "MQTT client id")];
    let made: Vec<&str> =
        names.into_iter().filter(|(name, _)| !settings.texts.contains_key(name)).map(|(_, words)| words).collect();
    (!made.is_empty()).then(|| format!("{}: OpenBeken's default, made from the MAC address", made.join(", ")))
}

#[cfg(test)]
mod tests;
