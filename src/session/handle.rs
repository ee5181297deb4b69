//! The handle on a session: what the screen and the command line hold.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use super::actor::{Actor, Command};
use super::event::{Event, JobId};
use crate::job::JobSpec;
use crate::problem::{Class, Problem};

/// The problem of a client whose session ended by itself.
pub fn ended() -> Problem {
    Problem::new(
        Class::Internal,
        "E603",
        "the session ended by itself",
        "a fault of the program",
        "start the program again; please report this with the log",
    )
}

/// A running session. Dropping it asks the actor to stop at the next point that is safe for the chip, and waits.
pub struct Session {
    commands: Sender<Command>,
    next: u64,
    thread: Option<JoinHandle<()>>,
}

impl Session {
    /// Starts the session's thread. `sink` is called on that thread with every event, in order.
    ///
    /// # Errors
    /// The system's error when no thread can be started.
    pub fn spawn(sink: Box<dyn FnMut(Event) + Send>) -> std::io::Result<Self> {
        let (commands, inbox) = channel();
        let thread =
            std::thread::Builder::new().name("session".to_owned()).spawn(move || Actor::new(inbox, sink).run())?;
        Ok(Self { commands, next: 1, thread: Some(thread) })
    }

    /// Asks for a job. The number is known at once; whether it runs, events tell.
    pub fn start(&mut self, spec: JobSpec) -> JobId {
        let id = JobId(self.next);
        self.next += 1;
        // A session that has ended says so through `Closed`; there is nobody left to answer here.
        let _ = self.commands.send(Command::Start(id, Box::new(spec)));
        id
    }

    /// Asks a job to stop at its next safe point. A late cancel of a job that has ended does nothing.
    pub fn cancel(&self, id: JobId) {
        let _ = self.commands.send(Command::Cancel(id));
    }

    /// Asks the session to end: a running job stops at its next safe point.
    pub fn shut_down(&self) {
        let _ = self.commands.send(Command::Shutdown);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shut_down();
        if let Some(thread) = self.thread.take() {
            // A panic was already reported as an event.
            let _ = thread.join();
        }
    }
}
