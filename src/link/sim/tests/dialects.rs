//! What the two download programs answer, and what they do to the flash.

use super::frames::*;
use super::*;
use crate::link::sim::Faults;
use crate::link::sim::sums::{CRC32_START, crc32};

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
