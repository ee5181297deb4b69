//! The download protocols as a host meets them on the line.

use super::*;
use crate::link::contract::WireKind;
use crate::link::sim::sums::{CRC32_START, crc16, crc32};
use crate::link::sim::{Effect, Faults, Wires};

/// A flash whose boot loader and application begin with a good block of code, and that counts bytes elsewhere.
fn bootable() -> Vec<u8> {
    let mut image: Vec<u8> = (0..0x20_0000u32).map(|at| (at / 256 + at) as u8).collect();
    for at in [0, 0x11000] {
        let crc = crc16(&image[at..at + 32]).to_be_bytes();
        image[at + 32..at + 34].copy_from_slice(&crc);
    }
    image
}

fn t_module(setup: impl FnOnce(Setup) -> Setup) -> (Module, Port) {
    serial(setup(Setup::new("wb2s").unwrap().locked(false).image(bootable())))
}

fn n_module(setup: impl FnOnce(Setup) -> Setup) -> (Module, Port) {
    serial(setup(Setup::new("cb2s").unwrap().locked(false).image(bootable())))
}

fn serial(setup: Setup) -> (Module, Port) {
    let module = Module::new(setup.wire(WireKind::Uart)).unwrap();
    let port = Port::at(module.link());
    (module, port)
}

/// `01 E0 FC LL body`.
fn short(body: &[u8]) -> Vec<u8> {
    [&[0x01, 0xE0, 0xFC, body.len() as u8], body].concat()
}

/// `01 E0 FC FF F4 NN NN body`.
fn long(body: &[u8]) -> Vec<u8> {
    let [low, high] = (body.len() as u16).to_le_bytes();
    [&[0x01, 0xE0, 0xFC, 0xFF, 0xF4, low, high], body].concat()
}

fn with_address(head: &[u8], address: u32, tail: &[u8]) -> Vec<u8> {
    long(&[head, &address.to_le_bytes(), tail].concat())
}

fn crc_of(start: u32, end: u32) -> Vec<u8> {
    short(&[&[0x10][..], &start.to_le_bytes(), &end.to_le_bytes()].concat())
}

/// Status and data of a long answer.
fn answer(bytes: &[u8]) -> (u8, &[u8]) {
    assert_eq!(bytes[..7], [0x04, 0x0E, 0xFF, 0x01, 0xE0, 0xFC, 0xF4]);
    assert_eq!(usize::from(u16::from_le_bytes([bytes[7], bytes[8]])) + 9, bytes.len());
    (bytes[10], &bytes[11..])
}

const CHIP_ID: [u8; 9] = [0x01, 0xE0, 0xFC, 0x05, 0x03, 0x00, 0x00, 0x80, 0x00];

#[test]
fn a_running_module_does_not_link() {
    for (_, mut port) in [t_module(|s| s), n_module(|s| s)] {
        port.serial.send(LINK_CHECK).unwrap();
        let heard = port.hear(Duration::from_millis(500));
        assert!(!heard.windows(2).any(|pair| pair == [0x04, 0x0E]));
    }
}

#[test]
fn the_firmware_talks_now_and_then() {
    let (_, mut port) = t_module(|s| s);
    let heard = port.hear(Duration::from_secs(5));
    assert!(heard.starts_with(b"[TUYA"), "{heard:02X?}");
}

#[test]
fn a_link_check_in_the_window_links_and_one_after_it_does_not() {
    for open in [|| t_module(|s| s), || n_module(|s| s)] {
        let (_, mut port) = open();
        port.pulse();
        port.clock.sleep(Duration::from_millis(45));
        assert_eq!(port.ask(LINK_CHECK), LINKED);
        let (_, mut port) = open();
        port.pulse();
        port.clock.sleep(Duration::from_millis(60));
        port.serial.send(LINK_CHECK).unwrap();
        assert_eq!(port.hear(Duration::from_millis(100)), b"");
    }
}

