//! The words for each picture of a line: the stage that was reached, what was seen, its cause, and what to do with the pins of
//! this link.

use std::time::Duration;

use super::super::error::DeviceError;
use super::picture::{Between, Boot, Picture};
use crate::link::{Pins, WireName};
use crate::units::{hex_text, time_text};

impl Boot {
    /// `a BK7231N that starts Tuya`.
    fn who(&self) -> String {
        match (&self.chip, self.firmware) {
            (Some(chip), Some(firmware)) => format!("a {chip} that starts {firmware}"),
            (Some(chip), None) => format!("a {chip}"),
            (None, Some(firmware)) => format!("a Beken chip that starts {firmware}"),
            (None, None) => "a Beken chip".to_owned(),
        }
    }

    fn seen(&self) -> String {
        let after = match self.after_line {
            Some((resets, followed)) if followed > 0 => format!(", after {followed} of {resets} resets by the link"),
            _ => String::new(),
        };
        let times = if self.times == 1 {
            format!("once, after {}", time_text(self.first))
        } else {
            format!("{} times", self.times)
        };
        let silent =
            self.silent.map(|time| format!("; then it stopped talking, {} ago", time_text(time))).unwrap_or_default();
        format!("stage 2, bytes come: the boot banner of {}, {times}{after}{silent}", self.who())
    }
}

impl Picture {
    /// The failure: the stage that was reached, what was seen, its cause and the next thing to do with these pins.
    pub fn explain(&self, waited: Duration, pins: &Pins) -> DeviceError {
        let (seen, cause, remedy) = (self.seen(), self.cause(), self.remedy(pins));
        DeviceError::NoLoader { waited, seen, cause, remedy }
    }

    fn seen(&self) -> String {
        let some = |bytes: &[u8]| hex_text(bytes.get(..8).unwrap_or(bytes));
        let quoted = |text: &str| if text.is_empty() { String::new() } else { format!(": \"{text}\"") };
        match self {
            Self::Silence => "stage 1, the port opens: nothing came back at any time".to_owned(),
            Self::Glitch { at, bytes } => format!(
                "stage 1, the port opens: nothing came back but {} after {}, a glitch",
                some(bytes),
                time_text(*at)
            ),
            Self::Echo => "stage 2, bytes come: the line gives back what is sent, and nothing else".to_owned(),
            Self::HeldLow => {
                "stage 2, bytes come: only zeros, so the line into the adapter is low all the time".to_owned()
            }
            Self::SomebodyElse(bytes) => {
                format!("stage 2, bytes come: also while CEN holds the chip in reset, such as {}", some(bytes))
            }
            Self::Boot(boot) => boot.seen(),
            Self::BootLoop { boot, every } => {
                format!("{}, by itself about every {}: a boot loop", boot.seen(), time_text(*every))
            }
            Self::Log { baud, firmware, text } => {
                let which = firmware.map(|name| format!(" ({name} by its words)")).unwrap_or_default();
                format!("stage 2, bytes come: the application logs at {baud} baud{}{which}", quoted(text))
            }
            Self::Repeats { baud, what, times } => {
                format!(
                    "stage 2, bytes come: a program prints \"{what}\" again and again at {baud} baud, {times} times"
                )
            }
            Self::OtherChip { maker, baud, text } => {
                format!("stage 2, bytes come: a chip by {maker} speaks at {baud} baud{}", quoted(text))
            }
            Self::Console { baud, text } => {
                format!("stage 2, bytes come: a computer's console asks at {baud} baud{}", quoted(text))
            }
            Self::Module { baud } => format!(
                "stage 2, bytes come: frames of 55 AA at {baud} baud with version 00, as a Tuya module asks for its controller"
            ),
            Self::Controller { baud, module: false } => format!(
                "stage 2, bytes come: frames of 55 AA at {baud} baud with the version of a Tuya module's second controller"
            ),
            Self::Controller { baud, module: true } => format!(
                "stage 2, bytes come: frames of 55 AA at {baud} baud, from a Tuya module and from its second controller"
            ),
            Self::Unsteady(between) => {
                let between = match between {
                    Between::Nothing => String::new(),
                    Between::Controller => "; between the answers come frames of 55 AA".to_owned(),
                    Between::Answers(count) => {
                        format!("; between the answers come {count} answers to requests that this program did not make")
                    }
                    Between::Bytes(bytes) => format!("; between the answers come other bytes, such as {}", some(bytes)),
                };
                format!("stage 3, a link check is answered: but not each by exactly one answer{between}")
            }
            Self::Noise(bytes) => {
                format!("stage 2, bytes come: {} that are no frames at any rate, such as {}", bytes.len(), some(bytes))
            }
        }
    }

