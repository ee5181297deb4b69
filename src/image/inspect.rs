//! What a dump holds, as `inspect` shows it. Field names as in the expected results beside the sample dumps; offsets
//! under `firmware` are flash addresses, those of `regions` file offsets.

mod choice;
mod made;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::app::SdkTable;
use super::bootloader::Partition;
use super::bytes::{Address, Word, sha256_hex};
use super::code::CodeKey;
use super::family::Family;
use super::finding::Finding;
use super::firmware::{self, Firmware};
use super::kind::{self, Kind};
use super::known::Known;
use super::openbeken::Config;
use super::rbl::{Place, RblHeader};
use super::region::{self, Region};
use super::template::{self, ActiveLevel, Difference, Template};
use super::tuya::report::TuyaInside;
use super::votes::{self, Vote};
use super::{calibration, openbeken, rf, tuya};
use crate::image::calibration::Calibration;
use crate::units::Verdict;

pub use choice::Choice;

/// The whole result.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Version of this document's shape.
    pub schema: u32,
    /// File name, for the JSON only; the caller knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// The kind of file.
    pub kind: Kind,
    /// Flash address of file offset 0 in a dump that wraps around, else 0.
    pub rotation: u32,
    /// The chip, when the evidence agrees.
    pub chip: Option<Family>,
    /// How sure the chip is.
    pub verdict: Verdict,
    /// The evidence for the chip.
    pub chip_evidence: Vec<String>,
    /// What runs on the chip; `None` when the file holds no code.
    pub firmware: Option<FirmwareInside>,
    /// OpenBeken version text.
    pub openbeken: Option<String>,
    /// OpenBeken's configuration, secrets masked.
    pub openbeken_config: Option<Value>,
    /// The same for people, line by line.
    #[serde(skip)]
    pub openbeken_lines: Vec<String>,
    /// What Tuya firmware keeps in flash.
    pub tuya: Option<TuyaInside>,
    /// The template as the desktop flasher makes it.
    pub template: Option<Template>,
    /// The template as the web importer makes it.
    pub template_web_importer: Option<Template>,
    /// The template to use.
    pub template_recommended: Option<Template>,
    /// The template that OpenBeken's configuration amounts to, where a module runs it already.
    pub template_configured: Option<Template>,
    /// The template that the file itself is.
    pub template_given: Option<Template>,
    /// Lines of the recommended template that an importer makes differently.
    pub template_differences: Vec<Difference>,
    /// The factory calibration of the meter; `null` where none was found.
    #[serde(serialize_with = "as_shown")]
    pub calibration: Option<Calibration>,
    /// Active level by GPIO number.
    pub active_levels: BTreeMap<u8, ActiveLevel>,
    /// Whether a Wi-Fi password, or the key made from it, is in the file.
    pub wifi_credentials_present: bool,
    /// Where network names and passwords stand; by length, or in full on request.
    pub wifi_credentials: Option<Value>,
    /// Identity and cloud values in the live store; by length, or in full on request.
    pub secrets_in_live_kv: Vec<Value>,
    /// What is where, in file offsets.
    pub regions: Vec<Region>,
    /// What is wrong.
    pub problems: Vec<Finding>,
}

/// Boot loader, application, key and RF block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirmwareInside {
    /// The boot loader.
    pub bootloader: Option<BootLoaderInside>,
    /// The application.
    pub app: Option<AppInside>,
    /// Name and coefficients of the code key.
    pub encryption: Option<String>,
    /// The RF calibration block.
    pub rf_tlv: Option<RfInside>,
}

/// A boot loader as `inspect` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BootLoaderInside {
    /// Version text.
    pub version_string: Option<String>,
    /// Its name in the table of public parts, by size and CRC-32.
    pub known: Option<String>,
    /// First word as it stands in flash.
    pub first_word_raw: Word,
    /// Code blocks with good CRC.
    pub crc_blocks_ok: u32,
    /// Code blocks with bad CRC.
    pub crc_blocks_bad: u32,
    /// Erased code blocks.
    pub crc_blocks_erased: u32,
    /// Its header.
    pub rbl: Option<HeaderInside>,
    /// The partition table.
    pub partitions: Vec<Partition>,
}

