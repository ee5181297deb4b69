//! Files that must not reach the flash, made from the samples: each refusal names its reason, and the chip stays as it
//! was.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{bkbench, code, document, folder, sample, succeed};

const DUMP: &str = "dumps/ds-101jl-4gang-switch-t.bin";
const IMAGE: &str = "firmware/OpenBK7231T_QIO_1.18.300.bin";
const APPLICATION: usize = 0x1_1000;
const CODE_BLOCK: usize = 34;

struct Chip {
    folder: tempfile::TempDir,
    link: String,
    dump: Vec<u8>,
    image: Vec<u8>,
}

impl Chip {
    fn new(wire: &str) -> Option<Self> {
        let (dump, image) = (sample(DUMP)?, sample(IMAGE)?);
        let folder = folder();
        let link = format!("sim:wb2s?image={}&chip=chip.bin&wire={wire}", dump.display());
        succeed(&bkbench(folder.path(), &["--link", &link, "read", "--json"]));
        Some(Self { folder, link, dump: fs::read(dump).expect("dump"), image: fs::read(image).expect("image") })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Tries to write the bytes; returns the error and makes sure that nothing happened to the chip.
    fn refused(&self, bytes: &[u8], at: Option<&str>) -> Value {
        fs::write(self.path().join("file.bin"), bytes).expect("a file");
        let mut args = vec!["--link", &self.link, "write", "file.bin", "--yes", "--json"];
        args.extend(at.iter().flat_map(|at| ["--at", at]));
        let output = bkbench(self.path(), &args);
        assert_eq!(code(&output), 4, "{}", String::from_utf8_lossy(&output.stderr));
        assert!(fs::read(self.path().join("chip.bin")).expect("the chip") == self.dump, "the chip was changed");
        document(&output)["error"].clone()
    }
}

fn says(error: &Value, code: &str, words: &[&str]) {
    assert_eq!(error["code"], code, "{error}");
    let what = error["what"].as_str().expect("what");
    for word in words {
        assert!(what.contains(word), "{word:?} is not in {what:?}");
    }
}

#[test]
fn a_truncated_image_is_refused() {
    let Some(chip) = Chip::new("spi") else { return };
    let whole = chip.image.iter().rposition(|byte| *byte != 0xFF).expect("content") + 1;
    says(&chip.refused(&chip.image[..whole - 5000], None), "E404", &["file.bin", "ends"]);
    says(&chip.refused(&chip.image[..APPLICATION + 100 * CODE_BLOCK + 7], None), "E404", &["ends inside a code block"]);
    says(&chip.refused(&chip.image[APPLICATION..APPLICATION + 5000], None), "E404", &["ends inside a code block"]);
}

#[test]
fn a_flipped_bit_is_refused_and_its_block_is_named() {
    for wire in ["spi", "uart"] {
        let Some(chip) = Chip::new(wire) else { return };
        for (start, block) in [(0, 50), (0, 1999), (APPLICATION, 0), (APPLICATION, 100), (APPLICATION, 20_000)] {
            let place = start + block * CODE_BLOCK + 5;
            let mut image = chip.image.clone();
            image[place] ^= 0x10;
            let part = if start == 0 { "boot loader" } else { "application" };
            let error = chip.refused(&image, None);
            if (start, block) == (APPLICATION, 0) {
                // Its first block is what an application is known by.
                assert_eq!(error["code"], "E404", "{error}");
                continue;
            }
            let at = format!("0x{:06X}", start + block * CODE_BLOCK);
            says(&error, "E404", &["file.bin", part, &format!("(block {block})"), &at]);
        }
    }
}

#[test]
fn an_image_at_another_place_than_its_own_is_refused() {
    for wire in ["spi", "uart"] {
        let Some(chip) = Chip::new(wire) else { return };
        says(&chip.refused(&chip.image[APPLICATION..], Some("0")), "E407", &["UA", "0x011000", "0x000000"]);
        says(&chip.refused(&chip.image, Some("0x11000")), "E407", &["QIO", "0x000000", "0x011000"]);
        says(&chip.refused(&chip.image, Some("0x12000")), "E407", &["QIO"]);
    }
}

#[test]
fn update_packages_and_linker_output_are_not_written_raw() {
    let Some(chip) = Chip::new("spi") else { return };
    let rbl = [b"RBL\0".as_slice(), &[1; 92], &chip.image[..4096]].concat();
    let ug = [[0x55, 0xAA, 0x55, 0xAA].as_slice(), &[0; 28], &rbl].concat();
    for at in [None, Some("0"), Some("0x11000"), Some("0x132000")] {
        says(&chip.refused(&rbl, at), "E406", &["RBL"]);
        says(&chip.refused(&ug, at), "E406", &["UG"]);
    }
}

#[test]
fn a_rotated_dump_and_noise_in_the_code_area_are_refused() {
    let Some(chip) = Chip::new("spi") else { return };
    let mut rotated = chip.dump.clone();
    rotated.rotate_left(APPLICATION);
    says(&chip.refused(&rotated, None), "E406", &["rotated dump"]);
    says(&chip.refused(&[0x5A; 5000], Some("0x20000")), "E403", &["file.bin"]);
    says(&chip.refused(&[0x5A; 5000], None), "E408", &["file.bin"]);
}

#[test]
fn a_damaged_dump_is_refused_as_an_image_and_its_block_is_named() {
    let Some(chip) = Chip::new("spi") else { return };
    let mut dump = chip.dump.clone();
    dump[APPLICATION + 300 * CODE_BLOCK + 3] ^= 1;
    says(&chip.refused(&dump, None), "E404", &["application", "(block 300)"]);
}

#[test]
fn without_a_proven_backup_only_the_phrase_opens_the_way_and_the_report_records_it() {
    let folder = folder();
    let at = folder.path();
    let link = "sim:wb2s?chip=chip.bin";
    let args = ["--link", link, "erase", "--start", "0x140000", "--length", "8K", "--yes", "--json"];
    let wrong = bkbench(at, &[&args[..], &["--no-backup", "yes"]].concat());
    assert_eq!((code(&wrong), document(&wrong)["error"]["code"].as_str()), (4, Some("E414")));
    let phrase = bkbench::job::BYPASS_PHRASE;
    let done = succeed(&bkbench(at, &[&args[..], &["--no-backup", phrase]].concat()));
    assert!(done["report"]["backup"].as_str().expect("a word on the backup").contains(phrase), "{done}");
}

#[test]
fn a_chip_whose_backup_cannot_be_right_is_not_written_to() {
    let half: Vec<u8> = (0..0x10_0000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let chips = [
        ("all zero", vec![0; 0x20_0000], "every byte is 0x00"),
        ("all FF", vec![0xFF; 0x20_0000], "every byte is 0xFF"),
        ("wrapped", [half.clone(), half].concat(), "the second half repeats the first"),
    ];
    for (name, content, why) in chips {
        let folder = folder();
        let at = folder.path();
        fs::write(at.join("chip.bin"), &content).expect("the chip");
        let link = "sim:wb2s?chip=chip.bin";
        let read = bkbench(at, &["--link", link, "read", "-o", "b.bin", "--json"]);
        assert_eq!(code(&read), 5, "{name}: {}", String::from_utf8_lossy(&read.stderr));
        let error = String::from_utf8_lossy(&read.stderr).into_owned();
        assert!(error.contains("E520") && error.contains(why), "{name}: {error}");
        let args = ["--link", link, "erase", "--start", "0x140000", "--length", "4K", "--yes", "--json"];
        let write = bkbench(at, &args);
        assert_eq!((code(&write), document(&write)["error"]["code"].as_str()), (5, Some("E520")), "{name}");
        assert!(fs::read(at.join("chip.bin")).expect("the chip") == content, "{name}");
    }
}
