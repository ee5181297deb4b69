//! What an entry attempt saw, and what that says about the wires (spi-flash.md §10).

use super::super::error::DeviceError;
use super::super::tried::{EntryOutcome, EntryTry};
use crate::chip::part;
use crate::link::{Pins, WireName};
use crate::units::{clock_text, hex_text};

/// Bytes of a D2 answer that are kept.
const KEPT: usize = 8;
/// Tries that are kept, the first ones; a person at the wire makes hundreds.
const MOST_TRIES: usize = 100;

/// Everything seen so far.
pub(super) struct Seen {
    /// Where the wires end, for what is to be checked.
    pins: Pins,
    knock: Vec<u8>,
    heard: bool,
    ids: Vec<[u8; 3]>,
    unstable: Option<Vec<[u8; 3]>>,
    clocks: Vec<u32>,
    tries: Vec<EntryTry>,
}

impl Seen {
    /// Nothing yet, over these pins.
    pub fn new(pins: Pins) -> Self {
        Self {
            pins,
            knock: Vec::new(),
            heard: false,
            ids: Vec::new(),
            unstable: None,
            clocks: Vec::new(),
            tries: Vec::new(),
        }
    }

    /// Another try begins.
    pub fn begin(&mut self, one: EntryTry) {
        self.tries.push(one);
    }

    /// The try under way has ended. One with the very same result as the one before it is counted there.
    pub fn end(&mut self, outcome: EntryOutcome) {
        if let Some(one) = self.tries.last_mut() {
            one.outcome = outcome;
        }
        if let [.., before, last] = self.tries.as_mut_slice()
            && last.repeats(before)
        {
            before.times += 1;
            self.tries.pop();
        }
        self.tries.truncate(MOST_TRIES);
    }

    /// Every try, one by one.
    pub fn take_tries(&mut self) -> Vec<EntryTry> {
        std::mem::take(&mut self.tries)
    }

    /// The try under way, in words.
    pub fn try_words(&self) -> String {
        self.tries.last().map(EntryTry::words).unwrap_or_default()
    }

    /// The answer to the first D2 frame of an attempt.
    pub fn knock(&mut self, answer: &[u8]) {
        if let Some(one) = self.tries.last_mut() {
            one.answer = Some(hex_text(answer.get(..KEPT).unwrap_or(answer)));
        }
        self.knock = answer.iter().copied().take(KEPT).collect();
        self.heard = answer.iter().any(|byte| is_knock_echo(*byte));
    }

    /// An id read.
    pub fn id(&mut self, id: [u8; 3]) {
        if self.ids.last() != Some(&id) {
            self.ids.push(id);
        }
        if let Some(one) = self.tries.last_mut() {
            one.saw(hex_text(&id));
        }
    }

    /// Ids that did not agree although the first looked good.
    pub fn unstable(&mut self, ids: &[[u8; 3]]) {
        self.unstable = Some(ids.to_vec());
        if let Some(one) = self.tries.last_mut() {
            ids.iter().for_each(|id| one.saw(hex_text(id)));
        }
    }

    /// A clock that was used.
    pub fn clock(&mut self, hz: u32) {
        if !self.clocks.contains(&hz) {
            self.clocks.push(hz);
        }
    }

    /// Whether the last D2 frame came back at least in part.
    pub fn knock_was_heard(&self) -> bool {
        self.heard
    }

    /// The last observation, in words.
    pub fn last_words(&self) -> String {
        format!("{}, answer to D2: {}", self.last_id(), hex_text(&self.knock))
    }

    /// The last id read, in words.
    pub fn last_id(&self) -> String {
        self.ids.last().map_or_else(|| "no id".to_owned(), |id| format!("id {}", hex_text(id)))
    }

    /// The ids of a chip whose reads do not agree.
    fn unstable_error(&self) -> Option<DeviceError> {
        let ids = self.unstable.as_ref()?.iter().map(|id| hex_text(id)).collect::<Vec<_>>().join(", ");
        Some(DeviceError::UnstableId { ids, ground: self.pins.at(WireName::Gnd), tries: self.tries.clone().into() })
    }

    fn clock_words(&self) -> String {
        self.clocks.iter().map(|hz| clock_text(*hz)).collect::<Vec<_>>().join(", ")
    }
}

/// D2, or D2 with one bit lost at either end.
const fn is_knock_echo(byte: u8) -> bool {
    matches!(byte, 0xD2 | 0x52 | 0x69 | 0xE9 | 0xA4 | 0xA5)
}

