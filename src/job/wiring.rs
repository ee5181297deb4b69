//! The wiring check: what was measured on each wire, with the module's pad and the header pin, and the first suspect in
//! one sentence. Once, or again and again while a person wiggles or solders.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::report::{JobError, Reporter};
use crate::chip::{self, Module, WireRow};
use crate::device::wiring::{self, Checked, Fault, Finding, Harness, Pace, Suspect, WireFinding, WireName};
use crate::device::{AttachOptions, DeviceError, EntryTry, Level, attach};
use crate::link::{Clock, Link, LinkInfo, LinkSpec, Pins, Wire, WireKind};
use crate::problem::{Class, Explain, Problem};
use crate::units::Verdict;

/// Time between two looks of a live check.
const LOOK: Duration = Duration::from_millis(200);
/// A live check ends by itself after this time.
const LIVE: Duration = Duration::from_secs(30 * 60);
/// What the stability figure looks back on.
const MINUTE: Duration = Duration::from_secs(60);

/// A wiring check before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WiringSpec {
    /// The link to measure over.
    pub link: LinkSpec,
    /// The module on the bench, as in the table.
    pub module: String,
    /// The wire that is to be measured.
    pub wire: WireKind,
    /// Go on looking until it is cancelled; SPI only.
    pub live: bool,
    /// The module is off, and the ends of the two UART wires are joined: test adapter and wires alone.
    pub loop_back: bool,
}

/// One wire as the table shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WiringRow {
    /// `GND`, `3V3`, `CEN`, …
    pub signal: &'static str,
    /// The module's end.
    pub pad: String,
    /// The host's end; scripts know it by the name of the usual host.
    #[serde(rename = "raspberry_pi")]
    pub host: String,
    /// Pin of the 40-pin header; `None` where the wire ends elsewhere.
    pub pin: Option<u8>,
    /// How it did.
    pub finding: Finding,
    /// How sure that is.
    pub verdict: Verdict,
    /// The measurement behind it.
    pub measured: String,
}

/// The first suspect in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirstSuspect {
    /// What is wrong.
    pub fault: Fault,
    /// With which wires.
    pub wires: Vec<WireName>,
    /// How sure.
    pub verdict: Verdict,
    /// What is wrong and why it is thought so.
    pub sentence: String,
    /// The next thing to do, with pad and header pin.
    pub remedy: String,
}

/// How steady the connection was over the last minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stability {
    /// Looks in which all was well.
    pub good: u32,
    /// Looks.
    pub looks: u32,
    /// Seconds looked back on.
    pub seconds: u32,
}

