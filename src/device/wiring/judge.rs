//! From measurements to a word per wire and the first suspect. Pure: the same measurements give the same words.

use super::lines::{Follow, Order};
use super::measure::{Heard, Measured};
use super::{Checked, Fault, Finding, Pace, Suspect, WireFinding, WireName, id_words};
use crate::device::error::DeviceError;
use crate::device::spi::Entered;
use crate::device::tie::Tie;
use crate::link::{Line, LinkInfo};
use crate::problem::Explain;
use crate::units::{Verdict, clock_text, hex_text};

/// A window that opens later than this is worth a word, in milliseconds.
const LATE_MS: u128 = 10;
/// The latest start of the window that connecting still meets, in milliseconds.
const REACHED_MS: u128 = 100;

/// Judges what was measured by hand.
pub(super) fn judge(seen: &Measured) -> Checked {
    let suspect = suspect(seen);
    let wires = WireName::SPI.into_iter().map(|wire| about(wire, seen, suspect.as_ref())).collect();
    let too_late = suspect.as_ref().is_some_and(|it| it.fault == Fault::Late && it.verdict == Verdict::Proven);
    Checked {
        wires,
        // Two lines that touch cannot carry what each of them should, whatever came through once.
        usable: seen.settled && !seen.dropped && !too_late && seen.bridges.is_empty(),
        suspect,
        id: seen.id.map(id_words),
        pace: seen.pace,
        evidence: evidence(seen),
        entry: Vec::new(),
    }
}

/// A glance in which the id still reads right.
pub(super) fn all_well(id: [u8; 3]) -> Checked {
    let wires =
        WireName::SPI.into_iter().map(|wire| pass(wire, Verdict::Likely, "the id reads right, 8 of 8")).collect();
    let evidence = vec![format!("8 id reads agree: {}", id_words(id))];
    Checked { wires, suspect: None, usable: true, id: Some(id_words(id)), pace: None, evidence, entry: Vec::new() }
}

fn say(fault: Fault, wires: &[WireName], verdict: Verdict, why: impl Into<String>) -> Option<Suspect> {
    Some(Suspect { fault, wires: wires.to_vec(), verdict, why: why.into(), remedy: None })
}

fn suspect(seen: &Measured) -> Option<Suspect> {
    use WireName::{Cen, Csn, Gnd, Sck, Si, So, Supply};
    let likely = Verdict::Likely;
    if seen.dead() {
        return say(Fault::Open, &[Supply], likely, "every line is drawn low, so the module has no supply");
    }
    let flickering = seen.flickering();
    if !flickering.is_empty() {
        let names: Vec<&str> = flickering.iter().map(|line| WireName::from(*line).signal()).collect();
        let why = format!("{} read differently from look to look", names.join(", "));
        return say(Fault::Noise, &[Gnd], likely, why);
    }
    if seen.cen == Some(Follow::Follows) && seen.id.is_none() {
        return say(Fault::Open, &[Cen], likely, "nothing pulls it up at its far end, and the chip cannot be reset");
    }
    if let Some((line, level)) = seen.stuck().first() {
        let (fault, text) = match level {
            true => (Fault::ShortToSupply, "it stays high against a pull-down while the chip is in reset"),
            false => (Fault::ShortToGround, "it stays low against a pull-up"),
        };
        return say(fault, &[(*line).into()], likely, text);
    }
    if let Some((one, other)) = seen.bridges.first() {
        let why = "one copies the other while the chip is in reset";
        return say(Fault::Bridged, &[(*one).into(), (*other).into()], Verdict::Proven, why);
    }
    if seen.dropped {
        let why = "the chip answered and then started anew by itself: its supply gave way";
        let remedy = "use a stronger 3.3 V supply, look at the 3V3 and GND joints".to_owned();
        return say(Fault::WeakSupply, &[Supply], likely, why).map(|it| Suspect { remedy: Some(remedy), ..it });
    }
    if let Some(order) = seen.order.filter(|order| *order != Order::STRAIGHT) {
        let wires: Vec<WireName> = order.wrong().into_iter().map(|(pad, _)| pad.into()).collect();
        return say(Fault::Swapped, &wires, Verdict::Proven, mixed_up(&order));
    }
    if seen.stays_in_reset {
        return say(Fault::Open, &[Cen], likely, "the id is still read while CEN is held low");
    }
    if seen.settled {
        return remark(seen);
    }
    if seen.heard == Heard::Taken {
        let let_go = "the chip took the D2 and then let SO go, as after a supply that gave way";
        return match seen.ids.as_slice() {
            [.., [0xFF, 0xFF, 0xFF]] => say(Fault::WeakSupply, &[Supply], Verdict::Unsure, let_go),
            [] | [_] => say(Fault::Open, &[Csn], likely, "the chip took the D2, and its flash stays silent"),
            _ => say(Fault::Noise, &[Gnd], likely, "the id changes from read to read"),
        };
    }
    if seen.heard == Heard::Copied {
        return say(Fault::Open, &[Sck], likely, "SO copies SI, and the chip never sees a clock");
    }
    match (seen.before_clock, seen.after_clock) {
        (Some(Follow::High), _) | (_, Some(Follow::High)) => {
            say(Fault::Open, &[Si], likely, "the chip holds SO high in its entry window, whatever is sent")
        }
        (Some(Follow::Follows), Some(Follow::Low)) => {
            say(Fault::Open, &[Si], likely, "the clock arrives, and the chip copies nothing of what is sent")
        }
        (Some(Follow::Low), _) => {
            say(Fault::Open, &[Si, Sck], likely, "the chip holds SO low in its entry window, whatever is sent")
        }
        _ => say(Fault::Open, &[So, Sck], likely, "nothing drives SO at any time"),
    }
}

