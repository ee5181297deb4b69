//! Tab 5: image, plan, agreement, progress, proof.

mod report;
mod view;

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Tab, TabId};
use crate::job::backup::BackupSpec;
use crate::job::{
    AlreadyThere, BYPASS_PHRASE, BackupProof, CONSENT_PHRASE, Intent, JobSpec, Outcome, PrepareSpec, Prepared, Ready,
    Refusal, STRONG_CONSENT_PHRASE, chip_phrase,
};
use crate::problem::Problem;
use crate::session::{Ended, Event, LinkState, What};
use crate::tui::effect::{Act, Response, Task};
use crate::tui::keys::{self, Bind, KeyLine, bind};
use crate::tui::msg::{Done, Target};
use crate::tui::overlay::{Confirm, PickFile, Reader};
use crate::tui::shared::Shared;
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
    bind(
        "p",
        "plan",
        "Look at the chip, back it up where it is not, and make the plan; changes nothing.",
        Action::Plan,
    ),
    bind("f", "flash…", "Carry the plan out; asks for the last four characters of its hash.", Action::Flash),
    bind("i", "details", "The whole plan, or the whole report.", Action::Details),
    bind("a", "lock after", "Put the protection back after the write, or leave the chip open.", Action::ProtectAfter),
    bind("X", "no backup…", "Go without a backup; asks for a phrase.", Action::NoBackup),
    bind("R", "put back…", "Take the backup of this chip as the image: its plan puts the chip back.", Action::PutBack),
    bind("S", "start chip", "Let the new firmware start; the link is closed.", Action::Reboot),
];

/// Titles of the jobs that carry a plan out.
const WRITES: [&str; 5] = ["write", "erase", "restore", "rebuild RF block", "configure"];

/// What is known about the write on this tab.
#[derive(Default)]
enum Stage {
    /// Nothing is planned.
    #[default]
    Idle,
    /// The chip holds the image already.
    There(Arc<AlreadyThere>),
    /// The chip is looked at, backed up where it is not, and the plan is being made.
    Planning(Box<PrepareSpec>),
    /// A rule said no.
    Refused(Problem),
    /// The plan is on the screen.
    Planned(Box<Ready>),
    /// It is carried out.
    Writing,
    /// It ended.
    Ended(Box<Ended>),
}

/// State of the tab.
#[derive(Default)]
pub struct Flash {
    stage: Stage,
    /// What a plan was asked for; it is being made once its job has started, which may be refused.
    asked: Option<Box<PrepareSpec>>,
    /// Chosen here; the settings decide until then.
    protect_after: Option<bool>,
}

impl Flash {
    fn protect_after(&self, cx: &Shared) -> bool {
        self.protect_after.unwrap_or(cx.settings.write.protect_after)
    }

