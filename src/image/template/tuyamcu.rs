//! OpenBeken's commands for a device whose second processor (TuyaMCU) has the pins: the driver, its baud rate, and a
//! channel with a type for every data point of the store. Commands and channel types are those of OpenBeken's
//! `drv_tuyaMCU.c`, `cmd_channels.c` and `docs/channelTypes.md` (version of July 2026).

use crate::image::tuya::Tuya;
use crate::image::tuya::datapoints::{Content, DataPoint, Mode, scaled};
use crate::image::tuya::meaning::{self, Meaning, What};
use crate::units::Verdict;

/// Channels of OpenBeken; the first one is left to those who count from 1.
const CHANNELS: u8 = 64;
/// Bytes of OpenBeken's start-up command without the NUL at its end.
const LONGEST_START_UP: usize = 1567;
/// Bytes of one command behind `backlog`; what is longer is cut off by OpenBeken.
const LONGEST_COMMAND: usize = 127;

/// A line of a start-up script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptLine {
    /// The commands, in their order; none for a data point that has no channel.
    pub commands: Vec<String>,
    /// Why.
    pub reason: String,
}

/// A start-up script for OpenBeken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Its lines.
    pub lines: Vec<ScriptLine>,
}

impl Script {
    /// The script for what was found; `None` where no second processor has the pins.
    pub fn new(tuya: &Tuya) -> Option<Self> {
        let points = tuya.schema.as_ref().map_or(&[][..], |schema| &schema.points);
        tuya.is_tuyamcu().then(|| Self::of(tuya.baud(), points))
    }

    /// The script for data points.
    pub fn of(baud: Option<i64>, points: &[DataPoint]) -> Self {
        let line = |command: String, reason: &str| ScriptLine { commands: vec![command], reason: reason.to_owned() };
        let mut lines = vec![line("startDriver TuyaMCU".to_owned(), "a second processor has the pins")];
        lines.push(match baud {
            Some(baud) => line(format!("tuyaMcu_setBaudRate {baud}"), "the rate that the store names"),
            None => ScriptLine {
                commands: Vec::new(),
                reason: "the store names no baud rate: OpenBeken uses 9600; if nothing answers, add \
                         tuyaMcu_setBaudRate 115200"
                    .to_owned(),
            },
        });
        if !points.is_empty() {
            let reason = "many of these processors report nothing before they are told that the cloud is reached";
            lines.push(line("tuyaMcu_defWiFiState 4".to_owned(), reason));
        }
        let mut channel = 1;
        for point in points {
            let made = of_point(points, point, channel);
            channel += u8::from(!made.commands.is_empty());
            lines.push(made);
        }
        Self { lines }
    }

    /// Every command.
    pub fn commands(&self) -> Vec<String> {
        self.lines.iter().flat_map(|line| &line.commands).cloned().collect()
    }

    /// The commands for OpenBeken's start-up command, and what was left out of them for its length.
    pub fn start_up(&self) -> (Vec<String>, Option<&'static str>) {
        let fits = |commands: &[String]| commands.join("; ").len() + "backlog ".len() <= LONGEST_START_UP;
        let all = self.commands();
        if fits(&all) {
            return (all, None);
        }
        let mut some = all;
        let is_kept =
            |command: &String| !["setChannelType ", "SetChannelEnum "].iter().any(|word| command.starts_with(word));
        some.retain(is_kept);
        if fits(&some) {
            return (some, Some("the channel types do not fit into the start-up command; autoexec.bat has them"));
        }
        some.retain(|command| !command.starts_with("linkTuyaMCUOutputToChannel "));
        (some, Some("the data points do not fit into the start-up command; autoexec.bat has them"))
    }

    /// The text of an `autoexec.bat`, with the reasons as comments.
    pub fn autoexec(&self) -> String {
        let mut text = String::from("// made by bkbench from the data points in the factory firmware's store\n");
        text.push_str("// what a point means is likely at most: compare it with what the device shows\n");
        for line in &self.lines {
            text.push_str(&format!("\n// {}\n", line.reason));
            line.commands.iter().for_each(|command| text.push_str(&format!("{command}\n")));
        }
        text
    }
}

/// Type of the variable in `linkTuyaMCUOutputToChannel`; `None` where OpenBeken has no channel for it.
fn variable(content: &Content) -> Option<&'static str> {
    match content {
        Content::Bool => Some("bool"),
        Content::Value { .. } => Some("val"),
        Content::Enum(_) => Some("enum"),
        // A bitmap of 9 to 16 bits comes in two bytes, which OpenBeken does not put into a channel.
        Content::Bitmap(Some(9..=16)) => None,
        Content::Bitmap(_) => Some("5"),
        Content::Text(_) | Content::Raw(_) | Content::Other(_) => None,
    }
}