/// What is worth a word although every wire is right.
fn remark(seen: &Measured) -> Option<Suspect> {
    let late = seen.taken_after.as_millis();
    if late > LATE_MS {
        let why = format!("the chip listens only from {late} ms after CEN was released");
        // Connecting tries delays up to a limit; beyond it the entry fails for sure.
        let verdict = if late > REACHED_MS { Verdict::Proven } else { Verdict::Likely };
        let remedy =
            "a capacitor at CEN does that: take it off, or connect again, which tries later moments".to_owned();
        return say(Fault::Late, &[], verdict, why).map(|it| Suspect { remedy: Some(remedy), ..it });
    }
    let Some(Pace { works, fails: Some(fails) }) = seen.pace else { return None };
    let why = format!("{} reads right, {} does not", clock_text(works), clock_text(fails));
    let remedy = "shorten the wires and lay the ground wire next to SCK; the program works at a clock that reads right";
    say(Fault::Clock, &[], Verdict::Likely, why).map(|it| Suspect { remedy: Some(remedy.to_owned()), ..it })
}

fn mixed_up(order: &Order) -> String {
    let wires: Vec<String> = order
        .wrong()
        .into_iter()
        .map(|(pad, pin)| {
            format!("pad {} is wired to the pin of {}", WireName::from(pad).signal(), WireName::from(pin).signal())
        })
        .collect();
    format!("the id comes with {}", wires.join(", "))
}

fn finding(wire: WireName, finding: Finding, verdict: Verdict, measured: impl Into<String>) -> WireFinding {
    WireFinding { wire, finding, verdict, measured: measured.into() }
}

fn pass(wire: WireName, verdict: Verdict, measured: impl Into<String>) -> WireFinding {
    finding(wire, Finding::Pass, verdict, measured)
}

