//! When something next happens on the lines, for those who wait.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Board, Event, Flying};

impl Board {
    /// When the last of the next `count` bytes on the way arrives that arrive by `until`.
    pub(in crate::link::sim) fn last_within(&self, until: Duration, count: usize) -> Option<Duration> {
        let line = if self.uart.to_host.is_empty() { &self.uart.echoed } else { &self.uart.to_host };
        line.iter().take(count).map(|flying| flying.at).take_while(|at| *at <= until).last()
    }

    /// When something may next reach the host: the next byte on the way, or the next event of the chip.
    pub(in crate::link::sim) fn next_moment(&self) -> Option<Duration> {
        let uart = &self.uart;
        let bytes = [uart.to_host.front(), uart.echoed.front()].into_iter().flatten().map(|flying| flying.at);
        bytes.chain(self.next_event().map(|(at, _)| at)).min()
    }

    /// When bytes next change hands: at the host or at the chip, gathered for a while, or the chip does something by
    /// itself.
    pub(in crate::link::sim) fn next_hand_over(&self, gather: Duration) -> Option<Duration> {
        let last_of = |line: &VecDeque<Flying>| {
            let until = line.front()?.at + gather;
            line.iter().map(|flying| flying.at).take_while(|at| *at <= until).last()
        };
        let uart = &self.uart;
        let bytes = [&uart.to_host, &uart.echoed, &uart.to_chip].into_iter().filter_map(last_of);
        let own = self.next_event().filter(|(_, event)| *event != Event::Arrival).map(|(at, _)| at);
        bytes.chain(own).min()
    }

    /// When the line is next done with something: the last byte on its way, or what the chip works off now.
    pub(in crate::link::sim) fn next_on_line(&self) -> Option<Duration> {
        let uart = &self.uart;
        let lines = [&uart.to_chip, &uart.to_host, &uart.echoed];
        let bytes = lines.into_iter().filter_map(|line| line.back()).map(|flying| flying.at);
        let ring = (!uart.ring.is_empty() && uart.busy_until < Duration::MAX).then_some(uart.busy_until);
        bytes.chain(ring).max()
    }
}
