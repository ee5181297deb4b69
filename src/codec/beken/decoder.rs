//! Finds frames in whatever arrives: any chunking, noise in front and between, frames cut off in the middle.

use super::reply::Reply;

/// First two bytes of every frame from the chip.
const EVENT: [u8; 2] = [0x04, 0x0E];
/// What stands behind the length.
const COMMAND: [u8; 3] = [0x01, 0xE0, 0xFC];
/// The length byte of a long frame, and the byte behind its command bytes.
const LONG: u8 = 0xFF;
const LONG_MARK: u8 = 0xF4;
/// The largest N of a long frame: opcode, status, address and a sector.
const LONGEST_BODY: usize = 2 + 4 + 4096;
/// Unread bytes kept at most; older ones are dropped. Several of the largest frames fit.
const KEPT: usize = 32 * 1024;

/// A stream of bytes turned into replies. It never fails: what makes no sense is skipped, byte by byte.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were consumed.
    start: usize,
    skipped: u64,
}

/// What stands at the beginning of the unread bytes.
enum Found {
    /// A frame of so many bytes.
    Frame(usize, Reply),
    /// The beginning of a frame, so far.
    Partial,
    /// No frame starts here.
    Noise,
}

impl Decoder {
    /// An empty decoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
        if let Some(excess) = self.buffer.len().checked_sub(KEPT) {
            self.buffer.drain(..excess);
            self.skipped += excess as u64;
        }
    }

    /// The next whole frame, or `None` when more bytes are needed.
    #[expect(clippy::should_implement_trait, reason = "more frames may follow after None, unlike an iterator")]
    pub fn next(&mut self) -> Option<Reply> {
        loop {
            let unread = self.buffer.get(self.start..)?;
            if unread.is_empty() {
                return None;
            }
            match examine(unread) {
                Found::Frame(len, reply) => {
                    self.start += len;
                    return Some(reply);
                }
                Found::Partial => return None,
                Found::Noise => {
                    self.start += 1;
                    self.skipped += 1;
                }
            }
        }
    }

    /// Forgets everything received: after a time-out the rest of a torn frame must not swallow the next one.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.start = 0;
    }

    /// Bytes received and not part of any frame yet.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Bytes skipped as noise since the beginning.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }
}

fn examine(bytes: &[u8]) -> Found {
    let fixed = [Some(EVENT[0]), Some(EVENT[1]), None, Some(COMMAND[0]), Some(COMMAND[1]), Some(COMMAND[2])];
    let fits = fixed.iter().zip(bytes).all(|(fixed, byte)| fixed.is_none_or(|fixed| fixed == *byte));
    if !fits {
        return Found::Noise;
    }
    let (Some(length), Some(rest)) = (bytes.get(2), bytes.get(6..)) else { return Found::Partial };
    if *length == LONG { examine_long(rest) } else { examine_short(*length, rest) }
}

fn examine_short(length: u8, rest: &[u8]) -> Found {
    // The length counts the three command bytes and the opcode.
    let Some(body_len) = usize::from(length).checked_sub(3).filter(|len| *len > 0) else { return Found::Noise };
    match rest.get(..body_len).and_then(|body| body.split_first()) {
        Some((opcode, data)) => Found::Frame(6 + body_len, Reply::Short { opcode: *opcode, data: data.to_vec() }),
        None => Found::Partial,
    }
}

fn examine_long(rest: &[u8]) -> Found {
    if rest.first().is_some_and(|mark| *mark != LONG_MARK) {
        return Found::Noise;
    }
    let [_, low, high, body @ ..] = rest else { return Found::Partial };
    let body_len = usize::from(u16::from_le_bytes([*low, *high]));
    if !(2..=LONGEST_BODY).contains(&body_len) {
        return Found::Noise;
    }
    match body.get(..body_len) {
        Some([opcode, status, data @ ..]) => {
            Found::Frame(9 + body_len, Reply::Long { opcode: *opcode, status: *status, data: data.to_vec() })
        }
        _ => Found::Partial,
    }
}

#[cfg(test)]
mod tests {
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
        let long = (any::<u8>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..4100))
            .prop_map(|(opcode, status, data)| Reply::Long { opcode, status, data });
        proptest::collection::vec(prop_oneof![3 => short, 1 => long], 1..6)
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
        assert_eq!(all(&mut decoder), []);
        assert_eq!(decoder.pending(), 0);
    }
}
