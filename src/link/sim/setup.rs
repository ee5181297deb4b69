//! What a simulated module is built from: the query of a `sim:` link, or the builder calls of a test.

use std::path::PathBuf;
use std::time::Duration;

use crate::link::contract::{LinkError, WireKind};
use crate::link::spec::LinkSpec;

use super::backing::read_image;
use super::clock::Pace;
use super::electrics::Electrics;
use super::faults::Faults;
use super::flash::Rules;
use super::hand::Cen;
use super::loader::Program;
use super::modules::{self, Board, Silicon};
use super::part::Part;
use super::uid::Uid;
use super::wires::Wires;

/// The keys of a `sim:` link.
const KEYS: [&str; 16] = [
    "wire", "image", "chip", "flash", "locked", "pace", "faults", "seed", "wires", "cen", "bare", "loader", "clock",
    "baud", "crc", "uid",
];

/// The largest image a part of the table could hold, in bytes.
const LARGEST_IMAGE: u64 = 64 * 1024 * 1024;

/// Everything that can be chosen about a module before it is powered up.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(super) board: &'static Board,
    pub(super) name: String,
    pub(super) wire: WireKind,
    pub(super) part: Option<&'static Part>,
    pub(super) program: Option<Program>,
    pub(super) image: Option<Vec<u8>>,
    pub(super) image_name: Option<String>,
    pub(super) chip_file: Option<PathBuf>,
    pub(super) locked: bool,
    pub(super) status: Option<[u8; 3]>,
    pub(super) pace: Pace,
    pub(super) faults: Faults,
    pub(super) wires: Wires,
    pub(super) cen: Cen,
    pub(super) bare: Option<bool>,
    pub(super) seed: u64,
    pub(super) uid: Option<Uid>,
    pub(super) knobs: Knobs,
}

/// Behaviour the sources leave open, with the values chosen here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// How long after CEN rises D2 bytes are looked for (spi-flash.md §12: 100 ms).
    pub entry_window: Duration,
    /// D2 bytes in a row that open SPI mode, from 1 (spi-flash.md §12: 1 to 64).
    pub entry_bytes: u32,
    /// How long the flash stays silent after SPI mode has been entered; SO is low for that time.
    pub silent_after_entry: Duration,
    /// What a message costs besides its bits (spi-flash.md §11: 60 to 150 µs).
    pub message_latency: Duration,
    /// The highest SPI clock in Hz that the wires carry; the fault `clock` sets another one (spi-flash.md §3: jumper wires
    /// carry a few MHz to about 10 MHz).
    pub clock_limit: u32,
    /// Clocks the host's controller spends on a byte: 8, or 9 on a Raspberry Pi (spi-flash.md §3).
    pub clocks_per_byte: u32,
    /// The longest SPI frame in bytes (spidev's usual limit).
    pub longest_frame: usize,
    /// What the host reads from a line that nobody drives.
    pub floating: u8,
    /// How long after reset the boot loader or ROM listens on the UART (uart-protocol.md §3.1: tens of ms; counted, the
    /// 13,001 polls of a T take 3 ms without wait states, and some ten with those that there may be).
    pub boot_window: Duration,
    /// How long a linked boot loader of the T stays without traffic (uart-protocol.md §21: 31 boot windows; counted, from
    /// 93 ms on).
    pub idle_reset: Duration,
    /// How long a boot loader of the T stays after noise (uart-protocol.md §21: 0.8 s).
    pub noise_stay: Duration,
    /// How long the ROM of the N waits for the rest of a frame. Chosen so that of link checks 5 ms apart the second or
    /// third is answered (uart-protocol.md §14).
    pub frame_timeout: Duration,
    /// Bytes per second of the chip's CRC; `None` for that of its download program ([`Program::crc_speed`]).
    pub crc_speed: Option<u32>,
    /// The flash is in deep power-down when the host comes.
    pub asleep: bool,
    /// The flash is in continuous read when the host comes.
    pub continuous_read: bool,
    /// Where data sheets differ.
    pub rules: Rules,
    /// How the pads behave.
    pub electrics: Electrics,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            entry_window: Duration::from_millis(100),
            entry_bytes: 1,
            silent_after_entry: Duration::from_millis(10),
            message_latency: Duration::from_micros(100),
            clock_limit: 11_000_000,
            clocks_per_byte: 8,
            longest_frame: 4096,
            floating: 0xFF,
            boot_window: Duration::from_millis(50),
            idle_reset: Duration::from_millis(1550),
            noise_stay: Duration::from_millis(800),
            frame_timeout: Duration::from_millis(4),
            crc_speed: None,
            asleep: false,
            continuous_read: false,
            rules: Rules::default(),
            electrics: Electrics::default(),
        }
    }
}

