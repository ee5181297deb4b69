//! How far a phase is: bar, percentage, rate, time left.

use std::time::Duration;

use super::sheet::Sheet;
use crate::session::{JobView, PhaseView};
use crate::tui::theme::Role;
use crate::units::size_text;
pub use crate::units::time_text;

/// Time left is shown from here on; before, the rate is not worth a promise.
const SETTLED: Duration = Duration::from_secs(5);

/// A rate for people.
fn rate_text(rate: f64) -> String {
    format!("{}/s", size_text(rate as u64))
}

/// Percentage, rate, time left and retries of a phase, as far as they are known.
pub fn numbers(job: &JobView, phase: &PhaseView) -> String {
    let mut parts = Vec::new();
    if phase.total > 0 {
        parts.push(format!("{:>3.0} %", phase.share() * 100.0));
    }
    if let Some(rate) = phase.rate(job.now) {
        parts.push(rate_text(rate));
    }
    if job.now.saturating_sub(phase.started) > SETTLED
        && let Some(left) = phase.left(job.now)
    {
        parts.push(format!("{} left", time_text(left)));
    }
    if job.retries > 0 {
        parts.push(format!("{} retries", job.retries));
    }
    if job.supply.is_some_and(|record| record.dipped()) {
        parts.push("supply low".to_owned());
    }
    parts.join("  ")
}

/// Writes one row: the phase's word, a bar, the numbers. `quiet` is how long nothing was heard of the job.
pub fn row(sheet: &mut Sheet<'_>, job: &JobView, phase: &PhaseView, quiet: Option<Duration>) {
    const WORD: u16 = 12;
    let numbers = match quiet {
        Some(time) => format!("waiting for the chip ({} s)", time.as_secs()),
        None => numbers(job, phase),
    };
    sheet.put(Role::Strong, phase.phase.word()).to(WORD);
    let room = sheet.width().saturating_sub(WORD + 2 + numbers.chars().count() as u16);
    if phase.total > 0 && room >= 8 {
        let done = (phase.share() * f64::from(room)) as usize;
        sheet.put(Role::Bar, "█".repeat(done)).put(Role::BarRest, "░".repeat(usize::from(room) - done));
        sheet.put(Role::Text, "  ");
    }
    sheet.line(Role::Text, numbers);
}
