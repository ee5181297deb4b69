//! bkbench: a workbench for the Beken BK7231T/N modules inside Tuya plugs, bulbs and switches.
//!
//! This page is the architecture. It is kept true: the layer table below is a test (`tests/it/layers.rs`).
//!
//! # On one page
//!
//! ```text
//!  keys ─► tui ─┐                                   ┌─► link::serial   (serialport)
//!               │  Command     ┌───────────────┐    ├─► link::rpi      (rppal SPI + GPIO)
//!               ├────────────► │    session    │    ├─► link::linux    (spidev + GPIO character device)
//!  args ─► cli ─┘ ◄────────────│  ONE thread,  │    └─► link::sim      (a module in memory)
//!                   Event      │ owns the link │
//!                              └──────┬────────┘
//!                                     │ runs          (also ch341 over USB, serprog over TCP and serial)
//!                               job ► device ► codec (pure bytes) ► link
//! ```
//!
//! 1. **Pure below, I/O in the middle, people on top.** Codecs, dump analysis and plans are functions over bytes: no
//!    I/O, no clock, no panic. Transports move bytes and know no protocol. Devices join the two. Jobs are what a user
//!    asks for.
//! 2. **One actor thread owns the link** ([`session::Actor`]). Commands go in through one channel, events come out
//!    through one sink. It runs one job at a time and never asks a question back: everything a job needs is decided
//!    before it starts, and a second job is refused by name.
//! 3. **The screen and the command line are equal clients.** Same jobs, same events, same reducer
//!    ([`session::SessionView`]). Only they touch files, through [`store`].
//! 4. **The screen never waits.** `update(message) -> effects` changes state, `view` draws; files are loaded and
//!    searched on worker threads.
//! 5. **The simulator is just another transport** ([`link::sim`]). It answers byte for byte on both wires, on its own
//!    clock, and shares no code with the codecs: a shared mistake would cancel out. What was seen only there is no
//!    statement about silicon ([`chip::Part::tested`]).
//! 6. **Plan, show, run, prove.** Writing starts from [`job::plan()`], a pure function. The chip is identified again
//!    and the plan made again before the first erase; a plan with another hash stops ([`job::write()`]). Every written
//!    sector is read back at once, and at the end every sector is compared that no group has answered for, kept ones all;
//!    where a command was not answered at once, and over SPI, which answers none, that is the whole chip.
//! 7. **Reading and writing are two traits** ([`device::ReadFlash`], [`device::WriteFlash`]). A read job holds a device
//!    that cannot express a write.
//! 8. **Cancel is a request**, honoured at checkpoints where it is safe for the chip: between frames of a read,
//!    between sectors of a write; never between an erase command and its end. The job then names what every sector
//!    holds.
//! 9. **Every failure says what, why and what to try.** Typed errors inside, one [`problem::Problem`] outside, with a
//!    code that never changes its meaning.
//!
//! # Layers
//!
//! | # | module | holds | may import |
//! |---|---|---|---|
//! | 0 | [`units`], [`problem`], [`disk`] | spans, sizes, verdicts; the shape of a failure; the one way into a file | – |
//! | 1 | [`codec`] | bytes ↔ messages: Beken download frames, NOR commands and status registers | 0 |
//! | 1 | [`image`] | what bytes mean: code blocks, keys, headers, votes, regions, search | 0 |
//! | 1 | [`link`] | byte traits, clock, drivers, the computer they sit in, the simulator | 0 |
//! | 2 | [`chip`] | static facts: flash parts, modules, header pins | 0, 1 |
//! | 2 | [`store`] | settings, backups and journals on disk | 0, `image` |
//! | 3 | [`device`] | one flash, over UART or SPI | 0–2, but not `store` |
//! | 4 | [`job`] | one file per job, the plan, the rules of a write | 0–3, but not `store` |
//! | 5 | [`session`] | actor, handle, events, reducer | 0–4, but not `store` |
//! | 6 | [`archive`] | backups and unfinished writes of chips, from jobs to the store and back | 0–5 |
//! | 6 | [`outlive`] | jobs without a terminal: signals, watchers, reports | 0–5 |
//! | 7 | [`cli`], [`tui`] | the two front ends | 0–6 |
//!
//! A module imports only from rows above it (and from itself). Families follow one pattern: a contract file, one
//! implementation per file, and a table in `mod.rs` (links, tabs, themes).
//!
//! # Choices worth knowing
//!
//! - **Threads and `std::sync::mpsc`, no async runtime**: every driver blocks, and there is one device.
//! - **A cancel travels in the same inbox as the jobs**, with the job's number, so a late one hits nothing.
//! - **A line is named, never counted** ([`link::gpio`]): `cen=GPIO22`, `cen=pin15` or the board's own name. Dropping a
//!   line lets the chip go, and everything that ends a job drops it: cancel, signal, panic, the end of the program.
//! - **Which chip answers is measured** ([`device::Tie`]): its id has to vanish with CEN low. Where that cannot be measured
//!   the identity is at most *likely*, and where CEN has no effect nothing is written.
//! - **The second look is a device's own matter** ([`device::ReadFlash::compare`]): over SPI a read at half the clock,
//!   over UART the chip's own CRC. Backup, survey, read-back and final proof all use it, so there is one way to be sure.
//!   Where the chip's CRC comes cheaper than its bytes it is asked first ([`device::ReadFlash::fetch`]), against backups of
//!   this chip too ([`job::Backups`]).
//! - **Nothing is asked twice** where the answer cannot have changed ([`device::ReadFlash::still`]): over UART the boot loader
//!   alone runs on the chip, and what its CRC has proven holds until something is changed or it was out of touch. An image
//!   that is there already is told by comparing it alone ([`job::already_there`]).
//! - **A request can go astray**: frames of the download protocol carry no check sum. What a damaged one hit is found by the
//!   address in its answer and by the final CRC, and put back from the survey; what is out of reach is an alarm. The plan says so
//!   beforehand, its hash holds it, and the report lists what was hit. A process that ends in between leaves a record of the
//!   address, and of every sector's CRC before the write, by which the next start finds also what nobody noticed.
//! - **A basic boot loader is never left alone**: it resets the chip when it hears nothing for some tenth of a second. What takes
//!   this computer a while runs on a thread of its own, and the loader hears link checks meanwhile (`job::patience`); a
//!   request is given up for lost as soon as the loader can no more be at work.
//! - **Work is done in groups of at most 64 KiB**: erase, program, read back, then the next group. A write that is cut
//!   off leaves at most one group in between, and a basic boot loader, which locks the flash after each CRC, gets the
//!   erase that unlocks it at each group's start.
//! - **A job belongs to its process, not to its terminal** ([`outlive`]): watchers are served on the session's thread,
//!   reports written on one of their own, and a hang-up stops only what does not change the chip. A bus is locked as long
//!   as its link is open: on the device itself for all users of the computer, and by a record that tells those of this
//!   user what runs ([`link::Lock`]).
//! - **Files are opened in one place** ([`disk`]): only regular files, no link under a name that the program chose, nothing
//!   that waits. What is made appears under its name whole or not at all, and never in place of anything.
//! - **The SPI clock tunes itself** ([`device::AttachOptions`]): a climb against two equal reads at the entry clock, a margin,
//!   then a long look. Reads alone decide it, so that a backup sends no write enable; the write direction is proven where
//!   a write begins ([`device::WriteFlash::prove_write_path`]). What worked is remembered through [`job::ClockMemory`].
//! - **Time is the link's**: a job's events carry the time of the link's own clock, so that rates over the simulated
//!   module are those of the module.
//! - **A write records itself** ([`job::Journal`]): before a group is touched and after it was proven, a line reaches the
//!   disk. The next start finds the unfinished write of the connected chip ([`job::Unfinished`]); sectors that were
//!   begun and not proven are *distrusted*, and the plan erases them again whatever they read.
//! - **A lost cable takes the same road as a killed process** (`session::lasting`, [`job::Interruption`]): the device and
//!   its reset line are let go, the same port is waited for, the chip is identified anew, and the job begins again on what it
//!   had proven, each piece confirmed by the chip. Repeating single requests over the new link would be faster and is not
//!   done: a boot loader that hears nothing starts the firmware after a second, and that may write. A write goes on only
//!   where the agreed plan, made again, has the same hash ([`job::Halfway`]); its torn group is erased whatever it reads.
//! - **The computer is a folder** ([`link::host`]): what `links` and `doctor` say is worked out from the files of `/sys`,
//!   `/proc` and `/etc` below a root, so that computers that are not at hand are tested. Nothing there opens a port.
//! - **The supply is watched where jobs report** ([`link::supply`]): the session's runner samples it, so no job knows.
//! - **A front end hands files in as traits** ([`job::Handed`], [`job::Shelf`]), because jobs open none.
//! - **Faults of the line are met with patience, then with a lower speed** ([`device::ReadFlash::slow_down`]); a sector that
//!   reads back wrong is erased and written again.
//! - **A chip is known by its content** ([`job::ownership`]). A MAC is shared by whole batches and lost with the RF block; it
//!   only names files. A backup is a chip's when every sector that differs is explained: by a recorded write, or because
//!   firmware writes there. An unfinished write is found the same way, whatever the chip is called by now.
//! - **One road into a write** ([`job::prepare`]): screen and commands hand in an [`job::Intent`] and get a plan to agree to.
//!   Image and configuration are one plan, one journal, one proof.

pub mod disk;
pub mod problem;
pub mod units;

pub mod codec;
pub mod image;
pub mod link;

pub mod chip;
pub mod store;

pub mod device;

pub mod job;

pub mod session;

pub mod archive;
pub mod outlive;

pub mod cli;
pub mod tui;
