//! A session on the test's own thread: jobs run to their end in `run`, in the module's virtual time.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};

use bkbench::job::{BackupProof, Change, ConnectSpec, JobSpec, Outcome, Plan, ProvenBackup, WriteReport, WriteSpec};
use bkbench::link::sim::Module;
use bkbench::link::{Link, LinkSpec};
use bkbench::problem::Problem;
use bkbench::session::{Actor, Command, Event, JobId, Opener, SessionView, What};

type Hook = Box<dyn FnMut(&Event, &Sender<Command>)>;

/// A session with its events folded.
pub struct Bench {
    actor: Actor,
    commands: Sender<Command>,
    state: Rc<RefCell<State>>,
    next: u64,
}

struct State {
    view: SessionView,
    finished: Option<Result<Outcome, Problem>>,
    hook: Option<Hook>,
    refused: Vec<Problem>,
}

impl Bench {
    /// A session without a link.
    pub fn new() -> Self {
        Self::with_opener(Box::new(bkbench::link::open))
    }

    /// A session connected to a module that the test keeps a hand on.
    pub fn over(module: &Module) -> Self {
        let module = module.clone();
        let mut bench = Self::with_opener(Box::new(move |_| Ok(module.link())));
        bench.run(connect_to("sim:wb2s")).unwrap_or_else(|problem| panic!("{problem}"));
        bench
    }

    /// As [`Bench::over`], with the job that connects, which may fail.
    pub fn try_over(module: &Module, connect: JobSpec) -> Result<Self, Problem> {
        let module = module.clone();
        let mut bench = Self::with_opener(Box::new(move |_| Ok(module.link())));
        bench.run(connect).map(|_| bench)
    }

    /// As [`Bench::try_over`], with nothing that could reset the module but the hand that does so once.
    pub fn over_without_a_reset_line(module: &Module, connect: JobSpec) -> Result<Self, Problem> {
        let module = module.clone();
        let mut bench = Self::with_opener(Box::new(move |_| {
            module.pulse_cen();
            Ok(Link { reset: None, ..module.link() })
        }));
        bench.run(connect).map(|_| bench)
    }

    /// A session whose links are opened in another way.
    pub fn with_opener(opener: Opener) -> Self {
        let (commands, inbox) = channel();
        let state = Rc::new(RefCell::new(State {
            view: SessionView::default(),
            finished: None,
            hook: None,
            refused: Vec::new(),
        }));
        let (seen, sender) = (Rc::clone(&state), commands.clone());
        let sink = move |event: Event| {
            let mut state = seen.borrow_mut();
            state.view.apply(&event);
            match &event.what {
                What::Finished { result, .. } => state.finished = Some(result.clone()),
                What::Crashed(problem) => state.finished = Some(Err(problem.clone())),
                What::Refused { problem, .. } => state.refused.push(problem.clone()),
                _ => {}
            }
            if let Some(hook) = state.hook.as_mut() {
                hook(&event, &sender);
            }
        };
        Self { actor: Actor::with_opener(inbox, Box::new(sink), opener), commands, state, next: 0 }
    }

    /// A session connected to `link`.
    pub fn connect(link: &str) -> Self {
        let mut bench = Self::new();
        bench.run(connect_to(link)).unwrap_or_else(|problem| panic!("{link}: {problem}"));
        bench
    }

    /// Runs a job to its end.
    pub fn run(&mut self, spec: JobSpec) -> Result<Outcome, Problem> {
        self.next += 1;
        self.state.borrow_mut().finished = None;
        self.actor.handle(Command::Start(JobId(self.next), Box::new(spec)));
        self.state.borrow_mut().finished.take().expect("every job ends with an event")
    }

    /// Watches this supply while jobs run.
    pub fn watch_supply(&mut self, supply: Option<bkbench::link::supply::Supply>) {
        self.actor.watch_supply(supply);
    }

    /// Calls `hook` with each event from now on; it may send commands, as a person pressing keys in mid-job would.
    pub fn on_event(&mut self, hook: impl FnMut(&Event, &Sender<Command>) + 'static) {
        self.state.borrow_mut().hook = Some(Box::new(hook));
    }

    /// Stops calling the hook.
    pub fn no_hook(&mut self) {
        self.state.borrow_mut().hook = None;
    }

    /// A way to put commands into the inbox from outside.
    pub fn commands(&self) -> Sender<Command> {
        self.commands.clone()
    }

    /// The number the next job will get.
    pub fn next_id(&self) -> JobId {
        JobId(self.next + 1)
    }

    /// What the session has told so far.
    pub fn view(&self) -> SessionView {
        self.state.borrow().view.clone()
    }

    /// Jobs that were refused because another one ran.
    pub fn refused(&self) -> Vec<Problem> {
        self.state.borrow().refused.clone()
    }

    /// A proven backup of the connected chip.
    pub fn back_up(&mut self) -> BackupProof {
        match self.run(JobSpec::Backup(Default::default())).expect("a backup") {
            Outcome::Backup(read) => {
                assert!(read.proven(), "{:?} {:?}", read.rules, read.unstable);
                BackupProof::Proven(std::sync::Arc::new(ProvenBackup {
                    path: "backup.bin".into(),
                    sha256: bkbench::image::sha256_hex(&read.bytes),
                    chip_key: read.identity.chip_key.clone(),
                    jedec: read.identity.flash.jedec.clone(),
                    unique_hash: read.identity.flash.unique_hash.clone(),
                    bytes: read.bytes.clone(),
                }))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Plans a write.
    pub fn plan(&mut self, spec: &WriteSpec) -> Result<std::sync::Arc<Plan>, Problem> {
        match self.run(JobSpec::Plan(spec.clone()))? {
            Outcome::Planned(plan) => Ok(plan),
            other => panic!("{other:?}"),
        }
    }

    /// Plans a write and carries the plan out.
    pub fn write(&mut self, spec: WriteSpec) -> Result<std::sync::Arc<WriteReport>, Problem> {
        let agreed = self.plan(&spec)?.hash.clone();
        match self.run(JobSpec::Write { spec, agreed, journal: None })? {
            Outcome::Written(report) => Ok(report),
            other => panic!("{other:?}"),
        }
    }
}

/// The job that connects to a link text.
pub fn connect_to(link: &str) -> JobSpec {
    JobSpec::Connect(ConnectSpec {
        link: LinkSpec::parse(link).expect("a link"),
        speed: None,
        entry_clock: None,
        clocks: None,
        backups: None,
    })
}

/// The job that connects to a link text at a speed of its own.
pub fn connect_at(link: &str, speed: Option<u32>) -> JobSpec {
    JobSpec::Connect(ConnectSpec {
        link: LinkSpec::parse(link).expect("a link"),
        speed,
        entry_clock: None,
        clocks: None,
        backups: None,
    })
}

/// The wish to write `image` at `at`, or where it belongs.
pub fn image(image: &[u8], at: Option<u32>, backup: &BackupProof) -> WriteSpec {
    WriteSpec { backup: backup.clone(), ..WriteSpec::new(Change::Image, "image.bin", at, image.into()) }
}
