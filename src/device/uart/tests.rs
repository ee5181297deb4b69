use std::time::Duration;

use crate::codec::nor::StatusBytes;
use crate::device::testing::{Recorder, image, sector};
use crate::device::{AttachOptions, Cancelled, DeviceError, EraseUnit, Level, Unwatched, Watch, WriteFlash, attach};
use crate::link::sim::{Faults, Module, Program, Setup, Wires};
use crate::link::{Wire, WireKind};
use crate::problem::Explain;
use crate::units::{SECTOR, Span};

fn t_setup() -> Setup {
    Setup::new("wb2s").unwrap().image(image()).wire(WireKind::Uart)
}

fn n_setup() -> Setup {
    Setup::new("cb2s").unwrap().image(image()).wire(WireKind::Uart)
}

fn faulty(setup: Setup, faults: &str) -> Setup {
    setup.faults(Faults::parse(faults).unwrap())
}

fn try_attach(module: &Module, watch: &mut dyn Watch) -> Result<Box<dyn WriteFlash>, DeviceError> {
    attach(module.link(), &AttachOptions::default(), watch)
}

fn attached(setup: Setup) -> (Module, Box<dyn WriteFlash>) {
    attached_at(setup, None)
}

fn attached_at(setup: Setup, speed: Option<u32>) -> (Module, Box<dyn WriteFlash>) {
    let module = Module::new(setup).unwrap();
    let mut watch = Recorder::default();
    let options = AttachOptions { speed, ..AttachOptions::default() };
    let flash =
        attach(module.link(), &options, &mut watch).unwrap_or_else(|why| panic!("{why:?} after {:?}", watch.retries));
    module.clear_operations();
    (module, flash)
}

fn read_all(flash: &mut dyn WriteFlash) -> Vec<u8> {
    let mut content = vec![0; flash.facts().size as usize];
    flash.read(0, &mut content, &mut Unwatched).unwrap();
    content
}

#[test]
fn a_t_is_known_by_its_loader_and_a_size_that_wraps() {
    let (_, flash) = attached(t_setup());
    let facts = flash.facts();
    assert_eq!(facts.dialect, Some("basic"));
    assert_eq!(facts.boot_version.as_deref(), Some("BK7231S_1.0.5"));
    assert_eq!((facts.jedec, facts.chip_id), (None, None));
    assert_eq!((facts.size, facts.speed), (0x20_0000, 3_250_000), "{:?}", facts.evidence);
    assert_eq!(facts.size_sources, ["address wrap"]);
    assert_eq!(flash.abilities().first_writable, 0x1_1000);
    assert!(!flash.abilities().status_registers && flash.abilities().chip_crc.is_some());
}

#[test]
fn an_n_is_known_by_its_register_and_its_flash_id() {
    let (_, flash) = attached(n_setup());
    let facts = flash.facts();
    assert_eq!((facts.dialect, facts.chip_id), (Some("full"), Some(0x7231C)));
    assert_eq!(facts.part.map(|part| part.name.as_str()), Some("TH25Q16HB"));
    assert_eq!(facts.size_sources, ["JEDEC id", "address wrap"]);
    assert_eq!(flash.abilities().first_writable, 0);
    assert!(flash.abilities().status_registers);
}

#[test]
fn the_whole_flash_is_read_the_guarded_part_included() {
    for setup in [t_setup(), n_setup()] {
        let (module, mut flash) = attached_at(setup, Some(921_600));
        let before = module.now();
        assert!(read_all(flash.as_mut()) == module.flash());
        let took = module.now() - before;
        assert!(took < Duration::from_secs_f64(22.91 * 1.02), "{took:?} for 22.91 s of wire");
        assert!(module.flash() == image());
    }
}

#[test]
fn odd_starts_and_lengths_read_right() {
    let (_, mut flash) = attached(t_setup());
    let expected = image();
    for (at, len) in [(0_usize, 1_usize), (0xFFF, 2), (0x1F_FFFF, 1), (0x1_0F34, 9999), (0x10_0000, 0)] {
        let mut bytes = vec![0; len];
        flash.read(at as u32, &mut bytes, &mut Unwatched).unwrap();
        assert!(bytes == expected[at..at + len], "{at:X}");
    }
    assert!(matches!(flash.read(0x1F_FFFF, &mut [0; 2], &mut Unwatched), Err(DeviceError::OutOfRange { .. })));
}

