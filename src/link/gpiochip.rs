//! GPIO lines through the kernel's character devices, found by name on whatever chip has them.

use std::path::PathBuf;

use gpiocdev::line::Value;
use gpiocdev::request::Config;
use gpiocdev::{Chip, Request};

use super::contract::{LinkError, ResetLine};
use super::gpio::{CenLine, Pin, bcm_number, line_name};
use super::host::lines::HEADERS;
use super::host::system::System;
use super::host::{Host, cen};

/// A line of this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    chip: PathBuf,
    /// What kind of chip it is.
    label: String,
    offset: u32,
    /// Empty where the board names none.
    name: String,
    /// Who has it; `None` while it is free.
    consumer: Option<String>,
}

impl Known {
    fn on_header_chip(&self) -> bool {
        HEADERS.contains(&self.label.as_str())
    }

    /// What reports call it.
    fn describe(&self) -> String {
        match u8::try_from(self.offset) {
            Ok(gpio) if self.on_header_chip() => line_name(gpio),
            _ => self.name.clone(),
        }
    }
}

/// Opens a line by `22`, `GPIO22`, `pin15` or the name the board gives it.
pub(super) fn open(line: &str) -> Result<Box<dyn ResetLine>, LinkError> {
    let known = known_lines()?;
    let found = choose(&known, line)?;
    let name = found.describe();
    if let Some(consumer) = &found.consumer {
        let remedy = in_use_remedy(found, consumer);
        return Err(LinkError::LineInUse { line: name, consumer: consumer.clone(), remedy });
    }
    let request = Request::builder()
        .on_chip(&found.chip)
        .with_consumer("bkbench")
        .with_line(found.offset)
        .as_input()
        .request()
        .map_err(|error| LinkError::Io { name: name.clone(), why: error.to_string() })?;
    let pin = RequestedPin { request, offset: found.offset, name: name.clone(), output: false };
    Ok(Box::new(CenLine { pin, name, held: false }))
}

/// What frees a line that somebody has.
fn in_use_remedy(found: &Known, consumer: &str) -> String {
    let host = Host::here();
    match u8::try_from(found.offset) {
        Ok(gpio) if found.on_header_chip() => cen::free(&host, &System::of(&host), gpio, consumer),
        _ => "free it (`gpioinfo` shows who has it), or wire CEN to another line and name that one in cen=".to_owned(),
    }
}

/// Takes a line that something else than the kernel works, and leaves it as it is, so that nobody else is given it.
/// `None` where the kernel shows no such line or this user may not ask for it.
///
/// # Errors
/// [`LinkError::LineInUse`].
pub(super) fn claim(line: &str) -> Result<Option<Request>, LinkError> {
    let Ok(known) = known_lines() else { return Ok(None) };
    let Ok(found) = choose(&known, line) else { return Ok(None) };
    if let Some(consumer) = &found.consumer {
        let remedy = in_use_remedy(found, consumer);
        return Err(LinkError::LineInUse { line: found.describe(), consumer: consumer.clone(), remedy });
    }
    let mut asked = Request::builder();
    asked.on_chip(&found.chip).with_consumer("bkbench").with_line(found.offset);
    Ok(asked.request().ok())
}

/// Every line of every chip this user may look at.
fn known_lines() -> Result<Vec<Known>, LinkError> {
    let unreadable = |name: String, why: String| LinkError::Io { name, why };
    let chips = gpiocdev::chip::chips().map_err(|error| unreadable("/dev".to_owned(), error.to_string()))?;
    let mut known = Vec::new();
    let mut denied = None;
    for path in chips {
        let lines = Chip::from_path(&path).and_then(|chip| {
            let info = chip.info()?;
            let lines = (0..info.num_lines).filter_map(|offset| chip.line_info(offset).ok());
            Ok(lines.map(|line| (info.label.clone(), line)).collect::<Vec<_>>())
        });
        match lines {
            Ok(lines) => known.extend(lines.into_iter().map(|(label, line)| Known {
                chip: path.clone(),
                label,
                offset: line.offset,
                name: line.name,
                consumer: line.used.then_some(line.consumer),
            })),
            Err(_) => denied = denied.or_else(|| super::host::access(&path, "gpio")),
        }
    }
    match (known.is_empty(), denied) {
        (true, Some(denied)) => Err(denied),
        _ => Ok(known),
    }
}

