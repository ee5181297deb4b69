//! `template`: from a dump to an OpenBeken template, and the check of a template's text.

use std::io::IsTerminal;
use std::path::Path;

use serde_json::{Value, json};

use super::files::{name, read, to_json};
use super::{Context, Failure};
use crate::image::finding::Severity;
use crate::image::inspect::{self, Choice, Inspection};
use crate::image::kind::{self, Kind};
use crate::image::template::lint::{self, Checked};
use crate::image::template::public::PublicList;
use crate::image::template::qr::{self, Fitting, Look, Unfit};
use crate::image::template::{Mapping, Template};
use crate::image::text;
use crate::problem::{Class, Explain, Problem};
use crate::store;
use crate::units::is_utf8;

/// What is wished for besides the template itself.
#[derive(Clone, Copy, Default)]
pub(super) struct Wishes<'a> {
    /// Write it to this file.
    pub output: Option<&'a Path>,
    /// Show it as a QR code.
    pub qr: bool,
    /// Look for devices like it in this list.
    pub list: Option<&'a Path>,
}

/// `template FILE`
pub(super) fn template(context: &Context, file: &Path, choice: Choice, wishes: Wishes<'_>) -> Result<(), Failure> {
    let bytes = read(file)?;
    let Wishes { output, qr, list } = wishes;
    let given = kind::recognise(&bytes) == Kind::Template;
    if given && output.is_none() && !qr && list.is_none() {
        return check(context, None, file);
    }
    if let Some(output) = output {
        store::must_be_new(output).map_err(Problem::from)?;
    }
    if list.is_some_and(|list| list.as_os_str().is_empty()) {
        return Err(no_list().into());
    }
    let found = inspect::inspect(&bytes);
    // A template is its own, whatever rules would make one.
    let choice = if given { Choice::Given } else { choice };
    let chosen = found.template_of(choice).ok_or_else(|| nothing(&found, choice))?;
    let list = list.map(read_list).transpose()?;
    let similar = list.as_ref().map(|list| list.similar(chosen));
    let own_name = text::device_name(&bytes);
    let device = found.device_name().or(own_name.as_deref());
    let code = if qr { Some(code_of(chosen, device)?) } else { None };
    let entry = chosen.to_database_entry(device);
    if let Some(output) = output {
        store::write_new(output, format!("{entry:#}\n").as_bytes()).map_err(Problem::from)?;
    }
    let tuya = found.tuya.as_ref();
    let mut document = json!({
        "file": name(file),
        "mapping": choice.name(),
        "source": tuya.and_then(|tuya| tuya.user_param_key_source),
        "template": entry,
        "lines": to_json(&chosen.lines)?,
        "notes": chosen.notes,
        "differences": to_json(&found.template_differences)?,
        "problems": to_json(&found.problems)?,
        "output": output.map(|output| output.display().to_string()),
    });
    if let Some((fitting, look)) = &code {
        document["qr"] = json!({"holds": fitting.holds.words(), "modules": fitting.code.size(), "rows": fitting.code.rows(fitting.quiet, *look)});
    }
    if let (Some(list), Some(similar)) = (&list, &similar) {
        document["list"] = json!({"devices": list.len(), "unusable": list.unusable});
        document["similar"] = to_json(similar)?;
    }
    context.out.result(document, || {
        if let Some((fitting, look)) = &code {
            context.out.say_aside(format!("holds {}; scan it on a dark ground", fitting.holds.words()));
            return fitting.code.rows(fitting.quiet, *look).join("\n");
        }
        let mut lines = vec![format!("{entry:#}"), String::new()];
        lines.extend(chosen.lines.iter().map(|line| format!("P{:<3} {:<18} {}", line.pin, line.value(), line.reason)));
        if choice == Choice::By(Mapping::Recommended) {
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            lines.extend(found.template_differences.iter().map(|difference| {
                let (gui, web) = (shown(&difference.gui), shown(&difference.web));
                format!("P{:<3} importers differ: desktop flasher {gui}, web importer {web}", difference.pin)
            }));
        }
        lines.extend(chosen.notes.iter().map(|note| format!("note: {note}")));
        lines.extend(found.problems.iter().map(|problem| format!("{}: {}", problem.code, problem.what)));
        lines.extend(
            list.iter().zip(&similar).flat_map(|(list, similar)| [vec![String::new()], list.lines(similar)].concat()),
        );
        lines.extend(output.map(|output| format!("written to {}", output.display())));
        lines.push("a module comes up with these pins by `bkbench write IMAGE --config FILE`".to_owned());
        lines.join("\n")
    });
    Ok(())
}

