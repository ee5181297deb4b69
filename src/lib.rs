//! bkbench: a workbench for the Beken BK7231T/N modules inside Tuya plugs, bulbs and switches.

pub mod problem;
pub mod units;

pub mod codec;
pub mod image;

pub mod chip;
pub mod link;

pub mod device;

pub mod job;

pub mod session;
