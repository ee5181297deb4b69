//! Tab 5: image, plan, agreement, progress, proof.

mod report;
mod view;

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Tab, TabId};
use crate::job::backup::BackupSpec;
use crate::job::{AlreadyThere, BYPASS_PHRASE, BackupProof, Change, JobSpec, Outcome, Plan, WriteSpec};
use crate::problem::Problem;
use crate::session::{Ended, Event, LinkState, What};
use crate::tui::effect::{Act, Response, Task};
use crate::tui::keys::{self, Bind, KeyLine, bind};
use crate::tui::msg::{Done, Target};
use crate::tui::overlay::{Confirm, PickFile, Reader};
use crate::tui::shared::{BackupState, Shared};
use crate::tui::widgets::gauge::time_text;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Next,
    Image,
    Backup,
    Plan,
    Flash,
    Details,
    ProtectAfter,
    NoBackup,
    PutBack,
    Reboot,
}

const KEYS: &[Bind<Action>] = &[
    bind("enter", "next step", "The next step: image, backup, plan, then the question.", Action::Next),
    bind("o", "image…", "Choose the image to write.", Action::Image),
    bind("b", "back up", "Make a proven backup of this chip first.", Action::Backup),
    bind("p", "plan", "Look at the chip and make the plan; changes nothing.", Action::Plan),
    bind("f", "flash…", "Carry the plan out; asks for the last four characters of its hash.", Action::Flash),
    bind("i", "details", "The whole plan, or the whole report.", Action::Details),
    bind("a", "lock after", "Put the protection back after the write, or leave the chip open.", Action::ProtectAfter),
    bind("X", "no backup…", "Go without a backup; asks for a phrase.", Action::NoBackup),
    bind("R", "put back…", "Take the backup of this chip as the image: its plan puts the chip back.", Action::PutBack),
    bind("S", "start chip", "Let the new firmware start; the link is closed.", Action::Reboot),
];

/// What is missing for a plan, when nothing else is.
const NO_BACKUP: &str = "there is no proven backup of this chip: b makes one";

/// What is known about the write on this tab.
#[derive(Default)]
enum Stage {
    /// Nothing is planned.
    #[default]
    Idle,
    /// The chip is compared with the image, as there is no backup that a plan could be made with.
    Comparing,
    /// The chip holds the image already.
    There(Arc<AlreadyThere>),
    /// The plan is being made.
    Planning(WriteSpec),
    /// A rule said no.
    Refused(Problem),
    /// The plan is on the screen.
    Planned(WriteSpec, Arc<Plan>),
    /// It is carried out.
    Writing,
    /// It ended.
    Ended(Box<Ended>),
}

/// State of the tab.
#[derive(Default)]
pub struct Flash {
    stage: Stage,
    /// Chosen here; the settings decide until then.
    protect_after: Option<bool>,
}

impl Flash {
    fn protect_after(&self, cx: &Shared) -> bool {
        self.protect_after.unwrap_or(cx.settings.write.protect_after)
    }