/// Whether three bytes can be a JEDEC id: not a constant line, not an echo, and a size exponent that makes sense.
pub(in crate::device) fn plausible(id: [u8; 3]) -> bool {
    let [maker, kind, size] = id;
    let constant = maker == kind && kind == size;
    !constant && maker != 0 && maker != 0xFF && (0x10..=0x1A).contains(&size)
}

/// The error of an entry that failed, with the wire that is under suspicion.
pub(super) fn failure(seen: &Seen, looped_back: bool, attempts: u32, has_line: bool) -> DeviceError {
    if let Some(unstable) = seen.unstable_error() {
        return unstable;
    }
    let (cause, remedy) = suspicion(seen, looped_back, has_line);
    let tries = seen.tries.clone().into();
    DeviceError::NoEntry { attempts, clock: seen.clock_words(), seen: seen.last_words(), cause, remedy, tries }
}

/// The error of a bare chip that was not found.
pub(super) fn bare_failure(seen: &Seen, looped_back: bool, attempts: u32) -> DeviceError {
    if let Some(unstable) = seen.unstable_error() {
        return unstable;
    }
    let at = |wire| seen.pins.at(wire);
    let by_line = seen.pins.line_for_cen().map_or_else(String::new, |line| format!("cen={line} or "));
    let module = format!("if this is a module and no bare chip, it has to be brought into SPI mode: {by_line}cen=hand");
    let (cause, remedy) = match seen.ids.last() {
        _ if looped_back => (
            "the line gives back what is sent: SI and SO touch each other",
            format!("look for a solder bridge between {} and {}", at(WireName::Si), at(WireName::So)),
        ),
        Some([0xFF, 0xFF, 0xFF]) => (
            "nothing drives SO: the clip has no contact, the chip has no supply, or it is turned by 180 degrees",
            format!("set the clip again with pin 1 at the dot, check 3V3, GND, /WP and /HOLD (both to 3V3); {module}"),
        ),
        Some([0, 0, 0]) => (
            "SO stays low: it is shorted, the chip has no supply, or the board around it holds the line",
            format!("take the chip off its board, or hold that board's processor in reset; {module}"),
        ),
        _ => (
            "the answer is neither an id nor a constant: a loose contact, two wires swapped, or a clock too fast",
            format!("set the clip again, shorten the wires, compare each one with the data sheet; {module}"),
        ),
    };
    let tries = seen.tries.clone().into();
    let (clock, seen) = (seen.clock_words(), seen.last_id());
    DeviceError::NoBareChip { attempts, clock, seen, cause: cause.to_owned(), remedy, tries }
}

fn suspicion(seen: &Seen, looped_back: bool, has_line: bool) -> (String, String) {
    use WireName::{Cen, Csn, Gnd, Sck, Si, So, Supply};
    let say = |cause: &str, remedy: &str| (cause.to_owned(), remedy.to_owned());
    let at = |wire| seen.pins.at(wire);
    let id = seen.ids.last().copied().unwrap_or_default();
    if looped_back {
        return say(
            "the line gives back what is sent: SI and SO touch each other",
            &format!("look for a solder bridge between {} and {}", at(Si), at(So)),
        );
    }
    if let Some((shifted, known)) = seen.ids.iter().find_map(|id| shifted_id(*id)) {
        return (
            format!("{} is the id {} moved by one or two bits", hex_text(&shifted), hex_text(&known)),
            format!("shorten the wires, lay {} next to SCK, and try a lower clock", at(Gnd)),
        );
    }
    match (id, seen.heard) {
        ([0xD2, ..], _) => say(
            "the chip still echoes: it has not taken the D2 for its own",
            "connect again; if it stays, take the supply off the module for ten seconds",
        ),
        (_, true) => say(
            "the chip answered D2, so SCK, SI, SO, CEN and ground are right; the flash itself stays silent",
            &format!("check {}: it is the only wire left", at(Csn)),
        ),
        ([0xFF, 0xFF, 0xFF], false) => say(
            "nothing drives SO: the SO wire is open or touches 3V3, the module has no supply, or the chip was never reached \
             by CEN, SCK, SI and CSN",
            &format!(
                "check {} and {}, both ends; then {} and {}, then the other three",
                at(Supply),
                at(Gnd),
                at(So),
                at(Cen)
            ),
        ),
        ([0, 0, 0], false) if has_line => say(
            "SO stays low: the chip did not see CEN go low, or did not see D2, or SO is shorted to ground",
            &format!("check {}, then {}, {} and {}, then the 3.3 V supply", at(Cen), at(Sck), at(Si), at(So)),
        ),
        ([0, 0, 0], false) => say(
            "SO stays low: CEN was not pulled low and released, or the module has no supply",
            &match seen.pins.line_for_cen() {
                Some(line) => {
                    format!("touch CEN to GND and let go while the program tries; better, wire CEN to cen={line}")
                }
                None => "touch CEN to GND and let go while the program tries".to_owned(),
            },
        ),
        _ => say(
            "the answer is neither an id nor a constant: a loose contact, two wires swapped, or a clock too fast",
            "compare each wire with the Wiring tab, then try a lower clock",
        ),
    }
}

