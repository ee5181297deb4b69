//! The flash of a smart plug as it leaves a factory, made up from a seed: the layouts, ciphers and check sums are the real
//! ones (formats.md), the code, names and numbers are not anybody's.

mod code;
mod data;
mod kv;

use super::chance::Chance;
use super::modules::{Board, Silicon};

/// The size of the parts that plugs carry, in bytes.
const SIZE: usize = 0x20_0000;

/// Where things stand on a chip (formats.md §1).
struct Map {
    rf: usize,
    /// The plain-text file area.
    files: usize,
    /// The fast-connect record.
    connect: usize,
    /// Start and length of the download area as the boot loader and as the application have it.
    download: (u32, u32, u32),
}

const fn map(silicon: Silicon) -> Map {
    match silicon {
        Silicon::T => {
            Map { rf: 0x1E_0000, files: 0x1E_3000, connect: 0x1E_2000, download: (0x13_2000, 0xA_6000, 0x9_6000) }
        }
        Silicon::N => {
            Map { rf: 0x1D_0000, files: 0x1D_2000, connect: 0x1D_1000, download: (0x12_A000, 0xA_6000, 0xA_6000) }
        }
    }
}

/// The pin configuration of the plug that a module sits in (formats.md §10): one relay, one button, one LED and a meter.
/// `crc` is some number, as it is on real plugs.
fn pins(module: &str, silicon: Silicon) -> String {
    let (meter, led) = match silicon {
        Silicon::T => ("ele_pin:7,vi_pin:8", "netled1_pin:6"),
        Silicon::N => ("ele_pin:7,vi_pin:6", "netled1_pin:8"),
    };
    format!(
        "{{sel_pin_pin:24,rl1_lv:1,bt1_pin:10,net_trig:4,jv:1.0.5,netled1_lv:0,netled_reuse:0,bt1_type:0,nety_led:1,\
         resistor:1,over_cur:16000,bt1_lv:0,reset_t:5,{led},chip_type:0,lose_vol:90,over_vol:265,module:{module},\
         {meter},ch_cddpid1:9,ch1_stat:2,rl1_type:0,ch_num:1,ele_fun_en:1,rl1_pin:26,netn_led:0,vol_def:0,ch_dpid1:1,\
         sel_pin_lv:1,crc:{},}}",
        module.len() * 23 + 7
    )
}

/// The whole content, 2 MiB; the same for the same module and seed.
pub(super) fn image(board: &Board, seed: u64) -> Vec<u8> {
    let mut chance = Chance::new(seed ^ 0xFAC7_0121);
    let map = map(board.silicon);
    let pins = pins(&board.name, board.silicon);
    let mut flash = vec![0xFF; SIZE];
    code::boot_loader(&mut flash, board.silicon, &map, &mut chance);
    code::application(&mut flash, board.silicon, &map, &mut chance);
    data::rf_block(&mut flash[map.rf..], board.silicon, &mut chance);
    data::connect_record(&mut flash[map.connect..], board.silicon, &mut chance);
    data::file_area(&mut flash[map.files..], pins.as_bytes());
    let identity = kv::Identity::made_up(&mut chance);
    kv::storage(&mut flash[kv::KEY_BLOCK..], board.silicon, &pins, &identity);
    if board.silicon == Silicon::N {
        kv::protected_block(&mut flash[kv::PROTECTED_BLOCK..], &identity);
    }
    flash
}

fn put(at: &mut [u8], bytes: &[u8]) {
    at[..bytes.len()].copy_from_slice(bytes);
}

/// Plain sum of bytes, the check sum of everything Tuya stores.
fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::super::modules;
    use super::*;

    fn plug(name: &str) -> Vec<u8> {
        image(modules::find(name).unwrap(), 1)
    }

    #[test]
    fn the_same_seed_gives_the_same_plug() {
        assert_eq!(plug("wb2s"), plug("wb2s"));
        let other = image(modules::find("wb2s").unwrap(), 2);
        assert_ne!(plug("wb2s")[0x1E_0000..0x1E_1000], other[0x1E_0000..0x1E_1000]);
    }

    #[test]
    fn a_search_for_pin_finds_the_plain_text_copy_only_in_the_file_area() {
        for (name, files) in [("wb2s", 0x1E_3000), ("cb3s", 0x1D_2000)] {
            let plug = plug(name);
            let hits: Vec<usize> = memchr::memmem::find_iter(&plug, b"_pin:").collect();
            assert!(hits.len() >= 6, "{} hits", hits.len());
            assert!(hits.iter().all(|at| (files..files + 0xB000).contains(at)));
            let text = format!("module:{}", name.to_uppercase());
            assert!(memchr::memmem::find(&plug, text.as_bytes()).is_some());
        }
    }

    #[test]
    fn every_module_gets_a_plug() {
        for board in modules::all() {
            assert_eq!(image(board, 1).len(), SIZE, "{}", board.name);
        }
    }
}
