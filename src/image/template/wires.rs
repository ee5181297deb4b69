//! Light drivers on two wires: what tells them, the commands of OpenBeken for their currents and their outputs.
//!
//! Units and ranges are those of OpenBeken's own drivers (`drv_sm2135.c`, `drv_bp5758d.c`, `drv_bp1658cj.c`,
//! `drv_sm2235.c`, `drv_kp18058.c`); a wrong unit drives the LEDs far over their limit.

use crate::image::tuya::param::UserParam;

/// What a current is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The chip's own number for a current.
    Code,
    /// Milliampere.
    Milliampere,
}

/// A pair of keys with the currents of colours and white.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currents {
    /// Key of the colours.
    pub colour: &'static str,
    /// Keys of the white outputs, cold first; the lowest counts.
    pub white: &'static [&'static str],
    /// What the pin map counts in.
    pub unit: Unit,
}

/// A driver: what tells it, its pins' roles, and its command for the currents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoWire {
    /// Name of the driver in commands.
    pub name: &'static str,
    /// Keys of which one is enough to tell it; the desktop flasher and, where it knows the driver, the web importer go by them.
    pub marks: &'static [&'static str],
    /// Keys that tell it, and that the desktop flasher does not know.
    pub more_marks: &'static [&'static str],
    /// Values of `dmod` that stand for it where no current is given (seen together in public pin maps).
    pub dmod: &'static [i64],
    /// Whether the web importer knows the driver at all.
    pub web: bool,
    /// Role of the clock pin.
    pub clock: &'static str,
    /// Role of the data pin.
    pub data: &'static str,
    /// Where its currents stand, in the order of trust.
    pub currents: &'static [Currents],
    /// What its `_Current` command takes.
    pub unit: Unit,
    /// Highest value of the command for colours and for white.
    pub most: (i64, i64),
    /// What the firmware starts with, colours and white.
    pub usual: (i64, i64),
    /// Its command for the order of the outputs. `LED_Map` is another name of it, but not for every driver.
    pub map: &'static str,
}

/// The drivers, in the order they are tried (formats.md §11).
pub const TWO_WIRE: [TwoWire; 5] = [
    TwoWire {
        name: "SM2135",
        marks: &["ehccur", "wampere", "iicccur"],
        more_marks: &["ehwcur", "campere", "iicwcur"],
        dmod: &[2, 3, 4],
        web: true,
        clock: "SM2135CLK",
        data: "SM2135DAT",
        currents: &[
            Currents { colour: "iicccur", white: &["iicwcur"], unit: Unit::Code },
            Currents { colour: "ehccur", white: &["ehwcur"], unit: Unit::Code },
            Currents { colour: "campere", white: &["wampere"], unit: Unit::Milliampere },
        ],
        // Code 0 is 10 mA, each step 5 mA; one byte holds both, white in the upper half. Colours stop at 45 mA, white at 60.
        unit: Unit::Code,
        most: (7, 10),
        usual: (2, 2),
        map: "LED_Map",
    },
    TwoWire {
        name: "BP5758D",
        marks: &["dccur"],
        more_marks: &["drgbcur", "dwcur"],
        dmod: &[6],
        web: true,
        clock: "BP5758D_CLK",
        data: "BP5758D_DAT",
        currents: &[Currents { colour: "drgbcur", white: &["dccur", "dwcur"], unit: Unit::Milliampere }],
        // The driver turns milliampere above 63 into the chip's notation by itself; the chip ends at 90 mA.
        unit: Unit::Milliampere,
        most: (90, 90),
        usual: (14, 14),
        map: "LED_Map",
    },
    TwoWire {
        name: "BP1658CJ",
        marks: &["cjwcur"],
        more_marks: &["cjccur"],
        dmod: &[5],
        web: true,
        clock: "BP1658CJ_CLK",
        data: "BP1658CJ_DAT",
        currents: &[Currents { colour: "cjccur", white: &["cjwcur"], unit: Unit::Code }],
        // One byte holds both, colours in the upper half; 0 and 0 together stand for the driver's own value.
        unit: Unit::Code,
        most: (15, 15),
        usual: (0, 0),
        map: "LED_Map",
    },
    TwoWire {
        name: "SM2235",
        marks: &["2235ccur"],
        more_marks: &["2335ccur", "2235wcur", "2335wcur"],
        dmod: &[7],
        web: true,
        clock: "SM2235CLK",
        data: "SM2235DAT",
        currents: &[
            Currents { colour: "2235ccur", white: &["2235wcur"], unit: Unit::Code },
            Currents { colour: "2335ccur", white: &["2335wcur"], unit: Unit::Code },
        ],
        // One byte holds both, colours in the upper half.
        unit: Unit::Code,
        most: (15, 15),
        usual: (2, 4),
        map: "LED_Map",
    },
    TwoWire {
        name: "KP18058",
        marks: &["kp58wcur"],
        more_marks: &["kp58ccur"],
        dmod: &[],
        web: false,
        clock: "KP18058_CLK",
        data: "KP18058_DAT",
        currents: &[Currents { colour: "kp58ccur", white: &["kp58wcur"], unit: Unit::Code }],
        // Five bits each; the command itself refuses more.
        unit: Unit::Code,
        most: (31, 31),
        usual: (14, 30),
        // The one driver that does not make LED_Map another name of its own command.
        map: "KP18058_Map",
    },
];

