//! How long a plan will take: bus times plus the part's usual erase and program times. Shown as an estimate only.

use std::time::Duration;

use super::plan::{Action, Plan, Situation};
use crate::chip::{Typical, part_named};
use crate::link::WireKind;
use crate::units::{PAGE, SECTOR};

/// Overhead of one SPI message in seconds (spi-flash.md §11).
const SPI_MESSAGE: f64 = 100e-6;

/// The estimated time of a write: survey, erase, program, reading back, and the final comparison of the whole chip.
pub(super) fn write_time(plan: &Plan, situation: &Situation<'_>) -> Duration {
    let part = situation.identity.flash.part.as_deref().and_then(part_named);
    let typical = part.map_or_else(Typical::of_any_part, |part| part.typical());
    let (blocks, sectors) = plan.erase_commands();
    let erase =
        f64::from(blocks) * typical.block_erase.as_secs_f64() + f64::from(sectors) * typical.sector_erase.as_secs_f64();

    let speed = f64::from(situation.identity.speed.max(1));
    let chip = f64::from(plan.chip_size);
    let written = f64::from(plan.count(Action::programs) * SECTOR);
    let changed = f64::from(plan.count(|action| action != Action::Keep) * SECTOR);
    let pages = written / f64::from(PAGE);
    let work = match situation.identity.wire {
        WireKind::Spi => {
            let second = speed / 8.0;
            // WREN, program and the first look are one message; the looks that follow fall into the part's own time.
            let program = pages * (typical.page_program.as_secs_f64() + 1.5 * SPI_MESSAGE) + written / second;
            // The survey reads at full clock; what is read back, and the final comparison, at half of it.
            program + chip / second + (changed + chip) * 2.0 / second
        }
        WireKind::Uart => {
            // What the plan was made from holds still; each sector is compared once, with its group or at the end.
            let compared = situation.abilities.chip_crc.map_or(0.0, |speed| chip / f64::from(speed.max(1)));
            written * 1.005 / (speed / 10.0) + compared
        }
    };
    Duration::from_secs_f64(erase + work)
}