/// The QR code of a template, as much as the terminal can show; all of it where there is no terminal.
fn code_of(template: &Template, name: Option<&str>) -> Result<(Fitting, Look), Problem> {
    let utf8 = is_utf8(["LC_ALL", "LC_CTYPE", "LANG"].map(|name| std::env::var(name).ok()));
    let look = if utf8 { Look::Half } else { Look::Plain };
    let window = std::io::stdout().is_terminal().then(crossterm::terminal::size).and_then(Result::ok);
    let room = window
        .map_or((usize::MAX, usize::MAX), |(columns, rows)| (columns.into(), usize::from(rows).saturating_sub(1)));
    match qr::fit(template, name, look, room) {
        Ok(fitting) => Ok((fitting, look)),
        Err(unfit) => Err(match unfit {
            Unfit::Window(columns, rows) => Problem::new(
                Class::Usage,
                "E768",
                format!(
                    "the QR code takes {columns} columns and {} rows; the terminal has {} and {}",
                    rows + 1,
                    room.0,
                    room.1 + 1
                ),
                "a code that scrolls out of sight cannot be scanned",
                "enlarge the terminal, make its font smaller, or write the template to a file with -o",
            ),
            Unfit::Text => Problem::new(
                Class::Usage,
                "E769",
                "the template is longer than any QR code can hold",
                "a QR code holds 2953 bytes at most",
                "write the template to a file with -o",
            ),
        }),
    }
}

/// Reads a list of devices, and says so where the file is something else that can be named.
fn read_list(path: &Path) -> Result<PublicList, Problem> {
    let bytes = read(path)?;
    match kind::recognise(&bytes) {
        kind @ (Kind::PinText | Kind::DeviceJson | Kind::Template) => Err(Problem::new(
            Class::Usage,
            "E778",
            format!("{} is a {}, not a list of devices", name(path), kind.name()),
            "--match compares with many devices",
            WANTED_LIST,
        )),
        _ => PublicList::parse(&bytes).map_err(|error| error.explain()),
    }
}

/// Where a list of devices comes from.
const WANTED_LIST: &str = "download devices.json of OpenBeken's web app (github.com/OpenBekenIOT/webapp), then give \
                           `--match devices.json`; put it into the data folder once, and `--match` alone finds it";

fn no_list() -> Problem {
    Problem::new(
        Class::Usage,
        "E779",
        "--match needs a list of devices, and there is none",
        "the settings name none, and there is no devices.json in the data folder",
        WANTED_LIST,
    )
}

pub(super) fn nothing(found: &Inspection, choice: Choice) -> Problem {
    if choice == Choice::Configured {
        return Problem::new(
            Class::Usage,
            "E770",
            format!("no OpenBeken configuration in this file ({})", found.kind.name()),
            "the module did not run OpenBeken when the dump was made, or never saved its configuration",
            "leave --mapping out to make a template from the factory firmware's pin map",
        );
    }
    let store = match &found.tuya {
        Some(tuya) => format!("its Tuya data holds {} keys, but no pin map", tuya.keys.len()),
        None => "it holds no Tuya data".to_owned(),
    };
    Problem::new(
        Class::Usage,
        "E730",
        format!("no pin map in this file ({})", found.kind.name()),
        format!("{store}; store, file area, application and plain text were searched"),
        found.without_pins(),
    )
}

/// `template --check TEXT`, against a dump where there is one.
pub(super) fn check(context: &Context, dump: Option<&Path>, file: &Path) -> Result<(), Failure> {
    let found = dump.map(read).transpose()?.map(|bytes| inspect::inspect(&bytes));
    let factory = found.as_ref().and_then(|found| found.template_recommended.as_ref());
    if let (Some(found), None) = (&found, factory) {
        return Err(nothing(found, Choice::By(Mapping::Recommended)).into());
    }
    let bytes = read(file)?;
    if let other @ (Kind::PinText | Kind::DeviceJson | Kind::DeviceList) = kind::recognise(&bytes) {
        return Err(Problem::new(
            Class::Usage,
            "E777",
            format!("{} is a {}, not a template", name(file), other.name()),
            "only the text of a template can be checked",
            "give it to `bkbench template` alone: that makes a template of it",
        )
        .into());
    }
    let written = String::from_utf8_lossy(&bytes);
    let checked = lint::check(&written, factory);
    let mut document = json!({"file": name(file), "usable": checked.is_usable()});
    if let (Some(document), Some(fields)) = (document.as_object_mut(), to_json(&checked)?.as_object()) {
        document.extend(fields.clone());
    }
    if checked.is_usable() {
        context.out.result(document, || as_text(&checked));
        return Ok(());
    }
    if !context.out.json {
        context.out.result(Value::Null, || as_text(&checked));
    }
    let problem = Problem::new(
        Class::Usage,
        "E774",
        format!("the template {} is not usable as it stands", file.display()),
        "OpenBeken would refuse it, or set other pins than it names",
        "correct what is marked as an error",
    );
    Err(Failure { problem, aside: Some(Box::new(document)) })
}

fn as_text(checked: &Checked) -> String {
    let mut lines: Vec<String> = checked
        .lints
        .iter()
        .map(|lint| {
            let severity = if lint.severity == Severity::Error { "error" } else { "warning" };
            format!("line {}, column {}: {severity}: {}; {}", lint.line, lint.column, lint.what, lint.remedy)
        })
        .collect();
    lines.push(match (checked.lints.len(), checked.is_usable()) {
        (0, _) => format!("{} pins, nothing to complain about", checked.pins.len()),
        (_, true) => "usable; look at the warnings".to_owned(),
        (_, false) => "not usable as it stands".to_owned(),
    });
    lines.join("\n")
}
