//! What every tab may look at. Tabs never see each other; they read this, and the app alone changes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::theme::Theme;
use crate::chip::{self, Module};
use crate::codec::nor::StatusBytes;
use crate::image::firmware::{self, Firmware};
use crate::image::kind::Kind;
use crate::image::structures::Structures;
use crate::image::{Region, entropy, region};
use crate::job::{ConnectSpec, ProvenBackup, ShelfHandle, link_over};
use crate::link::{Endpoint, LinkSpec, Pins, WireKind};
use crate::session::SessionView;
use crate::store::Settings;
use crate::units::Verdict;

/// The state that tabs share.
pub struct Shared {
    /// Everything the session has told.
    pub session: SessionView,
    /// Settings in force.
    pub settings: Settings,
    /// Colours.
    pub theme: Theme,
    /// What can be connected to; `None` until it was looked for.
    pub links: Option<Vec<Endpoint>>,
    /// The file in the Dump tab.
    pub dump: Option<Arc<OpenFile>>,
    /// The image in the Flash tab.
    pub image: Option<Arc<OpenFile>>,
    /// What is known of a backup of the connected chip.
    pub backup: BackupState,
    /// The phrase that was typed to go without a backup.
    pub bypass: Option<String>,
    /// The Flash tab goes on with the write that was cut off, and not with an image.
    pub resuming: bool,
    /// What was kept of chips, for the jobs that prepare a write.
    pub shelf: ShelfHandle,
    /// The user's own structures for the hex inspector.
    pub structures: Structures,
    /// How far the person has come.
    pub journey: Journey,
    /// With which chip.
    pub journey_of: Option<String>,
    /// The module on the bench.
    pub module: &'static str,
    /// The wire it is reached over.
    pub wire: WireKind,
    /// Where the wires end on this side, over the link in use.
    pub pins: Pins,
    /// Where the file picker starts.
    pub folder: PathBuf,
    /// Whether the terminal shows nothing but ASCII.
    pub ascii: bool,
    /// Speed of the next connect in Hz or baud; `None` is the usual one.
    pub speed: Option<u32>,
    /// The link the program was started with.
    pub first_link: Option<String>,
    /// The link that was connected to or measured over last.
    pub used_link: Option<String>,
    /// How long nothing was heard of the running job.
    pub quiet: Option<Duration>,
    /// The program is waiting for the running job to end, and then leaves.
    pub leaving: bool,
}

pub use crate::archive::usual;

impl Shared {
    /// The link that was used last, else the one the program was started with, with what is usual where it says nothing.
    pub fn link(&self) -> Option<LinkSpec> {
        let text = self.used_link.as_deref().or(self.first_link.as_deref())?;
        ConnectSpec::new(text, None, &usual(&self.settings)).ok().map(|wanted| wanted.link)
    }

    /// Looks the pins up again, after link or wire changed.
    pub fn find_pins(&mut self) {
        let link = self.link().and_then(|link| link_over(link, self.wire).ok());
        self.pins = link.map_or_else(|| Pins::usual(self.wire, self.settings.cen), |link| Pins::here(&link));
    }

    /// The module on the bench, from the table.
    pub fn module(&self) -> Option<&'static Module> {
        chip::module(self.module)
    }
}

/// A file that was read, with what its content tells.
#[derive(Clone, Debug)]
pub struct OpenFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// Its content.
    pub bytes: Arc<[u8]>,
    /// What is where in it.
    pub regions: Vec<Region>,
    /// Entropy of every sector, in bits per byte.
    pub entropy: Arc<[f32]>,
    /// What it is.
    pub firmware: Firmware,
    /// What it is, in words.
    pub about: String,
    /// How far it is proven to be what is on a chip; only a backup is.
    pub proven: Option<Verdict>,
}

impl OpenFile {
    /// Looks at the content of a file. May take a while: code is decrypted.
    pub fn new(path: &Path, bytes: Arc<[u8]>, proven: Option<Verdict>) -> Self {
        let firmware = firmware::identify(&bytes);
        let name =
            path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        Self {
            path: path.to_path_buf(),
            name,
            regions: region::regions(&bytes),
            entropy: entropy::sectors(&bytes).into(),
            about: about(&firmware),
            firmware,
            bytes,
            proven,
        }
    }
}

