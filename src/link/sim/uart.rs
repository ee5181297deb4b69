//! The UART lines of a module at their rates, and what the chip does with them, in the order of time.

mod moments;

use std::collections::VecDeque;
use std::time::Duration;

use crate::link::contract::Clock;

use super::board::{Board, Phase};
use super::loader::{Action, Loader, Program, Then};

/// The rate after a reset, and of the firmware's console: 26 MHz by 226.
const RESET_RATE: u32 = 115_044;
/// Bytes the loader of the T keeps while it is busy.
const RING: usize = 512;
/// How far two rates may differ, in percent (uart-protocol.md §18.2).
const TOLERANCE: u64 = 3;
/// How late a late answer may begin, and how long a line may stall, in ms.
const LATEST_MS: u32 = 500;
const LONGEST_STALL_MS: u32 = 2000;
/// How often the firmware says something.
const CHATTER: Duration = Duration::from_secs(2);
/// What it says.
const CHATTER_TEXT: &[u8] = b"[TUYA N][mqc_app.c] heap free 86016, network idle\r\n";
/// What it says to a second controller.
const MCU_HEARTBEAT: &[u8] = &[0x55, 0xAA, 0x00, 0x00, 0x00, 0x00, 0xFF];
/// What its console understands (uart-protocol.md §3.2).
const REBOOT_TEXT: &[u8] = b"reboot\r\n";
/// What its debug service understands, and how long that waits before the reset.
const REBOOT_FRAME: ([u8; 9], Duration) =
    ([0x01, 0xE0, 0xFC, 0x05, 0xFE, 0x95, 0x27, 0x95, 0x27], Duration::from_millis(100));

/// A byte on a line.
#[derive(Clone, Copy, Debug)]
struct Flying {
    /// When its stop bit has passed.
    at: Duration,
    byte: u8,
    rate: u32,
}

/// Both lines and what the chip has made of them.
#[derive(Debug)]
pub(super) struct Uart {
    /// A host has opened the port; without one nothing is kept of what the firmware says.
    pub(super) opened: bool,
    pub(super) host_rate: u32,
    pub(super) host_line_free: Duration,
    chip_rate: u32,
    /// The rate before the last change on request, and when that was; a reset is none.
    switched: Option<(u32, Duration)>,
    /// A host that was kept from running switches its own rate this much later than it meant to.
    pub(super) late_switch: Duration,
    chip_line_free: Duration,
    to_chip: VecDeque<Flying>,
    to_host: VecDeque<Flying>,
    echoed: VecDeque<Flying>,
    /// What the host's driver holds.
    pub(super) received: VecDeque<u8>,
    ring: VecDeque<u8>,
    loader: Loader,
    /// While the download program computes or answers.
    busy_until: Duration,
    last_traffic: Duration,
    answers: u64,
    long_answers: u64,
    /// The last bytes the firmware's console has seen.
    heard: VecDeque<u8>,
    reset_at: Option<Duration>,
    chatter_at: Duration,
}

impl Uart {
    pub(super) fn new(program: Program, seed: u64) -> Self {
        Self {
            opened: false,
            host_rate: 115_200,
            host_line_free: Duration::ZERO,
            chip_rate: RESET_RATE,
            switched: None,
            late_switch: Duration::ZERO,
            chip_line_free: Duration::ZERO,
            to_chip: VecDeque::new(),
            to_host: VecDeque::new(),
            echoed: VecDeque::new(),
            received: VecDeque::new(),
            ring: VecDeque::new(),
            loader: Loader::of(program, seed),
            busy_until: Duration::ZERO,
            last_traffic: Duration::ZERO,
            answers: 0,
            long_answers: 0,
            heard: VecDeque::new(),
            reset_at: None,
            chatter_at: CHATTER,
        }
    }

    /// The chip is reset: what it has not sent yet is never sent.
    pub(super) fn reset(&mut self, now: Duration) {
        self.to_host.retain(|flying| flying.at <= now);
        self.chip_line_free = now;
        self.chip_rate = RESET_RATE;
        self.switched = None;
        self.ring.clear();
        self.loader.reset();
        self.busy_until = now;
        self.heard.clear();
        self.reset_at = None;
    }

