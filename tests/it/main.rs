//! The one integration-test binary.

mod cli;
mod layers;
mod session;
mod support;
