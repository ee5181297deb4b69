//! The application: its code blocks, and the texts and tables inside that tell what it is and for which chip
//! (formats.md §6).

use memchr::memmem;
use serde::Serialize;

use super::bytes::{Address, Word, cut, grow, u32_le};
use super::code::{self, APP_LOGICAL, BLOCK, BlockStats, CodeKey};
use super::family::Family;

/// Physical length of the application container in the boot loader's partition table (formats.md §1).
pub const CONTAINER_LEN: u32 = 0x11_8F70;

/// The SDK's own partition table inside the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SdkTable {
    /// Start of the over-the-air area.
    pub ota: Address,
    /// Length of the over-the-air area.
    pub ota_length: Address,
    /// Start of the RF calibration.
    pub rf: Address,
    /// Start of the network parameters.
    pub net: Address,
}

/// An application that was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Where it starts in the flash or file it was read from.
    pub offset: Address,
    /// The key its code is encrypted with.
    pub key: CodeKey,
    /// The first word as it stands in flash.
    pub first_word: Word,
    /// The first word after decryption.
    pub first_instruction: Word,
    /// Code blocks from the start up to the first erased one.
    pub blocks: BlockStats,
    /// The SDK's partition table.
    pub sdk_table: Option<SdkTable>,
    /// Name of a Tuya application, such as `oem_bk7231s_light_ty`.
    pub tuya_name: Option<String>,
    /// Version of a Tuya application.
    pub tuya_version: Option<String>,
    /// OpenBeken version texts, such as `OpenBK7231T_1.18.300`; more than one only in a doubtful file.
    pub openbeken: Vec<String>,
    /// LibreTiny version text.
    pub libretiny: Option<String>,
}

impl App {
    /// Bytes of code blocks in flash, up to the first erased block.
    pub fn code_len(&self) -> u32 {
        (self.blocks.good + self.blocks.bad) * BLOCK as u32
    }
}

/// Reads the application that starts at `offset` of `bytes`; `None` when no known key opens one there.
pub fn read(bytes: &[u8], offset: u32) -> Option<App> {
    let container = container(bytes, offset);
    let key = code::key_of(container, APP_LOGICAL)?;
    let blocks = code::count_code(container);
    let plain = decrypted(container, key);
    let (tuya_name, tuya_version) = tuya_name(&plain).unzip();
    Some(App {
        offset: Address(offset),
        key,
        first_word: Word(u32_le(container, 0)?),
        first_instruction: Word(u32_le(&plain, 0)?),
        blocks,
        sdk_table: sdk_table(&plain),
        tuya_name,
        tuya_version: tuya_version.flatten(),
        openbeken: openbeken_versions(&plain),
        libretiny: libretiny_version(&plain),
    })
}

/// The application's container: at most [`CONTAINER_LEN`] bytes from `offset`.
pub fn container(bytes: &[u8], offset: u32) -> &[u8] {
    cut(bytes, offset as usize, (offset as usize).saturating_add(CONTAINER_LEN as usize))
}

/// The plain code of a container, up to the first erased block.
pub fn decrypted(container: &[u8], key: CodeKey) -> Vec<u8> {
    let stats = code::count_code(container);
    let mut plain = code::strip(cut(container, 0, (stats.good + stats.bad) as usize * BLOCK));
    key.apply(&mut plain, APP_LOGICAL);
    plain
}

/// Five records of 20 bytes: owner, description, start, length, options; the second is the application's.
fn sdk_table(plain: &[u8]) -> Option<SdkTable> {
    const RECORD: usize = 20;
    let application = [0x1_1000u32.to_le_bytes(), 0x12_1000u32.to_le_bytes()].concat();
    memmem::find_iter(plain, &application).find_map(|at| {
        let start = |record: usize| u32_le(plain, at + record * RECORD);
        let table = SdkTable {
            ota: Address(start(1)?),
            ota_length: Address(u32_le(plain, at + RECORD + 4)?),
            rf: Address(start(2)?),
            net: Address(start(3)?),
        };
        let sectors = [table.ota, table.ota_length, table.rf, table.net];
        sectors.iter().all(|at| at.0 % 0x1000 == 0 && (0x1000..0x100_0000).contains(&at.0)).then_some(table)
    })
}