#[test]
fn a_comparison_by_the_chips_crc_names_exactly_the_sectors_that_differ() {
    for setup in [t_setup(), n_setup()] {
        let (module, mut flash) = attached(setup);
        module.poke(0x123, &[0x00, 0x11]);
        module.poke(0x5_0123, &[0x00, 0x11]);
        module.poke(0x1F_FFFF, &[0xA6]);
        let mut watch = Recorder::default();
        assert_eq!(flash.compare(0, &image(), &mut watch).unwrap(), [0x0000, 0x5_0000, 0x1F_F000]);
        assert_eq!(watch.advanced, 0x20_0000);
        assert!(flash.compare(0x1_1000, &image()[0x1_1000..0x1_3000], &mut watch).unwrap().is_empty());
    }
}

#[test]
fn a_factory_t_unlocks_itself_in_the_erase() {
    for part in ["eb6015", "1c7015"] {
        let (module, mut flash) = attached(t_setup().part(part).unwrap());
        let data = sector(0x21);
        flash.erase(EraseUnit::Sector, 0x4_2000).unwrap();
        flash.program(0x4_2000, &data).unwrap();
        // A comparison locks the flash again on parts the loader knows.
        assert!(flash.compare(0x4_2000, &data, &mut Unwatched).unwrap().is_empty());
        flash.erase(EraseUnit::Block, 0x6_0000).unwrap();
        assert!(flash.compare(0x6_0000, &[0xFF; 0x1_0000], &mut Unwatched).unwrap().is_empty());
        flash.program(0x7_0000, &data).unwrap();
        let mut expected = image();
        expected[0x4_2000..0x4_3000].copy_from_slice(&data);
        expected[0x6_0000..0x7_0000].fill(0xFF);
        expected[0x7_0000..0x7_1000].copy_from_slice(&data);
        assert!(module.flash() == expected, "{part}");
    }
}

#[test]
fn a_factory_n_is_opened_by_its_status_registers() {
    let (module, mut flash) = attached(n_setup());
    let part = flash.facts().part.unwrap();
    let status = flash.read_status().unwrap().unwrap();
    assert_eq!(status, StatusBytes { sr1: 0x04, sr2: Some(0x40), sr3: None });
    flash.erase(EraseUnit::Sector, 0).unwrap();
    assert!(module.flash() == image(), "a locked flash answers OK and changes nothing");
    let open = flash.write_status(&part.open(status).unwrap().unwrap()).unwrap();
    assert_eq!(part.protected(open), Some(Span::new(0, 0)));
    let data = sector(0x77);
    flash.erase(EraseUnit::Sector, 0).unwrap();
    flash.program(0, &data).unwrap();
    let mut expected = image();
    expected[..SECTOR as usize].copy_from_slice(&data);
    assert!(module.flash() == expected);
    flash.write_status(&part.back_to(open, status).unwrap().unwrap()).unwrap();
    assert_eq!(module.protected(), 0..0x1F_0000);
}

#[test]
fn every_form_of_status_write_reaches_an_n() {
    for part in crate::chip::parts().iter().filter(|part| part.size == 0x20_0000) {
        let id = format!("{:02x}{:02x}{:02x}", part.id[0], part.id[1], part.id[2]);
        let (module, mut flash) = attached(n_setup().part(&id).unwrap());
        let status = flash.read_status().unwrap().unwrap();
        if let Some(change) = part.open(status).unwrap() {
            flash.write_status(&change).unwrap_or_else(|why| panic!("{}: {why}", part.name));
        }
        assert!(module.protected().is_empty(), "{}", part.name);
    }
}

