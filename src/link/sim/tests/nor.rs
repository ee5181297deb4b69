//! One test for each rule of a NOR flash that a host can break (spi-flash.md §4, §12).

use std::time::Duration;

use super::*;
use crate::link::sim::{Effect, Faults, Rules};

#[test]
fn the_id_comes_from_the_second_byte_on() {
    let (_, mut host) = bench("eb6015");
    assert_eq!(host.frame(&[0x9F, 0, 0, 0]), [0xFF, 0xEB, 0x60, 0x15]);
}

#[test]
fn a_program_without_write_enable_is_dropped() {
    let (module, mut host) = bench("eb6015");
    host.frame(&[0x02, 0, 0, 0, 0x12]);
    assert_eq!(module.bytes(0, 1), [0xFF]);
    assert_eq!(module.operations()[0].effect, Effect::NotEnabled);
}

#[test]
fn a_program_clears_bits_and_never_sets_them() {
    let (module, mut host) = bench("eb6015");
    host.write(&[0x02, 0, 0, 0, 0xF0]);
    host.write(&[0x02, 0, 0, 0, 0x3C]);
    assert_eq!(module.bytes(0, 1), [0x30]);
    host.write(&[0x20, 0, 0x0F, 0xFF]);
    assert_eq!(module.bytes(0, 1), [0xFF]);
}

#[test]
fn a_program_without_waiting_loses_the_write_enable_and_the_page() {
    let (module, mut host) = bench("eb6015");
    host.frame(&[0x06]);
    host.frame(&[0x02, 0, 0, 0, 0x00]);
    host.frame(&[0x06]);
    host.frame(&[0x02, 0, 1, 0, 0x00]);
    host.wait_idle();
    assert_eq!(module.bytes(0x000, 1), [0x00]);
    assert_eq!(module.bytes(0x100, 1), [0xFF], "the second page came while the first was being programmed");
    assert_eq!(module.counters().lost_write_enables, 1);
    assert_eq!(host.status() & 2, 0);
}

#[test]
fn only_status_reads_are_answered_while_busy() {
    let (_, mut host) = bench("eb6015");
    host.frame(&[0x06]);
    host.frame(&[0x20, 0, 0, 0]);
    assert_eq!(host.status(), 0x03);
    assert_eq!(host.id(), [0xFF; 3]);
    assert_eq!(host.read(0, 2), [0xFF; 2]);
    host.wait_idle();
    assert_eq!(host.id(), [0xEB, 0x60, 0x15]);
    assert_eq!(host.status(), 0x00, "WEL clears itself at the end");
}

#[test]
fn a_status_read_shows_the_end_within_one_long_frame() {
    let (_, mut host) = bench("eb6015");
    host.frame(&[0x06]);
    host.frame(&[0x02, 0, 0, 0, 0]);
    let polled = host.ask(&[0x05], 2000);
    assert_eq!(polled.first(), Some(&0x03));
    assert_eq!(polled.last(), Some(&0x00));
}

#[test]
fn busy_times_are_those_of_the_part() {
    let (module, mut host) = bench("eb6015");
    let mut took = |frame: &[u8]| {
        let before = module.now();
        host.write(frame);
        module.now() - before
    };
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    assert!((0.7..1.5).contains(&millis(took(&[0x02, 0, 0, 0, 0]))));
    assert!((50.0..51.0).contains(&millis(took(&[0x20, 0, 0, 0]))));
    assert!((280.0..281.0).contains(&millis(took(&[0xD8, 0, 0, 0]))));
    assert!((10_000.0..10_001.0).contains(&millis(took(&[0xC7]))));
}

#[test]
fn a_page_wraps_inside_its_256_bytes() {
    let (module, mut host) = bench("eb6015");
    let mut frame = vec![0x02, 0, 0x10, 0xFE];
    frame.extend([1, 2, 3, 4]);
    host.write(&frame);
    assert_eq!(module.bytes(0x10FE, 4), [1, 2, 0xFF, 0xFF]);
    assert_eq!(module.bytes(0x1000, 2), [3, 4]);
}

#[test]
fn beyond_256_bytes_the_page_keeps_the_last_ones() {
    let (module, mut host) = bench("eb6015");
    let mut frame = vec![0x02, 0, 0, 0];
    frame.extend((0..258u16).map(|i| if i < 2 { 0x00 } else { 0x80 | (i & 0x7F) as u8 }));
    host.write(&frame);
    assert_eq!(module.bytes(0, 2), [0x80, 0x81], "bytes 256 and 257 took the place of the first two");
    assert_eq!(module.bytes(2, 1), [0x82]);
}

