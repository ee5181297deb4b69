//! The handle on a module: what tests look at while a link to it is in use.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::link::contract::{Clock, Link, LinkError, LinkInfo, ResetLine, Wire, WireKind};
use crate::link::pins::{Pins as HostPins, USUAL_CEN};

use super::backing::{Backing, Kept};
use super::board::{Board, Phase, Traffic};
use super::chance::Chance;
use super::clock::{Pace, SimClock};
use super::cut;
use super::factory;
use super::faults::Faults;
use super::flash::{Counters, Flash, Operation};
use super::hand::Cen;
use super::part::Part;
use super::probe::{Rail, SimProbe};
use super::serial::SimSerial;
use super::setup::Setup;
use super::spi::{Pins, SimSpi};
use super::uart::Uart;
use super::wires::Wires;

/// A simulated module. Clones are handles on the same module; links opened from it share its clock.
#[derive(Clone)]
pub struct Module {
    board: Rc<RefCell<Board>>,
    wire: WireKind,
    detail: String,
}

impl Module {
    /// Powers a module up and keeps the log of its flash operations. It has been running its firmware for a while when
    /// the host comes. A chip file keeps the status registers it was left with: the firmware protects the flash again
    /// only when it starts while somebody is connected.
    ///
    /// # Errors
    /// [`LinkError::File`] when the chip file cannot be used; [`LinkError::BadLink`] when it holds another part than
    /// asked for.
    pub fn new(setup: Setup) -> Result<Self, LinkError> {
        let module = Self::quiet(setup)?;
        module.board.borrow_mut().flash.keep_log();
        Ok(module)
    }

    /// [`Module::new`] without the log, for sessions that run for hours.
    pub fn quiet(setup: Setup) -> Result<Self, LinkError> {
        let (mut flash, content) = insert_flash(&setup)?;
        flash.faults = setup.faults.clone();
        flash.dead = setup.chip_file.as_deref().is_some_and(|file| cut::is_dead(file, setup.faults.power_cut));
        flash.rules = setup.knobs.rules;
        flash.asleep = setup.knobs.asleep;
        flash.continuous_read = setup.knobs.continuous_read;
        let clock = Rc::new(SimClock::new(setup.pace));
        let alone = if setup.is_bare() { ", taken off" } else { "" };
        let detail = format!(
            "embedded {} ({}) with {}{alone}, {content}, {} clock",
            setup.board.name,
            setup.board.silicon,
            flash.part.name,
            if setup.pace == Pace::Virtual { "virtual" } else { "real" },
        );
        let mut board = Board {
            name: setup.name.clone(),
            clock,
            program: setup.program(),
            flash,
            knobs: setup.knobs_for_pace(),
            phase: Phase::Reset,
            uart: Uart::new(setup.program(), setup.seed),
            wires: setup.wires.clone(),
            pins: Pins::default(),
            traffic: Traffic::default(),
            chance: Chance::new(setup.seed),
            cen: setup.cen,
            bare: setup.is_bare(),
            held: false,
            taken: None,
            rail: Rail::default(),
            drawn: 0,
            locked: setup.locked,
            unplug_at: None,
        };
        if board.bare {
            board.phase = Phase::SpiMode { since: Duration::ZERO };
        } else if !board.is_off(false) {
            board.phase = Phase::Running { firmware: board.has_firmware() };
        }
        board.feed_rail(&board.idle_pins(), Duration::ZERO);
        Ok(Self { board: Rc::new(RefCell::new(board)), wire: setup.wire, detail })
    }

    /// The board, for what serves it to other programs.
    pub(super) fn board(&self) -> Rc<RefCell<Board>> {
        Rc::clone(&self.board)
    }

    /// A link over the wire of the setup.
    pub fn link(&self) -> Link {
        self.link_over(self.wire)
    }

    /// A link over one of the wires. Both lead to the same chip.
    pub fn link_over(&self, wire: WireKind) -> Link {
        let (name, clock, cen) = {
            let board = self.board.borrow();
            (board.name.clone(), board.clock.clone(), board.cen)
        };
        Link {
            wire: match wire {
                WireKind::Spi if cen == Cen::Nobody => Wire::Nor(Box::new(SimSpi::new(self.board.clone()))),
                WireKind::Spi => Wire::Spi(Box::new(SimSpi::new(self.board.clone()))),
                WireKind::Uart => Wire::Serial(Box::new(SimSerial::new(self.board.clone()))),
            },
            reset: (cen == Cen::Line).then(|| Box::new(SimReset { board: self.board.clone() }) as Box<dyn ResetLine>),
            probe: (wire == WireKind::Spi).then(|| Box::new(SimProbe { board: self.board.clone() }) as _),
            clock,
            record: None,
            info: LinkInfo { name, wire, detail: self.detail.clone(), pins: host_pins(wire, cen), simulated: true },
        }
    }

