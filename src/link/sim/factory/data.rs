//! What is stored in the clear: RF calibration, the fast-connect record and the file area (formats.md §7 and §9).

use super::super::chance::Chance;
use super::super::modules::Silicon;
use super::{put, sum};

/// The network a plug was never in. Nobody's: both words say what they are.
pub(super) const NETWORK: (&str, &str) = ("Practice-Network", "not-a-real-password");
/// The same in Base64, as the settings keep it.
pub(super) const NETWORK_BASE64: (&str, &str) = ("UHJhY3RpY2UtTmV0d29yaw==", "bm90LWEtcmVhbC1wYXNzd29yZA==");

/// The RF calibration with a made-up, locally administered MAC address.
pub(super) fn rf_block(at: &mut [u8], silicon: Silicon, chance: &mut Chance) {
    let mut mac: [u8; 6] = std::array::from_fn(|_| chance.byte());
    mac[0] = 0x02;
    let word = |id: u32, value: u32| item(id, &value.to_le_bytes());
    let basic = [
        word(0x1111_1101, 0x00BC_614E),
        item(0x1111_1102, &mac),
        word(0x1111_1103, 0x0100 | chance.below(0x60)),
        word(0x1111_1104, 0x0153_158E),
        word(0x1111_1105, 0x20 + chance.below(0x10)),
        word(0x1111_1106, 0x0354_0055),
        item(0x1111_1107, &[0x0F, 0, 0, 0, 0x0E, 0, 0, 0]),
    ];
    let mut curve = |start: u8| -> Vec<u8> { (0..14).map(|_| start + chance.below(4) as u8).collect() };
    let mut power = vec![
        word(0x2222_2201, 0x0F),
        item(0x2222_2202, &curve(0x90)),
        item(0x2222_2203, &curve(0x90)),
        item(0x2222_2204, &curve(0x90)),
        word(0x2222_2205, 2),
        word(0x2222_2206, 3),
        item(0x2222_2207, &[0; 0x28]),
        word(0x2222_2208, 1),
    ];
    if silicon == Silicon::N {
        power.push(vec![0x5A; 22]);
    }
    let converter: Vec<Vec<u8>> =
        (1..=11u32).map(|index| word(0x3333_3300 + index, 0x200 + chance.below(0x100))).collect();
    let rest = [item(0x4444_4401, &[0; 32]), word(0x4444_4402, 0x205), word(0x4444_4403, 0x2B)];
    let body = [
        item(0x1111_1100, &basic.concat()),
        item(0x2222_2200, &power.concat()),
        item(0x3333_3300, &converter.concat()),
        item(0x4444_4400, &rest.concat()),
    ]
    .concat();
    put(at, b"TLV\0");
    put(&mut at[4..], &(body.len() as u32).to_le_bytes());
    put(&mut at[8..], &body);
}

fn item(id: u32, data: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes(), &(data.len() as u32).to_le_bytes(), data].concat()
}

/// The record a plug joins its network with quickly: plain on the T, hidden by eight repeating bytes on newer N.
pub(super) fn connect_record(at: &mut [u8], silicon: Silicon, chance: &mut Chance) {
    let mut record = [0; 171];
    put(&mut record, NETWORK.0.as_bytes());
    let bssid: [u8; 6] = std::array::from_fn(|place| if place == 0 { 0x02 } else { chance.byte() });
    put(&mut record[33..], &bssid);
    put(&mut record[39..], &[4, 6]);
    let key: String = (0..32).map(|_| format!("{:02x}", chance.byte())).collect();
    put(&mut record[41..], key.as_bytes());
    put(&mut record[106..], NETWORK.1.as_bytes());
    if silicon == Silicon::N {
        const HIDE: [u8; 8] = [0x55, 0xAA, 0x5A, 0x55, 0xA5, 0x4D, 0x63, 0x7F];
        record.iter_mut().zip(HIDE.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }
    put(at, &record);
}

/// The file area: two copies of the index, then the files. `oem_cfg` is the plain copy of the pin configuration.
pub(super) fn file_area(at: &mut [u8], pins: &[u8]) {
    let files: [(&str, &[u8], u32); 5] = [
        ("oem_cfg", pins, 2),
        ("measure_coe", &[0; 16], 3),
        ("log_seq_stat", &[0; 64], 4),
        ("RLY_STAT", b"{\"1\":0}\0", 5),
        ("day_energy", &[0; 84], 6),
    ];
    let mut index = [0; 4096];
    put(&mut index, &0x9876_4321u32.to_le_bytes());
    put(&mut index[8..], &21u32.to_le_bytes());
    put(&mut index[14..], &(files.len() as u16).to_le_bytes());
    for (entry, (name, content, sector)) in index[16..].chunks_exact_mut(100).zip(files) {
        put(entry, name.as_bytes());
        put(&mut entry[32..], &(content.len() as u32).to_le_bytes());
        put(&mut entry[36..], &sector.to_le_bytes());
        put(&mut at[sector as usize * 0x1000..], content);
    }
    let check = sum(&index[8..]).to_le_bytes();
    put(&mut index[4..], &check);
    put(at, &index);
    put(&mut at[0x1000..], &index);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_where_real_blocks_have_it_and_nobodys() {
        for (silicon, len) in [(Silicon::T, 0x1E0), (Silicon::N, 0x1F6)] {
            let mut block = [0xFF; 4096];
            rf_block(&mut block, silicon, &mut Chance::new(1));
            assert_eq!(&block[..4], b"TLV\0");
            assert_eq!(u32::from_le_bytes(block[4..8].try_into().unwrap()), len);
            assert_eq!(block[0x1C..0x24], [0x02, 0x11, 0x11, 0x11, 0x06, 0, 0, 0]);
            assert_eq!(block[0x24] & 3, 2, "locally administered, one device");
        }
    }

    #[test]
    fn the_network_names_agree() {
        let base64 = |text: &str| {
            const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let groups = text.as_bytes().chunks(3).map(|three| {
                let bits =
                    three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
                let digit = |place: usize| DIGITS[(bits >> (18 - 6 * place) & 63) as usize] as char;
                (0..4).map(|place| if place <= three.len() { digit(place) } else { '=' }).collect::<String>()
            });
            groups.collect::<String>()
        };
        assert_eq!(NETWORK_BASE64, (base64(NETWORK.0).as_str(), base64(NETWORK.1).as_str()));
    }

    #[test]
    fn the_connect_record_of_the_n_is_hidden() {
        let record = |silicon| {
            let mut record = [0xFF; 171];
            connect_record(&mut record, silicon, &mut Chance::new(1));
            record
        };
        assert!(record(Silicon::T).starts_with(NETWORK.0.as_bytes()));
        let hidden = [0x55 ^ b's', 0xAA ^ b'w', 0x5A ^ b'o', 0x55 ^ b'r', 0xA5 ^ b'd', 0x4D, 0x63, 0x7F];
        assert_eq!(record(Silicon::N)[120..128], hidden);
    }
}
