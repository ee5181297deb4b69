//! Votes of a flash for the chip it belongs to, and the verdict over them (formats.md §6, step 2).

use serde::Serialize;

use super::app::{self, App, SdkTable};
use super::bootloader::{self, BootLoader};
use super::bytes::Address;
use super::family::{BOOT_LOADER_LEN, Family};
use super::rbl::Place;
use super::rf;
use crate::units::Verdict;

/// One piece of evidence for a chip family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Vote {
    /// The family it speaks for.
    pub family: Family,
    /// What was seen, with its address.
    pub evidence: String,
}

impl Vote {
    fn new(family: Family, evidence: impl Into<String>) -> Self {
        Self { family, evidence: evidence.into() }
    }
}

/// The votes of a flash image in flash order. It may be sparse: what was not read is 0xFF and does not vote.
pub fn flash_votes(flash: &[u8]) -> Vec<Vote> {
    let boot_loader = bootloader::read(flash);
    let app = app::read(flash, BOOT_LOADER_LEN);
    votes(boot_loader.as_ref(), Some(flash), app.as_ref())
}

/// The votes of whatever parts there are. `flash` is given when RF data may be expected in it.
pub fn votes(boot_loader: Option<&BootLoader>, flash: Option<&[u8]>, app: Option<&App>) -> Vec<Vote> {
    let mut ballot = Ballot::default();
    if let Some(boot_loader) = boot_loader {
        ballot.add_boot_loader(boot_loader);
    }
    if let Some(flash) = flash {
        ballot.add_rf_block(flash);
    }
    if let Some(app) = app {
        ballot.add_app(app);
    }
    let keys = [boot_loader.map(|found| found.key), app.map(|found| found.key)];
    if keys.into_iter().flatten().any(|key| key.is_none()) {
        ballot.add_missing_encryption();
    }
    ballot.count()
}

/// Votes as they come in. Those for an address that several chips share are marked.
#[derive(Default)]
struct Ballot {
    votes: Vec<(Vote, bool)>,
}

impl Ballot {
    fn add(&mut self, family: Family, evidence: impl Into<String>) {
        self.votes.push((Vote::new(family, evidence), false));
    }

    /// The T has its addresses in common with U, Q, 7238 and 7252; the N's are its own.
    fn add_address(&mut self, family: Family, evidence: impl Into<String>) {
        self.votes.push((Vote::new(family, evidence), family == Family::Bk7231T));
    }

    fn add_boot_loader(&mut self, boot_loader: &BootLoader) {
        match &boot_loader.version {
            Some(version) => {
                let family = match version.split_once('_') {
                    Some(("BK7231S" | "BK7231T", _)) => Family::Bk7231T,
                    Some(("BK7231N", _)) => Family::Bk7231N,
                    _ => Family::Other,
                };
                self.add(family, format!("bootloader string {version}"));
            }
            // Stands in for the version text only: it is part of the same boot loader, not evidence of its own.
            None if boot_loader.plain_name => {
                self.add(Family::Bk7231N, "plain name BK7231 in the bootloader at 0x000110");
            }
            None => {}
        }
        if let Some(download) = boot_loader.download() {
            let family = [Family::Bk7231T, Family::Bk7231N]
                .into_iter()
                .find(|family| family.download_area().is_some_and(|area| area.start == download.0))
                .unwrap_or(Family::Other);
            self.add_address(family, format!("bootloader partition table: download at {download}"));
        }
        if let Place::Header(header) = &boot_loader.header
            && header.offset.0 == bootloader::HEADER_OTHER
        {
            let evidence = format!("bootloader RBL header at {}, version {}", header.offset, header.version);
            self.add(Family::Other, evidence);
        }
    }

    fn add_rf_block(&mut self, flash: &[u8]) {
        for family in [Family::Bk7231T, Family::Bk7231N] {
            if let Some(block) = family.rf_block().and_then(|span| rf::find(flash, span.start)) {
                self.add_address(family, format!("RF/TLV header at flash {}", Address(block.offset)));
            }
        }
    }

    fn add_app(&mut self, app: &App) {
        if let Some(table) = app.sdk_table {
            let SdkTable { ota, ota_length, rf, .. } = table;
            let family = match (ota.0, ota_length.0, rf.0) {
                (0x13_2000, 0x9_6000 | 0xA_6000, 0x1E_0000) => Family::Bk7231T,
                (0x12_A000, 0xA_6000, 0x1D_0000) => Family::Bk7231N,
                _ => Family::Other,
            };
            self.add(family, format!("SDK partition table in app: OTA at {ota}"));
        }
        for version in &app.openbeken {
            self.add(app::openbeken_family(version), format!("OpenBeken version text {version}"));
        }
        if let Some(version) = &app.libretiny
            && let Some(family) = app::libretiny_family(version)
        {
            self.add(family, format!("LibreTiny version text {version}"));
        }
    }

