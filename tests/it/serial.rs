//! `uart:` links over a real pseudo terminal, with the simulated module at its other end.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bkbench::job::{JobSpec, Outcome};
use bkbench::link::sim::{Module, Pace, Setup};
use bkbench::link::{Wire, WireKind};
use bkbench::problem::Class;
use bkbench::session::{LinkState, What};
use bkbench::units::Span;
use serialport::{SerialPort, TTYPort};

use crate::support::bench::{Bench, connect_to};

/// A module behind a pseudo terminal, served on a thread of its own until it is unplugged.
struct Board {
    path: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Board {
    fn plug_in(module: &'static str) -> Self {
        let (master, slave) = TTYPort::pair().expect("a pseudo terminal");
        let path = slave.name().expect("the slave has a name");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(module, master, slave, &stopped));
        Self { path, stop, thread: Some(thread) }
    }

    /// A switch that pulls the cable; the thread sees it within a few milliseconds.
    fn cable(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the board ends in peace");
        }
    }
}

fn serve(module: &str, mut master: TTYPort, slave: TTYPort, stopped: &AtomicBool) {
    let setup = Setup::new(module).expect("a module").wire(WireKind::Uart).pace(Pace::Line);
    let module = Module::new(setup).expect("a module");
    let Wire::Serial(mut wire) = module.link().wire else { panic!("a serial wire") };
    // The first host opens the slave exclusively; ours only kept the terminal alive until then.
    drop(slave);
    master.set_timeout(Duration::from_millis(1)).expect("a timeout");
    // There is no CEN at a pseudo terminal: somebody resets the board now and then until its loader answers.
    let mut linked = false;
    let mut reset = Instant::now();
    let mut buffer = [0; 4096];
    while !stopped.load(Ordering::Relaxed) {
        // Both ends of a pseudo terminal share their settings: the host's rate is read back from them.
        if let Some(baud) = master.baud_rate().ok().filter(|baud| *baud != wire.baud()) {
            wire.set_baud(baud).expect("a rate");
        }
        match master.read(&mut buffer) {
            Ok(count) => wire.send(&buffer[..count]).expect("the module listens"),
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            // Nobody has the slave open yet.
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
        let count = wire.receive(&mut buffer, Duration::from_millis(1)).expect("the module answers");
        if count > 0 {
            linked |= buffer[..count].starts_with(&[0x04, 0x0E]);
            let _ = master.write_all(&buffer[..count]);
        }
        if !linked && reset.elapsed() > Duration::from_millis(300) {
            module.pulse_cen();
            reset = Instant::now();
        }
    }
}

fn connected(board: &Board) -> Bench {
    let mut bench = Bench::new();
    bench.run(connect_to(&format!("uart:{}?reset=hand", board.path))).unwrap_or_else(|problem| panic!("{problem}"));
    bench
}

#[test]
fn a_module_at_a_pseudo_terminal_is_identified_and_read() {
    let board = Board::plug_in("cb3s");
    let mut bench = connected(&board);
    let identity = bench.view().identity.expect("identified");
    assert_eq!(identity.chip.map(|chip| chip.name()), Some("BK7231N"), "{:?}", identity.evidence);
    let Ok(Outcome::Extract(extract)) = bench.run(JobSpec::Read(Span::new(0x1D_0000, 0x4000))) else {
        panic!("no extract")
    };
    assert!(extract.bytes.starts_with(b"TLV\0"));
}

#[test]
fn a_pulled_cable_ends_the_job_with_a_name_and_closes_the_link() {
    let board = Board::plug_in("cb3s");
    let mut bench = connected(&board);
    let cable = board.cable();
    bench.on_event(move |event, _| {
        if matches!(event.what, What::Progress { done, .. } if done > 0x4000) {
            cable.store(true, Ordering::Relaxed);
        }
    });
    let problem = bench.run(JobSpec::Read(Span::new(0, 0x4_0000))).expect_err("the cable was pulled");
    assert_eq!(problem.class, Class::NoDevice, "{problem}");
    assert!(matches!(bench.view().link, LinkState::Lost(_)), "{:?}", bench.view().link);
}
