//! The entropy of a file as a row of columns: low is erased or repeats, high is encrypted or packed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::image::entropy;
use crate::tui::theme::{Role, Theme};
use crate::units::SECTOR;

const HEIGHTS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// The sign of an entropy in bits per byte; nothing at all for a sector of one value.
pub fn sign(bits: f32) -> &'static str {
    if bits < 0.05 { " " } else { HEIGHTS[(bits.clamp(0.0, 7.99) as usize).min(7)] }
}

/// Draws the whole file, of `len` bytes, over the width of `area`; the column of `cursor` is marked.
pub fn render(sectors: &[f32], len: u32, cursor: u32, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let width = u64::from(area.width.max(1));
    let place = |column: u64| (u64::from(len) * column / width) as u32;
    for column in 0..area.width {
        let (from, to) = (place(column.into()), place(u64::from(column) + 1));
        let bits = entropy::mean(sectors, from - from % SECTOR, to.max(from + 1));
        let here = (from..to).contains(&cursor);
        let role = match bits {
            _ if here => Role::RegionHere,
            0.0..5.0 => Role::Dim,
            5.0..7.0 => Role::Likely,
            _ => Role::Warn,
        };
        if let Some(cell) = buf.cell_mut((area.x + column, area.y)) {
            cell.set_symbol(sign(bits)).set_style(theme.style(role));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_eighth_has_a_sign_and_one_value_has_none() {
        assert_eq!([0.0, 0.5, 1.0, 4.5, 7.9, 8.0, 9.0].map(sign), [" ", "▁", "▂", "▅", "█", "█", "█"]);
    }

    #[test]
    fn the_bar_is_the_whole_file_whatever_its_width() {
        for (sectors, len) in [(vec![0.0; 512], 512 * SECTOR), (vec![8.0], 10), (vec![], 0), (vec![3.0; 3], 3 * SECTOR)]
        {
            for width in [1, 7, 78, 600] {
                let area = Rect::new(0, 0, width, 1);
                let mut buf = Buffer::empty(area);
                render(&sectors, len, 0, area, &mut buf, &Theme::mono());
            }
        }
        let mut sectors = vec![0.0; 8];
        sectors[3] = 8.0;
        let area = Rect::new(0, 0, 8, 1);
        let mut buf = Buffer::empty(area);
        render(&sectors, 8 * SECTOR, u32::MAX, area, &mut buf, &Theme::mono());
        let shown: String = (0..8).map(|x| buf[(x, 0)].symbol()).collect();
        assert_eq!(shown, "   █    ");
    }
}
