//! The check against harnesses of every kind, seeded: what it names first, and that it never says *proven* of a wrong
//! thing. 150 harnesses in an ordinary run, 1,000 with `BKBENCH_LONG=1`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Checked, Fault, Finding, Harness, WireName};
use crate::device::testing::{Recorder, image};
use crate::link::sim::{Effect, Electrics, Faults, Knobs, Module, Setup, Wires};
use crate::units::Verdict;

use super::WireName::{Cen, Csn, Gnd, Sck, Si, So, Supply};

/// What is wrong with a harness, and what the first suspect has to name.
#[derive(Clone, Copy)]
enum Case {
    Good,
    Wires(&'static str, Fault, &'static [WireName]),
    /// Limit in kHz.
    Clock(u64),
    Late,
    Weak,
}

const CASES: [Case; 28] = [
    Case::Good,
    Case::Wires("gnd-open", Fault::Noise, &[Gnd]),
    Case::Wires("3v3-open", Fault::Open, &[Supply]),
    Case::Wires("cen-open", Fault::Open, &[Cen]),
    Case::Wires("sck-open", Fault::Open, &[Sck]),
    Case::Wires("csn-open", Fault::Open, &[Csn]),
    Case::Wires("si-open", Fault::Open, &[Si]),
    Case::Wires("so-open", Fault::Open, &[So]),
    Case::Wires("sck-csn-swapped", Fault::Swapped, &[Sck, Csn]),
    Case::Wires("sck-si-swapped", Fault::Swapped, &[Sck, Si]),
    Case::Wires("sck-so-swapped", Fault::Swapped, &[Sck, So]),
    Case::Wires("csn-si-swapped", Fault::Swapped, &[Csn, Si]),
    Case::Wires("csn-so-swapped", Fault::Swapped, &[Csn, So]),
    Case::Wires("si-so-swapped", Fault::Swapped, &[Si, So]),
    Case::Wires("so-short-gnd", Fault::ShortToGround, &[So]),
    Case::Wires("so-short-3v3", Fault::ShortToSupply, &[So]),
    Case::Wires("si-so-bridged", Fault::Bridged, &[Si, So]),
    Case::Wires("sck-si-bridged", Fault::Bridged, &[Sck, Si]),
    Case::Wires("sck-csn-bridged", Fault::Bridged, &[Sck, Csn]),
    Case::Wires("csn-si-bridged", Fault::Bridged, &[Csn, Si]),
    Case::Wires("sck-so-bridged", Fault::Bridged, &[Sck, So]),
    Case::Wires("csn-so-bridged", Fault::Bridged, &[Csn, So]),
    Case::Clock(300),
    Case::Clock(1000),
    Case::Clock(4000),
    Case::Clock(12_000),
    Case::Late,
    Case::Weak,
];

/// Numbers of a test, other than those of the simulator.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

impl Case {
    fn name(self) -> String {
        match self {
            Self::Good => "good".to_owned(),
            Self::Wires(text, ..) => text.to_owned(),
            Self::Clock(khz) => format!("clock {khz} kHz"),
            Self::Late => "window missed".to_owned(),
            Self::Weak => "weak supply".to_owned(),
        }
    }

