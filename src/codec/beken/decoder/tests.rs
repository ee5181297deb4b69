use proptest::prelude::*;

use super::*;

fn frame(reply: &Reply) -> Vec<u8> {
    match reply {
        Reply::Short { opcode, data } => {
            let mut bytes = vec![0x04, 0x0E, data.len() as u8 + 4, 0x01, 0xE0, 0xFC, *opcode];
            bytes.extend_from_slice(data);
            bytes
        }
        Reply::Long { opcode, status, data } => {
            let [low, high] = (data.len() as u16 + 2).to_le_bytes();
            let mut bytes = vec![0x04, 0x0E, 0xFF, 0x01, 0xE0, 0xFC, 0xF4, low, high, *opcode, *status];
            bytes.extend_from_slice(data);
            bytes
        }
    }
}

fn all(decoder: &mut Decoder) -> Vec<Reply> {
    std::iter::from_fn(|| decoder.next()).collect()
}

fn replies() -> impl Strategy<Value = Vec<Reply>> {
    let short = (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..64))
        .prop_map(|(opcode, data)| Reply::Short { opcode, data });
    let long = (any::<u8>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..260))
        .prop_map(|(opcode, status, data)| Reply::Long { opcode, status, data });
    let sector = (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..4100))
        .prop_map(|(status, data)| Reply::Long { opcode: 0x09, status, data });
    proptest::collection::vec(prop_oneof![3 => short, 1 => long, 1 => sector], 1..6)
}

/// Bytes among which no frame can start.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>().prop_map(|byte| if byte == 0x04 { 0x05 } else { byte }), 0..40)
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_replies(replies in replies(), cuts in proptest::collection::vec(1_usize..700, 1..40)) {
        let bytes: Vec<u8> = replies.iter().flat_map(frame).collect();
        let mut decoder = Decoder::new();
        let mut seen = Vec::new();
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            let (chunk, later) = rest.split_at((*cut).min(rest.len()));
            decoder.push(chunk);
            seen.extend(all(&mut decoder));
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(seen, replies);
        prop_assert_eq!(decoder.pending(), 0);
        prop_assert_eq!(decoder.skipped(), 0);
    }

    #[test]
    fn noise_between_frames_is_skipped(replies in replies(), noise in noise()) {
        let mut decoder = Decoder::new();
        let mut seen = Vec::new();
        for reply in &replies {
            decoder.push(&noise);
            decoder.push(&frame(reply));
            seen.extend(all(&mut decoder));
        }
        prop_assert_eq!(seen, replies);
    }

    #[test]
    fn arbitrary_bytes_never_grow_the_buffer(bytes in proptest::collection::vec(any::<u8>(), 0..3000), rounds in 1_usize..40) {
        let mut decoder = Decoder::new();
        for _ in 0..rounds {
            decoder.push(&bytes);
            prop_assert!(decoder.pending() <= KEPT);
        }
        all(&mut decoder);
        prop_assert!(decoder.pending() <= 9 + LONGEST_BODY);
    }

    #[test]
    fn a_cleared_decoder_reads_the_next_frame_whatever_came_before(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = Decoder::new();
        decoder.push(&bytes);
        all(&mut decoder);
        decoder.clear();
        let reply = Reply::Short { opcode: 0x01, data: vec![0] };
        decoder.push(&frame(&reply));
        prop_assert_eq!(all(&mut decoder), vec![reply]);
    }
}

/// Pieces of what a disturbed line delivers: noise, frames cut off or with a byte lost, flipped or doubled, and headers
/// that announce anything.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let noise = proptest::collection::vec(any::<u8>(), 0..48);
    let header = any::<[u8; 5]>().prop_map(|[length, mark, low, high, opcode]| {
        let mark = if mark < 0xE0 { 0xF4 } else { mark };
        let length = if length < 0xA0 { 0xFF } else { length };
        vec![0x04, 0x0E, length, 0x01, 0xE0, 0xFC, mark, low, high % 0x12, if opcode < 0x80 { 0x09 } else { opcode }]
    });
    let short = (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..12))
        .prop_map(|(opcode, data)| Reply::Short { opcode, data });
    let long = (any::<u8>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(opcode, status, data)| Reply::Long { opcode, status, data });
    let damaged = (prop_oneof![short, long], any::<u16>(), 0_u8..5).prop_map(|(reply, place, how)| {
        let mut bytes = frame(&reply);
        let place = usize::from(place) % bytes.len();
        match how {
            0 => drop(bytes.remove(place)),
            1 => bytes[place] ^= 0x10,
            2 => bytes.insert(place, bytes[place]),
            3 => bytes.truncate(place),
            _ => {}
        }
        bytes
    });
    proptest::collection::vec(prop_oneof![1 => noise, 1 => header, 3 => damaged], 0..10)
        .prop_map(|pieces| pieces.concat())
}

/// 2,000 streams usually, the full million with `BKBENCH_LONG=1`.
fn streams() -> u32 {
    if std::env::var_os("BKBENCH_LONG").is_some() { 1_000_000 } else { 2_000 }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(streams()) })]

    #[test]
    fn after_any_stream_one_frame_of_good_data_is_enough(stream in pieces(), chunk in 1_usize..200) {
        let mut decoder = Decoder::new();
        for bytes in stream.chunks(chunk) {
            decoder.push(bytes);
            all(&mut decoder);
            prop_assert!(decoder.pending() <= 9 + LONGEST_BODY, "{} bytes are waiting", decoder.pending());
        }
        // The largest frame there is may be lost to a header that was made up; the one behind it may not.
        let largest = Reply::Long { opcode: 0x09, status: 0, data: vec![0x5A; 4 + 4096] };
        let next = Reply::Short { opcode: 0x10, data: vec![1, 2, 3, 4] };
        for reply in [&largest, &next] {
            decoder.push(&frame(reply));
        }
        prop_assert!(decoder.pending() <= KEPT);
        let seen = all(&mut decoder);
        prop_assert_eq!(seen.last(), Some(&next));
        prop_assert_eq!(decoder.pending(), 0);
    }
}

#[test]
fn a_frame_cut_off_in_its_header_does_not_hide_the_next_one() {
    let mut decoder = Decoder::new();
    for cut in 1..6 {
        let link_check = [0x04, 0x0E, 0x05, 0x01, 0xE0, 0xFC, 0x01, 0x00];
        decoder.push(&link_check[..cut]);
        decoder.push(&link_check);
        assert_eq!(all(&mut decoder), [Reply::Short { opcode: 0x01, data: vec![0] }], "cut after {cut}");
    }
}

#[test]
fn impossible_lengths_are_noise() {
    let mut decoder = Decoder::new();
    decoder.push(&[0x04, 0x0E, 0x03, 0x01, 0xE0, 0xFC]);
    decoder.push(&[0x04, 0x0E, 0xFF, 0x01, 0xE0, 0xFC, 0xF4, 0x07, 0x10, 0x09, 0x00]);
    decoder.push(&[0x04, 0x0E, 0xFF, 0x01, 0xE0, 0xFC, 0xF5, 0x06, 0x10, 0x09, 0x00]);
    decoder.push(&[0x04, 0x0E, 0xFF, 0x01, 0xE0, 0xFC, 0xF4, 0x01, 0x00, 0x09]);
    decoder.push(&[0x04, 0x0E, 0xFF, 0x01, 0xE0, 0xFC, 0xF4, 0x06, 0x10, 0x07]);
    assert_eq!(all(&mut decoder), []);
    assert_eq!(decoder.pending(), 0);
}
