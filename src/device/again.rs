//! Another look at who the chip is. A supply that sags and a wire that opens read as nothing, or as something else for a
//! moment: neither makes it another chip.

use std::time::Duration;

use super::contract::ReadFlash;
use super::error::DeviceError;
use super::watch::Unwatched;

/// Pauses before looks that follow one which did not see the same chip.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200)];

/// What one look saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The chip of [`ReadFlash::facts`].
    Same,
    /// Nobody, or nothing steady.
    Nobody(String),
    /// Another one.
    Other {
        /// What was seen when attaching.
        was: String,
        /// What is seen now.
        is: String,
    },
}

/// A flash that can be looked at again.
pub(super) trait LookAgain: ReadFlash {
    /// One look.
    ///
    /// # Errors
    /// [`DeviceError`].
    fn look_again(&mut self) -> Result<Again, DeviceError>;
}

/// Looks until the same chip is seen, a few times at most.
///
/// # Errors
/// [`DeviceError::OtherChip`] when every look saw the same other chip; [`DeviceError::NobodyThere`] otherwise.
pub(super) fn insist(device: &mut impl LookAgain) -> Result<(), DeviceError> {
    let mut looks = Vec::new();
    for pause in [None].into_iter().chain(PAUSES.map(Some)) {
        if let Some(pause) = pause {
            device.rest(pause, &mut Unwatched)?;
        }
        match device.look_again()? {
            Again::Same => return Ok(()),
            look => looks.push(look),
        }
    }
    Err(verdict(looks))
}

/// What looks mean none of which saw the same chip.
fn verdict(mut looks: Vec<Again>) -> DeviceError {
    let steady = looks.windows(2).all(|pair| matches!(pair, [one, other] if one == other));
    match looks.pop() {
        Some(Again::Other { was, is }) if steady => DeviceError::OtherChip { was, is },
        Some(Again::Other { is, .. }) => DeviceError::NobodyThere { seen: format!("{is}, and something else before") },
        Some(Again::Nobody(seen)) => DeviceError::NobodyThere { seen },
        Some(Again::Same) | None => DeviceError::NobodyThere { seen: "nothing".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(is: &str) -> Again {
        Again::Other { was: "EB 60 15".to_owned(), is: is.to_owned() }
    }

    #[test]
    fn only_what_answers_the_same_every_time_is_another_chip() {
        assert!(matches!(verdict(vec![other("1C 70 15"); 5]), DeviceError::OtherChip { .. }));
        for unsteady in [
            vec![other("1C 70 15"), other("1C 70 14")],
            vec![other("1C 70 15"), Again::Nobody("FF FF FF".to_owned())],
            vec![Again::Nobody("FF FF FF".to_owned()), other("1C 70 15")],
            vec![Again::Nobody("00 00 00".to_owned()); 5],
        ] {
            assert!(matches!(verdict(unsteady), DeviceError::NobodyThere { .. }));
        }
    }
}
