//! The session: ONE thread that owns the link. Commands go in, events come out, one job runs at a time.

mod actor;
mod dispatch;
pub mod event;
mod handle;
mod json;
mod lasting;
mod runner;
pub mod view;

pub use actor::{Actor, Command, Flow, Opener};
pub use event::{Event, JobId, LinkState, What};
pub use handle::{Session, ended};
pub use json::runs_json;
pub use view::{Ended, JobView, LogLine, PhaseView, SessionView};
