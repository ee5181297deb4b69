//! GPIO lines and who has claimed them. Asking for a line's state claims and changes nothing.

use serde::{Deserialize, Serialize};

use super::Host;

/// A GPIO chip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chip {
    /// Its node: `/dev/gpiochip0`. The number changes between kernels.
    pub node: String,
    /// What the driver calls it: `pinctrl-rp1`.
    pub label: String,
    /// How many lines it has.
    pub lines: u32,
    /// The lines that somebody has claimed.
    #[serde(default)]
    pub used: Vec<Line>,
}

/// A claimed line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its number on the chip; on a header chip of a Raspberry Pi the BCM number.
    pub number: u32,
    /// Who has claimed it: `spi0 CS0`.
    pub by: String,
}

/// Labels of the chips whose lines are those of a Raspberry Pi's header, by BCM number.
pub(in crate::link) const HEADERS: [&str; 3] = ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"];

/// The GPIO chips this process may look at.
pub fn chips(host: &Host) -> Vec<Chip> {
    match &host.copy {
        Some(copy) => copy.gpio.clone(),
        None => live(),
    }
}

impl Chip {
    /// Whether its lines are those of a Raspberry Pi's header.
    pub fn is_header(&self) -> bool {
        HEADERS.contains(&self.label.as_str())
    }

    /// Who has claimed a line.
    pub fn user_of(&self, number: u32) -> Option<&str> {
        self.used.iter().find(|line| line.number == number).map(|line| line.by.as_str())
    }
}

#[cfg(target_os = "linux")]
fn live() -> Vec<Chip> {
    let paths = gpiocdev::chip::chips().unwrap_or_default();
    let chips = paths.into_iter().filter_map(|path| {
        let chip = gpiocdev::chip::Chip::from_path(&path).ok()?;
        let info = chip.info().ok()?;
        let lines = chip.line_info_iter().ok()?.filter_map(Result::ok).filter(|line| line.used);
        let used = lines.map(|line| Line {
            number: line.offset,
            by: if line.consumer.is_empty() { "the kernel".to_owned() } else { line.consumer },
        });
        Some(Chip { node: path.display().to_string(), label: info.label, lines: info.num_lines, used: used.collect() })
    });
    chips.collect()
}

#[cfg(not(target_os = "linux"))]
fn live() -> Vec<Chip> {
    Vec::new()
}