    fn cause(&self) -> String {
        let text = match self {
            Self::Silence | Self::Glitch { .. } => {
                "RX and TX are swapped, the module has no supply, or its boot window was missed because the chip was not reset"
            }
            Self::Echo => "TX and RX touch each other, or the adapter is looped back",
            Self::HeldLow => "the module has no supply, or TX1 is shorted to GND",
            Self::SomebodyElse(_) => "a second chip drives the same line, or CEN does not reach the chip",
            Self::BootLoop { .. } => {
                "the chip starts anew by itself: its supply gives way, or the image on it is damaged; and this wire is on the \
                 log pad (TX2), not on TX1"
            }
            Self::Boot(Boot { silent: Some(_), .. }) => {
                "the chip starts, and its firmware hangs or waits; this wire is on the log pad (TX2), which does not answer \
                 link checks"
            }
            Self::Boot(Boot { after_line: Some((_, followed)), .. }) if *followed > 0 => {
                "CEN works; this wire is on the log pad (TX2), which does not answer link checks, and not on TX1"
            }
            Self::Boot(_) => {
                "the reset works, so CEN is right; this wire is on the log pad (TX2), which does not answer link checks, and \
                 not on TX1"
            }
            Self::Log { .. } => {
                "the application runs: its boot window was missed because the reset does not reach the chip or the wire to \
                 RX1 is open, or this is the log port (TX2)"
            }
            Self::Repeats { .. } => {
                "a program waits for something and shows it this way: the module was not reset, or this is the log port (TX2)"
            }
            Self::OtherChip { .. } => {
                "this is not a Beken chip: it has another boot loader, and nothing here can read or write it"
            }
            Self::Console { .. } => {
                "the port leads to a computer's console and not to a module: wrong port, or the wires end at another board's \
                 UART"
            }
            Self::Module { .. } => {
                "the module's application runs: its reset was missed, or CEN was not pulled low while the program asked"
            }
            Self::Controller { .. } => {
                "a TuyaMCU device: the second controller is on the same RX1 and TX1 and may hold the lines"
            }
            Self::Unsteady(Between::Controller) => {
                "the boot loader answers, and a TuyaMCU device's second controller talks on the same wires"
            }
            Self::Unsteady(Between::Answers(_)) => {
                "the boot loader answers, and a second program or a second adapter talks to it on the same wires"
            }
            Self::Unsteady(_) => "the line is disturbed, or a second program talks on the same port",
            Self::Noise(_) => "the rate is wrong, or the line is disturbed",
        };
        text.to_owned()
    }