    /// Wires that are really bad.
    fn bad(self) -> &'static [WireName] {
        match self {
            Self::Wires(_, _, wires) => wires,
            Self::Weak => &[Supply],
            _ => &[],
        }
    }

    fn setup(self, dice: &mut Dice, seed: u64) -> Setup {
        let knobs = Knobs {
            electrics: Electrics::varied(seed),
            entry_bytes: 1 + dice.roll(32) as u32,
            entry_window: Duration::from_millis(30 + dice.roll(120)),
            silent_after_entry: Duration::from_millis(dice.roll(600)),
            asleep: dice.roll(8) == 0,
            continuous_read: dice.roll(8) == 0,
            ..Knobs::default()
        };
        let module = ["wb2s", "wb3s", "cb3s", "cbu"][dice.roll(4) as usize];
        let setup = Setup::new(module).unwrap().image(image()).seed(seed).knobs(knobs);
        let faults = match self {
            Self::Clock(khz) => format!("clock:{}k", khz * (80 + dice.roll(45)) / 100),
            Self::Late => format!("late-entry:{}", 20 + dice.roll(400)),
            Self::Weak => format!("weak-supply:{}", 30 + dice.roll(1500)),
            // Usual jumper wires end at 11 MHz, which is worth a word; these are as good as any clock asked for.
            Self::Good => "clock:60M".to_owned(),
            _ => String::new(),
        };
        let wires = if let Self::Wires(text, ..) = self { text } else { "" };
        setup.faults(Faults::parse(&faults).unwrap()).wires(Wires::parse(wires).unwrap())
    }

    /// Whether the first suspect is right: the wire itself, or a pair that looks the same with the wire among it.
    fn is_named_by(self, found: &Checked) -> bool {
        let Some(suspect) = &found.suspect else { return matches!(self, Self::Good) };
        let same_wires = |wires: &[WireName]| {
            wires.len() == suspect.wires.len() && wires.iter().all(|wire| suspect.wires.contains(wire))
        };
        match self {
            Self::Good => false,
            Self::Wires(_, Fault::Open, wires) => {
                suspect.fault == Fault::Open
                    && suspect.wires.len() <= 2
                    && wires.iter().all(|it| suspect.wires.contains(it))
            }
            Self::Wires(_, fault, wires) => suspect.fault == fault && same_wires(wires),
            Self::Clock(_) => suspect.fault == Fault::Clock && suspect.wires.is_empty(),
            Self::Late => suspect.fault == Fault::Late && suspect.wires.is_empty(),
            Self::Weak => suspect.fault == Fault::WeakSupply && same_wires(&[Supply]),
        }
    }
}

fn check(setup: Setup) -> Checked {
    let module = Module::new(setup).unwrap();
    let mut harness = Harness::new(module.link()).ok().expect("an SPI link");
    harness.check(&mut Recorder::default()).unwrap()
}

fn words(found: &Checked) -> String {
    match &found.suspect {
        None => "nothing".to_owned(),
        Some(suspect) => {
            let wires: Vec<&str> = suspect.wires.iter().map(|wire| wire.signal()).collect();
            format!("{:?} {}", suspect.fault, wires.join("+"))
        }
    }
}

#[test]
fn the_first_suspect_is_right_and_no_wrong_word_is_proven() {
    let runs = if std::env::var_os("BKBENCH_LONG").is_some() { 1000 } else { 150 };
    let mut table: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    let (mut right, mut wrong_proofs) = (0, Vec::new());
    for run in 0..runs {
        let seed = 0x1000 + run as u64;
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let case = CASES[run % CASES.len()];
        let found = check(case.setup(&mut dice, seed));
        let named = case.is_named_by(&found);
        right += usize::from(named);
        if !named {
            println!("{} (seed {seed}): {:?}\n  {:?}", case.name(), found.suspect, found.evidence);
        }
        *table.entry(case.name()).or_default().entry(words(&found)).or_default() += 1;
        for wire in &found.wires {
            let bad = case.bad().contains(&wire.wire);
            let wrong = match wire.finding {
                Finding::Pass => bad,
                Finding::Fail => !bad,
                Finding::Unsure | Finding::NotMeasurable => false,
            };
            if wrong && wire.verdict == Verdict::Proven {
                wrong_proofs.push(format!("{} (seed {seed}): {wire:?}", case.name()));
            }
        }
        let settled = matches!(case, Case::Good | Case::Clock(_) | Case::Late);
        assert!(!found.usable || settled, "{} is called usable: {found:?}", case.name());
    }
    let table: Vec<String> = table
        .iter()
        .map(|(case, words)| {
            let words: Vec<String> = words.iter().map(|(word, count)| format!("{count} × {word}")).collect();
            format!("{case:<18} {}", words.join(", "))
        })
        .collect();
    let table = format!("{right} of {runs} right\n{}", table.join("\n"));
    println!("{table}");
    assert!(wrong_proofs.is_empty(), "{}\n{table}", wrong_proofs.join("\n"));
    assert!(right * 100 >= runs * 95, "{table}");
}

#[test]
fn a_check_changes_nothing_on_the_chip_and_frees_the_lines() {
    for wires in ["", "csn-open", "sck-si-swapped", "si-so-swapped"] {
        let module =
            Module::new(Setup::new("wb2s").unwrap().image(image()).wires(Wires::parse(wires).unwrap())).unwrap();
        let mut harness = Harness::new(module.link()).ok().expect("an SPI link");
        harness.check(&mut Recorder::default()).unwrap();
        drop(harness);
        // Nothing changes without an enable. The status write is left out: the firmware locks the chip when it starts.
        let changing = [0x02, 0x06, 0x20, 0x50, 0x52, 0xC7, 0x60, 0xD8, 0x81];
        let done: Vec<u8> = module
            .operations()
            .iter()
            .filter(|op| changing.contains(&op.opcode) && op.effect == Effect::Done)
            .map(|op| op.opcode)
            .collect();
        assert!(done.is_empty(), "{wires}: {done:02X?}");
        assert!(module.flash() == image());
    }
}