/// If `id` is the id of a known part moved by one or two bits, both.
fn shifted_id(id: [u8; 3]) -> Option<([u8; 3], [u8; 3])> {
    let [first, second, third] = id;
    let value = u32::from_be_bytes([0, first, second, third]);
    if matches!(value, 0 | 0x00FF_FFFF) {
        return None;
    }
    // Bits lost at an end are unknown, so both fillings are tried.
    let candidates = (1..=2_u32).flat_map(|bits| {
        (0..1_u32 << bits)
            .flat_map(move |fill| [value >> bits | fill << (24 - bits), value << bits & 0x00FF_FFFF | fill])
    });
    candidates
        .map(|value| {
            let [_, first, second, third] = value.to_be_bytes();
            [first, second, third]
        })
        .find(|known| *known != id && part(*known).is_some())
        .map(|known| (id, known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::WireKind;
    use crate::problem::Explain;

    fn seen(knock: &[u8], id: [u8; 3]) -> Seen {
        let mut seen = Seen::new(Pins::usual(WireKind::Spi, 22));
        seen.clock(1_000_000);
        seen.knock(knock);
        seen.id(id);
        seen
    }

    fn cause(seen: &Seen, looped_back: bool) -> String {
        failure(seen, looped_back, 10, true).explain().cause
    }

    #[test]
    fn constant_lines_and_echoes_are_no_ids() {
        for id in [[0; 3], [0xFF; 3], [0xD2; 3], [0, 0x60, 0x15], [0xEB, 0x60, 0x40], [0xEB, 0x60, 0x00]] {
            assert!(!plausible(id), "{id:02X?}");
        }
        assert!(plausible([0xEB, 0x60, 0x15]) && plausible([0x1C, 0x70, 0x15]));
    }

    #[test]
    fn every_real_id_of_the_table_is_plausible() {
        for part in crate::chip::parts().iter().filter(|part| part.name != "BK") {
            assert!(plausible(part.id), "{}", part.name);
        }
    }

    #[test]
    fn each_picture_names_its_wire() {
        assert!(cause(&seen(&[0xFF; 8], [0xFF; 3]), false).contains("nothing drives SO"));
        assert!(cause(&seen(&[0; 8], [0; 3]), false).contains("CEN"));
        assert!(cause(&seen(&[0xD2, 0, 0, 0], [0; 3]), false).contains("answered D2"));
        assert!(cause(&seen(&[0x52, 0xD2, 0xD2, 0], [0; 3]), false).contains("answered D2"));
        assert!(cause(&seen(&[0xD2; 8], [0xD2; 3]), false).contains("still echoes"));
        assert!(cause(&seen(&[0; 8], [0x12, 0x34, 0x56]), false).contains("loose contact"));
        assert!(cause(&seen(&[0; 8], [0; 3]), true).contains("SI and SO"));
    }

    #[test]
    fn a_known_id_moved_by_a_bit_is_recognised() {
        assert!(cause(&seen(&[0; 8], [0x0E, 0x38, 0x0A]), false).contains("1C 70 15"));
        assert!(cause(&seen(&[0; 8], [0x38, 0xE0, 0x2A]), false).contains("1C 70 15"));
    }

    #[test]
    fn ids_that_change_are_an_error_of_their_own() {
        let mut seen = seen(&[0xD2], [0xEB, 0x60, 0x15]);
        seen.unstable(&[[0xEB, 0x60, 0x15], [0xEB, 0x60, 0x14]]);
        assert!(
            matches!(failure(&seen, false, 10, true), DeviceError::UnstableId { ids, .. } if ids == "EB 60 15, EB 60 14")
        );
    }
}
