//! Any bytes in any chunks: no panic, bounded memory, and back in step after one frame of good data.

#![no_main]

use bkbench::codec::beken::{Decoder, Reply};
use libfuzzer_sys::fuzz_target;

/// Larger than the largest frame, which is 4111 bytes.
const FRAME_LIMIT: usize = 4200;

fuzz_target!(|input: &[u8]| {
    let Some((chunk, stream)) = input.split_first() else { return };
    let mut decoder = Decoder::new();
    for bytes in stream.chunks(usize::from(*chunk) + 1) {
        decoder.push(bytes);
        while decoder.next().is_some() {}
        assert!(decoder.pending() < FRAME_LIMIT);
    }
    // A made-up header may claim the largest frame there is; the one behind it has to be read.
    let mut good = vec![0x04, 0x0E, 0xFF, 0x01, 0xE0, 0xFC, 0xF4, 0x06, 0x10, 0x09, 0x00];
    good.resize(good.len() + 4 + 4096, 0x5A);
    good.extend([0x04, 0x0E, 0x08, 0x01, 0xE0, 0xFC, 0x10, 1, 2, 3, 4]);
    decoder.push(&good);
    let last = std::iter::from_fn(|| decoder.next()).last();
    assert_eq!(last, Some(Reply::Short { opcode: 0x10, data: vec![1, 2, 3, 4] }));
    assert_eq!(decoder.pending(), 0);
});
