//! The workbench as a person sees it.

mod config;
mod desk;
mod dump;
#[cfg(unix)]
mod hosts;
mod journey;
mod middle;
mod rules;
mod sizes;
#[cfg(unix)]
mod terminal;
mod wiring;