#[test]
fn the_boot_loader_of_a_t_is_out_of_reach() {
    let (module, mut flash) = attached(t_setup());
    for at in [0, 0x1_0000, 0x20_0000, 0x21_1000, 0x100_0000, 0x101_1000] {
        assert!(matches!(flash.erase(EraseUnit::Sector, at), Err(DeviceError::OutOfRange { .. })), "{at:X}");
        assert!(matches!(flash.erase(EraseUnit::Block, at & !0xFFFF), Err(DeviceError::OutOfRange { .. })), "{at:X}");
        assert!(matches!(flash.program(at, &sector(1)), Err(DeviceError::OutOfRange { .. })), "{at:X}");
    }
    assert!(module.flash() == image());
    assert!(module.counters().erases.iter().all(|count| *count == 0));
}

#[test]
fn a_noisy_line_costs_time_and_not_bytes() {
    for setup in [t_setup(), n_setup()] {
        let (module, mut flash) = attached(setup);
        module.set_faults(Faults::parse("noise:1/30000").unwrap());
        let mut content = vec![0; 0x8_0000];
        let mut watch = Recorder::default();
        flash.read(0, &mut content, &mut watch).unwrap();
        assert!(!watch.retries.is_empty(), "there was noise");
        module.set_faults(Faults::default());
        // A flipped data byte has no check of its own: the comparison by CRC finds it, and reading again heals it.
        for at in flash.compare(0, &content, &mut watch).unwrap() {
            let at = at as usize;
            flash.read(at as u32, &mut content[at..at + 4096], &mut watch).unwrap();
        }
        assert!(content == image()[..0x8_0000]);
    }
}

#[test]
fn a_write_over_a_noisy_line_never_touches_the_boot_loader() {
    for seed in 1..=12 {
        let (module, mut flash) = attached(t_setup().seed(seed));
        module.set_faults(Faults::parse("noise:1/9000").unwrap());
        for at in (0x4_0000..0x5_0000).step_by(SECTOR as usize) {
            let data = sector(at as u8 ^ seed as u8);
            let result = flash.erase(EraseUnit::Sector, at).and_then(|()| flash.program(at, &data));
            if let Err(why) = result {
                assert!(matches!(why, DeviceError::NoAnswer { .. } | DeviceError::Status { .. }), "{why:?}");
            }
        }
        let content = module.flash();
        assert!(content[..0x1_1000] == image()[..0x1_1000], "seed {seed}");
    }
}

#[test]
fn an_answer_for_another_address_is_an_alarm() {
    // Damage on the way there and on the way back look alike; either is worth stopping for.
    let mut alarms = 0;
    for seed in 1..=40 {
        let (module, mut flash) = attached(t_setup().seed(seed));
        module.set_faults(Faults::parse("noise:1/60").unwrap());
        for at in (0x4_0000..0x5_0000).step_by(SECTOR as usize) {
            match flash.erase(EraseUnit::Sector, at) {
                Err(DeviceError::Misdirected { at: meant, instead, .. }) => {
                    assert!(meant == at && instead != at);
                    alarms += 1;
                    break;
                }
                Err(_) => break,
                Ok(()) => {}
            }
        }
    }
    assert!(alarms > 0, "noise of this strength hits an address now and then");
}

#[test]
fn lost_answers_and_bad_statuses_are_survived() {
    for setup in [t_setup, n_setup] {
        for nth in 1..24 {
            let (_, mut flash) = attached(faulty(setup(), &format!("no-answer:{nth}")));
            let mut content = vec![0; 0x3000];
            flash.read(0x1_0000, &mut content, &mut Unwatched).unwrap();
            assert!(content == image()[0x1_0000..0x1_3000], "answer {nth}");
        }
    }
}

#[test]
fn a_lost_answer_to_an_erase_or_write_is_asked_for_again() {
    for setup in [t_setup, n_setup] {
        for nth in 1..70 {
            let (module, mut flash) =
                attached(faulty(setup().locked(false).status([0; 3]), &format!("no-answer:{nth}")));
            let mut expected = image();
            for at in (0x4_0000..0x4_8000).step_by(SECTOR as usize) {
                let data = sector(at as u8 ^ nth);
                expected[at as usize..at as usize + 4096].copy_from_slice(&data);
                flash.erase(EraseUnit::Sector, at).unwrap();
                flash.program(at, &data).unwrap();
            }
            assert!(module.flash() == expected, "answer {nth}");
        }
    }
}

