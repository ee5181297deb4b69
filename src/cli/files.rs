//! Commands that look at files: inspect, identify, search, strings, diff.

use std::path::Path;

use serde_json::{Value, json};

use super::{Context, Failure};
use crate::image::diff::Comparison;
use crate::image::explain::{Change, SectorUse, explain};
use crate::image::inspect::Secrets;
use crate::image::known::Known;
use crate::image::search::{self, How};
use crate::image::strings::Encoding;
use crate::image::{diff as difference, firmware, inspect as inspection, plain, strings as texts};
use crate::problem::{Class, Explain, Problem};
use crate::store;
use crate::store::paths::Folders;
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
    if let Some(table) = own_names()? {
        found.name_parts(&table.and(Known::built_in()));
    }
    found.file = Some(name(file));
    let document = to_json(&found)?;
    context.out.result(document, || found.text());
    Ok(())
}

/// The user's own names of firmware parts.
fn own_names() -> Result<Option<Known>, Problem> {
    let Some((path, text)) = store::own_text(Folders::known)? else { return Ok(None) };
    Known::parse(&text).map(Some).map_err(|why| {
        Problem::new(
            Class::Usage,
            "E784",
            format!("{} is not usable: {why}", path.display()),
            "it is a table of names of firmware parts: size, crc32, name",
            "correct it, or move it away",
        )
    })
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
pub(super) fn strings(context: &Context, file: &Path, min: u32, encodings: &[Encoding]) -> Result<(), Problem> {
    let bytes = read(file)?;
    let found = texts::find(&bytes, min as usize, encodings);
    let document = json!({"file": name(file), "size": bytes.len(), "count": found.len(), "strings": to_json(&found)?});
    context.out.result(document, || {
        let lines = found.iter().map(|text| {
            let encoding = if text.encoding == Encoding::Ascii { "" } else { text.encoding.name() };
            format!("0x{:06X}  {encoding:<8}  {}", text.offset, text.text)
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

/// `diff`
pub(super) fn diff(context: &Context, first: &Path, second: &Path) -> Result<(), Failure> {
    let (a, b) = (read(first)?, read(second)?);
    let found = difference::compare(&a, &b);
    let ([one, other], _) = difference::in_one_order(&a, &b);
    let changes = if found.equal { Vec::new() } else { explain(&one, &other) };
    let sectors = SectorUse::of(&one, &other);
    let mut document = json!({"first": name(first), "second": name(second)});
    if let (Some(document), Value::Object(fields)) = (document.as_object_mut(), to_json(&found)?) {
        document.extend(fields);
        document.insert("sectors".to_owned(), to_json(&sectors)?);
        document.insert("changes".to_owned(), to_json(&changes)?);
    }
    if found.equal {
        context.out.result(document, || "equal".to_owned());
        return Ok(());
    }
    let text = || differences(&found, &sectors, &changes, [first, second]);
    if !context.out.json {
        context.out.result(Value::Null, text);
    }
    let problem = Problem::new(
        Class::Verification,
        "E446",
        format!("{} and {} differ", name(first), name(second)),
        "see the list",
        "nothing to do, unless they should be equal",
    );
    Err(Failure { problem, aside: Some(Box::new(document)) })
}

/// The differences as people read them: what they mean first, then where they are.
fn differences(found: &Comparison, sectors: &SectorUse, changes: &[Change], files: [&Path; 2]) -> String {
    let mut lines: Vec<String> = changes.iter().map(Change::to_string).collect();
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.extend(found.ranges.iter().map(|range| {
        let (start, last) = (range.span.start, range.span.end().saturating_sub(1));
        format!("0x{start:06X}\u{2013}0x{last:06X}  {:>8} bytes differ  {}", range.differing, range.region)
    }));
    lines.extend(found.regions.iter().map(|home| {
        let (name, differing) = (&home.region.name, home.differing_bytes);
        format!("{name}: {differing} bytes differ in {} ranges", home.ranges)
    }));
    let SectorUse { equal, written, erased, changed } = sectors;
    lines.push(format!("sectors: {equal} equal, {changed} changed, {written} erased before, {erased} erased now"));
    for (file, only) in files.into_iter().zip([found.only_in_first, found.only_in_second]) {
        if only > 0 {
            lines.push(format!("{} has {} more at its end", name(file), size_text(only)));
        }
    }
    lines.join("\n")
}
