//! What can go wrong on purpose. The table of all faults stands in the module documentation of [`super`].

use std::time::Duration;

/// The switches. `Default` is a module without fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// `clock:HZ` — above this SPI clock, in Hz, bytes reach the host one bit late: more and more of them up to a quarter
    /// above it, then all; above twice of it bits flip both ways too.
    pub clock_limit: Option<u32>,
    /// `noise:1/N` — one byte in N on the wire is damaged (UART: dropped, flipped or doubled; SPI: one bit flipped).
    pub noise: Option<u32>,
    /// `ignore-program` — page programs end well and change nothing.
    pub ignore_program: bool,
    /// `ignore-erase` — erases end well and change nothing.
    pub ignore_erase: bool,
    /// `ignore-status` — status register writes end well and change nothing.
    pub ignore_status: bool,
    /// `drop-page:N` — the N-th page program changes nothing, counted from 1.
    pub drop_page: Option<u64>,
    /// `late-entry` or `late-entry:MS` — the chip listens only this long after reset (30 ms); what came before is lost.
    pub late_entry: Option<Duration>,
    /// `stuck-busy` or `stuck-busy:N` — the N-th flash operation (the first) never ends.
    pub stuck_busy: Option<u64>,
    /// `power-loss:N` — in the N-th flash operation the supply drops: half-done cells, and the link is gone.
    pub power_loss: Option<u64>,
    /// `power-cut:N` — in the N-th flash operation (page program, erase or status write) the supply is gone for good:
    /// half-done cells, and the module answers nothing any more. With `chip=FILE` it stays so for every later link of this
    /// process that names the same fault; another process, or a link without the fault, finds the chip supplied again.
    pub power_cut: Option<u64>,
    /// `sag:N` — from the N-th command to the flash on, reads included, the flash answers FF for 300 ms and does nothing.
    pub sag: Option<u64>,
    /// `unplug:N` — the cable is pulled after the N-th flash operation; the chip ends it in peace.
    pub unplug: Option<u64>,
    /// `no-answer:N` — the N-th UART answer is never sent.
    pub no_answer: Option<u64>,
    /// `bad-status:N` — the N-th long UART answer carries status 03.
    pub bad_status: Option<u64>,
    /// `delay:MS` — every UART answer comes this much later.
    pub delay: Option<Duration>,
    /// `late:1/N` — one UART answer in N begins up to half a second late.
    pub late: Option<u32>,
    /// `stall:1/N` — one UART answer in N stops in its middle for up to 2 s.
    pub stall: Option<u32>,
    /// `echo` — the host hears its own UART bytes.
    pub echo: bool,
    /// `console:BAUD` — the firmware logs at this rate.
    pub console: Option<u32>,
    /// `tuya-mcu` — the firmware talks to a second controller at 9600 baud, and does not log.
    pub tuya_mcu: bool,
    /// `drift:PERCENT` — the chip's UART runs this much too fast, in percent.
    pub drift: Option<u32>,
    /// `weak-supply` or `weak-supply:BYTES` — after so many bytes of flash traffic (400) the supply gives way and the chip
    /// starts anew by itself.
    pub weak_supply: Option<u64>,
    /// `id:00` or `id:ff` — the flash answers its id with this byte only.
    pub dead_id: Option<u8>,
}