#[test]
fn a_flood_links_whenever_the_reset_comes() {
    for (_, mut port) in [t_module(|s| s), n_module(|s| s)] {
        port.reset.hold(true).unwrap();
        let mut heard: Vec<u8> = Vec::new();
        for round in 0..100 {
            if round == 37 {
                port.reset.hold(false).unwrap();
            }
            port.serial.send(LINK_CHECK).unwrap();
            let mut piece = [0; 64];
            let len = port.serial.receive(&mut piece, Duration::from_millis(2)).unwrap();
            heard.extend(&piece[..len]);
        }
        let answers = heard.windows(8).filter(|piece| *piece == LINKED).count();
        assert!(answers > 40, "{answers} answers");
    }
}

#[test]
fn the_firmware_can_be_asked_to_restart() {
    for (text, wait) in [(&b"reboot\r\n"[..], 2), (&[0x01, 0xE0, 0xFC, 0x05, 0xFE, 0x95, 0x27, 0x95, 0x27], 105)] {
        let (_, mut port) = t_module(|s| s);
        port.serial.send(text).unwrap();
        port.clock.sleep(Duration::from_millis(wait));
        assert_eq!(port.ask(LINK_CHECK), LINKED);
    }
}

#[test]
fn an_idle_boot_loader_resets_itself_and_the_rom_does_not() {
    let (_, mut port) = t_module(|s| s);
    port.link();
    port.clock.sleep(Duration::from_millis(1400));
    assert_eq!(port.ask(LINK_CHECK), LINKED);
    port.clock.sleep(Duration::from_secs(3));
    port.serial.send(LINK_CHECK).unwrap();
    assert!(!port.hear(Duration::from_millis(100)).starts_with(&LINKED[..2]));
    let (_, mut port) = n_module(|s| s);
    port.link();
    port.clock.sleep(Duration::from_secs(100));
    assert_eq!(port.ask(LINK_CHECK), LINKED);
}

#[test]
fn noise_keeps_the_boot_loader_for_a_while() {
    let (module, mut port) = t_module(|s| s);
    port.pulse();
    port.serial.send(&[0x55]).unwrap();
    module.sleep(Duration::from_millis(700));
    assert!(!module.is_running());
    module.sleep(Duration::from_millis(200));
    assert!(module.is_running());
}

#[test]
fn a_t_without_boot_loader_is_deaf_and_an_n_is_not() {
    let (_, mut port) = t_module(|s| s.image(Vec::new()));
    port.pulse();
    assert_eq!(port.ask(LINK_CHECK), b"");
    let (_, mut port) = n_module(|s| s.image(Vec::new()));
    port.link();
}

#[test]
fn answers_take_their_time_on_the_line() {
    let (module, mut port) = n_module(|s| s);
    port.link();
    let before = module.now();
    port.serial.send(&with_address(&[0x09], 0x11000, &[])).unwrap();
    let mut got = 0;
    while got < 4111 {
        let mut piece = [0; 4111];
        got += port.serial.receive(&mut piece, Duration::from_secs(1)).unwrap();
    }
    let took = (module.now() - before).as_secs_f64();
    let line = (12.0 + 4111.0) * 10.0 / 115_200.0;
    assert!((line..line * 1.01).contains(&took), "{took} s, the line needs {line} s");
}

#[test]
fn a_new_rate_holds_from_the_request_on() {
    for (open, wait) in [((|| t_module(|s| s)) as fn() -> (Module, Port), 42), (|| n_module(|s| s), 20)] {
        let (module, mut port) = open();
        port.link();
        let request = [&[0x01, 0xE0, 0xFC, 0x06, 0x0F][..], &921_600u32.to_le_bytes(), &[20]].concat();
        port.serial.send(&request).unwrap();
        let sent = module.now() + Duration::from_micros(868);
        port.clock.sleep(Duration::from_millis(10));
        port.serial.set_baud(921_600).unwrap();
        let echo = port.hear(Duration::from_secs(1));
        assert_eq!(echo[..3], [0x04, 0x0E, 0x09]);
        assert_eq!(echo[6..], request[4..]);
        let quiet = Duration::from_millis(50);
        let took = (module.now() - sent - quiet).as_millis();
        assert!((wait..wait + 2).contains(&took), "{took} ms");
        assert_eq!(port.ask(LINK_CHECK), LINKED);
        port.serial.set_baud(115_200).unwrap();
        assert_ne!(port.ask(LINK_CHECK), LINKED, "the old rate is noise now");
        port.pulse();
        assert_eq!(port.ask(LINK_CHECK), LINKED, "a reset brings 115200 back");
    }
}

