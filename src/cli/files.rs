//! Commands that look at files: inspect, identify, search, strings, diff.

use std::path::Path;

use serde_json::{Value, json};

use super::Context;
use crate::image::inspect::Secrets;
use crate::image::search::{self, How};
use crate::image::{diff as difference, firmware, inspect as inspection, plain, strings as texts};
use crate::problem::{Class, Explain, Problem};
use crate::store;
use crate::units::size_text;

/// Hits listed at most; all are counted.
const LISTED: usize = 100_000;
/// Longest text shown around a hit, in bytes.
const CONTEXT: usize = 512;

/// How the pattern of a search is written; the flags exclude each other.
pub(super) const fn how(hex: bool, regex: bool, utf16: bool) -> How {
    match (hex, regex, utf16) {
        (true, ..) => How::Hex,
        (_, true, _) => How::Regex,
        (_, _, true) => How::Utf16,
        _ => How::Text,
    }
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, Problem> {
    Ok(store::read_file(file)?)
}

pub(super) fn name(file: &Path) -> String {
    file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned())
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(|error| {
        Problem::new(
            Class::Internal,
            "E605",
            format!("the result is no JSON: {error}"),
            "a fault of the program",
            "please report this",
        )
    })
}

/// `inspect`
pub(super) fn inspect(context: &Context, file: &Path, show_secrets: bool) -> Result<(), Problem> {
    let bytes = read(file)?;
    let secrets = if show_secrets { Secrets::Shown } else { Secrets::Masked };
    let mut found = inspection::inspect_with(&bytes, secrets);
    found.file = Some(name(file));
    let document = to_json(&found)?;
    context.out.result(document, || found.text());
    Ok(())
}

/// `identify`
pub(super) fn identify(context: &Context, file: &Path) -> Result<(), Problem> {
    let bytes = read(file)?;
    let mut found = firmware::identify(&bytes);
    found.file = Some(name(file));
    let document = to_json(&found)?;
    context.out.result(document, || found.text());
    Ok(())
}

/// `search`
pub(super) fn search(context: &Context, file: &Path, pattern: &str, how: How) -> Result<(), Problem> {
    let bytes = read(file)?;
    let compiled = how.pattern(pattern).map_err(|error| error.explain())?;
    let hits = search::find_all(&bytes, &compiled, LISTED);
    let listed: Vec<Value> = hits
        .offsets
        .iter()
        .map(|&(at, len)| {
            let around = search::text_around(&bytes, at, CONTEXT);
            json!({
                "offset": format!("0x{at:06X}"),
                "length": len,
                "context_start": format!("0x{:06X}", around.span.start),
                "context": around.text,
            })
        })
        .collect();
    let (in_store, in_code) = plain::count_behind(&bytes, &compiled);
    let document = json!({
        "file": name(file),
        "size": bytes.len(),
        "pattern": pattern,
        "count": hits.total,
        "count_in_decrypted_store": in_store,
        "count_in_decrypted_code": in_code,
        "hits": listed,
    });
    context.out.result(document, || {
        let lines = hits.offsets.iter().map(|&(at, _)| {
            let around = search::text_around(&bytes, at, 64);
            format!("0x{at:06X}  {}", around.text)
        });
        let mut lines: Vec<String> = lines.collect();
        lines.push(format!("{} hits in {} ({})", hits.total, name(file), size_text(bytes.len() as u64)));
        if in_store + in_code > 0 {
            lines.push(format!(
                "behind the encryption: {in_store} in the Tuya store, {in_code} in the code; `inspect` shows the pin map"
            ));
        }
        lines.join("\n")
    });
    Ok(())
}

/// `strings`
pub(super) fn strings(context: &Context, file: &Path, min: u32) -> Result<(), Problem> {
    let bytes = read(file)?;
    let found = texts::find(&bytes, min as usize);
    let document = json!({"file": name(file), "size": bytes.len(), "count": found.len(), "strings": to_json(&found)?});
    context.out.result(document, || {
        let lines = found.iter().map(|text| format!("0x{:06X}  {}", text.offset, text.text));
        lines.collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

/// `diff`
pub(super) fn diff(context: &Context, first: &Path, second: &Path) -> Result<(), Problem> {
    let (a, b) = (read(first)?, read(second)?);
    let found = difference::compare(&a, &b);
    let mut document = json!({"first": name(first), "second": name(second)});
    if let (Some(document), Value::Object(fields)) = (document.as_object_mut(), to_json(&found)?) {
        document.extend(fields);
    }
    context.out.result(document, || {
        if found.equal {
            return "equal".to_owned();
        }
        let mut lines: Vec<String> = found
            .ranges
            .iter()
            .map(|range| {
                let (start, end) = (range.span.start, range.span.end());
                format!("0x{start:06X} to 0x{end:06X}  {:>8} bytes differ  {}", range.differing, range.region)
            })
            .collect();
        lines.extend(found.regions.iter().map(|home| {
            let (name, differing) = (&home.region.name, home.differing_bytes);
            format!("{name}: {differing} bytes differ in {} ranges", home.ranges)
        }));
        for (file, only) in [(first, found.only_in_first), (second, found.only_in_second)] {
            if only > 0 {
                lines.push(format!("{} has {} more at its end", name(file), size_text(only)));
            }
        }
        lines.join("\n")
    });
    Ok(())
}