#[test]
fn glances_follow_the_soldering() {
    let module = Module::new(Setup::new("wb2s").unwrap().image(image())).unwrap();
    let mut harness = Harness::new(module.link()).ok().expect("an SPI link");
    let mut look = |wires: &str| {
        module.set_wires(Wires::parse(wires).unwrap());
        let before = module.now();
        let found = harness.glance(&mut Recorder::default()).unwrap();
        assert!(module.now() - before < Duration::from_secs(2), "{wires}: {:?}", module.now() - before);
        (found.usable, found.suspect.map(|suspect| suspect.wires).unwrap_or_default())
    };
    assert_eq!(look(""), (true, vec![]));
    assert_eq!(look(""), (true, vec![]), "the quick way");
    assert_eq!(look("csn-open"), (false, vec![Csn]));
    assert_eq!(look("cen-open"), (false, vec![Cen]));
    assert_eq!(look("3v3-open"), (false, vec![Supply]));
    assert_eq!(look("so-short-gnd"), (false, vec![So]));
    assert_eq!(look(""), (true, vec![]));
    assert!(!look("cen-open").0, "CEN is missed although the id still comes");
}

#[test]
fn without_single_lines_the_entry_is_the_measurement() {
    let check = |wires: &str| {
        let module =
            Module::new(Setup::new("wb2s").unwrap().image(image()).wires(Wires::parse(wires).unwrap())).unwrap();
        let mut link = module.link();
        link.probe = None;
        Harness::new(link).ok().expect("an SPI link").check(&mut Recorder::default()).unwrap()
    };
    let good = check("");
    // That wires carry so much and no more is a remark and no wire's fault.
    assert!(good.usable && good.suspect.as_ref().is_none_or(|it| it.wires.is_empty()), "{good:?}");
    let of = |found: &Checked, wire| found.wires.iter().find(|it| it.wire == wire).unwrap().finding;
    assert_eq!((of(&good, So), of(&good, Supply)), (Finding::Pass, Finding::NotMeasurable));
    let bad = check("so-open");
    assert!(!bad.usable && bad.suspect.is_some_and(|it| it.verdict == Verdict::Unsure && it.wires.is_empty()));
    assert!(bad.wires.iter().all(|it| it.finding == Finding::NotMeasurable));
}

#[test]
fn a_check_can_be_stopped() {
    let module = Module::new(Setup::new("wb2s").unwrap().wires(Wires::parse("so-open").unwrap())).unwrap();
    let mut harness = Harness::new(module.link()).ok().expect("an SPI link");
    let mut watch = Recorder { stop_after: Some(40), ..Recorder::default() };
    assert!(matches!(harness.check(&mut watch), Err(crate::device::DeviceError::Cancelled)));
    assert!(harness.check(&mut Recorder::default()).is_ok(), "the lines are free again");
}

#[test]
fn wires_that_the_kernels_spi_driver_holds_are_not_measurable_and_it_is_said_why() {
    for wires in ["", "so-open"] {
        let module = Module::new(Setup::new("wb2s").unwrap().wires(Wires::parse(wires).unwrap())).unwrap();
        let mut link = module.link();
        (link.probe, link.info.name) = (None, "spi:0.0".to_owned());
        let found = Harness::new(link).ok().expect("an SPI link").check(&mut Recorder::default()).unwrap();
        let held: Vec<WireName> = found
            .wires
            .iter()
            .filter(|wire| wire.finding == Finding::NotMeasurable && wire.measured == "held by the SPI driver")
            .map(|wire| wire.wire)
            .collect();
        assert_eq!(held, if found.usable { vec![Supply] } else { WireName::SPI.to_vec() });
        assert_eq!(found.usable, wires.is_empty());
        assert!(!found.entry.is_empty(), "every try is kept");
        let why = found.evidence.iter().find(|line| line.contains("SPI driver holds")).expect("a reason");
        assert!(why.contains("driver=rppal") && why.contains("meter"), "{why}");
    }
}
