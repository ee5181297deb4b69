//! The one integration-test binary.

mod cli;
mod layers;
mod rules;
mod session;
mod support;
