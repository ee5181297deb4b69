//! One actor, one job at a time: refusals, cancels, writes of random ranges, panics and lost links.

use std::sync::Arc;

use bkbench::job::{JobSpec, Outcome, SectorState};
use bkbench::problem::Class;
use bkbench::session::{Command, JobId, LinkState, What};
use bkbench::units::{SECTOR, Span};

use crate::support::bench::{Bench, connect_to, image};

/// A small, repeatable source of numbers.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u32) -> u32 {
        (self.next() % u64::from(limit)) as u32
    }

    fn bytes(&mut self, len: u32) -> Vec<u8> {
        // Runs of equal bytes, erased stretches and noise, as real data has them.
        let mut bytes = Vec::with_capacity(len as usize);
        while bytes.len() < len as usize {
            let run = 1 + self.below(700) as usize;
            match self.below(4) {
                0 => bytes.extend(std::iter::repeat_n(0xFF, run)),
                1 => bytes.extend(std::iter::repeat_n(self.next() as u8, run)),
                _ => bytes.extend((0..run).map(|_| self.next() as u8)),
            }
        }
        bytes.truncate(len as usize);
        bytes
    }
}

fn random_writes(wire: &str, cases: u32, seed: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let chip = folder.path().join("chip.bin");
    let mut bench = Bench::connect(&format!("sim:wb2s?wire={wire}&chip={}", chip.display()));
    let backup = bench.back_up();
    let mut wanted = std::fs::read(&chip).expect("the chip");
    let mut numbers = Numbers(seed);
    // The areas that hold data, not code: the plan takes anything there but the RF block.
    let areas = [Span::between(0x13_2000, 0x1E_0000), Span::between(0x1E_1000, 0x20_0000)];
    for case in 0..cases {
        let area = areas[numbers.below(2) as usize];
        let start = area.start + numbers.below(area.len);
        let longest = (area.end() - start).min(if case % 10 == 0 { 0x3_0000 } else { 0x3000 });
        let len = 1 + numbers.below(longest);
        let content = numbers.bytes(len);
        bench
            .write(image(&content, Some(start), &backup))
            .unwrap_or_else(|problem| panic!("seed {seed} case {case} at 0x{start:06X}: {problem}"));
        wanted[start as usize..start as usize + content.len()].copy_from_slice(&content);
        let is = std::fs::read(&chip).expect("the chip");
        assert!(is == wanted, "seed {seed} case {case} at 0x{start:06X}, {} bytes", content.len());
    }
}

/// How many cases of a long property are tried: all of them with `BKBENCH_LONG=1`.
fn cases(usual: u32, all: u32) -> u32 {
    if std::env::var_os("BKBENCH_LONG").is_some() { all } else { usual }
}

// Two tests of 500 cases instead of one of 1000: they run side by side.
#[test]
fn five_hundred_random_writes_over_spi_are_byte_exact() {
    random_writes("spi", cases(500, 5000), 1);
}

#[test]
fn five_hundred_other_random_writes_over_spi_are_byte_exact() {
    random_writes("spi", cases(500, 5000), 4);
}

#[test]
fn random_writes_over_uart_are_byte_exact() {
    random_writes("uart", cases(100, 1000), 2);
}

#[test]
fn a_second_job_is_refused_by_name_while_one_runs() {
    let mut bench = Bench::connect("sim:wb2s");
    bench.on_event(|event, commands| {
        if matches!(event.what, What::Progress { done, .. } if done > 0x10000) {
            let _ = commands.send(Command::Start(JobId(900), Box::new(JobSpec::Protection)));
        }
    });
    bench.run(JobSpec::Backup).expect("the backup goes on");
    let refused = bench.refused();
    assert!(!refused.is_empty());
    assert_eq!(refused[0].class, Class::Refused);
    assert!(refused[0].what.contains("read protection") && refused[0].what.contains("back up"), "{}", refused[0].what);
}

