//! Figures of the main paths. `cargo bench` prints them; nothing here is a test.
//!
//! The backup is measured on the simulated module's own clock, so its figure does not depend on this computer.

#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot run may stop")]

use std::sync::mpsc::channel;

use bkbench::image::entropy;
use bkbench::image::search::{How, Pattern, find_all};
use bkbench::job::{ConnectSpec, JobSpec};
use bkbench::link::sim::{Module, Setup};
use bkbench::link::{LinkSpec, WireKind};
use bkbench::session::{Actor, Command, JobId, What};
use bkbench::tui::effect::Task;
use bkbench::tui::msg::{Msg, Target};
use bkbench::tui::theme::Theme;
use bkbench::tui::{self, App};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

#[path = "../tests/it/support/model.rs"]
mod model;

fn main() {
    backup_on_the_modules_clock();
    uart_on_the_modules_clock();
    divan::main();
}

/// Seconds of a proven backup on the module's clock, at a rate asked for or found.
fn backup_seconds(module: &Module, speed: Option<u32>) -> f64 {
    let (_commands, inbox) = channel();
    let (opened, sink) = (module.clone(), |event: bkbench::session::Event| {
        if let What::Finished { result: Err(problem), .. } = event.what {
            panic!("{problem}");
        }
    });
    let mut actor = Actor::with_opener(inbox, Box::new(sink), Box::new(move |_| Ok(opened.link())));
    let link = LinkSpec::parse("sim:uart").expect("a link");
    let connect = JobSpec::Connect(ConnectSpec { link, speed, entry_clock: None, clocks: None, backups: None });
    actor.handle(Command::Start(JobId(1), Box::new(connect)));
    let began = module.now();
    actor.handle(Command::Start(JobId(2), Box::new(JobSpec::Backup(Default::default()))));
    (module.now() - began).as_secs_f64()
}

/// Proven backups and writes over UART against the line: wire time at the rate asked for, and the time the simulated chip
/// spends on its CRCs (uart-protocol.md §15: 22.91 s for 2 MiB at 921600 baud).
fn uart_on_the_modules_clock() {
    for (name, baud, line, limit) in [
        ("cb3s", 921_600, 22.91, 1.02),
        ("wb2s", 921_600, 22.91, 1.02),
        ("cb3s", 2_000_000, 10.55, 1.15),
        ("wb2s", 2_000_000, 10.55, 1.15),
    ] {
        let module = Setup::new(name).map(|setup| setup.wire(WireKind::Uart)).and_then(Module::new).expect("a module");
        // No sector that could be skipped: the figure is that of the line.
        for at in (0..0x20_0000).step_by(4096).filter(|at| module.bytes(*at, 16).iter().all(|byte| *byte == 0xFF)) {
            module.poke(at, b"not erased");
        }
        let took = backup_seconds(&module, Some(baud));
        let bound = line + f64::from(0x20_0000) / 400_000.0;
        println!(
            "proven backup of 2 MiB over UART, {name} at {baud}: {took:.2} s, {:.3} of line and CRC (limit {limit})",
            took / bound
        );
    }
    for name in ["cb3s", "wb2s"] {
        let module = Setup::new(name).map(|setup| setup.wire(WireKind::Uart)).and_then(Module::new).expect("a module");
        let took = backup_seconds(&module, None);
        println!("proven backup of a factory {name} over UART at the rate found: {took:.2} s");
    }
}

