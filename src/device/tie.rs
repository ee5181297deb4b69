//! How it is known that the flash which answers is the one that is meant, and what that is worth.

use crate::units::Verdict;

/// How it is known that the flash which answers is the one that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tie {
    /// Its own loader answers, or it goes silent with CEN low and comes back with it.
    Measured,
    /// A person pulls CEN: that it goes silent with CEN low was not measured.
    ByHand,
    /// The link says that it is a bare flash chip; what it was soldered to cannot be measured.
    Bare,
    /// It answers while CEN is held low, so CEN does not reach it. Nothing is written to it: it may be another chip.
    Loose,
}

impl Tie {
    /// How sure the identity of a chip can be at most.
    pub const fn ceiling(self) -> Verdict {
        match self {
            Self::Measured => Verdict::Proven,
            Self::ByHand | Self::Bare => Verdict::Likely,
            Self::Loose => Verdict::Unsure,
        }
    }

    /// What keeps the identity from being proven, in words.
    pub const fn doubt(self) -> Option<&'static str> {
        match self {
            Self::Measured => None,
            Self::ByHand => Some(
                "not more than likely: CEN is worked by hand, so it was not measured that the id vanishes with CEN low",
            ),
            Self::Bare => Some(
                "not more than likely: a bare flash chip by the link's word, and what it was soldered to is not measured",
            ),
            Self::Loose => Some("not more than unsure: CEN has no effect on the chip that answers"),
        }
    }
}
