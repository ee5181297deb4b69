//! What a data point probably means. The store has no names, so this is a guess: from the words of an enumeration, from
//! the numbers that Tuya's standard categories give to points, together with their types and ranges, and for a maker's
//! own numbers (from 101 on) from the range alone. A guess is *likely* at most.

use serde::Serialize;

use super::datapoints::{Content, DataPoint, Mode};
use crate::units::Verdict;

/// A guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// In words.
    #[serde(rename = "meaning")]
    pub name: &'static str,
    /// What it is, for those who act on it.
    #[serde(skip)]
    pub what: What,
    /// How sure: likely or unsure.
    pub verdict: Verdict,
    /// What the guess rests on.
    pub why: &'static str,
}

/// The quantities and functions that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A relay or a light's main switch.
    Switch,
    /// Brightness.
    Brightness,
    /// Colour temperature of a light.
    ColourTemperature,
    /// Seconds until something switches.
    Countdown,
    /// Voltage, in volts after scaling.
    Voltage,
    /// Current; in milliamperes without decimal places, else in amperes.
    Current,
    /// Power; in watts up to one decimal place, else in kilowatts.
    Power,
    /// Energy in kilowatt hours.
    Energy,
    /// Power factor.
    PowerFactor,
    /// Mains frequency in hertz.
    Frequency,
    /// Temperature in degrees.
    Temperature,
    /// Humidity in percent.
    Humidity,
    /// Battery in percent.
    Battery,
    /// State after the power returns.
    PowerOnState,
    /// Something else, named only.
    Other,
}

const fn likely(what: What, name: &'static str, why: &'static str) -> Option<Meaning> {
    Some(Meaning { name, what, verdict: Verdict::Likely, why })
}

const fn unsure(what: What, name: &'static str, why: &'static str) -> Option<Meaning> {
    Some(Meaning { name, what, verdict: Verdict::Unsure, why })
}

/// The number from which on makers number points as they like.
const OWN: u8 = 101;
const BY_WORDS: &str = "the words of its own enumeration";
const BY_CATEGORY: &str = "number, type and range of Tuya's standard category";
const BY_RANGE: &str = "its range alone";

/// What a point of this list probably means.
pub fn guess(points: &[DataPoint], point: &DataPoint) -> Option<Meaning> {
    match &point.content {
        Content::Enum(range) => by_words(range, point),
        Content::Bool => switch(points, point),
        Content::Value { min, max, scale, .. } => value(points, point, *min, *max, *scale),
        Content::Bitmap(_) => likely(What::Other, "faults", "bits that the device reports"),
        Content::Text(_) | Content::Raw(_) | Content::Other(_) => text(points, point),
    }
}

fn by_words(range: &[String], point: &DataPoint) -> Option<Meaning> {
    let has = |words: &[&str]| words.iter().all(|word| range.iter().any(|known| known == word));
    let other = |name| likely(What::Other, name, BY_WORDS);
    if range.iter().map(String::as_str).eq(["off", "on", "memory"]) {
        return likely(What::PowerOnState, "state after power returns", BY_WORDS);
    }
    if has(&["memory"]) || has(&["power_off", "power_on"]) {
        return other("state after power returns");
    }
    if has(&["none", "relay", "pos"]) {
        return other("what the indicator LED shows");
    }
    if has(&["white", "colour"]) {
        return other("mode of the light");
    }
    if has(&["open", "stop", "close"]) {
        return other("curtain: open, stop, close");
    }
    if has(&["forward", "back"]) {
        return other("direction of the motor");
    }
    if has(&["c", "f"]) {
        return other("unit of the temperature");
    }
    if has(&["low", "middle", "high"]) && point.mode == Mode::Report {
        return other("state of the battery");
    }
    if has(&["flip", "sync"]) {
        return other("kind of wall switch");
    }
    if has(&["led", "incandescent"]) {
        return other("kind of lamp");
    }
    None
}

