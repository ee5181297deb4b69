//! Energy meters: BL0937 and HLW8012 by pulses, BL0942 and CSE7766 on the UART.

use super::pins::{Pins, plain};
use super::yaml::{Document, Line, line};
use crate::image::calibration::Calibration;
use crate::image::tuya::param::UserParam;

/// Which meter the pin map tells (`chip_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meter {
    Pulses(&'static str),
    Cse7766,
    Bl0942,
}

fn meter(param: &UserParam) -> Option<Meter> {
    let pulses = ["ele_pin", "epin", "vi_pin", "ivpin"].iter().any(|key| param.number(key).is_some());
    match param.number("chip_type") {
        Some(0) if pulses => Some(Meter::Pulses("BL0937")),
        Some(1) if pulses => Some(Meter::Pulses("HLW8012")),
        Some(2) => Some(Meter::Cse7766),
        Some(3) => Some(Meter::Bl0942),
        None if pulses => Some(Meter::Pulses("BL0937")),
        _ => None,
    }
}

/// Whether a meter has the wires of UART1.
pub(super) fn is_serial(param: &UserParam) -> bool {
    matches!(meter(param), Some(Meter::Cse7766 | Meter::Bl0942))
}

/// Adds the meter, if there is one.
pub(super) fn add(document: &mut Document, pins: &mut Pins<'_>, calibration: Option<Calibration>) {
    match meter(pins.param) {
        Some(Meter::Pulses(model)) => pulses(document, pins, model),
        Some(Meter::Cse7766) => {
            uart(document, 4800, Some("EVEN"));
            let lines = vec![line(0, "platform: cse7766", "chip_type 2: a meter of the HLW8032 and CSE7766 kind")];
            document.item("sensor", [lines, readings(false)].concat());
        }
        Some(Meter::Bl0942) => {
            uart(document, 4800, None);
            let mut lines =
                vec![line(0, "platform: bl0942", "chip_type 3; where the power is negative: filters, multiply -1")];
            lines.extend(references(calibration));
            document.item("sensor", [lines, readings(true)].concat());
        }
        None => {}
    }
}

fn readings(frequency: bool) -> Vec<Line> {
    let names = [("current", "Current"), ("voltage", "Voltage"), ("power", "Power"), ("energy", "Energy")];
    let more = frequency.then_some(("frequency", "Frequency"));
    names
        .into_iter()
        .chain(more)
        .flat_map(|(key, name)| [line(0, format!("{key}:"), ""), line(1, format!("name: {name}"), "")])
        .collect()
}

fn uart(document: &mut Document, baud: u32, parity: Option<&str>) {
    let mut lines = vec![
        line(0, "rx_pin: RX1", "meters on the UART use its first port"),
        line(0, "tx_pin: TX1", ""),
        line(0, format!("baud_rate: {baud}"), "as these meters speak"),
    ];
    lines.extend(parity.map(|parity| line(0, format!("parity: {parity}"), "as these meters speak")));
    document.map("uart", "", lines);
}

/// The factory calibration in ESPHome's words, which are the chip's own.
fn references(calibration: Option<Calibration>) -> Vec<Line> {
    let Some(found) = calibration else { return Vec::new() };
    let why = "factory calibration (likely)";
    vec![
        line(0, format!("voltage_reference: {}", found.voltage()), why),
        line(0, format!("current_reference: {}", found.current()), why),
        line(0, format!("power_reference: {:.1}", found.power()), why),
        line(0, format!("energy_reference: {}", found.energy()), why),
    ]
}

fn pulses(document: &mut Document, pins: &mut Pins<'_>, model: &'static str) {
    let mut first = |keys: [&str; 2]| keys.into_iter().find_map(|key| pins.take(key));
    let (power, both, select) =
        (first(["ele_pin", "epin"]), first(["vi_pin", "ivpin"]), first(["sel_pin_pin", "ivcpin"]));
    let (Some(power), Some(both), Some(select)) = (power, both, select) else {
        pins.remark("left out: the meter: ESPHome needs its three pins, and the pin map names fewer");
        return;
    };
    let low = model == "BL0937";
    let chip = match pins.param.number("chip_type") {
        Some(kind) => format!("chip_type {kind}"),
        None => "the pin map names no chip; BL0937 is usual".to_owned(),
    };
    let mut lines = vec![line(0, "platform: hlw8012", ""), line(0, format!("model: {model}"), chip)];
    lines.extend(plain("cf_pin", &power, low, format!("{}, pulses of the power", power.key)));
    lines.extend(plain("cf1_pin", &both, low, format!("{}, pulses of voltage or current", both.key)));
    // The level of this key tells which way current is selected.
    let inverted = select.level == Some(1);
    lines.extend(plain("sel_pin", &select, inverted, format!("{}, selects voltage or current", select.key)));
    let resistor = ["resistor", "sample_resistor"].into_iter().find_map(|key| Some((key, pins.param.number(key)?)));
    if let Some((key, milliohm)) = resistor.filter(|(_, milliohm)| (1..=1000).contains(milliohm)) {
        lines.push(line(
            0,
            format!("current_resistor: {}.{:03} ohm", milliohm / 1000, milliohm % 1000),
            format!("{key}: {milliohm} milliohm"),
        ));
    }
    lines.push(line(0, "voltage_divider: 1600", "usual for these boards; adjust it to a meter"));
    document.item("sensor", [lines, readings(false)].concat());
}
