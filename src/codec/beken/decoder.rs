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
/// The largest N of any long frame but the answer to a sector read: opcode, status, address and a page.
const LONGEST_OTHER: usize = 2 + 4 + 256;
/// The opcodes that a sector is read with, the second with four address bytes on large parts (uart-protocol.md §6.2).
const SECTOR_READS: [u8; 2] = [0x09, 0xE9];
/// Unread bytes kept at most; older ones are dropped. Several of the largest frames fit.
const KEPT: usize = 32 * 1024;

/// A stream of bytes turned into replies. It never fails: what makes no sense is skipped, byte by byte. A damaged
/// header can claim what follows it as its own data; after at most one frame of good data the decoder is back in step.
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
    // A damaged length would otherwise keep the decoder waiting for thousands of bytes.
    if body_len > LONGEST_OTHER && body.first().is_some_and(|opcode| !SECTOR_READS.contains(opcode)) {
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
mod tests;
