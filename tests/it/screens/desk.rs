//! The workbench without a terminal, a thread or real time: keys go into the app, its wishes into an actor, events
//! back into the app, all on the test's own thread.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bkbench::codec::nor::StatusBytes;
use bkbench::job::{
    BackupRead, BackupSpec, Identity, JobSpec, Journal, JournalHandle, Plan, ProvenBackup, Shelf, ShelfHandle, Start,
    Unfinished,
};
use bkbench::problem::Problem;
use bkbench::session::{Actor, Command, Event, JobId, What};
use bkbench::store::{Notes, Settings};
use bkbench::tui::effect::{Effect, Task};
use bkbench::tui::keys::KeyLine;
use bkbench::tui::look::{Look, Looked};
use bkbench::tui::msg::{Done, Msg, Target};
use bkbench::tui::shared::{BackupState, KnownBackup, OpenFile};
use bkbench::tui::theme::Theme;
use bkbench::tui::{App, Options, glyph, keys, worker};
use bkbench::units::{Span, Verdict};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use regex::Regex;

use crate::support::sample;

/// When a test reaches into a running job, and the keys it presses then.
type Moment = (Box<dyn Fn(&Event) -> bool>, &'static str);

/// A workbench that is driven by a test.
pub struct Desk {
    inner: Rc<RefCell<Inner>>,
    actor: Actor,
}

struct Inner {
    app: App,
    commands: Sender<Command>,
    pending: VecDeque<Effect>,
    moments: VecDeque<Moment>,
    /// Files that are ready to be handed in.
    loaded: VecDeque<Done>,
    /// Screens taken at those moments.
    shots: Vec<String>,
    started: Vec<JobSpec>,
    next: u64,
    left: bool,
    bells: u32,
    copied: Option<String>,
    kept: Kept,
}

impl Desk {
    /// A workbench in the dark theme; `link` is connected to at once.
    pub fn new(link: Option<&str>) -> Self {
        Self::themed(link, "dark")
    }

    /// A workbench in a theme.
    pub fn themed(link: Option<&str>, theme: &str) -> Self {
        let kept = Kept::default();
        let options = Options {
            link: link.map(str::to_owned),
            speed: None,
            settings: Settings::default(),
            theme: Theme::load(theme).expect("a theme"),
            folder: PathBuf::from("/"),
            ascii: false,
            shelf: ShelfHandle::new(PretendedShelf { kept: Arc::clone(&kept) }),
            structures: Default::default(),
        };
        let (app, effects) = App::new(options);
        let (commands, inbox) = channel();
        let inner = Rc::new(RefCell::new(Inner {
            app,
            commands,
            pending: effects.into(),
            moments: VecDeque::new(),
            loaded: VecDeque::new(),
            shots: Vec::new(),
            started: Vec::new(),
            next: 0,
            left: false,
            bells: 0,
            copied: None,
            kept,
        }));
        let seen = Rc::clone(&inner);
        let actor = Actor::new(inbox, Box::new(move |event| seen.borrow_mut().event(&event)));
        let mut desk = Self { inner, actor };
        desk.settle();
        desk
    }

    /// A connected module with its backup made and searched.
    pub fn at_work(link: &str) -> Self {
        let mut desk = Self::new(Some(link));
        desk.keys("2 b 3 / enter");
        desk
    }

    /// Presses keys, with blanks between them, and lets everything that follows happen.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        for key in keys.split_whitespace() {
            let msg = Msg::Key(keys::press(key));
            self.inner.borrow_mut().update(msg);
            self.settle();
        }
        self
    }

    /// Hands the app a message, such as a move of the mouse, and lets everything that follows happen.
    pub fn hears(&mut self, msg: Msg) -> &mut Self {
        self.inner.borrow_mut().update(msg);
        self.settle();
        self
    }

    /// Types a text.
    pub fn types(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            let name = if c == ' ' { "space".to_owned() } else { c.to_string() };
            self.keys(&name);
        }
        self
    }

    /// Presses `keys` in the middle of a later job, at the first event that fits, and takes a screen afterwards.
    /// `silence` lets three seconds pass without a word from the chip.
    pub fn at(&mut self, when: impl Fn(&Event) -> bool + 'static, keys: &'static str) -> &mut Self {
        self.inner.borrow_mut().moments.push_back((Box::new(when), keys));
        self
    }

    /// Has a file ready that `loaded` among the keys of [`Desk::at`] hands in, as a worker does when it has read it.
    pub fn reads(&mut self, target: Target, path: &Path) -> &mut Self {
        let kept = Arc::clone(&self.inner.borrow().kept);
        let done = perform(Task::Load(target, path.to_owned()), &kept);
        self.inner.borrow_mut().loaded.push_back(done);
        self
    }

    /// Hands in what a worker would have found.
    pub fn hands(&mut self, done: Done) -> &mut Self {
        self.inner.borrow_mut().update(Msg::Done(Box::new(done)));
        self.settle();
        self
    }

    /// The screens taken in the middle of jobs.
    pub fn shots(&self) -> Vec<String> {
        self.inner.borrow().shots.clone()
    }

    /// The jobs that were asked for.
    pub fn started(&self) -> Vec<JobSpec> {
        self.inner.borrow().started.clone()
    }

    /// How often the bell rang.
    pub fn bells(&self) -> u32 {
        self.inner.borrow().bells
    }

    /// Whether the workbench wished to leave.
    pub fn left(&self) -> bool {
        self.inner.borrow().left
    }

    /// What was put on the clipboard last.
    pub fn copied(&self) -> Option<String> {
        self.inner.borrow().copied.clone()
    }

    /// The window as text, at the home size.
    pub fn screen(&self) -> String {
        self.screen_of(80, 24)
    }

    /// The window as text.
    pub fn screen_of(&self, width: u16, height: u16) -> String {
        text(&self.buffer(width, height))
    }

    /// The window in ASCII.
    pub fn ascii_screen(&self, width: u16, height: u16) -> String {
        let mut buf = self.buffer(width, height);
        glyph::to_ascii(&mut buf);
        text(&buf)
    }

    /// The window with its styles.
    pub fn buffer(&self, width: u16, height: u16) -> Buffer {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        self.inner.borrow().app.view(area, &mut buf);
        buf
    }

    /// The line of hints.
    pub fn hints(&self) -> Vec<KeyLine> {
        self.inner.borrow().app.hints()
    }

    /// Every key of the active tab and of the program.
    pub fn all_keys(&self) -> Vec<KeyLine> {
        self.inner.borrow().app.all_keys()
    }

    /// Fails with the screen when a text is not on it.
    #[track_caller]
    pub fn shows(&self, wanted: &str) -> &Self {
        let screen = self.screen();
        assert!(screen.contains(wanted), "{wanted:?} is not on the screen:\n{screen}");
        self
    }

    /// Lets the wishes of the app come true until there are none.
    fn settle(&mut self) {
        loop {
            let next = self.inner.borrow_mut().pending.pop_front();
            let Some(effect) = next else { return };
            match effect {
                Effect::Start(mut spec) => {
                    let id = self.inner.borrow_mut().number(&spec);
                    if let JobSpec::Connect(wanted) = &mut *spec {
                        // What this computer remembers is nothing a test may depend on.
                        wanted.clocks = None;
                    }
                    self.actor.handle(Command::Start(id, spec));
                }
                Effect::Work(task) => {
                    let kept = Arc::clone(&self.inner.borrow().kept);
                    let done = perform(task, &kept);
                    self.inner.borrow_mut().update(Msg::Done(Box::new(done)));
                }
                Effect::Copy(text) => self.inner.borrow_mut().copied = Some(text),
                Effect::Quit => self.inner.borrow_mut().left = true,
                Effect::Bell => self.inner.borrow_mut().bells += 1,
                Effect::Cancel(_) | Effect::Suspend => {}
            }
        }
    }
}

