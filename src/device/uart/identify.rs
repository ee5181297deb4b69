//! Who answers: probes in the order that is safe on every chip (§11.1).

use std::time::Duration;

use super::super::error::DeviceError;
use super::super::watch::Watch;
use super::loader::{Ahead, Dialect, Loader, LowErase};
use super::port::Port;
use crate::chip::{CHIP_ID_REGISTERS, Part, chip_by_id, loader_by_crc, part};
use crate::codec::beken::{Answer, Request, chip_crc, zlib_of};
use crate::link::ResetLine;
use crate::units::{SECTOR, hex_text, size_text};

/// How long a probe that may stay silent is waited for.
const PROBE: Duration = Duration::from_millis(300);
/// Tries of such a probe.
const PROBES: u32 = 2;
/// Sizes tried where no id tells one.
const SIZES: [u32; 5] = [0x08_0000, 0x10_0000, 0x20_0000, 0x40_0000, 0x80_0000];
/// Second place whose repetition confirms a size: the application's beginning.
const CONFIRM_AT: u32 = 0x1_1000;
/// How the loaders of the BK7231T call themselves.
const T_LOADER: &str = "BK7231S_";
/// Flash addresses of a basic loader are cut to 24 bits (§21).
const REACH: u32 = 1 << 24;

/// What the probes found.
pub(super) struct Identity {
    pub chip_id: Option<u32>,
    pub boot_version: Option<String>,
    pub jedec: Option<[u8; 3]>,
    pub part: Option<&'static Part>,
    pub size_sources: Vec<String>,
    /// The chip's CRC of the first 256 bytes: the same chip gives the same one later.
    pub boot_crc: u32,
    /// A loader of a kind that is not in the table: what it does with an erase or a write is not known.
    pub unknown: bool,
    pub evidence: Vec<String>,
}

/// Asks all probes of a loader that was just linked.
pub(super) fn identify(
    port: Port,
    reset: Option<Box<dyn ResetLine>>,
    watch: &mut dyn Watch,
) -> Result<(Loader, Identity), DeviceError> {
    let mut evidence = Vec::new();
    // Until the dialect is known the careful one is assumed; the CRC probe locks the flash of a basic loader.
    let speed = port.baud();
    let mut loader = Loader {
        port,
        reset,
        dialect: Dialect::Basic,
        size: 0,
        speed,
        locked: true,
        ahead: Ahead::Never,
        faults: 0,
        resets: 0,
        low_erase: LowErase::Unknown,
        lost: 0,
        mute: false,
    };
    // Whatever it is, it may fall asleep.
    loader.port.falls_asleep = true;
    let (even, odd) = (loader.crc(0, 256)?, loader.crc(0, 257)?);
    // A loader that counts whole blocks has no command for registers (§1, §21): its silence is not waited for. An answer
    // that came late may have been taken for the next one, so that it is asked once more.
    let blocks = even == odd && loader.crc(0, 257)? == even;
    loader.port.falls_asleep = blocks;
    let chip_id = if blocks { None } else { read_chip_id(&mut loader.port, watch)? };
    if let Some(id) = chip_id {
        evidence.push(format!("chip id register: 0x{id:X}, {}", chip_by_id(id).unwrap_or("not in the table")));
    }
    evidence.push(if even == odd {
        "CRC of 257 bytes is that of 256: whole blocks only, a basic loader".to_owned()
    } else {
        "CRC of 257 bytes differs from that of 256: a full loader".to_owned()
    });
    loader.dialect = match (chip_id, even == odd) {
        (Some(_), _) => Dialect::Full,
        (None, true) => Dialect::Basic,
        (None, false) => {
            evidence.push("no register can be read although the CRC is exact: treated as a basic loader".to_owned());
            Dialect::Basic
        }
    };
    if loader.dialect == Dialect::Basic {
        loader.ahead = Ahead::Untried;
        loader.port.falls_asleep = true;
    }
    for (crc, len) in [(even, 256), (odd, 257)] {
        if let Some(name) = loader_by_crc(zlib_of(crc), len) {
            evidence.push(format!("CRC of the first {len} bytes is {:08X}: boot loader {name}", zlib_of(crc)));
        }
    }
    let boot_version = if chip_id.is_none() { read_boot_version(&mut loader.port, watch)? } else { None };
    if let Some(version) = &boot_version {
        evidence.push(format!("boot loader says {version}"));
        if version.starts_with(T_LOADER) {
            loader.low_erase = LowErase::Refused;
        }
    }
    let jedec = if loader.dialect == Dialect::Full { read_flash_id(&mut loader.port, watch)? } else { None };
    let part = jedec.and_then(part);
    if let Some(id) = jedec {
        evidence.push(format!("flash id {}: {}", hex_text(&id), part.map_or("not in the table", |part| &part.name)));
    }
    let mut size_sources = Vec::new();
    loader.size = find_size(&mut loader, jedec, part, even, &mut size_sources, &mut evidence)?;
    loader.link_check()?;
    let unknown = match chip_id {
        Some(id) => chip_by_id(id).is_none(),
        None => even != odd,
    };
    Ok((loader, Identity { unknown, chip_id, boot_version, jedec, part, size_sources, boot_crc: even, evidence }))
}