    /// The board, with everything done that is due by now.
    fn present(&self) -> std::cell::RefMut<'_, Board> {
        let mut board = self.board.borrow_mut();
        let now = board.clock.now();
        board.run(now);
        board
    }

    /// The whole flash content.
    pub fn flash(&self) -> Vec<u8> {
        self.present().flash.cells.clone()
    }

    /// A few bytes of the flash; addresses wrap at the size of the part.
    pub fn bytes(&self, address: u32, len: u32) -> Vec<u8> {
        let board = self.present();
        let cell = |offset| (address.wrapping_add(offset) % board.flash.part.size) as usize;
        (0..len).map(|offset| board.flash.cells[cell(offset)]).collect()
    }

    /// Changes the flash behind everybody's back, as a test of comparisons needs it.
    pub fn poke(&self, address: u32, bytes: &[u8]) {
        let mut board = self.board.borrow_mut();
        let size = board.flash.part.size;
        for (offset, byte) in bytes.iter().enumerate() {
            board.flash.cells[(address.wrapping_add(offset as u32) % size) as usize] = *byte;
        }
    }

    /// The status registers in force, register 1 first, without WIP and WEL.
    pub fn status(&self) -> [u8; 3] {
        let live = self.present().flash.live;
        [live[0] & !3, live[1], live[2]]
    }

    /// The status registers as they survive without power.
    pub fn stored_status(&self) -> [u8; 3] {
        self.present().flash.stored
    }

    /// The protected bytes.
    pub fn protected(&self) -> std::ops::Range<u32> {
        self.present().flash.protected()
    }

    /// The flash part.
    pub fn part(&self) -> &'static Part {
        self.board.borrow().flash.part
    }

    /// Every flash operation since the start, or since [`Module::clear_operations`].
    pub fn operations(&self) -> Vec<Operation> {
        self.present().flash.log().to_vec()
    }

    /// Forgets the operations so far.
    pub fn clear_operations(&self) {
        self.board.borrow_mut().flash.clear_log();
    }

    /// How often the flash was changed.
    pub fn counters(&self) -> Counters {
        self.present().flash.counters.clone()
    }

    /// How much went over the wires.
    pub fn traffic(&self) -> Traffic {
        self.present().traffic.clone()
    }

    /// The time on the module's clock.
    pub fn now(&self) -> Duration {
        self.board.borrow().clock.now()
    }

    /// Lets time pass.
    pub fn sleep(&self, time: Duration) {
        let clock = self.board.borrow().clock.clone();
        clock.sleep(time);
        let now = clock.now();
        self.board.borrow_mut().run(now);
    }

    /// Switches faults while the module runs. Their counts go on from the start of the module.
    pub fn set_faults(&self, faults: Faults) {
        self.board.borrow_mut().flash.faults = faults;
    }

    /// Resolders.
    pub fn set_wires(&self, wires: Wires) {
        let mut board = self.board.borrow_mut();
        board.wires = wires;
        let held = board.held;
        board.hold(held);
    }

    /// The host's cable is pulled once so many more bytes went over it, in both directions; the chip goes on by itself,
    /// with half a request perhaps.
    pub fn unplug_after(&self, bytes: u64) {
        let mut board = self.board.borrow_mut();
        let so_far = board.traffic.uart_sent + board.traffic.uart_received;
        board.unplug_at = Some(so_far + bytes);
    }

    /// Puts the cable back. What was on its way is gone; the chip was not reset.
    pub fn plug_in(&self) {
        let mut board = self.board.borrow_mut();
        board.flash.gone = None;
        board.uart.received.clear();
        board.unplug_at = None;
    }

    /// Takes the supply away and gives it back; mends a link lost to `power-loss` or `unplug` and a supply
    /// cut by `power-cut`.
    pub fn power_cycle(&self) {
        let mut board = self.board.borrow_mut();
        board.flash.gone = None;
        board.flash.dead = false;
        board.flash.power_up();
        let now = board.clock.now();
        board.reset(now);
        let held = board.held;
        board.hold(held);
    }

    /// Pulls CEN low by hand for 100 ms, as a person with a wire does.
    pub fn pulse_cen(&self) {
        self.board.borrow_mut().hold(true);
        self.sleep(Duration::from_millis(100));
        self.board.borrow_mut().hold(false);
    }

    /// Whether the firmware runs.
    pub fn is_running(&self) -> bool {
        let board = self.present();
        matches!(board.phase, Phase::Running { .. })
    }
}

