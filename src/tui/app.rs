//! The whole state of the workbench. `update` takes a message and returns wishes, `view` draws; neither touches the
//! terminal, a file or the clock, so a test drives it as a person would.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyEvent, MouseButton, MouseEvent, MouseEventKind};

use super::effect::{Act, Effect, Response, Task};
use super::keys::{self, Bind, KeyLine, bind};
use super::msg::{Done, Msg, Target};
use super::overlay::{Confirm, Help, JourneyList, Overlay, ProblemBox, Quit};
use super::shared::{BackupState, Journey, Shared, Step};
use super::tabs::{self, Tab, TabId};
use super::theme::Theme;
use super::widgets::header;
use crate::chip;
use crate::device::Level;
use crate::image::structures::Structures;
use crate::job::{JobSpec, Outcome, Prepared, Range, ShelfHandle};
use crate::link::{LinkSpec, Pins, WireKind};
use crate::problem::Class;
use crate::session::{Event, LinkState, LogLine, SessionView, What};
use crate::store::Settings;

/// How long a notice stands in the place of a running job's progress.
const NOTICE: Duration = Duration::from_secs(3);

/// What the app is made with.
pub struct Options {
    /// The link to connect to at the start.
    pub link: Option<String>,
    /// Speed of every connect in Hz or baud; `None` is the usual one.
    pub speed: Option<u32>,
    /// Settings in force.
    pub settings: Settings,
    /// Colours.
    pub theme: Theme,
    /// Where the file picker starts.
    pub folder: PathBuf,
    /// Whether the terminal shows nothing but ASCII.
    pub ascii: bool,
    /// What was kept of chips.
    pub shelf: ShelfHandle,
    /// The user's own structures for the hex inspector.
    pub structures: Structures,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Global {
    Tab(usize),
    NextTab,
    PreviousTab,
    Help,
    Log,
    Journey,
    Stop,
    Quit,
    Suspend,
}

const KEYS: &[Bind<Global>] = &[
    bind("1", "Wiring", "Wiring: which pad goes to which pin.", Global::Tab(0)),
    bind("2", "Connect", "Connect: links, who the chip is, backup.", Global::Tab(1)),
    bind("3", "Dump", "Dump: hex view and search.", Global::Tab(2)),
    bind("4", "Protect", "Protect: status registers and the lock.", Global::Tab(3)),
    bind("5", "Flash", "Flash: plan, agree, write, prove.", Global::Tab(4)),
    bind("6", "Config", "Config: pins, their reasons, the template for OpenBeken.", Global::Tab(5)),
    bind("tab", "next tab", "To the next tab.", Global::NextTab),
    bind("shift-tab", "previous tab", "To the previous tab.", Global::PreviousTab),
    bind("l", "log", "Show or hide the log.", Global::Log),
    bind("J", "the way", "The whole way from six wires to new firmware, and where you are.", Global::Journey),
    bind("esc", "stop", "Stop the running job at its next safe point; asks first.", Global::Stop),
    bind("?", "help", "This help.", Global::Help),
    bind("q ctrl-c", "quit", "Leave; asks when a job runs.", Global::Quit),
    bind("ctrl-z", "to the shell", "To the shell; fg comes back. Not while a job runs.", Global::Suspend),
];

/// What the mouse does, among the keys.
fn mouse() -> KeyLine {
    KeyLine {
        keys: "mouse".to_owned(),
        name: "mouse",
        help: "Click a tab; the wheel moves. Hold Shift to select text, or start with --no-mouse.",
    }
}

/// The keys that work everywhere, for the help.
pub fn global_keys() -> Vec<KeyLine> {
    keys::lines(KEYS)
}

/// The workbench.
pub struct App {
    pub(super) tabs: Vec<Box<dyn Tab>>,
    pub(super) active: usize,
    pub(super) overlays: Vec<Box<dyn Overlay>>,
    /// What the tabs share.
    pub shared: Shared,
    /// Shown or hidden by hand; the room decides until then.
    pub(super) log_open: Option<bool>,
    /// What was said last, until the next key; while a job runs its progress takes over again after a while.
    pub(super) said: Option<String>,
    /// When that was heard of first while a job was running.
    said_since: Option<Duration>,
    pub(super) size: (u16, u16),
}

impl App {
    /// A workbench, and what it wishes at its start.
    pub fn new(options: Options) -> (Self, Vec<Effect>) {
        let first_link = options.link.clone();
        let (module, wire) = bench_of(first_link.as_deref());
        let cen = options.settings.cen;
        let mut shared = Shared {
            session: SessionView::default(),
            settings: options.settings,
            theme: options.theme,
            links: None,
            dump: None,
            image: None,
            backup: BackupState::Unknown,
            bypass: None,
            resuming: false,
            shelf: options.shelf,
            structures: options.structures,
            journey: Journey::default(),
            journey_of: None,
            module,
            wire,
            pins: Pins::usual(wire, cen),
            folder: options.folder,
            ascii: options.ascii,
            speed: options.speed,
            first_link,
            used_link: None,
            quiet: None,
            leaving: false,
        };
        shared.find_pins();
        let tabs = tabs::all();
        let active = usize::from(shared.first_link.is_some());
        let mut app = Self {
            tabs,
            active,
            overlays: Vec::new(),
            shared,
            log_open: None,
            said: None,
            said_since: None,
            size: (80, 24),
        };
        let mut effects = vec![Effect::Work(Task::Links)];
        if app.shared.first_link.is_some() {
            effects.extend(app.key(keys::press("enter")));
        }
        (app, effects)
    }

