//! Colours by meaning. A theme is a TOML file that gives every [`Role`] a style; four are built in, and a user's own
//! file may inherit from them.

use std::collections::BTreeMap;
use std::path::Path;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::disk::{self, DiskError};
use crate::problem::{Class, Explain, Problem};

/// No theme is as large as this, in bytes.
const LARGEST: u64 = 1024 * 1024;

macro_rules! roles {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What a piece of the screen means. Symbol and word say it first; the colour only repeats them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Role { $($(#[$doc])* $variant,)* }

        impl Role {
            /// Every role.
            pub const ALL: &'static [Role] = &[$(Role::$variant,)*];

            /// The key in a theme file.
            pub const fn name(self) -> &'static str {
                match self { $(Role::$variant => $name,)* }
            }
        }
    };
}

roles! {
    /// Plain text, and the ground of everything.
    Text = "text",
    /// Text that is not needed at first sight.
    Dim = "dim",
    /// Titles and values that matter.
    Strong = "strong",
    /// Lines between panes.
    Rule = "rule",
    /// A key to press.
    Key = "key",
    /// The tab that is shown.
    Tab = "tab",
    /// The current row.
    Selected = "selected",
    /// A text field.
    Field = "field",
    /// The ground of an overlay.
    Overlay = "overlay",
    /// Proven, done, open.
    Ok = "ok",
    /// Likely.
    Likely = "likely",
    /// Unsure, locked, worth a look.
    Warn = "warn",
    /// Failed.
    Danger = "danger",
    /// Offsets.
    Address = "address",
    /// A byte that is neither blank nor text.
    Byte = "byte",
    /// 00 and FF.
    ByteBlank = "byte.blank",
    /// Printable ASCII.
    ByteText = "byte.text",
    /// A byte that differs from the one it is compared with.
    ByteDiffers = "byte.differs",
    /// A byte of a search hit.
    ByteHit = "byte.hit",
    /// A byte of the current hit, or under the cursor.
    ByteHere = "byte.here",
    /// A region of the flash map.
    Region = "region",
    /// The region of the cursor.
    RegionHere = "region.here",
    /// The done part of a gauge.
    Bar = "bar",
    /// The rest of a gauge.
    BarRest = "bar.rest",
    /// Protected flash.
    BarLocked = "bar.locked",
    /// Open flash.
    BarOpen = "bar.open",
    /// A sector that is kept.
    Sector = "sector",
    /// A sector that will change.
    SectorWaiting = "sector.waiting",
    /// A sector that is erased.
    SectorErased = "sector.erased",
    /// A sector that is programmed.
    SectorWritten = "sector.written",
    /// A sector that is verified.
    SectorVerified = "sector.verified",
    /// A sector that holds neither old nor new content.
    SectorUnknown = "sector.unknown",
}

/// The built-in themes: name and file.
pub const BUILT_IN: [(&str, &str); 4] = [
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("high-contrast", include_str!("../../themes/high-contrast.toml")),
    ("mono", include_str!("../../themes/mono.toml")),
];

/// A style for every role.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    /// Its name.
    pub name: String,
    styles: Vec<Style>,
}

/// Why a theme cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    /// Neither a built-in name nor a readable file.
    #[error("theme {name:?}: {why}")]
    Unreadable {
        /// What was asked for.
        name: String,
        /// The system's words.
        why: String,
    },
    /// The file is not what a theme looks like.
    #[error("theme {name:?}: {why}")]
    Malformed {
        /// What was asked for.
        name: String,
        /// Place and reason.
        why: String,
    },
}

