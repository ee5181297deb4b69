//! Tab 6: what the pins of the open dump do, why, and the template for OpenBeken made of it.

mod view;

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Tab, TabId};
use crate::image::inspect::{self, Choice, Inspection};
use crate::image::kind::{self, Kind};
use crate::image::template::lint::{self, Checked};
use crate::image::template::public::PublicList;
use crate::image::template::{Difference, Template};
use crate::problem::Explain;
use crate::tui::effect::{Act, Response, Task};
use crate::tui::keys::{self, Bind, KeyLine, bind};
use crate::tui::msg::{Done, Target};
use crate::tui::overlay::{PickFile, ProblemBox, QrCode, Reader, SaveAs};
use crate::tui::shared::{OpenFile, Shared, Step};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Why,
    Whole,
    Mapping,
    Save,
    Copy,
    Qr,
    Check,
    Similar,
    Points,
    Script,
    Esphome,
    SaveEsphome,
    Open,
    Backup,
    Up,
    Down,
    PageUp,
    PageDown,
    Clear,
}

const KEYS: &[Bind<Action>] = &[
    bind("w", "save…", "Save the template to a new file.", Action::Save),
    bind("y", "copy", "Put the template on the terminal's clipboard; works over SSH.", Action::Copy),
    bind("Q", "QR code", "Show the template as a QR code.", Action::Qr),
    bind("m", "mapping", "Whose rules make the template: recommended, desktop flasher, web importer.", Action::Mapping),
    bind("enter", "why", "Why this pin has its role, and what the importers make of it.", Action::Why),
    bind("t", "template", "The whole template as text.", Action::Whole),
    bind(
        "c",
        "check…",
        "Check the text of a template against this device; or paste one here, or a pin map.",
        Action::Check,
    ),
    bind(
        "f",
        "similar…",
        "Public devices with these pins, from a list: devices.json of OpenBeken's web app.",
        Action::Similar,
    ),
    bind("d", "data points", "The data points of a TuyaMCU device, and OpenBeken's script for them.", Action::Points),
    bind("D", "save script…", "Save OpenBeken's script for the data points as autoexec.bat.", Action::Script),
    bind("e", "ESPHome", "The ESPHome configuration made of the dump, with a reason in every line.", Action::Esphome),
    bind("E", "save ESPHome…", "Save the ESPHome configuration to a new file.", Action::SaveEsphome),
    bind("o", "open…", "Open a dump.", Action::Open),
    bind("b", "backup", "Take the backup of the connected chip.", Action::Backup),
    bind("up k", "up", "To the pin above.", Action::Up),
    bind("down j", "down", "To the pin below.", Action::Down),
    bind("pgup", "page up", "One page up.", Action::PageUp),
    bind("pgdn space", "page down", "One page down.", Action::PageDown),
    bind("esc", "clear", "Put the result of a check, or a pasted pin map, away.", Action::Clear),
];

/// What an open file holds.
struct Found {
    file: Arc<OpenFile>,
    inspection: Arc<Inspection>,
    choice: Choice,
}

impl Found {
    fn template(&self) -> Option<&Template> {
        self.inspection.template_of(self.choice)
    }

    /// What the importers make of a pin, where they differ from what is recommended.
    fn difference(&self, pin: u8) -> Option<&Difference> {
        let made = matches!(self.choice, Choice::By(_));
        self.inspection.template_differences.iter().find(|difference| made && difference.pin == pin)
    }

    /// The template as it is saved and copied.
    fn text(&self) -> Option<String> {
        Some(format!("{:#}\n", self.template()?.to_database_entry(self.inspection.device_name())))
    }
}

/// State of the tab.
#[derive(Default)]
pub struct Config {
    found: Option<Found>,
    row: usize,
    /// A text that was given to be checked, and what came of it.
    checked: Option<Given>,
    /// A pin map that was pasted or picked as text; it stands in front of the open file.
    pasted: Option<Found>,
    /// Rows of the list as last drawn.
    page: Cell<usize>,
}

/// A text that was given to be checked.
struct Given {
    name: String,
    /// The checked template, or why the text is none.
    result: Result<Checked, String>,
    /// The first row shown.
    top: usize,
    /// Rows in all and rows on the screen, as last drawn.
    drawn: Cell<(usize, usize)>,
}

impl Config {
    /// What the open file or the pasted text holds, once it was looked through.
    fn current(&self, cx: &Shared) -> Option<&Found> {
        let open = || {
            let file = cx.dump.as_ref()?;
            self.found.as_ref().filter(|found| Arc::ptr_eq(&found.file, file))
        };
        self.pasted.as_ref().or_else(open)
    }