impl Inner {
    fn number(&mut self, spec: &JobSpec) -> JobId {
        self.next += 1;
        self.started.push(spec.clone());
        JobId(self.next)
    }

    fn event(&mut self, event: &Event) {
        self.update(Msg::Session(Box::new(event.clone())));
        let fits = self.moments.front().is_some_and(|(when, _)| when(event));
        if fits && let Some((_, keys)) = self.moments.pop_front() {
            for key in keys.split_whitespace() {
                let msg = match key {
                    "silence" => Msg::Tick(Duration::from_secs(3)),
                    "loaded" => Msg::Done(Box::new(self.loaded.pop_front().expect("a file"))),
                    key => Msg::Key(keys::press(key)),
                };
                self.update(msg);
            }
            let area = Rect::new(0, 0, 80, 24);
            let mut buf = Buffer::empty(area);
            self.app.view(area, &mut buf);
            self.shots.push(text(&buf));
        }
    }

    /// Jobs and cancels that are wished for while a job runs go into the actor's inbox, as they would over a channel.
    fn update(&mut self, msg: Msg) {
        for effect in self.app.update(msg) {
            let running = self.app.shared.session.busy();
            match effect {
                Effect::Start(spec) if running => {
                    let id = self.number(&spec);
                    self.commands.send(Command::Start(id, spec)).expect("an actor");
                }
                Effect::Cancel(id) => self.commands.send(Command::Cancel(id)).expect("an actor"),
                other => self.pending.push_back(other),
            }
        }
    }
}

