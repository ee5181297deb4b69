//! Whatever the bytes are, nothing in `image` panics, and the map always covers the file.

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::Finding;
use super::code::{self, CodeKey, VECTOR};
use super::{code::APP_LOGICAL, firmware, inspect, plausible, region, rf, samples, search, votes};

fn examine(bytes: &[u8]) {
    let found = inspect::inspect(bytes);
    serde_json::to_string(&found).unwrap();
    serde_json::to_string(&firmware::identify(bytes)).unwrap();
    assert!(!found.text().contains('\x1B') && !firmware::identify(bytes).text().contains('\x1B'));
    let covered: u64 = region::regions(bytes).iter().map(|region| u64::from(region.span.len)).sum();
    assert_eq!(covered, bytes.len() as u64);
    votes::decide(&votes::flash_votes(bytes));
    plausible::check(bytes);
    for at in [0, 1, 0x1E_0000, u32::MAX] {
        rf::find(bytes, at);
        search::text_around(bytes, at, 80);
    }
}

/// Bytes that get past the first check: real beginnings with anything behind them.
fn convincing() -> impl Strategy<Value = Vec<u8>> {
    let program = |key: CodeKey, at| {
        let mut code = VECTOR.to_le_bytes().repeat(8);
        key.apply(&mut code, at);
        code::pack(&code)
    };
    let starts = vec![
        Vec::new(),
        b"RBL\0".to_vec(),
        vec![0x55, 0xAA, 0x55, 0xAA],
        b"CFG".to_vec(),
        program(CodeKey::TUYA, 0),
        program(CodeKey::TUYA, APP_LOGICAL),
        program(CodeKey::NONE, 0),
    ];
    let rest = prop::collection::vec(any::<u8>(), 0..3000);
    let marks = prop::collection::vec(
        (prop::sample::select(vec![&b"RBL\0"[..], b"TLV\0", b"01PE", b"EF40"]), 0usize..3000),
        0..4,
    );
    (prop::sample::select(starts), rest, marks).prop_map(|(mut bytes, rest, marks)| {
        bytes.extend(rest);
        for (mark, at) in marks {
            if let Some(place) = bytes.get_mut(at..at + mark.len()) {
                place.copy_from_slice(mark);
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn on_random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
        examine(&bytes);
    }

    #[test]
    fn on_convincing_bytes(bytes in convincing()) {
        examine(&bytes);
    }
}

#[test]
fn on_cut_and_damaged_samples() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let samples = samples::all();
    if samples.is_empty() {
        return;
    }
    let strategy = (
        0..samples.len(),
        any::<prop::sample::Index>(),
        prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 0..20),
    );
    for _ in 0..samples::cases(12, 1000) {
        let (number, len, flips) = strategy.new_tree(&mut runner).unwrap().current();
        let mut bytes = samples[number].bytes.clone();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        bytes.truncate(len.index(bytes.len()));
        examine(&bytes);
        let right = samples[number].expected["chip"].as_str();
        let told = firmware::identify(&bytes);
        let proven = told.family.filter(|_| told.verdict == crate::units::Verdict::Proven);
        assert!(proven.is_none_or(|chip| Some(chip.name()) == right), "{}: a wrong proven chip", samples[number].name);
    }
}

/// Every sample cut and damaged where the Tuya data is: what is still told must be true or have its damage named.
#[test]
fn damage_never_changes_a_pin_in_silence() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let index = any::<prop::sample::Index>;
    for sample in samples::dumps() {
        let whole = inspect::inspect(&sample.bytes);
        let expected = whole.tuya.as_ref().and_then(|tuya| tuya.user_param_key.clone()).unwrap_or_default();
        let tail = sample.bytes.len().saturating_sub(0x3_0000);
        let strategy = (index(), prop::collection::vec((index(), 0..8_u8), 0..30), 0..3_u8);
        for _ in 0..samples::cases(8, 300) {
            let (len, flips, shape) = strategy.new_tree(&mut runner).unwrap().current();
            let mut bytes = sample.bytes.clone();
            for (at, bit) in flips {
                let at = tail + at.index(bytes.len() - tail);
                bytes[at] ^= 1 << bit;
            }
            let size = bytes.len();
            match shape {
                0 => bytes.truncate(tail + len.index(size - tail)),
                1 => bytes.rotate_left(len.index(size)),
                _ => drop(bytes.drain(..len.index(size))),
            }
            let found = inspect::inspect(&bytes);
            let right = sample.expected["chip"].as_str();
            let chip = found.chip.filter(|_| found.verdict == crate::units::Verdict::Proven);
            assert!(chip.is_none_or(|chip| Some(chip.name()) == right), "{}: a wrong proven chip", sample.name);
            let Some(tuya) = &found.tuya else { continue };
            let told = found
                .problems
                .iter()
                .any(|problem| [Finding::REPAIRED_PARAM, Finding::UNCHECKED_PARAM].contains(&problem.code));
            for (name, value) in tuya.user_param_key.iter().flat_map(|param| &param.pairs) {
                let same = expected.get(name) == Some(value);
                let source = tuya.user_param_key_source;
                assert!(same || told, "{}: {name} from {source:?} changed and nothing tells", sample.name);
            }
        }
    }
}