fn is_bool(points: &[DataPoint], id: u8) -> bool {
    points.iter().any(|point| point.id == id && point.content == Content::Bool && point.is_writable())
}

fn is_light(points: &[DataPoint]) -> bool {
    let mode =
        |point: &DataPoint| matches!(&point.content, Content::Enum(range) if range.iter().any(|word| word == "white"));
    points.iter().any(|point| point.id == 21 && mode(point))
}

fn is_curtain(points: &[DataPoint]) -> bool {
    points.iter().any(|point| {
        point.id == 1 && matches!(&point.content, Content::Enum(range) if range.iter().any(|word| word == "stop"))
    })
}

fn switch(points: &[DataPoint], point: &DataPoint) -> Option<Meaning> {
    if !point.is_writable() || is_curtain(points) {
        return None;
    }
    match point.id {
        20 if is_light(points) => likely(What::Switch, "light on or off", BY_CATEGORY),
        // Switches are numbered from 1 on without a gap.
        id @ 1..=8 if (1..=id).all(|lower| is_bool(points, lower)) => likely(What::Switch, "switch", BY_CATEGORY),
        OWN.. => unsure(What::Switch, "switch", "a writable bool of the maker's own"),
        _ => None,
    }
}

/// Whether the list has what meters of Tuya's standard categories have: current, power and voltage as 18, 19, 20.
fn is_meter(points: &[DataPoint]) -> bool {
    let known = [(18, 0), (19, 1), (20, 1)];
    let there = |(id, scale): &(u8, u8)| {
        let fits = |content: &Content| matches!(content, Content::Value { scale: other, .. } if other == scale);
        points.iter().any(|point| point.id == *id && point.mode == Mode::Report && fits(&point.content))
    };
    known.iter().filter(|known| there(known)).count() >= 2
}

fn value(points: &[DataPoint], point: &DataPoint, min: i64, max: i64, scale: u8) -> Option<Meaning> {
    if point.is_writable() {
        return setting(points, point.id, min, max, scale);
    }
    if is_meter(points) {
        let known = match (point.id, scale) {
            (17, 2..=3) => likely(What::Energy, "energy", BY_CATEGORY),
            (18, 0) => likely(What::Current, "current in mA", BY_CATEGORY),
            (19, 1) => likely(What::Power, "power", BY_CATEGORY),
            (20, 1) => likely(What::Voltage, "voltage", BY_CATEGORY),
            (21, 0) => likely(What::Other, "production test", BY_CATEGORY),
            (22..=25, 0) => likely(What::Other, "calibration coefficient", BY_CATEGORY),
            _ => None,
        };
        if known.is_some() {
            return known;
        }
    }
    measured(points, point.id, min, max, scale)
}

/// A value that the device measures.
fn measured(points: &[DataPoint], id: u8, min: i64, max: i64, scale: u8) -> Option<Meaning> {
    let percent = |id: u8| {
        points
            .iter()
            .any(|point| point.id == id && matches!(point.content, Content::Value { min: 0, max: 100, scale: 0, .. }))
    };
    match (id, min, max, scale) {
        (1, ..0, 300..=2000, 1) if percent(2) => likely(What::Temperature, "temperature", BY_CATEGORY),
        (2, 0, 100, 0)
            if points
                .iter()
                .any(|point| point.id == 1 && matches!(point.content, Content::Value { min: ..0, scale: 1, .. })) =>
        {
            likely(What::Humidity, "humidity", BY_CATEGORY)
        }
        (4, 0, 100, 0) if percent(2) => likely(What::Battery, "battery", BY_CATEGORY),
        (_, 0, 2400..=5000, 1) => unsure(What::Voltage, "voltage", BY_RANGE),
        (_, 0, 60..=80, 0) => unsure(What::Frequency, "mains frequency", BY_RANGE),
        (_, 0, 0..=100, 2) => unsure(What::PowerFactor, "power factor", BY_RANGE),
        (_, 0, 1_000_000_000.., 2..=3) => unsure(What::Energy, "energy", BY_RANGE),
        (_, 0, 100_000..=99_999_999, 3) => unsure(What::Current, "current", BY_RANGE),
        (_, ..0, 100_000.., 3) => unsure(What::Power, "active power", BY_RANGE),
        (_, ..0, 300..=2000, 1) => unsure(What::Temperature, "temperature", BY_RANGE),
        _ => None,
    }
}

