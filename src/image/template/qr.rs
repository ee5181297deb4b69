//! A template as a QR code: from the screen of a machine without a clipboard into a phone.

use qrcode::{Color, EcLevel, QrCode};

use super::Template;

/// Light modules around a code, on each side: a scanner asks for four, and most are content with fewer.
const QUIET: usize = 4;
/// The fewest light modules around a code that is drawn at all.
const LEAST_QUIET: usize = 1;

/// A QR code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qr {
    size: usize,
    dark: Vec<bool>,
}

/// What of a template a code holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The whole entry for the device list.
    Entry,
    /// Pins and start-up command, which are all that OpenBeken needs.
    Pins,
}

impl Holds {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Entry => "the whole template",
            Self::Pins => "pins and start-up command",
        }
    }
}

/// How the modules are drawn in cells of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Two modules above each other in one cell, with half blocks.
    Half,
    /// One module in two cells beside each other: ASCII.
    Plain,
}

/// A code that fits a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitting {
    /// The code.
    pub code: Qr,
    /// What it holds.
    pub holds: Holds,
    /// Light modules around it.
    pub quiet: usize,
}

/// Why there is no code for a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The window is too small for the smallest code; columns and rows that it takes.
    Window(usize, usize),
    /// No QR code is large enough for the text.
    Text,
}

impl Qr {
    /// The smallest code for a text, with the least redundancy: a screen has no scratches. `None` for more than 2953
    /// bytes, which is what the largest code holds (ISO/IEC 18004).
    pub fn of(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let dark = code.to_colors().into_iter().map(|color| color == Color::Dark).collect();
        Some(Self { size: code.width(), dark })
    }

    /// Modules in a row, 21 to 177.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Whether the module is dark, counted from `quiet` light modules above and left of the code.
    pub fn dark(&self, x: usize, y: usize, quiet: usize) -> bool {
        let inside = |at: usize| at.checked_sub(quiet).filter(|at| *at < self.size);
        inside(x).zip(inside(y)).is_some_and(|(x, y)| self.dark.get(y * self.size + x) == Some(&true))
    }

    /// The code for a terminal with a dark ground: light modules are drawn, dark ones left blank.
    pub fn rows(&self, quiet: usize, look: Look) -> Vec<String> {
        let side = self.size + 2 * quiet;
        let light = |x, y| y < side && !self.dark(x, y, quiet);
        match look {
            Look::Plain => {
                let row = |y| (0..side).map(|x| if light(x, y) { "##" } else { "  " }).collect();
                (0..side).map(row).collect()
            }
            Look::Half => {
                let cell = |x, y| match (light(x, y), light(x, y + 1)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                };
                (0..side).step_by(2).map(|y| (0..side).map(|x| cell(x, y)).collect()).collect()
            }
        }
    }
}

/// Columns and rows that a code of `side` modules takes.
const fn room(side: usize, look: Look) -> (usize, usize) {
    match look {
        Look::Half => (side, side.div_ceil(2)),
        Look::Plain => (2 * side, side),
    }
}

/// The code of a template that holds as much as the window can show.
///
/// # Errors
/// [`Unfit`], with the window that would do.
pub fn fit(
    template: &Template,
    name: Option<&str>,
    look: Look,
    (columns, rows): (usize, usize),
) -> Result<Fitting, Unfit> {
    let texts =
        [(Holds::Entry, template.to_database_entry(name).to_string()), (Holds::Pins, template.to_short().to_string())];
    let mut unfit = Unfit::Text;
    for (holds, text) in texts {
        let Some(code) = Qr::of(&text) else { continue };
        let quiet = (LEAST_QUIET..=QUIET).rev().find(|quiet| {
            let (wide, high) = room(code.size + 2 * quiet, look);
            wide <= columns && high <= rows
        });
        if let Some(quiet) = quiet {
            return Ok(Fitting { code, holds, quiet });
        }
        let (wide, high) = room(code.size + 2 * LEAST_QUIET, look);
        unfit = Unfit::Window(wide, high);
    }
    Err(unfit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::template::{Mapping, map};
    use crate::image::tuya::param;

    fn plug() -> Template {
        let text = "{module:CB2S,rl1_pin:26,rl1_lv:1,bt1_pin:10,bt1_lv:0,ele_pin:7,vi_pin:6,sel_pin_pin:24,\
                    sel_pin_lv:1,netled1_pin:8,netled1_lv:0}";
        map(&param::parse(text.as_bytes()), Mapping::Recommended, None)
    }

    #[test]
    fn a_code_has_its_three_corner_marks() {
        let code = Qr::of("hello").expect("a code");
        assert_eq!(code.size(), 21);
        for (x, y) in [(0, 0), (14, 0), (0, 14)] {
            let row = |dy: usize| (0..7).map(|dx| code.dark(x + dx, y + dy, 0)).collect::<Vec<bool>>();
            assert_eq!(row(0), [true; 7]);
            assert_eq!(row(1), [true, false, false, false, false, false, true]);
            assert_eq!(row(3), [true, false, true, true, true, false, true]);
        }
        assert!(!code.dark(3, 0, 4), "around it everything is light");
        assert!(Qr::of(&"x".repeat(3000)).is_none());
    }

    #[test]
    fn both_looks_show_the_same_modules() {
        let code = Qr::of("the same").expect("a code");
        let (half, plain) = (code.rows(2, Look::Half), code.rows(2, Look::Plain));
        for (y, row) in plain.iter().enumerate() {
            for (x, cell) in half[y / 2].chars().enumerate() {
                let light = match cell {
                    '█' => true,
                    '▀' => y % 2 == 0,
                    '▄' => y % 2 == 1,
                    _ => false,
                };
                assert_eq!(&row[2 * x..2 * x + 2], if light { "##" } else { "  " }, "{x} {y}");
            }
        }
    }

    #[test]
    fn the_pins_of_a_metering_plug_fit_the_home_size_and_all_of_it_a_large_window() {
        let small = fit(&plug(), Some("plug"), Look::Half, (80, 24)).expect("a code");
        assert_eq!(small.holds, Holds::Pins);
        assert!(small.code.size() + 2 * small.quiet <= 48);
        let large = fit(&plug(), Some("plug"), Look::Half, (160, 45)).expect("a code");
        assert_eq!((large.holds, large.quiet), (Holds::Entry, QUIET));
        let Err(Unfit::Window(columns, rows)) = fit(&plug(), None, Look::Half, (60, 16)) else { panic!("it fits?") };
        assert!(fit(&plug(), None, Look::Half, (columns, rows)).is_ok() && rows > 16);
    }
}