/// Work is done at once; the store is a pretended one, so that nothing is written and every date is the same.
fn perform(task: Task, kept: &Kept) -> Done {
    match task {
        Task::Links => {
            // Ports of the machine that runs the test are left out.
            let all = bkbench::link::endpoints(22).into_iter();
            Done::Links(all.filter(|endpoint| endpoint.link.starts_with("sim:")).collect())
        }
        Task::FindBackup(identity) => {
            let kept = kept.lock().expect("no panic");
            let own = kept.iter().rfind(|kept| kept.chip_key == identity.chip_key);
            let state = own.map_or(BackupState::None, |proof| known(Arc::clone(proof), None));
            Done::Backup { chip_key: identity.chip_key.clone(), state, problem: None }
        }
        Task::SaveBackup(read) => saved(&read, kept),
        Task::Look(Look::Notes(file)) => Done::Looked(Looked::Notes(file, Notes::default())),
        Task::Look(Look::Keep(file, notes)) => Done::Looked(Looked::Notes(file, notes)),
        other => worker::perform(other, &Settings::default()),
    }
}

/// A shelf that keeps backups made on the way in memory.
#[derive(Default)]
pub struct PretendedShelf {
    kept: Kept,
}

type Kept = Arc<Mutex<Vec<Arc<ProvenBackup>>>>;

impl Shelf for PretendedShelf {
    fn unfinished(&self, _: &Identity) -> Result<Vec<Unfinished>, Problem> {
        Ok(Vec::new())
    }

    fn backups(&self, identity: &Identity) -> Result<Vec<PathBuf>, Problem> {
        let kept = self.kept.lock().expect("no panic");
        Ok(kept.iter().filter(|kept| kept.chip_key == identity.chip_key).map(|kept| kept.path.clone()).collect())
    }

    fn open(&self, path: &Path) -> Option<Arc<ProvenBackup>> {
        self.kept.lock().expect("no panic").iter().find(|kept| kept.path == path).cloned()
    }

    fn history(&self, _: &str) -> Vec<Vec<u32>> {
        Vec::new()
    }

    fn backup_spec(&self, _: &Identity) -> Result<BackupSpec, Problem> {
        Ok(BackupSpec::default())
    }

    fn keep(&self, read: &BackupRead) -> Result<Arc<ProvenBackup>, Problem> {
        let proof = Arc::new(proof(read));
        self.kept.lock().expect("no panic").push(Arc::clone(&proof));
        Ok(proof)
    }

    fn journal(&self, _: &str) -> JournalHandle {
        JournalHandle::new(NoJournal)
    }
}

struct NoJournal;

impl Journal for NoJournal {
    fn begin(&mut self, _: &Start<'_>) -> Result<(), Problem> {
        Ok(())
    }

    fn group_started(&mut self, _: &[Span]) -> Result<(), Problem> {
        Ok(())
    }

    fn group_done(&mut self, _: &[Span]) -> Result<(), Problem> {
        Ok(())
    }

    fn proven(&mut self, _: &Plan) -> Result<(), Problem> {
        Ok(())
    }

    fn finished(&mut self) -> Result<(), Problem> {
        Ok(())
    }
}

fn proof(read: &BackupRead) -> ProvenBackup {
    ProvenBackup {
        path: Path::new("backups").join("2026-02-03-180205-plug.bin"),
        sha256: bkbench::image::sha256_hex(&read.bytes),
        chip_key: read.identity.chip_key.clone(),
        jedec: read.identity.flash.jedec.clone(),
        unique_hash: read.identity.flash.unique_hash.clone(),
        bytes: Arc::clone(&read.bytes),
    }
}

fn known(proof: Arc<ProvenBackup>, status: Option<StatusBytes>) -> BackupState {
    BackupState::Proven(Arc::new(KnownBackup { proof, when: "18:02".to_owned(), status }))
}

fn saved(read: &BackupRead, kept: &Kept) -> Done {
    assert!(read.proven(), "{:?}", read.rules);
    let proof = Arc::new(proof(read));
    kept.lock().expect("no panic").push(Arc::clone(&proof));
    let file = Arc::new(OpenFile::new(&proof.path, Arc::clone(&read.bytes), Some(Verdict::Proven)));
    Done::Saved { state: known(proof, read.status), file, problem: None }
}

/// The OpenBeken image for a chip; `None`, said aloud, where the samples are absent.
pub fn openbeken(chip: &str) -> Option<PathBuf> {
    sample(&format!("firmware/Open{chip}_QIO_1.18.300.bin"))?.canonicalize().ok()
}

/// Whether an event is the start of this phase.
pub fn phase(phase: bkbench::job::Phase) -> impl Fn(&Event) -> bool {
    move |event| matches!(&event.what, What::Phase { phase: begun, .. } if *begun == phase)
}

/// A buffer as lines without trailing blanks. The time of a log line counts a few real milliseconds before a link is
/// open, so it is blotted out.
fn text(buf: &Buffer) -> String {
    let stamps = Regex::new("[0-9]{2}:[0-9]{2}[.][0-9]").expect("a pattern");
    let rows = (0..buf.area.height).map(|y| {
        let row: String = (0..buf.area.width).map(|x| buf[(x, y)].symbol()).collect();
        stamps.replace_all(row.trim_end(), "MM:SS.T").into_owned()
    });
    rows.collect::<Vec<_>>().join("\n")
}
