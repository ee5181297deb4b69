//! `files DUMP`: what OpenBeken's file area in a dump holds, and its files put into a folder.

use std::path::Path;

use serde_json::{Value, json};

use super::Context;
use super::files::{name, read};
use crate::image::littlefs::{Area, File};
use crate::problem::{Class, Problem};
use crate::store;
use crate::units::size_text;

/// `files DUMP [--extract FOLDER]`
pub(super) fn files(context: &Context, dump: &Path, folder: Option<&Path>) -> Result<(), Problem> {
    let bytes = read(dump)?;
    let area = Area::of_dump(&bytes).ok_or_else(|| {
        Problem::new(
            Class::Usage,
            "E782",
            format!("there is no file area of OpenBeken (littlefs) in {}", name(dump)),
            "OpenBeken makes one when a file is saved for the first time; factory firmware has none",
            "use a dump of the whole flash of a module that runs OpenBeken",
        )
    })?;
    let extracted = folder.map(|folder| extract(&area, folder)).transpose()?;
    let document = document(dump, &area, extracted.as_deref());
    context.out.result(document, || text(&area, extracted.as_deref()));
    Ok(())
}

fn extract(area: &Area, folder: &Path) -> Result<Vec<String>, Problem> {
    if let Some(bad) = area.files.files.iter().find(|file| !store::is_inside(&file.path)) {
        return Err(Problem::new(
            Class::Usage,
            "E783",
            format!("a file of the dump would leave the folder: {:?}", bad.path),
            "OpenBeken writes no such names: the dump is damaged, or somebody made it",
            "do not extract this dump; `bkbench files DUMP` lists what is in it",
        ));
    }
    let whole = |file: &'_ File| -> Option<(String, Vec<u8>)> { Some((file.path.clone(), file.content.clone()?)) };
    let files: Vec<(String, Vec<u8>)> = area.files.files.iter().filter_map(whole).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    let written = store::extract(folder, &files)?;
    Ok(written.into_iter().map(|path| path.display().to_string()).collect())
}

fn document(dump: &Path, area: &Area, extracted: Option<&[String]>) -> Value {
    let files: Vec<Value> = area
        .files
        .files
        .iter()
        .map(|file| json!({"path": file.path, "size": file.len, "readable": file.content.is_some()}))
        .collect();
    let faults: Vec<Value> =
        area.files.faults.iter().map(|fault| json!({"path": fault.path, "what": fault.what})).collect();
    json!({
        "file": name(dump),
        "offset": format!("0x{:06X}", area.offset),
        "flash_offset": format!("0x{:06X}", area.address),
        "size": area.len,
        "used": area.files.used * crate::image::littlefs::BLOCK,
        "version": format!("{}.{}", area.files.version >> 16, area.files.version & 0xFFFF),
        "where_openbeken_looks": area.expected,
        "files": files,
        "folders": area.files.folders,
        "faults": faults,
        "extracted": extracted,
    })
}

fn text(area: &Area, extracted: Option<&[String]>) -> String {
    let used = size_text((area.files.used * crate::image::littlefs::BLOCK) as u64);
    let mut lines = vec![format!(
        "file area at flash 0x{:06X}, {}, {used} used{}",
        area.address,
        size_text(area.len.into()),
        if area.expected { "" } else { "; OpenBeken does not look for it there" }
    )];
    lines.extend(area.files.files.iter().map(|file| {
        let note = if file.content.is_some() { "" } else { "  cannot be read" };
        format!("{:>8}  {}{note}", file.len, file.path)
    }));
    if area.files.files.is_empty() {
        lines.push("no files".to_owned());
    }
    lines.extend(area.files.faults.iter().map(|fault| format!("{}: {}", fault.path, fault.what)));
    lines.extend(extracted.iter().flat_map(|paths| paths.iter().map(|path| format!("written to {path}"))));
    lines.join("\n")
}