/// What a file is, in one line: `OpenBeken 1.18.300, QIO for BK7231T, intact`.
pub fn about(firmware: &Firmware) -> String {
    if firmware.kind == Kind::Unknown {
        return "unknown content".to_owned();
    }
    if firmware.kind.is_text() || firmware.kind == Kind::Uf2 {
        return firmware.kind.name().to_owned();
    }
    let app = firmware.app.as_ref();
    // The version text is `OpenBK7231T_1.18.300`; the chip is named anyway.
    let openbeken = firmware.openbeken().map(|text| format!("OpenBeken {}", text.rsplit('_').next().unwrap_or(text)));
    let program = openbeken.or_else(|| app?.libretiny.clone()).or_else(|| {
        let app = app?;
        let name = app.tuya_name.as_ref()?;
        Some(format!("Tuya {name} {}", app.tuya_version.as_deref().unwrap_or_default()).trim_end().to_owned())
    });
    let chip = firmware.family.map(|family| format!("for {}", family.name()));
    let kind = [Some(firmware.kind.name().to_owned()), chip].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let state = match (firmware.has_errors(), firmware.kind) {
        (true, _) => Some("damaged".to_owned()),
        (false, Kind::Qio | Kind::Ua) if firmware.problems.is_empty() => Some("intact".to_owned()),
        (false, _) => None,
    };
    [program, Some(kind), state].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What is known of a backup of the connected chip.
#[derive(Clone, Debug, Default)]
pub enum BackupState {
    /// No chip is connected, or nobody looked yet.
    #[default]
    Unknown,
    /// There is none.
    None,
    /// One was made, and it is not proven.
    Unproven {
        /// Where it lies.
        path: PathBuf,
        /// Why it does not count.
        why: String,
    },
    /// There is one, and it matches its manifest.
    Proven(Arc<KnownBackup>),
}

/// A proven backup of the connected chip.
#[derive(Clone, Debug)]
pub struct KnownBackup {
    /// What a write is given.
    pub proof: Arc<ProvenBackup>,
    /// Its date for the header.
    pub when: String,
    /// The status registers when it was read.
    pub status: Option<StatusBytes>,
}

impl BackupState {
    /// The proven backup.
    pub const fn proven(&self) -> Option<&Arc<KnownBackup>> {
        match self {
            Self::Proven(backup) => Some(backup),
            _ => None,
        }
    }
}

/// A step on the way from six wires to a plug that runs other firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All wires were gone through.
    Wired,
    /// A chip was identified.
    Connected,
    /// A proven backup exists.
    BackedUp,
    /// The dump was looked at.
    Read,
    /// The protection is lifted.
    Unlocked,
    /// An image was written and verified.
    Flashed,
    /// The firmware was started.
    Booted,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 7] =
        [Self::Wired, Self::Connected, Self::BackedUp, Self::Read, Self::Unlocked, Self::Flashed, Self::Booted];

    /// The step in words, and where it is done.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Wired => ("wired", "1 Wiring: go through every wire"),
            Self::Connected => ("connected", "2 Connect: choose a link, press Enter"),
            Self::BackedUp => ("backed up", "2 Connect: press b"),
            Self::Read => ("read", "3 Dump: look at the backup, search pin"),
            Self::Unlocked => ("unlocked", "4 Protect: press u; a write does it too"),
            Self::Flashed => ("flashed", "5 Flash: choose an image, agree to the plan"),
            Self::Booted => ("started", "5 Flash: press S after a verified write"),
        }
    }
}

/// The steps reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Journey {
    steps: [bool; Step::ALL.len()],
}

impl Journey {
    /// Whether a step was reached.
    pub fn reached(self, step: Step) -> bool {
        self.steps[step as usize]
    }

    /// Marks a step as reached or not.
    pub fn set(&mut self, step: Step, reached: bool) {
        self.steps[step as usize] = reached;
    }

    /// Starts anew with another chip; the wires stay.
    pub fn restart(&mut self) {
        *self = Self { steps: std::array::from_fn(|index| index == Step::Wired as usize && self.steps[index]) };
    }

    /// The first step that lies ahead.
    pub fn next(self) -> Option<Step> {
        Step::ALL.into_iter().find(|step| !self.reached(*step))
    }
}
