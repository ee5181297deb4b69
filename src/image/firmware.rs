//! What a file is, for which chip, where it goes and whether it is intact (formats.md §6).

use memchr::memmem;
use serde::{Serialize, Serializer};

use super::app::{self, App};
use super::bootloader::{self, BootLoader};
use super::bytes::{Address, Word, cut, sha256_hex, text_to_nul, u32_be};
use super::code::{BLOCK, CodeKey};
use super::family::{BOOT_LOADER_LEN, FLASH_SIZE, Family};
use super::finding::{Finding, Severity};
use super::kind::{self, Kind};
use super::rbl::{self, Place, RblHeader};
use super::rf;
use super::votes::{self, Vote};
use crate::units::{Verdict, size_text};

/// Flash offset of the application's header when its container has the usual length.
const APP_HEADER: u32 = 0x12_9F0A;
const UG_HEADER_LEN: usize = 32;

/// Everything [`identify`] found. Offsets are flash addresses in dumps (turned back when rotated), else file offsets.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// File name, for the JSON only; the caller knows it, [`identify`] does not.
    pub file: Option<String>,
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// The kind of file.
    pub kind: Kind,
    /// The chip it is for, when the votes agree.
    pub family: Option<Family>,
    /// How sure the family is.
    pub verdict: Verdict,
    /// The evidence for the family.
    pub votes: Vec<Vote>,
    /// The key its code is encrypted with; `None` when there is no code, or the parts differ.
    pub key: Option<CodeKey>,
    /// The boot loader.
    pub boot_loader: Option<BootLoader>,
    /// The application.
    pub app: Option<App>,
    /// RBL headers in file order.
    pub headers: Vec<RblHeader>,
    /// Version text of a UG package.
    pub ug_version: Option<String>,
    /// Flash address such a file is written to; `None` when it is not for direct writing, or depends on the chip.
    pub natural_address: Option<u32>,
    /// What is wrong with it.
    pub problems: Vec<Finding>,
}

impl Firmware {
    /// Whether something was found that forbids writing the file.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// OpenBeken version text.
    pub fn openbeken(&self) -> Option<&str> {
        self.app.as_ref()?.openbeken.first().map(String::as_str)
    }

    /// The header that describes the application in its present state, else any application header.
    pub fn app_header(&self, flash: &[u8]) -> Option<&RblHeader> {
        let mut headers = self.headers.iter().filter(|header| header.name == "app" && header.header_crc_ok);
        let container = cut(flash, BOOT_LOADER_LEN as usize, flash.len());
        headers.clone().find(|header| header.container_matches(container) == Some(true)).or_else(|| headers.next())
    }
}

/// Tells what a file is. Never fails: what is wrong is in [`Firmware::problems`].
pub fn identify(bytes: &[u8]) -> Firmware {
    identify_in_order(bytes, &kind::in_flash_order(bytes, kind::recognise(bytes)))
}

/// [`identify`] for callers that have the bytes in flash order already.
pub(super) fn identify_in_order(bytes: &[u8], flash: &[u8]) -> Firmware {
    let kind = kind::recognise(bytes);
    let dump = kind.is_dump();
    let with_boot_loader = dump || kind == Kind::Qio;
    let boot_loader = if with_boot_loader { bootloader::read(flash) } else { None };
    let app = match kind {
        Kind::Ua => app::read(flash, 0),
        _ if with_boot_loader => app::read(flash, BOOT_LOADER_LEN),
        _ => None,
    };
    let mut found = Firmware {
        file: None,
        size: bytes.len() as u64,
        sha256: sha256_hex(bytes),
        kind,
        family: None,
        verdict: Verdict::NotChecked,
        votes: votes::votes(boot_loader.as_ref(), dump.then_some(flash), app.as_ref()),
        key: None,
        boot_loader,
        app,
        headers: Vec::new(),
        ug_version: None,
        natural_address: kind.natural_address(),
        problems: Vec::new(),
    };
    match kind {
        Kind::Qio | Kind::Dump | Kind::RotatedDump | Kind::FromApplication | Kind::Ua => found.check_code(flash),
        Kind::Ug => found.check_ug(flash),
        Kind::Rbl => found.check_package(flash, 0),
        Kind::Erased => found.error(Finding::ONE_VALUE, format!("every byte is 0x{:02X}", bytes.first().unwrap_or(&0))),
        Kind::RawCode => found.error(Finding::RAW_CODE, "code without CRC blocks: this is what the linker wrote"),
        Kind::Unknown => found.error(Finding::UNKNOWN, "neither firmware nor a dump: no known mark in the file"),
        Kind::Uf2 => {
            found.error(Finding::UF2, "UF2 package of LibreTiny: unpack it first, it is not for direct writing")
        }
        Kind::PinText | Kind::DeviceJson | Kind::Template | Kind::DeviceList => {
            found.error(Finding::UNKNOWN, format!("{}: a text, and no firmware", kind.name()));
        }
        Kind::ConfigOnly | Kind::ObkConfig | Kind::Part => {}
    }
    found.check_votes();
    found
}

