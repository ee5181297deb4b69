//! Comparing with a second file: from difference to difference, and summed up by region.

use std::sync::Arc;

use super::pane::Line;
use super::{Dump, look};
use crate::image::diff::Comparison;
use crate::tui::effect::{Act, Response};
use crate::tui::look::{Lens, Look, Pair, Seen};
use crate::tui::msg::Target;
use crate::tui::overlay::{JumpList, PickFile};
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::units::{counted, size_text};

impl Dump {
    /// Asks for a second file, or ends the comparison.
    pub(super) fn compare(&self, seen: &Seen, cx: &Shared) -> Response {
        match seen.lens {
            Lens::Pair => Response::act(look(Look::Through(Arc::clone(&seen.file), Lens::File))),
            _ => Response::Taken(PickFile::open(Target::Second, &cx.folder)),
        }
    }

    /// Goes to the next or the previous difference, and around the end.
    pub(super) fn visit_difference(&mut self, step: i64) -> Response {
        let Some(pair) = self.pair() else {
            return Response::act(Act::Say("nothing to compare with yet: = asks for a second file".to_owned()));
        };
        let count = pair.ranges.len();
        if count == 0 {
            return Response::act(Act::Say("no byte differs".to_owned()));
        }
        let cursor = self.place.cursor;
        let next = if step > 0 {
            pair.ranges.partition_point(|(at, _)| *at <= cursor) % count
        } else {
            pair.ranges.partition_point(|(at, _)| *at < cursor).checked_sub(1).unwrap_or(count - 1)
        };
        let at = pair.ranges.get(next).map_or(0, |(at, _)| *at);
        self.jump(at);
        Response::nothing()
    }

    pub(super) fn pair(&self) -> Option<&Arc<Pair>> {
        self.seen.as_ref()?.pair.as_ref()
    }

    /// Lists the regions that differ, then every range.
    pub(super) fn differences_list(&self) -> Response {
        let Some(pair) = self.pair().cloned() else {
            return Response::act(Act::Say("nothing to compare with yet: = asks for a second file".to_owned()));
        };
        let regions = pair.comparison.regions.len();
        let count = regions + pair.ranges.len();
        let (lines, title) = (Arc::clone(&pair), sentence(&pair));
        let line = move |index: usize| {
            match index.checked_sub(regions) {
                None => lines.comparison.regions.get(index).map(|home| {
                    let (bytes, ranges) =
                        (counted(home.differing_bytes.into(), "byte"), counted(home.ranges as u64, "range"));
                    format!("{}: {bytes} in {ranges}", home.region.name)
                }),
                Some(number) => lines.comparison.ranges.get(number).map(|range| {
                    let span = range.span;
                    format!("0x{:06X}  {} of {} differ  {}", span.start, range.differing, span.len, range.region)
                }),
            }
            .unwrap_or_default()
        };
        let pick = move |index: usize| vec![Act::Show(place(&pair.comparison, regions, index))];
        Response::act(Act::Open(Box::new(JumpList::new(title, count, 0, line, pick))))
    }
}

/// Where a row of the list leads: a region to its first difference.
fn place(comparison: &Comparison, regions: usize, index: usize) -> u32 {
    match index.checked_sub(regions) {
        Some(number) => comparison.ranges.get(number).map_or(0, |range| range.span.start),
        None => comparison.regions.get(index).map_or(0, |home| {
            let inside = comparison.ranges.iter().find(|range| range.span.overlaps(home.region.span));
            inside.map_or(home.region.span.start, |range| range.span.start.max(home.region.span.start))
        }),
    }
}

/// The comparison in one sentence.
fn sentence(pair: &Pair) -> String {
    let found = &pair.comparison;
    let turned = if found.turned_back == [false, false] { "" } else { ", the rotated one turned back" };
    let mut text = match found.differing_bytes {
        0 if found.equal => format!("equal{turned}"),
        0 => format!("no byte differs{turned}"),
        bytes => {
            format!("{} differ in {}{turned}", counted(bytes, "byte"), counted(found.ranges.len() as u64, "range"))
        }
    };
    for (which, more) in [("the first", found.only_in_first), ("the second", found.only_in_second)] {
        if more > 0 {
            text += &format!(", {which} has {} more", size_text(more));
        }
    }
    text
}

/// The comparison summed up, for the pane.
pub fn summary(pair: &Pair) -> Vec<Line> {
    let regions = pair.comparison.regions.iter();
    let by_region: Vec<String> =
        regions.map(|home| format!("{} {}", home.region.name, counted(home.differing_bytes.into(), "byte"))).collect();
    let mut lines = vec![vec![(Role::Dim, "compared: ".to_owned()), (Role::Strong, sentence(pair))]];
    if !by_region.is_empty() {
        lines.push(vec![(Role::Text, format!("  {}", by_region.join(" · ")))]);
    }
    lines
}
