//! How pads behave where the sources are silent and one board is not like the next.

use super::chance::Chance;

/// What SO does in the entry window before the D2 pattern is recognised. That it copies SI is a field report
/// (spi-flash.md §2); from when on, nobody wrote down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// From the start of the window.
    AtOnce,
    /// From the first clock; low before. Gives the answer `52 D2 D2 …` that was seen on a BK7252.
    Clocked,
    /// From the first clock; high-Z before.
    ClockedQuiet,
}

/// Electrical behaviour of one board. `Default` is what every seed has unless variation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Electrics {
    /// What SO does in the entry window.
    pub echo: Echo,
    /// The level of a pad of the module whose wire is open.
    pub floats_high: bool,
    /// With the ground wire missing, one level in so many is misread, at either end.
    pub ground_noise: u32,
    /// Whether lines that the host drives high lift the supply of a module without one (spi-flash.md §9).
    pub parasitic: bool,
    /// What the running firmware drives on SO; `None` when it leaves the pin alone.
    pub firmware_so: Option<bool>,
}

impl Default for Electrics {
    fn default() -> Self {
        Self { echo: Echo::Clocked, floats_high: true, ground_noise: 8, parasitic: true, firmware_so: None }
    }
}

impl Electrics {
    /// One of the boards that may stand on a bench.
    #[must_use]
    pub fn varied(seed: u64) -> Self {
        // Another sequence than that of the noise, which starts from the same seed.
        let mut chance = Chance::new(seed ^ 0x0E1E_C7E1_C5E1_0000);
        Self {
            echo: match chance.below(3) {
                0 => Echo::AtOnce,
                1 => Echo::Clocked,
                _ => Echo::ClockedQuiet,
            },
            floats_high: chance.one_in(2),
            ground_noise: 4 + chance.below(29),
            parasitic: chance.one_in(2),
            firmware_so: match chance.below(4) {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
        }
    }
}
