//! Which kind of file it is, by its first bytes and its size, never by its name (formats.md §2 and §6, step 1).

use std::borrow::Cow;

use memchr::memmem;
use serde::Serialize;

use super::bytes::{all, u32_le};
use super::code::{self, APP_LOGICAL, VECTOR};
use super::family::{BOOT_LOADER_LEN, FLASH_SIZE, Family, TUYA_STORE};
use super::text::{self, TextKind};
use super::{app, rbl, rf, tuya};

/// First bytes of a UG package.
pub const UG_MAGIC: [u8; 4] = [0x55, 0xAA, 0x55, 0xAA];
/// First bytes of every block of a UF2 file (beyond.md §1).
pub const UF2_MAGIC: [u8; 8] = [0x55, 0x46, 0x32, 0x0A, 0x57, 0x51, 0x5D, 0x9E];
/// Length of a file that holds the Tuya store only.
pub const TUYA_CONFIG_LEN: u32 = FLASH_SIZE - TUYA_STORE;

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Kind {
    /// Boot loader and application.
    #[serde(rename = "QIO")]
    Qio,
    /// Application only.
    #[serde(rename = "UA")]
    Ua,
    /// Tuya over-the-air package.
    #[serde(rename = "UG")]
    Ug,
    /// Over-the-air package with its header first.
    #[serde(rename = "RBL")]
    Rbl,
    /// A whole flash, from address 0.
    #[serde(rename = "dump")]
    Dump,
    /// A whole flash read from 0x11000 and wrapped around.
    #[serde(rename = "rotated dump")]
    RotatedDump,
    /// A flash from 0x11000 to its end, without the boot loader.
    #[serde(rename = "dump from 0x011000")]
    FromApplication,
    /// Some stretch of a flash, without code at its start.
    #[serde(rename = "part of a dump")]
    Part,
    /// A package of LibreTiny.
    #[serde(rename = "UF2")]
    Uf2,
    /// A pin map as text.
    #[serde(rename = "pin text")]
    PinText,
    /// JSON of a device with its pin map.
    #[serde(rename = "device JSON")]
    DeviceJson,
    /// A template of OpenBeken as text.
    #[serde(rename = "template")]
    Template,
    /// A list of templates.
    #[serde(rename = "list of devices")]
    DeviceList,
    /// The Tuya store only.
    #[serde(rename = "Tuya store")]
    ConfigOnly,
    /// The OpenBeken configuration sector only.
    #[serde(rename = "OpenBeken configuration")]
    ObkConfig,
    /// One value throughout: erased flash, or a read that failed.
    #[serde(rename = "erased")]
    Erased,
    /// What the linker wrote: not in the form flash needs.
    #[serde(rename = "linker output")]
    RawCode,
    /// None of these.
    #[serde(rename = "unknown")]
    Unknown,
}

impl Kind {
    /// The name people and JSON see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Qio => "QIO",
            Self::Ua => "UA",
            Self::Ug => "UG",
            Self::Rbl => "RBL",
            Self::Dump => "dump",
            Self::RotatedDump => "rotated dump",
            Self::FromApplication => "dump from 0x011000",
            Self::Part => "part of a dump",
            Self::Uf2 => "UF2",
            Self::PinText => "pin text",
            Self::DeviceJson => "device JSON",
            Self::Template => "template",
            Self::DeviceList => "list of devices",
            Self::ConfigOnly => "Tuya store",
            Self::ObkConfig => "OpenBeken configuration",
            Self::Erased => "erased",
            Self::RawCode => "linker output",
            Self::Unknown => "unknown",
        }
    }

    /// Flash address of the first byte of such a file: where it is written, and where its map starts.
    pub const fn natural_address(self) -> Option<u32> {
        match self {
            Self::Qio | Self::Dump => Some(0),
            Self::Ua | Self::FromApplication => Some(BOOT_LOADER_LEN),
            Self::ConfigOnly => Some(TUYA_STORE),
            _ => None,
        }
    }

    /// Whether it is the content of a flash, whole or from the application on.
    pub const fn is_dump(self) -> bool {
        matches!(self, Self::Dump | Self::RotatedDump | Self::FromApplication)
    }

    /// Whether it is a text that people read.
    pub const fn is_text(self) -> bool {
        matches!(self, Self::PinText | Self::DeviceJson | Self::Template | Self::DeviceList)
    }

    /// Flash address of file offset 0 when the file wraps around, else 0.
    pub const fn rotation(self) -> u32 {
        match self {
            Self::RotatedDump => BOOT_LOADER_LEN,
            _ => 0,
        }
    }
}