#[test]
fn an_unanswered_erase_without_a_reset_line_silences_the_program() {
    // A relative of the T, of which nobody knows that it would refuse what filler makes of half a request.
    let setup = || t_setup().loader(Program::U);
    // The answers before the erase are counted by trying.
    let silenced = (1..200).find_map(|nth| {
        let module = Module::new(faulty(setup(), &format!("no-answer:{nth}"))).unwrap();
        let mut link = module.link();
        link.reset = None;
        let mut hand = Hand { module: module.clone(), checkpoints: 0 };
        let mut flash = attach(link, &AttachOptions::default(), &mut hand).unwrap();
        flash.erase(EraseUnit::Sector, 0x4_2000).is_err().then_some((module, flash))
    });
    let (module, mut flash) = silenced.expect("one of the answers is that of the erase");
    let sent = module.traffic().uart_sent;
    assert!(matches!(flash.erase(EraseUnit::Sector, 0x4_2000), Err(DeviceError::NoAnswer { .. })));
    assert!(flash.keep_alive().is_err() && flash.reboot().is_err());
    assert_eq!(module.traffic().uart_sent, sent, "not one more byte");
}

#[test]
fn rates_that_the_line_does_not_carry_are_left() {
    let options = AttachOptions { speed: Some(3_000_000), ..AttachOptions::default() };
    let module = Module::new(t_setup()).unwrap();
    let mut watch = Recorder::default();
    let mut flash = attach(module.link(), &options, &mut watch).unwrap();
    assert_eq!(flash.facts().speed, 2_600_000, "{:?}", flash.facts().evidence);
    assert!(read_all(flash.as_mut()) == image());
}

#[test]
fn a_slow_rate_is_used_when_asked_for() {
    let options = AttachOptions { speed: Some(115_200), ..AttachOptions::default() };
    let module = Module::new(n_setup()).unwrap();
    let flash = attach(module.link(), &options, &mut Unwatched).unwrap();
    assert_eq!(flash.facts().speed, 115_200);
    assert!(flash.abilities().prefer_crc);
}

#[test]
fn a_linked_loader_stays_awake_by_keep_alive() {
    let (module, mut flash) = attached(t_setup());
    assert!(flash.needs_keep_alive());
    for _ in 0..100 {
        module.sleep(Duration::from_millis(100));
        flash.keep_alive().unwrap();
    }
    flash.identify_again().unwrap();
    assert!(read_all(flash.as_mut()) == image());
}

#[test]
fn another_flash_is_noticed() {
    for setup in [t_setup(), n_setup()] {
        let (module, mut flash) = attached(setup);
        flash.identify_again().unwrap();
        module.poke(0x10, &[0x12, 0x34]);
        assert!(matches!(flash.identify_again(), Err(DeviceError::OtherChip { .. })));
    }
}

#[test]
fn a_flash_that_reads_as_nothing_is_no_answer_and_not_another_chip() {
    for setup in [t_setup(), n_setup()] {
        for nothing in [0x00, 0xFF] {
            let (module, mut flash) = attached(setup.clone());
            let begin = module.bytes(0, 256);
            module.poke(0, &[nothing; 256]);
            let error = flash.identify_again().unwrap_err();
            assert!(matches!(error, DeviceError::NobodyThere { .. }), "{error}");
            assert_eq!(error.explain().class, crate::problem::Class::NoDevice);
            module.poke(0, &begin);
            flash.identify_again().unwrap();
        }
    }
    let (module, mut flash) = attached(n_setup());
    module.set_faults(Faults::parse("id:ff").unwrap());
    assert!(matches!(flash.identify_again(), Err(DeviceError::NobodyThere { .. })));
}

