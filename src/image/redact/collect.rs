//! Every secret value a file holds, to search for it everywhere else. Values have no Debug text.

use crate::image::app;
use crate::image::bytes::cut;
use crate::image::code::{self, APP_LOGICAL};
use crate::image::family::{BOOT_LOADER_LEN, Family};
use crate::image::kind::Kind;
use crate::image::openbeken;
use crate::image::rf;
use crate::image::tuya::Tuya;
use crate::image::tuya::secrets::{self, Secrecy};

/// Fields of `gw_di` that name the product and not the device.
const PRODUCT_KEYS: [&str; 3] = ["pk", "firmk", "s_id"];

/// A secret value.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// What it is, for people.
    pub kind: String,
    /// The bytes.
    pub value: Vec<u8>,
}

/// Collects them: each value once, Base64 also decoded.
pub(super) fn known(bytes: &[u8], kind: Kind, tuya: &Tuya) -> Vec<Known> {
    let mut found = Collection::default();
    if let Some(record) = &tuya.fast_connect {
        found.add("network name", &record.ssid);
        found.add("password", &record.password);
        found.add("network key", record.pmk.as_deref().unwrap_or_default());
    }
    for entry in tuya.store.iter().flat_map(|store| &store.entries) {
        found.value(&entry.name, &entry.value);
    }
    // Pages without an index page, too.
    for block in tuya.store.iter().flat_map(|store| &store.blocks) {
        found.fields(&block.plain);
    }
    for block in &tuya.protected {
        for (name, place) in &block.entries {
            found.value(name, &block.plain[place.clone()]);
        }
        found.fields(&block.plain);
    }
    if let Some(config) = openbeken::find(bytes, kind, tuya.map) {
        for (name, place) in config.secrets() {
            if name != "start_up_command" {
                let text = cut(bytes, config.offset + place.start, config.offset + place.end);
                let text = if name == "mac" { text } else { text.split(|byte| *byte == 0).next().unwrap_or(&[]) };
                found.add(&format!("OpenBeken {name}"), text);
            }
        }
    }
    for span in [Family::Bk7231T, Family::Bk7231N].into_iter().filter_map(Family::rf_block) {
        let block = tuya.map.offset(span.start).and_then(|at| rf::find(bytes, at as u32));
        found.add("MAC address", &block.and_then(|block| block.mac).unwrap_or_default());
    }
    found.without_product_keys(tuya).public(bytes, kind, tuya)
}

#[derive(Default)]
struct Collection {
    found: Vec<Known>,
}

impl Collection {
    fn add(&mut self, kind: &str, value: &[u8]) {
        let blank = value.is_empty() || secrets::is_blank(value) || value.iter().all(|byte| matches!(byte, 0 | 0xFF));
        if !blank && self.found.iter().all(|known| known.value != value) {
            self.found.push(Known { kind: kind.to_owned(), value: value.to_vec() });
        }
    }

    /// A value of the store by its name.
    fn value(&mut self, name: &str, value: &[u8]) {
        let wanted = secrets::secrecy(name);
        let texts = secrets::json_texts(value);
        if wanted == Secrecy::Whole && !value.starts_with(b"{") {
            let end = value.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            self.add(name, &value[..end]);
        }
        self.fields(value);
        if wanted == Secrecy::Whole && !matches!(name, "gw_ai" | "gw_bi" | "gw_wsm") {
            let long = texts.iter().filter(|text| text.text.len() >= 8);
            long.for_each(|text| self.add(name, &value[text.text.clone()]));
        }
        if wanted == Secrecy::Field("id") {
            let ids = texts.into_iter().filter(|text| &value[text.name.clone()] == b"id");
            ids.for_each(|text| self.add("gw_di.id", &value[text.text]));
        } else if name == "gw_ai" {
            let keys = texts.into_iter().filter(|text| &value[text.name.clone()] == b"key");
            keys.for_each(|text| self.add("gw_ai.key", &value[text.text]));
        }
    }

    /// Fields that are secret wherever they stand.
    fn fields(&mut self, bytes: &[u8]) {
        for text in secrets::json_texts(bytes) {
            let (name, value) = (&bytes[text.name.clone()], &bytes[text.text]);
            if secrets::is_secret_field(name) {
                let name = String::from_utf8_lossy(name).into_owned();
                self.add(&name, value);
                if matches!(name.as_str(), "ssid" | "passwd" | "pwsd") {
                    self.add(&name, &secrets::base64_decoded(value).unwrap_or_default());
                }
            }
        }
    }

    /// Leaves out the keys of the product and its firmware: every device of the kind has them, `gw_di` keeps them, and
    /// the factory writes them into fields of its own too.
    fn without_product_keys(mut self, tuya: &Tuya) -> Self {
        let entries = tuya.store.iter().flat_map(|store| &store.entries).filter(|entry| entry.name == "gw_di");
        let mut open: Vec<&[u8]> = Vec::new();
        for entry in entries {
            let of_product = |name: &[u8]| PRODUCT_KEYS.iter().any(|key| key.as_bytes() == name);
            let texts = secrets::json_texts(&entry.value).into_iter();
            let texts = texts.filter(|text| of_product(&entry.value[text.name.clone()]));
            open.extend(texts.map(|text| &entry.value[text.text]));
        }
        let network = |kind: &str| ["ssid", "passwd", "pwsd", "password", "network name"].contains(&kind);
        self.found.retain(|known| network(&known.kind) || !open.contains(&known.value.as_slice()));
        self
    }

    /// Leaves out what stands as a constant in the application: it is in every device with the same firmware.
    fn public(self, bytes: &[u8], kind: Kind, tuya: &Tuya) -> Vec<Known> {
        let start = match kind {
            Kind::Dump | Kind::RotatedDump | Kind::FromApplication | Kind::Qio => tuya.map.offset(BOOT_LOADER_LEN),
            _ => None,
        };
        let code = start.and_then(|start| {
            let container = app::container(bytes, u32::try_from(start).ok()?);
            Some(app::decrypted(container, code::key_of(container, APP_LOGICAL)?))
        });
        let code = code.unwrap_or_default();
        self.found.into_iter().filter(|known| memchr::memmem::find(&code, &known.value).is_none()).collect()
    }
}
