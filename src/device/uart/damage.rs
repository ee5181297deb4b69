//! One damaged byte in a request that changes the flash, at every place of the frame. Frames carry no check sum, so the
//! loader of the T takes what arrives for what was meant.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::device::testing::{Recorder, image};
use crate::device::{AttachOptions, DeviceError, EraseUnit, Unwatched, WriteFlash, attach};
use crate::link::sim::{Module, Setup};
use crate::link::{LinkError, SerialLink, Wire, WireKind};

/// What happens to a byte on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Dropped,
    Doubled,
    Flipped(u8),
}

impl Fault {
    fn all() -> impl Iterator<Item = Self> {
        [Self::Dropped, Self::Doubled].into_iter().chain((0..8).map(Self::Flipped))
    }

    fn damage(self, byte: u8) -> Vec<u8> {
        match self {
            Self::Dropped => vec![],
            Self::Doubled => vec![byte, byte],
            Self::Flipped(bit) => vec![byte ^ 1 << bit],
        }
    }
}

/// The byte of the next frame that is damaged, and how.
type Next = Rc<Cell<Option<(usize, Fault)>>>;

/// A wire that damages one byte of the next frame with this beginning.
struct Damaged {
    inner: Box<dyn SerialLink>,
    beginning: &'static [u8],
    next: Next,
}

impl SerialLink for Damaged {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        if !bytes.starts_with(self.beginning) {
            return self.inner.send(bytes);
        }
        let Some((place, fault)) = self.next.take() else { return self.inner.send(bytes) };
        let arrives: Vec<u8> = bytes
            .iter()
            .enumerate()
            .flat_map(|(at, byte)| if at == place { fault.damage(*byte) } else { vec![*byte] })
            .collect();
        self.inner.send(&arrives)
    }

    fn receive(&mut self, into: &mut [u8], wait: Duration) -> Result<usize, LinkError> {
        self.inner.receive(into, wait)
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), LinkError> {
        self.inner.set_baud(baud)
    }

    fn baud(&self) -> u32 {
        self.inner.baud()
    }

    fn discard_input(&mut self) -> Result<(), LinkError> {
        self.inner.discard_input()
    }
}

/// The frame of an erase, up to its size code.
const ERASE: &[u8] = &[0x01, 0xE0, 0xFC, 0xFF, 0xF4, 0x06, 0x00, 0x0F];
const ERASE_LEN: usize = 13;

fn t() -> Setup {
    Setup::new("wb2s").unwrap()
}

/// A module without a reset line, whose next frame with this beginning is damaged as the cell says.
fn damaged(setup: Setup, beginning: &'static [u8]) -> (Module, Box<dyn WriteFlash>, Next) {
    let module = Module::new(setup.image(image()).wire(WireKind::Uart)).unwrap();
    let mut link = module.link();
    let next = Rc::new(Cell::new(None));
    link.reset = None;
    link.wire = match link.wire {
        Wire::Serial(inner) => Wire::Serial(Box::new(Damaged { inner, beginning, next: next.clone() })),
        other => other,
    };
    module.pulse_cen();
    let options = AttachOptions { speed: Some(921_600), ..AttachOptions::default() };
    let flash = attach(link, &options, &mut Unwatched).unwrap();
    (module, flash, next)
}

/// The sectors that differ from the first image.
fn hit(module: &Module) -> Vec<usize> {
    let (is, was) = (module.flash(), image());
    let sectors = is.chunks(4096).zip(was.chunks(4096)).enumerate();
    sectors.filter(|(_, (is, was))| is != was).map(|(number, _)| number).collect()
}