#[test]
fn a_cancelled_write_names_what_every_sector_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let chip = folder.path().join("chip.bin");
    let mut bench = Bench::connect(&format!("sim:wb2s?chip={}", chip.display()));
    let backup = bench.back_up();
    let before = std::fs::read(&chip).expect("the chip");
    let content = Numbers(3).bytes(0x4_0000);
    let spec = image(&content, Some(0x14_0000), &backup);
    let agreed = bench.plan(&spec).expect("a plan").hash.clone();

    let id = bench.next_id();
    let mut seen = 0;
    bench.on_event(move |event, commands| {
        if matches!(event.what, What::Sectors { state: SectorState::Written, .. }) {
            seen += 1;
            if seen == 20 {
                let _ = commands.send(Command::Cancel(id));
            }
        }
    });
    let problem = bench.run(JobSpec::Write { spec: spec.clone(), agreed }).expect_err("it was cancelled");
    assert_eq!(problem.class, Class::Cancelled);
    bench.no_hook();

    let left = bench.view().last.expect("an ended job").left;
    let after = std::fs::read(&chip).expect("the chip");
    let mut wanted = before.clone();
    wanted[0x14_0000..0x18_0000].copy_from_slice(&content);
    let mut named = 0;
    for (span, state) in &left {
        for sector in span.pieces(SECTOR) {
            let range = sector.start as usize..sector.end() as usize;
            named += 1;
            match state {
                SectorState::Waiting => assert!(after[range.clone()] == before[range]),
                SectorState::Erased => assert!(after[range].iter().all(|byte| *byte == 0xFF)),
                SectorState::Written | SectorState::Verified => assert!(after[range.clone()] == wanted[range]),
                SectorState::Unknown | SectorState::Kept => panic!("{sector} is {}", state.word()),
            }
        }
    }
    assert_eq!(named, 64, "every sector of the plan is named");
    assert!(left.iter().any(|(_, state)| *state == SectorState::Waiting));
    assert!(left.iter().any(|(_, state)| *state == SectorState::Verified));

    bench.write(spec).expect("the same write again finishes the work");
    assert!(std::fs::read(&chip).expect("the chip") == wanted);
}

#[test]
fn a_late_cancel_hits_nothing() {
    let mut bench = Bench::connect("sim:wb2s");
    let earlier = JobId(1);
    bench.commands().send(Command::Cancel(earlier)).expect("an inbox");
    assert!(matches!(bench.run(JobSpec::Protection), Ok(Outcome::Protection(_))));
    assert!(bench.run(JobSpec::Backup).is_ok());
}

#[test]
fn without_a_link_every_job_says_so() {
    let problem = Bench::new().run(JobSpec::Backup).expect_err("no link");
    assert_eq!(problem.code, "E502");
    assert_eq!(problem.class, Class::NoDevice);
}

#[test]
fn a_plan_that_was_not_shown_is_not_carried_out() {
    let mut bench = Bench::connect("sim:wb2s");
    let backup = bench.back_up();
    let first = image(b"one", Some(0x14_0000), &backup);
    let other = image(b"two", Some(0x14_0000), &backup);
    let agreed = bench.plan(&first).expect("a plan").hash.clone();
    let problem = bench.run(JobSpec::Write { spec: other, agreed }).expect_err("another plan");
    assert_eq!(problem.code, "E504");
    assert_eq!(problem.class, Class::Refused);
}

#[test]
fn the_guarded_ranges_are_refused() {
    let mut bench = Bench::connect("sim:wb2s");
    let backup = bench.back_up();
    for (at, code) in
        [(0x1E_0000, "E411"), (0x1E_0FFF, "E411"), (0x20_0000, "E409"), (0x1F_FFFE, "E409"), (0x100, "E403")]
    {
        let problem = bench.plan(&image(b"1234", Some(at), &backup)).expect_err("guarded");
        assert_eq!((problem.code, problem.class), (code, Class::Refused), "0x{at:06X}: {problem}");
    }
    let none = bench.plan(&image(b"1234", Some(0x14_0000), &bkbench::job::BackupProof::None)).expect_err("no backup");
    assert_eq!(none.code, "E413");
}

#[test]
fn protection_that_was_lifted_for_a_write_is_put_back_when_asked() {
    let mut bench = Bench::connect("sim:wb2s");
    let backup = bench.back_up();
    let locked = bench.view().protection.expect("read on connecting");
    let mut spec = image(b"some data", Some(0x14_0000), &backup);
    spec.protect_after = true;
    let report = bench.write(spec).expect("written");
    assert!(report.protection.contains("put back"), "{}", report.protection);
    assert_eq!(bench.view().protection.expect("read again").range, locked.range);
}

#[test]
fn a_panic_in_a_job_is_reported_and_the_link_released() {
    use std::cell::Cell;
    use std::rc::Rc;
    let mut bench = Bench::connect("sim:wb2s");
    let armed = Rc::new(Cell::new(true));
    bench.on_event(move |event, _| {
        if matches!(event.what, What::Progress { .. }) && armed.replace(false) {
            panic!("a fault planted by the test");
        }
    });
    let problem = bench.run(JobSpec::Backup).expect_err("it crashed");
    assert_eq!(problem.code, "E602");
    assert!(matches!(bench.view().link, LinkState::Lost(_)));
    bench.no_hook();
    bench.run(connect_to("sim:wb2s")).expect("the session lives on");
}

#[test]
fn an_image_handed_over_twice_is_written_once() {
    let mut bench = Bench::connect("sim:cb3s");
    let backup = bench.back_up();
    let content: Arc<[u8]> = Numbers(9).bytes(0x5000).into();
    let first = bench.write(image(&content, Some(0x14_0800), &backup)).expect("written");
    assert!(first.sectors.programmed > 0);
    let second = bench.plan(&image(&content, Some(0x14_0800), &backup)).expect("a plan");
    assert!(second.is_empty(), "{}", second.summary());
}
