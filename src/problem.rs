//! The one shape every failure takes when people or scripts see it.

use serde::Serialize;

/// What kind of failure it is; decides the exit code (product.md §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A fault of the program itself.
    Internal,
    /// A wrong argument or an unusable input file.
    Usage,
    /// No device answered, or the link was lost.
    NoDevice,
    /// A safety rule said no.
    Refused,
    /// Something read back is not what it should be.
    Verification,
    /// The host stands in the way: permission, disk, busy port.
    Host,
    /// The user asked to stop.
    Cancelled,
}

impl Class {
    /// The process exit code of this class.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::NoDevice => 3,
            Self::Refused => 4,
            Self::Verification => 5,
            Self::Host => 6,
            Self::Cancelled => 130,
        }
    }
}

/// A failure as people and scripts see it: the same four texts on the screen, on stderr and in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Stable code, such as `E210`. Codes are listed in [`codes`] and never change their meaning.
    pub code: &'static str,
    /// What happened, with address or wire.
    pub what: String,
    /// The likely cause, from evidence.
    pub cause: String,
    /// The next thing to do.
    pub remedy: String,
    /// What was seen on the way, one line each, for those who ask: every entry try of a connection. Mostly empty.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub details: Box<[String]>,
    /// Decides the exit code.
    #[serde(skip)]
    pub class: Class,
}

impl Problem {
    /// Puts the four texts together.
    pub fn new(
        class: Class,
        code: &'static str,
        what: impl Into<String>,
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { code, what: what.into(), cause: cause.into(), remedy: remedy.into(), details: Box::default(), class }
    }

    /// The same with what was seen on the way.
    #[must_use]
    pub fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details.into();
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}\n  cause:  {}\n  remedy: {}", self.code, self.what, self.cause, self.remedy)
    }
}

impl std::error::Error for Problem {}

/// Implemented by every layer's error: turns evidence into the four texts.
pub trait Explain {
    /// The failure as people see it.
    fn explain(&self) -> Problem;
}

/// The code ranges, so that a number tells where a failure comes from.
///
/// | range | layer |
/// |---|---|
/// | E1xx | command line, settings, files (`cli`, `store`) |
/// | E2xx | links and the host (`link`) |
/// | E3xx | devices: entry, identity, timeouts, protection (`device`) |
/// | E4xx | refusals of a plan (`job::plan`) |
/// | E5xx | jobs: verification, backup, cancel (`job`) |
/// | E6xx | session: busy, crashed (`session`); watching another process (`attach`) |
/// | E7xx | what a file holds (`image`) |
pub mod codes {}
