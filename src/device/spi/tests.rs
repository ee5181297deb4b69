use std::time::Duration;

use super::{Access, SpiFlash};
use crate::codec::nor::StatusBytes;
use crate::device::testing::{Recorder, image, sector};
use crate::device::{AttachOptions, DeviceError, EntryOutcome, EraseUnit, ReadFlash, WriteFlash, attach};
use crate::link::Wire;
use crate::link::sim::{Effect, Faults, Knobs, Module, Setup, Wires};
use crate::problem::{Class, Explain};
use crate::units::{SECTOR, Span};

fn setup() -> Setup {
    Setup::new("wb2s").unwrap().image(image())
}

fn try_attach(module: &Module, watch: &mut Recorder) -> Result<Box<dyn WriteFlash>, DeviceError> {
    attach(module.link(), &AttachOptions::default(), watch)
}

fn attached(setup: Setup) -> (Module, Box<dyn WriteFlash>) {
    let module = Module::new(setup).unwrap();
    let flash = try_attach(&module, &mut Recorder::default()).unwrap();
    module.clear_operations();
    (module, flash)
}

fn refusal(setup: Setup) -> DeviceError {
    try_attach(&Module::new(setup).unwrap(), &mut Recorder::default()).err().expect("nothing to attach to")
}

#[test]
fn attaching_finds_part_size_and_clock_with_evidence() {
    let (_, flash) = attached(setup());
    let facts = flash.facts();
    assert_eq!(facts.jedec, Some([0xEB, 0x60, 0x15]));
    assert_eq!(facts.part.map(|part| part.name.as_str()), Some("TH25Q16HB"));
    assert_eq!((facts.size, facts.speed), (0x20_0000, 8_000_000));
    assert!(facts.size_sources.iter().any(|source| source == "address wrap"), "{:?}", facts.size_sources);
    assert!(
        facts.evidence.iter().any(|line| line.contains("5 JEDEC id reads agree: EB 60 15")),
        "{:?}",
        facts.evidence
    );
    assert!(facts.evidence.iter().any(|line| line.contains("with CEN held low the id is gone")));
}

#[test]
fn attaching_changes_nothing() {
    let module = Module::new(setup()).unwrap();
    try_attach(&module, &mut Recorder::default()).unwrap();
    let changing = [0x01, 0x02, 0x06, 0x11, 0x20, 0x31, 0x50, 0x52, 0xC7, 0x60, 0xD8, 0x81];
    let seen: Vec<_> = module.operations().into_iter().filter(|op| changing.contains(&op.opcode)).collect();
    assert_eq!(seen, []);
    assert_eq!(module.flash(), image());
}

#[test]
fn every_byte_is_read_and_counted() {
    let (module, mut flash) = attached(setup());
    let mut content = vec![0; 0x20_0000];
    let mut watch = Recorder::default();
    let before = module.now();
    flash.read(0, &mut content, &mut watch).unwrap();
    let took = module.now() - before;
    assert_eq!(content, module.flash());
    assert_eq!(watch.advanced, 0x20_0000);
    assert!(took < Duration::from_millis(2097 * 115 / 100), "{took:?} for 2.097 s of bits");
}

#[test]
fn odd_starts_and_lengths_read_right() {
    let (_, mut flash) = attached(setup());
    let expected = image();
    for (at, len) in [(0_usize, 1_usize), (0xFFF, 2), (0x1F_FFFF, 1), (0x1234, 9999), (0x10_0000, 0)] {
        let mut bytes = vec![0; len];
        flash.read(at as u32, &mut bytes, &mut Recorder::default()).unwrap();
        assert_eq!(bytes, expected[at..at + len]);
    }
    let beyond = flash.read(0x1F_FFFF, &mut [0; 2], &mut Recorder::default());
    assert!(matches!(beyond, Err(DeviceError::OutOfRange { .. })));
}

