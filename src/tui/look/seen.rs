//! One way of seeing a file: as it stands, with the Tuya store decrypted in its place, or the code as the chip runs it.

use std::sync::Arc;

use crate::image::plain::{self, Part};
use crate::image::{Kind, Region, RegionKind, entropy, kind, tuya};
use crate::tui::shared::OpenFile;
use crate::units::Span;

/// A way of seeing a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lens {
    /// As it stands.
    File,
    /// With the Tuya store decrypted in its place; offsets are those of the file.
    Store,
    /// The code alone, without CRCs and decrypted, at code addresses.
    Code,
}

impl Lens {
    /// The key of the Dump tab that leads here and back.
    pub const fn key(self) -> char {
        match self {
            Self::File | Self::Store => 'x',
            Self::Code => 'c',
        }
    }

    /// What is seen, in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "the file as it stands",
            Self::Store => "the decrypted store",
            Self::Code => "the decrypted code",
        }
    }
}

/// What the hex view shows.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The file it comes from.
    pub file: Arc<OpenFile>,
    /// How it is seen.
    pub lens: Lens,
    /// The bytes. Places below are indices into them.
    pub bytes: Arc<[u8]>,
    /// Address of the first byte.
    pub base: u32,
    /// What is where.
    pub regions: Vec<Region>,
    /// Entropy of every sector, in bits per byte.
    pub entropy: Arc<[f32]>,
    /// Places that were decrypted.
    pub opened: Vec<Span>,
    /// The containers of code in the file.
    pub parts: Vec<Part>,
    /// The pin map where it stands in pieces: its text and its places.
    pub pin_map: Option<(String, Vec<Span>)>,
}

impl Seen {
    /// A file as it stands.
    pub fn file(file: &Arc<OpenFile>) -> Self {
        Self {
            lens: Lens::File,
            bytes: Arc::clone(&file.bytes),
            base: 0,
            regions: file.regions.clone(),
            entropy: Arc::clone(&file.entropy),
            opened: Vec::new(),
            parts: plain::parts(&file.bytes),
            pin_map: None,
            file: Arc::clone(file),
        }
    }

    /// A file seen in this way; `None` when it holds nothing of the kind. May take a while.
    pub fn through(file: &Arc<OpenFile>, lens: Lens) -> Option<Self> {
        let as_it_stands = Self::file(file);
        match lens {
            Lens::File => Some(as_it_stands),
            Lens::Store => {
                let (bytes, opened) = plain::store(&file.bytes)?;

                let pin_map = pin_map(&file.bytes);
                Some(Self {
                    lens,
                    entropy: entropy::sectors(&bytes).into(),
                    bytes: bytes.into(),
                    opened,
                    pin_map,
                    ..as_it_stands
                })
            }
            Lens::Code => {
                let base = as_it_stands.parts.first()?.code.start;
                let bytes = plain::code(&file.bytes, &as_it_stands.parts);
                let regions = as_it_stands.parts.iter().map(|part| {
                    let kind = if part.code.start == 0 { RegionKind::BootLoader } else { RegionKind::Application };
                    Region::new(part.name, Span::new(part.code.start - base, part.code.len), kind)
                });
                let regions = regions.collect();
                let opened = vec![Span::new(0, bytes.len() as u32)];
                Some(Self {
                    lens,
                    base,
                    regions,
                    opened,
                    entropy: entropy::sectors(&bytes).into(),
                    bytes: bytes.into(),
                    ..as_it_stands
                })
            }
        }
    }

    /// Index of the last byte; 0 when there is none.
    pub fn last(&self) -> u32 {
        self.bytes.len().saturating_sub(1) as u32
    }

    /// The address people see for a place.
    pub const fn address(&self, at: u32) -> u32 {
        self.base.saturating_add(at)
    }

    /// The place of an address.
    pub fn at(&self, address: u32) -> Option<u32> {
        address.checked_sub(self.base).filter(|at| (*at as usize) < self.bytes.len())
    }

    /// The region a place lies in.
    pub fn region(&self, at: u32) -> Option<&Region> {
        self.regions.iter().find(|region| region.span.contains(at))
    }

    /// The file offset of a place.
    pub fn offset(&self, at: u32) -> Option<u32> {
        match self.lens {
            Lens::File | Lens::Store => Some(at),
            Lens::Code => plain::offset_of(&self.parts, self.address(at)),
        }
    }

    /// The place of a file offset.
    pub fn at_offset(&self, offset: u32) -> Option<u32> {
        match self.lens {
            Lens::File | Lens::Store => Some(offset).filter(|at| (*at as usize) < self.bytes.len()),
            Lens::Code => self.at(plain::address_of(&self.parts, offset)?),
        }
    }

    /// The code address of a place, where there is code.
    pub fn code_address(&self, at: u32) -> Option<u32> {
        match self.lens {
            Lens::File | Lens::Store => plain::address_of(&self.parts, at),
            Lens::Code => Some(self.address(at)),
        }
    }
}

/// The pin map of the store with its places; what stands in the open needs no help to be read.
fn pin_map(bytes: &[u8]) -> Option<(String, Vec<Span>)> {
    let kind: Kind = kind::recognise(bytes);
    let found = tuya::read(bytes, kind, None).param?;
    if !matches!(found.source, tuya::Source::Kv | tuya::Source::KvStale) {
        return None;
    }
    let letter = |byte: &u8| if (0x20..0x7F).contains(byte) { char::from(*byte) } else { '·' };
    Some((found.text.iter().map(letter).collect(), found.places))
}