/// A proven whole-chip backup over SPI at the clock found on wires that carry 8 MHz, against the bus time of its reads
/// alone, and against one pass the way a public tool reads.
fn backup_on_the_modules_clock() {
    let module = model::on_a_pi(Setup::new("wb2s").expect("a module"), 8_000_000);
    let tool = model::public_tool(&module).as_secs_f64();
    let (_commands, inbox) = channel();
    let (link, sink) = (module.clone(), |event: bkbench::session::Event| {
        if let What::Finished { result: Err(problem), .. } = event.what {
            panic!("{problem}");
        }
    });
    let mut actor = Actor::with_opener(inbox, Box::new(sink), Box::new(move |_| Ok(link.link())));
    let link = LinkSpec::parse("sim:wb2s").expect("a link");
    let before = module.now();
    let connect = ConnectSpec { link, speed: None, entry_clock: None, clocks: None, backups: None };
    actor.handle(Command::Start(JobId(1), Box::new(JobSpec::Connect(connect))));
    let (start, bus) = (module.now(), module.traffic().spi_time);
    actor.handle(Command::Start(JobId(2), Box::new(JobSpec::Backup(Default::default()))));
    let took = (module.now() - start).as_secs_f64();
    let bus = (module.traffic().spi_time - bus).as_secs_f64();
    let connected = (start - before).as_secs_f64();
    println!(
        "2 MiB over SPI on wires that carry 8 MHz, on the simulated module's clock, 9 clocks per byte, 0.1 ms per message:"
    );
    println!("  proven backup, two passes   {took:>7.3} s (limit 10), {:.3} of its bus time (limit 1.15)", took / bus);
    println!("  connecting, clock search    {connected:>7.3} s");
    println!(
        "  public tool, one pass       {tool:>7.3} s (30 kHz, 256-byte reads), {:.0} times the backup",
        tool / took
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

/// Searches 16 MiB in every way a pattern is written; the limits are 20 ms for text and hex, 150 ms for a regular
/// expression.
#[divan::bench(args = [
    (How::Text, "pin"),
    (How::Text, "0"),
    (How::Text, "rl1_pin:"),
    (How::Utf16, "pin"),
    (How::Hex, "55 ?? AA 1?"),
    (How::Hex, "?5 1? ?7"),
    (How::Hex, "FF"),
    (How::Regex, "rl[0-9]+_pin:"),
    (How::Regex, "(?i)[a-z0-9]+_PIN"),
    (How::Regex, r"[\x20-\x7E]{12,}"),
])]
fn search_16_mib(bencher: divan::Bencher, (how, text): (How, &str)) {
    let mut bytes = large_file();
    // Half of a flash is erased as a rule.
    bytes[8 * 1024 * 1024..12 * 1024 * 1024].fill(0xFF);
    let pattern = how.pattern(text).expect("a pattern");
    bencher.bench(|| find_all(&bytes, &pattern, 100_000).total);
}

/// The entropy of every sector of 16 MiB; the limit is 60 ms.
#[divan::bench]
fn entropy_of_16_mib(bencher: divan::Bencher) {
    let bytes = large_file();
    bencher.bench(|| entropy::sectors(&bytes));
}

/// Looks through the 2 MiB of a factory module: regions, firmware, Tuya store, template; the limit is 250 ms.
#[divan::bench]
fn inspect_2_mib(bencher: divan::Bencher) {
    let flash = Setup::new("wb2s").and_then(Module::new).expect("an embedded module").flash();
    bencher.bench(|| bkbench::image::inspect::inspect(&flash));
}

/// Draws the Dump tab with a whole flash in it, 200×60, on a new place each time; the limit is 2 ms.
#[divan::bench]
fn draw_a_frame_of_200_by_60_with_the_hex_view(bencher: divan::Bencher) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dump.bin");
    let flash = Setup::new("wb2s").and_then(Module::new).expect("an embedded module").flash();
    std::fs::write(&path, flash).expect("written");
    let settings = bkbench::store::Settings::default();
    let theme = Theme::load("dark").expect("a theme");
    let options = tui::Options {
        link: None,
        speed: None,
        settings: settings.clone(),
        theme,
        folder: folder.path().into(),
        ascii: false,
        shelf: bkbench::archive::shelf(&settings).expect("a shelf"),
        structures: Default::default(),
    };
    let (mut app, _) = App::new(options);
    let area = Rect::new(0, 0, 200, 60);
    app.update(Msg::Resize(area.width, area.height));
    let loaded = tui::worker::perform(Task::Load(Target::Dump, path), &settings);
    app.update(Msg::Done(Box::new(loaded)));
    let press = |app: &mut App, code| {
        app.update(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    };
    press(&mut app, KeyCode::Char('3'));
    let mut buffer = Buffer::empty(area);
    bencher.bench_local(|| {
        press(&mut app, KeyCode::PageDown);
        buffer.reset();
        app.view(area, &mut buffer);
    });
    let text: String = buffer.content().iter().map(|cell| cell.symbol()).collect();
    assert!(text.contains("dump.bin") && text.contains("boot load"), "no hex view was drawn");
}

/// Tells what a whole dump of 2 MiB holds; the limit is 250 ms.
#[divan::bench]
fn inspect_a_whole_flash(bencher: divan::Bencher) {
    let flash = Setup::new("wb2s").and_then(Module::new).expect("an embedded module").flash();
    bencher.bench(|| bkbench::image::inspect::inspect(&flash));
}
