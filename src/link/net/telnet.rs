//! Telnet as RFC 2217 needs it: bytes with settings between them (RFC 854, 855). No I/O.

/// Interpret as command.
pub(super) const IAC: u8 = 0xFF;
const SE: u8 = 0xF0;
const SB: u8 = 0xFA;
pub(super) const WILL: u8 = 0xFB;
pub(super) const WONT: u8 = 0xFC;
pub(super) const DO: u8 = 0xFD;
pub(super) const DONT: u8 = 0xFE;
/// Eight-bit data (RFC 856).
pub(super) const BINARY: u8 = 0;
/// No line turn-around (RFC 858).
pub(super) const SUPPRESS_GO_AHEAD: u8 = 3;
/// The settings of a serial port (RFC 2217).
pub(super) const COM_PORT: u8 = 44;
/// The longest setting that is kept; whatever is longer is none of this program's.
const LONGEST: usize = 256;

/// Data as it goes over the wire: every FF twice.
pub(super) fn escape(bytes: &[u8], into: &mut Vec<u8>) {
    for &byte in bytes {
        into.push(byte);
        if byte == IAC {
            into.push(IAC);
        }
    }
}

/// A setting of the serial port.
pub(super) fn com_port(command: u8, value: &[u8]) -> Vec<u8> {
    let mut frame = vec![IAC, SB, COM_PORT, command];
    escape(value, &mut frame);
    frame.extend([IAC, SE]);
    frame
}

/// What came between the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// WILL, WONT, DO or DONT, and the option.
    Option(u8, u8),
    /// A confirmed setting of the serial port: its number and value.
    ComPort(u8, Vec<u8>),
}

#[derive(Debug, Default)]
enum Place {
    #[default]
    Data,
    Iac,
    Option(u8),
    Sub(Vec<u8>),
    SubIac(Vec<u8>),
}

/// Takes what arrives apart, in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Parser {
    place: Place,
}

impl Parser {
    /// Data goes to `data`, the rest to `heard`.
    pub(super) fn push(&mut self, bytes: &[u8], data: &mut impl Extend<u8>, heard: &mut Vec<Heard>) {
        for &byte in bytes {
            self.place = match (std::mem::take(&mut self.place), byte) {
                (Place::Data, IAC) => Place::Iac,
                (Place::Data, byte) => {
                    data.extend([byte]);
                    Place::Data
                }
                (Place::Iac, IAC) => {
                    data.extend([IAC]);
                    Place::Data
                }
                (Place::Iac, SB) => Place::Sub(Vec::new()),
                (Place::Iac, verb @ WILL..=DONT) => Place::Option(verb),
                // A command without a parameter, such as "are you there".
                (Place::Iac, _) => Place::Data,
                (Place::Option(verb), option) => {
                    heard.push(Heard::Option(verb, option));
                    Place::Data
                }
                (Place::Sub(body), IAC) => Place::SubIac(body),
                (Place::SubIac(body), SE) => {
                    if let [COM_PORT, command, value @ ..] = &*body {
                        heard.push(Heard::ComPort(*command, value.to_vec()));
                    }
                    Place::Data
                }
                (Place::Sub(mut body) | Place::SubIac(mut body), byte) => {
                    if body.len() < LONGEST {
                        body.push(byte);
                    }
                    Place::Sub(body)
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&[u8]]) -> (Vec<u8>, Vec<Heard>) {
        let (mut parser, mut data, mut heard) = (Parser::default(), Vec::new(), Vec::new());
        pieces.iter().for_each(|piece| parser.push(piece, &mut data, &mut heard));
        (data, heard)
    }

    #[test]
    fn escaped_data_comes_back_whole_however_it_is_cut() {
        let all: Vec<u8> = (0..=255).chain([0xFF, 0xFF]).collect();
        let mut wire = Vec::new();
        escape(&all, &mut wire);
        assert_eq!(wire.len(), all.len() + 3);
        for cut in 0..wire.len() {
            assert_eq!(parse(&[&wire[..cut], &wire[cut..]]), (all.clone(), vec![]));
        }
    }

    #[test]
    fn settings_and_options_stand_between_the_data() {
        let mut wire = b"ab".to_vec();
        wire.extend([IAC, DO, COM_PORT]);
        wire.extend(com_port(101, &[0, 0xFF, 2, 0]));
        wire.extend([IAC, 0xF6]);
        wire.extend(b"cd");
        let expected = vec![Heard::Option(DO, COM_PORT), Heard::ComPort(101, vec![0, 0xFF, 2, 0])];
        for cut in 0..wire.len() {
            assert_eq!(parse(&[&wire[..cut], &wire[cut..]]), (b"abcd".to_vec(), expected.clone()));
        }
    }

    #[test]
    fn other_options_settings_and_endless_ones_are_passed_over() {
        let mut wire = vec![IAC, SB, 24, 1, IAC, SE];
        wire.extend([IAC, SB, COM_PORT]);
        wire.extend([7; 100_000]);
        wire.extend([IAC, SE, b'x']);
        let (data, heard) = parse(&[&wire]);
        assert_eq!(data, b"x");
        let [Heard::ComPort(7, value)] = &heard[..] else { panic!("{heard:?}") };
        assert!(value.len() < LONGEST);
    }
}