impl Setup {
    /// A module as it comes out of a plug: factory-like image, factory protection, no faults, virtual clock.
    /// The wire is SPI where the module brings all of it to pads, UART elsewhere.
    ///
    /// # Errors
    /// [`LinkError::BadLink`] for a module that is not in the table or not simulated.
    pub fn new(module: &str) -> Result<Self, LinkError> {
        Self::for_link(&LinkSpec { scheme: "sim".to_owned(), target: module.to_owned(), query: Vec::new() })
    }

    /// Reads a `sim:` link.
    ///
    /// # Errors
    /// [`LinkError::BadLink`] for an unknown module, key or value; [`LinkError::File`] for an unreadable image.
    pub fn from_spec(spec: &LinkSpec) -> Result<Self, LinkError> {
        spec.only_keys(&KEYS)?;
        let mut setup = Self::for_link(spec)?;
        setup.set_access(spec).map_err(|why| spec.bad(why))?;
        for (key, value) in &spec.query {
            let understood = match key.as_str() {
                "wire" => setup.set_wire(value),
                "flash" => setup.set_part(value),
                "image" => {
                    setup.image = Some(read_image(value.as_ref(), LARGEST_IMAGE)?);
                    setup.image_name = Some(value.clone());
                    Ok(())
                }
                "chip" if value.is_empty() => Err("chip= needs a file name".to_owned()),
                "chip" => {
                    setup.chip_file = Some(PathBuf::from(value));
                    Ok(())
                }
                "locked" => choose(value, &[("yes", true), ("no", false)]).map(|locked| setup.locked = locked),
                "pace" => {
                    choose(value, &[("virtual", Pace::Virtual), ("line", Pace::Line)]).map(|pace| setup.pace = pace)
                }
                "faults" => Faults::parse(value).map(|faults| setup.faults = faults),
                "loader" => Program::find(value)
                    .map(|program| setup.program = Some(program))
                    .ok_or_else(|| format!("{value:?} is not one of {}", Program::words().join(", "))),
                "crc" => match value.parse() {
                    Ok(speed) if speed > 0 => {
                        setup.knobs.crc_speed = Some(speed);
                        Ok(())
                    }
                    _ => Err(format!("{value:?} is no number of bytes per second from 1")),
                },
                "wires" => Wires::parse(value).map(|wires| setup.wires = wires),
                "seed" => setup.set_seed(value),
                "uid" => value.parse().map(|uid| setup.uid = Some(uid)),
                // The speed asked for, which is the device's matter.
                _ => Ok(()),
            };
            understood.map_err(|why| spec.bad(format!("{key}: {why}")))?;
        }
        if setup.is_bare() && setup.wire == WireKind::Uart {
            return Err(spec.bad("a bare flash chip has no UART; use wire=spi"));
        }
        Ok(setup)
    }

    fn for_link(spec: &LinkSpec) -> Result<Self, LinkError> {
        let board = modules::find(&spec.target).ok_or_else(|| {
            let names: Vec<String> = modules::all().iter().map(|board| board.name.to_ascii_lowercase()).collect();
            spec.bad(format!("there is no simulated module {:?}; there are {}", spec.target, names.join(", ")))
        })?;
        Ok(Self {
            board,
            name: spec.name(),
            wire: if board.spi_missing.is_empty() { WireKind::Spi } else { WireKind::Uart },
            part: None,
            program: None,
            image: None,
            image_name: None,
            chip_file: None,
            locked: true,
            status: None,
            pace: Pace::Virtual,
            faults: Faults::default(),
            wires: Wires::default(),
            cen: Cen::default(),
            bare: None,
            seed: 1,
            uid: None,
            knobs: Knobs::default(),
        })
    }

    /// What `cen` and `bare` say; a flash chip alone has the SPI wires whatever its module brings out.
    fn set_access(&mut self, spec: &LinkSpec) -> Result<(), String> {
        if let Some(cen) = spec.get("cen") {
            let choices = [("line", Cen::Line), ("hand", Cen::Hand), ("none", Cen::Nobody)];
            self.cen = choose(cen, &choices).map_err(|why| format!("cen: {why}"))?;
        }
        if let Some(bare) = spec.get("bare") {
            let bare = choose(bare, &[("yes", true), ("no", false)]).map_err(|why| format!("bare: {why}"))?;
            self.bare = Some(bare);
        }
        if self.is_bare() {
            self.wire = WireKind::Spi;
        }
        Ok(())
    }