/// Tells the kind of a file. Looks at a few places only, whatever the size.
pub fn recognise(bytes: &[u8]) -> Kind {
    let Some(first) = bytes.first() else { return Kind::Unknown };
    if all(bytes, *first) {
        return Kind::Erased;
    }
    if bytes.starts_with(&UG_MAGIC) {
        return Kind::Ug;
    }
    if bytes.starts_with(rbl::MAGIC) {
        return Kind::Rbl;
    }
    if bytes.starts_with(&UF2_MAGIC) {
        return Kind::Uf2;
    }
    if let Some(kind) = code_kind(bytes) {
        return kind;
    }
    if u32_le(bytes, 4) == Some(VECTOR) {
        return Kind::RawCode;
    }
    if bytes.starts_with(b"CFG") && (2016..=0x2000).contains(&bytes.len()) {
        return Kind::ObkConfig;
    }
    if tuya::is_key_block(bytes) {
        return Kind::ConfigOnly;
    }
    marked_dump(bytes).or_else(|| text_kind(bytes)).unwrap_or(Kind::Unknown)
}

fn text_kind(bytes: &[u8]) -> Option<Kind> {
    Some(match text::recognise(bytes)? {
        TextKind::Pins => Kind::PinText,
        TextKind::Device => Kind::DeviceJson,
        TextKind::Template => Kind::Template,
        TextKind::List => Kind::DeviceList,
    })
}

/// The kind of a file that starts with code in CRC blocks.
fn code_kind(bytes: &[u8]) -> Option<Kind> {
    let whole_flash = bytes.len() >= FLASH_SIZE as usize;
    let boot_loader = || {
        // A QIO holds code only; what reaches the RF block was read from a chip.
        let reaches_rf = bytes.len() > 0x1D_0000;
        if whole_flash || reaches_rf { Kind::Dump } else { Kind::Qio }
    };
    let app = || match bytes.len() {
        len if len == FLASH_SIZE as usize => Kind::RotatedDump,
        // An application ends with its container; what goes on to the RF block or the store was read from a chip.
        len if len > app::CONTAINER_LEN as usize && is_marked(bytes, BOOT_LOADER_LEN) => Kind::FromApplication,
        len if len == (FLASH_SIZE - BOOT_LOADER_LEN) as usize => Kind::FromApplication,
        _ => Kind::Ua,
    };
    match (code::key_of(bytes, 0), code::key_of(bytes, APP_LOGICAL)) {
        (Some(key), Some(_)) if key.is_none() => {
            // Without encryption both begin alike; only a boot loader carries the partition table.
            let start = code::strip(&bytes[..bytes.len().min(BOOT_LOADER_LEN as usize)]);
            Some(if memmem::find(&start, b"01PE").is_some() { boot_loader() } else { app() })
        }
        (Some(_), _) => Some(boot_loader()),
        (None, Some(_)) => Some(app()),
        (None, None) => None,
    }
}

/// A dump whose boot loader is unknown or gone, by the marks further up.
fn marked_dump(bytes: &[u8]) -> Option<Kind> {
    if bytes.len() < FLASH_SIZE as usize {
        return None;
    }
    if is_marked(bytes, 0) {
        Some(Kind::Dump)
    } else if bytes.len() == FLASH_SIZE as usize && is_marked(bytes, BOOT_LOADER_LEN) {
        Some(Kind::RotatedDump)
    } else {
        None
    }
}

/// Whether the Tuya store or an RF block stands in its place, in a file that starts at the flash address `start`.
fn is_marked(bytes: &[u8], start: u32) -> bool {
    let rf_block = |family: Family| family.rf_block().and_then(|span| rf::find(bytes, span.start - start));
    let store = bytes.get((TUYA_STORE - start) as usize..).is_some_and(tuya::is_key_block);
    store || rf_block(Family::Bk7231T).is_some() || rf_block(Family::Bk7231N).is_some()
}