    /// Takes a message; returns what is wished to happen outside.
    pub fn update(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Key(key) => {
                self.said = None;
                self.key(key)
            }
            Msg::Paste(text) => {
                match (self.overlays.last_mut(), self.tabs.get_mut(self.active)) {
                    (Some(overlay), _) => overlay.paste(&text),
                    (None, Some(tab)) => tab.paste(&text),
                    (None, None) => {}
                }
                Vec::new()
            }
            Msg::Mouse(mouse) => self.mouse(mouse),
            Msg::Resize(width, height) => {
                self.size = (width, height);
                Vec::new()
            }
            Msg::Session(event) => self.event(&event),
            Msg::Done(done) => self.done(&done),
            Msg::Tick(quiet) => {
                // Short silences are ordinary: an erase takes a second.
                self.shared.quiet = Some(quiet).filter(|quiet| quiet.as_secs() >= 2);
                if self.shared.quiet.is_some() && self.shared.session.busy() {
                    self.said = None;
                }
                Vec::new()
            }
            // Whether a running job stops or goes on without the screen is decided where the screen is closed.
            Msg::Terminate => vec![Effect::Quit],
        }
    }

    fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        // Ctrl-C is `q` everywhere, also in the middle of a text.
        if keys::is(&key, "ctrl-c") {
            return self.global(Global::Quit);
        }
        if let Some(overlay) = self.overlays.last_mut() {
            return match overlay.key(key, &self.shared) {
                Response::Taken(acts) => self.acts(acts),
                Response::Ignored => Vec::new(),
            };
        }
        if let Some(tab) = self.tabs.get_mut(self.active)
            && let Response::Taken(acts) = tab.key(key, &self.shared)
        {
            return self.acts(acts);
        }
        if self.tabs.get(self.active).is_some_and(|tab| tab.typing()) {
            return Vec::new();
        }
        keys::find(KEYS, &key).map(|action| self.global(action)).unwrap_or_default()
    }

    fn global(&mut self, action: Global) -> Vec<Effect> {
        let count = self.tabs.len();
        match action {
            Global::Tab(index) => self.active = index.min(count - 1),
            Global::NextTab => self.active = (self.active + 1) % count,
            Global::PreviousTab => self.active = (self.active + count - 1) % count,
            Global::Help => {
                if let Some(tab) = self.tabs.get(self.active) {
                    let mut everywhere = global_keys();
                    if self.shared.settings.mouse {
                        everywhere.push(mouse());
                    }
                    let help = Help::new(tab.title(), tab.keys(), everywhere);
                    self.overlays.push(Box::new(help));
                }
            }
            Global::Log => self.log_open = Some(!self.log_shown(self.size)),
            Global::Journey => self.overlays.push(Box::new(JourneyList)),
            Global::Stop => {
                if self.shared.session.busy() {
                    self.overlays.push(Box::new(Quit::stopping()));
                }
            }
            Global::Quit => {
                if !self.shared.session.busy() {
                    return vec![Effect::Quit];
                }
                self.overlays.push(Box::new(Quit::leaving()));
            }
            Global::Suspend => {
                if !self.shared.session.busy() {
                    return vec![Effect::Suspend];
                }
                self.say("not while a job runs: it would stop in its middle".to_owned());
            }
        }
        Vec::new()
    }

    fn mouse(&mut self, mouse: MouseEvent) -> Vec<Effect> {
        let wheel = |name: &str| [keys::press(name); 3];
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) if mouse.row == 1 && self.overlays.is_empty() => {
                let titles: Vec<&str> = self.tabs.iter().map(|tab| tab.title()).collect();
                if let Some(index) = header::tab_at(&titles, self.active, self.size.0, mouse.column) {
                    self.active = index;
                }
                Vec::new()
            }
            MouseEventKind::Down(MouseButton::Left) | MouseEventKind::Drag(MouseButton::Left)
                if self.overlays.is_empty() =>
            {
                match self.tabs.get_mut(self.active).map(|tab| tab.mouse(&mouse, &self.shared)) {
                    Some(Response::Taken(acts)) => self.acts(acts),
                    Some(Response::Ignored) | None => Vec::new(),
                }
            }
            MouseEventKind::ScrollUp => wheel("up").into_iter().flat_map(|key| self.key(key)).collect(),
            MouseEventKind::ScrollDown => wheel("down").into_iter().flat_map(|key| self.key(key)).collect(),
            _ => Vec::new(),
        }
    }

    /// Ends the program: at once when nothing runs, else when the running job has reached a safe point.
    fn leave(&mut self) -> Vec<Effect> {
        match &self.shared.session.job {
            None => vec![Effect::Quit],
            Some(job) => {
                self.shared.leaving = true;
                vec![Effect::Cancel(job.id)]
            }
        }
    }

    fn event(&mut self, event: &Event) -> Vec<Effect> {
        self.shared.session.apply(event);
        self.shared.quiet = None;
        self.fade(event.at);
        let mut acts = self.react(event);
        for tab in &mut self.tabs {
            acts.extend(tab.heard(event, &self.shared));
        }
        let mut effects = self.acts(acts);
        if self.shared.leaving && !self.shared.session.busy() {
            effects.push(Effect::Quit);
        }
        effects
    }

    fn say(&mut self, text: String) {
        (self.said, self.said_since) = (Some(text), None);
    }

    /// A notice makes room for the progress of a running job.
    fn fade(&mut self, now: Duration) {
        if self.said.is_none() || !self.shared.session.busy() {
            self.said_since = None;
        } else if now.saturating_sub(*self.said_since.get_or_insert(now)) >= NOTICE {
            self.said = None;
        }
    }

    /// What an event means beyond the tabs.
    fn react(&mut self, event: &Event) -> Vec<Act> {
        let shared = &mut self.shared;
        match &event.what {
            What::Link(state) => {
                if !matches!(state, LinkState::Open { .. } | LinkState::Away { .. }) {
                    shared.backup = BackupState::Unknown;
                    shared.bypass = None;
                    shared.resuming = false;
                }
                if let LinkState::Open { info, .. } = state {
                    shared.wire = info.wire;
                }
                Vec::new()
            }
            What::Identity(identity) => {
                if shared.journey_of.as_ref() != Some(&identity.chip_key) {
                    shared.journey.restart();
                    shared.journey_of = Some(identity.chip_key.clone());
                }
                Vec::new()
            }
            What::Protection(protection) => {
                shared.journey.set(Step::Unlocked, protection.range == Range::Open);
                Vec::new()
            }
            What::Finished { result: Ok(outcome), .. } => self.outcome(outcome),
            What::Finished { result: Err(problem), .. } if problem.class == Class::Cancelled => {
                self.say(format!("{}: {}", problem.code, problem.what));
                Vec::new()
            }
            What::Finished { result: Err(problem), .. } => {
                let title = shared.session.last.as_ref().map_or("", |ended| ended.job.title);
                vec![Act::Open(Box::new(ProblemBox::new(title, problem.clone())))]
            }
            What::Refused { problem, .. } => {
                vec![Act::Open(Box::new(ProblemBox::new("not now", problem.clone())))]
            }
            What::Crashed(problem) => {
                vec![Act::Open(Box::new(ProblemBox::new("a fault of the program", problem.clone())))]
            }
            What::Closed if !shared.leaving => {
                let problem = crate::session::ended();
                vec![Act::Open(Box::new(ProblemBox::new("a fault of the program", problem)))]
            }
            _ => Vec::new(),
        }
    }

    fn outcome(&mut self, outcome: &Outcome) -> Vec<Act> {
        let journey = &mut self.shared.journey;
        match outcome {
            Outcome::Connected(identity) | Outcome::Identified(identity) => {
                journey.set(Step::Connected, true);
                vec![
                    Act::work(Task::FindBackup(Arc::clone(identity))),
                    Act::work(Task::FindUnfinished(Arc::clone(identity))),
                ]
            }
            Outcome::Backup(read) => {
                self.say("saving the backup …".to_owned());
                vec![Act::work(Task::SaveBackup(Arc::clone(read)))]
            }
            Outcome::Prepared(Prepared::Ready(ready)) if ready.backup_made.is_some() => {
                let identity = self.shared.session.identity.clone();
                identity.map(|identity| Act::work(Task::FindBackup(identity))).into_iter().collect()
            }
            Outcome::Written(report) => {
                self.shared.resuming = false;
                let journey = &mut self.shared.journey;
                journey.set(Step::Flashed, report.verified);
                journey.set(Step::Booted, false);
                Vec::new()
            }
            Outcome::Rebooted => {
                journey.set(Step::Booted, true);
                vec![Act::Say("the chip was started; whether its firmware runs was not checked".to_owned())]
            }
            _ => Vec::new(),
        }
    }

    fn done(&mut self, done: &Done) -> Vec<Effect> {
        let shared = &mut self.shared;
        let mut acts = Vec::new();
        match done {
            Done::Links(links) => shared.links = Some(links.clone()),
            Done::Loaded(target, Ok(file)) => match target {
                Target::Dump => shared.dump = Some(Arc::clone(file)),
                Target::Image => {
                    shared.image = Some(Arc::clone(file));
                    shared.resuming = false;
                }
                Target::Second | Target::Template | Target::List => {}
            },
            Done::Loaded(_, Err(problem)) => acts.push(Act::Open(Box::new(ProblemBox::new("open", problem.clone())))),
            Done::Backup { chip_key, state, problem } => {
                // The chip may have been changed while the store was asked.
                if shared.session.identity.as_ref().is_some_and(|identity| identity.chip_key == *chip_key) {
                    shared.backup = state.clone();
                    shared.journey.set(Step::BackedUp, state.proven().is_some());
                    if let (None, Some(known)) = (&shared.dump, state.proven()) {
                        acts.push(Act::work(Task::ShowBackup(Arc::clone(known))));
                    }
                }
                if let Some(problem) = problem {
                    acts.push(Act::Open(Box::new(ProblemBox::new("backups", problem.clone()))));
                }
            }
            Done::FileWritten(path) => acts.push(Act::Say(format!("written: {}", path.display()))),
            Done::NothingUnfinished => {}
            Done::Unfinished(sentence) => {
                let text = vec![
                    format!("Cut off: {sentence}."),
                    "y plans the rest: sectors that were torn are erased again, whatever they read.".to_owned(),
                    "Or put the backup back: R on the Flash tab.".to_owned(),
                ];
                let then = vec![Act::Go(TabId::Flash), Act::Resume];
                acts.push(Act::Open(Box::new(Confirm::yes("Go on with an unfinished write?", text, then))));
            }
            Done::Saved { state, file, problem } => {
                let same_chip = |key: &str| shared.session.identity.as_ref().is_some_and(|now| now.chip_key == key);
                if state.proven().is_none_or(|known| same_chip(&known.proof.chip_key)) {
                    shared.backup = state.clone();
                    shared.journey.set(Step::BackedUp, state.proven().is_some());
                }
                shared.dump = Some(Arc::clone(file));
                match problem {
                    Some(problem) => acts.push(Act::Open(Box::new(ProblemBox::new("back up", problem.clone())))),
                    None => acts.push(Act::Say(format!("✔ proven backup: {}   3 shows it", file.path.display()))),
                }
            }
            Done::Failed(problem) => acts.push(Act::Open(Box::new(ProblemBox::new("file", problem.clone())))),
            Done::Listed(..) | Done::Peeked(..) | Done::Looked(_) | Done::Inspected(..) => {}
        }
        for overlay in &mut self.overlays {
            acts.extend(overlay.done(done, &self.shared));
        }
        for tab in &mut self.tabs {
            acts.extend(tab.done(done, &self.shared));
        }
        self.acts(acts)
    }

    fn acts(&mut self, acts: Vec<Act>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for act in acts {
            match act {
                Act::Effect(effect) => {
                    self.remember_link(&effect);
                    effects.push(effect);
                }
                Act::Go(tab) => self.go(tab),
                Act::Show(at) => {
                    self.go(TabId::Dump);
                    if let Some(tab) = self.tabs.get_mut(self.active) {
                        tab.show(at, &self.shared);
                    }
                }
                Act::Open(overlay) => self.overlays.push(overlay),
                Act::Close => {
                    self.overlays.pop();
                }
                Act::Module(name) => {
                    self.shared.module = name;
                    // A real link leads over the wire that it leads over, whatever the module prefers.
                    let real = self.shared.link().is_some_and(|link| link.scheme != "sim");
                    if !real {
                        self.shared.wire = chip::module(name).map_or(WireKind::Spi, |module| module.default_wire());
                    }
                    self.shared.find_pins();
                    self.shared.journey.set(Step::Wired, false);
                }
                Act::Wire(wire) => {
                    self.shared.wire = wire;
                    self.shared.find_pins();
                    self.shared.journey.set(Step::Wired, false);
                }
                Act::Journey(step, reached) => self.shared.journey.set(step, reached),
                Act::Leave => effects.extend(self.leave()),
                Act::Speed(speed) => self.shared.speed = speed,
                Act::Folder(folder) => self.shared.folder = folder,
                Act::Bypass(phrase) => self.shared.bypass = Some(phrase),
                Act::Resume => {
                    self.shared.resuming = true;
                    effects.extend(self.key(keys::press("p")));
                }
                Act::NothingUnfinished => self.shared.resuming = false,
                Act::Say(text) => self.say(text),
            }
        }
        effects
    }

    /// The wiring check measures over the link that was used last, and the tab shows its pins.
    fn remember_link(&mut self, effect: &Effect) {
        let Effect::Start(spec) = effect else { return };
        let link = match spec.as_ref() {
            JobSpec::Connect(spec) => &spec.link,
            JobSpec::Wiring(spec) => &spec.link,
            _ => return,
        };
        self.shared.used_link = Some(link.to_string());
        if link.scheme != "sim" {
            self.shared.wire = Pins::here(link).wire;
        }
        self.shared.find_pins();
    }

    fn go(&mut self, id: TabId) {
        if let Some(index) = self.tabs.iter().position(|tab| tab.id() == id) {
            self.active = index;
        }
    }

    /// Whether the log pane is on the screen.
    pub(super) fn log_shown(&self, (width, height): (u16, u16)) -> bool {
        self.log_open.unwrap_or(super::frame::is_roomy(width, height))
    }

    /// The keys that are useful now.
    pub fn hints(&self) -> Vec<KeyLine> {
        let own = self.tabs.get(self.active).map(|tab| tab.hints(&self.shared)).unwrap_or_default();
        let stop = if self.shared.session.busy() { keys::hints(KEYS, &[Global::Stop]) } else { Vec::new() };
        stop.into_iter().chain(own).collect()
    }

    /// Every key of the active tab, then those of the whole program.
    pub fn all_keys(&self) -> Vec<KeyLine> {
        let own = self.tabs.get(self.active).map(|tab| tab.keys()).unwrap_or_default();
        own.into_iter().chain(global_keys()).collect()
    }

    /// The newest log line.
    pub(super) fn newest(&self) -> Option<&LogLine> {
        self.shared.session.log.back()
    }

    /// Puts a fault of the screen's own into the log, which the session usually writes.
    pub fn note(&mut self, level: Level, text: String) {
        let at = self.newest().map(|line| line.at).unwrap_or_default();
        self.shared.session.apply(&Event { seq: 0, at, what: What::Log(level, text) });
    }
}

/// Module and wire that a link text names, for the Wiring tab.
fn bench_of(link: Option<&str>) -> (&'static str, WireKind) {
    let Some(spec) = link.and_then(|text| LinkSpec::parse(text).ok()) else { return (chip::ANY, WireKind::Spi) };
    let module = chip::module(&spec.target).filter(|_| spec.scheme == "sim").unwrap_or_else(chip::any_module);
    (module.name.as_str(), Pins::here(&spec).wire)
}