#[test]
fn frames_of_the_wrong_length_are_dropped() {
    let (module, mut host) = bench("eb6015");
    for frame in [&[0x02, 0, 0, 0][..], &[0x20, 0, 0], &[0x20, 0, 0, 0, 0], &[0xC7, 0], &[0x01], &[0x01, 0, 0, 0]] {
        host.frame(&[0x06]);
        host.frame(frame);
        assert_eq!(host.status(), 0x02, "{frame:02X?} leaves WEL set and nothing busy");
        assert_eq!(module.operations().iter().rev().nth(1).unwrap().effect, Effect::WrongLength);
    }
    host.frame(&[0x06, 0]);
    assert_eq!(module.counters().programs + module.counters().status_writes, 0);
}

#[test]
fn a_status_write_without_write_enable_is_dropped() {
    let (module, mut host) = bench("eb6015");
    host.frame(&[0x01, 0x1C, 0x00]);
    assert_eq!(module.status(), [0, 0, 0]);
}

#[test]
fn a_64_byte_status_write_is_dropped() {
    let (module, mut host) = bench("eb6015");
    let mut frame = vec![0x01, 0x1C];
    frame.resize(64, 0);
    host.frame(&[0x06]);
    host.frame(&frame);
    assert_eq!(module.status(), [0, 0, 0]);
    assert_eq!(host.status(), 0x02);
}

#[test]
fn each_part_takes_its_own_form_of_status_write() {
    let (module, mut host) = bench("eb6015");
    host.write(&[0x01, 0x04, 0x40]);
    assert_eq!(module.status(), [0x04, 0x40, 0]);
    host.frame(&[0x06]);
    host.frame(&[0x31, 0x00]);
    assert_eq!(module.status(), [0x04, 0x40, 0], "a two-byte part knows no 31");

    let (module, mut host) = bench("852015");
    host.frame(&[0x06]);
    host.frame(&[0x01, 0x04, 0x40]);
    assert_eq!(module.status(), [0, 0, 0], "a part with separate writes takes no two bytes");
    host.write(&[0x01, 0x04]);
    host.write(&[0x31, 0x40]);
    assert_eq!(module.status(), [0x04, 0x40, 0]);

    let (module, mut host) = bench("1c7015");
    host.frame(&[0x06]);
    host.frame(&[0x01, 0x04, 0x40]);
    assert_eq!(module.status(), [0, 0, 0]);
    host.write(&[0x01, 0x04]);
    assert_eq!(module.status(), [0x04, 0, 0]);
    assert_eq!(host.ask(&[0x35], 1), [0xFF], "there is no second register");

    let (module, mut host) = bench("ef4015");
    host.write(&[0x11, 0x60]);
    assert_eq!(module.status(), [0, 0, 0x60]);
    assert_eq!(host.ask(&[0x15], 1), [0x60]);
}

#[test]
fn one_write_enable_serves_one_status_write() {
    let (module, mut host) = bench("852015");
    host.frame(&[0x06]);
    host.frame(&[0x01, 0x04]);
    host.wait_idle();
    host.frame(&[0x31, 0x40]);
    assert_eq!(module.status(), [0x04, 0, 0]);
}

#[test]
fn a_one_byte_status_write_clears_the_second_register_only_where_set_so() {
    let (module, mut host) = bench("eb6015");
    host.write(&[0x01, 0x04, 0x02]);
    host.write(&[0x01, 0x00]);
    assert_eq!(module.status(), [0, 0x02, 0]);

    let rules = Rules { one_byte_clears_second: true, ..Rules::default() };
    let setup = Setup::new("wb2s").unwrap().image(Vec::new()).status([0x04, 0x02, 0]);
    let module = Module::new(setup.knobs(Knobs { rules, ..Knobs::default() })).unwrap();
    let mut host = Host::at(module.link());
    host.enter();
    host.write(&[0x01, 0x00]);
    assert_eq!(module.status(), [0, 0, 0]);
}

#[test]
fn one_time_bits_never_go_back() {
    let (module, mut host) = bench("eb6015");
    host.write(&[0x01, 0x00, 0x08]);
    host.write(&[0x01, 0x00, 0x00]);
    assert_eq!(module.status(), [0, 0x08, 0], "LB1 stays");
}

