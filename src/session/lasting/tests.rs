use super::*;
use crate::device::{Abilities, Facts, UniqueId, Unwatched};
use crate::image::Family;
use crate::job::{Change, WriteSpec};
use crate::link::sim::{Module, Setup};
use crate::link::{LinkInfo, WireKind};

/// A chip as a link shows it.
struct Seen {
    facts: Facts,
    abilities: Abilities,
    info: LinkInfo,
    flash: Vec<u8>,
}

impl Seen {
    fn over(wire: WireKind) -> Self {
        let module = Module::new(Setup::new("wb2s").unwrap().wire(wire)).unwrap();
        let link = module.link();
        let info = link.info.clone();
        let device = attach(link, &AttachOptions::default(), &mut Unwatched).unwrap();
        Self { facts: device.facts().clone(), abilities: device.abilities(), info, flash: module.flash() }
    }

    fn identity(&self) -> Identity {
        Identity::from_flash(&self.facts, self.abilities, &self.info, &self.flash)
    }

    /// As it is seen after this happened to its content.
    fn after(&self, change: impl FnOnce(&mut [u8])) -> Identity {
        let mut flash = self.flash.clone();
        change(&mut flash);
        Identity::from_flash(&self.facts, self.abilities, &self.info, &flash)
    }

    fn rf(&self) -> std::ops::Range<usize> {
        let place = Family::Bk7231T.rf_block().unwrap();
        place.start as usize..place.end() as usize
    }
}

fn write(change: Change) -> JobSpec {
    let spec = WriteSpec::new(change, "b.bin", None, Vec::new().into());
    JobSpec::Write { spec, agreed: String::new(), journal: None }
}

fn backup() -> JobSpec {
    JobSpec::Backup(Default::default())
}

fn is_other(result: Result<(), DeviceError>) -> bool {
    matches!(result, Err(DeviceError::OtherChip { .. }))
}

#[test]
fn a_chip_whose_rf_sector_the_job_rewrites_is_the_same_whatever_its_mac_is_meanwhile() {
    let seen = Seen::over(WireKind::Uart);
    let (was, rf) = (seen.identity(), seen.rf());
    let lost = seen.after(|flash| flash[rf.clone()].fill(0xFF));
    let garbled = seen.after(|flash| flash[rf.start + 0x24] ^= 0x40);
    assert!(was.chip_key != lost.chip_key && was.chip_key != garbled.chip_key);
    for change in [Change::Restore, Change::RfBlock] {
        for (was, is) in [(&was, &lost), (&was, &garbled), (&lost, &was), (&garbled, &lost)] {
            same_chip(&write(change), was, is).unwrap();
        }
    }
    // Another write may lose the sector and make nothing else of it.
    for change in [Change::Image, Change::Config, Change::Erase] {
        same_chip(&write(change), &was, &lost).unwrap();
        assert!(is_other(same_chip(&write(change), &was, &garbled)));
    }
    assert!(is_other(same_chip(&backup(), &was, &lost)), "a job that writes nothing loses nothing");
}

#[test]
fn a_job_that_rewrites_the_rf_sector_goes_on_with_no_flash_and_no_loader_of_another_kind() {
    let seen = Seen::over(WireKind::Uart);
    let was = seen.identity();
    let mut larger = was.clone();
    larger.flash.size *= 2;
    let mut full = was.clone();
    full.dialect = Some("full");
    let mut known = was.clone();
    known.flash.jedec = Some("EB 60 15".to_owned());
    for other in [larger, full, known] {
        assert!(is_other(same_chip(&write(Change::Restore), &was, &other)));
    }
}

#[test]
fn where_both_looks_see_a_unique_id_it_alone_decides() {
    let seen = Seen::over(WireKind::Spi);
    let (was, rf) = (seen.identity(), seen.rf());
    let mut twin = seen.identity();
    twin.flash.unique_hash = UniqueId::agreed(&[7, 6, 5, 4, 3, 2, 1, 0], &[7, 6, 5, 4, 3, 2, 1, 0]).map(|id| id.hash());
    assert!(was.flash.unique_hash.is_some() && twin.flash.unique_hash.is_some());
    assert_eq!(was.chip_key, twin.chip_key);
    for job in [backup(), write(Change::Restore), write(Change::Image)] {
        assert!(is_other(same_chip(&job, &was, &twin)), "the same MAC on another flash");
        same_chip(&job, &was, &seen.after(|flash| flash[rf.clone()].fill(0x00))).unwrap();
    }
    twin.flash.unique_hash = None;
    same_chip(&backup(), &was, &twin).unwrap();
}

#[test]
fn a_flash_that_reads_as_nothing_at_all_is_no_answer() {
    for wire in [WireKind::Uart, WireKind::Spi] {
        let seen = Seen::over(wire);
        let was = seen.identity();
        assert!(!was.blank);
        for nothing in [0x00, 0xFF] {
            let is = seen.after(|flash| flash.fill(nothing));
            assert!(is.blank);
            let error = same_chip(&write(Change::Restore), &was, &is).unwrap_err();
            assert!(matches!(error, DeviceError::NobodyThere { .. }), "{error}");
            same_chip(&backup(), &is, &is.clone()).unwrap();
        }
        assert!(!seen.after(|flash| flash[..0x1_2000].fill(0xFF)).blank, "the RF block is still there");
    }
}