/// One wire: as the suspect has it, else what the measurements say of it.
fn about(wire: WireName, seen: &Measured, suspect: Option<&Suspect>) -> WireFinding {
    if let Some(suspect) = suspect.filter(|suspect| suspect.wires.contains(&wire)) {
        let pair = suspect.fault == Fault::Open && suspect.wires.len() > 1;
        let (kind, verdict) = if pair { (Finding::Unsure, Verdict::Unsure) } else { (Finding::Fail, suspect.verdict) };
        return finding(wire, kind, verdict, short(wire, suspect, seen));
    }
    if seen.settled || seen.order.is_some() {
        return works(wire, seen);
    }
    let unclear = |text: &str| finding(wire, Finding::NotMeasurable, Verdict::NotChecked, text);
    let noisy = suspect.is_some_and(|suspect| suspect.fault == Fault::Noise);
    if seen.dead() || noisy {
        return unclear(if noisy { "not before the levels stand still" } else { "not without supply" });
    }
    let pulled_up = seen.cen == Some(Follow::High);
    match wire {
        WireName::Supply if pulled_up => pass(wire, Verdict::Likely, "CEN is pulled up"),
        WireName::Cen if seen.dropped || seen.heard != Heard::Nothing => pass(wire, Verdict::Likely, "resets the chip"),
        WireName::Cen if pulled_up => pass(wire, Verdict::Likely, "pulled up at its far end"),
        WireName::Gnd if pulled_up => pass(wire, Verdict::Likely, "levels stand still"),
        _ if seen.dropped => pass(wire, Verdict::Likely, "the id came"),
        WireName::Sck if seen.heard == Heard::Taken => pass(wire, Verdict::Likely, "the chip took the D2"),
        WireName::Si | WireName::So if seen.heard != Heard::Nothing => pass(wire, Verdict::Likely, "D2 came back"),
        WireName::So if driven(seen) => pass(wire, Verdict::Likely, "the chip drives it"),
        _ => unclear("nothing answers to measure it by"),
    }
}

/// Whether SO is held in the entry window and free in reset: its wire works.
fn driven(seen: &Measured) -> bool {
    let held = |follow| matches!(follow, Some(Follow::Low | Follow::High));
    seen.rest_of(Line::So) == Some(Follow::Follows) && (held(seen.before_clock) || held(seen.after_clock))
}

/// A wire of a harness over which the id came.
fn works(wire: WireName, seen: &Measured) -> WireFinding {
    match wire {
        WireName::Gnd => pass(wire, Verdict::Likely, format!("{} id reads agree", seen.agreed)),
        WireName::Supply => pass(wire, Verdict::Likely, "CEN is pulled up"),
        WireName::Cen => pass(wire, Verdict::Proven, "the id is gone in reset"),
        _ => pass(wire, Verdict::Proven, "carries the id"),
    }
}

/// The measurement behind a suspicion, in a few words for a table.
fn short(wire: WireName, suspect: &Suspect, seen: &Measured) -> String {
    let other = suspect.wires.iter().find(|other| **other != wire).map_or("", |other| other.signal());
    match suspect.fault {
        Fault::Open if suspect.wires.len() > 1 => format!("this one or {other}"),
        Fault::Open => match wire {
            WireName::Supply => "lines are drawn low".to_owned(),
            WireName::Cen if seen.stays_in_reset => "does not reset the chip".to_owned(),
            WireName::Cen => "floats".to_owned(),
            WireName::Csn => "flash stays silent".to_owned(),
            WireName::Sck => "no clock arrives".to_owned(),
            _ => "nothing arrives".to_owned(),
        },
        Fault::Swapped => {
            let end = seen.order.and_then(|order| {
                order.wrong().into_iter().find(|(pad, _)| WireName::from(*pad) == wire).map(|(_, pin)| pin)
            });
            end.map_or_else(String::new, |pin| format!("is on the pin of {}", WireName::from(pin).signal()))
        }
        Fault::ShortToGround => "stays low".to_owned(),
        Fault::ShortToSupply => "stays high".to_owned(),
        Fault::Bridged => format!("touches {other}"),
        Fault::Noise => "levels flicker".to_owned(),
        Fault::WeakSupply => "gives way".to_owned(),
        Fault::Clock | Fault::Late | Fault::Unclear => String::new(),
    }
}

const fn follow_words(follow: Follow) -> &'static str {
    match follow {
        Follow::Follows => "goes where it is pulled",
        Follow::Low => "stays low",
        Follow::High => "stays high",
        Follow::Flickers => "flickers",
    }
}

