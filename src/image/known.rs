//! Names of public firmware parts: boot loaders and applications, by the size and CRC-32 that their RBL header tells of
//! them. The table can be extended by the user.

use serde::Deserialize;

use super::inspect::Inspection;

/// The table that comes with the program.
const BUILT_IN: &str = include_str!("known.toml");

/// Names by size and CRC-32.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    #[serde(default, rename = "part")]
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    size: u32,
    crc32: String,
    name: String,
}

impl Known {
    /// The table that comes with the program.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).unwrap_or_default()
    }

    /// Reads a table.
    ///
    /// # Errors
    /// What is wrong, with the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("line {}: {}", before.matches('\n').count() + 1, error.message().lines().next().unwrap_or_default())
        })
    }

    /// This table, and behind it another one.
    pub fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// The name of a part.
    pub fn name(&self, size: u32, crc32: u32) -> Option<&str> {
        let crc32 = format!("{crc32:08X}");
        let found = self.parts.iter().find(|part| part.size == size && part.crc32.eq_ignore_ascii_case(&crc32));
        found.map(|part| part.name.as_str())
    }
}

impl Inspection {
    /// Names boot loader and application after a table.
    pub fn name_parts(&mut self, table: &Known) {
        let Some(firmware) = &mut self.firmware else { return };
        if let Some(part) = &mut firmware.bootloader {
            let header = part.rbl.as_ref();
            part.known = header.and_then(|rbl| table.name(rbl.raw_size, rbl.payload_crc32.0)).map(str::to_owned);
        }
        if let Some(part) = &mut firmware.app {
            let header = part.rbl.as_ref();
            part.known = header.and_then(|rbl| table.name(rbl.raw_size, rbl.payload_crc32.0)).map(str::to_owned);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::inspect::inspect;
    use crate::image::samples;

    #[test]
    fn the_users_own_names_come_first() {
        let own = Known::parse("[[part]]\nsize = 56592\ncrc32 = \"878ff8a1\"\nname = \"mine\"").unwrap();
        let table = own.and(Known::built_in());
        assert_eq!(table.name(56_592, 0x878F_F8A1), Some("mine"));
        assert_eq!(table.name(59_932, 0xA979_2DA2), Some("Tuya bootloader BK7231N 1.0.1"));
        assert_eq!(table.name(59_932, 0), None);
        assert!(Known::parse("[[part]]\nsize = 1").unwrap_err().contains("line 1"));
    }

    #[test]
    fn parts_of_samples_are_named() {
        let Some(sample) = samples::firmware_named("OpenBK7231N_QIO") else { return };
        let firmware = inspect(&sample.bytes).firmware.unwrap();
        assert_eq!(firmware.bootloader.unwrap().known.as_deref(), Some("Tuya bootloader BK7231N 1.0.1"));
        assert_eq!(firmware.app.unwrap().known.as_deref(), Some("OpenBeken 1.18.300 for BK7231N"));
    }
}
