//! What `inspect` shows of the Tuya data. Field names as in the expected results beside the sample dumps. Secrets show
//! as their length; value and hash only on request, since the hash of a short password is as good as the password.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::datapoints::DataPoint;
use super::kv::BlockState;
use super::meaning::{self, Meaning};
use super::{FoundParam, Source, Tuya, param, secrets};
use crate::image::bytes::{Address, sha256_hex};

/// The fields of `gw_di` that are shown; the device id is not among them.
const DEVICE_FIELDS: [&str; 9] = ["pk", "firmk", "swv", "bv", "pv", "lpv", "cadv", "cdv", "s_id"];

/// The Tuya part of an inspection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TuyaInside {
    /// File offset of the key block.
    pub storage_offset: Option<Address>,
    /// Flash address of the key block.
    pub storage_flash_offset: Option<Address>,
    /// First word of the data blocks.
    pub block_magic: Option<String>,
    /// Data blocks that could be read.
    pub data_blocks: usize,
    /// Data blocks with a bad checksum, and sectors that are no block.
    pub bad_blocks: usize,
    /// The data blocks one by one.
    pub blocks: Vec<BlockInside>,
    /// The live keys, sorted.
    pub keys: Vec<String>,
    /// Keys that stand only in deleted or replaced pages, sorted.
    pub deleted_keys: Vec<String>,
    /// Where the pin map was found.
    pub user_param_key_source: Option<Source>,
    /// The pin map.
    pub user_param_key: Option<param::UserParam>,
    /// What was wrong with the pin map.
    pub user_param_key_repairs: Vec<RepairInside>,
    /// What the store says about the serial port.
    pub uart: Option<Value>,
    /// Whether a second processor has the pins.
    pub is_tuyamcu: bool,
    /// Key of the store that holds the data points: the schema id.
    pub schema_key: Option<String>,
    /// Whether the data points stand in a live value; a deleted one may be of another firmware.
    pub data_points_live: bool,
    /// The data points, by number.
    pub data_points: Vec<DataPoint>,
    /// What the data points probably mean, by number.
    pub data_point_meanings: Vec<MeaningInside>,
    /// The rate towards the second processor, in baud.
    pub tuyamcu_baud: Option<i64>,
    /// Name of the platform.
    pub em_sys_env: Option<String>,
    /// Versions and product keys.
    pub device_info: Option<Value>,
    /// The plain file area.
    pub file_area: Option<FileAreaInside>,
    /// File offsets of texts that equal the pin map byte for byte.
    pub plaintext_user_param_copies: Vec<Address>,
    /// Protected blocks.
    pub protected_blocks: Vec<ProtectedInside>,
}

/// A data block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockInside {
    /// File offset.
    pub offset: Address,
    /// Block id.
    pub id: u16,
    /// Generation counter.
    pub generation: u32,
    /// `newest`, `older` or `damaged`.
    pub state: &'static str,
}

/// What a data point probably means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MeaningInside {
    /// Number of the point.
    pub id: u8,
    /// The guess.
    #[serde(flatten)]
    pub meaning: Meaning,
}

/// A place where the pin map is damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepairInside {
    /// File offset.
    pub offset: Option<Address>,
    /// What is wrong there.
    pub what: &'static str,
}

/// The file area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileAreaInside {
    /// Flash address.
    pub flash_offset: Address,
    /// Generation counter of the index.
    pub generation: u32,
    /// The files.
    pub files: Vec<FileInside>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileInside {
    /// Name.
    pub name: String,
    /// Bytes.
    pub size: u32,
    /// Number of the first sector within the area.
    pub sector_index: u32,
}

/// A protected block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProtectedInside {
    /// File offset.
    pub offset: Address,
    /// Flash address.
    pub flash_offset: Address,
    /// Names of its values.
    pub entries: Vec<String>,
}

impl Tuya {
    /// The part as `inspect` shows it; `None` when nothing of Tuya is in the file.
    pub fn inside(&self) -> Option<TuyaInside> {
        if self.is_empty() {
            return None;
        }
        let store = self.store.as_ref();
        let offset = store.map(|store| store.key_block.offset);
        let keys: Vec<String> = store.iter().flat_map(|store| store.live()).map(|entry| entry.name.clone()).collect();
        let stale = store.iter().flat_map(|store| &store.entries).filter(|entry| !entry.live && entry.good);
        let mut deleted: Vec<String> = stale.map(|entry| entry.name.clone()).collect();
        deleted.retain(|name| !keys.contains(name));
        deleted.sort();
        deleted.dedup();
        Some(TuyaInside {
            storage_offset: offset.map(|offset| Address(offset as u32)),
            storage_flash_offset: offset.map(|offset| Address(self.map.address(offset))),
            block_magic: store.and_then(|store| store.magic()).map(|magic| format!("0x{magic:08X}")),
            data_blocks: store.map_or(0, |store| store.blocks.len()),
            bad_blocks: store.map_or(0, |store| store.bad_blocks()),
            blocks: store.map_or_else(Vec::new, |store| store.blocks.iter().map(BlockInside::from).collect()),
            keys,
            deleted_keys: deleted,
            user_param_key_source: self.param.as_ref().map(|found| found.source),
            user_param_key: self.param.as_ref().map(|found| found.param.clone()),
            user_param_key_repairs: self.param.iter().flat_map(repairs).collect(),
            uart: self.uart(),
            is_tuyamcu: self.is_tuyamcu(),
            schema_key: self.schema.as_ref().map(|schema| schema.key.clone()),
            data_points_live: self.schema.as_ref().is_some_and(|schema| schema.live),
            data_points: self.schema.as_ref().map(|schema| schema.points.clone()).unwrap_or_default(),
            data_point_meanings: self.meanings(),
            tuyamcu_baud: self.baud().filter(|_| self.is_tuyamcu()),
            em_sys_env: self.text_of("em_sys_env").map(str::to_owned),
            device_info: self.device_info(),
            file_area: self.files.as_ref().map(|area| FileAreaInside {
                flash_offset: Address(area.start),
                generation: area.generation,
                files: area
                    .files
                    .iter()
                    .map(|file| FileInside { name: file.name.clone(), size: file.size, sector_index: file.sector })
                    .collect(),
            }),
            plaintext_user_param_copies: self.copies.iter().map(|at| Address(*at as u32)).collect(),
            protected_blocks: self
                .protected
                .iter()
                .map(|block| ProtectedInside {
                    offset: Address(block.offset as u32),
                    flash_offset: Address(self.map.address(block.offset)),
                    entries: block.entries.iter().map(|(name, _)| name.clone()).collect(),
                })
                .collect(),
        })
    }