#[test]
fn a_boot_loader_that_this_program_has_written_is_not_another_chip() {
    let (module, mut flash) = attached(n_setup().locked(false));
    flash.erase(EraseUnit::Sector, 0).unwrap();
    flash.program(0, &sector(7)).unwrap();
    assert!(module.bytes(0, 4096) == sector(7));
    flash.identify_again().unwrap();
    module.poke(0x10, &[0x12, 0x34]);
    assert!(matches!(flash.identify_again(), Err(DeviceError::OtherChip { .. })));
}

#[test]
fn after_a_reboot_the_firmware_runs() {
    for setup in [t_setup(), n_setup()] {
        let (module, mut flash) = attached(setup);
        assert!(!module.is_running());
        flash.reboot().unwrap();
        module.sleep(Duration::from_secs(2));
        assert!(module.is_running());
    }
}

#[test]
fn each_dead_line_is_explained() {
    for (wires, word) in
        [("rx-open", "reset"), ("tx-open", "swapped"), ("rx-tx-swapped", "swapped"), ("cen-open", "CEN")]
    {
        let module = Module::new(t_setup().wires(Wires::parse(wires).unwrap())).unwrap();
        let problem = try_attach(&module, &mut Unwatched).err().expect("no loader").explain();
        println!("{wires}: {} -> {} -> {}", problem.what, problem.cause, problem.remedy);
        assert_eq!(problem.code, "E311");
        assert!(format!("{} {}", problem.cause, problem.remedy).contains(word), "{wires}: {problem}");
    }
}

#[test]
fn waiting_for_a_loader_can_be_stopped() {
    let module = Module::new(t_setup().wires(Wires::parse("rx-open").unwrap())).unwrap();
    let mut watch = Recorder { stop_after: Some(100), ..Recorder::default() };
    assert!(matches!(try_attach(&module, &mut watch), Err(DeviceError::Cancelled)));
    assert!(module.now() < Duration::from_millis(100 * 21), "{:?}", module.now());
}

/// Pulls CEN by hand after a while.
struct Hand {
    module: Module,
    checkpoints: u32,
}

impl Watch for Hand {
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, _: Level, _: String) {}
    fn retried(&mut self, _: String) {}
    fn checkpoint(&mut self) -> Result<(), Cancelled> {
        self.checkpoints += 1;
        if self.checkpoints == 2000 {
            self.module.pulse_cen();
        }
        Ok(())
    }
}

#[test]
fn without_a_reset_line_a_hand_or_the_console_is_enough() {
    for setup in [t_setup(), n_setup()] {
        let module = Module::new(setup).unwrap();
        let mut link = module.link();
        link.reset = None;
        let mut flash =
            attach(link, &AttachOptions::default(), &mut Hand { module: module.clone(), checkpoints: 0 }).unwrap();
        assert!(read_all(flash.as_mut()) == image());
    }
}

#[test]
fn a_hand_is_told_how_long_and_what_is_heard() {
    let module = Module::new(t_setup().wires(Wires::parse("rx-open").unwrap())).unwrap();
    let mut link = module.link();
    link.reset = None;
    let mut watch = Recorder::default();
    assert!(attach(link, &AttachOptions::default(), &mut watch).is_err());
    let asked: Vec<&str> =
        watch.notes.iter().filter(|(level, _)| *level == Level::Ask).map(|(_, text)| text.as_str()).collect();
    assert_eq!(asked.len(), 20);
    assert!(asked[0].starts_with("touch CEN to GND with a wire and let go"), "{asked:?}");
    assert!(asked[0].contains(": 56 s left;") || asked[0].contains(": 57 s left;"), "{asked:?}");
    assert!(asked.iter().any(|text| text.ends_with("the application is heard, so it was not reset yet")), "{asked:?}");
}

