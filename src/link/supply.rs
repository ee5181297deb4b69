//! The Raspberry Pi's own under-voltage flags, sampled while jobs run. A supply that dips is the first suspect for read
//! errors, before wires and before the chip (users.md, 15).

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::host::Host;

/// Bits of the firmware's word (raspberrypi documentation, `get_throttled`): too low now, and since the start.
const LOW_NOW: u32 = 1;
const LOW_BEFORE: u32 = 1 << 16;
/// Time between two looks while a job runs. The firmware remembers shorter dips for at least 100 ms, and the kernel's
/// alarm for two seconds (drivers/hwmon/raspberrypi-hwmon.c).
const EVERY: Duration = Duration::from_millis(500);
/// Time between two looks when errors ask for them.
const URGENT: Duration = Duration::from_millis(50);

/// Where a computer tells of its supply.
#[derive(Debug)]
pub struct Supply {
    host: Host,
    /// The firmware's word, in hex.
    word: Option<String>,
    /// The kernel's alarm: 1 when there was a dip in the last two seconds.
    alarm: Option<String>,
}

/// One look at the supply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// It is too low, or was within the last two seconds.
    pub low_now: bool,
    /// It was too low at some time since the computer started.
    pub low_before: bool,
}

/// What was seen of the supply during one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The first look, before the job did anything.
    pub before: Flags,
    /// How many looks there were.
    pub samples: u32,
    /// How many of them found it too low.
    pub low: u32,
    /// The last look.
    pub after: Flags,
}

impl Supply {
    /// The supply of this computer; `None` when it tells nothing.
    pub fn here() -> Option<Self> {
        Self::of(&Host::here())
    }

    /// The supply of a computer; `None` when it tells nothing.
    pub fn of(host: &Host) -> Option<Self> {
        // The firmware's node stands below the chip's, whose name differs: soc:firmware, soc@107c000000:firmware.
        let platform = "sys/devices/platform";
        let socs = host.names(platform).into_iter().filter(|name| name.starts_with("soc"));
        let words = socs.flat_map(|soc| {
            let folder = format!("{platform}/{soc}");
            let firmware = host.names(&folder).into_iter().filter(|name| name.ends_with(":firmware"));
            firmware.map(|name| format!("{folder}/{name}/get_throttled")).collect::<Vec<_>>()
        });
        let word = words.into_iter().find(|path| host.has(path));
        let class = "sys/class/hwmon";
        let sensors = host.names(class).into_iter().map(|name| format!("{class}/{name}"));
        let alarm = sensors
            .filter(|folder| host.text(&format!("{folder}/name")).as_deref() == Some("rpi_volt"))
            .map(|folder| format!("{folder}/in0_lcrit_alarm"))
            .find(|path| host.has(path));
        (word.is_some() || alarm.is_some()).then(|| Self { host: host.clone(), word, alarm })
    }

    /// Looks once. A file that cannot be read any more says nothing.
    pub fn sample(&self) -> Flags {
        let word = self.word.as_ref().and_then(|path| self.host.text(path));
        let word = word.and_then(|text| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()).unwrap_or(0);
        let alarm = self.alarm.as_ref().and_then(|path| self.host.text(path)).as_deref() == Some("1");
        Flags { low_now: alarm || word & LOW_NOW != 0, low_before: alarm || word & (LOW_NOW | LOW_BEFORE) != 0 }
    }
}

impl Record {
    /// Whether the supply was too low during the job.
    pub const fn dipped(&self) -> bool {
        self.low > 0 || (self.after.low_before && !self.before.low_before)
    }

    /// What is to be said about it.
    pub fn words(&self) -> String {
        let looks = self.samples;
        match (self.low, self.dipped(), self.before.low_before) {
            (0, true, _) => format!("the Pi's supply dipped between two of {looks} looks"),
            (0, false, true) => format!("no under-voltage in {looks} looks, but some before the job"),
            (0, false, false) => format!("no under-voltage in {looks} looks"),
            (low, _, _) => format!("the Pi's supply was too low in {low} of {looks} looks"),
        }
    }
}

/// Looks at the supply during one job, not more often than makes sense.
#[derive(Debug)]
pub struct Watcher<'a> {
    supply: &'a Supply,
    last: Instant,
    record: Record,
    told: bool,
}