impl Explain for ThemeError {
    fn explain(&self) -> Problem {
        let cause = match self {
            Self::Unreadable { .. } => "there is no built-in theme and no readable file of this name",
            Self::Malformed { .. } => "the theme file has a mistake",
        };
        Problem::new(
            Class::Usage,
            "E130",
            self.to_string(),
            cause,
            "use dark, light, high-contrast, mono, or a copy of one of the files in themes/",
        )
    }
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    name: String,
    inherits: Option<String>,
    #[serde(default)]
    colours: BTreeMap<String, Paint>,
    #[serde(default)]
    roles: BTreeMap<String, Look>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Paint {
    Number(u8),
    Text(String),
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    fg: Option<Paint>,
    bg: Option<Paint>,
    #[serde(default)]
    bold: bool,
    #[serde(default)]
    dim: bool,
    #[serde(default)]
    underline: bool,
    #[serde(default)]
    reverse: bool,
}

impl Theme {
    /// The theme of this name: a built-in one, else a file.
    ///
    /// # Errors
    /// [`ThemeError`].
    pub fn load(name: &str) -> Result<Self, ThemeError> {
        if let Some(text) = built_in(name) {
            return Self::parse(name, text);
        }
        let unreadable = |error: DiskError| ThemeError::Unreadable { name: name.to_owned(), why: error.to_string() };
        Self::parse(name, &disk::text(Path::new(name), LARGEST).map_err(unreadable)?)
    }

    /// Reads a theme file's text; `name` is for messages.
    ///
    /// # Errors
    /// [`ThemeError::Malformed`].
    pub fn parse(name: &str, text: &str) -> Result<Self, ThemeError> {
        let bad = |why: String| ThemeError::Malformed { name: name.to_owned(), why };
        let mut file: File = toml::from_str(text).map_err(|error| bad(error.to_string()))?;
        if let Some(parent) = file.inherits.take() {
            let text = built_in(&parent).ok_or_else(|| bad(format!("inherits {parent:?}, which is not built in")))?;
            let parent: File = toml::from_str(text).map_err(|error| bad(error.to_string()))?;
            file = merged(parent, file);
        }
        if let Some(unknown) = file.roles.keys().find(|key| !Role::ALL.iter().any(|role| role.name() == key.as_str())) {
            return Err(bad(format!("there is no role {unknown:?}")));
        }
        let text_style = style_of(&file, Role::Text.name()).map_err(&bad)?;
        let styles = Role::ALL
            .iter()
            .map(|role| Ok(text_style.patch(style_of(&file, role.name()).map_err(&bad)?)))
            .collect::<Result<_, ThemeError>>()?;
        Ok(Self { name: if file.name.is_empty() { name.to_owned() } else { file.name }, styles })
    }

    /// The theme without any colour.
    pub fn mono() -> Self {
        // The built-in files are read by a test; an empty table only ever means plain text.
        Self::load("mono").unwrap_or(Self { name: "mono".to_owned(), styles: Vec::new() })
    }

    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.styles.get(role as usize).copied().unwrap_or_default()
    }
}

fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

fn merged(mut parent: File, child: File) -> File {
    parent.colours.extend(child.colours);
    parent.roles.extend(child.roles);
    File { name: child.name, inherits: None, ..parent }
}

/// The style of the nearest name that the file knows: `byte.text`, then `byte`, then nothing.
fn style_of(file: &File, role: &str) -> Result<Style, String> {
    let mut name = role;
    let look = loop {
        if let Some(look) = file.roles.get(name) {
            break look;
        }
        match name.rsplit_once('.') {
            Some((parent, _)) => name = parent,
            None => return Ok(Style::new()),
        }
    };
    let mut style = Style::new();
    if let Some(paint) = &look.fg {
        style = style.fg(colour(file, paint)?);
    }
    if let Some(paint) = &look.bg {
        style = style.bg(colour(file, paint)?);
    }
    let modifiers = [
        (look.bold, Modifier::BOLD),
        (look.dim, Modifier::DIM),
        (look.underline, Modifier::UNDERLINED),
        (look.reverse, Modifier::REVERSED),
    ];
    Ok(modifiers.into_iter().filter(|(on, _)| *on).fold(style, |style, (_, modifier)| style.add_modifier(modifier)))
}

fn colour(file: &File, paint: &Paint) -> Result<Color, String> {
    match paint {
        Paint::Number(number) => Ok(Color::Indexed(*number)),
        Paint::Text(text) if text == "default" => Ok(Color::Reset),
        Paint::Text(text) => match (rgb(text), file.colours.get(text)) {
            (Some(colour), _) => Ok(colour),
            (None, Some(Paint::Number(number))) => Ok(Color::Indexed(*number)),
            (None, Some(Paint::Text(value))) => rgb(value).ok_or_else(|| format!("{value:?} is no colour")),
            (None, None) => Err(format!("{text:?} is no colour; write 0 to 255, \"#rrggbb\" or a name of [colours]")),
        },
    }
}