#[test]
fn a_comparison_names_exactly_the_sectors_that_differ() {
    let (module, mut flash) = attached(setup());
    let expected = image();
    module.poke(0x5_0123, &[0x00, 0x11]);
    module.poke(0x1F_FFFF, &[0xA5]);
    let differing = flash.compare(0, &expected, &mut Recorder::default()).unwrap();
    assert_eq!(differing, [0x5_0000, 0x1F_F000]);
    assert!(flash.compare(0x1_0000, &expected[0x1_0000..0x2_0000], &mut Recorder::default()).unwrap().is_empty());
}

#[test]
fn a_read_stops_at_a_checkpoint() {
    let (_, mut flash) = attached(setup());
    let mut watch = Recorder { stop_after: Some(10), ..Recorder::default() };
    let stopped = flash.read(0, &mut vec![0; 0x20_0000], &mut watch);
    assert!(matches!(stopped, Err(DeviceError::Cancelled)));
    assert!(watch.advanced > 0 && watch.advanced < 0x2_0000);
}

#[test]
fn a_factory_module_is_opened_written_and_closed_again() {
    let (module, mut flash) = attached(setup());
    let part = flash.facts().part.unwrap();
    let before = flash.read_status().unwrap().unwrap();
    assert_eq!(before, StatusBytes { sr1: 0x04, sr2: Some(0x40), sr3: None });
    assert_eq!(part.protected(before), Some(Span::between(0, 0x1F_0000)));

    let opening = part.open(before).unwrap().unwrap();
    let open = flash.write_status(&opening).unwrap();
    assert_eq!(part.protected(open), Some(Span::new(0, 0)));

    let data = sector(0x5A);
    flash.erase(EraseUnit::Sector, 0x4_2000).unwrap();
    flash.program(0x4_2000, &data).unwrap();
    flash.erase(EraseUnit::Block, 0x6_0000).unwrap();
    let mut expected = image();
    expected[0x4_2000..0x4_3000].copy_from_slice(&data);
    expected[0x6_0000..0x7_0000].fill(0xFF);
    assert!(module.flash() == expected, "exactly what was asked for, and nothing else");

    let closing = part.back_to(open, before).unwrap().unwrap();
    flash.write_status(&closing).unwrap();
    assert_eq!(module.protected(), 0..0x1F_0000);
    assert!(module.operations().iter().all(|op| op.effect == Effect::Done || op.opcode == 0x05), "nothing was dropped");
}

#[test]
fn a_protected_part_ignores_erase_and_program_without_an_error() {
    let (module, mut flash) = attached(setup());
    flash.erase(EraseUnit::Sector, 0x4_2000).unwrap();
    flash.program(0x4_2000, &sector(1)).unwrap();
    assert!(module.flash() == image(), "only reading back shows it");
}

#[test]
fn every_part_of_the_table_up_to_16_mib_can_be_opened_and_written() {
    for part in crate::chip::parts().iter().filter(|part| (0x8_0000..=0x100_0000).contains(&part.size)) {
        let id = format!("{:02x}{:02x}{:02x}", part.id[0], part.id[1], part.id[2]);
        if part.name == "BK" {
            continue;
        }
        let mut content = image();
        content.truncate(part.size as usize);
        let (module, mut flash) = attached(Setup::new("wb2s").unwrap().part(&id).unwrap().image(content));
        let status = flash.read_status().unwrap().unwrap();
        let name = &part.name;
        if let Some(change) = part.open(status).unwrap_or_else(|why| panic!("{name}: {why}")) {
            flash.write_status(&change).unwrap_or_else(|why| panic!("{name}: {why}"));
        }
        assert!(module.protected().is_empty(), "{name}: {:?}", module.protected());
        let data = sector(part.id[1]);
        flash.erase(EraseUnit::Sector, 0x4_2000).unwrap();
        flash.program(0x4_2000, &data).unwrap();
        assert_eq!(module.bytes(0x4_2000, SECTOR), data, "{name}");
    }
}