    /// Takes a text by what it is: a template is checked, a pin map becomes one.
    fn take(&mut self, name: &str, bytes: &[u8]) {
        let result = match kind::recognise(bytes) {
            Kind::PinText | Kind::DeviceJson => {
                let file = Arc::new(OpenFile::new(Path::new(name), bytes.into(), None));
                let inspection = Arc::new(inspect::inspect(bytes));
                let choice = inspection.choices().first().copied().unwrap_or(Choice::ALL[0]);
                self.pasted = Some(Found { file, inspection, choice });
                (self.checked, self.row) = (None, 0);
                return;
            }
            Kind::Template => {
                let found = self.pasted.as_ref().or(self.found.as_ref());
                let factory = found.and_then(|found| found.inspection.template_recommended.as_ref());
                Ok(lint::check(&String::from_utf8_lossy(bytes), factory))
            }
            Kind::Unknown => Err("It is neither a template nor a pin map.".to_owned()),
            other => Err(format!("It is a {}, not a template. o opens it.", other.name())),
        };
        self.checked = Some(Given { name: name.to_owned(), result, top: 0, drawn: Cell::new((0, 1)) });
    }

    /// Moves in the result of a check.
    fn scroll(&mut self, action: Action) {
        let Some(given) = &mut self.checked else { return };
        let (rows, shown) = given.drawn.get();
        given.top = match action {
            Action::Up => given.top.saturating_sub(1),
            Action::PageUp => given.top.saturating_sub(shown),
            Action::PageDown => given.top + shown,
            _ => given.top + 1,
        }
        .min(rows.saturating_sub(shown));
    }

    fn switch(&mut self) {
        let Some(found) = self.pasted.as_mut().or(self.found.as_mut()) else { return };
        let choices = found.inspection.choices();
        let next = choices.iter().position(|choice| *choice == found.choice).map_or(0, |at| at + 1);
        found.choice = choices.get(next).or(choices.first()).copied().unwrap_or(found.choice);
        self.row = 0;
    }

    /// Shows or saves what is made of a dump besides the template.
    fn made(&self, action: Action, cx: &Shared) -> Vec<Act> {
        let Some(found) = self.current(cx) else { return vec![Act::Say("open a dump first: o".to_owned())] };
        let (inspection, name) = (&found.inspection, stem(&found.file.name));
        let script = inspection.script().map(|script| script.autoexec());
        let points = || [inspection.data_point_lines(), vec![String::new()], lines(script.clone().unwrap_or_default())];
        let reader = |title: &'static str, text: Vec<String>| vec![Act::Open(Box::new(Reader::new(title, text)))];
        let save = |title: &'static str, file: &str, text: String| {
            vec![Act::Open(Box::new(SaveAs::new(title, &cx.folder, file, text.into_bytes().into())))]
        };
        let nothing = |what: &str| vec![Act::Say(what.to_owned())];
        match (action, script.clone(), inspection.esphome()) {
            (Action::Points, None, _) if inspection.data_point_lines().is_empty() => {
                nothing("there are no data points in this file")
            }
            (Action::Points, ..) => reader("Data points", points().concat()),
            (Action::Script, Some(text), _) => save("Save the script", "autoexec.bat", text),
            (Action::Script, None, _) => nothing("there is no script: no second processor has this device's pins"),
            (Action::Esphome, _, Some(text)) => reader("ESPHome", lines(text)),
            (_, _, Some(text)) => save("Save the ESPHome configuration", &format!("{name}.yaml"), text),
            (..) => nothing("there is no ESPHome configuration: this file names neither pins nor data points"),
        }
    }

    /// Saves, copies or shows the template.
    fn export(&self, action: Action, cx: &Shared) -> Vec<Act> {
        let nothing = || vec![Act::Say("there is no template: this file names no pins".to_owned())];
        let Some((found, template)) = self.current(cx).and_then(|found| Some((found, found.template()?))) else {
            return nothing();
        };
        let text = found.text().unwrap_or_default();
        let name = found.inspection.device_name();
        match action {
            Action::Save => {
                let file = format!("{}-template.json", stem(&found.file.name));
                let bytes = text.into_bytes().into();
                vec![Act::Open(Box::new(SaveAs::new("Save the template", &cx.folder, &file, bytes)))]
            }
            Action::Copy => vec![
                Act::Effect(crate::tui::effect::Effect::Copy(text)),
                Act::Say("sent to the terminal's clipboard; tmux passes it on with set-clipboard on".to_owned()),
            ],
            Action::Qr => vec![Act::Open(Box::new(QrCode::new(template.clone(), name)))],
            _ => vec![Act::Open(Box::new(Reader::new("Template", text.lines().map(str::to_owned).collect())))],
        }
    }
}

fn lines(text: String) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// The name of a file without its ending.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

impl Tab for Config {
    fn id(&self) -> TabId {
        TabId::Config
    }

