//! The bytes a CH341A takes and gives (spi-flash.md §13). It works through packets of 32 bytes and begins a command at
//! the start of each.

/// Length of a packet.
pub(super) const PACKET: usize = 32;
/// SPI bytes in a packet, behind its opcode.
pub(super) const PAYLOAD: usize = PACKET - 1;

/// Shifts the bytes behind it out, and others in.
const SPI_STREAM: u8 = 0xA8;
/// Settings of the stream engine.
const SETTINGS: u8 = 0xAA;
/// Works the lines.
const LINES: u8 = 0xAB;
/// In a line packet: the levels of D0 to D5.
const OUTPUT: u8 = 0x80;
/// In a line packet: which of D0 to D5 are outputs.
const DIRECTIONS: u8 = 0x40;
/// In a line packet: its end.
const END: u8 = 0x20;
/// In a settings packet: the speed, with one data line per direction.
const SPEED: u8 = 0x61;

/// D0 is chip select, D1 and D4 further ones, D2 is CEN, D3 is SCK, D5 is MOSI: all high but SCK.
const IDLE: u8 = 0x37;
/// D0.
const CHIP_SELECT: u8 = 0x01;
/// D2.
const CEN: u8 = 0x04;
/// D0 to D5.
const ALL: u8 = 0x3F;

/// The levels of the six lines: nothing else changes while one of the two does.
const fn levels(selected: bool, held: bool) -> u8 {
    let select = if selected { CHIP_SELECT } else { 0 };
    let cen = if held { CEN } else { 0 };
    IDLE & !select & !cen
}

/// Sets the adapter up, lines at rest.
pub(super) fn begin() -> [Vec<u8>; 2] {
    [vec![SETTINGS, SPEED, 0], vec![LINES, OUTPUT | IDLE, DIRECTIONS | ALL, END]]
}

/// Lets all lines go: an unpowered module is not fed through them.
pub(super) fn let_go() -> Vec<u8> {
    vec![LINES, OUTPUT | IDLE, DIRECTIONS, END]
}

/// CEN low or high, chip select high before and after.
pub(super) fn cen(held: bool) -> Vec<u8> {
    vec![LINES, OUTPUT | levels(false, held), END]
}

/// One chip-select frame: what selects the chip and carries the bytes, then what lets it go again. The adapter shifts the
/// lowest bit first, a flash takes the highest first.
pub(super) fn frame(bytes: &[u8], held: bool) -> [Vec<u8>; 2] {
    let mut out = vec![LINES, OUTPUT | levels(true, held), END];
    out.resize(PACKET, 0);
    for piece in bytes.chunks(PAYLOAD) {
        out.push(SPI_STREAM);
        out.extend(piece.iter().map(|byte| byte.reverse_bits()));
    }
    [out, vec![LINES, OUTPUT | levels(false, held), END]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_usual_adapters() {
        assert_eq!((levels(false, false), levels(true, false), levels(false, true)), (0x37, 0x36, 0x33));
        assert_eq!(levels(true, true), 0x32, "a look at the chip in reset keeps CEN low");
        assert_eq!(cen(true), [0xAB, 0xB3, 0x20]);
        assert_eq!(cen(false), [0xAB, 0xB7, 0x20]);
        assert_eq!(begin()[1], [0xAB, 0xB7, 0x7F, 0x20]);
        assert_eq!(let_go(), [0xAB, 0xB7, 0x40, 0x20]);
    }

    #[test]
    fn an_id_read_is_one_packet_behind_chip_select() {
        let [out, end] = frame(&[0x9F, 0, 0, 0], false);
        assert_eq!(out[..3], [0xAB, 0xB6, 0x20]);
        assert!(out[3..PACKET].iter().all(|byte| *byte == 0));
        assert_eq!(out[PACKET..], [0xA8, 0xF9, 0, 0, 0], "9F with its bits turned round");
        assert_eq!(end, [0xAB, 0xB7, 0x20]);
    }

    #[test]
    fn long_frames_begin_each_packet_with_the_opcode() {
        let bytes: Vec<u8> = (0..100).collect();
        let [out, _] = frame(&bytes, false);
        let packets: Vec<&[u8]> = out.chunks(PACKET).collect();
        assert_eq!(packets.iter().map(|packet| packet.len()).collect::<Vec<_>>(), [32, 32, 32, 32, 8]);
        assert!(packets[1..].iter().all(|packet| packet[0] == 0xA8));
        let back: Vec<u8> =
            packets[1..].iter().flat_map(|packet| &packet[1..]).map(|byte| byte.reverse_bits()).collect();
        assert_eq!(back, bytes);
    }
}