#[test]
fn a_volatile_status_write_is_gone_after_power_off() {
    let (module, mut host) = bench("0b4015");
    host.frame(&[0x50]);
    host.frame(&[0x01, 0x7C, 0x00]);
    assert_eq!(module.status(), [0x7C, 0, 0]);
    assert_eq!(module.stored_status(), [0, 0, 0]);
    assert_eq!(host.status() & 1, 0, "nothing is busy");
    module.power_cycle();
    assert_eq!(module.status(), [0, 0, 0]);
}

#[test]
fn srp1_locks_the_registers_until_power_off() {
    let (module, mut host) = bench("eb6015");
    host.write(&[0x01, 0x00, 0x01]);
    host.frame(&[0x06]);
    host.frame(&[0x01, 0x1C, 0x00]);
    assert_eq!(module.operations().last().unwrap().effect, Effect::Locked);
    module.power_cycle();
    host.enter();
    host.write(&[0x01, 0x1C, 0x00]);
    assert_eq!(module.status(), [0x1C, 0, 0]);
}

#[test]
fn a_protected_target_is_ignored_without_a_word() {
    let (module, mut host) = bench("eb6015");
    host.write(&[0x01, 0x04, 0x00]);
    module.poke(0x1F_0000, &[0x12, 0x34]);
    host.frame(&[0x06]);
    host.frame(&[0x02, 0x1F, 0, 0, 0]);
    assert_eq!(host.status(), 0x06, "WIP never rises, WEL stays");
    host.frame(&[0x20, 0x1F, 0, 0]);
    assert_eq!(module.bytes(0x1F_0000, 2), [0x12, 0x34]);
    assert_eq!(module.counters().protected, 2);
    host.write(&[0x02, 0x1E, 0xFF, 0xFF, 0x00]);
    assert_eq!(module.bytes(0x1E_FFFF, 1), [0x00], "the last byte below the range is free");
}

#[test]
fn a_chip_erase_is_refused_while_anything_is_protected() {
    let (module, mut host) = bench("eb6015");
    module.poke(0, &[0x55]);
    host.write(&[0x01, 0x04, 0x00]);
    host.frame(&[0x06]);
    host.frame(&[0xC7]);
    assert_eq!(module.bytes(0, 1), [0x55]);
    host.write(&[0x01, 0x00, 0x00]);
    host.write(&[0x60]);
    assert_eq!(module.bytes(0, 1), [0xFF]);
}

#[test]
fn erases_take_the_unit_that_holds_the_address() {
    let (module, mut host) = bench("eb6015");
    let fill = || module.poke(0x18000, &[0u8; 0x10000]);
    let erased = |at| module.bytes(at, 1) == [0xFF];
    fill();
    host.write(&[0x20, 0x01, 0x9A, 0xBC]);
    assert!(!erased(0x18FFF) && erased(0x19000) && erased(0x19FFF) && !erased(0x1A000));
    fill();
    host.write(&[0x52, 0x01, 0x9A, 0xBC]);
    assert!(erased(0x18000) && erased(0x1FFFF) && !erased(0x20000));
    fill();
    host.write(&[0xD8, 0x01, 0x9A, 0xBC]);
    assert!(erased(0x18000) && erased(0x1FFFF) && !erased(0x20000));
    assert_eq!(module.counters().erases[0x19], 3);
}

#[test]
fn en25qh16_has_no_32_kib_erase() {
    let (module, mut host) = bench("1c7015");
    module.poke(0, &[0]);
    host.frame(&[0x06]);
    host.frame(&[0x52, 0, 0, 0]);
    assert_eq!(module.bytes(0, 1), [0]);
    assert_eq!(module.operations().last().unwrap().effect, Effect::Unknown);
}

#[test]
fn reads_and_addresses_wrap_at_the_size() {
    let (module, mut host) = bench("eb6015");
    module.poke(0x1F_FFFF, &[0xAA, 0xBB]);
    assert_eq!(host.read(0x1F_FFFF, 2), [0xAA, 0xBB]);
    assert_eq!(host.read(0x3F_FFFF, 2), [0xAA, 0xBB]);
    assert_eq!(host.ask(&[0x0B, 0x1F, 0xFF, 0xFF, 0], 2), [0xAA, 0xBB]);
    host.write(&[0x20, 0x20, 0, 0]);
    assert_eq!(module.bytes(0, 1), [0xFF], "an erase at the size is an erase of the first sector");
}