#[test]
fn what_the_line_says_instead_of_a_loader_is_told_apart() {
    for (wires, faults, word) in [
        ("rx-open", "echo", "gives back what is sent"),
        ("cen-open", "console:115200", "the application logs at 115200 baud: \"[TUYA N]"),
        ("cen-open", "console:921600", "the application logs at 921600 baud: \"[TUYA N]"),
        ("cen-open", "tuya-mcu", "55 AA at 9600 baud"),
        ("tx-open", "delay:1", "nothing came back"),
    ] {
        let module = Module::new(faulty(n_setup().wires(Wires::parse(wires).unwrap()), faults)).unwrap();
        let problem = try_attach(&module, &mut Unwatched).err().expect("no loader").explain();
        println!("{problem}");
        assert!(problem.what.contains(word), "{wires} {faults}: {problem}");
        assert!(module.now() < Duration::from_secs(20), "{:?}", module.now());
    }
}

#[test]
fn every_loader_is_known_by_what_it_answers_and_reads_right() {
    use Program::{Bk7236, Bk7238, Bk7252, Bk7252N, Bk7258, M, N, Q, T, U};
    let basics = [(T, Some("BK7231S_1.0.5")), (Q, None), (U, None), (Bk7252, None)];
    for (program, version) in basics {
        let (module, mut flash) = attached(t_setup().loader(program));
        let facts = flash.facts();
        assert_eq!((facts.dialect, facts.chip_id, facts.jedec), (Some("basic"), None, None), "{program:?}");
        assert_eq!(facts.boot_version.as_deref(), version);
        assert_eq!((facts.size, flash.abilities().first_writable), (0x20_0000, 0x1_1000), "{program:?}");
        works(&module, flash.as_mut());
    }
    let fulls = [
        (N, 0x7231C, "tuya"),
        (M, 0x7231C, "zero"),
        (Bk7238, 0x7238, "four equal words"),
        (Bk7252N, 0x7252A, "four equal words"),
        (Bk7236, 0x7236, ""),
        (Bk7258, 0x7236, ""),
    ];
    for (program, id, key) in fulls {
        let (module, mut flash) = attached(n_setup().loader(program).locked(false).status([0; 3]));
        let facts = flash.facts();
        assert_eq!((facts.dialect, facts.chip_id), (Some("full"), Some(id)), "{program:?}");
        assert_eq!(facts.part.map(|part| part.name.as_str()), Some("TH25Q16HB"), "{program:?}");
        let told: Vec<&String> = facts.evidence.iter().filter(|line| line.starts_with("eFuse")).collect();
        assert_eq!(told.is_empty(), key.is_empty(), "{program:?}: {told:?}");
        assert!(told.iter().all(|line| line.contains(key)), "{program:?}: {told:?}");
        assert_eq!(flash.abilities().first_writable, 0);
        works(&module, flash.as_mut());
    }
}

/// Reads, writes and compares, at the plain addresses and at the guarded ones.
fn works(module: &Module, flash: &mut dyn WriteFlash) {
    let mut content = vec![0; 0x3_0000];
    flash.read(0, &mut content, &mut Unwatched).unwrap();
    assert!(content == image()[..0x3_0000]);
    let data = sector(0x35);
    flash.erase(EraseUnit::Sector, 0x4_2000).unwrap();
    flash.program(0x4_2000, &data).unwrap();
    assert!(flash.compare(0x4_2000, &data, &mut Unwatched).unwrap().is_empty());
    assert!(module.bytes(0x4_2000, 4096) == data);
}

#[test]
fn an_unknown_loader_is_read_and_never_written() {
    let (module, mut flash) = attached(n_setup().loader(Program::Bk7256).locked(false).status([0; 3]));
    assert_eq!(flash.facts().chip_id, Some(0x7256));
    assert!(flash.facts().evidence.iter().any(|line| line.contains("only read from")));
    assert!(read_all(flash.as_mut()) == image());
    for at in [0, 0x1_1000, 0x1F_F000] {
        assert!(flash.erase(EraseUnit::Sector, at).is_err() && flash.program(at, &sector(1)).is_err());
    }
    assert!(module.flash() == image());
}

/// Bytes on the line that nobody sent.
fn stray_bytes(module: &Module, bytes: &[u8]) {
    let Wire::Serial(mut wire) = module.link().wire else { panic!("a serial wire") };
    wire.send(bytes).unwrap();
}