impl Stability {
    /// Share of good looks in percent, rounded down, so that 100 means all.
    pub const fn percent(&self) -> u32 {
        match (self.good * 100).checked_div(self.looks) {
            Some(share) => share,
            None => 0,
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WiringReport {
    /// The module.
    pub module: String,
    /// The wire.
    pub wire: WireKind,
    /// What the wires end at on this side: `Raspberry Pi`, `CH341A`, …
    pub host: &'static str,
    /// The link's name.
    pub link: String,
    /// True for the embedded module: says nothing about a real harness.
    pub simulated: bool,
    /// Every wire.
    pub rows: Vec<WiringRow>,
    /// What to look at first; `None` when there is nothing.
    pub suspect: Option<FirstSuspect>,
    /// Whether the chip can be worked with as it is wired.
    pub usable: bool,
    /// Adapter and wires were tested without a module.
    pub loop_back: bool,
    /// The JEDEC id, where five reads agreed.
    pub id: Option<String>,
    /// How fast the wires are, where that was tried.
    pub pace: Option<Pace>,
    /// How steady they were; live checks only.
    pub stability: Option<Stability>,
    /// All measurements, one a line.
    pub evidence: Vec<String>,
    /// Every try to get the flash to answer, where the entry itself was the measurement.
    pub entry: Vec<EntryTry>,
}

/// A clock that leaves nothing to wish for, in Hz: a proven backup of 2 MiB takes about seven seconds at it, and jumper wires
/// carry hardly more (spi-flash.md §3).
const PLENTY: u32 = 8_000_000;

impl WiringReport {
    /// Whether the chip can be worked with, and nothing was found against any wire.
    pub fn all_good(&self) -> bool {
        self.usable && !self.rows.iter().any(|row| matches!(row.finding, Finding::Fail | Finding::Unsure))
    }

    /// What was found out about CEN, as the end of a sentence: nothing is claimed that was not measured.
    pub fn cen_words(&self) -> String {
        match self.rows.iter().find(|row| row.signal == WireName::Cen.signal()) {
            Some(row) if row.finding == Finding::Pass && row.verdict == Verdict::Proven => {
                "and it goes away with CEN held low".to_owned()
            }
            Some(row) => format!("and what CEN does to it was not measured ({})", row.measured),
            None => "and CEN was not measured".to_owned(),
        }
    }

    /// Whether the wires are as good as anyone needs them.
    pub fn plenty(&self) -> bool {
        self.usable && self.pace.is_some_and(|pace| pace.works >= PLENTY)
    }

    /// What a person is told to look at: the first suspect, unless it is only that good wires have a limit too.
    pub fn remark(&self) -> Option<&FirstSuspect> {
        self.suspect.as_ref().filter(|suspect| suspect.fault != Fault::Clock || !self.plenty())
    }
}

/// Why a check cannot be made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WiringError {
    /// The module is not in the table.
    #[error("no module is called {name:?}")]
    UnknownModule {
        /// The name.
        name: String,
    },
    /// The module does not bring out what SPI needs.
    #[error("the {module} has no pad for {missing}")]
    NoPads {
        /// The module.
        module: String,
        /// The signals without a pad.
        missing: String,
    },
    /// The link is of the other kind.
    #[error("{link} is a link over {is}, and the {asked} wires were to be checked")]
    OtherWire {
        /// The link.
        link: String,
        /// What it is.
        is: WireKind,
        /// What was asked.
        asked: WireKind,
    },
}

impl Explain for WiringError {
    fn explain(&self) -> Problem {
        let what = self.to_string();
        let names: Vec<&str> = chip::modules().iter().map(|module| module.name.as_str()).collect();
        match self {
            Self::UnknownModule { .. } => Problem::new(
                Class::Usage,
                "E430",
                what,
                "the name is not in the table",
                format!("the name stands on the shield; known are {}, and any", names.join(", ")),
            ),
            Self::NoPads { .. } => Problem::new(
                Class::Usage,
                "E431",
                what,
                "these signals are on no pad of the module, so there is no wire to check",
                "use the UART wires: bkbench wiring --wire uart --check, or w on the Wiring tab",
            ),
            Self::OtherWire { .. } => Problem::new(
                Class::Usage,
                "E432",
                what,
                "link and wires do not go together",
                "leave --wire out to check the wires of this link, or give a link that leads over the other ones",
            ),
        }
    }
}

/// The link to measure over, led over the wires that are meant where it is a simulated module, which has both.
///
/// # Errors
/// [`WiringError::OtherWire`] when the link leads over the other ones.
pub fn link_over(link: LinkSpec, asked: WireKind) -> Result<LinkSpec, WiringError> {
    if link.scheme == "sim" && link.get("wire").is_none() {
        return Ok(link.with("wire", &asked.to_string().to_ascii_lowercase()));
    }
    let is = Pins::here(&link).wire;
    if is == asked { Ok(link) } else { Err(WiringError::OtherWire { link: link.name(), is, asked }) }
}

impl WiringSpec {
    /// The module, if the wires that are to be checked exist on it.
    ///
    /// # Errors
    /// [`WiringError::UnknownModule`], [`WiringError::NoPads`].
    pub fn module(&self) -> Result<&'static Module, WiringError> {
        let unknown = || WiringError::UnknownModule { name: self.module.clone() };
        let module = chip::module(&self.module).ok_or_else(unknown)?;
        if self.wire == WireKind::Spi && !module.has_spi() {
            let missing = module.spi_missing_words().join(", ");
            return Err(WiringError::NoPads { module: module.name.clone(), missing });
        }
        Ok(module)
    }
}

/// Measures the wires of an open link, once or again and again. Nothing on the chip changes.
///
/// # Errors
/// [`WiringError`], [`DeviceError::Link`], [`DeviceError::Cancelled`] before the first look of a live check has ended.
pub fn check(link: Link, spec: &WiringSpec, run: &mut dyn Reporter) -> Result<WiringReport, JobError> {
    let module = spec.module()?;
    let info = link.info.clone();
    if info.wire != spec.wire {
        return Err(WiringError::OtherWire { link: info.name, is: info.wire, asked: spec.wire }.into());
    }
    let bench = Bench { module, info, loop_back: spec.loop_back };
    if spec.loop_back {
        let Link { wire: Wire::Serial(mut wire), clock, .. } = link else {
            return Err(
                WiringError::OtherWire { link: bench.info.name, is: WireKind::Spi, asked: WireKind::Uart }.into()
            );
        };
        let report = bench.report(wiring::loop_back(wire.as_mut(), clock.as_ref(), run)?, None);
        run.wiring(Arc::new(report.clone()));
        return Ok(report);
    }
    let clock = std::rc::Rc::clone(&link.clock);
    match Harness::new(link) {
        Ok(mut harness) if spec.live => bench.live(&mut harness, clock.as_ref(), run),
        Ok(mut harness) => {
            let report = bench.report(harness.check(run)?, None);
            for line in &report.evidence {
                run.note(Level::Info, format!("wiring: {line}"));
            }
            run.wiring(Arc::new(report.clone()));
            Ok(report)
        }
        Err(link) => {
            let report = bench.report(over_uart(*link, run)?, None);
            run.wiring(Arc::new(report.clone()));
            Ok(report)
        }
    }
}

/// Over UART the link check is the measurement.
fn over_uart(link: Link, run: &mut dyn Reporter) -> Result<Checked, JobError> {
    let about = |wire, finding, verdict, text: &str| WireFinding { wire, finding, verdict, measured: text.to_owned() };
    let unknown = |wire| about(wire, Finding::NotMeasurable, Verdict::NotChecked, "the link check does not tell");
    match attach(link, &AttachOptions::default(), run) {
        Ok(device) => {
            let wires = WireName::UART.into_iter().map(|wire| match wire {
                WireName::Rx1 => about(wire, Finding::Pass, Verdict::Proven, "the module heard the link check"),
                WireName::Tx1 => about(wire, Finding::Pass, Verdict::Proven, "the answer came"),
                WireName::Cen => unknown(wire),
                wire => about(wire, Finding::Pass, Verdict::Likely, "the module answers"),
            });
            let evidence = device.facts().evidence.clone();
            Ok(Checked {
                wires: wires.collect(),
                suspect: None,
                usable: true,
                id: None,
                pace: None,
                evidence,
                entry: Vec::new(),
            })
        }
        Err(error @ DeviceError::NoLoader { .. }) => {
            let problem = error.explain();
            let suspect = Suspect {
                fault: Fault::Unclear,
                wires: Vec::new(),
                verdict: Verdict::Unsure,
                why: problem.cause,
                remedy: Some(problem.remedy),
            };
            let wires = WireName::UART.into_iter().map(unknown).collect();
            let evidence = vec![problem.what];
            Ok(Checked {
                wires,
                suspect: Some(suspect),
                usable: false,
                id: None,
                pace: None,
                evidence,
                entry: Vec::new(),
            })
        }
        Err(error) => Err(error.into()),
    }
}

struct Bench {
    module: &'static Module,
    info: LinkInfo,
    loop_back: bool,
}

impl Bench {
    /// Looks several times a second until it is cancelled. The first look after a failure says what is wrong.
    fn live(&self, harness: &mut Harness, clock: &dyn Clock, run: &mut dyn Reporter) -> Result<WiringReport, JobError> {
        let began = clock.now();
        let mut looks: VecDeque<(Duration, bool)> = VecDeque::new();
        let mut last: Option<WiringReport> = None;
        loop {
            let at = clock.now();
            let checked = match (harness.glance(run), last.take()) {
                (Ok(checked), _) => checked,
                (Err(DeviceError::Cancelled), Some(report)) => return Ok(report),
                (Err(error), _) => return Err(error.into()),
            };
            looks.push_back((at, checked.usable));
            while looks.front().is_some_and(|(then, _)| at.saturating_sub(*then) > MINUTE) {
                looks.pop_front();
            }
            let report = self.report(checked, Some(stability(&looks, at)));
            run.wiring(Arc::new(report.clone()));
            if run.pause(LOOK).is_err() || at.saturating_sub(began) > LIVE {
                return Ok(report);
            }
            last = Some(report);
            // The time of a simulated link stands still while this process waits.
            clock.sleep(LOOK.saturating_sub(clock.now().saturating_sub(at)));
        }
    }

