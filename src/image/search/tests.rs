use proptest::prelude::*;

use super::*;
use crate::image::samples;

fn naive(bytes: &[u8], needle: &[(u8, u8)]) -> Vec<(u32, u32)> {
    if needle.is_empty() {
        return Vec::new();
    }
    let fits = |window: &[u8]| window.iter().zip(needle).all(|(byte, (value, mask))| byte & mask == value & mask);
    let starts = bytes.windows(needle.len()).enumerate().filter(|(_, window)| fits(window));
    starts.map(|(at, _)| (at as u32, needle.len() as u32)).collect()
}

fn plain(needle: &[u8]) -> Vec<(u8, u8)> {
    needle.iter().map(|byte| (*byte, 0xFF)).collect()
}

proptest! {
    #[test]
    fn byte_search_equals_a_naive_search(
        bytes in prop::collection::vec(0u8..3, 0..400),
        needle in prop::collection::vec(0u8..3, 0..7),
        keep in 0usize..50,
    ) {
        let expected = naive(&bytes, &plain(&needle));
        let found = find_all(&bytes, &Pattern::Bytes(needle), keep);
        prop_assert_eq!(found.total, expected.len());
        prop_assert_eq!(&found.offsets[..], &expected[..keep.min(expected.len())]);
    }

    #[test]
    fn masked_search_equals_a_naive_search(
        bytes in prop::collection::vec(prop::sample::select(vec![0u8, 1, 0x10, 0x11]), 0..300),
        needle in prop::collection::vec(
            (prop::sample::select(vec![0u8, 1, 0x10, 0x11]), prop::sample::select(vec![0u8, 0x0F, 0xF0, 0xFF])), 0..6),
    ) {
        let expected = naive(&bytes, &needle);
        let found = find_all(&bytes, &Pattern::Masked(needle.clone()), usize::MAX);
        prop_assert_eq!(found.total, expected.len());
        prop_assert_eq!(found.offsets, expected);
    }

    #[test]
    fn text_around_holds_the_offset_and_never_more_than_asked(
        bytes in prop::collection::vec(0x1Eu8..0x22, 0..100), offset in 0u32..120, max in 0usize..40,
    ) {
        let text = text_around(&bytes, offset, max);
        prop_assert!(text.text.len() <= max);
        prop_assert_eq!(text.span.len as usize, text.text.len());
        prop_assert!(text.span.is_empty() || text.span.contains(offset));
    }
}

#[test]
fn long_repetitive_stretches_are_counted_exactly() {
    let mut bytes = vec![0xFF; 1000];
    bytes[500] = 0;
    for needle in [&[0xFF][..], &[0xFF, 0xFF], &[0xFF; 65], &[0xFF, 0, 0xFF]] {
        let found = find_all(&bytes, &Pattern::Bytes(needle.to_vec()), usize::MAX);
        assert_eq!(found.offsets, naive(&bytes, &plain(needle)));
    }
    let pairs = b"abababab".repeat(50);
    let found = find_all(&pairs, &Pattern::text("aba").unwrap(), usize::MAX);
    assert_eq!(found.offsets, naive(&pairs, &plain(b"aba")));
}

#[test]
fn sample_searches_equal_a_naive_search() {
    for sample in samples::all() {
        for text in ["pin", "rl1", "ÿ"] {
            let found = find_all(&sample.bytes, &Pattern::text(text).unwrap(), usize::MAX);
            assert_eq!(found.offsets, naive(&sample.bytes, &plain(text.as_bytes())), "{} {text}", sample.name);
        }
    }
}

#[test]
fn hex_patterns_take_wildcards_and_optional_blanks() {
    let bytes = [0x55, 0xAA, 0x00, 0x17, 0x55, 0x12, 0x34, 0x1F];
    let offsets = |pattern: &str| find_all(&bytes, &Pattern::hex(pattern).unwrap(), 9).offsets;
    assert_eq!(offsets("55 ?? ?? 1?"), [(0, 4), (4, 4)]);
    assert_eq!(offsets("55AA"), [(0, 2)]);
    assert_eq!(offsets("?7"), [(3, 1)]);
    for (pattern, culprit) in [("5", "5"), ("55 4G", "4G"), ("zz", "zz"), ("55 é1", "é1")] {
        let error = Pattern::hex(pattern).unwrap_err();
        assert_eq!(error, PatternError::NotHex(culprit.into()));
        assert_eq!(error.explain().class, Class::Usage);
    }
}

#[test]
fn an_empty_pattern_is_refused() {
    for empty in [Pattern::text(""), Pattern::utf16(""), Pattern::hex(" "), Pattern::regex("")] {
        assert_eq!(empty.unwrap_err(), PatternError::Empty);
    }
    assert_eq!(find_all(b"abc", &Pattern::Bytes(Vec::new()), 9), Hits::default());
    assert_eq!(find_all(b"abc", &Pattern::Masked(Vec::new()), 9), Hits::default());
}

#[test]
fn utf16_text_is_found_as_little_endian_pairs() {
    let found = find_all(b"..p\0i\0n\0", &Pattern::utf16("pin").unwrap(), 9);
    assert_eq!(found.offsets, [(2, 6)]);
}

