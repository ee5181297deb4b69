//! What a device can fail with.

use std::time::Duration;

use super::tried::EntryTry;
use super::watch::Cancelled;
use crate::link::LinkError;
use crate::problem::{Class, Explain, Problem};
use crate::units::{hex_text, time_text};

/// What a device can fail with. Every wait has a limit, and the limit has a name here.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The transport failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The job was asked to stop, at a safe point.
    #[error("stopped on request")]
    Cancelled,
    /// No flash answered the SPI entry.
    #[error("no answer to SPI entry ({attempts} attempts, {clock})")]
    NoEntry {
        /// Entry attempts made.
        attempts: u32,
        /// The clocks tried, in words.
        clock: String,
        /// What the last id reads and the D2 answer looked like, in words.
        seen: String,
        /// The likely cause, from what was seen.
        cause: String,
        /// The next thing to do.
        remedy: String,
        /// Every try, one by one.
        tries: Box<[EntryTry]>,
    },
    /// No bare flash chip answered.
    #[error("no flash chip answers ({attempts} attempts, {clock})")]
    NoBareChip {
        /// Attempts made.
        attempts: u32,
        /// The clocks tried, in words.
        clock: String,
        /// What the last id read looked like, in words.
        seen: String,
        /// The likely cause, from what was seen.
        cause: String,
        /// The next thing to do.
        remedy: String,
        /// Every try, one by one.
        tries: Box<[EntryTry]>,
    },
    /// The chip that answers does not care for CEN: it is not the one behind this link's reset line.
    #[error("CEN has no effect on the chip that answers, so nothing is written to it")]
    NotBehindCen {
        /// The CEN wire with the host's end of it, in words.
        cen: String,
    },
    /// No loader answered a link check.
    #[error("no answer to link checks for {}", time_text(*.waited))]
    NoLoader {
        /// How long the program tried.
        waited: Duration,
        /// What came back instead, in words.
        seen: String,
        /// The likely cause, from what was seen.
        cause: String,
        /// The next thing to do.
        remedy: String,
    },
    /// Five id reads in a row did not agree.
    #[error("the JEDEC id changes from read to read: {ids}")]
    UnstableId {
        /// The ids read.
        ids: String,
        /// The ground wire with the host's end of it, in words.
        ground: String,
        /// Every try, one by one.
        tries: Box<[EntryTry]>,
    },
    /// Two reads of the same bytes differ although the id is stable.
    #[error("two reads at 0x{at:06X} differ, at {speed}")]
    UnstableRead {
        /// Flash offset.
        at: u32,
        /// Clock or rate of the reads.
        speed: String,
    },
    /// The chip that answers is not the one that was identified.
    #[error("another chip answers: {was} before, {is} now")]
    OtherChip {
        /// The identity at attach time.
        was: String,
        /// The identity now.
        is: String,
    },
    /// Where the chip answered before nobody does now, or something that changes from look to look.
    #[error("the chip no longer answers: {seen}")]
    NobodyThere {
        /// What was seen instead.
        seen: String,
    },
    /// A request was not answered, after all retries.
    #[error("no answer to {request} at 0x{at:06X}")]
    NoAnswer {
        /// The request in the field's words.
        request: &'static str,
        /// Flash offset.
        at: u32,
    },
    /// The loader answered with a status other than 00.
    #[error("{request} at 0x{at:06X} was answered with status {status:02X} ({meaning})")]
    Status {
        /// The request.
        request: &'static str,
        /// Flash offset.
        at: u32,
        /// The status byte.
        status: u8,
        /// Its meaning (uart-protocol.md §5).
        meaning: &'static str,
    },
    /// No rate carries a sector from the chip undamaged.
    #[error("no rate down to {lowest} baud carries a sector undamaged")]
    NoRate {
        /// The lowest rate tried.
        lowest: u32,
    },
    /// The loader reported success for another address than the one it was given.
    #[error("{request} at 0x{at:06X} was answered for 0x{instead:06X}")]
    Misdirected {
        /// The request.
        request: &'static str,
        /// Flash offset that was meant.
        at: u32,
        /// Flash address in the answer.
        instead: u32,
    },
    /// WEL did not rise after WREN.
    #[error("write enable did not take at 0x{at:06X}: status register {status:02X}")]
    NoWriteEnable {
        /// Flash offset.
        at: u32,
        /// Status register 1 as read.
        status: u8,
    },
    /// WIP did not fall within the part's limit.
    #[error("the flash is still busy {} after {request} at 0x{at:06X}", time_text(*.waited))]
    StillBusy {
        /// The command waited for.
        request: &'static str,
        /// Flash offset.
        at: u32,
        /// The limit.
        waited: Duration,
    },
    /// The status registers do not hold what was written, in no form.
    #[error("the status registers did not take {wanted}: they read {is}")]
    StatusNotTaken {
        /// What was written.
        wanted: String,
        /// What is read back.
        is: String,
    },
    /// The status registers are not the ones a change was made from.
    #[error("the status registers changed since they were read: {was} before, {is} now")]
    StatusMoved {
        /// What the change was made from.
        was: String,
        /// What is read now.
        is: String,
    },
    /// The link cannot do this at all.
    #[error("{what} is not possible over this link")]
    Unable {
        /// What was asked.
        what: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// An address outside what may be touched; a fault of the program, stopped at the last gate.
    #[error("{request} at 0x{at:06X} is outside 0x{first:06X}..0x{end:06X}")]
    OutOfRange {
        /// The request.
        request: &'static str,
        /// Flash offset.
        at: u32,
        /// First offset allowed.
        first: u32,
        /// First offset after the allowed range.
        end: u32,
    },
}

