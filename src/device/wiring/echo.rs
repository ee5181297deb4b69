//! The loop-back test of a serial link: the module is off, the ends of the two wires touch each other, and what is sent has
//! to come back byte for byte. It tells the adapter and its wires from the module.

use std::time::Duration;

use super::{Checked, Fault, Finding, Suspect, WireFinding, WireName};
use crate::device::error::DeviceError;
use crate::device::watch::{Level, Watch};
use crate::link::{Clock, LinkError, SerialLink};
use crate::units::Verdict;

/// How long a person has to join the wires.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two words to the person.
const TOLD: Duration = Duration::from_secs(5);
/// How long the host may take over its own bytes, besides their time on the wire.
const LATENCY: Duration = Duration::from_millis(120);
/// The rates that are tried: the one every loader starts with, and those that are worked at.
const RATES: [u32; 4] = [115_200, 460_800, 921_600, 2_000_000];
/// Bytes sent at each rate and level.
const EACH: usize = 1024;
/// Bytes sent at once: more could run over in an adapter.
const AT_ONCE: usize = 256;
/// Every level change that a UART has; no byte begins a frame of the download protocol.
const PATTERN: [u8; 16] =
    [0x55, 0xAA, 0x00, 0xFF, 0x0F, 0xF0, 0x33, 0xCC, 0x7F, 0x80, 0xFE, 0x6D, 0xB6, 0x5A, 0xA5, 0xC3];

/// Waits for the wires to be joined, then counts what comes back at each rate.
///
/// # Errors
/// [`DeviceError::Link`]; [`DeviceError::Cancelled`].
pub fn loop_back(wire: &mut dyn SerialLink, clock: &dyn Clock, watch: &mut dyn Watch) -> Result<Checked, DeviceError> {
    wire.set_baud(RATES[0])?;
    let (until, mut next_word, mut heard) = (clock.now() + PATIENCE, Duration::ZERO, 0);
    loop {
        watch.checkpoint()?;
        let (right, came) = round(wire, clock)?;
        heard = heard.max(came);
        if right == PATTERN.len() {
            break;
        }
        let now = clock.now();
        if now >= until {
            return Ok(nothing(heard));
        }
        if now >= next_word {
            next_word = now + TOLD;
            let left = (until - now).as_secs();
            watch.note(
                Level::Ask,
                format!("take the module off and hold the ends of TX and RX together: {left} s left"),
            );
        }
        clock.sleep(LATENCY);
    }
    watch.note(Level::Ask, "what is sent comes back; keep the wires together for a moment".to_owned());
    let (mut evidence, mut right_at, mut wrong_at) = (Vec::new(), None, None);
    for rate in RATES {
        match wire.set_baud(rate) {
            Ok(()) => {}
            Err(LinkError::Unsupported { .. }) => continue,
            Err(other) => return Err(other.into()),
        }
        let counts = count(wire, clock, watch)?;
        if counts.iter().all(|(_, right)| *right == EACH) {
            right_at = Some(rate);
        } else {
            wrong_at = wrong_at.or(Some(rate));
        }
        evidence.push(sentence(rate, &counts));
    }
    wire.set_baud(RATES[0])?;
    let Some(right_at) = right_at else {
        let why = "bytes come back damaged at every rate".to_owned();
        return Ok(checked(Finding::Unsure, Verdict::Unsure, "not all came back", Some((Fault::Noise, why)), evidence));
    };
    let mut found = checked(Finding::Pass, Verdict::Proven, "what was sent came back", None, evidence);
    // A limit of the adapter is worth a word and is no wire's fault.
    found.suspect = wrong_at.map(|wrong_at| Suspect {
        fault: Fault::Clock,
        wires: Vec::new(),
        verdict: Verdict::Proven,
        why: format!("{right_at} baud comes back right, {wrong_at} does not"),
        remedy: Some(format!("give the link baud={right_at}, or take shorter wires or another adapter")),
    });
    Ok(found)
}

/// What is sent to find out which level is lost: the line is low for nine bits of ten, high for nine of ten, or changes all
/// the time. No byte begins a frame of the download protocol.
const LEVELS: [(&str, &[u8]); 3] = [("mostly low", &[0x00]), ("mostly high", &[0xFF]), ("changing", &PATTERN)];

/// How many bytes of each level came back right at the present rate.
fn count(
    wire: &mut dyn SerialLink,
    clock: &dyn Clock,
    watch: &mut dyn Watch,
) -> Result<Vec<(&'static str, usize)>, DeviceError> {
    let mut counts = Vec::new();
    for (level, bytes) in LEVELS {
        let sent: Vec<u8> = bytes.iter().copied().cycle().take(EACH).collect();
        let mut right = 0;
        for piece in sent.chunks(AT_ONCE) {
            watch.checkpoint()?;
            right += volley(wire, clock, piece)?.0;
        }
        counts.push((level, right));
    }
    Ok(counts)
}

fn sentence(rate: u32, counts: &[(&str, usize)]) -> String {
    let bad: Vec<String> = counts
        .iter()
        .filter(|(_, right)| *right < EACH)
        .map(|(level, right)| format!("with the line {level} {} of {EACH} bytes were lost or wrong", EACH - right))
        .collect();
    if bad.is_empty() {
        let levels: Vec<&str> = counts.iter().map(|(level, _)| *level).collect();
        format!("At {rate} baud 1 KiB each came back without an error with the line {}.", levels.join(", "))
    } else {
        format!("At {rate} baud {}.", bad.join(", "))
    }
}