    /// The chip's rate in baud, as its divider makes it.
    pub(super) fn chip_rate(&self) -> u32 {
        self.chip_rate
    }

    /// Whether the host makes sense of a byte: it has its rate, or had the one before until a moment ago.
    fn host_understands(&self, flying: &Flying) -> bool {
        let fits = |rate| !rates_differ(rate, self.host_rate);
        let late = self.switched.filter(|(_, at)| flying.at <= *at + self.late_switch);
        fits(flying.rate) || late.is_some_and(|(rate, _)| fits(rate))
    }

    /// The firmware starts.
    pub(super) fn started(&mut self, now: Duration) {
        self.chatter_at = now + Duration::from_millis(300);
    }
}

/// The time that 10 bits take.
pub(super) fn byte_time(rate: u32) -> Duration {
    Duration::from_nanos(10_000_000_000 / u64::from(rate.max(1)))
}

pub(super) fn rates_differ(one: u32, other: u32) -> bool {
    u64::from(one.abs_diff(other)) * 100 > u64::from(other) * TOLERANCE
}

/// What happens next on a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Arrival,
    Resume,
    GiveUp,
    Reset,
    Chatter,
    Leave,
}

impl Board {
    /// Lets everything happen that is due by `until`, in the order of time.
    pub(super) fn run(&mut self, until: Duration) {
        while let Some((at, event)) = self.next_event().filter(|(at, _)| *at <= until) {
            match event {
                Event::Arrival => self.arrival(),
                Event::Resume => self.resume(at),
                Event::GiveUp => self.give_up(at),
                Event::Reset => self.restart(at),
                Event::Chatter => self.chatter(at),
                Event::Leave => self.leave(at),
            }
        }
        self.deliver(until);
    }