    fn set_wire(&mut self, value: &str) -> Result<(), String> {
        let wire = choose(value, &[("spi", WireKind::Spi), ("uart", WireKind::Uart)])?;
        if wire == WireKind::Spi && !self.board.spi_missing.is_empty() && !self.is_bare() {
            return Err(format!(
                "the {} has no pad for {}; use wire=uart",
                self.board.name,
                self.board.spi_missing.join(", ").replace("spi_flash.", "").replace("reset.", "")
            ));
        }
        self.wire = wire;
        Ok(())
    }

    fn set_seed(&mut self, value: &str) -> Result<(), String> {
        self.seed = value.parse().map_err(|_| format!("{value:?} is no whole number"))?;
        self.knobs.electrics = Electrics::varied(self.seed);
        Ok(())
    }

    fn set_part(&mut self, value: &str) -> Result<(), String> {
        let part = Part::find(value).ok_or_else(|| format!("no part {value:?} in the part table; try eb6015"))?;
        self.part = Some(part);
        Ok(())
    }

    /// The wire [`super::Module::link`] opens.
    #[must_use]
    pub fn wire(mut self, wire: WireKind) -> Self {
        self.wire = wire;
        self
    }

    /// The download program of another chip than the module has.
    #[must_use]
    pub fn loader(mut self, program: Program) -> Self {
        self.program = Some(program);
        self
    }

    /// The download program.
    pub(super) fn program(&self) -> Program {
        self.program.unwrap_or(match self.board.silicon {
            Silicon::T => Program::T,
            Silicon::N => Program::N,
        })
    }

    /// The flash part, by id in hex or by name.
    ///
    /// # Errors
    /// [`LinkError::BadLink`] for a part that is not in the table.
    pub fn part(mut self, text: &str) -> Result<Self, LinkError> {
        self.set_part(text).map_err(|why| LinkError::BadLink { link: self.name.clone(), why })?;
        Ok(self)
    }

    /// The flash content instead of the factory-like image; filled with FF to the size of the part.
    #[must_use]
    pub fn image(mut self, image: Vec<u8>) -> Self {
        self.image = Some(image);
        self.image_name = Some("given image".to_owned());
        self
    }

    /// A file that the flash lives in.
    #[must_use]
    pub fn chip_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.chip_file = Some(path.into());
        self
    }

    /// Whether the factory protection is on and comes back with each boot.
    #[must_use]
    pub fn locked(mut self, locked: bool) -> Self {
        self.locked = locked;
        self
    }

    /// The status registers at power-up instead of those of the factory.
    #[must_use]
    pub fn status(mut self, status: [u8; 3]) -> Self {
        self.status = Some(status);
        self
    }

    /// Virtual clock, or the machine's.
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// What is wrong with the wires.
    #[must_use]
    pub fn wires(mut self, wires: Wires) -> Self {
        self.wires = wires;
        self
    }

    /// Who works CEN.
    #[must_use]
    pub fn cen(mut self, cen: Cen) -> Self {
        self.cen = cen;
        self
    }

    /// The flash chip alone, taken off its module. Without a word it is alone where nobody works CEN.
    #[must_use]
    pub fn bare(mut self, bare: bool) -> Self {
        self.bare = Some(bare);
        self
    }

    pub(super) fn is_bare(&self) -> bool {
        self.bare.unwrap_or(self.cen == Cen::Nobody)
    }

    /// The seed of everything random.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Behaviour the sources leave open.
    #[must_use]
    pub fn knobs(mut self, knobs: Knobs) -> Self {
        self.knobs = knobs;
        self
    }

    /// The knobs; in real time the ROM is more patient, because a host program can be kept from running for longer than
    /// a chip waits.
    pub(super) fn knobs_for_pace(&self) -> Knobs {
        let mut knobs = self.knobs.clone();
        if self.pace == Pace::Line {
            knobs.frame_timeout = knobs.frame_timeout.max(Duration::from_millis(15));
        }
        knobs
    }

    /// The part in use unless another was asked for: EN25QH16B on a CB3S, TH25Q16HB elsewhere (spi-flash.md §6, field
    /// logs of CB3S and CB2S).
    pub(super) fn usual_part(&self) -> Option<&'static Part> {
        self.part.or_else(|| Part::find(if self.board.name == "CB3S" { "1c7015" } else { "eb6015" }))
    }
}

fn choose<T: Copy>(value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("{value:?} is not one of {}", names.join(", "))
    })
}
