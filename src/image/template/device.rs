//! What a kind of device needs besides its pins: the meter's driver, the battery's, the interlock of a curtain. Each
//! command has its reason in a note, and how sure it is.

use super::{Line, Template};
use crate::image::tuya::param::UserParam;

/// "Use alternate UART": meters and second processors on UART2, P1 and P0 (OpenBeken, flag 26).
const ALTERNATE_UART: u64 = 1 << 26;
/// GPIOs of UART1, which a serial meter is on without that flag.
const UART1: [u8; 2] = [10, 11];
/// GPIOs of UART2.
const UART2: [u8; 2] = [0, 1];
/// Keys of which one makes a curtain, blind or shutter.
const CURTAIN: [&str; 6] =
    ["percent_ctrl1", "travel_calibra1", "trav_t_set", "travel_t1", "reverse_ctrl1", "dev_ctrl1"];

/// What a dump does not tell: whether the second processor switches the Wi-Fi module off to save a battery.
pub const LOW_POWER: &str = "on batteries the second processor switches the Wi-Fi module on only to report: then add \
                             startDriver tmSensor behind startDriver TuyaMCU. Nothing in the file tells, not checked";

/// Adds what the device needs.
pub fn add(param: &UserParam, template: &mut Template) {
    meter(param, template);
    battery(param, template);
    curtain(param, template);
    bridge(param, template);
}

fn has_role(template: &Template, start: &str) -> bool {
    template.lines.iter().any(|line| line.role.starts_with(start))
}

fn meter(param: &UserParam, template: &mut Template) {
    let kind = param.number("chip_type");
    if has_role(template, "BL0937") {
        template.commands.insert(0, "startDriver BL0937".to_owned());
        if kind == Some(1) {
            template.notes.push(
                "chip_type 1 is an HLW8012: the BL0937 driver counts its pulses, likely; its values need VoltageSet, \
                 CurrentSet and PowerSet"
                    .to_owned(),
            );
        }
        return;
    }
    let wires = ["ele_rx", "ele_tx"].iter().any(|key| param.get(key).is_some());
    let (driver, what) = match kind {
        Some(2) => ("CSE7766", "chip_type 2 is a serial meter of the HLW8032 and CSE7766 kind, likely"),
        Some(3) => ("BL0942", "chip_type 3 is a BL0942 on the serial port, likely"),
        Some(4) => ("BL0942", "chip_type 4 is a BL0942 in LibreTiny's list of keys, unsure"),
        None if wires => ("BL0942", "a serial meter without chip_type: a BL0942 is the usual one, unsure"),
        _ => return,
    };
    template.commands.insert(0, format!("startDriver {driver}"));
    template.notes.push(format!("startDriver {driver}: {what}"));
    uart(param, template);
}

/// Which UART a serial meter is on.
fn uart(param: &UserParam, template: &mut Template) {
    let named = ["ele_rx", "ele_tx"].iter().find_map(|key| param.number(key));
    let used = |pins: [u8; 2]| pins.into_iter().find_map(|pin| template.line(pin)).map(|line| line.key.clone());
    let (on_first, on_second) = (used(UART1), used(UART2));
    let second = match named {
        Some(pin) => u8::try_from(pin).is_ok_and(|pin| UART2.contains(&pin)),
        // Nothing tells where the meter is: not where something else is.
        None => on_first.is_some() && on_second.is_none(),
    };
    if second {
        template.flags |= ALTERNATE_UART;
        let how = match (named, on_first) {
            (None, Some(key)) => format!("{key} is on a pin of UART1, unsure"),
            _ => "its pins say so".to_owned(),
        };
        template.notes.push(format!("flag 26: the meter is on UART2 (P1 and P0); {how}"));
    } else if let Some(key) = on_first {
        template
            .notes
            .push(format!("{key} is on a pin of UART1, where the meter's driver listens; one of them is wrong"));
    }
}

fn battery(param: &UserParam, template: &mut Template) {
    if !has_role(template, "BAT_ADC") {
        return;
    }
    template.commands.push("startDriver Battery".to_owned());
    match (param.number("min_V"), param.number("max_V")) {
        (Some(least), Some(most)) if 0 < least && least < most => {
            template.commands.push(format!("Battery_Setup {least} {most}"));
            template.notes.push(format!(
                "Battery_Setup {least} {most}: empty and full in mV, as min_V and max_V say; the divider of the voltage is \
                 the driver's own (2.29), unsure"
            ));
        }
        _ => template
            .notes
            .push("startDriver Battery: no min_V and max_V; its own limits are 2000 and 3000 mV".to_owned()),
    }
    if let Some(Line { pin, channel, .. }) = template.lines.iter().find(|line| line.role.starts_with("dInput")) {
        let text = format!(
            "a battery device stays awake with these roles. Once Wi-Fi and MQTT work, `backlog setPinRole {pin} \
             DoorSnsrWSleep; setPinChannel {pin} {channel}` lets it sleep until the contact changes, likely"
        );
        template.notes.push(text);
    }
}

/// Two relays of which one drives a motor up and the other down must never be on together.
fn curtain(param: &UserParam, template: &mut Template) {
    if !CURTAIN.iter().any(|key| param.get(key).is_some()) {
        return;
    }
    let relays: Vec<(u8, u8)> = template
        .lines
        .iter()
        .filter(|line| line.role.starts_with("Rel"))
        .map(|line| (line.channel, line.pin))
        .collect();
    // Channels 1 to 3 are up, stop and down of the first motor, 4 to 6 those of the second.
    for first in [1, 4] {
        let mut of_motor: Vec<(u8, u8)> =
            relays.iter().copied().filter(|(channel, _)| (first..first + 3).contains(channel)).collect();
        of_motor.sort_unstable();
        let [(up, up_pin), .., (down, down_pin)] = of_motor[..] else { continue };
        for (one, other) in [(up, down), (down, up)] {
            template.commands.push(format!("addChangeHandler Channel{one} == 1 setChannel {other} 0"));
        }
        template.notes.push(format!(
            "curtain: P{up_pin} and P{down_pin} must never be on together, the motor burns. The two addChangeHandler lines \
             switch one off when the other goes on, likely; test without the motor first. The roles ShutterA and \
             ShutterB with startDriver Shutters do it inside the firmware"
        ));
    }
    for line in template.lines.iter_mut().filter(|line| line.role.starts_with("Btn_Tgl_All")) {
        line.role = if line.role.ends_with("_n") { "Btn_ScriptOnly_n" } else { "Btn_ScriptOnly" };
        line.reason.push_str("; on a curtain it would switch both relays on, so it fires events only");
    }
}

/// The pulse of latching relays.
fn bridge(param: &UserParam, template: &mut Template) {
    if !has_role(template, "Bridge") {
        return;
    }
    let pulse = ["rl_drvtime", "rl1_drvtime", "rl2_drvtime"].iter().find_map(|key| param.number(key));
    let told = pulse.map_or_else(String::new, |pulse| format!(" The factory firmware's pulse is {pulse} ms."));
    template.notes.push(format!(
        "latching relay: the Bridge driver starts by itself and gives each coil a short pulse; BridgePulseLength changes \
         it, in ticks of the firmware.{told}"
    ));
}