impl From<Cancelled> for DeviceError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl DeviceError {
    /// Whether the same command may succeed when it is sent again: a disturbed line, a status register that is misread
    /// at this speed or a supply that dipped; not a refusal and not a link that is gone.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::NoWriteEnable { .. } | Self::NoAnswer { .. } | Self::StillBusy { .. })
    }

    /// The JEDEC id in words.
    pub fn id_text(id: Option<[u8; 3]>) -> String {
        id.map_or_else(|| "no JEDEC id".to_owned(), |id| hex_text(&id))
    }
}

/// Every try in a line, for those who ask.
fn told(tries: &[EntryTry]) -> Vec<String> {
    tries.iter().map(|one| format!("SPI entry {}: {}", one.number, one.words())).collect()
}

impl Explain for DeviceError {
    fn explain(&self) -> Problem {
        let what = self.to_string();
        match self {
            Self::Link(inner) => inner.explain(),
            Self::Cancelled => Problem::new(
                Class::Cancelled,
                "E501",
                what,
                "you asked for it, or the program is leaving",
                "start again when you like: a backup and a write go on where they stopped",
            ),
            Self::NoEntry { seen, cause, remedy, tries, .. } => {
                Problem::new(Class::NoDevice, "E310", format!("{what}; {seen}"), cause.clone(), remedy.clone())
                    .with_details(told(tries))
            }
            Self::NoBareChip { seen, cause, remedy, tries, .. } => {
                Problem::new(Class::NoDevice, "E336", format!("{what}; {seen}"), cause.clone(), remedy.clone())
                    .with_details(told(tries))
            }
            Self::NotBehindCen { cen } => Problem::new(
                Class::Refused,
                "E335",
                what,
                "its id is still read while CEN is held low: the CEN wire is open or at another pad, or another chip is on \
                 the bus",
                format!("check {cen}; if this is a flash chip by itself, say so with cen=none"),
            ),
            Self::NoLoader { seen, cause, remedy, .. } => {
                Problem::new(Class::NoDevice, "E311", format!("{what}; {seen}"), cause.clone(), remedy.clone())
            }
            Self::UnstableId { tries, ground, .. } => Problem::new(
                Class::NoDevice,
                "E312",
                what,
                "a missing or thin ground, a loose contact, or a clock too fast for the wires",
                format!("check {ground}, the wire next to SCK; shorten the wires, lower the clock"),
            )
            .with_details(told(tries)),
            Self::UnstableRead { .. } => Problem::new(
                Class::NoDevice,
                "E323",
                what,
                "a missing or thin ground, a loose contact, or a supply that sags",
                "check the ground wire and the 3.3 V supply, shorten the wires, then connect again",
            ),
            Self::OtherChip { .. } => Problem::new(
                Class::Refused,
                "E313",
                what,
                "the module was exchanged, or a contact is loose",
                "connect again, so that the chip is identified anew",
            ),
            Self::NobodyThere { .. } => Problem::new(
                Class::NoDevice,
                "E325",
                what,
                "the 3.3 V supply sags, or a wire is open; that is no sign of another chip",
                "check the 3.3 V supply, GND and the wires, then connect again",
            ),
            Self::NoAnswer { .. } => Problem::new(
                Class::NoDevice,
                "E314",
                what,
                "the chip was reset, lost its supply, or the line is disturbed",
                "check supply and wires, connect again, lower the speed",
            ),
            Self::Status { status: 6, .. } => Problem::new(
                Class::Refused,
                "E315",
                what,
                "the loader guards its own range",
                "use SPI for the boot loader's range",
            ),
            Self::Status { .. } => Problem::new(
                Class::NoDevice,
                "E316",
                what,
                "the loader could not carry the command out",
                "connect again and repeat; if it stays, lower the speed or use SPI",
            ),
            Self::NoRate { .. } => Problem::new(
                Class::NoDevice,
                "E350",
                what,
                "the line is disturbed: a loose or long wire, a missing ground, or a second chip that drives the same lines",
                "check GND, shorten the wires, cut off the second chip; then connect again",
            ),
            Self::Misdirected { .. } => Problem::new(
                Class::Verification,
                "E324",
                what,
                "a byte was damaged on the line; the protocol has no check sum, so the loader may have acted at the \
                 other address",
                "do not restart the module; verify the whole flash against its backup, then lower the speed or use SPI",
            ),
            Self::NoWriteEnable { .. } => Problem::new(
                Class::Verification,
                "E317",
                what,
                "the write direction of the wires does not work, or the part is in deep power-down",
                "check SI and CSN, lower the clock",
            ),
            Self::StillBusy { .. } => Problem::new(
                Class::Verification,
                "E318",
                what,
                "the part is worn, loses its supply during erase, or SO is stuck high",
                "check the supply; connect again and look at the sector named",
            ),
            Self::StatusNotTaken { .. } => Problem::new(
                Class::Verification,
                "E319",
                what,
                "the WP pin or a lock bit (SRP) holds the registers",
                "nothing was erased; look at the SRP bits on the Protect tab, power-cycle the module and try again",
            ),
            Self::StatusMoved { .. } => Problem::new(
                Class::Refused,
                "E322",
                what,
                "the firmware ran in between and set its own protection, or a contact is loose",
                "read the protection again, look at what would change, then repeat",
            ),
            Self::Unable { remedy, .. } => {
                Problem::new(Class::Refused, "E320", what, "the loader has no command for it", *remedy)
            }
            Self::OutOfRange { .. } => Problem::new(
                Class::Refused,
                "E321",
                what,
                "a plan reached past what this link may touch; this is a fault of the program",
                "please report it with the log; nothing was sent to the chip",
            ),
        }
    }
}