impl Firmware {
    fn error(&mut self, code: &'static str, what: impl Into<String>) {
        self.problems.push(Finding::error(code, what));
    }

    fn warning(&mut self, code: &'static str, what: impl Into<String>) {
        self.problems.push(Finding::warning(code, what));
    }

    /// Damage in a dump is what the chip holds, so it can be put back; damage in a file for writing is an error.
    fn damage(&mut self, code: &'static str, what: impl Into<String>) {
        if self.is_dump() { self.warning(code, what) } else { self.error(code, what) }
    }

    fn is_dump(&self) -> bool {
        self.kind.is_dump()
    }

    /// Whether the code is that of another chip, whose headers stand elsewhere or are not there at all.
    fn is_other(&self) -> bool {
        self.votes.iter().any(|vote| vote.family == Family::Other)
    }

    fn check_votes(&mut self) {
        (self.family, self.verdict) = votes::decide(&self.votes);
        let for_a_chip = self.is_dump() || matches!(self.kind, Kind::Qio | Kind::Ua);
        if self.votes.is_empty() && for_a_chip {
            self.damage(Finding::NO_EVIDENCE, "nothing in the file tells which chip it is for");
        } else if self.family.is_none() && !self.votes.is_empty() {
            let list: Vec<String> =
                self.votes.iter().map(|vote| format!("{}: {}", vote.family, vote.evidence)).collect();
            self.damage(Finding::CONTRADICTION, format!("evidence for different chips: {}", list.join("; ")));
        }
    }

    fn check_code(&mut self, flash: &[u8]) {
        if self.kind == Kind::RotatedDump {
            self.warning(
                Finding::ROTATED,
                "the file starts at flash 0x011000 and wraps around; turn it back before writing",
            );
        }
        if self.kind == Kind::FromApplication {
            self.warning(
                Finding::FROM_APPLICATION,
                "the file starts at flash 0x011000: file offset 0 is flash 0x011000, and the boot loader is not in it",
            );
        }
        if self.kind == Kind::Dump
            && let Some(times) = repetitions(flash)
        {
            let size = size_text((flash.len() / times) as u64);
            self.warning(
                Finding::REPEATED,
                format!("the file holds the same {size} {times} times: the flash is smaller than was read, its first {size} are all of it"),
            );
        }
        if let Some(boot_loader) = self.boot_loader.clone() {
            self.check_boot_loader(&boot_loader, flash);
        }
        match self.app.clone() {
            Some(app) => self.check_app(&app, flash),
            None => self.damage(Finding::NO_APPLICATION, "no application at 0x011000"),
        }
        let keys = (self.boot_loader.as_ref().map(|found| found.key), self.app.as_ref().map(|found| found.key));
        self.key = match keys {
            (Some(boot_loader), Some(app)) if boot_loader != app => {
                self.damage(Finding::TWO_KEYS, "boot loader and application are encrypted with different keys");
                None
            }
            (boot_loader, app) => boot_loader.or(app),
        };
        let rf_block = |family: Family| family.rf_block().and_then(|span| rf::find(flash, span.start));
        if self.is_dump() && rf_block(Family::Bk7231T).or(rf_block(Family::Bk7231N)).is_none() {
            self.warning(Finding::NO_RF_BLOCK, "no RF calibration block at 0x1E0000 (T) or 0x1D0000 (N)");
        }
    }

    fn check_boot_loader(&mut self, boot_loader: &BootLoader, flash: &[u8]) {
        if let Some(first) = boot_loader.blocks.first_bad {
            let (bad, all) = (boot_loader.blocks.bad, boot_loader.blocks.bad + boot_loader.blocks.good);
            self.damage(Finding::BAD_BLOCK, bad_blocks("boot loader", bad, all, first, 0));
        }
        match &boot_loader.header {
            Place::Header(header) => {
                let container = cut(flash, 0, BOOT_LOADER_LEN as usize);
                self.check_header(header, header.container_matches(container));
                self.headers.push((**header).clone());
            }
            Place::Damaged => self.damage(Finding::BAD_HEADER, "boot loader: its RBL header at 0x010F9A is damaged"),
            Place::Nothing if self.is_other() => {}
            Place::Nothing => self.damage(Finding::NO_HEADER, "boot loader: no RBL header at 0x010F9A"),
        }
    }