    fn report(&self, checked: Checked, stability: Option<Stability>) -> WiringReport {
        let table = chip::wiring(self.module, &self.info.pins);
        let suspect = checked.suspect.as_ref().map(|suspect| first_suspect(suspect, &table));
        let rows = table.into_iter().filter_map(|row| {
            let found = checked.wires.iter().find(|found| found.wire.signal() == row.signal)?;
            Some(WiringRow {
                signal: row.signal,
                pad: row.pad,
                host: row.host,
                pin: row.pin,
                finding: found.finding,
                verdict: found.verdict,
                measured: found.measured.clone(),
            })
        });
        WiringReport {
            module: self.module.name.clone(),
            wire: self.info.wire,
            host: self.info.pins.host,
            link: self.info.name.clone(),
            simulated: self.info.simulated,
            rows: rows.collect(),
            suspect,
            usable: checked.usable,
            loop_back: self.loop_back,
            id: checked.id,
            pace: checked.pace,
            stability,
            evidence: checked.evidence,
            entry: checked.entry,
        }
    }
}

fn stability(looks: &VecDeque<(Duration, bool)>, now: Duration) -> Stability {
    let since = looks.front().map_or(now, |(then, _)| *then);
    Stability {
        good: looks.iter().filter(|(_, good)| *good).count() as u32,
        looks: looks.len() as u32,
        seconds: now.saturating_sub(since).as_secs() as u32,
    }
}

/// What is wrong, and what to do about it at which pad and pin.
fn first_suspect(suspect: &Suspect, table: &[WireRow]) -> FirstSuspect {
    let names: Vec<&str> = suspect.wires.iter().map(|wire| wire.signal()).collect();
    let rows: Vec<&WireRow> = names.iter().filter_map(|name| table.iter().find(|row| row.signal == *name)).collect();
    let ends: Vec<String> = rows.iter().map(|row| format!("{} → {}", row.pad, row.host)).collect();
    let why = &suspect.why;
    let (sentence, remedy) = match suspect.fault {
        Fault::Open if names.len() > 1 => (
            format!("{} is not connected: {why} (from here the two look the same).", names.join(" or ")),
            format!("Check {}.", ends.join(", then ")),
        ),
        Fault::Open => (format!("{} is not connected: {why}.", names.concat()), format!("Check {}.", ends.concat())),
        Fault::Swapped => {
            (format!("{} are mixed up: {why}.", names.join(" and ")), format!("Solder {}.", ends.join(", and ")))
        }
        Fault::ShortToGround => (
            format!("{} touches ground: {why}.", names.concat()),
            format!("Look for solder between it and its neighbours: {}.", ends.concat()),
        ),
        Fault::ShortToSupply => (
            format!("{} touches 3V3: {why}.", names.concat()),
            format!("Look for solder between it and its neighbours: {}.", ends.concat()),
        ),
        Fault::Bridged => (
            format!("{} touch each other: {why}.", names.join(" and ")),
            format!("Look for a solder bridge at {}.", ends.join(" and ")),
        ),
        Fault::Noise => (
            format!("{} is missing, or a contact is loose: {why}.", names.concat()),
            format!("Check {}; then hold each wire for a moment.", ends.concat()),
        ),
        Fault::WeakSupply => (format!("{} gives way: {why}.", names.concat()), format!("Check {}.", ends.concat())),
        Fault::Clock => (format!("The wires are right, up to a point: {why}."), String::new()),
        Fault::Late => (format!("The wires are right: {why}."), String::new()),
        Fault::Unclear => (format!("{why}."), String::new()),
    };
    let more = suspect.remedy.as_deref().map(sentence_of).unwrap_or_default();
    FirstSuspect {
        fault: suspect.fault,
        wires: suspect.wires.clone(),
        verdict: suspect.verdict,
        sentence: sentence_of(&sentence),
        remedy: [remedy, more].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" "),
    }
}