fn of_point(points: &[DataPoint], point: &DataPoint, channel: u8) -> ScriptLine {
    let meaning = meaning::guess(points, point);
    let mut reason = format!("data point {}: {}, {}", point.id, point.mode_text(), point.range_text());
    if let Some(meaning) = meaning {
        reason.push_str(&format!("; {} ({}: {})", meaning.name, meaning.verdict, meaning.why));
    }
    let Some(variable) = variable(&point.content) else {
        reason.push_str("; OpenBeken has no channel for it");
        return ScriptLine { commands: Vec::new(), reason };
    };
    if channel >= CHANNELS {
        reason.push_str("; OpenBeken has no channel left");
        return ScriptLine { commands: Vec::new(), reason };
    }
    let (kind, note) = channel_type(point, meaning);
    reason.extend(note.map(|note| format!("; {note}")));
    let mut commands = Vec::new();
    if kind == "Dimmer"
        && let Content::Value { min, max, .. } = point.content
    {
        commands.push(format!("tuyaMcu_setDimmerRange {min} {max}"));
    }
    commands.push(format!("setChannelType {channel} {kind}"));
    if let (Content::Enum(range), true) = (&point.content, kind.ends_with("Enum")) {
        commands.extend(titles(channel, range));
    }
    commands.push(format!("linkTuyaMCUOutputToChannel {} {variable} {channel}", point.id));
    ScriptLine { commands, reason }
}

/// The type of a channel, and what there is to know about it.
fn channel_type(point: &DataPoint, meaning: Option<Meaning>) -> (&'static str, Option<String>) {
    let likely = meaning.filter(|meaning| meaning.verdict == Verdict::Likely).map(|meaning| meaning.what);
    match &point.content {
        Content::Bool if point.mode == Mode::Report => ("ReadOnly", None),
        Content::Bool => ("Toggle", None),
        Content::Enum(_) if likely == Some(What::PowerOnState) && point.is_writable() => ("OffOnRemember", None),
        Content::Enum(_) if point.mode == Mode::Report => ("ReadOnlyEnum", None),
        Content::Enum(_) => ("Enum", None),
        Content::Value { scale, .. } if point.mode == Mode::Report => by_scale(likely, *scale),
        Content::Value { min, max, scale, .. } => settable(likely, *min, *max, *scale),
        _ => ("ReadOnly", None),
    }
}

fn by_scale(likely: Option<What>, scale: u8) -> (&'static str, Option<String>) {
    let named = match (likely, scale) {
        (Some(What::Voltage), 1) => "Voltage_div10",
        (Some(What::Voltage), 2) => "Voltage_div100",
        (Some(What::Current), 0 | 3) => "Current_div1000",
        (Some(What::Current), 2) => "Current_div100",
        (Some(What::Power), 0) => "Power",
        (Some(What::Power), 1) => "Power_div10",
        (Some(What::Power), 2) => "Power_div100",
        (Some(What::Energy), 2) => "EnergyTotal_kWh_div100",
        (Some(What::Energy), 3) => "EnergyTotal_kWh_div1000",
        (Some(What::Temperature), 0) => "Temperature",
        (Some(What::Temperature), 1) => "Temperature_div10",
        (Some(What::Temperature), 2) => "Temperature_div100",
        (Some(What::Humidity), 0) => "Humidity",
        (Some(What::Humidity), 1) => "Humidity_div10",
        (Some(What::Battery), 0) => "BatteryLevelPercent",
        (_, 0) => "ReadOnly",
        (_, 1) => "ReadOnly_div10",
        (_, 2) => "ReadOnly_div100",
        (_, 3) => "ReadOnly_div1000",
        _ => {
            let note = format!("OpenBeken has no type for {scale} decimal places: divide by hand");
            return ("ReadOnly", Some(note));
        }
    };
    (named, None)
}

fn settable(likely: Option<What>, min: i64, max: i64, scale: u8) -> (&'static str, Option<String>) {
    match (likely, scale) {
        (Some(What::Brightness), 0) => ("Dimmer", Some("the dimmer counts 0 to 100".to_owned())),
        (_, 0) => ("TextField", Some(format!("enter {min} to {max}"))),
        _ => {
            let note = format!("enter the number without its decimal point: {max} is {}", scaled(max, scale));
            ("TextField", Some(note))
        }
    }
}

