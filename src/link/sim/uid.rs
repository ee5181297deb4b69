//! The unique id of a flash part (opcode 4B): that of the chip, not of the run.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where the two chips keep RF calibration and MAC, in their first content the one thing that tells two of them apart.
const OWN: [usize; 2] = [0x1D_0000, 0x1E_0000];
const OWN_LEN: usize = 0x1000;

/// What opcode 4B answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) enum Uid {
    /// Nothing: a part without.
    None,
    /// These eight bytes, over and over.
    Own([u8; 8]),
}

impl Uid {
    /// The id of a chip that came into being with this content (FNV-1a, 64 bits).
    pub(super) fn of(cells: &[u8]) -> Self {
        let own = OWN.iter().flat_map(|at| cells.iter().skip(*at).take(OWN_LEN));
        let hash = own.fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        Self::Own(hash.to_be_bytes())
    }

    /// The byte at this place of the answer.
    pub(super) fn byte(self, place: u32) -> Option<u8> {
        match self {
            Self::None => None,
            Self::Own(bytes) => bytes.get(place as usize % bytes.len()).copied(),
        }
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Own(bytes) => write!(f, "{:016x}", u64::from_be_bytes(*bytes)),
        }
    }
}

impl FromStr for Uid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        let value = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16);
        value
            .map(|value| Self::Own(value.to_be_bytes()))
            .ok_or_else(|| format!("{text:?} is neither 16 hex digits nor none"))
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.to_string()
    }
}

impl TryFrom<String> for Uid {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