/// The one line that a text means: the board's own name for it first, then the numbers of the 40-pin header.
fn choose<'k>(known: &'k [Known], wanted: &str) -> Result<&'k Known, LinkError> {
    let refuse = |why: String| LinkError::NoLine { line: wanted.to_owned(), why };
    let number = bcm_number(wanted);
    let names = [wanted.to_owned(), number.map_or_else(String::new, |gpio| format!("GPIO{gpio}"))];
    let named: Vec<&Known> = known
        .iter()
        .filter(|line| !line.name.is_empty() && names.iter().any(|name| line.name.eq_ignore_ascii_case(name)))
        .collect();
    let on_header = |line: &&Known| line.on_header_chip();
    match named.as_slice() {
        [only] => return Ok(only),
        [] => {}
        several => {
            let mut header = several.iter().copied().filter(on_header);
            return match (header.next(), header.next()) {
                (Some(line), None) => Ok(line),
                _ => Err(refuse(format!("{} lines of this board have that name", several.len()))),
            };
        }
    }
    let by_number = number.and_then(|gpio| known.iter().filter(on_header).find(|line| line.offset == u32::from(gpio)));
    by_number.ok_or_else(|| {
        refuse(if known.is_empty() { "this computer shows no GPIO lines" } else { "no line has that name" }.to_owned())
    })
}

/// A line that the kernel lets this process work.
struct RequestedPin {
    request: Request,
    offset: u32,
    name: String,
    output: bool,
}

impl RequestedPin {
    fn error(&self, error: &gpiocdev::Error) -> LinkError {
        LinkError::Io { name: self.name.clone(), why: error.to_string() }
    }
}

impl Pin for RequestedPin {
    fn drive(&mut self, high: bool) -> Result<(), LinkError> {
        let value = if high { Value::Active } else { Value::Inactive };
        let done = if self.output {
            self.request.set_value(self.offset, value)
        } else {
            let mut config = Config::default();
            config.with_line(self.offset).as_output(value);
            self.request.reconfigure(&config)
        };
        done.map_err(|error| self.error(&error))?;
        self.output = true;
        Ok(())
    }

    fn let_go(&mut self) -> Result<(), LinkError> {
        let mut config = Config::default();
        config.with_line(self.offset).as_input();
        self.request.reconfigure(&config).map_err(|error| self.error(&error))?;
        self.output = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(chip: &str, label: &str, offset: u32, name: &str) -> Known {
        Known { chip: chip.into(), label: label.to_owned(), offset, name: name.to_owned(), consumer: None }
    }

    /// A Pi 5, whose header chip was gpiochip4 on one kernel and gpiochip0 on the next, beside chips of the SoC.
    fn pi_5(header: &str) -> Vec<Known> {
        vec![
            line("/dev/gpiochip10", "gpio-brcmstb@107d508500", 22, "-"),
            line("/dev/gpiochip11", "gpio-brcmstb@107d517c00", 22, ""),
            line(header, "pinctrl-rp1", 21, "GPIO21"),
            line(header, "pinctrl-rp1", 22, "GPIO22"),
        ]
    }

    #[test]
    fn a_line_is_found_by_name_whatever_the_number_of_its_chip() {
        for header in ["/dev/gpiochip4", "/dev/gpiochip0"] {
            for wanted in ["22", "GPIO22", "gpio22", "pin15"] {
                let lines = pi_5(header);
                let found = choose(&lines, wanted).unwrap();
                assert_eq!((found.chip.to_str(), found.offset), (Some(header), 22), "{wanted}");
                assert_eq!(found.describe(), "GPIO22 (pin 15)");
            }
        }
    }

    #[test]
    fn a_pi_whose_kernel_names_no_lines_is_known_by_the_kind_of_its_chip() {
        let lines = vec![
            line("/dev/gpiochip1", "raspberrypi-exp-gpio", 22, ""),
            line("/dev/gpiochip0", "pinctrl-bcm2835", 22, ""),
        ];
        assert_eq!(choose(&lines, "22").unwrap().chip.to_str(), Some("/dev/gpiochip0"));
        assert_eq!(choose(&lines, "pin15").unwrap().offset, 22);
    }

    #[test]
    fn other_boards_have_other_names_and_offsets_are_never_guessed() {
        let lines = vec![
            line("/dev/gpiochip0", "300b000.pinctrl", 22, "con1-15"),
            line("/dev/gpiochip1", "7022000.pinctrl", 3, "PL3"),
        ];
        assert_eq!(choose(&lines, "CON1-15").unwrap().offset, 22);
        assert_eq!(choose(&lines, "PL3").unwrap().describe(), "PL3");
        for wanted in ["22", "GPIO22", "pin15"] {
            let refused = choose(&lines, wanted).unwrap_err();
            assert!(matches!(refused, LinkError::NoLine { .. }), "{wanted}: {refused}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_unless_one_is_on_the_header() {
        let twice = vec![line("/dev/gpiochip0", "a", 1, "CEN"), line("/dev/gpiochip1", "b", 1, "CEN")];
        assert!(choose(&twice, "CEN").unwrap_err().to_string().contains('2'));
        let mut lines = pi_5("/dev/gpiochip0");
        lines.push(line("/dev/gpiochip9", "expander", 22, "GPIO22"));
        assert_eq!(choose(&lines, "22").unwrap().label, "pinctrl-rp1");
    }
}