#[test]
fn a_rate_beyond_the_tolerance_is_noise() {
    let (_, mut port) = n_module(|s| s);
    port.serial.set_baud(120_000).unwrap();
    port.pulse();
    assert_ne!(port.ask(LINK_CHECK), LINKED);
    port.serial.set_baud(113_000).unwrap();
    port.link();
}

#[test]
fn the_dialects_tell_themselves_apart() {
    let (_, mut t) = t_module(|s| s);
    t.link();
    assert_eq!(t.ask(&CHIP_ID), b"");
    let (_, mut n) = n_module(|s| s);
    n.link();
    assert_eq!(n.ask(&CHIP_ID)[7..], [0x00, 0x00, 0x80, 0x00, 0x1C, 0x23, 0x07, 0x00]);
    assert_eq!(n.ask(&short(&[0x11])), [0x04, 0x0E, 0x05, 0x01, 0xE0, 0xFC, 0x11, 0x07]);
    for (port, exact) in [(&mut t, false), (&mut n, true)] {
        let (one, other) = (port.ask(&crc_of(0x11000, 0x110FF)), port.ask(&crc_of(0x11000, 0x11100)));
        assert_eq!(one != other, exact);
        let single = port.ask(&crc_of(0x11000, 0x11000));
        assert_eq!(single[7..] == [0xFF; 4], !exact);
    }
    let crc = crc32(CRC32_START, bootable()[0x11000..=0x11100].iter().copied());
    assert_eq!(n.ask(&crc_of(0x11000, 0x11100))[7..], crc.to_le_bytes());
}

#[test]
fn the_n_answers_the_flash_id_with_a_byte_in_front() {
    let (_, mut port) = n_module(|s| s);
    port.link();
    let id = port.ask(&long(&[0x0E, 0x9F, 0, 0, 0]));
    assert_eq!(answer(&id), (0, &[0x00, 0xEB, 0x60, 0x15][..]));
}

#[test]
fn the_n_reads_and_writes_everywhere() {
    let (module, mut port) = n_module(|s| s);
    port.link();
    assert_eq!(answer(&port.ask(&with_address(&[0x0F, 0x20], 0, &[]))), (0, &[0x20, 0, 0, 0, 0][..]));
    assert_eq!(module.bytes(0, 4096), [0xFF; 4096]);
    let data: Vec<u8> = (0..4096u32).map(|i| (i * 5) as u8).collect();
    assert_eq!(answer(&port.ask(&with_address(&[0x07], 0, &data))), (0, &[0, 0, 0, 0][..]));
    assert_eq!(answer(&port.ask(&with_address(&[0x09], 0, &[]))).1[4..], data);
    assert_eq!(answer(&port.ask(&with_address(&[0x07], 0x80, &data))).0, 0x06, "not on a page");
    assert_eq!(answer(&port.ask(&with_address(&[0x08], 5, &[3]))).1[4..], data[5..8]);
    let echo = port.ask(&with_address(&[0x06], 0x1000, &[0; 256]));
    assert_eq!(answer(&echo), (0, &[0x00, 0x10, 0, 0, 0x00][..]), "a count of 256 shows as 00");
    for size in [0x52, 0xD8] {
        module.poke(0x18000, &[0]);
        assert_eq!(answer(&port.ask(&with_address(&[0x0F, size], 0x18000, &[]))).0, 0);
        assert_eq!(module.bytes(0x18000, 1), [0xFF]);
    }
    module.poke(0x18000, &[0]);
    assert_eq!(answer(&port.ask(&with_address(&[0x0B], 0x18000, &[]))).0, 0);
    assert_eq!(module.bytes(0x18000, 1), [0xFF]);
}

