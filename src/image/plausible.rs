//! Whether bytes read from a chip can be its flash. Two passes that agree prove that reading repeats; they do not
//! prove that the right thing was read.

use serde::{Deserialize, Serialize};

use super::bytes::{Address, all};
use super::family::Family;
use super::{bootloader, rf};
use crate::units::{SECTOR, Verdict};

/// One rule and what it found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Short name of the rule.
    pub name: String,
    /// [`Verdict::Proven`] when the flash follows the rule, [`Verdict::Likely`] when it does so in part,
    /// [`Verdict::Unsure`] when it does not.
    pub verdict: Verdict,
    /// What was seen.
    pub what: String,
}

/// Share of constant sectors, in percent, above which a flash is not believed to be one with firmware. The factory
/// dumps seen have 5 to 47.
const MANY_CONSTANT: usize = 90;

/// Checks a whole flash, in flash order.
pub fn check(flash: &[u8]) -> Vec<Rule> {
    vec![boot_loader(flash), rf_block(flash), not_one_value(flash), constant_sectors(flash), no_wrap(flash)]
}

fn rule(name: &str, verdict: Verdict, what: impl Into<String>) -> Rule {
    Rule { name: name.to_owned(), verdict, what: what.into() }
}

fn boot_loader(flash: &[u8]) -> Rule {
    let name = "boot loader";
    match bootloader::read(flash) {
        Some(found) if found.blocks.bad == 0 => {
            let version = found.version.as_deref().unwrap_or("without version text");
            rule(name, Verdict::Proven, format!("{version}, {} code blocks with good CRC", found.blocks.good))
        }
        Some(found) => rule(
            name,
            Verdict::Unsure,
            format!("{} of {} code blocks fail their CRC", found.blocks.bad, found.blocks.bad + found.blocks.good),
        ),
        None => rule(name, Verdict::Unsure, "no boot loader at 0x000000 that a known key opens"),
    }
}

fn rf_block(flash: &[u8]) -> Rule {
    let name = "RF calibration";
    let found = [Family::Bk7231T, Family::Bk7231N]
        .into_iter()
        .find_map(|family| family.rf_block().and_then(|span| rf::find(flash, span.start)));
    match found {
        Some(block) if block.mac.is_some() => {
            rule(name, Verdict::Proven, format!("block with MAC address at {}", Address(block.offset)))
        }
        Some(block) => rule(name, Verdict::Likely, format!("block without MAC address at {}", Address(block.offset))),
        None => rule(name, Verdict::Unsure, "no block at 0x1E0000 (T) or 0x1D0000 (N)"),
    }
}

fn not_one_value(flash: &[u8]) -> Rule {
    let name = "not one value";
    match flash.first() {
        None => rule(name, Verdict::Unsure, "no bytes"),
        Some(first) if all(flash, *first) => {
            rule(name, Verdict::Unsure, format!("every byte is 0x{first:02X}: an erased chip, or nothing answered"))
        }
        Some(_) => rule(name, Verdict::Proven, "the bytes differ"),
    }
}

fn constant_sectors(flash: &[u8]) -> Rule {
    let sectors = flash.chunks(SECTOR as usize);
    let total = sectors.len().max(1);
    let constant = sectors.filter(|sector| all(sector, 0x00) || all(sector, 0xFF)).count();
    let percent = constant * 100 / total;
    let verdict = if percent > MANY_CONSTANT || flash.is_empty() { Verdict::Unsure } else { Verdict::Proven };
    rule("constant sectors", verdict, format!("{constant} of {total} sectors ({percent} %) hold only 0x00 or 0xFF"))
}

/// A chip that ignores the top address bit shows its first half twice.
fn no_wrap(flash: &[u8]) -> Rule {
    let name = "no address wrap";
    let (first, second) = flash.split_at(flash.len() / 2);
    if first == second {
        return rule(name, Verdict::Unsure, "the second half repeats the first: the chip is smaller than was read");
    }
    rule(name, Verdict::Proven, "the second half differs from the first")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{kind, samples};

    fn verdict_of<'a>(rules: &'a [Rule], name: &str) -> &'a Rule {
        rules.iter().find(|rule| rule.name == name).unwrap()
    }

    #[test]
    fn every_factory_dump_is_plausible() {
        for sample in samples::dumps() {
            let kind = kind::recognise(&sample.bytes);
            if !matches!(kind, kind::Kind::Dump | kind::Kind::RotatedDump) {
                continue;
            }
            for rule in check(&kind::in_flash_order(&sample.bytes, kind)) {
                assert_eq!(rule.verdict, Verdict::Proven, "{}: {rule:?}", sample.name);
            }
        }
    }

    #[test]
    fn a_dead_line_follows_no_rule() {
        for value in [0x00, 0xFF] {
            assert!(check(&vec![value; 0x20_0000]).iter().all(|rule| rule.verdict == Verdict::Unsure));
        }
        assert!(check(&[]).iter().all(|rule| rule.verdict == Verdict::Unsure));
    }

    #[test]
    fn a_wrapped_address_is_noticed() {
        let half: Vec<u8> = (0..0x10_0000u32).map(|at| (at * 7 / 5) as u8).collect();
        let rules = check(&[half.clone(), half].concat());
        assert_eq!(verdict_of(&rules, "no address wrap").verdict, Verdict::Unsure);
        assert_eq!(verdict_of(&rules, "not one value").verdict, Verdict::Proven);
    }

    #[test]
    fn a_damaged_boot_loader_is_noticed() {
        let Some(mut sample) = samples::dump("ds-101jl-4gang-switch-t") else { return };
        sample.bytes[0x2000] ^= 1;
        assert_eq!(verdict_of(&check(&sample.bytes), "boot loader").verdict, Verdict::Unsure);
    }
}
