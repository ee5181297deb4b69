//! `template --esphome` and `template --script`: what is made of a dump besides a template.

use std::path::Path;

use serde_json::json;

use super::files::{name, read, to_json};
use super::template::nothing;
use super::{Context, out};
use crate::image::inspect::{self, Choice, Inspection};
use crate::image::template::Mapping;
use crate::problem::{Class, Problem};
use crate::store;

/// `template FILE --esphome`
pub(super) fn esphome(context: &Context, file: &Path, output: Option<&Path>) -> Result<(), Problem> {
    let found = looked_through(file, output)?;
    let text = found.esphome().ok_or_else(|| nothing(&found, Choice::By(Mapping::Recommended)))?;
    hand_out(context, file, output, "esphome", &text, &found)
}

/// `template FILE --script`
pub(super) fn script(context: &Context, file: &Path, output: Option<&Path>) -> Result<(), Problem> {
    let found = looked_through(file, output)?;
    let script = found.script().ok_or_else(|| {
        Problem::new(
            Class::Usage,
            "E780",
            "there is no script to make: no second processor (TuyaMCU) has this device's pins",
            "the store holds no baud rate for one, or the pin map names pins",
            "omit --script: the template has the start-up command",
        )
    })?;
    hand_out(context, file, output, "script", &script.autoexec(), &found)
}

fn looked_through(file: &Path, output: Option<&Path>) -> Result<Inspection, Problem> {
    output.map_or(Ok(()), store::must_be_new)?;
    Ok(inspect::inspect(&read(file)?))
}

/// The text on stdout as it is, so that it can be redirected into a file; or in the file that was asked for.
fn hand_out(
    context: &Context,
    file: &Path,
    output: Option<&Path>,
    what: &str,
    text: &str,
    found: &Inspection,
) -> Result<(), Problem> {
    if let Some(output) = output {
        store::write_new(output, text.as_bytes())?;
    }
    let document = json!({
        "file": name(file),
        what: text,
        "problems": to_json(&found.problems)?,
        "output": output.map(|output| output.display().to_string()),
    });
    if !context.out.json {
        found.problems.iter().for_each(|problem| out::print_aside(&format!("{}: {}", problem.code, problem.what)));
    }
    context.out.result(document, || match output {
        Some(output) => format!("written to {}", output.display()),
        None => text.to_owned(),
    });
    Ok(())
}