/// Keys of the two wires: clock and data.
pub const WIRES: [&str; 2] = ["iicscl", "iicsda"];
/// Keys of the outputs for red, green, blue, cold and warm white.
pub const OUTPUTS: [&str; 5] = ["iicr", "iicg", "iicb", "iicc", "iicw"];

/// What the keys of a pin map say of its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The driver.
    pub driver: &'static TwoWire,
    /// Whether its own keys name it, or the kind of light alone.
    pub by_currents: bool,
}

/// The driver of a pin map with the two wires.
pub fn driver(param: &UserParam) -> Option<Told> {
    WIRES.iter().find_map(|key| param.get(key))?;
    let there = |keys: &[&str]| keys.iter().any(|key| param.get(key).is_some());
    let by = |tells: &dyn Fn(&TwoWire) -> bool| TWO_WIRE.iter().find(|driver| tells(driver));
    by(&|driver| there(driver.marks))
        .or_else(|| by(&|driver| there(driver.more_marks)))
        .map(|driver| Told { driver, by_currents: true })
        .or_else(|| {
            let kind = param.number("dmod")?;
            by(&|driver| driver.dmod.contains(&kind)).map(|driver| Told { driver, by_currents: false })
        })
}

/// A command with what there is to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The command; `None` where the pin map does not say enough for one.
    pub command: Option<String>,
    /// What to know.
    pub notes: Vec<String>,
}

impl TwoWire {
    /// The command for the currents, in the driver's own unit and never above what it can take.
    pub fn current(&self, param: &UserParam) -> Said {
        let mut said = Said::default();
        let value = |keys: &[&str]| keys.iter().filter_map(|key| param.number(key)).filter(|value| *value >= 0).min();
        let found = self.currents.iter().find_map(|pair| {
            let (colour, white) = (value(&[pair.colour]), value(pair.white));
            colour.or(white).map(|_| (pair, colour, white))
        });
        let Some((pair, colour, white)) = found else { return said };
        let whites: Vec<i64> = pair.white.iter().filter_map(|key| param.number(key)).collect();
        if whites.windows(2).any(|two| two[0] != two[1]) {
            said.notes.push(format!(
                "{}: one current stands for cold and warm white; the lower of {} is used",
                self.name,
                whites.iter().map(i64::to_string).collect::<Vec<_>>().join(" and ")
            ));
        }
        let both = [
            ("colours", pair.colour, colour, self.most.0, self.usual.0),
            ("white", pair.white.first().copied().unwrap_or_default(), white, self.most.1, self.usual.1),
        ];
        let values = both.map(|(what, key, value, most, usual)| match value {
            Some(value) => self.fitting(&mut said.notes, (what, key), value, pair.unit, most),
            None => {
                said.notes
                    .push(format!("{}: no current for {what}; {usual} is what the firmware starts with", self.name));
                usual
            }
        });
        said.command = Some(format!("{}_Current {} {}", self.name, values[0], values[1]));
        said
    }

    /// A value in the unit of the command, lowered to what the driver can take.
    fn fitting(&self, notes: &mut Vec<String>, (what, key): (&str, &str), value: i64, unit: Unit, most: i64) -> i64 {
        let coded = match (unit, self.unit) {
            (Unit::Milliampere, Unit::Code) => (value.saturating_sub(10) / 5).max(0),
            _ => value,
        };
        if unit != self.unit {
            let text = format!(
                "{key}: {value} mA is code {coded} of the {}, which counts from 10 mA in steps of 5",
                self.name
            );
            notes.push(text);
        }
        if coded > most {
            notes.push(format!("{key}: {coded} is more than the {} takes for {what}; lowered to {most}", self.name));
        }
        coded.min(most)
    }

