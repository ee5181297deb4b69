//! The lines by hand: pulls, bridges, and frames sent edge by edge over any order of the four bus wires.

use std::time::Duration;

use crate::link::{Clock, Hold, Line, LinkError, ProbeLines};

/// How long a pull of some ten kilohms needs to move a wire of a hand's length, with a wide margin.
const SETTLE: Duration = Duration::from_micros(20);
/// Half a bit by hand; the host's own slowness adds to it.
const HALF_BIT: Duration = Duration::from_micros(2);
/// Looks at a line, with each pull.
const LOOKS: u32 = 16;

/// The four bus lines.
pub(super) const BUS: [Line; 4] = [Line::Sck, Line::Csn, Line::Si, Line::So];

/// What a line does while the host only pulls at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    /// It goes where it is pulled: nobody else holds it.
    Follows,
    /// It stays low.
    Low,
    /// It stays high.
    High,
    /// It reads differently from look to look.
    Flickers,
}

/// Which host pin plays which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub sck: Line,
    pub csn: Line,
    pub si: Line,
    pub so: Line,
}

impl Order {
    /// As the wiring table has it.
    pub const STRAIGHT: Self = Self { sck: Line::Sck, csn: Line::Csn, si: Line::Si, so: Line::So };

    /// Every other order, pairs exchanged first: they are the likeliest mistake.
    pub fn others() -> Vec<Self> {
        let mut all = Vec::new();
        for sck in BUS {
            for csn in BUS {
                for si in BUS {
                    for so in BUS {
                        let lines = [sck, csn, si, so];
                        let distinct = BUS.iter().all(|line| lines.contains(line));
                        let order = Self { sck, csn, si, so };
                        if distinct && order != Self::STRAIGHT {
                            all.push(order);
                        }
                    }
                }
            }
        }
        all.sort_by_key(|order| order.wrong().len());
        all
    }

    /// The pads whose wire does not end where it should, each with the pin where it does end.
    pub fn wrong(&self) -> Vec<(Line, Line)> {
        let pairs = [(Line::Sck, self.sck), (Line::Csn, self.csn), (Line::Si, self.si), (Line::So, self.so)];
        pairs.into_iter().filter(|(pad, pin)| pad != pin).collect()
    }
}

/// The host's pins with a clock to wait by.
pub(super) struct Lines<'l> {
    pub probe: &'l mut dyn ProbeLines,
    pub clock: &'l dyn Clock,
}

impl Lines<'_> {
    pub fn hold(&mut self, line: Line, how: Hold) -> Result<(), LinkError> {
        self.probe.hold(line, how)
    }

    fn settled(&mut self, line: Line) -> Result<bool, LinkError> {
        self.clock.sleep(SETTLE);
        self.probe.level(line)
    }

    /// What a line does under both pulls, looked at many times. Leaves it with a pull-down.
    pub fn follow(&mut self, line: Line) -> Result<Follow, LinkError> {
        let (mut up, mut down) = (0, 0);
        for _ in 0..LOOKS {
            self.hold(line, Hold::PullUp)?;
            up += u32::from(self.settled(line)?);
            self.hold(line, Hold::PullDown)?;
            down += u32::from(self.settled(line)?);
        }
        Ok(match (up, down) {
            (LOOKS, 0) => Follow::Follows,
            (LOOKS, LOOKS) => Follow::High,
            (0, 0) => Follow::Low,
            _ => Follow::Flickers,
        })
    }

    /// Whether `listener` takes the level of `driven` against its own pull, both ways and every time.
    pub fn copies(&mut self, driven: Line, listener: Line) -> Result<bool, LinkError> {
        let mut all = true;
        for _ in 0..LOOKS {
            self.hold(driven, Hold::Low)?;
            self.hold(listener, Hold::PullUp)?;
            all &= !self.settled(listener)?;
            self.hold(driven, Hold::High)?;
            self.hold(listener, Hold::PullDown)?;
            all &= self.settled(listener)?;
        }
        self.hold(driven, Hold::Low)?;
        Ok(all)
    }

    /// The bus at rest: chip select high, the line from the module pulled up, so that a 0 there was driven.
    pub fn rest(&mut self, order: &Order) -> Result<(), LinkError> {
        self.hold(order.so, Hold::PullUp)?;
        self.hold(order.csn, Hold::High)?;
        self.hold(order.sck, Hold::Low)?;
        self.hold(order.si, Hold::Low)
    }

    /// One frame in mode 0: the level is sampled right before the clock rises.
    pub fn frame(&mut self, order: &Order, bytes: &[u8]) -> Result<Vec<u8>, LinkError> {
        self.hold(order.csn, Hold::Low)?;
        let mut answer = Vec::with_capacity(bytes.len());
        for byte in bytes {
            let mut back = 0;
            for place in (0..8).rev() {
                self.hold(order.sck, Hold::Low)?;
                self.hold(order.si, if byte >> place & 1 == 1 { Hold::High } else { Hold::Low })?;
                self.clock.sleep(HALF_BIT);
                back = back << 1 | u8::from(self.probe.level(order.so)?);
                self.hold(order.sck, Hold::High)?;
                self.clock.sleep(HALF_BIT);
            }
            answer.push(back);
        }
        self.hold(order.sck, Hold::Low)?;
        self.hold(order.csn, Hold::High)?;
        Ok(answer)
    }

    /// The JEDEC id as one read gives it.
    pub fn id(&mut self, order: &Order) -> Result<[u8; 3], LinkError> {
        let answer = self.frame(order, &crate::codec::nor::opcode::read_id())?;
        Ok(answer.get(1..4).and_then(|id| id.try_into().ok()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_twenty_three_other_orders_and_exchanged_pairs_come_first() {
        let others = Order::others();
        assert_eq!(others.len(), 23);
        assert!(others[..6].iter().all(|order| order.wrong().len() == 2));
        assert!(others[6..].iter().all(|order| order.wrong().len() > 2));
    }
}
