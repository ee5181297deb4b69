//! The search for known values in a finished copy: raw, in the decrypted store, in the decrypted protected blocks and
//! in the decrypted application; as it is, as UTF-16, as Base64, as hex digits and masked like a fast-connect record.

use std::borrow::Cow;

use memchr::memmem::Finder;

use super::collect::Known;
use crate::image::app;
use crate::image::code::{self, APP_LOGICAL};
use crate::image::family::BOOT_LOADER_LEN;
use crate::image::kind::Kind;
use crate::image::tuya::{Tuya, fast_connect, secrets};

/// The ways a value may be written.
pub(super) const ENCODINGS: [&str; 6] =
    ["plain", "UTF-16", "Base64", "hex", "hex in capitals", "XOR of the fast-connect record"];

/// A stretch of bytes that is searched.
pub(super) struct View<'a> {
    /// What it is.
    pub name: &'static str,
    /// File offset of its first byte.
    offset: usize,
    bytes: Cow<'a, [u8]>,
}

impl<'a> View<'a> {
    /// The file as it is.
    pub fn raw(bytes: &'a [u8]) -> Self {
        Self { name: "the file", offset: 0, bytes: Cow::Borrowed(bytes) }
    }
}

/// Everything a stranger could look at.
pub(super) fn views<'a>(bytes: &'a [u8], kind: Kind, tuya: &'a Tuya) -> Vec<View<'a>> {
    let mut views = vec![View::raw(bytes)];
    if let Some(store) = &tuya.store {
        // Texts may go over two blocks that follow one another.
        let mut plain: Vec<(usize, Vec<u8>)> = Vec::new();
        for block in &store.blocks {
            match plain.last_mut() {
                Some((start, bytes)) if *start + bytes.len() == block.offset => bytes.extend_from_slice(&block.plain),
                _ => plain.push((block.offset, block.plain.clone())),
            }
        }
        let decrypted = plain.into_iter();
        views.extend(decrypted.map(|(offset, plain)| View {
            name: "the decrypted store",
            offset,
            bytes: Cow::Owned(plain),
        }));
        // A value's parts stand apart.
        views.extend(store.entries.iter().filter(|entry| entry.places.len() > 1).map(|entry| View {
            name: "the values of the store",
            offset: entry.index,
            bytes: Cow::Borrowed(&entry.value),
        }));
    }
    views.extend(tuya.protected.iter().map(|block| View {
        name: "a protected block",
        offset: block.offset,
        bytes: Cow::Borrowed(&block.plain),
    }));
    let app = match kind {
        Kind::Dump | Kind::RotatedDump | Kind::FromApplication | Kind::Qio => tuya.map.offset(BOOT_LOADER_LEN),
        _ => None,
    };
    let app = app.and_then(|start| {
        let container = app::container(bytes, u32::try_from(start).ok()?);
        let plain = app::decrypted(container, code::key_of(container, APP_LOGICAL)?);
        Some(View { name: "the decrypted application", offset: start, bytes: Cow::Owned(plain) })
    });
    views.extend(app);
    views
}

/// A value that was found.
pub(super) struct Hit {
    /// Number of the value.
    pub known: usize,
    /// Name of the view.
    pub view: &'static str,
    /// File offset; in the decrypted application near it.
    pub offset: usize,
    /// Bytes of the value as written there.
    pub len: usize,
}

/// Searches all views for all values.
pub(super) fn find(views: &[View<'_>], known: &[&Known]) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (number, known) in known.iter().enumerate() {
        for form in forms(&known.value) {
            let finder = Finder::new(&form);
            for view in views {
                hits.extend(finder.find_iter(&view.bytes).map(|at| Hit {
                    known: number,
                    view: view.name,
                    offset: view.offset + at,
                    len: form.len(),
                }));
            }
        }
    }
    hits
}

/// A value in every way it may be written.
fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let utf16 = value.iter().flat_map(|byte| [*byte, 0]).collect();
    let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![value.to_vec(), utf16, hex.to_uppercase().into_bytes(), hex.into_bytes()];
    forms.push(secrets::base64(value));
    // The mask repeats after eight bytes, and a value may start anywhere in it.
    forms.extend((0..8).map(|shift| fast_connect::masked(value, shift)));
    forms.dedup();
    forms
}