impl Faults {
    /// Reads a comma list: `clock:4M,noise:1/20000,drop-page:3`.
    ///
    /// # Errors
    /// A sentence that names the part that is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut faults = Self::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = item.split_once(':').map_or((item, None), |(name, value)| (name, Some(value)));
            faults.set(name, value).map_err(|why| format!("fault {item:?}: {why}"))?;
        }
        Ok(faults)
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        let flag = || match value {
            None => Ok(true),
            Some(_) => Err("takes no value".to_owned()),
        };
        let count = |missing: Option<u64>| match value {
            Some(text) => text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "needs a count from 1".to_owned()),
            None => missing.ok_or_else(|| "needs a count, such as drop-page:3".to_owned()),
        };
        match name {
            "clock" => self.clock_limit = Some(frequency(value.unwrap_or_default())?),
            "noise" => self.noise = Some(one_in(value.unwrap_or_default())?),
            "ignore-program" => self.ignore_program = flag()?,
            "ignore-erase" => self.ignore_erase = flag()?,
            "ignore-status" => self.ignore_status = flag()?,
            "drop-page" => self.drop_page = Some(count(None)?),
            "late-entry" => self.late_entry = Some(Duration::from_millis(count(Some(30))?)),
            "stuck-busy" => self.stuck_busy = Some(count(Some(1))?),
            "power-loss" => self.power_loss = Some(count(None)?),
            "power-cut" => self.power_cut = Some(count(None)?),
            "sag" => self.sag = Some(count(None)?),
            "unplug" => self.unplug = Some(count(None)?),
            "no-answer" => self.no_answer = Some(count(None)?),
            "bad-status" => self.bad_status = Some(count(None)?),
            "delay" => self.delay = Some(Duration::from_millis(count(None)?)),
            "late" => self.late = Some(one_in(value.unwrap_or_default())?),
            "stall" => self.stall = Some(one_in(value.unwrap_or_default())?),
            "echo" => self.echo = flag()?,
            "console" => self.console = Some(u32::try_from(count(None)?).map_err(|_| "is too large".to_owned())?),
            "tuya-mcu" => self.tuya_mcu = flag()?,
            "drift" => self.drift = Some(u32::try_from(count(None)?).map_err(|_| "is too large".to_owned())?),
            "weak-supply" => self.weak_supply = Some(count(Some(400))?),
            "id" => {
                let byte = value.and_then(|text| u8::from_str_radix(text, 16).ok());
                self.dead_id = Some(byte.ok_or("needs one byte in hex, such as id:00")?);
            }
            _ => return Err(format!("unknown; known are {}", NAMES.join(", "))),
        }
        Ok(())
    }
}

const NAMES: [&str; 23] = [
    "clock:HZ",
    "noise:1/N",
    "ignore-program",
    "ignore-erase",
    "ignore-status",
    "drop-page:N",
    "late-entry[:MS]",
    "stuck-busy[:N]",
    "power-loss:N",
    "power-cut:N",
    "sag:N",
    "unplug:N",
    "no-answer:N",
    "bad-status:N",
    "delay:MS",
    "late:1/N",
    "stall:1/N",
    "echo",
    "console:BAUD",
    "tuya-mcu",
    "drift:PERCENT",
    "weak-supply[:BYTES]",
    "id:HEX",
];

/// `4M`, `500k`, `7800000`; steps of a thousand, unlike sizes.
fn frequency(text: &str) -> Result<u32, String> {
    let (digits, factor) = match text.strip_suffix(['M', 'm']) {
        Some(rest) => (rest, 1_000_000),
        None => text.strip_suffix(['k', 'K']).map_or((text, 1), |rest| (rest, 1000)),
    };
    let number = digits.parse::<u32>().ok().and_then(|n| n.checked_mul(factor)).filter(|hz| *hz > 0);
    number.ok_or_else(|| "needs a clock in Hz, such as clock:4M".to_owned())
}

fn one_in(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix("1/").and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    number.ok_or_else(|| "needs a rate such as noise:1/20000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_sets_several_switches() {
        let faults = Faults::parse("clock:4M, noise:1/20000,late-entry,power-loss:12").unwrap();
        assert_eq!(faults.clock_limit, Some(4_000_000));
        assert_eq!(faults.noise, Some(20_000));
        assert_eq!(faults.late_entry, Some(Duration::from_millis(30)));
        assert_eq!(faults.power_loss, Some(12));
        assert_eq!(Faults::parse("").unwrap(), Faults::default());
    }

    #[test]
    fn every_documented_fault_is_understood() {
        for name in NAMES {
            let plain = name.replace(['[', ']'], "").replace("HZ", "1M").replace("1/N", "1/9").replace("HEX", "ff");
            let item = plain
                .replace(":N", ":2")
                .replace(":MS", ":5")
                .replace(":PERCENT", ":5")
                .replace(":BAUD", ":9600")
                .replace(":BYTES", ":5");
            assert_ne!(Faults::parse(&item).expect(name), Faults::default(), "{name} changes nothing");
            let word = name.split([':', '[']).next().unwrap();
            assert!(include_str!("mod.rs").contains(&format!("`{word}")), "{word} is missing in the table");
        }
    }

    #[test]
    fn typing_errors_are_named() {
        assert!(Faults::parse("drop-pages:3").unwrap_err().contains("drop-page:N"));
        assert!(Faults::parse("drop-page").unwrap_err().contains("count"));
        assert!(Faults::parse("noise:20000").unwrap_err().contains("noise:1/20000"));
        assert!(Faults::parse("echo:1").unwrap_err().contains("no value"));
    }
}