#[test]
fn a_frame_swallowed_after_a_stray_01_is_asked_again() {
    for stray in [&[0x01][..], &[0x01, 0xE0], &[0x01, 0xE0, 0xFC], &[0x01, 0xE0, 0xFC, 0xFF, 0xF4, 0x05]] {
        let (module, mut flash) = attached(t_setup());
        let mut content = [0; 4096];
        stray_bytes(&module, stray);
        flash.read(0x4_2000, &mut content, &mut Unwatched).unwrap();
        assert!(content == image()[0x4_2000..0x4_3000], "{stray:02X?}");
        stray_bytes(&module, stray);
        flash.erase(EraseUnit::Sector, 0x4_2000).unwrap();
        let data = sector(0x77);
        stray_bytes(&module, &stray[..stray.len().min(2)]);
        flash.program(0x4_2000, &data).unwrap();
        let mut expected = image();
        expected[0x4_2000..0x4_3000].copy_from_slice(&data);
        assert!(module.flash() == expected, "{stray:02X?}");
    }
}

#[test]
fn a_locked_t_that_would_answer_ok_is_unlocked_before_it_is_written() {
    // 1C 70 15 is one of the ids that the loader locks after each CRC.
    let (module, mut flash) = attached(t_setup().part("1c7015").unwrap());
    let data = sector(0x55);
    for at in [0x4_2000, 0x4_3000] {
        assert!(!flash.compare(at, &data, &mut Unwatched).unwrap().is_empty());
        assert!(!module.protected().is_empty(), "the CRC has locked the flash");
        // The write comes without an erase of its own: the content is that of the whole sector.
        flash.program(at, &data).unwrap();
        assert!(module.bytes(at, 4096) == data);
    }
}

#[test]
fn only_erase_codes_that_every_loader_knows_are_sent() {
    let (module, mut flash) = attached(t_setup());
    flash.erase(EraseUnit::Sector, 0x4_2000).unwrap();
    flash.erase(EraseUnit::Block, 0x5_0000).unwrap();
    assert!(module.bytes(0x4_2000, 0x1000).iter().all(|byte| *byte == 0xFF));
    assert!(module.bytes(0x5_0000, 0x1_0000).iter().all(|byte| *byte == 0xFF));
    let codes: Vec<u8> =
        module.operations().iter().map(|done| done.opcode).filter(|code| [0x20, 0x52, 0xD8].contains(code)).collect();
    assert_eq!(codes, [0x20, 0xD8]);
}

#[test]
fn reads_are_sent_ahead_on_basic_loaders_only() {
    // Two requests at once are answered by a basic loader; the full one drops the second, so it must never get one.
    let (_, mut flash) = attached_at(n_setup(), Some(921_600));
    let mut watch = Recorder::default();
    let mut content = vec![0; 0x4_0000];
    flash.read(0x2_0000, &mut content, &mut watch).unwrap();
    assert!(watch.retries.is_empty(), "{:?}", watch.retries);
    let (module, mut flash) = attached_at(t_setup(), Some(921_600));
    let (began, wire) = (module.now(), Duration::from_secs_f64(64.0 * 4111.0 * 10.0 / 928_571.0));
    flash.read(0x2_0000, &mut content, &mut watch).unwrap();
    assert!(content == image()[0x2_0000..0x6_0000] && watch.retries.is_empty(), "{:?}", watch.retries);
    let took = module.now() - began;
    assert!(took < wire.mul_f64(1.002), "the requests cost nothing: {took:?} for {wire:?}");
}

#[test]
fn a_rate_that_goes_bad_is_left_and_finished_sectors_stay() {
    for setup in [t_setup(), n_setup()] {
        let (module, mut flash) = attached(setup);
        let before = flash.facts().speed;
        module.set_faults(Faults::parse("noise:1/3000").unwrap());
        let mut content = vec![0; 0x8_0000];
        let mut watch = Recorder::default();
        flash.read(0, &mut content, &mut watch).unwrap();
        assert!(flash.facts().speed < before);
        assert_eq!(watch.advanced, 0x8_0000, "no sector is counted twice");
    }
}
