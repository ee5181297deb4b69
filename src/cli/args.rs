//! The command line (product.md §2).

use std::path::{Path, PathBuf};

use clap::{Args as Group, Parser, Subcommand, ValueEnum};

use crate::image::inspect::Choice;
use crate::image::strings::Encoding;
use crate::image::template::Mapping;
use crate::link::{LinkSpec, WireKind};
use crate::units::parse_size;

/// A terminal workbench for the Beken BK7231T/N modules inside Tuya plugs, bulbs and switches.
///
/// Without a command the full-screen workbench opens. `--demo` opens it on an embedded practice module.
#[derive(Debug, Parser)]
#[command(name = "bkbench", version, max_term_width = 110)]
pub struct Args {
    /// The device: sim:wb2s, spi:0.0?cen=22, uart:/dev/ttyUSB0?baud=921600, tcp:HOST:PORT, rfc2217:HOST:PORT, replay:FILE
    #[arg(long, global = true, value_name = "LINK")]
    pub link: Option<String>,

    /// The embedded practice module; the same as --link sim:wb2s
    #[arg(long, global = true, conflicts_with = "link")]
    pub demo: bool,

    /// Write down every byte of the link, flash content and its passwords included; replay:FILE plays it back
    #[arg(long, global = true, value_name = "FILE")]
    pub record: Option<String>,

    /// Bit clock in Hz (SPI) or rate in baud (UART); K and M are understood as thousand and million
    #[arg(long, global = true, value_name = "HZ", value_parser = parse_rate)]
    pub speed: Option<u32>,

    /// One JSON document on stdout; text for people goes to stderr
    #[arg(long, global = true)]
    pub json: bool,

    /// With --json: one JSON object per line, as things happen; the last one is the result
    #[arg(long, global = true, requires = "json")]
    pub events: bool,

    /// dark, light, high-contrast, mono, or the path of a theme file
    #[arg(long, global = true, value_name = "THEME")]
    pub theme: Option<String>,

    /// Leave the mouse to the terminal
    #[arg(long, global = true)]
    pub no_mouse: bool,