    fn check_app(&mut self, app: &App, flash: &[u8]) {
        let start = app.offset.0;
        if let Some(first) = app.blocks.first_bad {
            let all = app.blocks.bad + app.blocks.good;
            self.damage(Finding::BAD_BLOCK, bad_blocks("application", app.blocks.bad, all, first, start));
        }
        let rest = cut(flash, (start + app.code_len()) as usize, flash.len());
        if !rest.is_empty() && rest.len() < BLOCK && rest.iter().any(|byte| *byte != 0xFF) {
            self.error(
                Finding::CUT_OFF,
                format!("the file ends inside a code block, at {}", Address(flash.len() as u32)),
            );
        }
        if self.kind == Kind::Ua {
            return;
        }
        let headers = app_headers(flash);
        let container = cut(flash, start as usize, flash.len());
        let states: Vec<Option<bool>> = headers.iter().map(|header| header.container_matches(container)).collect();
        if headers.is_empty() {
            self.check_missing_header(rest, flash);
        } else if self.is_dump() && states.contains(&Some(true)) {
            // A shorter application leaves the header of the one before it behind; that one describes nothing any more.
        } else {
            for (header, state) in headers.iter().zip(states) {
                self.check_header(header, state);
            }
        }
        self.headers.extend(headers);
    }

    fn check_missing_header(&mut self, rest: &[u8], flash: &[u8]) {
        let at_end = (flash.len() as u32).saturating_sub(rbl::HEADER_PACKED as u32);
        let damaged = |at| rbl::at_place(flash, at) == Place::Damaged;
        if self.kind == Kind::Qio && rest.is_empty() {
            self.error(Finding::CUT_OFF, "the file ends in the middle of the application");
        } else if self.kind == Kind::Qio && (damaged(APP_HEADER) || damaged(at_end)) {
            self.error(Finding::BAD_HEADER, "application: its RBL header is damaged");
        } else if self.kind == Kind::Qio && flash.len() < APP_HEADER as usize + rbl::HEADER_PACKED {
            // Every build ends with it. What was taken from a chip may have lost it in an update over the air, but then
            // it is as long as the container.
            self.error(Finding::CUT_OFF, "the file ends before the RBL header of its application");
        } else if !self.is_other() {
            self.warning(Finding::NO_HEADER, "application: no RBL header, as after an over-the-air update");
        }
    }

    fn check_header(&mut self, header: &RblHeader, content: Option<bool>) {
        let (name, offset) = (&header.name, header.offset);
        if !header.header_crc_ok {
            self.damage(Finding::BAD_HEADER, format!("{name}: the RBL header at {offset} fails its CRC"));
            return;
        }
        match content {
            Some(true) => {}
            Some(false) => {
                self.damage(Finding::BAD_BODY, format!("{name}: content does not match the RBL header at {offset}"));
            }
            None => {
                self.damage(Finding::CUT_OFF, format!("{name}: the file ends before its {} bytes do", header.raw_size))
            }
        }
    }

    /// An over-the-air package: header first, then the content.
    fn check_package(&mut self, bytes: &[u8], at: usize) {
        self.warning(Finding::OTA_ONLY, "over-the-air package: not for direct writing to flash");
        let Some(header) = bytes.get(at..).and_then(|rest| rbl::parse(rest, at as u32)) else {
            self.error(Finding::BAD_HEADER, format!("no whole RBL header at {}", Address(at as u32)));
            return;
        };
        self.check_header(&header, header.package_matches(cut(bytes, at + rbl::HEADER_LEN, bytes.len())));
        for (suffix, family) in [("-bk7231t", Family::Bk7231T), ("-bk7231n", Family::Bk7231N)] {
            if header.version.ends_with(suffix) {
                self.votes.push(Vote { family, evidence: format!("RBL version suffix {suffix}") });
            }
        }
        self.headers.push(header);
    }