#[test]
fn a_protected_n_says_ok_and_does_nothing_until_unlocked() {
    let (module, mut port) = n_module(|s| s.locked(true));
    port.link();
    assert_eq!(answer(&port.ask(&long(&[0x0C, 0x05]))), (0, &[0x05, 0x04][..]));
    assert_eq!(answer(&port.ask(&long(&[0x0C, 0x35]))), (0, &[0x35, 0x40][..]));
    let before = module.bytes(0x20000, 16);
    assert_eq!(answer(&port.ask(&with_address(&[0x0F, 0x20], 0x20000, &[]))).0, 0);
    assert_eq!(module.bytes(0x20000, 16), before);
    assert_eq!(answer(&port.ask(&long(&[0x0D, 0x01, 0x00, 0x00]))), (0, &[0x01, 0x00, 0x00][..]));
    assert_eq!(module.status(), [0, 0, 0]);
    assert_eq!(answer(&port.ask(&with_address(&[0x0F, 0x20], 0x20000, &[]))).0, 0);
    assert_eq!(module.bytes(0x20000, 16), [0xFF; 16]);
}

#[test]
fn the_key_can_be_read_from_the_efuse_of_the_n() {
    let (_, mut port) = n_module(|s| s);
    port.link();
    let mut key = Vec::new();
    for index in 0..4u8 {
        port.ask(&short(&[0x01, 0x74, 0, 0x80, 0, 0x01, index, 0, 0]));
        let control = port.ask(&short(&[0x03, 0x74, 0, 0x80, 0]));
        assert_eq!(control[11] & 1, 0, "ready");
        let value = port.ask(&short(&[0x03, 0x78, 0, 0x80, 0]));
        assert_eq!(value[12], 0x01, "valid");
        key.push(value[11]);
    }
    assert_eq!(key, 0x510F_B093u32.to_le_bytes());
}

#[test]
fn the_n_names_what_it_does_not_know() {
    let (_, mut port) = n_module(|s| s);
    port.link();
    assert_eq!(port.ask(&short(&[0x42]))[6..], [0x42, 0x07]);
    assert_eq!(answer(&port.ask(&long(&[0xE9, 0, 0, 0, 0]))).0, 0x07);
    assert_eq!(answer(&port.ask(&long(&[0x09, 0, 0]))).0, 0x04);
    assert_eq!(port.ask(&short(&[0x0E, 0x11]))[6..], [0x0E, 0x11], "a wrong reboot argument is echoed");
    assert_eq!(port.ask(&short(&[0xAA, 0x55]))[6..], [0xAA, 0x55]);
}

#[test]
fn the_n_gives_an_incomplete_frame_up() {
    let (_, mut port) = n_module(|s| s);
    port.link();
    assert_eq!(port.ask(&[0x01, 0xE0, 0xFC, 0x09, 0x10, 0x00]), [0x04, 0x0E, 0x04, 0x01, 0xE0, 0xFC, 0x05]);
    assert_eq!(port.ask(LINK_CHECK), LINKED);
}

#[test]
fn the_n_loses_what_comes_before_its_answer_is_out() {
    let read = |address| with_address(&[0x09], address, &[]);
    let both = [read(0x11000), read(0x12000)].concat();
    let (_, mut port) = n_module(|s| s);
    port.link();
    assert_eq!(port.ask(&both).len(), 4111);
    let (_, mut port) = t_module(|s| s);
    port.link();
    assert_eq!(port.ask(&both).len(), 2 * 4111);
}

#[test]
fn the_t_keeps_512_bytes_and_no_more() {
    let queue = |count| {
        let (_, mut port) = t_module(|s| s);
        port.link();
        let reads: Vec<u8> = (0..count).flat_map(|_| with_address(&[0x09], 0x11000, &[])).collect();
        port.ask(&reads).len() / 4111
    };
    assert_eq!(queue(42), 42);
    assert!(queue(60) < 60);
}

#[test]
fn the_t_guards_its_boot_loader_but_not_its_aliases() {
    let (module, mut port) = t_module(|s| s);
    port.link();
    assert_eq!(answer(&port.ask(&with_address(&[0x0F, 0x20], 0xF000, &[]))).0, 0x06);
    assert_eq!(answer(&port.ask(&with_address(&[0x06], 0xF000, &[0; 4]))).0, 0x06);
    assert_eq!(answer(&port.ask(&with_address(&[0x09], 0xF000, &[]))).0, 0x06);
    let before = module.bytes(0x1000, 4096);
    assert_eq!(answer(&port.ask(&with_address(&[0x07], 0x1000, &[0; 4096]))).0, 0x06);
    assert_eq!(module.bytes(0x1000, 4096), before);
    assert_eq!(answer(&port.ask(&with_address(&[0x09], 0x0100_0000, &[]))).1[4..], module.bytes(0, 4096));
    assert_eq!(answer(&port.ask(&with_address(&[0x0F, 0x20], 0x20_0000, &[]))).0, 0);
    assert_eq!(module.bytes(0, 4096), [0xFF; 4096], "that was the boot loader");
    port.pulse();
    assert_eq!(port.ask(LINK_CHECK), b"", "and now it is gone");
}