/// A value that the firmware may set.
fn setting(points: &[DataPoint], id: u8, min: i64, max: i64, scale: u8) -> Option<Meaning> {
    match (id, min, max, scale) {
        (_, 0, 86_400 | 86_399 | 43_200, 0) => likely(What::Countdown, "countdown in seconds", BY_RANGE),
        (22, 0..=25, 1000, 0) if is_light(points) => likely(What::Brightness, "brightness", BY_CATEGORY),
        (23, 0, 1000, 0) if is_light(points) => likely(What::ColourTemperature, "colour temperature", BY_CATEGORY),
        (2, 0..=25, 1000 | 255, 0) if is_bool(points, 1) => likely(What::Brightness, "brightness", BY_CATEGORY),
        (3, 0..=25, 1000 | 255, 0) if is_bool(points, 1) => likely(What::Other, "lowest brightness", BY_CATEGORY),
        (2, 0, 100, 0) if is_curtain(points) => {
            likely(What::Other, "curtain: position to go to, in percent", BY_CATEGORY)
        }
        _ => None,
    }
}

fn text(points: &[DataPoint], point: &DataPoint) -> Option<Meaning> {
    let light = is_light(points);
    match point.id {
        24 if light => likely(What::Other, "colour", BY_CATEGORY),
        25 if light => likely(What::Other, "scene", BY_CATEGORY),
        27 if light => likely(What::Other, "music", BY_CATEGORY),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: u8, mode: Mode, content: Content) -> DataPoint {
        DataPoint { id, mode, kind: "obj".to_owned(), content }
    }

    fn number(id: u8, min: i64, max: i64, scale: u8) -> DataPoint {
        named(id, Mode::Report, Content::Value { min, max, scale, step: 1 })
    }

    #[test]
    fn no_guess_is_more_than_likely() {
        let words = |list: &[&str]| Content::Enum(list.iter().map(|word| (*word).to_owned()).collect());
        let mut points = vec![
            named(1, Mode::Both, Content::Bool),
            named(14, Mode::Both, words(&["off", "on", "memory"])),
            number(17, 0, 50_000, 3),
            number(18, 0, 30_000, 0),
            number(19, 0, 80_000, 1),
            number(20, 0, 5000, 1),
            number(101, 0, 5000, 1),
            named(102, Mode::Both, Content::Bool),
        ];
        points.extend((200..=210).map(|id| number(id, -5, 1 << (id - 190), id % 5)));
        let found: Vec<Option<Meaning>> = points.iter().map(|point| guess(&points, point)).collect();
        assert!(found.iter().flatten().all(|meaning| matches!(meaning.verdict, Verdict::Likely | Verdict::Unsure)));
        let names: Vec<Option<&str>> =
            found.iter().take(8).map(|meaning| meaning.map(|meaning| meaning.name)).collect();
        let expected =
            ["switch", "state after power returns", "energy", "current in mA", "power", "voltage", "voltage", "switch"];
        assert_eq!(names, expected.map(Some));
        assert_eq!(found[5].unwrap().verdict, Verdict::Likely);
        assert_eq!(found[6].unwrap().verdict, Verdict::Unsure, "a maker's own number tells nothing");
    }

    #[test]
    fn the_same_numbers_without_their_company_mean_nothing() {
        let alone = [number(18, 0, 30_000, 0)];
        assert_eq!(guess(&alone, &alone[0]), None);
        let gap = [named(2, Mode::Both, Content::Bool)];
        assert_eq!(guess(&gap, &gap[0]), None);
    }
}
