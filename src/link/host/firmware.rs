//! The settings that a Raspberry Pi's firmware reads before the kernel starts: `config.txt` with its filters and includes
//! (raspberrypi.com/documentation/computers/config_txt.html), in the place where this system keeps it.

use super::Host;
use super::board::Board;
use super::system::System;

/// The usual places, best first.
const PLACES: [&str; 6] = [
    "boot/firmware/config.txt",
    "boot/config.txt",
    "boot/efi/config.txt",
    "flash/config.txt",
    "media/mmcblk0p1/config.txt",
    "efi/config.txt",
];
/// How deep files may include one another.
const DEEPEST: u8 = 4;
/// What a system's own file says when it is made anew with every update.
const OVERWRITTEN: [&str; 5] = ["overwritten", "do not modify", "do not edit", "don't edit", "automatically generated"];

/// What the name of a file for settings of one's own has in it: usercfg.txt, extraconfig.txt, raspi-firmware-custom.
const ONES_OWN: [&str; 3] = ["user", "extraconfig", "custom"];

/// One line of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file it stands in, without a leading slash.
    pub file: String,
    /// The line, without space around it.
    pub text: String,
    /// Whether the filters above let it through on this board; `None` when that cannot be told.
    pub applies: Option<bool>,
    /// The filters in force: `[pi02]`.
    pub filter: String,
}

/// The settings of a computer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The file that the firmware reads; `None` when none was found.
    pub main: Option<String>,
    /// The file for settings of one's own: another one where the system overwrites the main file.
    pub own: Option<String>,
    /// All lines in the order they are read, includes in their place.
    pub lines: Vec<Line>,
    /// The main file only says that it has moved, and where it moved to is not there.
    pub unmounted: bool,
}

/// What the settings say about something that can be on or off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It is switched on by this line.
    On(Line),
    /// It is switched on, but the line stands under a filter that keeps it away from this board.
    Filtered(Line),
    /// A file that the firmware does not read switches it on.
    Elsewhere(String),
    /// It is off, or nothing says so.
    Off,
}

impl Settings {
    /// The settings of a computer.
    pub fn of(host: &Host, system: &System) -> Self {
        let places = system.distribution.settings.iter().chain(&PLACES);
        let Some(main) = places.copied().find(|place| host.has(place)) else { return Self::default() };
        let text = host.text(main).unwrap_or_default();
        let mut settings = Self { main: Some(main.to_owned()), ..Self::default() };
        let moved = main == "boot/config.txt" && text.contains("moved to /boot/firmware");
        settings.unmounted = moved && !host.has("boot/firmware/config.txt");
        let mut reader = Reader { host, model: Model::of(host), filters: Filters::default(), lines: Vec::new() };
        reader.read(main, 0);
        settings.own = Some(own_file(host, system, main, &text));
        if let Some(own) = settings.own.clone().filter(|own| own != main && !own.starts_with(folder(main))) {
            // The system copies it behind the generated part.
            reader.filters = Filters::default();
            reader.read(&own, 0);
        }
        settings.lines = reader.lines;
        settings
    }

    /// The file with a leading slash, as people type it.
    pub fn file(&self) -> Option<String> {
        self.own.as_ref().map(|file| format!("/{file}"))
    }

    /// What the settings say: the last line that counts for this board decides.
    fn switch(&self, means: impl Fn(&str) -> Option<bool>) -> Switch {
        let mut found = Switch::Off;
        for line in &self.lines {
            match (means(&line.text), line.applies) {
                (Some(true), Some(true) | None) => found = Switch::On(line.clone()),
                (Some(false), Some(true)) => found = Switch::Off,
                (Some(true), Some(false)) if found == Switch::Off => found = Switch::Filtered(line.clone()),
                _ => {}
            }
        }
        found
    }

    /// Whether the header's SPI is switched on.
    pub fn spi(&self, host: &Host) -> Switch {
        match self.switch(spi) {
            Switch::Off => match self.elsewhere(host, |line| spi(line) == Some(true)) {
                Some(file) => Switch::Elsewhere(file),
                None => Switch::Off,
            },
            known => known,
        }
    }

