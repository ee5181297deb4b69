//! The results of `identify` and `inspect` as people read them.

use super::Finding;
use super::bytes::Address;
use super::finding::Severity;
use super::firmware::Firmware;
use super::inspect::Inspection;
use crate::image::Family;
use crate::image::openbeken;
use crate::units::{Verdict, size_text};

impl Firmware {
    /// One fact a line.
    pub fn text(&self) -> String {
        let mut lines = vec![
            line("kind", self.kind.name()),
            line("size", size_text(self.size)),
            line("chip", chip_text(self.family, self.verdict)),
        ];
        lines.extend(self.votes.iter().map(|vote| line("", format!("{} ({})", vote.evidence, vote.family))));
        if let Some(key) = &self.key {
            lines.push(line("code key", key.name()));
        }
        if let Some(version) = self.boot_loader.as_ref().and_then(|boot_loader| boot_loader.version.as_deref()) {
            lines.push(line("boot loader", version));
        }
        if let Some(app) = &self.app {
            let tuya = app.tuya_name.as_ref().map(|name| match &app.tuya_version {
                Some(version) => format!("{name} {version}"),
                None => name.clone(),
            });
            let version = self.openbeken().map(str::to_owned).or_else(|| app.libretiny.clone()).or(tuya);
            lines.push(line("application", version.as_deref().unwrap_or("without version text")));
            let (good, all) = (app.blocks.good, app.blocks.good + app.blocks.bad);
            lines.push(line("", format!("{good} of {all} code blocks with good CRC")));
        }
        lines.extend(self.headers.iter().map(|header| {
            let crc = if header.header_crc_ok { "good" } else { "bad" };
            line("RBL header", format!("{} {} at {}, CRC {crc}", header.name, header.version, header.offset))
        }));
        let goes = self.natural_address.map_or_else(
            || "not for direct writing, or the chip decides where".to_owned(),
            |at| format!("flash 0x{at:06X}"),
        );
        lines.push(line("goes to", goes));
        lines.push(line("sha256", &self.sha256));
        lines.extend(problem_lines(&self.problems));
        lines.join("\n")
    }
}

impl Inspection {
    /// One fact a line, then the map.
    pub fn text(&self) -> String {
        let mut lines = vec![
            line("kind", self.kind.name()),
            line("size", size_text(self.size)),
            line("chip", chip_text(self.chip, self.verdict)),
        ];
        lines.extend(self.chip_evidence.iter().map(|evidence| line("", evidence)));
        if self.rotation != 0 {
            lines.push(line("rotation", format!("file offset 0 is flash 0x{:06X}", self.rotation)));
        }
        if let Some(firmware) = &self.firmware {
            let boot_loader = firmware.bootloader.as_ref().and_then(|found| found.version_string.as_deref());
            lines.extend(boot_loader.map(|version| line("boot loader", version)));
            let app = firmware.app.as_ref().and_then(|found| found.app_name.as_deref());
            let known = firmware.bootloader.as_ref().and_then(|found| found.known.as_deref());
            lines.extend(known.map(|name| line("", format!("{name} (by size and CRC-32)"))));
            lines.extend(self.openbeken.as_deref().or(app).map(|name| line("application", name)));
            let known = firmware.app.as_ref().and_then(|found| found.known.as_deref());
            lines.extend(known.map(|name| line("", format!("{name} (by size and CRC-32)"))));
            lines.extend(firmware.encryption.as_deref().map(|key| line("code key", key)));
            let mac = firmware.rf_tlv.as_ref().and_then(|rf| rf.mac_sha256.as_deref());
            lines.extend(mac.map(|hash| line("MAC sha256", hash)));
        }
        lines.push(line("sha256", &self.sha256));
        lines.extend(self.tuya_lines());
        lines.extend(
            self.openbeken_lines
                .iter()
                .enumerate()
                .map(|(number, text)| line(if number == 0 { "OpenBeken" } else { "" }, text)),
        );
        lines.extend(self.calibration_lines());
        if self.is_configured() {
            lines.push(line(
                "template",
                "`template FILE --mapping configured`: the module runs OpenBeken as set up here",
            ));
        }
        lines.extend(self.secret_lines());
        lines.extend(self.regions.iter().map(|region| {
            let (start, end) = (region.span.start, region.span.end());
            let (size, name) = (size_text(region.span.len.into()), &region.name);
            line("region", format!("0x{start:06X} to 0x{end:06X}  {size:>10}  {name}"))
        }));
        lines.extend(problem_lines(&self.problems));
        lines.join("\n")
    }
}