fn rgb(text: &str) -> Option<Color> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    let value = u32::from_str_radix(digits, 16).ok()?;
    Some(Color::Rgb((value >> 16) as u8, (value >> 8) as u8, value as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(colour: Color) -> (u8, u8, u8) {
        match colour {
            Color::Rgb(r, g, b) => (r, g, b),
            Color::Indexed(n @ 16..=231) => {
                let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
                let n = n - 16;
                (level(n / 36), level(n / 6 % 6), level(n % 6))
            }
            Color::Indexed(n @ 232..) => (8 + 10 * (n - 232), 8 + 10 * (n - 232), 8 + 10 * (n - 232)),
            other => panic!("{other:?} looks different on every terminal"),
        }
    }

    fn luminance(colour: Color) -> f64 {
        let (r, g, b) = channels(colour);
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    /// WCAG 2 contrast ratio.
    fn contrast(a: Color, b: Color) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_role_of_every_coloured_theme_can_be_read() {
        for (name, least) in [("dark", 4.5), ("light", 4.5), ("high-contrast", 7.0)] {
            let theme = Theme::load(name).expect(name);
            for role in Role::ALL {
                let style = theme.style(*role);
                let ratio = contrast(style.fg.expect("fg"), style.bg.expect("bg"));
                assert!(ratio >= least, "{name}: {} has a contrast of {ratio:.1}", role.name());
            }
        }
    }

    #[test]
    fn good_and_bad_are_told_apart_by_blue_and_orange_and_never_by_red_and_green() {
        for name in ["dark", "light", "high-contrast"] {
            let theme = Theme::load(name).expect(name);
            let fg = |role| channels(theme.style(role).fg.expect("fg"));
            let (_, _, blue) = fg(Role::Ok);
            assert!(blue > fg(Role::Ok).0, "{name}: ok leans to blue");
            for role in [Role::Warn, Role::Danger] {
                let (r, g, b) = fg(role);
                assert!(r > g && g > b, "{name}: {} leans to orange", role.name());
                assert!(u32::from(g) * 3 > u32::from(r), "{name}: {} is not red", role.name());
            }
        }
    }

    #[test]
    fn mono_has_no_colour() {
        let theme = Theme::mono();
        for role in Role::ALL {
            let style = theme.style(*role);
            assert_eq!((style.fg, style.bg), (Some(Color::Reset), Some(Color::Reset)), "{}", role.name());
        }
        assert!(theme.style(Role::Selected).add_modifier.contains(Modifier::REVERSED));
    }

    #[test]
    fn a_file_may_inherit_and_change_one_thing() {
        let theme = Theme::parse("mine", "inherits = \"dark\"\n[colours]\nblue = \"#0080FF\"\n").expect("theme");
        assert_eq!(theme.name, "mine");
        assert_eq!(theme.style(Role::Ok).fg, Some(Color::Rgb(0, 0x80, 0xFF)));
        let dark = Theme::load("dark").expect("dark");
        assert_eq!(theme.style(Role::Danger), dark.style(Role::Danger));
    }

    #[test]
    fn a_role_that_is_left_out_takes_its_parent() {
        let theme = Theme::parse("x", "[roles]\ntext = { fg = 250, bg = 16 }\nbyte = { fg = 200 }\n").expect("theme");
        assert_eq!(theme.style(Role::ByteText).fg, Some(Color::Indexed(200)));
        assert_eq!(theme.style(Role::Rule).fg, Some(Color::Indexed(250)));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("[roles]\ntekst = {}", "tekst"),
            ("[roles]\ntext = { fg = \"pinkish\" }", "pinkish"),
            ("inherits = \"nobody\"", "nobody"),
            ("[roles]\ntext = { blink = true }", "blink"),
        ] {
            let error = Theme::parse("x", text).expect_err(text);
            assert!(error.to_string().contains(word), "{error}");
        }
        assert_eq!(Theme::load("/no/such/theme").expect_err("no file").explain().code, "E130");
    }
}
