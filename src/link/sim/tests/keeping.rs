//! `chip=FILE`: a flash that outlives the program, and the link text that names it.

use super::*;
use crate::link::contract::{LinkError, WireKind};
use crate::link::sim::{Faults, endpoints, open};
use crate::link::spec::LinkSpec;

fn spec(text: &str) -> LinkSpec {
    LinkSpec::parse(text).unwrap()
}

fn open_error(text: &str) -> String {
    match open(&spec(text)) {
        Ok(_) => panic!("{text} opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_chip_file_is_made_from_the_image_and_written_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let (image, chip) = (dir.path().join("image.bin"), dir.path().join("chip.bin"));
    std::fs::write(&image, vec![0x77; 5000]).unwrap();
    let text = format!("sim:wb2s?locked=no&image={}&chip={}", image.display(), chip.display());

    let mut host = Host::at(open(&spec(&text)).unwrap());
    host.enter();
    host.write(&[0x02, 0, 0, 0, 0x11]);
    host.write(&[0x01, 0x10, 0x00]);
    let kept = std::fs::read(&chip).unwrap();
    assert_eq!(kept.len(), 0x20_0000);
    assert_eq!(
        (kept[0], kept[1], kept[4999], kept[5000]),
        (0x11, 0x77, 0x77, 0xFF),
        "written at once, host still open"
    );
    drop(host);

    let mut host = Host::at(open(&spec(&text)).unwrap());
    host.enter();
    assert_eq!(host.read(0, 2), [0x11, 0x77], "the second run sees the chip, not the image");
    assert_eq!(host.status(), 0x10);
    host.write(&[0x01, 0x00, 0x00]);
    host.write(&[0x20, 0, 0, 0]);
    assert_eq!(std::fs::read(&chip).unwrap()[..4096], [0xFF; 4096]);
    assert_eq!(std::fs::read(&image).unwrap(), vec![0x77; 5000], "the image is never written");
}

#[test]
fn a_torn_sector_is_torn_in_the_file_too() {
    let dir = tempfile::tempdir().unwrap();
    let chip = dir.path().join("chip.bin");
    std::fs::write(&chip, vec![0; 0x20_0000]).unwrap();
    let text = format!("sim:wb2s?locked=no&faults=power-loss:1&chip={}", chip.display());
    let mut host = Host::at(open(&spec(&text)).unwrap());
    host.enter();
    host.frame(&[0x06]);
    let error = host.spi.exchange(&mut [0x20, 0, 0, 0]).unwrap_err();
    assert!(matches!(error, LinkError::Gone { .. }));
    let kept = std::fs::read(&chip).unwrap();
    assert!(kept[..4096].iter().any(|byte| *byte != 0) && kept[..4096].iter().any(|byte| *byte != 0xFF));
    assert!(kept[4096..].iter().all(|byte| *byte == 0));
}

/// A chip of zeros in a file whose supply is cut in its first flash operation, an erase.
fn cut_in_an_erase(wire: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let chip = dir.path().join("chip.bin");
    std::fs::write(&chip, vec![0; 0x20_0000]).unwrap();
    let text = format!("sim:wb2s?wire={wire}&locked=no&chip={}", chip.display());
    (dir, text)
}

#[test]
fn a_module_whose_power_was_cut_answers_nothing_until_it_is_opened_without_the_fault() {
    let (dir, text) = cut_in_an_erase("spi");
    let cut = format!("{text}&faults=power-cut:1");
    let mut host = Host::at(open(&spec(&cut)).unwrap());
    host.enter();
    for frame in [&[0x06][..], &[0x20, 0, 0, 0], &[0x06], &[0x20, 0, 0x10, 0], &[0x06], &[0x01, 0x14]] {
        host.frame(frame);
        host.clock.sleep(Duration::from_secs(1));
    }
    let answer = [host.id(), vec![host.status(); 3], host.read(0, 3)];
    assert_eq!(answer, [[0xFF; 3]; 3], "a line that nobody drives");
    drop(host);

    let torn = std::fs::read(dir.path().join("chip.bin")).unwrap();
    assert!(torn[..4096].iter().any(|byte| *byte != 0) && torn[..4096].iter().any(|byte| *byte != 0xFF));
    assert!(torn[4096..].iter().all(|byte| *byte == 0), "nothing was done without supply");

    let mut again = Host::at(open(&spec(&cut)).unwrap());
    again.enter();
    assert_eq!(again.id(), [0xFF; 3], "the same link in the same process finds a dead module");
    drop(again);
    let mut next = Host::at(open(&spec(&text)).unwrap());
    next.enter();
    assert_eq!((next.id(), next.status()), (vec![0xEB, 0x60, 0x15], 0));
    assert!(std::fs::read(dir.path().join("chip.bin")).unwrap() == torn, "looking changes nothing");
}

#[test]
fn a_loader_whose_power_was_cut_in_a_sector_of_many_pages_programs_no_further_one() {
    for module in ["wb2s", "cb3s"] {
        let dir = tempfile::tempdir().unwrap();
        let chip = dir.path().join("chip.bin");
        let text = format!("sim:{module}?wire=uart&locked=no&chip={}", chip.display());
        let mut port = Port::at(open(&spec(&format!("{text}&faults=power-cut:3"))).unwrap());
        port.link();
        // Erase first: operation 1. Then the sector's pages: 2 and 3, and 14 that never come.
        let at: u32 = 0x14_1000;
        let erase = [&[0x01, 0xE0, 0xFC, 0xFF, 0xF4, 6, 0, 0x0F, 0x20][..], &at.to_le_bytes()].concat();
        assert!(!port.ask(&erase).is_empty());
        let sector = [&[0x01, 0xE0, 0xFC, 0xFF, 0xF4, 5, 16, 0x07][..], &at.to_le_bytes(), &[0; 4096]].concat();
        assert!(port.ask(&sector).is_empty(), "{module}: nobody is left to answer");
        assert!(port.ask(LINK_CHECK).is_empty(), "{module}: nor to be linked to");
        port.pulse();
        assert!(port.ask(LINK_CHECK).is_empty(), "{module}: nor after a reset");
        let kept = std::fs::read(&chip).unwrap();
        let sector = &kept[at as usize..][..4096];
        assert!(sector[..256].iter().all(|byte| *byte == 0), "{module}: the page before is whole");
        assert!(sector[256..512].iter().any(|byte| *byte != 0), "{module}: this one is torn");
        assert!(sector[512..].iter().all(|byte| *byte == 0xFF), "{module}: no page after it");
        drop(port);
        Port::at(open(&spec(&text)).unwrap()).link();
    }
}

#[test]
fn a_status_write_is_a_flash_operation_and_is_torn_in_the_file() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 1..30 {
        let (dir, text) = cut_in_an_erase("spi");
        let mut host = Host::at(open(&spec(&format!("{text}&seed={seed}&faults=power-cut:2"))).unwrap());
        host.enter();
        host.write(&[0x20, 0, 0, 0]);
        host.frame(&[0x06]);
        host.frame(&[0x01, 0x7C]);
        drop(host);
        let state = std::fs::read_to_string(dir.path().join("chip.bin.state.toml")).unwrap_or_default();
        seen.insert(state.lines().find(|line| line.starts_with("status")).unwrap_or_default().to_owned());
        assert!(std::fs::read(dir.path().join("chip.bin")).unwrap()[..4096] == [0xFF; 4096]);
    }
    assert!(seen.len() > 2, "the old value, the new one, and bits of both: {seen:?}");
}

#[test]
fn a_sag_answers_ff_and_does_nothing_for_a_while() {
    let (module, mut host) = bench("eb6015");
    module.poke(0, &[0; 4096]);
    module.set_faults(Faults::parse("sag:2").unwrap());
    assert_eq!(host.id(), [0xEB, 0x60, 0x15], "the first command");
    assert_eq!(host.id(), [0xFF; 3]);
    host.frame(&[0x06]);
    host.frame(&[0x20, 0, 0, 0]);
    host.clock.sleep(Duration::from_millis(300));
    assert_eq!((host.id(), host.read(0, 2)), (vec![0xEB, 0x60, 0x15], vec![0, 0]));
    assert!(module.counters().erases.iter().all(|erases| *erases == 0));
}

#[test]
fn a_chip_file_keeps_its_part() {
    let dir = tempfile::tempdir().unwrap();
    let chip = dir.path().join("chip.bin");
    let empty = dir.path().join("empty");
    std::fs::write(&empty, b"").unwrap();
    let text = format!("sim:wb2s?image={}&chip={}", empty.display(), chip.display());
    drop(open(&spec(&format!("{text}&flash=1c7015"))).unwrap());
    let mut host = Host::at(open(&spec(&text)).unwrap());
    host.enter();
    assert_eq!(host.id(), [0x1C, 0x70, 0x15]);
    assert_eq!(host.status(), 0x5C);
    drop(host);
    assert!(open_error(&format!("{text}&flash=eb6015")).contains("holds a EN25QH16B"));
}

#[test]
fn a_chip_file_of_another_size_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let chip = dir.path().join("chip.bin");
    std::fs::write(&chip, [0; 100]).unwrap();
    assert!(open_error(&format!("sim:wb2s?chip={}", chip.display())).contains("100 bytes long"));
}