    /// What to do; the workbench when left out
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The headless commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what can be connected to, who uses it, what stands in the way, and the remedy
    ///
    /// Opens nothing. With --json, `links` holds objects of `link` (the text for --link), `about`, `obstacle` (null when
    /// ready, else `code`, `what`, `cause`, `remedy`) and `device` (null behind a simulated module): `node`, `stable` (a
    /// name that lasts), `usb` (`id`, `vendor`, `product`, `serial`, `place`), `owners` (`kind`, `who`, `pid`, `remedy`), `notes`.
    Links {
        /// Look at copies of another computer's /sys, /proc, /etc and /dev in this folder instead
        #[arg(long, value_name = "FOLDER")]
        root: Option<PathBuf>,
    },
    /// Check this computer: SPI, permissions, GPIO lines, console, disk, terminal; one remedy for each fault
    ///
    /// Opens no port and no bus; --link or the settings say which bus and which line for CEN are looked at. The remedies are
    /// those of the system found. Ends with 0 only when at least one wire is ready. With --json: `ready` (`spi`, `uart`),
    /// `board` (`model`, `pi`, `system`, `kernel`) and `checks` of `id`, `wire`, `needed`, `title`, `state` (pass, fail, unsure,
    /// not-checked), `found`, `remedy`.
    Doctor {
        /// Look at copies of another computer's /sys, /proc, /etc and /dev in this folder instead
        #[arg(long, value_name = "FOLDER")]
        root: Option<PathBuf>,
    },
    /// Show which pad goes to which pin of this link, and measure the wires
    ///
    /// Pins are those of --link: `--link 'spi:0.1?cen=17'`, `--link ch341:`, `--link uart:/dev/ttyUSB0`; without one those of a
    /// Raspberry Pi. With --json: `module`, `chip`, `wire`, `host` (what the pins belong to), `rows` (`signal`, `pad`,
    /// `raspberry_pi` (the host's end), `pin` (of the 40-pin header, or null), `note`), `missing`, `notes`, `source`.
    Wiring {
        /// The module, as printed on its shield: WB2S, CB3S, CBU …; what holds for any of them when left out
        #[arg(long)]
        module: Option<String>,
        /// The wire; that of --link, else the module's own favourite, when left out
        #[arg(long)]
        wire: Option<WireArg>,
        /// Measure every wire over --link and name the first suspect; changes nothing on the chip
        #[arg(long)]
        check: bool,
        /// Test adapter and UART wires alone: the module is off, and the ends of TX and RX are held together
        #[arg(long, requires = "check")]
        loop_back: bool,
    },
    /// Show who is connected, with the evidence, and what is protected
    Info,
    /// Read the whole chip in two independent passes (a proven backup), or a part of it (an extract)
    Read {
        /// Where to put it; the data folder under a dated name when left out
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// First flash offset of an extract
        #[arg(long, value_parser = parse_size, value_name = "ADDRESS", requires = "length")]
        start: Option<u32>,
        /// Length of an extract
        #[arg(long, value_parser = parse_size, value_name = "SIZE", requires = "start")]
        length: Option<u32>,
    },
    /// Write an image: show the plan, then erase, program and verify
    Write {
        /// The image
        file: PathBuf,
        /// Flash offset; the image's content decides when left out
        #[arg(long, value_parser = parse_size, value_name = "ADDRESS")]
        at: Option<u32>,
        /// Also set OpenBeken up as this TOML or JSON file says; what it omits stays as it is
        ///
        /// Keys: name, short_name, command (the start-up command), flags, template (a file with pins and command), pins
        /// ("factory", or a table: 26 = "Rel;1"), and the tables [wifi] and [wifi2] (ssid, password_file or password),
        /// [mqtt] (host, port, user, password_file or password, client_id, group). Passwords that it does not hold are
        /// asked for, or come out of files that only you can read
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        consent: Consent,
    },
    /// Go on with the write of this chip that was cut off
    Resume {
        #[command(flatten)]
        consent: Consent,
    },
    /// Set OpenBeken, which is on the chip already: name, Wi-Fi, MQTT, pins
    Configure {
        /// TOML or JSON file; what it omits stays as it is
        file: PathBuf,
        #[command(flatten)]
        consent: Consent,
    },
    /// Put a proven backup of this very chip back, and end an unfinished write with it
    Restore {
        /// The backup, as `read` made it
        backup: PathBuf,
        /// The chip shows no MAC any more, and the backup is of this chip all the same
        #[arg(long)]
        mac_lost: bool,
        #[command(flatten)]
        consent: Consent,
    },
    /// The sector with RF calibration and MAC: out of a backup, and back onto this very chip
    Rf {
        /// What to do
        #[command(subcommand)]
        action: RfAction,
    },
    /// Compare the flash with a file
    Verify {
        /// What should be there
        file: PathBuf,
        /// Flash offset; the image's content decides when left out
        #[arg(long, value_parser = parse_size, value_name = "ADDRESS")]
        at: Option<u32>,
    },
    /// Erase whole sectors
    Erase {
        /// First flash offset, a multiple of 4K
        #[arg(long, value_parser = parse_size, value_name = "ADDRESS")]
        start: u32,
        /// How much, a multiple of 4K
        #[arg(long, value_parser = parse_size, value_name = "SIZE")]
        length: u32,
        #[command(flatten)]
        consent: Consent,
    },
    /// Show or change the write protection
    Protect {
        /// What to do
        action: ProtectAction,
    },
    /// Start the firmware
    Reboot,
    /// Show a job that runs in another process, also after its terminal went away; ends as the job ends
    #[cfg(unix)]
    Attach {
        /// The process, when several run
        #[arg(long)]
        pid: Option<u32>,
    },
    /// Show what a dump holds: rotation, chip, regions, firmware, Tuya store, OpenBeken configuration, problems
    Inspect {
        /// The dump
        file: PathBuf,
        /// Show passwords, keys and network names in full
        #[arg(long)]
        show_secrets: bool,
    },
    /// Make the OpenBeken template of a device from a dump of its factory firmware, with a reason for every line
    Template {
        /// The dump, a part of one, the text of a pin map, or the JSON of a device; or a template, to have it checked
        file: PathBuf,
        /// Whose rules to follow
        #[arg(long, default_value = "recommended")]
        mapping: MappingArg,
        /// Write the template here
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Show the template as a QR code instead
        #[arg(long)]
        qr: bool,
        /// Name the five devices most like it from a list: devices.json of OpenBeken's web app
        /// (default: the one in the settings, else devices.json in the data folder)
        #[arg(long, value_name = "LIST")]
        r#match: Option<Option<PathBuf>>,
        /// Check this text of a template against the dump
        #[arg(long, value_name = "TEMPLATE", conflicts_with = "output")]
        check: Option<PathBuf>,
        /// Write an ESPHome configuration instead: YAML, the reason of every line as a comment
        #[arg(long, conflicts_with_all = ["qr", "match", "check", "mapping"])]
        esphome: bool,
        /// Write OpenBeken's autoexec.bat for a TuyaMCU device instead: driver, baud rate, data points
        #[arg(long, conflicts_with_all = ["qr", "match", "check", "mapping", "esphome"])]
        script: bool,
    },
    /// List the files of OpenBeken's file area (littlefs) in a dump, autoexec.bat among them, and extract them
    Files {
        /// The dump
        dump: PathBuf,
        /// Put the files into this folder; nothing that is there already is written over
        #[arg(long, value_name = "FOLDER")]
        extract: Option<PathBuf>,
    },
    /// Make a copy of a dump that is safe to share: passwords, keys and the MAC address blanked in every copy
    Redact {
        /// The dump
        file: PathBuf,
        /// Where to put the copy
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Blank OpenBeken's start-up command too
        #[arg(long)]
        start_up_command: bool,
    },
    /// Show what a firmware image is, for which chip, where it goes, and whether it is intact
    Identify {
        /// The image
        file: PathBuf,
    },
    /// Find every place where a pattern stands in a file
    Search {
        /// The file
        file: PathBuf,
        /// Text, or what the options say
        pattern: String,
        /// The pattern is hex bytes; ? stands for any digit: "55 ?? AA 1?"
        #[arg(long, group = "how")]
        hex: bool,
        /// The pattern is a regular expression over bytes
        #[arg(long, group = "how")]
        regex: bool,
        /// The text stands there as UTF-16, low byte first
        #[arg(long, group = "how")]
        utf16: bool,
    },
    /// List the texts in a file
    Strings {
        /// The file
        file: PathBuf,
        /// How the texts stand there; may be given several times
        #[arg(long, value_name = "ENCODING", value_delimiter = ',', default_values = ["ascii", "utf-16"])]
        encoding: Vec<EncodingArg>,
        /// Letters of the shortest text
        #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
        min: u32,
    },
    /// Show where two files differ and what that means: firmware, keys, settings, files. Ends with 5 when they differ
    Diff {
        /// The first file; its regions are used
        first: PathBuf,
        /// The second file
        second: PathBuf,
    },
    /// An embedded simulated module for other programs, until it is stopped
    #[cfg(unix)]
    Sim {
        /// How they reach it
        #[command(subcommand)]
        what: SimAction,
    },
    /// Settings
    Config {
        /// What to do
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Write a completion file for a shell to stdout
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual page to stdout
    Man,
}

impl Command {
    /// The command's own name: `write`.
    pub fn name(&self) -> String {
        let all = format!("{self:?}");
        all.chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
    }

