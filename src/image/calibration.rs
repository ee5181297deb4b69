//! The factory calibration of a BL0942 meter: four words at the start of a sector, low byte first (beyond.md §3): UREF,
//! IREF/10, PREF*10, EREF. They are the chip's own references: register counts for one volt, one ampere, one watt, and
//! for one unit of energy. Two relations between them are checked, so that a chance find is unlikely; no dump with a
//! true one was at hand, so a find is *likely*.

use serde_json::{Value, json};

use super::bytes::{Address, u32_le};
use super::tuya::FlashMap;
use crate::units::{SECTOR, Verdict};

/// Where it was seen, in flash addresses.
const SEEN_AT: u32 = 0x1D_5000;
/// OpenBeken's own factors of the BL0942 (`drv_bl0942.c`): counts for one volt, one ampere, one watt.
const OPENBEKEN: [f64; 3] = [15_188.0, 251_210.0, 598.0];

/// A calibration that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calibration {
    /// File offset.
    pub offset: usize,
    words: [u32; 4],
}

impl Calibration {
    /// The calibration at the start of `sector`.
    pub fn read(sector: &[u8], offset: usize) -> Option<Self> {
        let word = |number: usize| u32_le(sector, number * 4);
        let found = Self { offset, words: [word(0)?, word(1)?, word(2)?, word(3)?] };
        found.is_plausible().then_some(found)
    }

    /// The two relations of the chip's data sheet, and the range that resistors of real plugs give.
    fn is_plausible(&self) -> bool {
        let in_range = (1_000..=200_000).contains(&self.voltage())
            && (1_000..=10_000_000).contains(&self.current())
            && (10.0..=20_000.0).contains(&self.power());
        let power = f64::from(self.voltage()) * f64::from(self.current()) * 3537.0 / (305_978.0 * 73_989.0);
        let energy = self.power() * 3_600_000.0 / 419_430.4;
        let near = |one: f64, other: f64, share: f64| (one - other).abs() <= other.abs() * share;
        in_range && near(self.power(), power, 0.02) && near(f64::from(self.energy()), energy, 0.01)
    }

    /// Counts for one volt.
    pub const fn voltage(&self) -> u32 {
        self.words[0]
    }

    /// Counts for one ampere.
    pub const fn current(&self) -> u32 {
        self.words[1].saturating_mul(10)
    }

    /// Counts for one watt.
    pub fn power(&self) -> f64 {
        f64::from(self.words[2]) / 10.0
    }

    /// Counts for one unit of energy.
    pub const fn energy(&self) -> u32 {
        self.words[3]
    }

    /// How sure the find is. Two relations agree; no true one was ever seen by this program's tests.
    pub const fn verdict(&self) -> Verdict {
        Verdict::Likely
    }

    /// OpenBeken's commands. Its calibrating commands take a true reading and divide the raw count of the moment by it, and
    /// it puts the reading it shows into `$voltage` and its like; so the true reading is what it shows times the ratio of
    /// the two references. To be given once, by hand, with a load switched on and before any other calibration: a second
    /// time would correct twice, so they are no part of a start-up command.
    pub fn commands(&self) -> Vec<String> {
        let own = [f64::from(self.voltage()), f64::from(self.current()), self.power()];
        let names = [("VoltageSet", "voltage"), ("CurrentSet", "current"), ("PowerSet", "power")];
        let ratios = OPENBEKEN.iter().zip(own).map(|(usual, own)| usual / own);
        names.iter().zip(ratios).map(|((command, reading), ratio)| format!("{command} ${reading}*{ratio:.5}")).collect()
    }

    /// As `inspect` shows it.
    pub fn inside(&self) -> Value {
        json!({
            "offset": Address(self.offset as u32),
            "verdict": self.verdict(),
            "chip": "BL0942",
            "voltage_reference": self.voltage(),
            "current_reference": self.current(),
            "power_reference": self.power(),
            "energy_reference": self.energy(),
            "openbeken": self.commands(),
        })
    }
}

/// The calibration of a file: at the place where it was seen, else at the start of any other sector.
pub fn find(bytes: &[u8], map: FlashMap) -> Option<Calibration> {
    let at = |offset: usize| Calibration::read(bytes.get(offset..)?, offset);
    let elsewhere = || (map.first_sector()..bytes.len()).step_by(SECTOR as usize).find_map(at);
    map.offset(SEEN_AT).and_then(at).or_else(elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::kind::Kind;
    use crate::image::samples;

    /// The two that were reported in the field (beyond.md §3).
    const KNOWN: [[u32; 4]; 2] = [[15_968, 12_418, 3091, 2653], [15_901, 12_728, 3159, 2711]];

    fn sector(words: [u32; 4]) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(0x1000, 0xFF);
        bytes
    }

    #[test]
    fn the_calibrations_of_the_field_are_found_wherever_they_lie() {
        let map = FlashMap::new(0x20_0000, Kind::Dump, None);
        for (words, at) in KNOWN.into_iter().zip([0x1D_5000, 0x1C_F000]) {
            let mut flash = vec![0xFF; 0x20_0000];
            flash[at..at + 0x1000].copy_from_slice(&sector(words));
            let found = find(&flash, map).expect("a calibration");
            assert_eq!((found.offset, found.verdict()), (at, Verdict::Likely));
            assert_eq!((found.voltage(), found.current(), found.energy()), (words[0], words[1] * 10, words[3]));
        }
    }

    #[test]
    fn a_number_that_does_not_fit_the_others_is_no_calibration() {
        for place in 0..4 {
            for factor in [90, 110] {
                let mut words = KNOWN[0];
                words[place] = words[place] * factor / 100;
                assert_eq!(Calibration::read(&sector(words), 0), None, "{words:?}");
            }
        }
        for hostile in [[0; 4], [u32::MAX; 4], [1, 1, 0, 0]] {
            assert_eq!(Calibration::read(&sector(hostile), 0), None);
        }
    }

    #[test]
    fn the_commands_correct_what_openbeken_shows_with_its_usual_factors() {
        let found = Calibration::read(&sector(KNOWN[0]), 0).expect("a calibration");
        assert_eq!(
            found.commands(),
            ["VoltageSet $voltage*0.95115", "CurrentSet $current*2.02295", "PowerSet $power*1.93465"]
        );
    }

    #[test]
    fn no_sample_has_one_by_chance() {
        for sample in samples::all() {
            let map = FlashMap::new(sample.bytes.len(), Kind::Dump, None);
            assert_eq!(find(&sample.bytes, map), None, "{}", sample.name);
        }
    }
}