/// `SetChannelEnum 3 0:off 1:on`; `None` when OpenBeken could not read it.
fn titles(channel: u8, range: &[String]) -> Option<String> {
    let plain =
        |text: &String| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-. ".contains(c));
    if range.is_empty() || !range.iter().all(plain) {
        return None;
    }
    let titles = range.iter().enumerate().map(|(number, title)| {
        if title.contains(' ') { format!("\"{number}:{title}\"") } else { format!("{number}:{title}") }
    });
    let command = format!("SetChannelEnum {channel} {}", titles.collect::<Vec<_>>().join(" "));
    (command.len() <= LONGEST_COMMAND).then_some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(id: u8, mode: Mode, content: Content) -> DataPoint {
        DataPoint { id, mode, kind: "obj".to_owned(), content }
    }

    fn value(id: u8, mode: Mode, max: i64, scale: u8) -> DataPoint {
        point(id, mode, Content::Value { min: 0, max, scale, step: 1 })
    }

    #[test]
    fn every_point_gets_a_channel_of_the_right_type_or_a_reason_why_not() {
        let words = |list: &[&str]| Content::Enum(list.iter().map(|word| (*word).to_owned()).collect());
        let points = [
            point(1, Mode::Both, Content::Bool),
            value(2, Mode::Both, 1000, 0),
            point(7, Mode::Both, words(&["one", "two words"])),
            point(14, Mode::Both, words(&["off", "on", "memory"])),
            value(18, Mode::Report, 30_000, 0),
            value(19, Mode::Report, 80_000, 1),
            value(20, Mode::Report, 5000, 1),
            point(24, Mode::Both, Content::Text(Some(255))),
            point(26, Mode::Report, Content::Bitmap(Some(17))),
            point(27, Mode::Report, Content::Bitmap(Some(12))),
            value(30, Mode::Report, 10, 5),
            value(31, Mode::Both, 355, 1),
        ];
        let script = Script::of(Some(115_200), &points);
        let expected = [
            "startDriver TuyaMCU",
            "tuyaMcu_setBaudRate 115200",
            "tuyaMcu_defWiFiState 4",
            "setChannelType 1 Toggle",
            "linkTuyaMCUOutputToChannel 1 bool 1",
            "tuyaMcu_setDimmerRange 0 1000",
            "setChannelType 2 Dimmer",
            "linkTuyaMCUOutputToChannel 2 val 2",
            "setChannelType 3 Enum",
            "SetChannelEnum 3 0:one \"1:two words\"",
            "linkTuyaMCUOutputToChannel 7 enum 3",
            "setChannelType 4 OffOnRemember",
            "linkTuyaMCUOutputToChannel 14 enum 4",
            "setChannelType 5 Current_div1000",
            "linkTuyaMCUOutputToChannel 18 val 5",
            "setChannelType 6 Power_div10",
            "linkTuyaMCUOutputToChannel 19 val 6",
            "setChannelType 7 Voltage_div10",
            "linkTuyaMCUOutputToChannel 20 val 7",
            "setChannelType 8 ReadOnly",
            "linkTuyaMCUOutputToChannel 26 5 8",
            "setChannelType 9 ReadOnly",
            "linkTuyaMCUOutputToChannel 30 val 9",
            "setChannelType 10 TextField",
            "linkTuyaMCUOutputToChannel 31 val 10",
        ];
        assert_eq!(script.commands(), expected);
        assert_eq!(script.start_up().0, expected);
        let text = script.autoexec();
        for reason in [
            "// data point 24: read and write, string; OpenBeken has no channel for it\n\n",
            "// data point 27: read only, bitmap of 12 bits; faults (likely: bits that the device reports); OpenBeken has no",
            "; enter the number without its decimal point: 355 is 35.5\n",
        ] {
            assert!(text.contains(reason), "{reason}\n{text}");
        }
    }

    #[test]
    fn what_does_not_fit_into_the_start_up_command_is_said() {
        let many = |count: u8| (100..100 + count).map(|id| value(id, Mode::Report, 5000, 1)).collect::<Vec<_>>();
        let (commands, note) = Script::of(Some(9600), &many(30)).start_up();
        assert!(note.unwrap().starts_with("the channel types") && commands.len() == 33, "{commands:?}");
        let (commands, note) = Script::of(Some(9600), &many(60)).start_up();
        assert!(note.unwrap().starts_with("the data points") && commands.len() == 3, "{commands:?}");
        let all = Script::of(None, &many(80));
        assert_eq!(all.commands().iter().filter(|command| command.starts_with("link")).count(), 63);
        assert!(all.autoexec().contains("no channel left"));
    }

    #[test]
    fn words_that_openbeken_cannot_read_get_no_titles() {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(titles(1, &words(&["a;b", "c"])), None);
        assert_eq!(titles(1, &words(&["a\"b"])), None);
        assert_eq!(titles(1, &words(&["long"; 40])), None);
        assert_eq!(titles(1, &[]), None);
    }
}
