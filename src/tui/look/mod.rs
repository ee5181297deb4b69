//! Looking into a file: searches, texts, sums, what stands behind the bytes. All of it runs on the worker's thread.

mod seen;

use std::sync::Arc;

pub use seen::{Lens, Pair, Seen};

use super::shared::OpenFile;
use crate::image::search::{self, Hits, How, Pattern};
use crate::image::strings;
use crate::image::sums::{self, Sums};
use crate::problem::Problem;
use crate::store::{Notes, Settings, StoreError, notes};
use crate::units::Span;

/// Hits kept of a search; all are counted. Erased flash would make lists of millions.
const KEPT_HITS: usize = 100_000;
/// Letters of the shortest text that is listed.
const SHORTEST: usize = 5;

/// Work for the worker; each ends as one [`Looked`].
#[derive(Clone, Debug)]
pub enum Look {
    /// Search what is seen, and what stands behind it.
    Find(Arc<Search>),
    /// See a file in another way.
    Through(Arc<OpenFile>, Lens),
    /// List the texts in what is seen.
    Strings(Arc<Seen>),
    /// Put a second file beside the first.
    Compare(Arc<OpenFile>, Arc<OpenFile>),
    /// Make the checksums of a piece.
    Sums(Arc<Seen>, Span),
    /// Look for the bookmarks of a file.
    Notes(Arc<OpenFile>),
    /// Keep the bookmarks of a file.
    Keep(Arc<OpenFile>, Notes),
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Looked {
    /// A search ended.
    Found(Arc<Search>, Found),
    /// A file is seen in another way; `None` when it holds nothing of the kind.
    Through(Arc<OpenFile>, Lens, Option<Arc<Seen>>),
    /// Texts were listed.
    Strings(Arc<Seen>, Arc<[strings::Text]>),
    /// Checksums were made.
    Sums(Arc<Seen>, Span, Sums),
    /// The bookmarks of a file as they are on the disk now.
    Notes(Arc<OpenFile>, Notes),
    /// They could not be read or kept.
    NoNotes(Arc<OpenFile>, Problem),
}

/// A search.
#[derive(Clone, Debug)]
pub struct Search {
    /// In what.
    pub seen: Arc<Seen>,
    /// As typed.
    pub text: String,
    /// How it is written.
    pub how: How,
    /// As searched for.
    pub pattern: Pattern,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where the hits are: what was searched, or what stands behind it when only that holds any.
    pub seen: Arc<Seen>,
    /// The hits.
    pub hits: Hits,
    /// Hits that only another way of seeing the file shows.
    pub behind: Vec<(Lens, usize)>,
}

/// Does the work.
pub fn perform(look: Look, settings: &Settings) -> Looked {
    match look {
        Look::Find(search) => {
            let found = find(&search);
            Looked::Found(search, found)
        }
        Look::Through(file, lens) => {
            let seen = Seen::through(&file, lens).map(Arc::new);
            Looked::Through(file, lens, seen)
        }
        Look::Strings(seen) => {
            let found = strings::find(&seen.bytes, SHORTEST, &strings::Encoding::USUAL).into();
            Looked::Strings(seen, found)
        }
        Look::Compare(first, second) => {
            let seen = Seen::pair(&first, &second);
            Looked::Through(first, Lens::Pair, Some(Arc::new(seen)))
        }
        Look::Sums(seen, span) => {
            let piece = seen.bytes.get(span.start as usize..span.end() as usize).unwrap_or_default();
            let sums = sums::of(piece);
            Looked::Sums(seen, span, sums)
        }
        Look::Notes(file) => {
            let found = settings.notes_folder().and_then(|folder| notes::load(&folder, &file.firmware.sha256));
            noted(file, found)
        }
        Look::Keep(file, notes) => {
            let kept = settings.notes_folder().and_then(|folder| notes::save(&folder, &file.firmware.sha256, &notes));
            noted(file, kept.map(|()| notes))
        }
    }
}

fn noted(file: Arc<OpenFile>, notes: Result<Notes, StoreError>) -> Looked {
    match notes {
        Ok(notes) => Looked::Notes(file, notes),
        Err(error) => Looked::NoNotes(file, error.into()),
    }
}

/// Searches what is seen; a file as it stands is also searched behind its encryption, because that is where Tuya
/// firmware keeps its pins.
fn find(search: &Search) -> Found {
    let hits = search::find_all(&search.seen.bytes, &search.pattern, KEPT_HITS);
    let mut found = Found { seen: Arc::clone(&search.seen), hits, behind: Vec::new() };
    if search.seen.lens != Lens::File {
        return found;
    }
    for lens in [Lens::Store, Lens::Code] {
        let Some(seen) = Seen::through(&search.seen.file, lens) else { continue };
        if found.hits.total == 0 {
            let hits = search::find_all(&seen.bytes, &search.pattern, KEPT_HITS);
            if hits.total > 0 {
                return Found { seen: Arc::new(seen), hits, behind: Vec::new() };
            }
            continue;
        }
        // The rest of the bytes is that of the file, and was searched.
        let opened = seen.opened.iter().filter_map(|span| seen.bytes.get(span.start as usize..span.end() as usize));
        let count = opened.map(|piece| search::find_all(piece, &search.pattern, 0).total).sum();
        if count > 0 {
            found.behind.push((lens, count));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::image::samples;

    fn search(name: &str, text: &str) -> Option<Found> {
        let sample = samples::dump(name)?;
        let file = Arc::new(OpenFile::new(Path::new(name), sample.bytes.into(), None));
        let seen = Arc::new(Seen::file(&file));
        let pattern = How::Text.pattern(text).expect("a pattern");
        Some(find(&Search { seen, text: text.to_owned(), how: How::Text, pattern }))
    }

    #[test]
    fn no_dump_stays_mute_when_pin_is_searched() {
        for sample in samples::dumps() {
            let Some(found) = search(&sample.name, "pin") else { return };
            assert!(found.hits.total > 0, "{}", sample.name);
            assert_eq!(found.hits.total, found.hits.offsets.len());
        }
    }

    #[test]
    fn a_text_of_the_encrypted_store_is_found_there_and_nowhere_else() {
        let Some(found) = search("ds-101jl-4gang-switch-t", "user_param_key") else { return };
        assert_eq!(found.seen.lens, Lens::Store);
    }

    #[test]
    fn where_the_open_bytes_hold_a_text_too_the_hits_behind_the_encryption_are_counted() {
        let mut told = 0;
        for sample in samples::dumps() {
            let Some(found) = search(&sample.name, "pin") else { return };
            assert!(found.behind.is_empty() || found.seen.lens == Lens::File, "{}", sample.name);
            told += usize::from(found.behind.iter().any(|(lens, count)| *lens == Lens::Store && *count > 0));
        }
        assert!(told > 0 || samples::dumps().is_empty());
    }
}