impl Inspection {
    /// The meter's calibration, where the device has a meter that keeps one.
    fn calibration_lines(&self) -> Vec<String> {
        let Some(found) = self.calibration else {
            let param = self.tuya.as_ref().and_then(|tuya| tuya.user_param_key.as_ref());
            let keeps_one = param.is_some_and(|param| param.number("chip_type") == Some(3));
            return keeps_one.then(|| line("calibration", "not found")).into_iter().collect();
        };
        let (at, sure) = (Address(found.offset as u32), found.verdict());
        let what = format!(
            "at {at} ({sure}): voltage {}, current {}, power {:.1}, energy {}",
            found.voltage(),
            found.current(),
            found.power(),
            found.energy()
        );
        let once = "once, by hand, under load: ";
        [line("calibration", what), line("", format!("{once}{}", found.commands().join("; ")))].into()
    }

    fn tuya_lines(&self) -> Vec<String> {
        let Some(tuya) = &self.tuya else { return Vec::new() };
        let mut lines = Vec::new();
        if let Some(offset) = tuya.storage_offset {
            let (blocks, bad) = (tuya.data_blocks, tuya.bad_blocks);
            lines.push(line("Tuya store", format!("at {offset}, {blocks} data blocks, {bad} bad")));
            lines.push(line("keys", tuya.keys.join(" ")));
        }
        if let Some(source) = tuya.user_param_key_source {
            lines.push(line("pin map", format!("from {}", source.name())));
        }
        if tuya.is_tuyamcu {
            lines.push(line("TuyaMCU", "a second processor has the pins"));
        }
        if let Some(key) = &tuya.schema_key {
            let (count, place) = (tuya.data_points.len(), if tuya.data_points_live { "" } else { ", a deleted value" });
            lines.push(line("data points", format!("{count}, schema {key}{place}")));
            lines.extend(self.data_point_lines().iter().map(|point| line("", point)));
        }
        if let Some(template) = &self.template_recommended {
            lines.extend(
                template
                    .lines
                    .iter()
                    .map(|pin| line(&format!("P{}", pin.pin), format!("{}  ({})", pin.value(), pin.reason))),
            );
            if !template.commands.is_empty() {
                lines.push(line("start-up", template.command()));
            }
            if template.flags != 0 {
                lines.push(line("flags", template.flags.to_string()));
            }
            if !template.tuyamcu {
                lines.extend(template.notes.iter().map(|note| line("note", note)));
            }
        }
        lines
    }

    /// Whether the file may be shared.
    fn secret_lines(&self) -> Vec<String> {
        let configured = self.openbeken_config.as_ref().is_some_and(openbeken::hides_something);
        let what = match (self.wifi_credentials_present, configured || !self.secrets_in_live_kv.is_empty()) {
            (true, _) => "Wi-Fi credentials are in this file",
            (false, true) => "names or keys of its owner are in this file",
            (false, false) => return Vec::new(),
        };
        vec![line("secrets", format!("{what}; `redact` makes a copy to share"))]
    }
}

fn line(name: &str, value: impl AsRef<str>) -> String {
    format!("{name:<12} {}", value.as_ref())
}

fn chip_text(chip: Option<Family>, verdict: Verdict) -> String {
    format!("{} ({verdict})", chip.map_or("unknown", Family::name))
}

fn problem_lines(problems: &[Finding]) -> impl Iterator<Item = String> {
    problems.iter().map(|problem| {
        let severity = match problem.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        line(severity, format!("{} {}", problem.code, problem.what))
    })
}

#[cfg(test)]
mod tests {
    use crate::image::{firmware, inspect, samples};

    #[test]
    fn a_firmware_image_is_described_line_by_line() {
        let Some(sample) = samples::firmware_named("OpenBK7231T_QIO") else { return };
        let text = firmware::identify(&sample.bytes).text();
        for expected in [
            "kind         QIO\n",
            "chip         BK7231T (proven)\n",
            "boot loader  BK7231S_1.0.5\n",
            "application  OpenBK7231T_1.18.300\n",
            "24828 of 24828 code blocks",
            "goes to      flash 0x000000\n",
        ] {
            assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
        }
    }

    #[test]
    fn a_dump_is_described_with_its_map() {
        let Some(sample) = samples::dump("led-moon-cct-rotated-t") else { return };
        let text = inspect::inspect(&sample.bytes).text();
        for expected in ["rotation     file offset 0 is flash 0x011000", "68 KiB  boot loader", "warning      E711"] {
            assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
        }
    }

    #[test]
    fn no_sample_puts_anything_but_plain_text_on_the_terminal() {
        for sample in samples::all() {
            let text = firmware::identify(&sample.bytes).text() + &inspect::inspect(&sample.bytes).text();
            assert!(text.chars().all(|letter| letter == '\n' || (' '..='~').contains(&letter)), "{}", sample.name);
        }
    }
}