/// A whole text `oem_bk7231…_…` or `bk7231…_…` between two NULs, and the version number that may follow it.
fn tuya_name(plain: &[u8]) -> Option<(String, Option<String>)> {
    memmem::find_iter(plain, b"bk7231").find_map(|at| {
        let place = grow(plain, at, 64, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let whole = plain.get(place.start.checked_sub(1)?) == Some(&0) && plain.get(place.end) == Some(&0);
        let name = std::str::from_utf8(&plain[place.clone()]).ok()?;
        if !whole
            || !(name.starts_with("bk7231") || name.starts_with("oem_bk7231"))
            || !name["bk7231".len()..].contains('_')
        {
            return None;
        }
        let number = place.end + 1;
        let number =
            &plain[number..grow(plain, number, 16, |byte| byte.is_ascii_digit() || byte == b'.').end.max(number)];
        let version = std::str::from_utf8(number).ok().filter(|number| number.contains('.'));
        Some((name.to_owned(), version.map(str::to_owned)))
    })
}

/// Every distinct text `OpenBK7231T_1.18.300`. The chip name alone proves nothing: every build names several chips.
fn openbeken_versions(plain: &[u8]) -> Vec<String> {
    let mut versions = Vec::new();
    for at in memmem::find_iter(plain, b"OpenBK7") {
        let end = grow(plain, at, 64, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')).end;
        let version = std::str::from_utf8(&plain[at..end])
            .ok()
            .and_then(|text| openbeken_version(text).or_else(|| development(text)));
        if let Some(version) = version.filter(|version| !versions.contains(version)) {
            versions.push(version);
        }
    }
    versions
}

/// The leading part of `text` that matches `OpenBK(7231[A-Z]|72..[A-Z]?)_\d+\.\d+\.\d+`.
fn openbeken_version(text: &str) -> Option<String> {
    let (chip, rest) = text.strip_prefix("OpenBK")?.split_once('_')?;
    let known = chip.starts_with("72") && matches!(chip.len(), 4 | 5);
    let letter = chip.len() == 4 || chip.ends_with(|last: char| last.is_ascii_uppercase());
    let mut parts = rest.split('.');
    let mut number = || {
        let part = parts.next()?;
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        (digits > 0).then(|| (&part[..digits], digits == part.len()))
    };
    let (major, true) = number()? else { return None };
    let (minor, true) = number()? else { return None };
    let (patch, _) = number()?;
    (known && letter).then(|| format!("OpenBK{chip}_{major}.{minor}.{patch}"))
}

/// A development build calls itself by its number and its commit: `OpenBK7231T_1234_merge_0123456789ab` (beyond.md §8).
fn development(text: &str) -> Option<String> {
    let mut parts = text.strip_prefix("OpenBK")?.splitn(4, '_');
    let (chip, number, word, hash) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let commit = hash.len() >= 7 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let known = chip.starts_with("72") && matches!(chip.len(), 4 | 5);
    (known && digits && commit && word.bytes().all(|byte| byte.is_ascii_lowercase())).then(|| text.to_owned())
}

/// The chip an OpenBeken version text was built for.
pub fn openbeken_family(version: &str) -> Family {
    match version.strip_prefix("OpenBK").and_then(|rest| rest.split_once('_')) {
        Some(("7231T", _)) => Family::Bk7231T,
        Some(("7231N", _)) => Family::Bk7231N,
        _ => Family::Other,
    }
}

fn libretiny_version(plain: &[u8]) -> Option<String> {
    let at = memmem::find(plain, b"LibreTiny v")?;
    let end = grow(plain, at, 96, |byte| (0x20..0x7F).contains(&byte)).end;
    std::str::from_utf8(&plain[at..end]).ok().map(str::to_owned)
}

/// The chip a LibreTiny version text names, when it names one.
pub fn libretiny_family(version: &str) -> Option<Family> {
    let board = version.split_once(" on ")?.1;
    if board.starts_with("generic-bk7231t") {
        Some(Family::Bk7231T)
    } else if board.starts_with("generic-bk7231n") {
        Some(Family::Bk7231N)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_numbered_openbeken_text_counts() {
        let plain =
            b"OpenBK7231T OpenBK7231N/OpenBK7231T_App OpenBK7231N_1.18.300\0 OpenBK7231N_1.18.300 OpenBK7238_1.2.3";
        assert_eq!(openbeken_versions(plain), ["OpenBK7231N_1.18.300", "OpenBK7238_1.2.3"]);
        assert_eq!(openbeken_version("OpenBK7231U_1.17.4_extra"), Some("OpenBK7231U_1.17.4".into()));
        for no in ["OpenBK7231_", "OpenBK7231t_1.2.3", "OpenBK7231N_1.2", "OpenBK7231N_1.x.2", "OpenBK9231N_1.2.3"] {
            assert_eq!(openbeken_version(no), None, "{no}");
        }
        let development = b"\0OpenBK7231T_1234_merge_0123456789ab\0OpenBK7231T_App_merge_0123456789ab\0";
        assert_eq!(openbeken_versions(development), ["OpenBK7231T_1234_merge_0123456789ab"]);
        assert_eq!(openbeken_family("OpenBK7231T_1.0.0"), Family::Bk7231T);
        assert_eq!(openbeken_family("OpenBK7231T_1234_merge_0123456789ab"), Family::Bk7231T);
        assert_eq!(openbeken_family("OpenBK7231U_1.0.0"), Family::Other);
    }

    #[test]
    fn a_tuya_name_stands_between_nuls_and_may_have_a_version() {
        let plain = b"bk7231n\0/apps/oem_bk7231n_plug/src\0oem_bk7231n_plug\x001.1.15\0";
        assert_eq!(tuya_name(plain), Some(("oem_bk7231n_plug".into(), Some("1.1.15".into()))));
        assert_eq!(tuya_name(b"\0bk7231n_common_ty\0firmName\0"), Some(("bk7231n_common_ty".into(), None)));
        assert_eq!(tuya_name(b"bk7231n_common_ty"), None);
    }

    #[test]
    fn an_sdk_table_needs_sector_addresses() {
        let words = |ota: u32| {
            let table =
                [0x1_1000, 0x12_1000, 1, 0, 0, ota, 0xA_6000, 1, 0, 0, 0x1D_0000, 0x1000, 1, 0, 0, 0x1D_1000, 0x1000];
            table.iter().flat_map(|word: &u32| word.to_le_bytes()).collect::<Vec<u8>>()
        };
        let table = sdk_table(&words(0x12_A000)).unwrap();
        assert_eq!((table.ota.0, table.rf.0, table.net.0), (0x12_A000, 0x1D_0000, 0x1D_1000));
        assert_eq!(sdk_table(&words(0x12_A001)), None);
        assert_eq!(sdk_table(&words(0x12_A000)[..50]), None);
    }

    #[test]
    fn libretiny_texts_name_the_board() {
        let text = libretiny_version(b"\0LibreTiny v1.4.1 on generic-bk7231n-qfn32-tuya, compiled\0").unwrap();
        assert_eq!(libretiny_family(&text), Some(Family::Bk7231N));
        assert_eq!(libretiny_family("LibreTiny v1.4.1"), None);
    }
}