/// Sends the pattern once. Returns how many bytes came back as they were, in place, and how many came at all.
fn round(wire: &mut dyn SerialLink, clock: &dyn Clock) -> Result<(usize, usize), LinkError> {
    volley(wire, clock, &PATTERN)
}

fn volley(wire: &mut dyn SerialLink, clock: &dyn Clock, sent: &[u8]) -> Result<(usize, usize), LinkError> {
    wire.discard_input()?;
    wire.send(sent)?;
    let until = clock.now() + Duration::from_secs_f64(sent.len() as f64 * 10.0 / f64::from(wire.baud())) + LATENCY;
    let (mut came, mut buffer) = (Vec::new(), [0; AT_ONCE]);
    while came.len() < sent.len() {
        let left = until.saturating_sub(clock.now());
        if left.is_zero() {
            break;
        }
        let got = wire.receive(&mut buffer, left)?;
        came.extend_from_slice(buffer.get(..got).unwrap_or_default());
    }
    let right = came.iter().zip(sent).filter(|(is, sent)| is == sent).count();
    Ok((right, came.len()))
}

fn nothing(heard: usize) -> Checked {
    let seconds = PATIENCE.as_secs();
    let (measured, why) = if heard == 0 {
        ("nothing came back", format!("in {seconds} s nothing of what was sent came back"))
    } else {
        ("something else came back", format!("in {seconds} s something came back, and not what was sent"))
    };
    checked(Finding::Unsure, Verdict::Unsure, measured, Some((Fault::Open, why.clone())), vec![why])
}

fn checked(
    finding: Finding,
    verdict: Verdict,
    measured: &str,
    suspect: Option<(Fault, String)>,
    evidence: Vec<String>,
) -> Checked {
    let both = [WireName::Rx1, WireName::Tx1];
    let about = |wire| {
        let mine = both.contains(&wire);
        let (finding, verdict) = if mine { (finding, verdict) } else { (Finding::NotMeasurable, Verdict::NotChecked) };
        let measured = if mine { measured } else { "not part of this test" }.to_owned();
        WireFinding { wire, finding, verdict, measured }
    };
    let usable = suspect.is_none();
    let suspect = suspect.map(|(fault, why)| Suspect {
        fault,
        wires: both.to_vec(),
        verdict: Verdict::Unsure,
        why,
        remedy: Some("or the adapter is at fault: join its own TX and RX pins and test again".to_owned()),
    });
    Checked {
        wires: WireName::UART.into_iter().map(about).collect(),
        suspect,
        usable,
        id: None,
        pace: None,
        evidence,
        entry: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::testing::Recorder;
    use crate::link::sim::{Faults, Module, Setup};
    use crate::link::{Wire, WireKind};

    fn test(faults: &str) -> (Checked, Duration, Vec<(Level, String)>) {
        let setup = Setup::new("wb2s").unwrap().wire(WireKind::Uart);
        let module = Module::new(setup).unwrap();
        module.set_faults(Faults::parse(faults).unwrap());
        let mut link = module.link();
        // A module in reset says nothing, like one that was taken off.
        link.reset.as_mut().unwrap().hold(true).unwrap();
        let Wire::Serial(wire) = &mut link.wire else { panic!("a serial link") };
        let mut watch = Recorder::default();
        let checked = loop_back(wire.as_mut(), link.clock.as_ref(), &mut watch).unwrap();
        (checked, module.now(), watch.notes)
    }

    #[test]
    fn wires_that_are_joined_give_back_what_is_sent_at_every_rate() {
        let (checked, took, _) = test("echo");
        assert!(checked.usable && checked.suspect.is_none());
        assert_eq!(checked.evidence.len(), 4, "{:?}", checked.evidence);
        for (line, rate) in checked.evidence.iter().zip(RATES) {
            let said = format!(
                "At {rate} baud 1 KiB each came back without an error with the line mostly low, mostly high, changing."
            );
            assert_eq!(*line, said);
        }
        let proven = checked.wires.iter().filter(|wire| wire.verdict == Verdict::Proven).map(|wire| wire.wire);
        assert_eq!(proven.collect::<Vec<_>>(), [WireName::Rx1, WireName::Tx1]);
        assert!(took < Duration::from_secs(10), "{took:?}");
    }

    #[test]
    fn wires_that_nobody_joins_end_the_test_in_time_with_a_suspect() {
        let (checked, took, notes) = test("late:1/1000");
        assert!(!checked.usable);
        assert!(notes.len() > 10 && notes.iter().all(|(level, _)| *level == Level::Ask), "{notes:?}");
        let suspect = checked.suspect.unwrap();
        assert_eq!((suspect.fault, suspect.verdict), (Fault::Open, Verdict::Unsure));
        assert!((60..62).contains(&took.as_secs()), "{took:?}");
    }

    #[test]
    fn an_adapter_that_garbles_is_no_good_one() {
        let (checked, ..) = test("echo,noise:1/20");
        assert!(!checked.usable, "{:?}", checked.evidence);
        assert!(checked.evidence.iter().all(|line| line.contains("of 1024 bytes were lost or wrong")));
        assert_eq!(checked.suspect.unwrap().fault, Fault::Noise);
    }

    #[test]
    fn a_level_that_is_lost_is_named() {
        let said = sentence(115_200, &[("mostly low", 1000), ("mostly high", EACH), ("changing", EACH)]);
        assert_eq!(said, "At 115200 baud with the line mostly low 24 of 1024 bytes were lost or wrong.");
    }
}