/// With a capital at its beginning and a full stop at its end.
fn sentence_of(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_pad_and_pin() {
        let table = chip::wiring(chip::module("wb2s").expect("in the table"), &Pins::usual(WireKind::Spi, 22));
        let suspect = |fault, wires: &[WireName]| {
            let why = "nothing drives SO at any time".to_owned();
            let suspect = Suspect { fault, wires: wires.to_vec(), verdict: Verdict::Likely, why, remedy: None };
            first_suspect(&suspect, &table)
        };
        let open = suspect(Fault::Open, &[WireName::So]);
        assert_eq!(open.sentence, "SO is not connected: nothing drives SO at any time.");
        assert_eq!(open.remedy, "Check ADC/SO (edge 8) or ADC_SO (test pad) → GPIO9 MISO (pin 21).");
        let pair = suspect(Fault::Open, &[WireName::So, WireName::Sck]);
        assert!(pair.sentence.starts_with("SO or SCK is not connected") && pair.remedy.contains("(pin 23)"));
        assert!(
            suspect(Fault::Swapped, &[WireName::Sck, WireName::Csn]).sentence.starts_with("SCK and CSN are mixed up")
        );
    }

    #[test]
    fn stability_looks_back_and_rounds_down() {
        let looks: VecDeque<_> = (0..200).map(|n| (Duration::from_millis(n * 200), n != 7)).collect();
        let figure = stability(&looks, Duration::from_secs(40));
        assert_eq!((figure.good, figure.looks, figure.seconds, figure.percent()), (199, 200, 40, 99));
    }

    #[test]
    fn modules_without_the_pads_say_so_and_lead_to_uart() {
        let link = LinkSpec::parse("sim:cb2s").expect("a link");
        let spec = WiringSpec { link, module: "CB2S".to_owned(), wire: WireKind::Spi, live: false, loop_back: false };
        let problem = spec.module().expect_err("no pads").explain();
        assert!(problem.what.contains("SCK (P20)") && problem.remedy.contains("uart"), "{problem}");
    }
}
