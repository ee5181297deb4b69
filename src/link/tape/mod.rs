//! Transcripts: every byte of a link with its time, recorded (`record=FILE` on any link) and played back
//! (`replay:FILE`).
//!
//! # The format
//!
//! Lines of text. It is a superset of hand-made transcripts, which have only the lines with `#`, `>` and `<`.
//!
//! | line | meaning |
//! |---|---|
//! | `# words` | for people; the first line of a recording is `# bkbench transcript 1` |
//! | `link uart:/dev/ttyUSB0?reset=rts` | the link that was recorded, `wire uart`, `detail words`, `simulated yes`, `reset words`, `longest 4096` what it was; a bare flash chip is `wire nor` |
//! | `> 01 E0 FC 01 00` | bytes from the host to the chip, hex |
//! | `< 04 0E 05` | bytes that one look at the port brought; none: nothing came for as long as was waited. `(nothing)` is none too |
//! | `spi 9F 00 00 00 / FF EB 60 15` | one chip-select frame: sent, and what came back |
//! | `baud 921600`, `discard`, `sleep` | the host changed its rate, threw away its input, let time pass |
//! | `clock 8000000 7812500`, `mode 0` | the SPI clock asked for and the one in force; the SPI mode |
//! | `hold`, `release` | CEN low, and let go |
//! | `idle` | the program did something else for a while: between two such lines there may be a sign of life for the loader |
//! | `end` | the link was closed. A recording without it was cut off |
//!
//! A line may begin with the time in seconds since the link was opened, at the end of what it tells: `1.250031 < 04 0E`. It
//! may end with a failure: `< ! gone: the port closed`.
//!
//! **A transcript holds what was read: flash content, and with it Wi-Fi passwords and keys.** The file is made readable
//! for its owner only; it is nothing to hand on.

mod error;
mod line;
mod record;
mod replay;
#[cfg(test)]
mod tests;

pub use error::TapeError;
pub use record::Recording;
pub(super) use record::record;
pub(super) use replay::open;
pub use replay::recorded_link;