#[test]
fn the_wire_is_spi_where_the_module_brings_it_out() {
    assert_eq!(open(&spec("sim:WB2S")).unwrap().info.wire, WireKind::Spi);
    assert_eq!(open(&spec("sim:cb2s")).unwrap().info.wire, WireKind::Uart);
    assert_eq!(open(&spec("sim:cb3s?wire=uart")).unwrap().info.wire, WireKind::Uart);
    assert!(open_error("sim:cb2s?wire=spi").contains("sck"));
}

#[test]
fn what_cannot_be_understood_is_named() {
    assert!(open_error("sim:esp8266").contains("wb2s"));
    assert!(open_error("sim:wa2").contains("no simulated module"));
    assert!(open_error("sim:wb2s?colour=red").contains("colour"));
    assert!(open_error("sim:wb2s?flash=123456").contains("eb6015"));
    assert!(open_error("sim:wb2s?pace=fast").contains("virtual, line"));
    assert!(open_error("sim:wb2s?faults=gremlins").contains("drop-page"));
    assert!(open_error("sim:wb2s?wires=knotted").contains("so-open"));
    assert!(open_error("sim:wb2s?seed=x").contains("whole number"));
    assert!(open_error("sim:wb2s?image=/no/such/file").contains("/no/such/file"));
}