    fn title(&self) -> &'static str {
        "Config"
    }

    fn keys(&self) -> Vec<KeyLine> {
        keys::lines(KEYS)
    }

    fn hints(&self, cx: &Shared) -> Vec<KeyLine> {
        let actions: &[Action] = match self.current(cx) {
            _ if self.checked.is_some() => &[Action::Clear, Action::Down, Action::PageDown, Action::Check],
            Some(_) if self.pasted.is_some() => {
                &[Action::Clear, Action::Save, Action::Copy, Action::Qr, Action::Mapping, Action::Similar, Action::Why]
            }
            Some(found) if found.template().is_some() => {
                &[Action::Save, Action::Copy, Action::Qr, Action::Mapping, Action::Similar, Action::Why, Action::Check]
            }
            _ => &[Action::Open, Action::Backup, Action::Check],
        };
        keys::hints(KEYS, actions)
    }

    fn paste(&mut self, text: &str) {
        self.take("the pasted text", text.as_bytes());
    }

    fn key(&mut self, key: KeyEvent, cx: &Shared) -> Response {
        let Some(action) = keys::find(KEYS, &key) else { return Response::Ignored };
        let last = self.current(cx).and_then(Found::template).map_or(0, |template| template.lines.len().max(1) - 1);
        let page = self.page.get().max(1);
        match action {
            Action::Open => return Response::Taken(PickFile::open(Target::Dump, &cx.folder)),
            Action::Check => return Response::Taken(PickFile::open(Target::Template, &cx.folder)),
            Action::Similar => {
                let list = &cx.settings.paths.devices;
                return Response::Taken(match self.current(cx).and_then(Found::template) {
                    None => vec![Act::Say("open a dump that names pins first: o".to_owned())],
                    Some(_) if list.is_empty() => PickFile::open(Target::List, &cx.folder),
                    Some(_) => vec![Act::work(Task::Load(Target::List, list.into()))],
                });
            }
            Action::Backup => {
                return Response::act(match cx.backup.proven() {
                    Some(known) => Act::work(Task::ShowBackup(Arc::clone(known))),
                    None => Act::Say("there is no proven backup of a connected chip; 2, then b makes one".to_owned()),
                });
            }
            Action::Save | Action::Copy | Action::Qr | Action::Whole => {
                return Response::Taken(self.export(action, cx));
            }
            Action::Points | Action::Script | Action::Esphome | Action::SaveEsphome => {
                return Response::Taken(self.made(action, cx));
            }
            Action::Why => {
                let text = self.current(cx).map(|found| view::why(found, self.row)).unwrap_or_default();
                return if text.is_empty() {
                    Response::nothing()
                } else {
                    Response::act(Act::Open(Box::new(Reader::new("Why", text))))
                };
            }
            Action::Mapping => self.switch(),
            Action::Up | Action::Down | Action::PageUp | Action::PageDown if self.checked.is_some() => {
                self.scroll(action)
            }
            Action::Up => self.row = self.row.saturating_sub(1),
            Action::Down => self.row = (self.row + 1).min(last),
            Action::PageUp => self.row = self.row.saturating_sub(page),
            Action::PageDown => self.row = (self.row + page).min(last),
            Action::Clear if self.checked.is_some() => self.checked = None,
            Action::Clear if self.pasted.is_some() => (self.pasted, self.row) = (None, 0),
            Action::Clear => return Response::Ignored,
        }
        Response::act(Act::Journey(Step::Read, true))
    }

    fn done(&mut self, done: &Done, cx: &Shared) -> Vec<Act> {
        match done {
            Done::Loaded(Target::Dump, Ok(_)) | Done::Saved { .. } => {
                self.row = 0;
                (self.checked, self.pasted) = (None, None);
                cx.dump.iter().map(|file| Act::work(Task::Inspect(Arc::clone(file)))).collect()
            }
            Done::Inspected(file, inspection) => {
                let choice = inspection.choices().first().copied().unwrap_or(Choice::ALL[0]);
                self.found = Some(Found { file: Arc::clone(file), inspection: Arc::clone(inspection), choice });
                Vec::new()
            }
            Done::Loaded(Target::List, Ok(file)) => {
                let template = self.current(cx).and_then(Found::template);
                let similar = |list: PublicList| {
                    let similar = template.map(|template| list.similar(template)).unwrap_or_default();
                    list.lines(&similar)
                };
                vec![Act::Open(match PublicList::parse(&file.bytes).map(similar) {
                    Ok(lines) => Box::new(Reader::new("Similar devices", lines)),
                    Err(error) => Box::new(ProblemBox::new("similar devices", error.explain())),
                })]
            }
            Done::Loaded(Target::Template, Ok(file)) => {
                self.take(&file.name, &file.bytes);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        view::draw(self, area, buf, cx);
    }
}
