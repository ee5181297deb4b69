//! The templates that a file has, and where each comes from.

use super::Inspection;
use crate::image::kind::Kind;
use crate::image::template::{Mapping, Template};
use crate::image::tuya::Source;

/// Which template of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// Made from the factory firmware's pin map by these rules.
    By(Mapping),
    /// What OpenBeken's configuration on the module has set.
    Configured,
    /// The file is a template.
    Given,
}

impl Choice {
    /// All, in the order of preference.
    pub const ALL: [Self; 5] =
        [Self::By(Mapping::Recommended), Self::By(Mapping::Gui), Self::By(Mapping::Web), Self::Configured, Self::Given];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::By(mapping) => mapping.name(),
            Self::Configured => "configured",
            Self::Given => "given",
        }
    }
}

impl Inspection {
    /// A template of the file.
    pub const fn template_of(&self, choice: Choice) -> Option<&Template> {
        match choice {
            Choice::By(Mapping::Recommended) => self.template_recommended.as_ref(),
            Choice::By(Mapping::Gui) => self.template.as_ref(),
            Choice::By(Mapping::Web) => self.template_web_importer.as_ref(),
            Choice::Configured => self.template_configured.as_ref(),
            Choice::Given => self.template_given.as_ref(),
        }
    }

    /// The templates that the file has, in the order of preference.
    pub fn choices(&self) -> Vec<Choice> {
        Choice::ALL.into_iter().filter(|choice| self.template_of(*choice).is_some()).collect()
    }

    /// The name of the device, as far as its firmware tells one.
    pub fn device_name(&self) -> Option<&str> {
        self.firmware.as_ref()?.app.as_ref()?.app_name.as_deref()
    }

    /// Whether the module runs OpenBeken with pins or a start-up command of its own.
    pub fn is_configured(&self) -> bool {
        self.template_configured.as_ref().is_some_and(|made| !made.lines.is_empty() || !made.commands.is_empty())
    }

    /// What to do next where the file names no pins.
    pub fn without_pins(&self) -> &'static str {
        match self.kind {
            _ if self.is_configured() => {
                "give --mapping configured: the module runs OpenBeken, and its configuration names the pins"
            }
            Kind::DeviceList => "give a dump or a pin map, and this list with --match",
            kind if kind.is_dump() => {
                "find the pins on the running module with `bkbench pins`, or look for the device by its name in OpenBeken's \
                 device list; `bkbench inspect` shows the data points where a second processor has the pins"
            }
            _ => "give a dump of the whole flash, made before another firmware was written",
        }
    }

    /// Where a template comes from, in words.
    pub fn source_of(&self, choice: Choice) -> &'static str {
        let pin_map = self.tuya.as_ref().and_then(|tuya| tuya.user_param_key_source);
        match choice {
            Choice::Configured => "OpenBeken's configuration",
            Choice::Given => "the text itself",
            Choice::By(_) => pin_map.map_or("the Tuya store, which names no pins", Source::name),
        }
    }
}