/// The bytes in flash order: a rotated dump is turned back, a missing boot loader is erased flash, everything else stays
/// as it is.
pub fn in_flash_order(bytes: &[u8], kind: Kind) -> Cow<'_, [u8]> {
    if kind == Kind::FromApplication {
        let mut flash = vec![0xFF; BOOT_LOADER_LEN as usize];
        flash.extend_from_slice(bytes);
        return Cow::Owned(flash);
    }
    match bytes.len().checked_sub(kind.rotation() as usize) {
        Some(boot_loader) if kind == Kind::RotatedDump => {
            let (rest, start) = bytes.split_at(boot_loader);
            Cow::Owned([start, rest].concat())
        }
        _ => Cow::Borrowed(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::code::CodeKey;

    fn program(key: CodeKey, at: u32, len: usize) -> Vec<u8> {
        let mut code = VECTOR.to_le_bytes().repeat(64);
        key.apply(&mut code, at);
        let mut file = code::pack(&code);
        file.resize(len, 0xFF);
        file
    }

    #[test]
    fn the_first_block_tells_boot_loader_from_application() {
        assert_eq!(recognise(&program(CodeKey::TUYA, 0, 0x10_0000)), Kind::Qio);
        assert_eq!(recognise(&program(CodeKey::TUYA, 0, 0x20_0000)), Kind::Dump);
        assert_eq!(recognise(&program(CodeKey::TUYA, 0x10000, 0xC_0000)), Kind::Ua);
        assert_eq!(recognise(&program(CodeKey::TUYA, 0x10000, 0x20_0000)), Kind::RotatedDump);
        assert_eq!(recognise(&program(CodeKey::UASCENT, 0, 0x10_0000)), Kind::Qio);
        assert_eq!(recognise(&program(CodeKey::NONE, 0, 0x10_0000)), Kind::Ua);
    }

    #[test]
    fn files_without_code_are_told_by_their_first_bytes() {
        assert_eq!(recognise(&[]), Kind::Unknown);
        assert_eq!(recognise(&[0xFF; 4096]), Kind::Erased);
        assert_eq!(recognise(&[0x00; 4096]), Kind::Erased);
        assert_eq!(recognise(&[&UG_MAGIC[..], &[0; 60]].concat()), Kind::Ug);
        assert_eq!(recognise(&[&b"RBL\0"[..], &[1; 92]].concat()), Kind::Rbl);
        assert_eq!(recognise(&VECTOR.to_le_bytes().repeat(50)), Kind::RawCode);
        assert_eq!(recognise(&[&b"CFG"[..], &[1; 4093]].concat()), Kind::ObkConfig);
        assert_eq!(recognise(b"hello"), Kind::Unknown);
    }

    #[test]
    fn texts_and_packages_are_told_from_dumps() {
        assert_eq!(recognise(&[&UF2_MAGIC[..], &[0; 504]].concat()), Kind::Uf2);
        assert_eq!(recognise(b"{rl1_pin:26,rl1_lv:1,crc:1,}"), Kind::PinText);
        assert_eq!(recognise(br#"{"device_configuration": {"rl1_pin": 26}}"#), Kind::DeviceJson);
        assert_eq!(recognise(br#"{"pins": {"26": "Rel;1"}}"#), Kind::Template);
    }

    #[test]
    fn a_flash_read_from_its_application_on_is_no_application() {
        let mut file = program(CodeKey::TUYA, 0x10000, 0x1E_F000);
        assert_eq!(recognise(&file), Kind::FromApplication);
        file.truncate(0x1D_0000);
        assert_eq!(recognise(&file), Kind::Ua);
        file[0x1B_F000..][..8].copy_from_slice(b"TLV\0\xE0\x01\0\0");
        assert_eq!(recognise(&file), Kind::FromApplication, "its RF block stands at 0x1D0000");
        let flash = in_flash_order(&file, Kind::FromApplication);
        assert_eq!((flash.len(), &flash[0x11000..]), (file.len() + 0x11000, &file[..]));
    }

    #[test]
    fn a_dump_without_a_boot_loader_is_known_by_its_rf_block() {
        let mut flash = vec![0xFF; 0x20_0000];
        flash[0x1E_0000..0x1E_0008].copy_from_slice(b"TLV\0\xE0\x01\0\0");
        assert_eq!(recognise(&flash), Kind::Dump);
        flash.rotate_left(0x11000);
        assert_eq!(recognise(&flash), Kind::RotatedDump);
    }

    #[test]
    fn turning_a_rotated_dump_back_restores_the_order() {
        let flash: Vec<u8> = (0..0x20_0000u32).map(|at| (at / 0x1000) as u8).collect();
        let mut file = flash.clone();
        file.rotate_left(0x11000);
        assert_eq!(in_flash_order(&file, Kind::RotatedDump).as_ref(), flash);
        assert_eq!(in_flash_order(&file, Kind::Dump).as_ref(), file);
        assert_eq!(in_flash_order(&[1, 2, 3], Kind::RotatedDump).as_ref(), [1, 2, 3]);
    }
}
