//! Things that draw: each takes what it shows and a rectangle, and knows nothing else.

pub mod away;
pub mod big;
pub mod chip_bar;
pub mod entropy_bar;
pub mod field;
pub mod gauge;
pub mod header;
pub mod hex_grid;
pub mod log_pane;
pub mod pins;
pub mod scroll_bar;
pub mod sector_map;
pub mod sheet;