    /// Whether the header's UART is switched on; the one of a Pi 5 has a switch of its own.
    pub fn uart(&self, pi: u8) -> Switch {
        self.switch(|line| match pi {
            5.. => parameter(line, "uart0").or_else(|| (line == "dtoverlay=uart0").then_some(true)),
            _ => line.strip_prefix("enable_uart=").map(|value| value.trim() == "1"),
        })
    }

    /// A file in one of the usual places that the firmware does not read, with a line like this.
    fn elsewhere(&self, host: &Host, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let main = self.main.as_deref()?;
        let others = PLACES.iter().filter(|place| **place != main && host.has(place));
        let mut others =
            others.filter(|place| host.text(place).is_some_and(|text| text.lines().any(|line| wanted(line.trim()))));
        others.next().map(|file| (*file).to_owned())
    }

    /// The overlay with this name's beginning that is in force.
    pub fn overlay(&self, name: &str) -> Option<&Line> {
        self.overlays().find(|line| line.text.trim_start_matches("dtoverlay=").starts_with(name))
    }

    /// The overlay that names this GPIO line in one of its parameters: `dtoverlay=w1-gpio,gpiopin=10`.
    pub fn overlay_with(&self, gpio: u8) -> Option<&Line> {
        self.overlays().find(|line| {
            line.text.split(',').skip(1).any(|part| {
                let about_a_pin = |key: &str| ["gpio", "pin", "sda", "scl", "cs"].iter().any(|word| key.contains(word));
                part.split_once('=').is_some_and(|(key, value)| about_a_pin(key) && value.trim() == gpio.to_string())
            })
        })
    }

    /// The overlays in force.
    pub fn overlays(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.applies != Some(false) && line.text.starts_with("dtoverlay="))
    }
}

/// The folder of a path, with its slash.
fn folder(path: &str) -> &str {
    path.rfind('/').map_or("", |end| &path[..=end])
}

/// The file for settings of one's own: the one that the main file or the system names, where the main file is overwritten.
fn own_file(host: &Host, system: &System, main: &str, text: &str) -> String {
    let comments = text.lines().filter(|line| line.trim_start().starts_with('#'));
    let said: String = comments.map(|line| format!("{} ", line.trim())).collect();
    let small = said.to_lowercase();
    let systems = system.distribution.own_settings.map(str::to_owned);
    if !OVERWRITTEN.iter().any(|words| small.contains(words)) {
        return systems.unwrap_or_else(|| main.to_owned());
    }
    let beside = |name: &str| match name.strip_prefix('/') {
        Some(whole) => whole.to_owned(),
        None => format!("{}{name}", folder(main)),
    };
    let words =
        said.split(|c: char| c.is_whitespace() || ",;\"'()".contains(c)).map(|word| word.trim_end_matches(['.', ':']));
    let named = words.filter(|word| ONES_OWN.iter().any(|part| word.contains(part)) && word.contains(['.', '/']));
    let included = text.lines().filter_map(|line| line.trim().strip_prefix("include ")).map(str::trim);
    let included = included.filter(|name| ONES_OWN.iter().any(|part| name.contains(part)) || host.has(&beside(name)));
    named.chain(included).next().map(beside).or(systems).unwrap_or_else(|| main.to_owned())
}

/// Whether a line switches SPI0 of the header on or off.
fn spi(line: &str) -> Option<bool> {
    let overlay = line.strip_prefix("dtoverlay=").is_some_and(|name| name.starts_with("spi0-") && name.contains("cs"));
    parameter(line, "spi").or_else(|| overlay.then_some(true))
}

/// What a `dtparam` line says about a switch; several may stand in one line: `dtparam=i2c_arm=on,spi=on`.
fn parameter(line: &str, name: &str) -> Option<bool> {
    let list = line.strip_prefix("dtparam=").or_else(|| line.strip_prefix("device_tree_param="))?;
    let mut values = list.split(',').filter_map(|part| match part.trim().split_once('=') {
        Some((key, value)) => (key == name).then_some(value.trim()),
        None => (part.trim() == name).then_some("on"),
    });
    values.next_back().map(|value| matches!(value, "on" | "yes" | "true" | "1" | "okay"))
}

/// The board as filters know it.
struct Model {
    name: String,
    pi: Option<u8>,
}

