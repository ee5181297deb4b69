//! `redact`: a copy that is safe to share.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::Context;
use super::files::{name, read, to_json};
use crate::image::redact::{self, Options};
use crate::problem::{Class, Problem};
use crate::store;

/// `redact FILE -o OUT`
pub(super) fn redact(context: &Context, file: &Path, output: &Path, start_up_command: bool) -> Result<(), Problem> {
    let bytes = read(file)?;
    store::must_be_new(output)?;
    let (copy, report) = redact::redact(&bytes, Options { start_up_command });
    if let Some(left) = report.proof.left.first() {
        return Err(Problem::new(
            Class::Verification,
            "E731",
            format!(
                "{} is still in the copy at {}, and {} places in all",
                left.kind,
                left.offset,
                report.proof.left.len()
            ),
            "it stands where the file's structure does not explain it",
            "nothing was written; share only what `inspect` shows, and please report this",
        ));
    }
    store::write_new(output, &copy)?;
    let mut document = json!({"file": name(file), "output": output.display().to_string(), "size": copy.len()});
    if let (Some(document), Value::Object(fields)) = (document.as_object_mut(), to_json(&report)?) {
        document.extend(fields);
    }
    context.out.result(document, || {
        let mut kinds: BTreeMap<&str, (usize, Vec<String>)> = BTreeMap::new();
        for removed in &report.removed {
            let (bytes, offsets) = kinds.entry(&removed.kind).or_default();
            *bytes += removed.length;
            offsets.push(removed.offset.to_string());
        }
        let mut lines: Vec<String> = kinds
            .into_iter()
            .map(|(kind, (bytes, offsets))| {
                let more = if offsets.len() > 4 { format!(" and {} more", offsets.len() - 4) } else { String::new() };
                let shown = offsets[..offsets.len().min(4)].join(", ");
                format!("blanked  {kind}: {bytes} bytes at {shown}{more}")
            })
            .collect();
        lines.extend(report.notes.iter().map(|note| format!("note     {note}")));
        let proof = &report.proof;
        lines.push(format!(
            "proof    {} values searched as {} in {}: none found",
            proof.values,
            proof.encodings.join(", "),
            proof.searched.join(", ")
        ));
        if proof.too_short > 0 {
            lines.push(format!("         {} shorter ones were blanked in their places only", proof.too_short));
        }
        lines.push(format!("written to {}", output.display()));
        lines.join("\n")
    });
    Ok(())
}
