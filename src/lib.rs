//! bkbench: a workbench for the Beken BK7231T/N modules inside Tuya plugs, bulbs and switches.

pub mod problem;
pub mod units;

pub mod image;

pub mod link;
pub mod store;
