//! The tabs: one contract, one folder or file each, and the table.

mod config;
mod connect;
mod dump;
mod flash;
mod protect;
mod tab;
mod wiring;

pub use tab::{Tab, TabId};

/// Every tab, in the order of their numbers.
pub fn all() -> Vec<Box<dyn Tab>> {
    vec![
        Box::new(wiring::Wiring::default()),
        Box::new(connect::Connect::default()),
        Box::new(dump::Dump::default()),
        Box::new(protect::Protect::default()),
        Box::new(flash::Flash::default()),
        Box::new(config::Config::default()),
    ]
}
