use super::*;
use crate::image::{code, family::FLASH_SIZE, samples};

fn codes(firmware: &Firmware) -> Vec<&'static str> {
    firmware.problems.iter().map(|problem| problem.code).collect()
}

#[test]
fn every_sample_firmware_gives_the_expected_result() {
    for sample in samples::firmware() {
        let found = identify(&sample.bytes);
        assert_eq!(found.problems, [], "{}", sample.name);
        assert_eq!(found.verdict, Verdict::Proven);
        assert_eq!(found.natural_address, Some(0));
        let found = Firmware { file: Some(format!("{}.bin", sample.name)), ..found };
        let found = serde_json::to_value(&found).unwrap();
        for (field, expected) in sample.expected.as_object().unwrap() {
            match (field.as_str(), expected.as_object()) {
                // Where the file was published.
                ("origin", _) => {}
                (_, Some(fields)) => {
                    for (name, value) in fields {
                        assert_eq!(&found[field][name], value, "{}: {field}.{name}", sample.name);
                    }
                }
                (_, None) => assert_eq!(&found[field], expected, "{}: {field}", sample.name),
            }
        }
    }
}

#[test]
fn the_application_part_of_a_qio_is_a_ua_of_the_same_chip() {
    for sample in samples::firmware() {
        let whole = identify(&sample.bytes);
        let end = BOOT_LOADER_LEN + whole.app.as_ref().unwrap().code_len();
        let ua = identify(&sample.bytes[BOOT_LOADER_LEN as usize..end as usize]);
        assert_eq!((ua.kind, ua.natural_address), (Kind::Ua, Some(0x11000)));
        assert_eq!((ua.family, ua.verdict), (whole.family, Verdict::Proven));
        assert_eq!(ua.problems, []);
        assert_eq!(ua.openbeken(), whole.openbeken());
        let from_the_rest = identify(&sample.bytes[BOOT_LOADER_LEN as usize..]);
        assert_eq!((from_the_rest.kind, from_the_rest.problems), (Kind::Ua, vec![]));
    }
}

#[test]
fn the_start_of_a_factory_dump_is_a_qio() {
    for sample in samples::dumps().iter().filter(|sample| sample.bytes.len() == FLASH_SIZE as usize) {
        if sample.expected["rotation"] != 0 {
            continue;
        }
        let found = identify(&sample.bytes[..0x12_9F70]);
        assert_eq!(found.kind, Kind::Qio);
        assert_eq!(found.family.map(Family::name), sample.expected["chip"].as_str(), "{}", sample.name);
        assert!(!found.has_errors(), "{}: {:?}", sample.name, found.problems);
    }
}

#[test]
fn one_flipped_bit_in_the_application_is_named() {
    let Some(mut sample) = samples::firmware_named("OpenBK7231T_QIO") else { return };
    sample.bytes[0x2_0000] ^= 0x40;
    let found = identify(&sample.bytes);
    assert!(found.has_errors());
    assert_eq!(codes(&found), [Finding::BAD_BLOCK, Finding::BAD_BODY]);
    let block = (0x2_0000 - 0x1_1000) / 34;
    let at = 0x1_1000 + block * 34;
    let expected =
        format!("application: 1 of 24828 code blocks fail their CRC, the first at 0x{at:06X} (block {block})");
    assert_eq!(found.problems[0].what, expected);
}

#[test]
fn damage_in_headers_and_boot_loader_is_named() {
    let Some(sample) = samples::firmware_named("OpenBK7231N_QIO") else { return };
    let damaged = |at: usize| {
        let mut bytes = sample.bytes.clone();
        bytes[at] ^= 1;
        let found = identify(&bytes);
        assert!(found.has_errors());
        codes(&found)
    };
    assert_eq!(damaged(0x3000), [Finding::BAD_BLOCK, Finding::BAD_BODY]);
    assert_eq!(damaged(0x1_0F9C), [Finding::BAD_BLOCK, Finding::BAD_HEADER]);
    assert_eq!(damaged(0x12_9F0C), [Finding::BAD_HEADER]);
}

