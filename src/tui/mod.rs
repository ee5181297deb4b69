//! The workbench on the screen: six tabs fed by one session.
//!
//! The shape is `update(Msg) -> Vec<Effect>` and a pure `view`: [`App`] holds all state and touches neither terminal
//! nor file nor clock, [`run`] does all of that. Tabs and overlays are families: a contract, one file each, a table.
//! Every place has one key table; dispatch, hints and help read it.

mod app;
pub mod effect;
mod frame;
pub mod glyph;
pub mod keys;
pub mod look;
pub mod msg;
pub mod overlay;
mod run;
pub mod shared;
pub mod tabs;
mod terminal;
pub mod theme;
pub mod widgets;
pub mod worker;

pub use app::{App, Options, global_keys};
pub use run::{Start, run};