    /// What is to be prepared: the write that was cut off, the backup of this very chip, or the image.
    fn wish(&self, cx: &Shared) -> Result<PrepareSpec, &'static str> {
        if cx.session.identity.is_none() {
            return Err("connect first: 2");
        }
        let intent = if cx.resuming {
            Intent::Resume
        } else {
            let image = cx.image.as_deref().ok_or("choose an image first: o")?;
            let (name, bytes) = (image.name.clone(), Arc::clone(&image.bytes));
            match cx.backup.proven().filter(|known| known.proof.sha256 == image.firmware.sha256) {
                Some(known) => Intent::Restore { backup: Arc::clone(&known.proof), mac_lost: false },
                None => Intent::Image { name, at: None, image: bytes, settings: None },
            }
        };
        let protect_after = (!cx.resuming || self.protect_after.is_some()).then(|| self.protect_after(cx));
        let (phrase, shelf) = (cx.bypass.clone().filter(|_| cx.backup.proven().is_none()), cx.shelf.clone());
        Ok(PrepareSpec { intent, protect_after, phrase, consent: None, chip_phrase: None, always_plan: false, shelf })
    }

    fn plan(&mut self, cx: &Shared) -> Vec<Act> {
        match self.wish(cx) {
            Ok(spec) => self.prepare(spec),
            Err(why) => vec![Act::Say(why.to_owned())],
        }
    }

    fn prepare(&mut self, spec: PrepareSpec) -> Vec<Act> {
        self.asked = Some(Box::new(spec.clone()));
        vec![Act::start(JobSpec::Prepare(spec))]
    }

    /// Asks a person to vouch for a backup whose content does not show that it is this chip's.
    fn ask_consent(spec: &PrepareSpec, problem: &Problem) -> Vec<Act> {
        let strong = problem.remedy.contains(STRONG_CONSENT_PHRASE);
        let phrase = if strong { STRONG_CONSENT_PHRASE } else { CONSENT_PHRASE };
        let text =
            vec![problem.what.clone(), problem.cause.clone(), "The phrase is recorded in the report.".to_owned()];
        let spec = spec.clone();
        let then = move |typed| vec![Act::start(JobSpec::Prepare(PrepareSpec { consent: Some(typed), ..spec }))];
        vec![Act::Open(Box::new(Confirm::typed("Is this backup of this chip?", text, phrase, then)))]
    }

    /// Asks which chip an erased one is: the one that the image is for, and nothing else is offered.
    fn ask_chip(spec: &PrepareSpec, problem: &Problem, cx: &Shared) -> Vec<Act> {
        let Some(chip) = cx.image.as_deref().and_then(|image| image.firmware.family) else { return Vec::new() };
        let text = vec![
            problem.what.clone(),
            format!(
                "The image is for {chip}. Read the name off the module's chip; on another one the image never starts."
            ),
            "The phrase counts for this plan, and its report says so.".to_owned(),
        ];
        let (spec, phrase) = (spec.clone(), chip_phrase(chip));
        let then = move |typed| vec![Act::start(JobSpec::Prepare(PrepareSpec { chip_phrase: Some(typed), ..spec }))];
        vec![Act::Open(Box::new(Confirm::typed("Which chip is this?", text, &phrase, then)))]
    }

    /// The question before the write. Nothing but the typed characters agrees.
    fn ask(&self) -> Vec<Act> {
        let Stage::Planned(ready) = &self.stage else {
            return vec![Act::Say("make the plan first: p".to_owned())];
        };
        let Ready { spec, plan, journal, .. } = &**ready;
        if plan.is_empty() {
            return vec![Act::Say("nothing to do: the chip already holds this image".to_owned())];
        }
        let (spec, hash, journal) = (spec.clone(), plan.hash.clone(), Some(journal.clone()));
        let proof = match &spec.backup {
            BackupProof::Proven(_) => "A proven backup of this chip is there.",
            _ => "There is NO backup of this chip: what is on it now is lost for good.",
        };
        let text = vec![
            format!("{} → {}", plan.name, plan.span),
            plan.summary(),
            format!("About {}. {proof}", time_text(plan.time)),
            "If the power fails in the middle, connect again: the workbench offers to go on, and interrupted sectors are \
             erased again."
                .to_owned(),
        ];
        let confirm = Confirm::typed("Write to the chip?", text, plan.short_hash(), move |_| {
            vec![Act::start(JobSpec::Write { spec, agreed: hash, journal })]
        });
        vec![Act::Open(Box::new(confirm))]
    }

    /// The one step that is next.
    fn next(&mut self, cx: &Shared) -> Vec<Act> {
        if cx.image.is_none() && !cx.resuming {
            return PickFile::open(Target::Image, &cx.folder);
        }
        if cx.session.identity.is_none() {
            return vec![Act::Go(TabId::Connect)];
        }
        if cx.backup.proven().is_none() && cx.bypass.is_none() && !cx.resuming {
            return vec![Act::start(JobSpec::Backup(BackupSpec::default()))];
        }
        match self.stage {
            Stage::Planned(..) => self.ask(),
            Stage::Planning(_) | Stage::Writing => Vec::new(),
            Stage::Idle | Stage::There(_) | Stage::Refused(_) | Stage::Ended(_) => self.plan(cx),
        }
    }

    fn details(&self, cx: &Shared) -> Vec<Act> {
        let text = match &self.stage {
            Stage::Planned(ready) => view::plan_text(&ready.plan),
            Stage::Ended(ended) => report::text(ended, cx),
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
            (Stage::Planning(_), Ok(Outcome::Prepared(Prepared::AlreadyThere(there)))) => {
                self.stage = Stage::There(Arc::clone(there));
            }
            (Stage::Planning(_), Ok(Outcome::Prepared(Prepared::NothingUnfinished))) => {
                return vec![Act::NothingUnfinished, Act::Say("no write of this chip is unfinished".to_owned())];
            }
            (Stage::Planning(_), Ok(Outcome::Prepared(Prepared::Ready(ready)))) => {
                self.stage = Stage::Planned(ready.clone());
            }
            (Stage::Planning(_), Err(_)) if ended.job.title == "plan" && ended.cancelled() => {}
            (Stage::Planning(spec), Err(problem)) if ended.job.title == "plan" => {
                self.stage = Stage::Refused(problem.clone());
                if problem.code == Refusal::CONSENT_NEEDED && spec.consent.is_none() {
                    return Self::ask_consent(&spec, problem);
                }
                if problem.code == Refusal::CHIP_NEEDED && spec.chip_phrase.is_none() {
                    return Self::ask_chip(&spec, problem, cx);
                }
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
            Stage::Planning(_) | Stage::Writing => &[],
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
            Action::Details => self.details(cx),
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
            What::Started { title, .. } if WRITES.contains(title) => self.stage = Stage::Writing,
            What::Started { title: "plan", .. } => {
                // Asked for by an overlay of this tab: consent was typed.
                let asked = self.asked.take().or_else(|| self.wish(cx).ok().map(Box::new));
                if let Some(spec) = asked {
                    self.stage = Stage::Planning(spec);
                }
            }
            What::Finished { result, .. } => return self.finished(cx, result),
            What::Crashed(problem) => return self.finished(cx, &Err(problem.clone())),
            // Another job runs: what is on the screen is still true.
            What::Refused { .. } => self.asked = None,
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
            // What is being written stays on the screen; the image waits for its turn.
            Done::Loaded(Target::Image, Ok(_)) if matches!(self.stage, Stage::Writing) => Vec::new(),
            Done::Loaded(Target::Image, Ok(_)) => {
                self.stage = Stage::Idle;
                // Choosing an image is the wish to see its plan; where something is missing the tab says what.
                let backed = cx.backup.proven().is_some() || cx.bypass.is_some();
                if backed && self.wish(cx).is_ok() && !cx.session.busy() { self.plan(cx) } else { Vec::new() }
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
