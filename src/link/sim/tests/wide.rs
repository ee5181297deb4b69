//! Parts above 16 MiB: opcodes with four address bytes, the four-byte mode, and the extended address register.

use super::*;

const GIGADEVICE: &str = "c84019";
const XMC: &str = "204019";
/// An offset that three bytes do not reach.
const FAR: u32 = 0x0100_1000;

/// A bare part with marks at the start, near and far.
fn marked(part: &str) -> (Module, Host) {
    let mut image = vec![0xFF; 32 << 20];
    image[0x1000] = 0x11;
    image[FAR as usize] = 0x22;
    bench_with(part, image)
}

#[test]
fn opcodes_with_four_bytes_reach_everything_and_three_bytes_the_first_sixteen_mebibytes() {
    let (_, mut host) = marked(GIGADEVICE);
    assert_eq!(host.ask(&[0x03, 0x00, 0x10, 0x00], 1), [0x11]);
    assert_eq!(host.ask(&[0x13, 0x01, 0x00, 0x10, 0x00], 1), [0x22]);
    assert_eq!(host.ask(&[0x0C, 0x01, 0x00, 0x10, 0x00, 0x00], 1), [0x22]);
}

#[test]
fn programs_and_erases_with_four_bytes_act_far_up() {
    let (module, mut host) = marked(GIGADEVICE);
    host.write(&[0x12, 0x01, 0x00, 0x10, 0x01, 0x33]);
    assert_eq!(module.bytes(FAR, 2), [0x22, 0x33]);
    host.write(&[0x21, 0x01, 0x00, 0x10, 0x00]);
    assert_eq!(module.bytes(FAR, 2), [0xFF, 0xFF]);
    host.write(&[0xDC, 0x00, 0x00, 0x00, 0x00]);
    assert_eq!(module.bytes(0x1000, 1), [0xFF]);
}

#[test]
fn the_four_byte_mode_widens_the_plain_opcodes_and_shows_in_the_status() {
    let (_, mut host) = marked(GIGADEVICE);
    assert_eq!(host.ask(&[0x35], 1)[0] & 1, 0);
    host.frame(&[0xB7]);
    assert_eq!(host.ask(&[0x35], 1)[0] & 1, 1);
    assert_eq!(host.ask(&[0x03, 0x01, 0x00, 0x10, 0x00], 1), [0x22]);
    host.frame(&[0xE9]);
    assert_eq!(host.ask(&[0x03, 0x00, 0x10, 0x00], 1), [0x11]);
    host.frame(&[0xB7]);
    host.frame(&[0x66]);
    host.frame(&[0x99]);
    assert_eq!(host.ask(&[0x35], 1)[0] & 1, 0, "a reset ends it");
}

#[test]
fn some_parts_enter_it_only_behind_a_write_enable() {
    let (_, mut host) = marked(XMC);
    host.frame(&[0xB7]);
    assert_eq!(host.ask(&[0x03, 0x00, 0x10, 0x00], 1), [0x11], "dropped");
    host.frame(&[0x06]);
    host.frame(&[0xB7]);
    assert_eq!(host.ask(&[0x03, 0x01, 0x00, 0x10, 0x00], 1), [0x22]);
}

#[test]
fn the_extended_address_register_is_the_top_byte() {
    let (_, mut host) = marked(GIGADEVICE);
    host.frame(&[0xC5, 0x01]);
    assert_eq!(host.ask(&[0xC8], 1), [0x00], "no write enable");
    host.frame(&[0x06]);
    host.frame(&[0xC5, 0x01]);
    assert_eq!(host.ask(&[0xC8], 1), [0x01]);
    assert_eq!(host.ask(&[0x03, 0x00, 0x10, 0x00], 1), [0x22]);
}

#[test]
fn smaller_parts_know_none_of_this() {
    let (module, mut host) = bench("eb6015");
    for opcode in [0x13, 0x0C, 0x12, 0x21, 0xDC, 0xB7, 0xE9, 0xC5, 0xC8] {
        host.frame(&[opcode, 0, 0, 0, 0, 0]);
    }
    assert!(module.operations().iter().all(|op| op.effect == crate::link::sim::Effect::Unknown));
}
