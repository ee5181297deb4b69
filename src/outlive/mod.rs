//! Jobs outlive the screen: what a process does so that a job goes on without its terminal, can be watched by others,
//! and leaves a report.
//!
//! [`Server::feed`] is called with every event of the session, on the session's own thread, so that neither a report
//! nor a watcher depends on a terminal that may be gone or stopped. [`Signals`] tells a front end who asked it to
//! stop. [`find`] is the other side: the running jobs of this user.

#[cfg(unix)]
pub mod find;
mod record;
mod server;
mod signals;
#[cfg(unix)]
mod socket;

pub use record::newest_report;
pub use server::Server;
pub use signals::Signals;
