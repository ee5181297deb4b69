//! One way of seeing a file: as it stands, with the Tuya store decrypted in its place, or the code as the chip runs it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::image::diff::{self, Comparison};
use crate::image::plain::{self, Part};
use crate::image::{Kind, Region, RegionKind, entropy, kind, region, tuya};
use crate::tui::shared::OpenFile;
use crate::units::Span;

/// A way of seeing a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lens {
    /// As it stands.
    File,
    /// With the Tuya store decrypted in its place; offsets are those of the file.
    Store,
    /// Beside another file.
    Pair,
    /// The code alone, without CRCs and decrypted, at code addresses.
    Code,
}

impl Lens {
    /// The key of the Dump tab that leads here and back.
    pub const fn key(self) -> char {
        match self {
            Self::File | Self::Store => 'x',
            Self::Pair => '=',
            Self::Code => 'c',
        }
    }

    /// What is seen, in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "the file as it stands",
            Self::Store => "the decrypted store",
            Self::Pair => "the comparison",
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
    /// The file it is compared with.
    pub pair: Option<Arc<Pair>>,
}

/// A second file, and where it differs.
#[derive(Debug)]
pub struct Pair {
    /// Its name.
    pub name: String,
    /// Its bytes, in the order of the first one's.
    pub bytes: Arc<[u8]>,
    /// Flash address of the first byte of the first file, when that was turned back.
    pub turned: u32,
    /// The differences.
    pub comparison: Comparison,
    /// Offset and length of every differing range.
    pub ranges: Vec<(u32, u32)>,
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
            pair: None,
            file: Arc::clone(file),
        }
    }

    /// Two files beside each other, in the same order. May take a while.
    pub fn pair(first: &Arc<OpenFile>, second: &OpenFile) -> Self {
        let ([a, b], turned) = diff::in_one_order(&first.bytes, &second.bytes);
        let keep = |bytes: Cow<'_, [u8]>, file: &OpenFile, turned: bool| -> Arc<[u8]> {
            if turned { bytes.into_owned().into() } else { Arc::clone(&file.bytes) }
        };
        let comparison = diff::compare(&first.bytes, &second.bytes);
        let pair = Pair {
            name: second.name.clone(),
            bytes: keep(b, second, turned[1]),
            turned: if turned[0] { kind::recognise(&first.bytes).rotation() } else { 0 },
            ranges: comparison.ranges.iter().map(|range| (range.span.start, range.span.len)).collect(),
            comparison,
        };
        let as_it_stands = Self::file(first);
        let bytes = keep(a, first, turned[0]);
        let (regions, parts) = match turned[0] {
            true => (region::regions(&bytes), plain::parts(&bytes)),
            false => (as_it_stands.regions.clone(), as_it_stands.parts.clone()),
        };
        let entropy = if turned[0] { entropy::sectors(&bytes).into() } else { Arc::clone(&as_it_stands.entropy) };
        Self { lens: Lens::Pair, bytes, regions, parts, entropy, pair: Some(Arc::new(pair)), ..as_it_stands }
    }

    /// A file seen in this way; `None` when it holds nothing of the kind. May take a while.
    pub fn through(file: &Arc<OpenFile>, lens: Lens) -> Option<Self> {
        let as_it_stands = Self::file(file);
        match lens {
            Lens::File => Some(as_it_stands),
            // A second file is needed: see [`Seen::pair`].
            Lens::Pair => None,
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

    fn turned(&self) -> u32 {
        self.pair.as_ref().map_or(0, |pair| pair.turned)
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
            Lens::Pair => {
                let len = self.bytes.len() as u32;
                (at + len - self.turned()).checked_rem(len)
            }
            Lens::Code => plain::offset_of(&self.parts, self.address(at)),
        }
    }

    /// The place of a file offset.
    pub fn at_offset(&self, offset: u32) -> Option<u32> {
        match self.lens {
            Lens::File | Lens::Store => Some(offset).filter(|at| (*at as usize) < self.bytes.len()),
            Lens::Pair => (offset + self.turned()).checked_rem(self.bytes.len() as u32),
            Lens::Code => self.at(plain::address_of(&self.parts, offset)?),
        }
    }

    /// The code address of a place, where there is code.
    pub fn code_address(&self, at: u32) -> Option<u32> {
        match self.lens {
            Lens::File | Lens::Store | Lens::Pair => plain::address_of(&self.parts, at),
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