#[test]
fn an_erase_with_a_damaged_byte_is_done_or_named_and_never_hits_the_boot_loader() {
    for (unit, at, len) in
        [(EraseUnit::Sector, 0x4_2000, 1), (EraseUnit::Sector, 0x4_3000, 1), (EraseUnit::Block, 0x5_0000, 16)]
    {
        for place in 0..ERASE_LEN {
            for fault in Fault::all() {
                let (module, mut flash, next) = damaged(t(), ERASE);
                next.set(Some((place, fault)));
                let result = flash.erase(unit, at);
                let what = format!("{unit:?} 0x{at:X}, byte {place} {fault:?}");
                assert_eq!(next.get(), None, "{what}: the request was sent");
                let hit = hit(&module);
                // The loader guards itself below 0x10000 only. One flipped bit makes 05 of the third address byte 01,
                // which takes the last sector of its container along; it is named by the address in the answer.
                let guarded = if (place, fault) == (11, Fault::Flipped(2)) { 0x0F } else { 0x10 };
                assert!(hit.iter().all(|sector| *sector > guarded), "{what}: {hit:X?}");
                // 0F with this bit flipped is 07: a sector write that never ends (§21). Only a reset helps.
                if (place, fault) == (7, Fault::Flipped(3)) {
                    assert!(matches!(result, Err(DeviceError::NoAnswer { .. })), "{what}: {result:?}");
                    continue;
                }
                match result {
                    Ok(()) => {
                        let first = at as usize / 4096;
                        assert!(hit.iter().all(|sector| (first..first + len).contains(sector)), "{what}: {hit:X?}");
                        assert!(module.bytes(at, len as u32 * 4096).iter().all(|byte| *byte == 0xFF), "{what}");
                    }
                    Err(DeviceError::Misdirected { at: meant, instead, .. }) => {
                        assert!(meant == at && instead != at, "{what}");
                    }
                    // The loader's answer was that the damaged request makes no sense to it.
                    Err(DeviceError::Status { .. }) => assert!(hit.is_empty(), "{what}: {hit:X?}"),
                    Err(other) => panic!("{what}: {other:?}"),
                }
                // Whatever happened, the loader is still talked to.
                flash.keep_alive().unwrap_or_else(|why| panic!("{what}: {why:?}"));
            }
        }
    }
}

/// The frame of a sector read. With one bit flipped its last byte is 0B, the sector erase of full loaders (§6.2).
const READ: &[u8] = &[0x01, 0xE0, 0xFC, 0xFF, 0xF4, 0x05, 0x00, 0x09];

#[test]
fn a_read_that_arrives_as_an_erase_does_no_harm_to_a_protected_flash() {
    let (module, mut flash, next) = damaged(Setup::new("cb2s").unwrap(), READ);
    next.set(Some((7, Fault::Flipped(1))));
    let (mut content, mut watch) = ([0; 0x4000], Recorder::default());
    flash.read(0x4_3000, &mut content, &mut watch).unwrap();
    assert_eq!((next.get(), hit(&module)), (None, vec![]));
    assert!(content == image()[0x4_3000..0x4_7000], "what was asked for comes in the end");
    assert!(watch.retries.iter().any(|what| what.contains("arrived as an erase")), "{:?}", watch.retries);
}

#[test]
fn a_read_that_arrives_as_an_erase_is_an_alarm() {
    let open = Setup::new("cb2s").unwrap().locked(false).status([0; 3]);
    let (module, mut flash, next) = damaged(open, READ);
    next.set(Some((7, Fault::Flipped(1))));
    let result = flash.read(0x4_3000, &mut [0; 4096], &mut Unwatched);
    assert_eq!(hit(&module), [0x43], "the sector is gone");
    assert!(
        matches!(result, Err(DeviceError::Misdirected { instead: 0x4_3000, .. })),
        "that the chip has erased what was to be read is named: {result:?}"
    );
}

#[test]
fn a_sector_erased_once_more_is_asked_for_by_its_plain_address() {
    let (module, mut flash, _) = damaged(t(), ERASE);
    for _ in 0..2 {
        flash.erase(EraseUnit::Sector, 0x4_2000).unwrap();
    }
    let asked: Vec<u32> =
        module.operations().iter().filter(|done| done.opcode == 0x20).filter_map(|done| done.address).collect();
    assert_eq!(asked, [0x4_2700, 0x4_2000]);
}