#[test]
fn a_crc_locks_the_flashes_the_t_knows_and_unlocks_the_others() {
    let erase = with_address(&[0x0F, 0x20], 0x30000, &[]);
    let (module, mut port) = t_module(|s| s.part("1c7015").unwrap());
    port.link();
    port.ask(&crc_of(0x11000, 0x11FFF));
    assert_eq!(module.status(), [0x7C, 0, 0]);
    port.ask(LINK_CHECK);
    port.ask(&erase);
    assert_eq!(module.status(), [0, 0, 0]);
    assert_eq!(module.bytes(0x30000, 4), [0xFF; 4]);
    port.ask(&crc_of(0x11000, 0x11FFF));
    assert_eq!(answer(&port.ask(&with_address(&[0x0F, 0x20], 0x31000, &[]))).0, 0, "locked, and says OK");
    assert_ne!(module.bytes(0x31000, 4), [0xFF; 4]);

    let (module, mut port) = t_module(|s| s.part("eb6015").unwrap().status([0x04, 0x42, 0]));
    port.link();
    port.ask(&crc_of(0x11000, 0x11FFF));
    assert_eq!(module.status(), [0, 0, 0], "QE is gone too");
    port.ask(&erase);
    assert_eq!(module.bytes(0x30000, 4), [0xFF; 4]);
}

#[test]
fn a_sector_write_to_the_t_is_programmed_while_it_comes_in() {
    let (module, mut port) = t_module(|s| s);
    port.link();
    port.ask(&with_address(&[0x0F, 0x20], 0x30000, &[]));
    let frame = with_address(&[0x07], 0x30000, &[0; 4096]);
    port.serial.send(&frame[..12 + 1000]).unwrap();
    module.sleep(Duration::from_millis(200));
    let written = module.bytes(0x30000, 4096).iter().filter(|byte| **byte == 0).count();
    assert_eq!(written, 768, "three whole pages of the thousand bytes");
    assert_eq!(port.ask(&frame[12 + 1000..]).len(), 15);
    assert_eq!(module.bytes(0x30000, 4096), [0; 4096]);
}

#[test]
fn a_short_sector_write_wedges_the_t_until_a_reset() {
    let (_, mut port) = t_module(|s| s);
    port.link();
    assert_eq!(port.ask(&with_address(&[0x07], 0x30000, &[0; 100])), b"");
    assert_eq!(port.ask(LINK_CHECK), b"");
    port.link();
}

#[test]
fn a_reversed_crc_range_hangs_the_t() {
    let (_, mut port) = t_module(|s| s);
    port.link();
    assert_eq!(port.ask(&crc_of(0x12000, 0x11000)), b"");
    assert_eq!(port.ask(LINK_CHECK), b"");
    port.link();
}

#[test]
fn a_crc_takes_its_time() {
    let (module, mut port) = n_module(|s| s);
    port.link();
    let before = module.now();
    port.serial.send(&crc_of(0, 0x1F_FFFF)).unwrap();
    assert_eq!(port.hear(Duration::from_secs(10)).len(), 11);
    let took = (module.now() - before).as_secs_f64();
    assert!((5.2..5.4).contains(&took), "{took} s");
}

#[test]
fn a_reboot_starts_the_firmware_and_its_protection() {
    let (module, mut port) = t_module(|s| s.locked(true).part("eb6015").unwrap());
    port.link();
    port.ask(&crc_of(0x11000, 0x11FFF));
    assert_eq!(module.status(), [0, 0, 0]);
    port.ask(&short(&[0x0E, 0xA5]));
    module.sleep(Duration::from_millis(500));
    assert!(module.is_running());
    assert_eq!(module.status(), [0x04, 0x40, 0]);
}

