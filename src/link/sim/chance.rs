//! Seeded chance: the same seed gives the same noise, torn sectors and made-up names.

/// A small generator (SplitMix64), good enough for noise and no good for secrets.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next byte.
    pub const fn byte(&mut self) -> u8 {
        (self.next() >> 56) as u8
    }

    /// True once in `n` times on average; never for 0.
    pub const fn one_in(&mut self, n: u32) -> bool {
        n != 0 && self.next().is_multiple_of(n as u64)
    }

    /// A number below `n`; 0 for 0.
    pub const fn below(&mut self, n: u32) -> u32 {
        if n == 0 { 0 } else { (self.next() % n as u64) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_four_is_about_a_quarter() {
        let mut chance = Chance::new(7);
        let hits = (0..4000).filter(|_| chance.one_in(4)).count();
        assert!((800..1200).contains(&hits), "{hits} of 4000");
    }
}