    /// The file that a command which works on a chip makes at its end, where the person named one.
    pub fn new_file(&self) -> Option<&Path> {
        match self {
            Self::Write { consent, .. } | Self::Erase { consent, .. } | Self::Resume { consent } => &consent.image_out,
            Self::Restore { consent, .. } | Self::Rf { action: RfAction::Rebuild { consent, .. } } => {
                &consent.image_out
            }
            Self::Rf { action: RfAction::Extract { output, .. } } => output,
            _ => &None,
        }
        .as_deref()
    }
}

/// How a change of the flash is agreed to.
#[derive(Clone, Debug, Group)]
pub struct Consent {
    /// Show the plan and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Agree to the plan, whatever it is
    #[arg(long)]
    pub yes: bool,
    /// Agree to the plan with this hash, or its last four characters or more
    #[arg(long, value_name = "HASH", conflicts_with = "yes")]
    pub plan: Option<String>,
    /// Go without a proven backup: type the phrase that the refusal names
    #[arg(long, value_name = "PHRASE")]
    pub no_backup: Option<String>,
    /// Vouch that the backup is of this chip where its content does not show it: type the phrase that the refusal names
    #[arg(long, value_name = "PHRASE")]
    pub this_chip: Option<String>,
    /// Say which chip it is where its flash is wholly erased: type the phrase that the refusal names
    #[arg(long, value_name = "PHRASE")]
    pub erased_chip: Option<String>,
    /// Put the protection that was found back at the end; the usual way, unless the settings say otherwise
    #[arg(long, conflicts_with = "no_protect_after")]
    pub protect_after: bool,
    /// Leave the protection open at the end
    #[arg(long)]
    pub no_protect_after: bool,
    /// Also write what the whole chip will hold to a file
    #[arg(long, value_name = "FILE")]
    pub image_out: Option<PathBuf>,
}

/// The wire of a wiring table.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum WireArg {
    /// The flash pins
    Spi,
    /// The serial pins
    Uart,
}