    fn meanings(&self) -> Vec<MeaningInside> {
        let points = self.schema.as_ref().map_or(&[][..], |schema| &schema.points);
        let guess = |point: &DataPoint| Some(MeaningInside { id: point.id, meaning: meaning::guess(points, point)? });
        points.iter().filter_map(guess).collect()
    }

    /// The schema id, which is a key of the store too.
    pub(super) fn schema_id(&self) -> Option<String> {
        Some(self.device_info()?.get("s_id")?.as_str()?.to_owned())
    }

    fn uart(&self) -> Option<Value> {
        let mut uart = Map::new();
        for name in ["baud_cfg", "uart_adapt_params"] {
            if let Some(text) = self.text_of(name) {
                uart.insert(name.to_owned(), json!(param::parse(text.as_bytes())));
            }
        }
        (!uart.is_empty()).then_some(Value::Object(uart))
    }

    fn device_info(&self) -> Option<Value> {
        let value = &self.store.as_ref()?.value("gw_di")?.value;
        let texts = secrets::json_texts(value);
        let fields = DEVICE_FIELDS.iter().map(|field| {
            let text = texts.iter().find(|text| value[text.name.clone()] == *field.as_bytes());
            let text = text.map(|text| String::from_utf8_lossy(&value[text.text.clone()]).into_owned());
            ((*field).to_owned(), json!(text))
        });
        Some(Value::Object(fields.collect()))
    }

    /// Whether a password is anywhere in the store or the fast-connect record.
    pub fn has_wifi_credentials(&self) -> bool {
        let record = self.fast_connect.as_ref();
        let in_record = record.is_some_and(|record| !record.password.is_empty() || record.pmk.is_some());
        in_record || secrets::occurrences(self).iter().any(|found| found.field == "passwd")
    }

    /// Where network names and passwords stand; their values and hashes only when `show`.
    pub fn wifi_credentials(&self, show: bool) -> Value {
        let occurrences: Vec<Value> = secrets::occurrences(self)
            .into_iter()
            .map(|found| {
                let encoding = if found.decoded.is_some() { "base64" } else { "plain" };
                let mut shown = json!({
                    "where": "kv",
                    "field": found.field,
                    "offset": Address(found.offset as u32),
                    "length": found.text.len(),
                    "encoding": encoding,
                });
                if show {
                    shown["value"] = json!(String::from_utf8_lossy(found.decoded.as_ref().unwrap_or(&found.text)));
                    shown["sha256"] = json!(sha256_hex(&found.text));
                    shown["decoded_sha256"] = json!(found.decoded.as_deref().map(sha256_hex));
                }
                shown
            })
            .collect();
        let record = self.fast_connect.as_ref().map(|record| {
            let mut shown = json!({
                "flash_offset": Address(self.map.address(record.offset)),
                "offset": Address(record.offset as u32),
                "encoding": record.encoding.name(),
                "ssid_length": record.ssid.len(),
                "password_is_text": record.password_is_text(),
                "password_length": record.password.len(),
                "pmk_hex_present": record.pmk.is_some(),
            });
            if show {
                shown["ssid"] = json!(String::from_utf8_lossy(&record.ssid));
                shown["password"] = json!(String::from_utf8_lossy(&record.password));
                shown["ssid_sha256"] = json!(sha256_hex(&record.ssid));
                shown["password_sha256"] = json!(sha256_hex(&record.password));
            }
            shown
        });
        let live = secrets::live(self).iter().any(|secret| secret.path == "gw_wsm.ssid");
        json!({ "live_in_gw_wsm": live, "kv_occurrences": occurrences, "fast_connect_record": record })
    }

    /// The secrets of the live store by path and length; their values and hashes only when `show`.
    pub fn live_secrets(&self, show: bool) -> Vec<Value> {
        let secrets = secrets::live(self).into_iter().map(|secret| {
            let mut shown = json!({ "path": secret.path, "length": secret.text.len() });
            if show {
                shown["value"] = json!(String::from_utf8_lossy(&secret.text));
                shown["sha256"] = json!(sha256_hex(&secret.text));
            }
            shown
        });
        secrets.collect()
    }
}

impl From<&super::kv::Block> for BlockInside {
    fn from(block: &super::kv::Block) -> Self {
        let state = match block.state {
            BlockState::Newest => "newest",
            BlockState::Older => "older",
            BlockState::Damaged => "damaged",
        };
        Self { offset: Address(block.offset as u32), id: block.id, generation: block.generation, state }
    }
}

fn repairs(found: &FoundParam) -> Vec<RepairInside> {
    let repairs = found.param.repairs.iter();
    repairs.map(|repair| RepairInside { offset: found.offset_of(repair.at).map(Address), what: repair.what }).collect()
}