impl Model {
    fn of(host: &Host) -> Self {
        let board = Board::of(host);
        Self { name: board.model.unwrap_or_default(), pi: board.pi }
    }

    fn is(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.name.contains(word))
    }

    /// Whether a model filter means this board; `None` for a filter of another kind.
    fn matches(&self, filter: &str) -> Option<bool> {
        let compute = self.is(&["Compute Module"]);
        let cm = |number: &str| compute && self.name.contains(&format!("Compute Module {number}"));
        let zero = self.is(&["Zero"]);
        Some(match filter {
            "pi1" => self.pi == Some(1) && !zero,
            "pi2" => self.is(&["Pi 2 "]),
            "pi3" => self.pi == Some(3) && !zero && !self.is(&["Pi 2 "]),
            "pi3+" => self.is(&["Pi 3 Model B Plus", "Pi 3 Model A Plus"]),
            "pi4" => self.pi == Some(4),
            "pi5" => self.pi == Some(5),
            "pi400" => self.is(&["Pi 400"]),
            "pi500" => self.is(&["Pi 500"]),
            "pi0" => zero,
            "pi0w" => self.is(&["Zero W", "Zero 2"]),
            "pi02" => self.is(&["Zero 2"]),
            "cm0" => cm("0") || cm("Zero"),
            "cm1" => compute && self.pi == Some(1),
            "cm3" => cm("3"),
            "cm3+" => cm("3 Plus"),
            "cm4" => cm("4") && !cm("4S"),
            "cm4s" => cm("4S"),
            "cm5" => cm("5"),
            _ => return None,
        })
    }
}

/// The filters in force: one of each kind, until `[all]`.
#[derive(Clone, Debug, Default)]
struct Filters {
    model: Option<(String, bool)>,
    /// Filters of other kinds: what screen, serial number, GPIO level or boot mode there is at the start is not known here.
    other: Vec<String>,
    none: bool,
}

impl Filters {
    fn add(&mut self, filter: &str, model: &Model) {
        let small = filter.to_ascii_lowercase();
        match model.matches(&small) {
            Some(matches) => self.model = Some((small, matches)),
            None if small == "all" => *self = Self::default(),
            None if small == "none" => self.none = true,
            None => self.other.push(filter.to_owned()),
        }
    }

    fn applies(&self) -> Option<bool> {
        match &self.model {
            _ if self.none => Some(false),
            Some((_, false)) => Some(false),
            _ if self.other.is_empty() => Some(true),
            // A start for trying out an update is no ordinary one.
            _ if self.other.iter().any(|other| other.eq_ignore_ascii_case("tryboot")) => Some(false),
            _ => None,
        }
    }

    fn words(&self) -> String {
        let none = self.none.then(|| "[none]".to_owned());
        let model = self.model.iter().map(|(name, _)| format!("[{name}]"));
        none.into_iter().chain(model).chain(self.other.iter().map(|name| format!("[{name}]"))).collect()
    }
}

struct Reader<'h> {
    host: &'h Host,
    model: Model,
    filters: Filters,
    lines: Vec<Line>,
}

impl Reader<'_> {
    fn read(&mut self, file: &str, depth: u8) {
        let text = self.host.text(file).unwrap_or_default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let filter = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            if let Some((filter, _)) = filter {
                self.filters.add(filter.trim(), &self.model);
            } else if let Some(name) = line.strip_prefix("include ").filter(|_| depth < DEEPEST) {
                if self.filters.applies() != Some(false) {
                    self.read(&format!("{}{}", folder(file), name.trim()), depth + 1);
                }
            } else {
                // A comment may follow.
                let text = line.split(" #").next().unwrap_or(line).trim().to_owned();
                let (applies, filter) = (self.filters.applies(), self.filters.words());
                self.lines.push(Line { file: file.to_owned(), text, applies, filter });
            }
        }
    }
}

/// Whether a line put behind the end of a file would stand under a filter.
pub fn ends_filtered(host: &Host, file: &str) -> bool {
    let mut reader = Reader { host, model: Model::of(host), filters: Filters::default(), lines: Vec::new() };
    // Includes count too: a filter in an included file stays in force.
    reader.read(file, 0);
    !reader.filters.words().is_empty()
}
