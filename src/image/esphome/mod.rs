//! An ESPHome configuration out of the factory firmware's pin map or data points: board, pins with their polarity,
//! lights, meters, `tuya:`. Keys and values are those of ESPHome's own checker (2026.6); which key of the pin map means
//! what is in formats.md §10 and §11.

mod lights;
mod meters;
mod pins;
mod points;
mod yaml;

use super::calibration::Calibration;
use super::family::Family;
use super::tuya::datapoints::DataPoint;
use super::tuya::param::UserParam;
use yaml::{Document, line, quoted};

/// What a configuration is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source<'a> {
    /// The pin map.
    pub param: Option<&'a UserParam>,
    /// The chip, where its code tells it.
    pub chip: Option<Family>,
    /// Name of the device, where its firmware tells one.
    pub name: Option<&'a str>,
    /// Whether a second processor has the pins.
    pub tuyamcu: bool,
    /// The rate towards it, in baud.
    pub baud: Option<i64>,
    /// The data points.
    pub points: &'a [DataPoint],
    /// The meter's factory calibration.
    pub calibration: Option<Calibration>,
}

/// The configuration; `None` where there is nothing to make it of.
pub fn configuration(source: &Source<'_>) -> Option<String> {
    let param = source.param.filter(|param| param.has_pins());
    if param.is_none() && !source.tuyamcu {
        return None;
    }
    let mut document = Document::default();
    head(&mut document, source);
    if let Some(param) = param {
        let beken = board_of(source).is_some_and(|board| board.platform == N.platform);
        let mut made = pins::Pins::new(param, beken);
        lights::add(&mut document, &mut made);
        pins::add(&mut document, &mut made);
        meters::add(&mut document, &mut made, source.calibration);
        made.remarks().into_iter().for_each(|remark| document.remark(remark));
    }
    if source.tuyamcu {
        points::add(&mut document, source);
    }
    Some(document.render())
}

/// A platform of ESPHome with its board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Board {
    platform: &'static str,
    name: &'static str,
    chip: &'static str,
}

const T: Board = Board { platform: "bk72xx", name: "generic-bk7231t-qfn32-tuya", chip: "BK7231T" };
const N: Board = Board { platform: "bk72xx", name: "generic-bk7231n-qfn32-tuya", chip: "BK7231N" };
/// Boards by the first letters of Tuya's module names; the first that fits counts. The Realtek ones share their names'
/// first letter with Beken's.
const BOARDS: [(&str, Board); 8] = [
    ("WBR", Board { platform: "rtl87xx", name: "generic-rtl8720cf-2mb-992k", chip: "RTL8720CF" }),
    ("WR", Board { platform: "rtl87xx", name: "generic-rtl8710bn-2mb-788k", chip: "RTL8710BN" }),
    ("CR", Board { platform: "rtl87xx", name: "generic-rtl8720cm-4mb-1712k", chip: "RTL8720CM" }),
    ("W", T),
    ("C", N),
    ("T1", Board { platform: "bk72xx", name: "generic-bk7238-tuya", chip: "BK7238" }),
    ("T2", N),
    ("T3", N),
];

/// The board: by the chip that the code tells, else by the module's name.
fn board_of(source: &Source<'_>) -> Option<Board> {
    let module = || source.param?.text("module").map(str::to_ascii_uppercase);
    match source.chip {
        Some(Family::Bk7231T) => Some(T),
        Some(Family::Bk7231N) => Some(N),
        _ => module()
            .and_then(|module| BOARDS.into_iter().find(|(start, _)| module.starts_with(start)).map(|(_, board)| board)),
    }
}

fn head(document: &mut Document, source: &Source<'_>) {
    document.remark("ESPHome configuration, made by bkbench from the factory firmware of the device.");
    document.remark("Behind each line: the key that it comes from. Check it before you connect the mains.");
    document.remark("secrets.yaml needs wifi_ssid and wifi_password.");
    let name = host_name(source.name);
    let friendly = source.name.map_or_else(|| "Tuya device".to_owned(), |name| name.chars().take(60).collect());
    document.map(
        "esphome",
        "",
        vec![
            line(0, format!("name: {name}"), "letters, digits and hyphens only; change it as you like"),
            line(0, format!("friendly_name: {}", quoted(&friendly)), "shown in Home Assistant"),
        ],
    );
    let module = source.param.and_then(|param| param.text("module")).map(|module| format!("module {module}"));
    let module = module.unwrap_or_else(|| "the module is not named".to_owned());
    match board_of(source) {
        Some(board) => {
            let lines = vec![line(0, format!("board: {}", board.name), format!("{}, {module}", board.chip))];
            document.map(board.platform, "", lines);
        }
        None => {
            let why = format!("not checked: no chip is named, {module}; choose platform and board yourself");
            document.map(N.platform, "", vec![line(0, format!("board: {}", N.name), why)]);
        }
    }
    let wired = source.tuyamcu || source.param.is_some_and(meters::is_serial);
    let logger = if wired {
        vec![line(0, "baud_rate: 0", "the wires of UART1 belong to another chip: no log on a wire")]
    } else {
        Vec::new()
    };
    document.map("logger", "", logger);
    document.map("api", "for Home Assistant", Vec::new());
    document.item("ota", vec![line(0, "platform: esphome", "updates over the air")]);
    document.map(
        "wifi",
        "",
        vec![
            line(0, "ssid: !secret wifi_ssid", ""),
            line(0, "password: !secret wifi_password", ""),
            line(0, "ap: {}", "a network of its own where yours cannot be reached"),
        ],
    );
    document.map("captive_portal", "", Vec::new());
}

/// A name that ESPHome takes: lower-case letters, digits and single hyphens, at most 24 letters.
fn host_name(name: Option<&str>) -> String {
    let letters =
        name.unwrap_or_default().chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let words: String = letters.collect();
    let parts: Vec<&str> = words.split('-').filter(|part| !part.is_empty()).collect();
    let joined: String = parts.join("-").chars().take(24).collect();
    let trimmed = joined.trim_matches('-');
    if trimmed.is_empty() { "tuya-device".to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests;
