//! What is made of what a file holds: OpenBeken's start-up script for a second processor, and an ESPHome configuration.

use super::Inspection;
use crate::image::esphome::{self, Source};
use crate::image::template::tuyamcu::Script;

impl Inspection {
    /// OpenBeken's start-up script for the data points; `None` where no second processor has the pins.
    pub fn script(&self) -> Option<Script> {
        let tuya = self.tuya.as_ref().filter(|tuya| tuya.is_tuyamcu)?;
        Some(Script::of(tuya.tuyamcu_baud, &tuya.data_points))
    }

    /// The ESPHome configuration; `None` where the file tells neither pins nor data points.
    pub fn esphome(&self) -> Option<String> {
        let tuya = self.tuya.as_ref()?;
        esphome::configuration(&Source {
            param: tuya.user_param_key.as_ref(),
            chip: self.chip,
            name: self.device_name(),
            tuyamcu: tuya.is_tuyamcu,
            baud: tuya.tuyamcu_baud,
            points: &tuya.data_points,
            calibration: self.calibration,
        })
    }

    /// The data points, one a line, with what they probably mean.
    pub fn data_point_lines(&self) -> Vec<String> {
        let Some(tuya) = &self.tuya else { return Vec::new() };
        let lines = tuya.data_points.iter().map(|point| {
            let meaning = tuya.data_point_meanings.iter().find(|known| known.id == point.id);
            let meaning = meaning.map(|known| format!("  {} ({})", known.meaning.name, known.meaning.verdict));
            format!("{:>3}  {}, {}{}", point.id, point.mode_text(), point.range_text(), meaning.unwrap_or_default())
        });
        lines.collect()
    }
}