    fn remedy(&self, pins: &Pins) -> String {
        let at = |wire| pins.at(wire);
        let (rx1, tx1, cen) = (at(WireName::Rx1), at(WireName::Tx1), at(WireName::Cen));
        let log_pad = || {
            let own = pins.end(WireName::Tx1).map_or_else(|| "RX".to_owned(), |end| end.name.clone());
            format!(
                "move the wire at {own} from the pad TX2 (chip pin P0) to TX1 (P11), and the other one to RX1 (P10)"
            )
        };
        match self {
            Self::Silence => format!(
                "swap the wires {rx1} and {tx1}; check 3.3 V and GND; {}. To tell the adapter from the module: `bkbench wiring \
                 --check --loop-back`",
                reset_words(pins)
            ),
            Self::Glitch { .. } => format!(
                "the one glitch may be the supply or a hand at the wires; swap the wires {rx1} and {tx1}; check 3.3 V \
                 and GND; {}",
                reset_words(pins)
            ),
            Self::Echo => format!(
                "with the module off and TX joined to RX this is the good result: the adapter works; else look for a bridge \
                 between {rx1} and {tx1}"
            ),
            Self::HeldLow => format!("measure 3.3 V at the module; look for a bridge from {tx1} to GND"),
            Self::SomebodyElse(_) => {
                format!("check {cen} first; then cut off whatever else is on RX1 and TX1, or use SPI")
            }
            Self::BootLoop { .. } => format!(
                "measure 3.3 V at the module while it starts and use a regulator of its own; if the supply holds, write a \
                 whole image over TX1: {}",
                log_pad()
            ),
            Self::Boot(Boot { silent: Some(_), .. }) => {
                format!("{}; then pull CEN to GND for a moment while the program tries", log_pad())
            }
            Self::Boot(_) => format!("{}; leave CEN as it is", log_pad()),
            Self::Log { .. } => {
                format!("{}; check that the wires go to {rx1} and {tx1}, not to the log pads", reset_words(pins))
            }
            Self::Repeats { .. } => format!("{}; check that the wires go to {rx1} and {tx1}", reset_words(pins)),
            Self::OtherChip { .. } => {
                "look at the marking of the chip or module and take the tool of its maker".to_owned()
            }
            Self::Console { .. } => {
                format!("`bkbench links` lists the ports of this computer; check where the wires {rx1} and {tx1} end")
            }
            Self::Module { .. } => format!("leave RX1 and TX1 as they are; {}", reset_words(pins)),
            Self::Controller { .. } | Self::Unsteady(Between::Controller) => {
                "cut RX1 and TX1 to the controller, or hold it in reset; else use SPI, which it does not share"
                    .to_owned()
            }
            Self::Unsteady(Between::Answers(_)) => {
                "close the other program, take the second adapter off RX1 and TX1, then connect again".to_owned()
            }
            Self::Unsteady(_) => "check GND, shorten the wires, close other programs on this port".to_owned(),
            Self::Noise(_) => {
                "check GND, shorten the wires, cut off a second chip that drives the same lines".to_owned()
            }
        }
    }
}

/// How this link resets the module, and what else to try where that seems not to work.
fn reset_words(pins: &Pins) -> String {
    let end = pins.end(WireName::Cen).map_or("", |end| end.name.as_str());
    let other = match end.get(..4) {
        Some("RTS ") => "dtr",
        Some("DTR ") => "rts",
        _ if end.starts_with("GPIO") => return format!("check {}", pins.at(WireName::Cen)),
        _ => {
            return "pull CEN to GND for a moment while the program tries, or wire it to a line of the adapter and name that \
                    one: reset=rts or reset=dtr"
                .to_owned();
        }
    };
    format!(
        "check that CEN is wired to {end}: asserted it pulls CEN low, and a transistor in between turns that round; if it is \
         the adapter's other line, take reset={other}, else reset=hand and pull CEN to GND yourself"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::WireKind;

    const LISTEN: Duration = Duration::from_secs(2);

    #[test]
    fn each_picture_has_a_stage_and_a_remedy_of_its_own() {
        let pins = Pins::usual(WireKind::Uart, 22);
        let boot = Boot { times: 1, ..Boot::default() };
        let all = [
            Picture::Silence,
            Picture::Glitch { at: LISTEN, bytes: vec![0] },
            Picture::Echo,
            Picture::HeldLow,
            Picture::SomebodyElse(vec![1]),
            Picture::BootLoop { boot: boot.clone(), every: LISTEN },
            Picture::Boot(boot),
            Picture::Log { baud: 9600, firmware: None, text: "x".to_owned() },
            Picture::Repeats { baud: 9600, what: '.', times: 9 },
            Picture::OtherChip { maker: "x", baud: 9600, text: String::new() },
            Picture::Console { baud: 9600, text: String::new() },
            Picture::Module { baud: 9600 },
            Picture::Controller { baud: 9600, module: false },
            Picture::Unsteady(Between::Nothing),
            Picture::Unsteady(Between::Answers(2)),
            Picture::Noise(vec![1]),
        ];
        let told: std::collections::BTreeSet<String> = all
            .iter()
            .map(|picture| match picture.explain(LISTEN, &pins) {
                DeviceError::NoLoader { seen, remedy, .. } if seen.starts_with("stage ") => remedy,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told.len(), all.len());
    }
}