    /// The command for the order of the outputs; a colour without an output of its own is -1.
    pub fn order(&self, param: &UserParam) -> Said {
        let outputs = OUTPUTS.map(|key| param.number(key).filter(|output| (0..5).contains(output)));
        if outputs.iter().all(Option::is_none) {
            return Said::default();
        }
        let numbers = outputs.map(|output| output.unwrap_or(-1));
        let words = |numbers: &[i64]| numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(" ");
        let mut notes = Vec::new();
        let differs = |inverse: &[i64; 5]| numbers.iter().zip(inverse).any(|(a, b)| *a >= 0 && *b >= 0 && a != b);
        if let Some(inverse) = inverse(numbers).filter(differs) {
            notes.push(format!(
                "{}: the order of the colours is likely only; where they are swapped, try {} {}",
                words(&numbers),
                self.map,
                words(&inverse)
            ));
        }
        Said { command: Some(format!("{} {}", self.map, words(&numbers))), notes }
    }
}

/// Which colour each output has, from which output each colour has; what nobody has stays -1.
fn inverse(outputs: [i64; 5]) -> Option<[i64; 5]> {
    let mut colours = [-1; 5];
    for (colour, output) in outputs.into_iter().enumerate().filter(|(_, output)| *output >= 0) {
        let place = colours.get_mut(usize::try_from(output).ok()?)?;
        if *place >= 0 {
            return None;
        }
        *place = i64::try_from(colour).ok()?;
    }
    Some(colours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tuya::param::parse;

    fn current(text: &str) -> Said {
        let param = parse(text.as_bytes());
        driver(&param).expect("a driver").driver.current(&param)
    }

    #[test]
    fn every_current_is_written_in_the_unit_of_its_command_and_never_above_its_range() {
        for (text, command) in [
            ("{iicscl:8,iicccur:2,iicwcur:8}", "SM2135_Current 2 8"),
            ("{iicscl:8,ehccur:0,ehwcur:11}", "SM2135_Current 0 10"),
            ("{iicscl:8,campere:20,wampere:50}", "SM2135_Current 2 8"),
            ("{iicscl:8,campere:60,wampere:70}", "SM2135_Current 7 10"),
            ("{iicscl:8,campere:5,wampere:12}", "SM2135_Current 0 0"),
            ("{iicscl:8,drgbcur:14,dccur:13}", "BP5758D_Current 14 13"),
            ("{iicscl:8,drgbcur:14,dccur:53,dwcur:51}", "BP5758D_Current 14 51"),
            ("{iicscl:8,drgbcur:120,dccur:95}", "BP5758D_Current 90 90"),
            ("{iicscl:8,cjccur:2,cjwcur:16}", "BP1658CJ_Current 2 15"),
            ("{iicscl:8,2235ccur:1,2235wcur:2}", "SM2235_Current 1 2"),
            ("{iicscl:8,2335ccur:1,2335wcur:99}", "SM2235_Current 1 15"),
            ("{iicscl:8,kp58ccur:14,kp58wcur:40}", "KP18058_Current 14 31"),
            ("{iicscl:8,kp58wcur:20}", "KP18058_Current 14 20"),
        ] {
            assert_eq!(current(text).command.as_deref(), Some(command), "{text}");
        }
        assert!(current("{iicscl:8,campere:60,wampere:70}").notes.iter().any(|note| note.contains("lowered to 10")));
        assert_eq!(current("{iicscl:8,iicccur:2,iicwcur:8}").notes, [] as [String; 0]);
    }

    #[test]
    fn the_order_of_the_outputs_needs_no_white() {
        let order = |text: &str| {
            let param = parse(text.as_bytes());
            driver(&param).expect("a driver").driver.order(&param)
        };
        let three = order("{iicscl:26,dccur:13,iicr:1,iicg:2,iicb:0,iicc:4}");
        assert_eq!(three.command.as_deref(), Some("LED_Map 1 2 0 4 -1"));
        assert!(three.notes[0].contains("try LED_Map 2 0 1 -1 3"), "{:?}", three.notes);
        assert_eq!(order("{iicscl:7,dccur:13,iicr:2,iicg:1,iicb:0,iicc:4}").notes, [] as [String; 0]);
        let five = order("{iicscl:26,kp58wcur:13,iicr:2,iicg:1,iicb:0,iicc:4,iicw:3}");
        assert_eq!((five.command.as_deref(), five.notes.len()), (Some("KP18058_Map 2 1 0 4 3"), 0));
        assert_eq!(order("{iicscl:26,dccur:13}"), Said::default());
    }

    #[test]
    fn the_kind_of_light_tells_the_driver_where_no_current_does() {
        let told = |text: &str| driver(&parse(text.as_bytes())).map(|told| (told.driver.name, told.by_currents));
        assert_eq!(told("{iicscl:8,iicsda:26,dmod:6}"), Some(("BP5758D", false)));
        assert_eq!(told("{iicscl:8,iicsda:26,dmod:6,cjwcur:3}"), Some(("BP1658CJ", true)));
        assert_eq!(told("{iicscl:8,iicsda:26}"), None);
        assert_eq!(told("{dccur:13}"), None);
    }
}
