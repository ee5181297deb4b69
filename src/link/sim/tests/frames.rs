//! Requests of both download programs, and modules to send them to.

use super::*;
use crate::link::contract::WireKind;
use crate::link::sim::sums::crc16;

/// A flash whose boot loader and application begin with a good block of code, and that counts bytes elsewhere.
pub(super) fn bootable() -> Vec<u8> {
    let mut image: Vec<u8> = (0..0x20_0000u32).map(|at| (at / 256 + at) as u8).collect();
    for at in [0, 0x11000] {
        let crc = crc16(&image[at..at + 32]).to_be_bytes();
        image[at + 32..at + 34].copy_from_slice(&crc);
    }
    image
}

pub(super) fn t_module(setup: impl FnOnce(Setup) -> Setup) -> (Module, Port) {
    serial(setup(Setup::new("wb2s").unwrap().locked(false).image(bootable())))
}

pub(super) fn n_module(setup: impl FnOnce(Setup) -> Setup) -> (Module, Port) {
    serial(setup(Setup::new("cb2s").unwrap().locked(false).image(bootable())))
}

pub(super) fn serial(setup: Setup) -> (Module, Port) {
    let module = Module::new(setup.wire(WireKind::Uart)).unwrap();
    let port = Port::at(module.link());
    (module, port)
}

/// `01 E0 FC LL body`.
pub(super) fn short(body: &[u8]) -> Vec<u8> {
    [&[0x01, 0xE0, 0xFC, body.len() as u8], body].concat()
}

/// `01 E0 FC FF F4 NN NN body`.
pub(super) fn long(body: &[u8]) -> Vec<u8> {
    let [low, high] = (body.len() as u16).to_le_bytes();
    [&[0x01, 0xE0, 0xFC, 0xFF, 0xF4, low, high], body].concat()
}

pub(super) fn with_address(head: &[u8], address: u32, tail: &[u8]) -> Vec<u8> {
    long(&[head, &address.to_le_bytes(), tail].concat())
}

pub(super) fn crc_of(start: u32, end: u32) -> Vec<u8> {
    short(&[&[0x10][..], &start.to_le_bytes(), &end.to_le_bytes()].concat())
}

/// Status and data of a long answer.
pub(super) fn answer(bytes: &[u8]) -> (u8, &[u8]) {
    assert_eq!(bytes[..7], [0x04, 0x0E, 0xFF, 0x01, 0xE0, 0xFC, 0xF4]);
    assert_eq!(usize::from(u16::from_le_bytes([bytes[7], bytes[8]])) + 9, bytes.len());
    (bytes[10], &bytes[11..])
}

/// Reads the chip id of the full dialect.
pub(super) const CHIP_ID: [u8; 9] = [0x01, 0xE0, 0xFC, 0x05, 0x03, 0x00, 0x00, 0x80, 0x00];