#[test]
fn a_part_of_any_size_carries_what_fits() {
    for (part, size) in [("c84013", 0x8_0000), ("c84016", 0x40_0000)] {
        let module = Module::new(Setup::new("wb2s").unwrap().part(part).unwrap()).unwrap();
        assert_eq!(module.flash().len(), size);
        assert_eq!(module.bytes(4, 4), [0x35, 0xFF, 0x2A, 0x99]);
    }
    let large = Setup::new("wb2s").unwrap().part("c84013").unwrap().image(vec![0; 0x8_0001]);
    assert!(Module::new(large).is_err());
}

#[test]
fn the_practice_modules_are_listed() {
    let links: Vec<String> = endpoints().into_iter().map(|endpoint| endpoint.link).collect();
    assert_eq!(links[..2], ["sim:wb2s", "sim:cb3s"]);
    for link in &links {
        assert!(open(&spec(link)).unwrap().info.simulated, "{link}");
    }
}

/// What the flash behind this link answers to opcode 4B.
fn unique_id(text: &str) -> Vec<u8> {
    let mut host = Host::at(open(&spec(text)).unwrap());
    host.enter();
    host.ask(&[0x4B, 0, 0, 0, 0], 16)
}

#[test]
fn a_chip_file_keeps_its_unique_id_when_its_content_changes() {
    let dir = tempfile::tempdir().unwrap();
    let chip = dir.path().join("chip.bin");
    let text = format!("sim:wb2s?chip={}", chip.display());
    let id = unique_id(&text);
    assert_eq!(id[..8], id[8..], "eight bytes, over and over");
    assert_eq!(unique_id("sim:wb2s"), id, "the same content makes the same chip");
    assert_eq!(unique_id(&format!("{text}&seed=5")), id);

    std::fs::write(&chip, vec![0xFF; 0x20_0000]).unwrap();
    assert_eq!(unique_id(&text), id, "an empty chip is still itself");
}

#[test]
fn a_state_file_from_before_there_were_unique_ids_gets_one_that_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (chip, state) = (dir.path().join("chip.bin"), dir.path().join("chip.bin.state.toml"));
    let text = format!("sim:wb2s?chip={}", chip.display());
    let id = unique_id(&text);
    for older in [true, false] {
        if older {
            std::fs::write(&state, "part = \"eb6015\"\nstatus = [20, 0, 0]\n").unwrap();
        } else {
            std::fs::remove_file(&state).unwrap();
        }
        assert_eq!(unique_id(&text), id);
        assert!(std::fs::read_to_string(&state).unwrap().contains("unique_id"));
        let first = std::fs::read(&chip).unwrap();
        std::fs::write(&chip, vec![0; 0x20_0000]).unwrap();
        assert_eq!(unique_id(&text), id);
        std::fs::write(&chip, first).unwrap();
    }
}

#[test]
fn a_unique_id_can_be_chosen_and_stays_with_the_chip() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("sim:wb2s?chip={}", dir.path().join("chip.bin").display());
    let chosen = [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF];
    assert_eq!(unique_id(&format!("{text}&uid=0123456789abcdef"))[..8], chosen);
    assert_eq!(unique_id(&text)[..8], chosen);
    assert_eq!(unique_id(&format!("{text}&uid=none")), [0xFF; 16]);
    assert_eq!(unique_id(&text), [0xFF; 16]);
    assert_eq!(unique_id("sim:cb3s"), [0xFF; 16], "an EN25QH16B has none");
    assert!(open_error("sim:wb2s?uid=12").contains("16 hex digits"));
    assert!(open_error("sim:wb2s?uid=000000000000000g").contains("16 hex digits"));
}