#[test]
fn both_wires_lead_to_the_same_flash() {
    let (module, mut port) = serial(Setup::new("cb3s").unwrap().locked(false).image(bootable()));
    port.link();
    port.ask(&with_address(&[0x0F, 0x20], 0x40000, &[]));
    port.ask(&with_address(&[0x06], 0x40000, &[0x12, 0x34]));
    drop(port);
    let mut host = Host::at(module.link_over(WireKind::Spi));
    host.enter();
    assert_eq!(host.read(0x40000, 3), [0x12, 0x34, 0xFF]);
    host.write(&[0x02, 0x04, 0x00, 0x02, 0x56]);
    let mut port = Port::at(module.link());
    port.link();
    assert_eq!(answer(&port.ask(&with_address(&[0x08], 0x40000, &[3]))).1[4..], [0x12, 0x34, 0x56]);
    let programs = module.operations().iter().filter(|op| op.opcode == 0x02 && op.effect == Effect::Done).count();
    assert_eq!(programs, 2);
}

#[test]
fn bad_uart_wires_are_silent() {
    for wires in ["rx-open", "tx-open", "rx-tx-swapped", "cen-open"] {
        let (_, mut port) = t_module(|s| s.wires(Wires::parse(wires).unwrap()));
        port.pulse();
        port.serial.send(LINK_CHECK).unwrap();
        assert_eq!(port.hear(Duration::from_millis(100)), b"", "{wires}");
    }
}

#[test]
fn faults_of_the_line_show_on_the_line() {
    let linked = |faults: &str| {
        let (_, mut port) = n_module(|s| s.faults(Faults::parse(faults).unwrap()));
        port.pulse();
        let first = port.ask(LINK_CHECK);
        (first, port)
    };
    assert_eq!(linked("no-answer:1").0, b"");
    let (_, mut port) = linked("bad-status:1");
    assert_eq!(answer(&port.ask(&long(&[0x0C, 0x05]))).0, 0x03);
    assert_eq!(linked("echo").0, [LINK_CHECK, LINKED].concat());
    assert_ne!(linked("drift:5").0, LINKED);
    let (_, mut port) = n_module(|s| s.faults(Faults::parse("delay:20").unwrap()));
    port.pulse();
    port.serial.send(LINK_CHECK).unwrap();
    assert_eq!(port.hear(Duration::from_millis(15)), b"");
    assert_eq!(port.hear(Duration::from_millis(15)), LINKED);
    let (_, mut port) = linked("late-entry");
    assert_eq!(port.ask(LINK_CHECK), b"", "by then the window is over");
}

#[test]
fn line_noise_damages_bytes_at_its_rate() {
    let (module, mut port) = n_module(|s| s.faults(Faults::default()));
    port.link();
    module.set_faults(Faults::parse("noise:1/500").unwrap());
    let expected = module.bytes(0x20000, 4096);
    let damaged = (0..10).filter(|_| {
        let heard = port.ask(&with_address(&[0x09], 0x20000, &[]));
        heard.len() != 4111 || heard[15..] != expected
    });
    assert!(damaged.count() >= 8);
}

#[test]
fn a_stuck_flash_is_reported_by_the_n_and_hangs_the_t() {
    let erase = with_address(&[0x0F, 0x20], 0x30000, &[]);
    let (module, mut port) = n_module(|s| s);
    port.link();
    module.set_faults(Faults::parse("stuck-busy").unwrap());
    port.serial.send(&erase).unwrap();
    assert_eq!(answer(&port.hear(Duration::from_secs(2))).0, 0x03);
    let (module, mut port) = t_module(|s| s);
    port.link();
    module.set_faults(Faults::parse("stuck-busy").unwrap());
    assert_eq!(port.ask(&erase), b"");
    assert_eq!(port.ask(LINK_CHECK), b"");
}

#[test]
fn a_pulled_cable_is_an_error_from_then_on() {
    let (module, mut port) = n_module(|s| s);
    port.link();
    module.set_faults(Faults::parse("unplug:1").unwrap());
    port.serial.send(&with_address(&[0x0F, 0x20], 0x30000, &[])).unwrap();
    assert!(port.serial.receive(&mut [0; 16], Duration::from_secs(1)).is_err());
    assert!(port.serial.send(LINK_CHECK).is_err());
    assert_eq!(module.bytes(0x30000, 4), [0xFF; 4]);
}
