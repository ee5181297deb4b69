//! One model for the figures of tests and benchmarks: a simulated module at the SPI controller of a Raspberry Pi, and the
//! read of a public tool on it. All times are the module's own and exact.

use std::time::Duration;

use bkbench::link::Wire;
use bkbench::link::sim::{Knobs, Module, Setup};

/// A module behind a controller with a ninth clock per byte (spi-flash.md §3), on wires that carry `limit` Hz.
pub fn on_a_pi(setup: Setup, limit: u32) -> Module {
    let knobs = Knobs { clocks_per_byte: 9, clock_limit: limit, ..Knobs::default() };
    Module::new(setup.knobs(knobs)).expect("a module")
}

/// How long the public Python tool needs for its one pass: CEN low for a second, twice; 150 frames of 150 bytes; then
/// reads of 256 bytes, all of it at 30 kHz (spi-flash.md §2).
pub fn public_tool(module: &Module) -> Duration {
    let begun = module.now();
    let mut link = module.link();
    let Wire::Spi(wire) = &mut link.wire else { panic!("an SPI link") };
    let reset = link.reset.as_mut().expect("a reset line");
    wire.set_clock(30_000).expect("a clock");
    for _ in 0..2 {
        reset.hold(true).expect("held");
        link.clock.sleep(Duration::from_secs(1));
        reset.hold(false).expect("released");
    }
    for _ in 0..150 {
        let mut frame = [0; 150];
        frame[0] = 0xD2;
        wire.exchange(&mut frame).expect("a frame");
    }
    link.clock.sleep(Duration::from_millis(100));
    let mut content = Vec::new();
    while content.len() < module.part().size as usize {
        let [_, high, middle, low] = (content.len() as u32).to_be_bytes();
        let mut frame = [0; 4 + 256];
        frame[..4].copy_from_slice(&[0x03, high, middle, low]);
        wire.exchange(&mut frame).expect("a frame");
        content.extend_from_slice(&frame[4..]);
    }
    let took = module.now() - begun;
    assert!(content == module.flash(), "the tool's pattern reads the flash");
    took
}