    /// What is to be written, when all of it is known.
    fn spec(&self, cx: &Shared) -> Result<WriteSpec, &'static str> {
        let image = cx.image.as_deref().ok_or("choose an image first: o")?;
        if cx.session.identity.is_none() {
            return Err("connect first: 2");
        }
        let backup = match (&cx.backup, &cx.bypass) {
            (BackupState::Proven(known), _) => BackupProof::Proven(Arc::clone(&known.proof)),
            (_, Some(phrase)) => BackupProof::Bypassed(phrase.clone()),
            _ => return Err(NO_BACKUP),
        };
        // The backup of this very chip as the image: it is put back.
        let known = cx.backup.proven().filter(|known| known.proof.sha256 == image.firmware.sha256);
        Ok(WriteSpec {
            change: if known.is_some() { Change::Restore } else { Change::Image },
            name: image.name.clone(),
            at: known.map(|_| 0),
            image: Arc::clone(&image.bytes),
            backup,
            protect_after: self.protect_after(cx),
            // What an earlier write left is found, and the journal opened, where the job is started.
            interrupted: None,
            mac_lost: false,
        })
    }

    /// The look whether the image is on the chip already, which needs no backup; `None` where nothing can be compared.
    fn comparison(&self, cx: &Shared) -> Option<JobSpec> {
        let (image, identity) = (cx.image.as_deref()?, cx.session.identity.as_ref()?);
        let spec = WriteSpec {
            change: Change::Image,
            name: image.name.clone(),
            at: None,
            image: Arc::clone(&image.bytes),
            backup: BackupProof::None,
            protect_after: self.protect_after(cx),
            interrupted: None,
            mac_lost: false,
        };
        Some(JobSpec::AlreadyThere { spec, identity: Arc::clone(identity) })
    }

    fn plan(&mut self, cx: &Shared) -> Vec<Act> {
        if self.spec(cx).is_err()
            && let Some(look) = self.comparison(cx)
        {
            self.stage = Stage::Comparing;
            return vec![Act::start(look)];
        }
        match self.spec(cx) {
            Ok(spec) => {
                self.stage = Stage::Planning(spec.clone());
                vec![Act::start(JobSpec::Plan(spec))]
            }
            Err(why) => vec![Act::Say(why.to_owned())],
        }
    }

    /// The question before the write. Nothing but the typed characters agrees.
    fn ask(&self) -> Vec<Act> {
        let Stage::Planned(spec, plan) = &self.stage else {
            return vec![Act::Say("make the plan first: p".to_owned())];
        };
        if plan.is_empty() {
            return vec![Act::Say("nothing to do: the chip already holds this image".to_owned())];
        }
        let (spec, hash) = (spec.clone(), plan.hash.clone());
        let proof = match &spec.backup {
            BackupProof::Proven(_) => "A proven backup of this chip is there.",
            _ => "There is NO backup of this chip: what is on it now is lost for good.",
        };
        let text = vec![
            format!("{} → {}", plan.name, plan.span),
            plan.summary(),
            format!("About {}. {proof}", time_text(plan.time)),
            "If the power fails in the middle, connect again and flash the same image: what is already right is kept."
                .to_owned(),
        ];
        let confirm = Confirm::typed("Write to the chip?", text, plan.short_hash(), move |_| {
            vec![Act::start(JobSpec::Write { spec, agreed: hash, journal: None })]
        });
        vec![Act::Open(Box::new(confirm))]
    }

    /// The one step that is next.
    fn next(&mut self, cx: &Shared) -> Vec<Act> {
        if cx.image.is_none() {
            return PickFile::open(Target::Image, &cx.folder);
        }
        if cx.session.identity.is_none() {
            return vec![Act::Go(TabId::Connect)];
        }
        if cx.backup.proven().is_none() && cx.bypass.is_none() {
            return vec![Act::start(JobSpec::Backup(BackupSpec::default()))];
        }
        match self.stage {
            Stage::Planned(..) => self.ask(),
            Stage::Comparing | Stage::Planning(_) | Stage::Writing => Vec::new(),
            Stage::Idle | Stage::There(_) | Stage::Refused(_) | Stage::Ended(_) => self.plan(cx),
        }
    }

    fn details(&self) -> Vec<Act> {
        let text = match &self.stage {
            Stage::Planned(_, plan) => view::plan_text(plan),
            Stage::Ended(ended) => report::text(ended),
            Stage::Refused(problem) => vec![problem.to_string()],
            Stage::There(there) => view::there_text(there),
            _ => return vec![Act::Say("there is no plan yet".to_owned())],
        };
        vec![Act::Open(Box::new(Reader::new("Details", text)))]
    }

    /// A job of this tab ended.
    fn finished(&mut self, cx: &Shared, result: &Result<Outcome, Problem>) -> Vec<Act> {
        let Some(ended) = &cx.session.last else { return Vec::new() };
        match (std::mem::take(&mut self.stage), result) {
            (Stage::Comparing, Ok(Outcome::AlreadyThere(Some(there)))) => self.stage = Stage::There(Arc::clone(there)),
            (Stage::Comparing, Ok(_)) => return vec![Act::Say(NO_BACKUP.to_owned())],
            (Stage::Comparing, Err(_)) => {}
            (Stage::Planning(spec), Ok(Outcome::Planned(plan))) => self.stage = Stage::Planned(spec, Arc::clone(plan)),
            (Stage::Planning(_), Err(_)) if ended.job.title == "plan" && ended.cancelled() => {}
            (Stage::Planning(_), Err(problem)) if ended.job.title == "plan" => {
                self.stage = Stage::Refused(problem.clone())
            }
            (Stage::Writing, _) => self.stage = Stage::Ended(Box::new(ended.clone())),
            // The registers have changed under the plan.
            (Stage::Planned(..), Ok(Outcome::ProtectionSet { .. })) => {}
            (before, _) => self.stage = before,
        }
        Vec::new()
    }
}

