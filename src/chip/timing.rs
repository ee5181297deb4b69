//! How long a part may take, and how long it usually takes (`[defaults]` and `[[timing]]` of flash-chips.toml).

use std::time::Duration;

use serde::Deserialize;

use super::part::{Part, TABLE};

/// Bounds of every wait, well above any family's maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One page program.
    pub page_program: Duration,
    /// Erase of 4 KiB.
    pub sector_erase: Duration,
    /// Erase of 32 KiB.
    pub block_erase_32k: Duration,
    /// Erase of 64 KiB.
    pub block_erase: Duration,
    /// One status register write.
    pub status_write: Duration,
}

/// Times to expect, for estimates only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Typical {
    /// One page program.
    pub page_program: Duration,
    /// Erase of 4 KiB.
    pub sector_erase: Duration,
    /// Erase of 64 KiB.
    pub block_erase: Duration,
}

impl Limits {
    /// The limits for a part that is not in the table, which are those of every part in it.
    pub fn of_any_part() -> Self {
        let table = &TABLE.defaults.timeout_ms;
        Self {
            page_program: Duration::from_millis(table.page_program),
            sector_erase: Duration::from_millis(table.sector_4k),
            block_erase_32k: Duration::from_millis(table.block_32k),
            block_erase: Duration::from_millis(table.block_64k),
            status_write: Duration::from_millis(table.wrsr),
        }
    }
}

impl Typical {
    /// The times of the generic 25-series part.
    pub fn of_any_part() -> Self {
        let generic = TABLE.timing.iter().find(|timing| timing.family.starts_with("generic"));
        let or = |time: Option<Time>, else_ms: f64| milliseconds(time.map_or(else_ms, |time| time.typ));
        Self {
            page_program: or(generic.and_then(|timing| timing.page_program_ms), 0.7),
            sector_erase: or(generic.and_then(|timing| timing.sector_4k_ms), 150.0),
            block_erase: or(generic.and_then(|timing| timing.block_64k_ms), 1000.0),
        }
    }
}

impl Part {
    /// How long the program waits for this part at most.
    pub fn limits(&self) -> Limits {
        Limits::of_any_part()
    }

    /// How long this part usually takes: its maker's family nearest by name, the generic figures where that is silent.
    pub fn typical(&self) -> Typical {
        let generic = Typical::of_any_part();
        let maker = first_word(&self.vendor);
        let family = TABLE
            .timing
            .iter()
            .filter(|timing| first_word(&timing.family) == maker)
            .max_by_key(|timing| nearness(&timing.family, &self.name));
        let or = |time: Option<Time>, generic: Duration| time.map_or(generic, |time| milliseconds(time.typ));
        family.map_or(generic, |family| Typical {
            page_program: or(family.page_program_ms, generic.page_program),
            sector_erase: or(family.sector_4k_ms, generic.sector_erase),
            block_erase: or(family.block_64k_ms, generic.block_erase),
        })
    }
}

fn milliseconds(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// How many leading characters the second word of `family` and a part's name share.
fn nearness(family: &str, name: &str) -> usize {
    let model = family.split_whitespace().nth(1).unwrap_or_default();
    model.chars().zip(name.chars()).take_while(|(one, other)| one == other).count()
}

#[derive(Deserialize, Default)]
pub(super) struct Defaults {
    pub(super) max_clock_03_mhz: u32,
    pub(super) max_clock_0b_mhz: u32,
    timeout_ms: Timeouts,
}

#[derive(Deserialize, Default)]
struct Timeouts {
    page_program: u64,
    sector_4k: u64,
    block_32k: u64,
    block_64k: u64,
    wrsr: u64,
}

#[derive(Deserialize)]
pub(super) struct Timing {
    family: String,
    page_program_ms: Option<Time>,
    sector_4k_ms: Option<Time>,
    block_64k_ms: Option<Time>,
}

#[derive(Clone, Copy, Deserialize)]
struct Time {
    typ: f64,
}

#[cfg(test)]
mod tests {
    use super::super::part::{part_named, parts};
    use super::*;

    #[test]
    fn every_part_has_limits_above_its_typical_times() {
        for part in parts() {
            let (limits, typical) = (part.limits(), part.typical());
            assert!(limits.page_program > typical.page_program, "{}", part.name);
            assert!(limits.sector_erase > typical.sector_erase, "{}", part.name);
            assert!(limits.block_erase > typical.block_erase, "{}", part.name);
            assert!(typical.page_program > Duration::ZERO, "{}", part.name);
        }
    }

    #[test]
    fn times_come_from_the_nearest_family_of_the_maker() {
        let typical = |name: &str| part_named(name).expect("in the table").typical();
        assert_eq!(typical("EN25QH16B").page_program, Duration::from_micros(800));
        assert_eq!(typical("GD25Q16C").block_erase, Duration::from_millis(280));
        assert_eq!(typical("P25Q16HB").sector_erase, Duration::from_millis(8));
        assert_eq!(typical("TH25Q16HB"), Typical::of_any_part());
    }
}