/// An application as `inspect` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AppInside {
    /// Flash address.
    pub offset: Address,
    /// Its name in the table of public parts, by size and CRC-32.
    pub known: Option<String>,
    /// First word as it stands in flash.
    pub first_word_raw: Word,
    /// First word after decryption.
    pub first_word_decrypted: Word,
    /// Good code blocks from the start.
    pub crc_blocks_ok: u32,
    /// Its header.
    pub rbl: Option<HeaderInside>,
    /// The SDK's partition table.
    pub sdk_partition_table: Option<SdkPlaces>,
    /// Name of a Tuya application.
    pub app_name: Option<String>,
}

/// The addresses of the SDK's partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SdkPlaces {
    /// Over-the-air area.
    pub ota: Address,
    /// RF calibration.
    pub rf: Address,
    /// Network parameters.
    pub net: Address,
}

impl From<SdkTable> for SdkPlaces {
    fn from(table: SdkTable) -> Self {
        Self { ota: table.ota, rf: table.rf, net: table.net }
    }
}

/// An RBL header as `inspect` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeaderInside {
    /// Flash address.
    pub offset: Address,
    /// Partition name.
    pub name: String,
    /// Version text.
    pub version: String,
    /// Unix time in seconds.
    pub timestamp: u32,
    /// Bytes of the content.
    pub raw_size: u32,
    /// Bytes of the content as stored.
    pub package_size: u32,
    /// CRC-32 of the content as stored.
    pub payload_crc32: Word,
}

impl From<&RblHeader> for HeaderInside {
    fn from(header: &RblHeader) -> Self {
        Self {
            offset: header.offset,
            name: header.name.clone(),
            version: header.version.clone(),
            timestamp: header.timestamp,
            raw_size: header.raw_size,
            package_size: header.package_size,
            payload_crc32: header.data_crc32,
        }
    }
}

/// The RF calibration block; the MAC address appears only as its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RfInside {
    /// Flash address of the block.
    pub offset: Address,
    /// Flash address of the MAC address.
    pub mac_offset: Option<Address>,
    /// SHA-256 of the six bytes of the MAC address.
    pub mac_sha256: Option<String>,
}

/// Looks through a file, with secrets masked. Never fails: what is wrong is in [`Inspection::problems`].
pub fn inspect(bytes: &[u8]) -> Inspection {
    inspect_with(bytes, Secrets::Masked)
}

/// Whether secrets are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Secrets {
    /// As their length.
    Masked,
    /// In full, because the user asked for it.
    Shown,
}

/// [`inspect`] with secrets shown on request.
pub fn inspect_with(bytes: &[u8], secrets: Secrets) -> Inspection {
    let show = secrets == Secrets::Shown;
    let kind = kind::recognise(bytes);
    let flash = kind::in_flash_order(bytes, kind);
    let found = firmware::identify_in_order(bytes, &flash);
    let tuya = tuya::read(bytes, kind, found.family);
    let judged = Judged::new(&found, &tuya);
    let config = openbeken::find(bytes, kind, tuya.map);
    let (mut template, mut template_web_importer, mut template_recommended) = (None, None, None);
    let mut template_differences = Vec::new();
    if let Some(made) = template::templates(&tuya, judged.chip) {
        (template, template_web_importer) = (Some(made.gui), Some(made.web));
        (template_recommended, template_differences) = (Some(made.recommended), made.differences);
    }
    let template_given = if kind == Kind::Template { Template::given(bytes) } else { None };
    let template_configured = config.as_ref().map(|config| Template::configured(config, judged.chip));
    let mut problems = judged.problems;
    problems.extend(tuya.problems.iter().cloned());
    problems.extend(config.as_ref().filter(|config| !config.good).map(|config| {
        let what = format!("OpenBeken configuration at {}: bad checksum", Address(config.offset as u32));
        Finding::warning(Finding::BAD_CONFIGURATION, what)
    }));
    let stretch = kind == Kind::Unknown && (!tuya.is_empty() || config.is_some());
    let kind = if stretch { Kind::Part } else { kind };
    if stretch || kind.is_text() || judged.chip.is_some() {
        problems.retain(|problem| problem.code != Finding::UNKNOWN);
    }
    let openbeken_password = config.as_ref().is_some_and(Config::has_wifi_password);
    let wifi_credentials_present =
        tuya.has_wifi_credentials() || openbeken_password || openbeken::keeps_fast_connect(bytes, tuya.map);
    let mut inspection = Inspection {
        schema: 1,
        file: None,
        size: bytes.len() as u64,
        sha256: sha256_hex(bytes),
        kind,
        rotation: kind.rotation(),
        chip: judged.chip,
        verdict: judged.verdict,
        chip_evidence: judged.votes.into_iter().map(|vote| vote.evidence).collect(),
        firmware: inside(&found, &flash),
        openbeken: found.openbeken().map(str::to_owned),
        openbeken_lines: config.as_ref().map(|config| config.lines(show)).unwrap_or_default(),
        openbeken_config: config.map(|config| config.inside(show)),
        template,
        template_web_importer,
        template_recommended,
        template_differences,
        template_configured,
        template_given,
        calibration: calibration::find(bytes, tuya.map),
        active_levels: tuya.param.as_ref().map(|found| template::active_levels(&found.param)).unwrap_or_default(),
        wifi_credentials_present,
        wifi_credentials: (!tuya.is_empty()).then(|| tuya.wifi_credentials(show)),
        secrets_in_live_kv: tuya.live_secrets(show),
        tuya: tuya.inside(),
        regions: region::regions(bytes),
        problems,
    };
    inspection.name_parts(&Known::built_in());
    inspection
}