impl Tab for Flash {
    fn id(&self) -> TabId {
        TabId::Flash
    }

    fn title(&self) -> &'static str {
        "Flash"
    }

    fn keys(&self) -> Vec<KeyLine> {
        keys::lines(KEYS)
    }

    fn hints(&self, cx: &Shared) -> Vec<KeyLine> {
        let actions: &[Action] = match &self.stage {
            Stage::Comparing | Stage::Planning(_) | Stage::Writing => &[],
            Stage::There(_) => &[Action::Details, Action::Image, Action::Backup],
            Stage::Planned(..) => &[Action::Flash, Action::Details, Action::ProtectAfter, Action::Image, Action::Plan],
            Stage::Ended(ended) if ended.result.is_ok() && cx.session.identity.is_some() => {
                &[Action::Reboot, Action::Details, Action::Image]
            }
            Stage::Ended(ended) if ended.result.is_ok() => &[Action::Details, Action::Image],
            Stage::Ended(_) => &[Action::Plan, Action::PutBack, Action::Details, Action::Image],
            _ if cx.image.is_none() => &[Action::Image, Action::Backup, Action::Next],
            _ if cx.backup.proven().is_none() && cx.bypass.is_none() => {
                &[Action::Backup, Action::Image, Action::NoBackup, Action::Next]
            }
            _ => &[Action::Plan, Action::Image, Action::ProtectAfter, Action::Details],
        };
        keys::hints(KEYS, actions)
    }

    fn key(&mut self, key: KeyEvent, cx: &Shared) -> Response {
        let Some(action) = keys::find(KEYS, &key) else { return Response::Ignored };
        Response::Taken(match action {
            Action::Next => self.next(cx),
            Action::Image => PickFile::open(Target::Image, &cx.folder),
            Action::Backup => vec![Act::start(JobSpec::Backup(BackupSpec::default()))],
            Action::Plan => self.plan(cx),
            Action::Flash => self.ask(),
            Action::Details => self.details(),
            Action::ProtectAfter => {
                self.protect_after = Some(!self.protect_after(cx));
                // Part of what is agreed to, so the plan is made again.
                if matches!(self.stage, Stage::Planned(..)) { self.plan(cx) } else { Vec::new() }
            }
            Action::NoBackup => {
                let text = vec![
                    "Without a backup the factory firmware, its pin map and the keys of this very chip cannot be brought back.".to_owned(),
                    "The phrase counts until the link is closed, and is recorded in the report.".to_owned(),
                ];
                let then = |phrase| vec![Act::Bypass(phrase)];
                vec![Act::Open(Box::new(Confirm::typed("Go without a backup?", text, BYPASS_PHRASE, then)))]
            }
            Action::PutBack => match cx.backup.proven() {
                Some(known) => vec![Act::work(Task::TakeBackup(Arc::clone(known)))],
                None => vec![Act::Say("there is no proven backup of this chip: b makes one".to_owned())],
            },
            Action::Reboot => vec![Act::start(JobSpec::Reboot)],
        })
    }

    fn heard(&mut self, event: &Event, cx: &Shared) -> Vec<Act> {
        match &event.what {
            What::Started { title, .. } if ["write", "restore"].contains(title) => self.stage = Stage::Writing,
            What::Finished { result, .. } => return self.finished(cx, result),
            What::Crashed(problem) => return self.finished(cx, &Err(problem.clone())),
            What::Refused { .. } if matches!(self.stage, Stage::Comparing | Stage::Planning(_)) => {
                self.stage = Stage::Idle;
            }
            What::Link(LinkState::Opening(_) | LinkState::Closed | LinkState::Lost(_))
                if matches!(self.stage, Stage::There(_) | Stage::Planned(..) | Stage::Refused(_)) =>
            {
                self.stage = Stage::Idle;
            }
            _ => {}
        }
        Vec::new()
    }

    fn done(&mut self, done: &Done, cx: &Shared) -> Vec<Act> {
        match done {
            Done::Loaded(Target::Image, Ok(_)) => {
                self.stage = Stage::Idle;
                // Choosing an image is the wish to see its plan; where something is missing the tab says what.
                if self.spec(cx).is_ok() && !cx.session.busy() { self.plan(cx) } else { Vec::new() }
            }
            _ => Vec::new(),
        }
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        match &self.stage {
            Stage::Ended(ended) => report::draw(ended, area, buf, cx),
            _ => view::draw(self, area, buf, cx),
        }
    }
}
