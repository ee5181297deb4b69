//! The one integration-test binary.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod after;
mod cli;
mod clock;
mod configure;
mod cut;
mod cut_points;
mod datapoints;
mod esphome;
mod expected;
#[cfg(unix)]
mod files;
#[cfg(unix)]
mod flashrom;
#[cfg(unix)]
mod hosts;
mod identity;
mod lasting;
mod layers;
mod littlefs;
#[cfg(unix)]
mod network;
#[cfg(unix)]
mod outlive;
mod ownership;
mod patience;
#[cfg(unix)]
mod pins;
mod public_tools;
#[cfg(unix)]
mod real_loader;
mod refusals;
mod restore;
mod rules;
mod screens;
#[cfg(unix)]
mod serial;
mod session;
mod setups;
mod strays;
mod supply;
mod support;
mod systems;
mod texts;
mod transcripts;
mod uart;
mod wiring;
