//! Data points of a second processor as components of ESPHome's `tuya:`.

use super::Source;
use super::yaml::{Document, Line, line, quoted};
use crate::image::tuya::datapoints::{Content, DataPoint, scaled};
use crate::image::tuya::meaning::{Meaning, What, guess};
use crate::units::Verdict;

/// Adds `uart:`, `tuya:` and a component for every data point.
pub(super) fn add(document: &mut Document, source: &Source<'_>) {
    let (baud, why) = match source.baud {
        Some(baud) => (baud, "the rate that the store names"),
        None => (9600, "not checked: the store names no rate; if nothing answers, use 115200"),
    };
    if !document.has("uart") {
        document.map(
            "uart",
            "to the second processor",
            vec![
                line(0, "rx_pin: RX1", "Tuya's modules use the first port"),
                line(0, "tx_pin: TX1", ""),
                line(0, format!("baud_rate: {baud}"), why),
            ],
        );
    }
    document.map("tuya", "a second processor has the pins", Vec::new());
    if source.points.is_empty() {
        document.remark(
            "The store holds no data points: the device was never paired. ESPHome's log lists them at the start.",
        );
    }
    let dimmer = dimmer(document, source.points);
    for point in source.points.iter().filter(|point| !dimmer.contains(&point.id)) {
        component(document, source.points, point);
    }
}

/// A dimmer: switch 1 and brightness 2, as one light. Returns the points that are in it.
fn dimmer(document: &mut Document, points: &[DataPoint]) -> Vec<u8> {
    let is = |point: &&DataPoint, what: What| {
        guess(points, point).is_some_and(|meaning| meaning.what == what && meaning.verdict == Verdict::Likely)
    };
    let bright: Vec<&DataPoint> = points.iter().filter(|point| is(point, What::Brightness)).collect();
    let switch: Vec<&DataPoint> = points.iter().filter(|point| is(point, What::Switch)).collect();
    let ([bright], [switch]) = (&bright[..], &switch[..]) else { return Vec::new() };
    let Content::Value { min, max, .. } = bright.content else { return Vec::new() };
    document.item(
        "light",
        vec![
            line(0, "platform: tuya", "switch and brightness (likely)"),
            line(0, "name: Light", ""),
            line(0, format!("switch_datapoint: {}", switch.id), switch.range_text()),
            line(0, format!("dimmer_datapoint: {}", bright.id), bright.range_text()),
            line(0, format!("min_value: {min}"), ""),
            line(0, format!("max_value: {max}"), ""),
        ],
    );
    vec![bright.id, switch.id]
}

/// The name of a point, and why.
fn named(point: &DataPoint, meaning: Option<Meaning>) -> [Line; 2] {
    let sure = meaning.filter(|meaning| meaning.verdict == Verdict::Likely);
    let name = sure.map_or_else(String::new, |meaning| format!("{} ", meaning.name));
    let why = match meaning {
        Some(meaning) => format!("{}: {} ({})", meaning.name, meaning.verdict, meaning.why),
        None => "the store has no names".to_owned(),
    };
    let text = format!("{name}{}", point.id);
    let first = text.chars().next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let name = if sure.is_some() { first + &text[1..] } else { format!("Data point {}", point.id) };
    [
        line(0, "platform: tuya", format!("{}, {}", point.mode_text(), point.range_text())),
        line(0, format!("name: {}", quoted(&name)), why),
    ]
}

fn component(document: &mut Document, points: &[DataPoint], point: &DataPoint) {
    let meaning = guess(points, point);
    let mut lines = named(point, meaning).to_vec();
    let id = point.id;
    let own = |key: &str| line(0, format!("{key}: {id}"), "");
    let section = match &point.content {
        Content::Bool if point.is_writable() => {
            lines.push(own("switch_datapoint"));
            "switch"
        }
        Content::Bool => {
            lines.push(own("sensor_datapoint"));
            "binary_sensor"
        }
        Content::Value { min, max, scale, step } if point.is_writable() && min < max => {
            lines.push(own("number_datapoint"));
            lines.push(line(0, format!("min_value: {}", scaled(*min, *scale)), ""));
            lines.push(line(0, format!("max_value: {}", scaled(*max, *scale)), ""));
            lines.push(line(0, format!("step: {}", scaled((*step).max(1), *scale)), ""));
            lines
                .extend((*scale > 0).then(|| line(0, format!("multiply: {}", power_of_ten(*scale)), "decimal places")));
            "number"
        }
        Content::Value { scale, .. } => {
            lines.push(own("sensor_datapoint"));
            lines.extend(measured(meaning, *scale));
            "sensor"
        }
        Content::Enum(range) if point.is_writable() && is_a_choice(range) => {
            lines.push(own("enum_datapoint"));
            lines.push(line(0, "options:", ""));
            lines.extend(
                range.iter().enumerate().map(|(number, text)| line(1, format!("{number}: {}", quoted(text)), "")),
            );
            "select"
        }
        Content::Bitmap(_) => {
            lines.push(own("sensor_datapoint"));
            "sensor"
        }
        Content::Enum(_) | Content::Text(_) | Content::Raw(_) => {
            lines.push(own("sensor_datapoint"));
            "text_sensor"
        }
        Content::Other(name) => {
            document.remark(format!("left out: data point {id}: its type {name} is not known"));
            return;
        }
    };
    document.item(section, lines);
}

/// ESPHome takes a list of different, non-empty texts.
fn is_a_choice(range: &[String]) -> bool {
    let different: std::collections::BTreeSet<&String> = range.iter().collect();
    !range.is_empty()
        && range.len() <= 256
        && different.len() == range.len()
        && range.iter().all(|text| !text.is_empty())
}

fn power_of_ten(scale: u8) -> String {
    format!("1{}", "0".repeat(scale.into()))
}

/// Decimal places, unit and class of a sensor.
fn measured(meaning: Option<Meaning>, scale: u8) -> Vec<Line> {
    let mut lines = Vec::new();
    if scale > 0 {
        lines.push(line(0, format!("accuracy_decimals: {scale}"), ""));
        lines.push(line(0, "filters:", ""));
        lines.push(line(1, format!("- multiply: {}", scaled(1, scale)), "decimal places"));
    }
    let what = meaning.filter(|meaning| meaning.verdict == Verdict::Likely).map(|meaning| meaning.what);
    let (unit, class, total) = match (what, scale) {
        (Some(What::Voltage), _) => ("V", "voltage", false),
        (Some(What::Current), 0) => ("mA", "current", false),
        (Some(What::Current), _) => ("A", "current", false),
        (Some(What::Power), 0 | 1) => ("W", "power", false),
        (Some(What::Power), _) => ("kW", "power", false),
        (Some(What::Energy), _) => ("kWh", "energy", true),
        (Some(What::Temperature), _) => ("\"\\u00B0C\"", "temperature", false),
        (Some(What::Humidity), _) => ("\"%\"", "humidity", false),
        (Some(What::Battery), _) => ("\"%\"", "battery", false),
        _ => return lines,
    };
    lines.push(line(0, format!("unit_of_measurement: {unit}"), "likely"));
    lines.push(line(0, format!("device_class: {class}"), ""));
    lines.push(line(0, format!("state_class: {}", if total { "total_increasing" } else { "measurement" }), ""));
    lines
}
