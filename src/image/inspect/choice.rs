//! The templates that a file has, and where each comes from.

use super::Inspection;
use crate::image::template::{Mapping, Template};
use crate::image::tuya::Source;

/// Which template of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// Made from the factory firmware's pin map by these rules.
    By(Mapping),
    /// What OpenBeken's configuration on the module has set.
    Configured,
}

impl Choice {
    /// All, in the order of preference.
    pub const ALL: [Self; 4] =
        [Self::By(Mapping::Recommended), Self::By(Mapping::Gui), Self::By(Mapping::Web), Self::Configured];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::By(mapping) => mapping.name(),
            Self::Configured => "configured",
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

    /// Where a template comes from, in words.
    pub fn source_of(&self, choice: Choice) -> &'static str {
        let pin_map = self.tuya.as_ref().and_then(|tuya| tuya.user_param_key_source);
        match choice {
            Choice::Configured => "OpenBeken's configuration",
            Choice::By(_) => pin_map.map_or("the Tuya store, which names no pins", Source::name),
        }
    }
}