#[test]
fn nothing_outside_the_chip_is_erased_or_programmed() {
    let (module, mut flash) = attached(setup().locked(false));
    for at in [0x20_0000, 0x1F_F800, 0xFFFF_F000] {
        assert!(matches!(flash.erase(EraseUnit::Sector, at), Err(DeviceError::OutOfRange { .. })), "{at:X}");
        assert!(matches!(flash.program(at, &sector(1)), Err(DeviceError::OutOfRange { .. })), "{at:X}");
    }
    assert!(matches!(flash.erase(EraseUnit::Block, 0x1F_8000), Err(DeviceError::OutOfRange { .. })));
    assert!(module.operations().iter().all(|op| !matches!(op.opcode, 0x02 | 0x06 | 0x20 | 0xD8)));
    assert!(module.flash() == image());
}

#[test]
fn no_write_enable_is_ever_lost_in_a_busy_flash() {
    let (module, mut flash) = attached(setup().locked(false));
    for at in [0x1_0000, 0x1_1000, 0x1_2000] {
        flash.erase(EraseUnit::Sector, at).unwrap();
        flash.program(at, &sector(at as u8)).unwrap();
    }
    assert_eq!(module.counters().lost_write_enables, 0);
    assert!(module.operations().iter().all(|op| !matches!(op.effect, Effect::Busy | Effect::NotEnabled)));
}

#[test]
fn pages_of_ff_cost_no_command() {
    let (module, mut flash) = attached(setup().locked(false));
    flash.erase(EraseUnit::Sector, 0x1_0000).unwrap();
    let mut data = [0xFF; 4096];
    data[0x700] = 0x12;
    let before = module.counters().programs;
    flash.program(0x1_0000, &data).unwrap();
    assert_eq!(module.counters().programs - before, 1);
    assert_eq!(module.bytes(0x1_0000, SECTOR), data);
}