#[test]
fn a_cut_file_is_noticed() {
    for sample in samples::firmware() {
        for len in [0x1_1000, 0x3_0000, 0x8_0001] {
            let found = identify(&sample.bytes[..len]);
            assert!(found.has_errors(), "{} cut to {len:#X}: {:?}", sample.name, found.problems);
        }
        let ua = identify(&sample.bytes[0x1_1000..0x3_0001]);
        assert_eq!(codes(&ua)[0], Finding::CUT_OFF);
    }
}

#[test]
fn a_boot_loader_of_the_other_chip_contradicts_the_application() {
    let pair = samples::firmware_named("OpenBK7231T_QIO").zip(samples::firmware_named("OpenBK7231N_QIO"));
    let Some((t, n)) = pair else { return };
    let mixed = [&t.bytes[..0x1_1000], &n.bytes[0x1_1000..]].concat();
    let found = identify(&mixed);
    assert_eq!((found.family, found.verdict), (None, Verdict::Unsure));
    assert_eq!(codes(&found), [Finding::CONTRADICTION]);
}

#[test]
fn decrypted_code_votes_for_another_chip() {
    let Some(sample) = samples::firmware_named("OpenBK7231N_QIO") else { return };
    let open = |part: &[u8], at: u32| {
        let mut code = code::strip(part);
        CodeKey::TUYA.apply(&mut code, at);
        code::pack(&code)
    };
    let app = open(&sample.bytes[0x1_1000..0xE_0000], 0x10000);
    let found = identify(&app);
    assert_eq!((found.kind, found.key, found.family), (Kind::Ua, Some(CodeKey::NONE), Some(Family::Other)));
}

#[test]
fn an_update_leaves_a_stale_header_that_is_not_held_against_a_dump() {
    let pair = samples::dump("ds-101jl-4gang-switch-t").zip(samples::firmware_named("OpenBK7231T_QIO"));
    let Some((dump, qio)) = pair else { return };
    let mut flash = dump.bytes;
    flash[..qio.bytes.len()].copy_from_slice(&qio.bytes);
    let found = identify(&flash);
    assert_eq!(codes(&found), [] as [&str; 0], "{:?}", found.problems);
    assert_eq!(found.headers.len(), 3);
    assert_eq!(found.app_header(&flash).unwrap().offset, Address(0xF_FF9A));
    assert_eq!(found.openbeken(), Some("OpenBK7231T_1.18.300"));
    assert_eq!(found.verdict, Verdict::Proven);
}

#[test]
fn over_the_air_packages_are_checked_and_not_for_direct_writing() {
    let payload: Vec<u8> = (0..=255).cycle().take(1024).collect();
    let mut package = rbl::tests::header_for("app", "1.0-bk7231n", &payload);
    package.extend(&payload);
    let found = identify(&package);
    assert_eq!((found.kind, found.natural_address, found.family), (Kind::Rbl, None, Some(Family::Bk7231N)));
    assert_eq!(codes(&found), [Finding::OTA_ONLY]);

    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let mut ug = [0x55, 0xAA, 0x55, 0xAA].to_vec();
    ug.extend(b"1.2.3\0\0\0\0\0\0\0");
    ug.extend((package.len() as u32).to_be_bytes());
    ug.extend(sum(&package).to_be_bytes());
    ug.extend(sum(&ug).to_be_bytes());
    ug.extend([0xAA, 0x55, 0xAA, 0x55]);
    ug.extend(&package);
    let found = identify(&ug);
    assert_eq!((found.kind, found.ug_version.as_deref()), (Kind::Ug, Some("1.2.3")));
    assert_eq!(codes(&found), [Finding::OTA_ONLY]);

    let last = ug.len() - 1;
    ug[last] ^= 1;
    assert_eq!(codes(&identify(&ug)), [Finding::BAD_BODY, Finding::OTA_ONLY, Finding::BAD_BODY]);
    assert_eq!(codes(&identify(&ug[..200])), [Finding::CUT_OFF, Finding::OTA_ONLY, Finding::CUT_OFF]);
}

#[test]
fn useless_files_are_refused_by_name() {
    assert_eq!(codes(&identify(&[0xFF; 4096])), [Finding::ONE_VALUE]);
    assert_eq!(codes(&identify(b"hello")), [Finding::UNKNOWN]);
    assert_eq!(codes(&identify(&code::VECTOR.to_le_bytes().repeat(99))), [Finding::RAW_CODE]);
}
