//! The template of a module that runs OpenBeken already: what its configuration has set, as an entry for the device
//! list.

use super::roles::ROLES;
use super::{Line, Template};
use crate::image::family::Family;
use crate::image::openbeken::Config;

impl Template {
    /// The pins, flags and start-up command of a configuration. A start-up command that sets a password stays out; a
    /// note says so.
    pub fn configured(config: &Config, chip: Option<Family>) -> Self {
        let mut template = Self {
            chip: chip.filter(|chip| *chip != Family::Other).map(|chip| chip.name().to_owned()),
            flags: config.flags(),
            ..Self::default()
        };
        for set in config.pins() {
            let Some(role) = ROLES.get(usize::from(set.role_number)) else {
                let what = format!("pin {}: role {} is newer than this program and is left out", set.pin, set.role);
                template.notes.push(what);
                continue;
            };
            if set.channel2 != 0 {
                template.notes.push(format!("pin {}: second channel {} is left out", set.pin, set.channel2));
            }
            let reason = format!("pin {}: set in OpenBeken's configuration", set.pin);
            let key = format!("pin {}", set.pin);
            template.lines.push(Line { pin: set.pin, role, channel: set.channel, key, reason });
        }
        if config.start_up_is_secret() {
            template.notes.push("the start-up command sets a password and is left out".to_owned());
        } else {
            template.commands.extend(Some(config.start_up()).filter(|command| !command.is_empty()));
        }
        template
    }
}
