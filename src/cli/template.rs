//! `template`: from a dump to an OpenBeken template, and the check of a template's text.

use std::path::Path;

use serde_json::json;

use super::Context;
use super::files::{name, read, to_json};
use crate::image::finding::Severity;
use crate::image::inspect::{self, Inspection};
use crate::image::kind::{self, Kind};
use crate::image::template::lint::{self, Checked};
use crate::image::template::{Mapping, Template};
use crate::problem::{Class, Problem};
use crate::store;

/// Longest file that may be the text of a template, in bytes.
const LONGEST_TEXT: usize = 256 * 1024;

/// `template FILE`
pub(super) fn template(context: &Context, file: &Path, mapping: Mapping, output: Option<&Path>) -> Result<(), Problem> {
    let bytes = read(file)?;
    if output.is_none() && is_text(&bytes) {
        return check(context, None, file);
    }
    if let Some(output) = output {
        store::must_be_new(output)?;
    }
    let found = inspect::inspect(&bytes);
    let chosen = chosen(&found, mapping).ok_or_else(|| nothing(&found))?;
    let app = found.firmware.as_ref().and_then(|firmware| firmware.app.as_ref());
    let entry = chosen.to_database_entry(app.and_then(|app| app.app_name.as_deref()));
    if let Some(output) = output {
        store::write_new(output, format!("{entry:#}\n").as_bytes())?;
    }
    let tuya = found.tuya.as_ref();
    let document = json!({
        "file": name(file),
        "mapping": mapping.name(),
        "source": tuya.and_then(|tuya| tuya.user_param_key_source),
        "template": entry,
        "lines": to_json(&chosen.lines)?,
        "notes": chosen.notes,
        "differences": to_json(&found.template_differences)?,
        "problems": to_json(&found.problems)?,
        "output": output.map(|output| output.display().to_string()),
    });
    context.out.result(document, || {
        let mut lines = vec![format!("{entry:#}"), String::new()];
        lines.extend(chosen.lines.iter().map(|line| format!("P{:<3} {:<18} {}", line.pin, line.value(), line.reason)));
        if mapping == Mapping::Recommended {
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            lines.extend(found.template_differences.iter().map(|difference| {
                let (gui, web) = (shown(&difference.gui), shown(&difference.web));
                format!("P{:<3} importers differ: desktop flasher {gui}, web importer {web}", difference.pin)
            }));
        }
        lines.extend(chosen.notes.iter().map(|note| format!("note: {note}")));
        lines.extend(found.problems.iter().map(|problem| format!("{}: {}", problem.code, problem.what)));
        lines.extend(output.map(|output| format!("written to {}", output.display())));
        lines.join("\n")
    });
    Ok(())
}

fn chosen(found: &Inspection, mapping: Mapping) -> Option<&Template> {
    match mapping {
        Mapping::Recommended => found.template_recommended.as_ref(),
        Mapping::Gui => found.template.as_ref(),
        Mapping::Web => found.template_web_importer.as_ref(),
    }
}

fn nothing(found: &Inspection) -> Problem {
    let store = match &found.tuya {
        Some(tuya) => format!("its Tuya data holds {} keys, but no pin map", tuya.keys.len()),
        None => "it holds no Tuya data".to_owned(),
    };
    Problem::new(
        Class::Usage,
        "E730",
        format!("no pin map in this file ({})", found.kind.name()),
        format!("{store}; store, file area, application and plain text were searched"),
        "give a dump of the whole flash, made before another firmware was written",
    )
}

/// `template --check TEXT`, against a dump where there is one.
pub(super) fn check(context: &Context, dump: Option<&Path>, text: &Path) -> Result<(), Problem> {
    let found = dump.map(read).transpose()?.map(|bytes| inspect::inspect(&bytes));
    let factory = found.as_ref().and_then(|found| found.template_recommended.as_ref());
    if let (Some(found), None) = (&found, factory) {
        return Err(nothing(found));
    }
    let bytes = read(text)?;
    let written = String::from_utf8_lossy(&bytes);
    let checked = lint::check(&written, factory);
    let mut document = json!({"file": name(text), "usable": checked.is_usable()});
    if let (Some(document), Some(fields)) = (document.as_object_mut(), to_json(&checked)?.as_object()) {
        document.extend(fields.clone());
    }
    context.out.result(document, || as_text(&checked));
    Ok(())
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

/// Whether a file is text and no image.
fn is_text(bytes: &[u8]) -> bool {
    let text = bytes.len() <= LONGEST_TEXT && std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'));
    text && !bytes.is_empty() && kind::recognise(bytes) == Kind::Unknown
}