impl<'a> Watcher<'a> {
    /// Begins with a first look.
    pub fn new(supply: &'a Supply) -> Self {
        let before = supply.sample();
        let record = Record { before, samples: 1, low: before.low_now.into(), after: before };
        Self { supply, last: Instant::now(), record, told: false }
    }

    /// Looks again when it is time to; with `urgent`, after an error, sooner.
    pub fn look(&mut self, urgent: bool) {
        if self.last.elapsed() >= if urgent { URGENT } else { EVERY } {
            self.look_now();
        }
    }

    fn look_now(&mut self) {
        let flags = self.supply.sample();
        self.last = Instant::now();
        self.record.samples += 1;
        self.record.low += u32::from(flags.low_now);
        self.record.after = flags;
    }

    /// Looks a last time; what was seen in all.
    pub fn end(&mut self) -> Record {
        self.look_now();
        self.record
    }

    /// What was seen so far.
    pub const fn record(&self) -> Record {
        self.record
    }

    /// Whether the supply was seen too low so far.
    pub const fn dipped(&self) -> bool {
        self.record.dipped()
    }

    /// The warning, once, when there is something to warn of.
    pub fn warning(&mut self) -> Option<String> {
        if self.told || !self.dipped() {
            return None;
        }
        self.told = true;
        Some(format!("{SUSPECT}: under-voltage on this Raspberry Pi"))
    }
}

/// What is said beside an error while the supply is too low.
pub const SUSPECT: &str = "suspect the supply first";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn flags(low_now: bool, low_before: bool) -> Flags {
        Flags { low_now, low_before }
    }

    #[test]
    fn the_firmwares_word_is_read_on_every_model() {
        for place in ["soc/soc:firmware", "soc@107c000000/soc@107c000000:firmware"] {
            let root = tempfile::tempdir().unwrap();
            let file = format!("sys/devices/platform/{place}/get_throttled");
            for (word, wanted) in [
                ("0\n", flags(false, false)),
                ("50000\n", flags(false, true)),
                ("50005\n", flags(true, true)),
                // Too hot, but well fed.
                ("80008\n", flags(false, false)),
                ("nonsense\n", flags(false, false)),
            ] {
                put(root.path(), &file, word);
                let supply = Supply::of(&Host::copied(root.path())).expect("a supply");
                assert_eq!(supply.sample(), wanted, "{place} {word}");
            }
        }
    }

    #[test]
    fn the_kernels_alarm_counts_where_the_word_is_missing_and_of_that_sensor_only() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "sys/class/hwmon/hwmon0/name", "cpu_thermal\n");
        put(root.path(), "sys/class/hwmon/hwmon0/in0_lcrit_alarm", "1\n");
        assert!(Supply::of(&Host::copied(root.path())).is_none());
        put(root.path(), "sys/class/hwmon/hwmon1/name", "rpi_volt\n");
        put(root.path(), "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
        let supply = Supply::of(&Host::copied(root.path())).expect("a supply");
        assert_eq!(supply.sample(), flags(true, true));
        fs::remove_file(root.path().join("sys/class/hwmon/hwmon1/in0_lcrit_alarm")).unwrap();
        assert_eq!(supply.sample(), flags(false, false), "a sensor that went away says nothing");
    }

    #[test]
    fn a_job_records_before_during_and_after() {
        let root = tempfile::tempdir().unwrap();
        let file = "sys/devices/platform/soc/soc:firmware/get_throttled";
        put(root.path(), file, "0\n");
        let supply = Supply::of(&Host::copied(root.path())).expect("a supply");
        let mut watcher = Watcher::new(&supply);
        // Not time yet: looking costs a call into the firmware.
        watcher.look(false);
        assert_eq!((watcher.record.samples, watcher.warning()), (1, None));
        put(root.path(), file, "50005\n");
        watcher.look_now();
        assert!(watcher.dipped());
        assert!(watcher.warning().expect("a warning").contains("suspect the supply"));
        assert_eq!(watcher.warning(), None, "said once");
        put(root.path(), file, "50000\n");
        let record = watcher.end();
        assert_eq!(record, Record { before: flags(false, false), samples: 3, low: 1, after: flags(false, true) });
        assert_eq!(record.words(), "the Pi's supply was too low in 1 of 3 looks");
        // A dip that fell between two looks is still told by the firmware's memory.
        let between = Record { low: 0, ..record };
        assert!(between.dipped() && between.words().contains("between two"));
    }
}