fn evidence(seen: &Measured) -> Vec<String> {
    let mut lines: Vec<String> = seen
        .at_rest
        .iter()
        .map(|(line, follow)| format!("in reset, {} {}", WireName::from(*line).signal(), follow_words(*follow)))
        .collect();
    if let Some(follow) = seen.cen {
        lines.push(format!("CEN {}", follow_words(follow)));
    }
    for (one, other) in &seen.bridges {
        lines.push(format!("{} copies {}", WireName::from(*other).signal(), WireName::from(*one).signal()));
    }
    for (follow, when) in [(seen.before_clock, "before"), (seen.after_clock, "after")] {
        if let Some(follow) = follow {
            lines.push(format!("in the entry window, {when} any clock, SO {}", follow_words(follow)));
        }
    }
    if !seen.answer.is_empty() {
        lines.push(format!("answer to D2: {}", hex_text(&seen.answer)));
    }
    if !seen.ids.is_empty() {
        let ids: Vec<String> = seen.ids.iter().map(|id| id_words(*id)).collect();
        lines.push(format!("ids: {}", ids.join(", ")));
    }
    if seen.agreed > 0 {
        lines.push(format!("{} id reads agree", seen.agreed));
    }
    if seen.settled {
        lines.push("with CEN held low the id is gone, and it comes back after another entry".to_owned());
    }
    if seen.searched > 0 {
        lines.push(format!("{} other orders of the wires tried", seen.searched));
    }
    if let Some(Pace { works, fails }) = seen.pace {
        let fails = fails.map_or_else(|| "the highest tried".to_owned(), |hz| format!("{} misreads", clock_text(hz)));
        lines.push(format!("reads right up to {}; {fails}", clock_text(works)));
    }
    lines
}

/// Why single wires are not measured, for a table.
fn no_lines(info: &LinkInfo) -> &'static str {
    if info.name.starts_with("spi:") { "held by the SPI driver" } else { "not a line of its own" }
}

/// The same in a sentence, with what helps.
fn why_no_lines(info: &LinkInfo) -> String {
    // While spidev has a bus, its pins belong to the controller: the kernel either refuses them as GPIO lines or takes them
    // away from it for good.
    let (why, what) = match info.name.split(':').next() {
        Some("spi") => (
            "the kernel's SPI driver holds SCK, SI, SO and CSN",
            "on a Raspberry Pi driver=rppal with cen=LINE measures each wire; elsewhere ",
        ),
        _ => ("this adapter has no lines of their own to measure", ""),
    };
    format!(
        "{}: {why}; {what}check with a meter, supply off, that each wire goes from pad to pin and touches no other",
        info.name
    )
}

/// A harness whose single lines cannot be reached: the entry worked.
pub(super) fn by_entry(entered: Entered, pace: Pace, dropped: bool, info: &LinkInfo) -> Checked {
    let Entered { id, tie, mut evidence, tries: entry } = entered;
    evidence.push(why_no_lines(info));
    let seen = Measured {
        id: Some(id),
        order: Some(Order::STRAIGHT),
        agreed: 5,
        stays_in_reset: tie == Tie::Loose,
        settled: !dropped && tie != Tie::Loose,
        dropped,
        pace: Some(pace),
        ..Measured::default()
    };
    let suspect = suspect(&seen);
    let unclear = |wire, text: &str| finding(wire, Finding::NotMeasurable, Verdict::NotChecked, text);
    let wires = WireName::SPI.into_iter().map(|wire| match (wire, tie) {
        (WireName::Supply, _) => unclear(wire, no_lines(info)),
        (WireName::Cen, Tie::ByHand) => unclear(wire, "moved by hand"),
        (WireName::Cen, Tie::Bare) => unclear(wire, "a bare flash chip has none"),
        _ => about(wire, &seen, suspect.as_ref()),
    });
    let wires = wires.collect();
    Checked { wires, usable: seen.settled, suspect, id: Some(id_words(id)), pace: Some(pace), evidence, entry }
}

/// The same, and the entry did not work.
pub(super) fn no_entry(error: &DeviceError, info: &LinkInfo) -> Checked {
    let problem = error.explain();
    let entry = match error {
        DeviceError::NoEntry { tries, .. }
        | DeviceError::NoBareChip { tries, .. }
        | DeviceError::UnstableId { tries, .. } => tries.to_vec(),
        _ => Vec::new(),
    };
    let unclear = |wire| finding(wire, Finding::NotMeasurable, Verdict::NotChecked, no_lines(info));
    let suspect = Suspect {
        fault: Fault::Unclear,
        wires: Vec::new(),
        verdict: Verdict::Unsure,
        why: problem.cause,
        remedy: Some(problem.remedy),
    };
    Checked {
        wires: WireName::SPI.into_iter().map(unclear).collect(),
        suspect: Some(suspect),
        usable: false,
        id: None,
        pace: None,
        evidence: vec![problem.what, why_no_lines(info)],
        entry,
    }
}