#[test]
fn deep_power_down_ends_with_ab() {
    let (_, mut host) = bench("eb6015");
    host.frame(&[0xB9]);
    assert_eq!(host.id(), [0xFF; 3]);
    host.frame(&[0xAB]);
    assert_eq!(host.id(), [0xEB, 0x60, 0x15]);
}

#[test]
fn continuous_read_ends_with_a_frame_of_ones() {
    let setup = Setup::new("wb2s").unwrap().image(Vec::new());
    let module = Module::new(setup.knobs(Knobs { continuous_read: true, ..Knobs::default() })).unwrap();
    let mut host = Host::at(module.link());
    host.enter();
    assert_eq!(host.id(), [0xFF; 3]);
    host.frame(&[0; 4]);
    assert_eq!(host.id(), [0xFF; 3]);
    host.frame(&[0xFF; 4]);
    assert_eq!(host.id(), [0xEB, 0x60, 0x15]);
}

#[test]
fn a_reset_needs_both_of_its_opcodes() {
    let (module, mut host) = bench("0b4015");
    host.frame(&[0x50]);
    host.frame(&[0x01, 0x7C, 0x00]);
    host.frame(&[0x99]);
    assert_eq!(module.status(), [0x7C, 0, 0]);
    host.frame(&[0x66]);
    host.frame(&[0x99]);
    assert_eq!(module.status(), [0, 0, 0]);
}

#[test]
fn the_parameter_table_names_the_size() {
    let (_, mut host) = bench("eb6015");
    let table = host.ask(&[0x5A, 0, 0, 0, 0], 0x54);
    assert_eq!(&table[..4], b"SFDP");
    assert_eq!(u32::from_le_bytes(table[0x34..0x38].try_into().unwrap()), 0x20_0000 * 8 - 1);
    let first = host.ask(&[0x4B, 0, 0, 0, 0], 8);
    assert_eq!(first, host.ask(&[0x4B, 0, 0, 0, 0], 8));
}

#[test]
fn a_dropped_page_is_found_by_reading_back_only() {
    let (module, mut host) = bench("eb6015");
    module.set_faults(Faults::parse("drop-page:2").unwrap());
    for page in 0..3 {
        host.write(&[0x02, 0, page, 0, 0]);
    }
    assert_eq!(host.read(0x000, 1), [0]);
    assert_eq!(host.read(0x100, 1), [0xFF]);
    assert_eq!(host.read(0x200, 1), [0]);
}

#[test]
fn ignored_writes_look_like_good_ones() {
    for (fault, frame) in [("ignore-program", &[0x02, 0, 0, 0, 0][..]), ("ignore-erase", &[0x20, 0, 0, 0])] {
        let (module, mut host) = bench("eb6015");
        module.poke(0, &[0x5A]);
        module.set_faults(Faults::parse(fault).unwrap());
        host.frame(&[0x06]);
        host.frame(frame);
        assert_eq!(host.status(), 0x03);
        host.wait_idle();
        assert_eq!(host.read(0, 1), [0x5A]);
    }
}

#[test]
fn a_stuck_flash_stays_busy() {
    let (module, mut host) = bench("eb6015");
    module.set_faults(Faults::parse("stuck-busy").unwrap());
    host.frame(&[0x06]);
    host.frame(&[0x20, 0, 0, 0]);
    host.clock.sleep(Duration::from_secs(1000));
    assert_eq!(host.status(), 0x03);
}

#[test]
fn a_supply_drop_leaves_half_done_cells_and_no_link() {
    let (module, mut host) = bench("eb6015");
    module.poke(0, &[0; 4096]);
    module.set_faults(Faults::parse("power-loss:1").unwrap());
    host.frame(&[0x06]);
    assert!(host.spi.exchange(&mut [0x20, 0, 0, 0]).is_err());
    assert!(host.spi.exchange(&mut [0x9F, 0, 0, 0]).is_err());
    let torn = module.bytes(0, 4096);
    assert!(torn.iter().any(|byte| *byte != 0xFF) && torn.iter().any(|byte| *byte != 0x00));
    module.power_cycle();
    host.enter();
    assert_eq!(host.id(), [0xEB, 0x60, 0x15]);
}

#[test]
fn a_pulled_cable_leaves_a_finished_operation() {
    let (module, mut host) = bench("eb6015");
    module.poke(0, &[0; 4096]);
    module.set_faults(Faults::parse("unplug:1").unwrap());
    host.frame(&[0x06]);
    assert!(host.spi.exchange(&mut [0x20, 0, 0, 0]).is_err());
    assert_eq!(module.bytes(0, 4096), [0xFF; 4096]);
}