    /// The M calls itself N and has the N's addresses, U, 7238 and 7252 have the T's: nothing else tells them apart.
    fn add_missing_encryption(&mut self) {
        self.votes.retain(|(vote, _)| vote.family == Family::Other);
        self.add(Family::Other, "code is not encrypted, as on BK7231M, BK7231U, BK7238 and BK7252");
    }

    fn count(self) -> Vec<Vote> {
        let other = self.votes.iter().any(|(vote, _)| vote.family == Family::Other);
        self.votes.into_iter().filter(|(_, shared)| !(other && *shared)).map(|(vote, _)| vote).collect()
    }
}

/// What the votes say together: several that agree prove it, a single one makes it likely, and contradicting ones, or
/// none at all, decide nothing.
pub fn decide(votes: &[Vote]) -> (Option<Family>, Verdict) {
    let Some(first) = votes.first() else { return (None, Verdict::Unsure) };
    if votes.iter().any(|vote| vote.family != first.family) {
        return (None, Verdict::Unsure);
    }
    let independent = votes.iter().any(|vote| vote.evidence != first.evidence);
    (Some(first.family), if independent { Verdict::Proven } else { Verdict::Likely })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::samples;
    use crate::units::Span;

    fn vote(family: Family, evidence: &str) -> Vote {
        Vote::new(family, evidence)
    }

    #[test]
    fn agreeing_votes_prove_a_single_one_only_makes_likely() {
        let one = vote(Family::Bk7231T, "a");
        let two = vote(Family::Bk7231T, "b");
        assert_eq!(decide(&[]), (None, Verdict::Unsure));
        assert_eq!(decide(std::slice::from_ref(&one)), (Some(Family::Bk7231T), Verdict::Likely));
        assert_eq!(decide(&[one.clone(), one.clone()]), (Some(Family::Bk7231T), Verdict::Likely));
        assert_eq!(decide(&[one.clone(), two.clone()]), (Some(Family::Bk7231T), Verdict::Proven));
        assert_eq!(decide(&[one, two, vote(Family::Bk7231N, "c")]), (None, Verdict::Unsure));
    }

    #[test]
    fn unread_flash_does_not_vote() {
        assert_eq!(flash_votes(&[0xFF; 0x20_0000]), []);
        assert_eq!(flash_votes(&[]), []);
    }

    #[test]
    fn boot_loader_and_rf_block_are_enough_to_prove_a_chip() {
        for sample in samples::dumps().into_iter().filter(|sample| sample.expected["rotation"] == 0) {
            let Some(chip) = sample.expected["firmware"].as_object().and(sample.expected["chip"].as_str()) else {
                continue;
            };
            let mut sparse = vec![0xFF; sample.bytes.len()];
            for span in [Span::new(0, 0x1_1000), Span::new(0x1D_0000, 0x1000), Span::new(0x1E_0000, 0x1000)] {
                let place = span.start as usize..span.end() as usize;
                sparse[place.clone()].copy_from_slice(&sample.bytes[place]);
            }
            let found = flash_votes(&sparse);
            let evidence: Vec<&str> = found.iter().map(|vote| vote.evidence.as_str()).collect();
            let expected: Vec<&str> = sample.expected["chip_evidence"].as_array().unwrap()[..3]
                .iter()
                .map(|text| text.as_str().unwrap())
                .collect();
            assert_eq!(evidence, expected, "{}", sample.name);
            let (family, verdict) = decide(&found);
            assert_eq!((family.map(Family::name), verdict), (Some(chip), Verdict::Proven), "{}", sample.name);
        }
    }

    #[test]
    fn addresses_that_chips_share_do_not_outvote_another_chip() {
        let mut ballot = Ballot::default();
        ballot.add_address(Family::Bk7231T, "download at 0x132000");
        ballot.add(Family::Other, "bootloader RBL header at 0x00FE9A");
        assert_eq!(decide(&ballot.count()), (Some(Family::Other), Verdict::Likely));

        let mut ballot = Ballot::default();
        ballot.add_address(Family::Bk7231T, "download at 0x132000");
        ballot.add(Family::Bk7231T, "bootloader string BK7231S_1.0.5");
        ballot.add(Family::Other, "OpenBeken version text OpenBK7238_1.0.0");
        assert_eq!(decide(&ballot.count()).0, None, "a T boot loader under a 7238 application");
    }

    #[test]
    fn a_lone_rf_block_votes_by_its_place() {
        let mut flash = vec![0xFF; 0x20_0000];
        flash[0x1D_0000..0x1D_0008].copy_from_slice(b"TLV\0\xF6\x01\0\0");
        assert_eq!(flash_votes(&flash), [vote(Family::Bk7231N, "RF/TLV header at flash 0x1D0000")]);
    }
}