impl From<WireArg> for WireKind {
    fn from(arg: WireArg) -> Self {
        match arg {
            WireArg::Spi => Self::Spi,
            WireArg::Uart => Self::Uart,
        }
    }
}

/// How a text stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EncodingArg {
    /// Letters of ASCII, one byte each
    Ascii,
    /// ASCII and other letters in one to four bytes
    #[value(name = "utf-8")]
    Utf8,
    /// The letters of Western Europe, one byte each
    Latin1,
    /// Letters of ASCII in two bytes, low byte first
    #[value(name = "utf-16", alias = "utf-16le")]
    Utf16,
    /// Letters of ASCII in two bytes, high byte first
    #[value(name = "utf-16be")]
    Utf16Be,
}

impl From<EncodingArg> for Encoding {
    fn from(arg: EncodingArg) -> Self {
        match arg {
            EncodingArg::Ascii => Self::Ascii,
            EncodingArg::Utf8 => Self::Utf8,
            EncodingArg::Latin1 => Self::Latin1,
            EncodingArg::Utf16 => Self::Utf16,
            EncodingArg::Utf16Be => Self::Utf16Be,
        }
    }
}

/// Whose rules turn a pin map into a template.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum MappingArg {
    /// The device's own active levels
    Recommended,
    /// The desktop flasher's
    Gui,
    /// The web importer's
    Web,
    /// None: what OpenBeken's configuration on the module has set
    Configured,
}

impl From<MappingArg> for Choice {
    fn from(arg: MappingArg) -> Self {
        match arg {
            MappingArg::Recommended => Self::By(Mapping::Recommended),
            MappingArg::Gui => Self::By(Mapping::Gui),
            MappingArg::Web => Self::By(Mapping::Web),
            MappingArg::Configured => Self::Configured,
        }
    }
}

/// What to do with the protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProtectAction {
    /// Show it
    Status,
    /// Lift it
    Off,
    /// Protect as the factory firmware does
    On,
    /// Put back what this chip's backup recorded
    Restore,
}