/// The flash with its content, and a word about where the content comes from.
fn insert_flash(setup: &Setup) -> Result<(Flash, String), LinkError> {
    let bad = |why: String| LinkError::BadLink { link: setup.name.clone(), why };
    let part = setup.usual_part().ok_or_else(|| bad("the part table holds no part for this module".to_owned()))?;
    let Some(path) = &setup.chip_file else {
        let (cells, content) = first_content(setup, part)?;
        let mut flash = Flash::new(part, cells, first_status(setup, part), setup.seed);
        flash.uid = setup.uid.unwrap_or(flash.uid);
        return Ok((flash, content));
    };
    let backing = Backing::open(path)?;
    let content = format!("kept in {}", path.display());
    let (mut flash, backing, known) = match backing {
        Some(backing) => {
            let Kept { cells, state } = backing.load()?;
            let known = state.as_ref().and_then(|state| state.unique_id);
            let kept = state.as_ref().and_then(|state| Part::find(&state.part)).unwrap_or(part);
            if setup.part.is_some_and(|asked| asked.id != kept.id) {
                return Err(bad(format!("{} holds a {}; leave flash= out", path.display(), kept.name)));
            }
            if cells.len() != kept.size as usize {
                let why = format!("is {} bytes long, a {} has {}", cells.len(), kept.name, kept.size);
                return Err(LinkError::File { name: path.display().to_string(), why });
            }
            let status = state.map_or_else(|| first_status(setup, kept), |state| state.status);
            let mut flash = Flash::new(kept, cells, status, setup.seed);
            flash.uid = setup.uid.or(known).unwrap_or(flash.uid);
            (flash, backing, known)
        }
        None => {
            let (cells, _) = first_content(setup, part)?;
            let mut flash = Flash::new(part, cells, first_status(setup, part), setup.seed);
            flash.uid = setup.uid.unwrap_or(flash.uid);
            let backing = Backing::create(path, &flash.cells, &flash.state())?;
            let known = Some(flash.uid);
            (flash, backing, known)
        }
    };
    flash.back_with(backing);
    if known != Some(flash.uid) {
        // What the chip holds may change from now on; the id stays what it is.
        flash.save_status();
    }
    Ok((flash, content))
}

/// The image asked for, which must fit the part, or as much of a factory-like one as the part holds.
fn first_content(setup: &Setup, part: &Part) -> Result<(Vec<u8>, String), LinkError> {
    let Some(image) = &setup.image else {
        let mut image = factory::image(setup.board, setup.seed);
        image.truncate(part.size as usize);
        return Ok((image, "factory-like image".to_owned()));
    };
    let name = setup.image_name.clone().unwrap_or_else(|| "given image".to_owned());
    if image.len() > part.size as usize {
        let why = format!("is {} bytes long, more than the {} bytes of a {}", image.len(), part.size, part.name);
        return Err(LinkError::File { name, why });
    }
    Ok((image.clone(), name))
}

fn first_status(setup: &Setup, part: &Part) -> [u8; 3] {
    setup.status.unwrap_or_else(|| {
        let [first, second, third, _] = if setup.locked { part.factory_status.to_le_bytes() } else { [0; 4] };
        [first, second, third]
    })
}

/// The pins that a simulated harness is drawn with: those of a Raspberry Pi.
fn host_pins(wire: WireKind, cen: Cen) -> HostPins {
    let pins = HostPins::usual(wire, USUAL_CEN);
    match cen {
        Cen::Line => pins,
        Cen::Hand => pins.by_hand(),
        Cen::Nobody => pins.without_cen(),
    }
}

/// The host's end of CEN.
struct SimReset {
    board: Rc<RefCell<Board>>,
}

impl ResetLine for SimReset {
    fn hold(&mut self, reset: bool) -> Result<(), LinkError> {
        let mut board = self.board.borrow_mut();
        board.check()?;
        board.hold(reset);
        Ok(())
    }

    fn describe(&self) -> String {
        "simulated line → CEN".to_owned()
    }
}

impl Drop for SimReset {
    fn drop(&mut self) {
        if let Ok(mut board) = self.board.try_borrow_mut() {
            board.hold(false);
        }
    }
}