    fn check_ug(&mut self, bytes: &[u8]) {
        let sum = |bytes: &[u8]| bytes.iter().fold(0u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
        self.ug_version = Some(text_to_nul(cut(bytes, 4, 16)));
        if u32_be(bytes, 24) != Some(sum(cut(bytes, 0, 24))) || cut(bytes, 28, 32) != [0xAA, 0x55, 0xAA, 0x55] {
            self.error(Finding::BAD_HEADER, "the UG header fails its checksum");
        }
        let len = u32_be(bytes, 16).unwrap_or(0) as usize;
        match bytes.get(UG_HEADER_LEN..).and_then(|rest| rest.get(..len)) {
            Some(payload) if u32_be(bytes, 20) == Some(sum(payload)) => {}
            Some(_) => self.error(Finding::BAD_BODY, "the UG content fails its checksum"),
            None => self.error(Finding::CUT_OFF, format!("the file ends before its {len} bytes of content do")),
        }
        self.check_package(bytes, UG_HEADER_LEN);
    }
}

/// How often a file holds the same flash, where it does so more than once: the chip ignored the upper address bits.
fn repetitions(flash: &[u8]) -> Option<usize> {
    let mut times = 1;
    let mut rest = flash;
    while rest.len() >= 2 * FLASH_SIZE as usize && rest.len().is_multiple_of(2) {
        let (first, second) = rest.split_at(rest.len() / 2);
        if first != second {
            break;
        }
        (times, rest) = (times * 2, first);
    }
    (times > 1).then_some(times)
}

fn bad_blocks(part: &str, bad: u32, all: u32, first: u32, start: u32) -> String {
    let (at, number) = (Address(start.saturating_add(first)), first / BLOCK as u32);
    format!("{part}: {bad} of {all} code blocks fail their CRC, the first at {at} (block {number})")
}

/// Every header in code blocks behind the boot loader, in file order.
fn app_headers(flash: &[u8]) -> Vec<RblHeader> {
    let area = app::container(flash, BOOT_LOADER_LEN);
    memmem::find_iter(area, rbl::MAGIC)
        .filter_map(|at| {
            match rbl::at_place(&flash[..BOOT_LOADER_LEN as usize + area.len()], BOOT_LOADER_LEN + at as u32) {
                Place::Header(header) => Some(*header),
                _ => None,
            }
        })
        .collect()
}

impl Serialize for Firmware {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        View::new(self).serialize(serializer)
    }
}

/// The JSON of `identify`; field names as in the expected results beside the sample firmware.
#[derive(Serialize)]
struct View<'a> {
    schema: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    size: u64,
    sha256: &'a str,
    kind: Kind,
    chip: Option<Family>,
    verdict: Verdict,
    chip_evidence: Vec<&'a str>,
    encryption: Option<String>,
    natural_address: Option<Address>,
    bootloader: Option<BootLoaderView<'a>>,
    rbl: &'a [RblHeader],
    app: Option<AppView>,
    sdk_partition_table: Option<app::SdkTable>,
    openbeken: Option<&'a str>,
    libretiny: Option<&'a str>,
    app_name: Option<&'a str>,
    app_version: Option<&'a str>,
    ug_version: Option<&'a str>,
    problems: &'a [Finding],
}

#[derive(Serialize)]
struct BootLoaderView<'a> {
    version_string: Option<&'a str>,
    first_word_raw: Word,
    encrypted: bool,
    crc_blocks_ok: u32,
    crc_blocks_bad: u32,
    download_partition: Vec<Address>,
}

#[derive(Serialize)]
struct AppView {
    offset: Address,
    crc_blocks_ok: u32,
    crc_blocks_bad: u32,
    encrypted: bool,
    first_word_raw: Word,
}

impl<'a> View<'a> {
    fn new(firmware: &'a Firmware) -> Self {
        let app = firmware.app.as_ref();
        Self {
            schema: 1,
            file: firmware.file.as_deref(),
            size: firmware.size,
            sha256: &firmware.sha256,
            kind: firmware.kind,
            chip: firmware.family,
            verdict: firmware.verdict,
            chip_evidence: firmware.votes.iter().map(|vote| vote.evidence.as_str()).collect(),
            encryption: firmware.key.as_ref().map(CodeKey::name),
            natural_address: firmware.natural_address.map(Address),
            bootloader: firmware.boot_loader.as_ref().map(|boot_loader| BootLoaderView {
                version_string: boot_loader.version.as_deref(),
                first_word_raw: boot_loader.first_word,
                encrypted: !boot_loader.key.is_none(),
                crc_blocks_ok: boot_loader.blocks.good,
                crc_blocks_bad: boot_loader.blocks.bad,
                download_partition: boot_loader.download().into_iter().collect(),
            }),
            rbl: &firmware.headers,
            app: app.map(|app| AppView {
                offset: app.offset,
                crc_blocks_ok: app.blocks.good,
                crc_blocks_bad: app.blocks.bad,
                encrypted: !app.key.is_none(),
                first_word_raw: app.first_word,
            }),
            sdk_partition_table: app.and_then(|app| app.sdk_table),
            openbeken: firmware.openbeken(),
            libretiny: app.and_then(|app| app.libretiny.as_deref()),
            app_name: app.and_then(|app| app.tuya_name.as_deref()),
            app_version: app.and_then(|app| app.tuya_version.as_deref()),
            ug_version: firmware.ug_version.as_deref(),
            problems: &firmware.problems,
        }
    }
}

#[cfg(test)]
mod tests;