#[test]
fn regular_expressions_work_on_raw_bytes() {
    let found = find_all(b"rl1_pin:6,\xFF\xFErl22_pin:26", &Pattern::regex(r"rl\d+_pin:[0-9]+").unwrap(), 1);
    assert_eq!((found.total, found.offsets), (2, vec![(0, 9)]));
    assert_eq!(find_all(&[0, 0xFF, 0], &Pattern::regex(r"\xFF").unwrap(), 9).offsets, [(1, 1)]);
    assert_eq!(find_all(b"aaa", &Pattern::regex("b*").unwrap(), 9).total, 0);
    assert!(matches!(Pattern::regex("(").unwrap_err(), PatternError::NotRegex(_)));
}

#[test]
fn the_text_around_a_hit_is_shown_whole() {
    let bytes = b"\0\0{rl1_pin:6,crc:5}\0";
    let text = text_around(bytes, 7, 100);
    assert_eq!((text.text.as_str(), text.span), ("{rl1_pin:6,crc:5}", Span::new(2, 17)));
    assert_eq!(text_around(bytes, 0, 100).text, "");
    assert_eq!(text_around(bytes, 99, 100).text, "");
    assert_eq!(text_around(bytes, 7, 6).span, Span::new(4, 6));
}

/// Hits of the first of `words` that stands at a place, from left to right, none inside another.
fn naive_words(bytes: &[u8], words: &[Vec<u8>]) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match words.iter().find(|word| bytes[at..].starts_with(word)) {
            Some(word) => {
                found.push((at as u32, word.len() as u32));
                at += word.len();
            }
            None => at += 1,
        }
    }
    found
}

proptest! {
    #[test]
    fn text_and_utf16_search_equal_a_naive_search(
        pieces in prop::collection::vec(prop::sample::select(vec!["p", "pi", "é", "日", "\0", "n"]), 0..60),
        text in prop::collection::vec(prop::sample::select(vec!["p", "i", "é", "n", "日"]), 1..7),
    ) {
        let (content, text) = (pieces.concat(), text.concat());
        let expected = naive(content.as_bytes(), &plain(text.as_bytes()));
        prop_assert_eq!(find_all(content.as_bytes(), &How::Text.pattern(&text).unwrap(), usize::MAX).offsets, expected);
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let expected = naive(&wide(&content), &plain(&wide(&text)));
        prop_assert_eq!(find_all(&wide(&content), &How::Utf16.pattern(&text).unwrap(), usize::MAX).offsets, expected);
    }

    #[test]
    fn hex_as_it_is_typed_equals_a_naive_search(
        bytes in prop::collection::vec(prop::sample::select(vec![0u8, 1, 0x10, 0x11, 0xFF]), 0..400),
        needle in prop::collection::vec(
            (prop::sample::select(vec![0u8, 1, 0x10, 0x11, 0xFF]), prop::sample::select(vec![0u8, 0x0F, 0xF0, 0xFF, 0xFF])),
            1..20),
        keep in 0usize..60,
    ) {
        let nibble = |value: u8, mask: u8| if mask & 0xF == 0 { "?".to_owned() } else { format!("{:x}", value & 0xF) };
        let typed: Vec<String> = needle
            .iter()
            .map(|(value, mask)| nibble(value >> 4, mask >> 4) + &nibble(*value, *mask))
            .collect();
        let expected = naive(&bytes, &needle);
        let found = find_all(&bytes, &How::Hex.pattern(&typed.join(" ")).unwrap(), keep);
        prop_assert_eq!(found.total, expected.len());
        prop_assert_eq!(&found.offsets[..], &expected[..keep.min(expected.len())]);
    }

    #[test]
    fn a_regular_expression_of_words_equals_a_naive_search(
        bytes in prop::collection::vec(prop::sample::select(vec![b'a', b'b', 0u8, 0xFF]), 0..300),
        words in prop::collection::vec(prop::collection::vec(prop::sample::select(vec![b'a', b'b', 0u8, 0xFF]), 1..4), 1..4),
    ) {
        let word = |word: &Vec<u8>| word.iter().map(|byte| format!("\\x{byte:02X}")).collect::<String>();
        let typed = words.iter().map(word).collect::<Vec<_>>().join("|");
        let found = find_all(&bytes, &How::Regex.pattern(&typed).unwrap(), usize::MAX);
        prop_assert_eq!(found.offsets, naive_words(&bytes, &words));
    }

    #[test]
    fn a_regular_expression_of_repeats_equals_a_naive_search(
        bytes in prop::collection::vec(prop::sample::select(vec![b'a', b'b', b'\n', 0x80u8]), 0..300),
        least in 1usize..4, more in 0usize..4,
    ) {
        // `.` is every byte but a line feed, and takes as many as it may.
        let mut expected = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let run = bytes[at..].iter().take_while(|byte| **byte != b'\n').count().min(least + more);
            if run >= least {
                expected.push((at as u32, run as u32));
            }
            at += if run >= least { run } else { 1 };
        }
        let typed = format!(".{{{least},{}}}", least + more);
        let found = find_all(&bytes, &How::Regex.pattern(&typed).unwrap(), usize::MAX);
        prop_assert_eq!(found.offsets, expected);
    }
}