/// One answer to a probe that may stay silent.
fn probe<T>(
    port: &mut Port,
    watch: &mut dyn Watch,
    request: &Request<'_>,
    take: impl Fn(Answer<'_>) -> Option<T>,
) -> Result<Option<T>, DeviceError> {
    for _ in 0..PROBES {
        watch.checkpoint()?;
        if let Some(reply) = port.ask_within(request, PROBE)? {
            return Ok(request.accepts(&reply).and_then(take));
        }
    }
    Ok(None)
}

fn read_chip_id(port: &mut Port, watch: &mut dyn Watch) -> Result<Option<u32>, DeviceError> {
    let mut read = |at| {
        probe(port, watch, &Request::ReadReg { at }, |answer| match answer {
            Answer::Register(value) => Some(value),
            _ => None,
        })
    };
    let [first, others @ ..] = CHIP_ID_REGISTERS;
    let Some(id) = read(first)? else { return Ok(None) };
    if chip_by_id(id).is_some() {
        return Ok(Some(id));
    }
    for at in others {
        if let Some(other) = read(at)?.filter(|other| chip_by_id(*other).is_some()) {
            return Ok(Some(other));
        }
    }
    Ok(Some(id))
}

fn read_boot_version(port: &mut Port, watch: &mut dyn Watch) -> Result<Option<String>, DeviceError> {
    probe(port, watch, &Request::BootVersion, |answer| match answer {
        Answer::Version(text) if !text.is_empty() => Some(text),
        _ => None,
    })
}

fn read_flash_id(port: &mut Port, watch: &mut dyn Watch) -> Result<Option<[u8; 3]>, DeviceError> {
    probe(port, watch, &Request::FlashId, |answer| match answer {
        Answer::FlashId(id) if id != [0; 3] && id != [0xFF; 3] => Some(id),
        _ => None,
    })
}

/// The size from the flash id where there is one, and from where addresses wrap.
fn find_size(
    loader: &mut Loader,
    jedec: Option<[u8; 3]>,
    part: Option<&'static Part>,
    boot_crc: u32,
    sources: &mut Vec<String>,
    evidence: &mut Vec<String>,
) -> Result<u32, DeviceError> {
    let by_id = part.map(|part| part.size).or_else(|| {
        let [_, _, exponent] = jedec?;
        (0x10..=0x18).contains(&exponent).then(|| 1 << exponent)
    });
    let candidates: Vec<u32> = by_id.map_or_else(|| SIZES.to_vec(), |size| vec![size.min(REACH)]);
    if by_id.is_some() {
        sources.push("JEDEC id".to_owned());
    }
    // A chip whose first page is blank repeats everywhere.
    let blank = boot_crc == chip_crc(&[0xFF; 256]);
    for size in candidates.iter().copied().filter(|size| *size < REACH && !blank) {
        // A damaged answer must not lead on to a larger size, which repeats as well.
        let wraps = loader.crc(size, 256)? == boot_crc || loader.crc(size, 256)? == boot_crc;
        if wraps && (repeats(loader, size)? || repeats(loader, size)?) {
            sources.push("address wrap".to_owned());
            evidence.push(format!("address wrap: 0x{size:06X} reads as 0x000000, {}", size_text(u64::from(size))));
            return Ok(size);
        }
    }
    match by_id {
        Some(size) => Ok(size.min(REACH)),
        None => Err(DeviceError::Unable {
            what: "finding out the flash size",
            remedy: "no flash id came and no wrap of addresses was seen below 16 MiB; shorten the wires and connect again, or use SPI",
        }),
    }
}

/// Whether a second place repeats too, so that one copy of the loader is not taken for a wrap.
fn repeats(loader: &mut Loader, size: u32) -> Result<bool, DeviceError> {
    Ok(loader.crc(CONFIRM_AT, SECTOR)? == loader.crc(CONFIRM_AT + size, SECTOR)?)
}