/// What to do with the RF block.
#[derive(Clone, Debug, Subcommand)]
pub enum RfAction {
    /// Take it out of a backup into a file of 4 KiB
    Extract {
        /// The backup; the newest proven one of the connected chip when left out
        backup: Option<PathBuf>,
        /// Where to put it
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Write it back from a backup of this very chip, and nothing else
    Rebuild {
        /// The backup; the newest proven one of the connected chip when left out
        backup: Option<PathBuf>,
        /// The chip shows no MAC any more, and the backup is of this chip all the same
        #[arg(long)]
        mac_lost: bool,
        #[command(flatten)]
        consent: Consent,
    },
}

/// A simulated module for other programs.
#[cfg(unix)]
#[derive(Clone, Debug, Subcommand)]
pub enum SimAction {
    /// Serve its UART at a pseudo terminal; the path is the first line on stdout
    Uart {
        #[command(flatten)]
        module: SimModule,
        /// Also give the port this name, as a link that goes away at the end
        #[arg(long, value_name = "PATH")]
        path: Option<PathBuf>,
    },
    /// Serve its flash to flashrom and other serprog clients, at a TCP port of this computer only
    Serprog {
        #[command(flatten)]
        module: SimModule,
        /// The flash part, by name or id: GD25Q16C, c84015; the module's usual one when left out
        #[arg(long, value_name = "PART")]
        flash: Option<String>,
        /// The port on 127.0.0.1; 0 takes a free one
        #[arg(long, value_name = "N", default_value_t = 0)]
        port: u16,
    },
}

/// Which module is simulated, and how.
#[derive(Clone, Debug, Group)]
pub struct SimModule {
    /// The module, as in sim:wb2s
    #[arg(long, default_value = "wb2s")]
    pub module: String,
    /// The file that its flash lives in, made when missing; gone at the end when left out
    #[arg(long, value_name = "FILE")]
    pub chip: Option<PathBuf>,
    /// What a new flash holds instead of a factory-like image
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// line: as slow as a real one; virtual: as fast as it can
    #[arg(long, default_value = "line", value_parser = ["line", "virtual"])]
    pub pace: String,
    /// What goes wrong, as in sim:wb2s?faults=noise:1/20000
    #[arg(long, value_name = "LIST")]
    pub faults: Option<String>,
    /// Bytes per second of the chip's own CRC; what its download code takes when left out
    #[arg(long, value_name = "N")]
    pub crc: Option<u32>,
    /// Seed of everything random
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl SimModule {
    /// The link that stands for this module over one of its wires.
    pub fn link(&self, wire: WireKind) -> LinkSpec {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let keys = [
            ("wire", Some(wire.to_string().to_ascii_lowercase())),
            ("chip", path(&self.chip)),
            ("image", path(&self.image)),
            ("pace", Some(self.pace.clone())),
            ("faults", self.faults.clone()),
            ("crc", self.crc.map(|speed| speed.to_string())),
            ("seed", self.seed.map(|seed| seed.to_string())),
        ];
        let query = keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        LinkSpec { scheme: "sim".to_owned(), target: self.module.to_ascii_lowercase(), query }
    }
}

/// What to do with the settings.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigAction {
    /// Show every setting, and where its value comes from
    Show,
}

/// Reads a clock or rate: 8000000, 8M, 500K, 921600. Here K and M are thousand and million.
fn parse_rate(text: &str) -> Result<u32, String> {
    let bad = || format!("{text:?} is no rate; write 921600, 500K or 8M");
    let (digits, factor) = match text.trim().trim_end_matches(['K', 'k', 'M', 'm']) {
        digits if digits.len() == text.trim().len() => (digits, 1.0),
        digits if text.trim().ends_with(['K', 'k']) => (digits, 1e3),
        digits => (digits, 1e6),
    };
    let value = digits.parse::<f64>().map_err(|_| bad())? * factor;
    if (300.0..=200e6).contains(&value) { Ok(value as u32) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_table_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!(parse_rate("921600"), Ok(921_600));
        assert_eq!(parse_rate("8M"), Ok(8_000_000));
        assert_eq!(parse_rate("1.5M"), Ok(1_500_000));
        assert_eq!(parse_rate("500k"), Ok(500_000));
        for wrong in ["", "K", "-5", "12", "fast", "1MM7"] {
            assert!(parse_rate(wrong).is_err(), "{wrong:?}");
        }
    }
}