fn as_shown<S: Serializer>(found: &Option<Calibration>, serializer: S) -> Result<S::Ok, S::Error> {
    found.map(|found| found.inside()).serialize(serializer)
}

/// The chip by code and store together.
struct Judged {
    votes: Vec<Vote>,
    chip: Option<Family>,
    verdict: Verdict,
    problems: Vec<Finding>,
}

impl Judged {
    /// The store has a say where the code has none, and where it contradicts.
    fn new(found: &Firmware, tuya: &tuya::Tuya) -> Self {
        let mut votes = found.votes.clone();
        let mut problems = found.problems.clone();
        let by_store = tuya.votes().into_iter().map(|(family, evidence)| Vote { family, evidence });
        let heard: Vec<Vote> = match found.family {
            Some(family) => by_store.filter(|vote| vote.family != family).collect(),
            None => by_store.collect(),
        };
        if found.family.is_some() && !heard.is_empty() {
            let list: Vec<String> = heard.iter().map(|vote| format!("{}: {}", vote.family, vote.evidence)).collect();
            let what = format!("the Tuya store speaks for another chip: {}", list.join("; "));
            problems.push(Finding::warning(Finding::CONTRADICTION, what));
        }
        if !heard.is_empty() {
            problems.retain(|problem| problem.code != Finding::NO_EVIDENCE);
        }
        votes.extend(heard);
        let (chip, verdict) = votes::decide(&votes);
        Self { votes, chip, verdict, problems }
    }
}

fn inside(found: &Firmware, flash: &[u8]) -> Option<FirmwareInside> {
    let dump = found.kind.is_dump();
    let rf_tlv = if dump { rf_inside(found.family, flash) } else { None };
    if found.boot_loader.is_none() && found.app.is_none() && rf_tlv.is_none() {
        return None;
    }
    let bootloader = found.boot_loader.as_ref().map(|boot_loader| BootLoaderInside {
        version_string: boot_loader.version.clone(),
        known: None,
        first_word_raw: boot_loader.first_word,
        crc_blocks_ok: boot_loader.blocks.good,
        crc_blocks_bad: boot_loader.blocks.bad,
        crc_blocks_erased: boot_loader.blocks.erased,
        rbl: match &boot_loader.header {
            Place::Header(header) => Some(HeaderInside::from(&**header)),
            Place::Nothing | Place::Damaged => None,
        },
        partitions: boot_loader.partitions.clone(),
    });
    let app = found.app.as_ref().map(|app| AppInside {
        offset: app.offset,
        known: None,
        first_word_raw: app.first_word,
        first_word_decrypted: app.first_instruction,
        crc_blocks_ok: app.blocks.good,
        rbl: found.app_header(flash).map(HeaderInside::from),
        sdk_partition_table: app.sdk_table.map(SdkPlaces::from),
        app_name: app.tuya_name.clone(),
    });
    Some(FirmwareInside { bootloader, app, encryption: found.key.as_ref().map(CodeKey::name), rf_tlv })
}

fn rf_inside(family: Option<Family>, flash: &[u8]) -> Option<RfInside> {
    let families = [family, Some(Family::Bk7231T), Some(Family::Bk7231N)];
    let block = families
        .into_iter()
        .flatten()
        .find_map(|family| family.rf_block().and_then(|span| rf::find(flash, span.start)))?;
    Some(RfInside {
        offset: Address(block.offset),
        mac_offset: block.mac_offset.map(Address),
        mac_sha256: block.mac.as_ref().map(rf::mac_hash),
    })
}

#[cfg(test)]
mod tests;
