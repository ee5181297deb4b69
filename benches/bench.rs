//! Figures of the main paths. `cargo bench` prints them; nothing here is a test.
//!
//! The backup is measured on the simulated module's own clock, so its figure does not depend on this computer.

#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot run may stop")]

use std::sync::mpsc::channel;

use bkbench::image::search::{Pattern, find_all};
use bkbench::job::{ConnectSpec, JobSpec};
use bkbench::link::LinkSpec;
use bkbench::link::sim::{Module, Setup};
use bkbench::session::{Actor, Command, JobId, What};

fn main() {
    backup_on_the_modules_clock();
    divan::main();
}

/// A proven whole-chip backup over SPI, against the bus time of its reads alone.
fn backup_on_the_modules_clock() {
    let module = Setup::new("wb2s").and_then(Module::new).expect("an embedded module");
    let (_commands, inbox) = channel();
    let (link, sink) = (module.clone(), |event: bkbench::session::Event| {
        if let What::Finished { result: Err(problem), .. } = event.what {
            panic!("{problem}");
        }
    });
    let mut actor = Actor::with_opener(inbox, Box::new(sink), Box::new(move |_| Ok(link.link())));
    let link = LinkSpec::parse("sim:wb2s").expect("a link");
    actor.handle(Command::Start(
        JobId(1),
        Box::new(JobSpec::Connect(ConnectSpec { link, speed: None, entry_clock: None })),
    ));
    let (start, bus) = (module.now(), module.traffic().spi_time);
    actor.handle(Command::Start(JobId(2), Box::new(JobSpec::Backup(Default::default()))));
    let took = (module.now() - start).as_secs_f64();
    let bus = (module.traffic().spi_time - bus).as_secs_f64();
    println!(
        "proven backup of 2 MiB over SPI: {took:.3} s for {bus:.3} s of bus time, ratio {:.3} (limit 1.15)",
        took / bus
    );
}

/// 16 MiB with text in it every so often.
fn large_file() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..16 * 1024 * 1024_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for place in bytes.chunks_mut(100_003) {
        if let Some(start) = place.get_mut(..8) {
            start.copy_from_slice(b"rl1_pin:");
        }
    }
    bytes
}

/// Reads a 16 MiB file and finds every `pin` in it; the limit is 30 ms.
#[divan::bench]
fn open_16_mib_and_find_pin(bencher: divan::Bencher) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.bin");
    std::fs::write(&path, large_file()).expect("written");
    let pattern = Pattern::text("pin").expect("a pattern");
    bencher.bench(|| {
        let bytes = bkbench::store::read_file(&path).expect("read");
        find_all(&bytes, &pattern, 100_000).total
    });
}

/// Tells what a whole dump holds.
#[divan::bench]
fn inspect_a_whole_flash(bencher: divan::Bencher) {
    let flash = Setup::new("wb2s").and_then(Module::new).expect("an embedded module").flash();
    bencher.bench(|| bkbench::image::inspect::inspect(&flash));
}