#[test]
fn a_flash_that_stays_busy_is_given_up_with_its_limit() {
    let (_, mut flash) = attached(setup().locked(false).faults(Faults::parse("stuck-busy:1").unwrap()));
    match flash.erase(EraseUnit::Sector, 0x1_0000) {
        Err(DeviceError::StillBusy { waited, at, .. }) => assert_eq!((waited, at), (Duration::from_secs(1), 0x1_0000)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_status_write_that_does_not_take_is_an_error() {
    let (_, mut flash) = attached(setup().faults(Faults::parse("ignore-status").unwrap()));
    let part = flash.facts().part.unwrap();
    let change = part.open(flash.read_status().unwrap().unwrap()).unwrap().unwrap();
    assert!(matches!(flash.write_status(&change), Err(DeviceError::StatusNotTaken { .. })));
}

#[test]
fn a_clock_that_misreads_is_never_worked_at() {
    for (limit, expected) in [("clock:6M", 4_500_000), ("clock:3M", 2_240_000), ("clock:1500k", 1_120_000)] {
        let module = Module::new(setup().faults(Faults::parse(limit).unwrap())).unwrap();
        let mut watch = Recorder::default();
        let mut flash = try_attach(&module, &mut watch).unwrap();
        assert_eq!(flash.facts().speed, expected, "{limit}: {:?}", flash.facts().evidence);
        assert!(watch.notes.iter().any(|(_, note)| note.contains("misreads")), "{:?}", watch.notes);
        let mut content = vec![0; 0x1_0000];
        flash.read(0, &mut content, &mut Recorder::default()).unwrap();
        assert_eq!(content, image()[..0x1_0000]);
    }
}

#[test]
fn a_wire_that_only_carries_slow_clocks_is_found_by_the_sweep() {
    let (_, flash) = attached(setup().faults(Faults::parse("clock:300k").unwrap()));
    assert!(flash.facts().speed <= 300_000, "{}", flash.facts().speed);
}

#[test]
fn odd_chips_are_entered_all_the_same() {
    let knobs = [
        Knobs { silent_after_entry: Duration::from_millis(1500), ..Knobs::default() },
        Knobs { entry_bytes: 64, ..Knobs::default() },
        Knobs { asleep: true, ..Knobs::default() },
        Knobs { continuous_read: true, ..Knobs::default() },
        Knobs { entry_window: Duration::from_millis(10), ..Knobs::default() },
        Knobs { longest_frame: 64, ..Knobs::default() },
    ];
    for knobs in knobs {
        let (_, flash) = attached(setup().knobs(knobs.clone()));
        assert_eq!(flash.facts().jedec, Some([0xEB, 0x60, 0x15]), "{knobs:?}");
    }
    attached(setup().faults(Faults::parse("late-entry:40").unwrap()));
}

#[test]
fn each_broken_wire_is_refused_and_explained() {
    for wires in [
        "so-open",
        "si-open",
        "sck-open",
        "csn-open",
        "cen-open",
        "so-short-gnd",
        "so-short-3v3",
        "sck-csn-swapped",
        "si-so-swapped",
        "si-so-bridged",
    ] {
        let error = refusal(setup().wires(Wires::parse(wires).unwrap()));
        assert!(matches!(error, DeviceError::NoEntry { .. } | DeviceError::UnstableId { .. }), "{wires}: {error}");
        let problem = error.explain();
        println!("{wires}: {} -> {} -> {}", problem.what, problem.cause, problem.remedy);
        assert!(!problem.cause.is_empty() && !problem.remedy.is_empty());
    }
}

#[test]
fn a_bridge_and_a_dead_flash_are_named() {
    let cause = |setup| refusal(setup).explain().cause;
    assert!(cause(setup().wires(Wires::parse("si-so-bridged").unwrap())).contains("SI and SO"));
    assert!(cause(setup().wires(Wires::parse("so-open").unwrap())).contains("SO"));
    assert!(cause(setup().wires(Wires::parse("cen-open").unwrap())).len() > 10);
}

#[test]
fn waiting_for_a_chip_can_be_stopped() {
    let module = Module::new(setup().wires(Wires::parse("so-open").unwrap())).unwrap();
    let mut watch = Recorder { stop_after: Some(5), ..Recorder::default() };
    assert!(matches!(try_attach(&module, &mut watch), Err(DeviceError::Cancelled)));
    assert!(module.now() < Duration::from_millis(150), "{:?}", module.now());
}

#[test]
fn without_a_reset_line_a_hand_on_cen_is_enough() {
    struct Hand(Module, u32);
    impl crate::device::Watch for Hand {
        fn advance(&mut self, _: u64) {}
        fn note(&mut self, _: crate::device::Level, _: String) {}
        fn retried(&mut self, _: String) {}
        fn checkpoint(&mut self) -> Result<(), crate::device::Cancelled> {
            self.1 += 1;
            if self.1 == 50 {
                self.0.pulse_cen();
            }
            Ok(())
        }
    }
    let module = Module::new(setup()).unwrap();
    let mut link = module.link();
    link.reset = None;
    let mut flash = attach(link, &AttachOptions::default(), &mut Hand(module.clone(), 0)).unwrap();
    assert_eq!(flash.facts().jedec, Some([0xEB, 0x60, 0x15]));
    assert!(matches!(flash.reboot(), Err(DeviceError::Unable { .. })));
}

#[test]
fn a_reboot_starts_the_firmware() {
    let (module, mut flash) = attached(setup());
    assert!(!module.is_running());
    flash.reboot().unwrap();
    module.sleep(Duration::from_secs(1));
    assert!(module.is_running());
}

/// What a flash that is looked at again says with this fault.
fn looked_at_again(fault: &str) -> DeviceError {
    let (module, mut flash) = attached(setup());
    flash.identify_again().unwrap();
    module.set_faults(Faults::parse(fault).unwrap());
    let error = flash.identify_again().unwrap_err();
    module.set_faults(Faults::default());
    flash.identify_again().unwrap();
    error
}

#[test]
fn a_supply_that_sags_is_no_answer_and_not_another_chip() {
    for fault in ["id:ff", "id:00"] {
        let error = looked_at_again(fault);
        assert!(matches!(error, DeviceError::NobodyThere { .. }), "{fault}: {error}");
        let problem = error.explain();
        assert_eq!((problem.class, problem.code), (Class::NoDevice, "E325"));
        assert!(problem.cause.contains("supply sags") && problem.cause.contains("wire is open"), "{}", problem.cause);
    }
}

#[test]
fn a_chip_that_was_reset_and_runs_its_firmware_is_no_answer_and_not_another_chip() {
    let (module, mut flash) = attached(setup());
    module.pulse_cen();
    let error = flash.identify_again().unwrap_err();
    assert!(matches!(error, DeviceError::NobodyThere { .. }), "{error}");
}

#[test]
fn another_flash_in_the_place_of_the_first_is_noticed() {
    let link = Module::new(setup()).unwrap().link();
    let Wire::Spi(wire) = link.wire else { panic!("not an SPI link") };
    let access = Access::Line(link.reset.unwrap());
    let (options, mut watch) = (AttachOptions::default(), Recorder::default());
    let mut flash = SpiFlash::attach(wire, access, link.clock, &link.info, &options, &mut watch).unwrap();
    flash.identify_again().unwrap();
    // To the program it is the same whether the flash was exchanged or what it remembers of it.
    flash.facts.jedec = Some([0x1C, 0x70, 0x15]);
    let error = flash.identify_again().unwrap_err();
    assert!(matches!(error, DeviceError::OtherChip { .. }), "{error}");
    assert_eq!(error.explain().class, Class::Refused);
}

#[test]
fn a_part_above_sixteen_mebibytes_is_reached_to_its_end_even_when_left_in_four_byte_mode() {
    let mut content = image();
    content.resize(32 << 20, 0xFF);
    content[0x1F0_1234] = 0x5A;
    for left_in_four_byte_mode in [false, true] {
        let setup = Setup::new("wb2s").unwrap().part("c84019").unwrap().bare(true).image(content.clone());
        let module = Module::new(setup).unwrap();
        if left_in_four_byte_mode {
            let (Wire::Spi(mut wire) | Wire::Nor(mut wire)) = module.link().wire else { panic!("no SPI") };
            wire.exchange(&mut [0xB7]).unwrap();
        }
        let mut flash = try_attach(&module, &mut Recorder::default()).unwrap();
        assert_eq!(flash.facts().size, 32 << 20);
        let told = flash.facts().evidence.iter().any(|line| line.contains("addressed with four bytes"));
        assert!(told, "{:?}", flash.facts().evidence);
        let mut byte = [0];
        flash.read(0x1F0_1234, &mut byte, &mut Recorder::default()).unwrap();
        assert_eq!(byte, [0x5A]);
    }
}

#[test]
fn a_large_part_whose_four_byte_opcodes_are_not_known_is_read_as_far_as_three_bytes_reach() {
    let setup = Setup::new("wb2s").unwrap().part("c86019").unwrap().bare(true).image(image());
    let (_, mut flash) = attached(setup);
    assert_eq!(flash.facts().size, 16 << 20);
    assert!(flash.facts().evidence.iter().any(|line| line.contains("only the first 16 MiB can be reached")));
    let beyond = flash.read(16 << 20, &mut [0; 1], &mut Recorder::default());
    assert!(matches!(beyond, Err(DeviceError::OutOfRange { .. })));
}

#[test]
fn every_entry_try_is_kept_with_what_came_back() {
    let (_, flash) = attached(setup());
    let [first] = flash.facts().tries.as_slice() else { panic!("{:?}", flash.facts().tries) };
    assert_eq!(
        (first.number, first.clock, first.mode, first.low_ms, first.delay_ms),
        (1, 1_000_000, 0, Some(150), Some(0))
    );
    assert_eq!(first.pattern.as_deref(), Some("250 × D2"));
    assert_eq!(first.ids.last().map(String::as_str), Some("EB 60 15"));
    assert_eq!((first.outcome, first.times), (EntryOutcome::Answered, 2), "and once more after the reset in between");
    assert!(first.answer.as_ref().is_some_and(|answer| answer.contains("D2")), "{first:?}");

    let knobs = Knobs { clock_limit: 60_000, ..Knobs::default() };
    let (_, flash) = attached(setup().knobs(knobs));
    let tries = &flash.facts().tries;
    assert_eq!(tries.iter().map(|one| one.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(tries[..4].iter().all(|one| one.outcome != EntryOutcome::Answered && one.answer.is_some()), "{tries:?}");
    assert_eq!(tries[4].clock, 50_000);
}

#[test]
fn a_connect_that_fails_tells_every_try_to_who_asks() {
    let problem = refusal(setup().wires(Wires::parse("so-open").unwrap())).explain();
    assert_eq!(problem.code, "E310");
    assert_eq!(problem.details.len(), 10, "{:?}", problem.details);
    assert!(problem.details[3].starts_with("SPI entry 4: id FF FF FF, answer to D2 FF FF FF FF FF FF FF FF (500 kHz"));
    assert!(problem.details[3].contains("CEN low 250 ms, D2 after 20 ms, 150 frames of D2 and zeros"));
}

#[test]
fn a_flash_that_sleeps_and_is_slow_is_woken_all_the_same() {
    let knobs = Knobs { asleep: true, silent_after_entry: Duration::from_millis(600), ..Knobs::default() };
    let (_, flash) = attached(setup().knobs(knobs));
    assert_eq!(flash.facts().tries[0].number, 1);
    assert!(flash.facts().evidence.iter().any(|line| line.contains("SPI mode entered at attempt 1")));
}

fn unique_hash(setup: Setup) -> Option<String> {
    attached(setup).1.facts().unique_id.as_ref().map(|id| id.hash())
}

#[test]
fn two_modules_with_the_same_image_are_the_same_chip_and_another_rf_sector_is_another_one() {
    let mut other = image();
    other[0x1E_0030] ^= 1;
    let hash = unique_hash(setup());
    assert!(hash.is_some());
    assert_eq!(unique_hash(setup().seed(99)), hash);
    let moved_on = Setup::new("wb2s").unwrap().image(image().into_iter().rev().collect());
    assert_ne!(unique_hash(moved_on), hash);
    assert_ne!(unique_hash(Setup::new("wb2s").unwrap().image(other)), hash);
}

#[test]
fn the_unique_id_is_read_at_the_clock_of_the_entry_and_shown_as_a_hash_only() {
    let (_, flash) = attached(setup());
    let facts = flash.facts();
    let hash = facts.unique_id.as_ref().unwrap().hash();
    let line = format!("the part has a unique id (hash {})", &hash[..16]);
    assert!(facts.evidence.contains(&line), "{:?}", facts.evidence);
    // Faster than that, and every byte would come one bit late.
    let noisy = setup().faults(Faults::parse("clock:2M").unwrap());
    assert_eq!(unique_hash(noisy), Some(hash));
}

#[test]
fn a_part_that_has_no_unique_id_is_not_asked_for_it() {
    let module = Module::new(setup().part("1c7015").unwrap()).unwrap();
    let flash = try_attach(&module, &mut Recorder::default()).unwrap();
    assert_eq!(flash.facts().unique_id, None);
    assert!(module.operations().iter().all(|operation| operation.opcode != 0x4B));
}

#[test]
fn a_part_that_does_not_answer_for_its_unique_id_is_a_part_without() {
    let spec = crate::link::LinkSpec::parse("sim:wb2s?uid=none").unwrap();
    let (_, flash) = attached(Setup::from_spec(&spec).unwrap());
    assert_eq!(flash.facts().unique_id, None);
    assert!(!flash.facts().evidence.iter().any(|line| line.contains("unique")));
}