    fn next_event(&self) -> Option<(Duration, Event)> {
        let uart = &self.uart;
        let listening = matches!(self.phase, Phase::Starting { .. } | Phase::Download { .. });
        let arrival = uart.to_chip.front().map(|flying| (flying.at, Event::Arrival));
        let resume =
            (!uart.ring.is_empty() && uart.busy_until < Duration::MAX).then_some((uart.busy_until, Event::Resume));
        let give_up = match &uart.loader {
            Loader::Rom(rom) if listening => rom.gives_up_at(&self.knobs).map(|at| (at, Event::GiveUp)),
            _ => None,
        };
        let reset = uart.reset_at.map(|at| (at, Event::Reset));
        let chatter = (uart.opened && self.phase == Phase::Running { firmware: true })
            .then_some((uart.chatter_at, Event::Chatter));
        let leave = self.leaves_at().map(|at| (at, Event::Leave));
        [arrival, resume, give_up, reset, chatter, leave].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// When the chip leaves its present state by itself.
    fn leaves_at(&self) -> Option<Duration> {
        let uart = &self.uart;
        let (from, stay) = match self.phase {
            Phase::Starting { since, .. } => {
                (since + self.listening_from(), self.knobs.entry_window.max(self.knobs.boot_window))
            }
            // The loader counts polls without a byte; while it works it does not poll.
            Phase::Download { linked: true, .. } if self.program.is_basic() => {
                (uart.last_traffic.max(uart.busy_until), self.knobs.idle_reset)
            }
            Phase::Download { since, linked: false } => (since.max(uart.busy_until), self.knobs.noise_stay),
            _ => return None,
        };
        // Just after, so that the last moment still belongs to the state.
        from.checked_add(stay + Duration::from_nanos(1))
    }

    fn leave(&mut self, now: Duration) {
        match self.phase {
            Phase::Download { linked: true, .. } => self.restart(now),
            _ => self.boot(now),
        }
    }

    /// The watchdog or a command resets the chip.
    fn restart(&mut self, now: Duration) {
        self.reset(now);
        if !self.is_off(self.held) {
            self.phase = Phase::Starting { since: now, seen: 0 };
        }
    }

    /// A byte reaches the chip's RX.
    fn arrival(&mut self) {
        let Some(flying) = self.uart.to_chip.pop_front() else { return };
        let now = flying.at;
        let mut bytes = vec![flying.byte];
        if rates_differ(flying.rate, self.real_chip_rate()) {
            bytes = (0..self.chance.below(3)).map(|_| self.chance.byte()).collect();
        }
        self.disturb(&mut bytes);
        for byte in bytes {
            self.heard(byte, now);
        }
    }

    /// The chip's rate with the drift of its clock.
    fn real_chip_rate(&self) -> u32 {
        let drift = u64::from(self.faults().drift.unwrap_or(0));
        (u64::from(self.uart.chip_rate) * (100 + drift) / 100) as u32
    }

    fn heard(&mut self, byte: u8, now: Duration) {
        match self.phase {
            Phase::Starting { since, .. } => {
                let from = since + self.listening_from();
                let open = now >= from && now <= from + self.knobs.boot_window;
                if !open || !self.has_download_code() {
                    return;
                }
                // One byte, even noise, keeps the boot loader of the T from starting the firmware.
                if self.program.is_basic() {
                    self.phase = Phase::Download { since: now, linked: false };
                }
                self.listen(byte, now);
            }
            Phase::Download { .. } => self.listen(byte, now),
            Phase::Running { firmware: true } => self.console(byte, now),
            _ => (),
        }
    }

    fn listen(&mut self, byte: u8, now: Duration) {
        self.uart.last_traffic = now;
        let busy = now < self.uart.busy_until || !self.uart.ring.is_empty();
        match (busy, self.program.is_basic()) {
            (false, _) => self.feed(byte, now),
            // The ROM empties its buffer after each answer: what came before is gone.
            (true, false) => (),
            (true, true) if self.uart.ring.len() < RING => self.uart.ring.push_back(byte),
            (true, true) => (),
        }
    }

    /// The loader of the T has finished something and takes up what has come in meanwhile.
    fn resume(&mut self, now: Duration) {
        while now >= self.uart.busy_until {
            let Some(byte) = self.uart.ring.pop_front() else { return };
            self.feed(byte, now);
        }
    }

    fn feed(&mut self, byte: u8, now: Duration) {
        let Self { uart, flash, knobs, .. } = self;
        let action = uart.loader.byte(byte, now, flash, knobs);
        self.notice_cut(now);
        if let Some(action) = action.filter(|_| !self.flash.dead) {
            self.perform(action);
        }
    }

    fn give_up(&mut self, now: Duration) {
        if let Loader::Rom(rom) = &mut self.uart.loader
            && let Some(action) = rom.give_up(now)
        {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        if let Some(rate) = action.baud {
            self.uart.switched = Some((self.uart.chip_rate, action.ready));
            self.uart.chip_rate = rate;
        }
        let end = self.answer(action.answer, action.ready);
        self.uart.busy_until = end;
        match (action.then, self.phase) {
            (Then::Listen, _) => (),
            (Then::Linked, Phase::Download { since, .. } | Phase::Starting { since, .. }) => {
                self.phase = Phase::Download { since, linked: true };
            }
            (Then::Linked, _) => (),
            (Then::Reset, _) => self.uart.reset_at = Some(end),
            (Then::Wedged, _) => {
                self.uart.busy_until = Duration::MAX;
                self.uart.ring.clear();
            }
        }
    }

    /// Puts an answer on the line; returns the time of its last stop bit.
    fn answer(&mut self, mut answer: Vec<u8>, ready: Duration) -> Duration {
        if answer.is_empty() {
            return ready;
        }
        self.uart.answers += 1;
        if answer.get(2) == Some(&0xFF) {
            self.uart.long_answers += 1;
            if self.faults().bad_status == Some(self.uart.long_answers)
                && let Some(status) = answer.get_mut(10)
            {
                *status = 0x03;
            }
        }
        if self.faults().no_answer == Some(self.uart.answers) {
            return ready;
        }
        let (late, stall) = (self.faults().late.unwrap_or(0), self.faults().stall.unwrap_or(0));
        let mut ready = ready + self.faults().delay.unwrap_or_default();
        if self.chance.one_in(late) {
            ready += Duration::from_millis(self.chance.below(LATEST_MS).into());
        }
        if self.chance.one_in(stall) {
            let (begin, rest) = answer.split_at(self.chance.below(answer.len() as u32) as usize);
            ready = self.say(begin, ready) + Duration::from_millis(self.chance.below(LONGEST_STALL_MS).into());
            return self.say(rest, ready);
        }
        self.say(&answer, ready)
    }

    /// Puts bytes on the chip's TX, after those already there.
    fn say(&mut self, bytes: &[u8], ready: Duration) -> Duration {
        let rate = self.real_chip_rate();
        let mut at = ready.max(self.uart.chip_line_free);
        for byte in bytes {
            at += byte_time(rate);
            self.uart.to_host.push_back(Flying { at, byte: *byte, rate });
        }
        self.uart.chip_line_free = at;
        at
    }

    /// The firmware's console hears a byte.
    fn console(&mut self, byte: u8, now: Duration) {
        let heard = &mut self.uart.heard;
        heard.push_back(byte);
        while heard.len() > 9 {
            heard.pop_front();
        }
        let ends_with = |wanted: &[u8]| {
            heard.len() >= wanted.len() && heard.iter().rev().zip(wanted.iter().rev()).all(|(one, other)| one == other)
        };
        let wait = if ends_with(REBOOT_TEXT) {
            Duration::ZERO
        } else if ends_with(&REBOOT_FRAME.0) {
            REBOOT_FRAME.1
        } else {
            return;
        };
        self.uart.reset_at = Some(now + wait);
    }

    fn chatter(&mut self, now: Duration) {
        let faults = self.faults();
        self.uart.chip_rate = faults.console.or(faults.tuya_mcu.then_some(9600)).unwrap_or(RESET_RATE);
        let text = if self.faults().tuya_mcu { MCU_HEARTBEAT } else { CHATTER_TEXT };
        self.say(text, now);
        self.uart.chatter_at = now + CHATTER;
    }

    /// Moves what has arrived at the host by `until` into its driver.
    fn deliver(&mut self, until: Duration) {
        loop {
            let uart = &mut self.uart;
            let own =
                uart.echoed.front().is_some_and(|echo| uart.to_host.front().is_none_or(|other| echo.at < other.at));
            let line = if own { &mut uart.echoed } else { &mut uart.to_host };
            if line.front().is_none_or(|flying| flying.at > until) {
                return;
            }
            let Some(flying) = line.pop_front() else { return };
            let understood = uart.host_understands(&flying);
            self.traffic.uart_received += 1;
            self.traffic.uart_time += byte_time(flying.rate);
            self.pull_when_due();
            if self.flash.gone.is_some() || !self.uart.opened || !self.wires.module_heard() {
                continue;
            }
            let mut bytes = vec![flying.byte];
            if !understood {
                bytes = (0..self.chance.below(3)).map(|_| self.chance.byte()).collect();
            }
            self.disturb(&mut bytes);
            self.uart.received.extend(bytes);
        }
    }

    fn pull_when_due(&mut self) {
        let moved = self.traffic.uart_sent + self.traffic.uart_received;
        if self.unplug_at.is_some_and(|at| moved >= at) {
            self.unplug_at = None;
            self.flash.gone = Some("the cable was pulled".to_owned());
        }
    }

    /// Noise on a line: a byte is dropped, flipped or doubled.
    fn disturb(&mut self, bytes: &mut Vec<u8>) {
        let rate = if self.wires.ground_open() { 3 } else { self.faults().noise.unwrap_or(0) };
        if rate == 0 || !self.chance.one_in(rate) {
            return;
        }
        match self.chance.below(3) {
            0 => bytes.clear(),
            1 => bytes.iter_mut().for_each(|byte| *byte ^= 1 << self.chance.below(8)),
            _ => bytes.extend_from_within(..),
        }
    }

    /// The host sends.
    pub(super) fn host_sends(&mut self, bytes: &[u8]) {
        let rate = self.uart.host_rate;
        let mut at = self.uart.host_line_free.max(self.clock.now());
        let heard = self.wires.host_heard();
        for byte in bytes {
            self.traffic.uart_sent += 1;
            self.pull_when_due();
            if self.flash.gone.is_some() {
                break;
            }
            at += byte_time(rate);
            let flying = Flying { at, byte: *byte, rate };
            if heard {
                self.uart.to_chip.push_back(flying);
            }
            if self.faults().echo {
                self.uart.echoed.push_back(flying);
            }
        }
        self.uart.host_line_free = at;
        self.traffic.uart_time += byte_time(rate) * bytes.len() as u32;
    }
}
