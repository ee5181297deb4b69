//! Every flash operation of small jobs is one in which the power goes, for good: the next `resume` ends byte-exact, with
//! the protection as before, and leaves nothing behind. The same for processes that are killed at random times.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bkbench::job::STRONG_CONSENT_PHRASE;

use crate::support::cuts::Trial;
use crate::support::{bkbench, cases, sample, succeed};

/// A chip, and where its things are.
struct Board {
    name: &'static str,
    module: &'static str,
    dump: &'static str,
    image: &'static str,
    rf: usize,
    config: usize,
    /// The first offset that its UART may write.
    first: usize,
}

const T: Board = Board {
    name: "T",
    module: "wb2s",
    dump: "dumps/ds-101jl-4gang-switch-t.bin",
    image: "firmware/OpenBK7231T_QIO_1.18.300.bin",
    rf: 0x1E_0000,
    config: 0x1E_1000,
    first: 0x1_1000,
};

const N: Board = Board {
    name: "N",
    module: "cb3s",
    dump: "dumps/lspa9-clone-first-n.bin",
    image: "firmware/OpenBK7231N_QIO_1.18.300.bin",
    rf: 0x1D_0000,
    config: 0x1D_1000,
    first: 0,
};

const SECTOR: usize = 0x1000;
const WISH: &str = "name = \"Kühlschrank 冷蔵庫 🧊\"\nshort_name = \"fridge\"\n[wifi]\nssid = \"Příliš žluťoučký\"\n\
                    password_file = \"wifi.txt\"\n";

/// A chip file with factory protection, and a proven backup of it as `b.bin`.
fn chip(at: &Path, link: &str, content: &[u8]) {
    fs::write(at.join("image.bin"), content).expect("the image");
    let link = format!("{link}&image=image.bin&chip=chip.bin");
    succeed(&bkbench(at, &["--link", &link, "read", "-o", "b.bin", "--json"]));
    fs::remove_file(at.join("image.bin")).expect("removed");
}

fn change(at: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut content = fs::read(at.join("chip.bin")).expect("the chip");
    change(&mut content);
    fs::write(at.join("chip.bin"), content).expect("the chip");
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("rights");
}

impl Board {
    fn link(&self, wire: &str) -> String {
        format!("sim:{}?wire={wire}", self.module)
    }

    fn dump(&self) -> Option<Vec<u8>> {
        Some(fs::read(sample(self.dump)?).expect("the dump"))
    }

    fn name(&self, wire: &str, job: &str) -> String {
        format!("{} over {wire}, {job}", self.name)
    }

    /// OpenBeken is on the chip but for a few sectors, and gets those and its configuration.
    fn small_image(&self, wire: &str) -> Option<Trial> {
        let (mut content, image) = (self.dump()?, sample(self.image)?.canonicalize().expect("the image"));
        let bytes = fs::read(&image).expect("the image");
        let from = if wire == "uart" { self.first } else { 0 };
        content[from..bytes.len()].copy_from_slice(&bytes[from..]);
        // One sector that is erased only, and two others that are torn apart from each other.
        for at in [0x1_3000, 0x2_0000] {
            content[at..at + SECTOR].fill(0x5A);
        }
        let args = ["write", &image.display().to_string(), "--config", "fridge.toml", "--yes"].map(str::to_owned);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let trial = Trial::new(&self.name(wire, "write with configuration"), &self.link(wire), &args, |at| {
            fs::write(at.join("fridge.toml"), WISH).expect("the wish");
            private(&at.join("wifi.txt"), "sixty-three bytes are the longest that WPA2 takes as a password");
            chip(at, &self.link(wire), &content);
        });
        let mut wanted = content;
        wanted[from..bytes.len()].copy_from_slice(&bytes[from..]);
        let config = self.config..self.config + SECTOR;
        wanted[config.clone()].copy_from_slice(&trial.wanted()[config.clone()]);
        assert!(trial.wanted() == wanted, "{}: image, configuration, and the old rest", trial.name);
        for text in ["Kühlschrank 冷蔵庫 🧊", "Příliš žluťoučký"] {
            let found = trial.wanted()[config.clone()].windows(text.len()).any(|piece| piece == text.as_bytes());
            assert!(found, "{}: {text} is not in the configuration", trial.name);
        }
        Some(trial)
    }

    /// The RF block is gone and two other sectors are wrong; the backup is put back.
    fn restore(&self, wire: &str) -> Option<Trial> {
        let content = self.dump()?;
        // A sector of code differs, which no record explains: a person vouches for the backup.
        let args = ["restore", "b.bin", "--mac-lost", "--this-chip", STRONG_CONSENT_PHRASE, "--yes"];
        let trial = Trial::new(&self.name(wire, "restore --mac-lost"), &self.link(wire), &args, |at| {
            chip(at, &self.link(wire), &content);
            change(at, |chip| {
                chip[self.rf..self.rf + SECTOR].fill(0xFF);
                chip[0x2_0100] ^= 0xFF;
                chip[0x1F_0000] ^= 0xFF;
            });
        });
        assert!(trial.wanted() == content, "{}", trial.name);
        Some(trial)
    }

    /// Only the RF block is put back; a sector beside it stays as it is.
    fn rebuild(&self, wire: &str) -> Option<Trial> {
        let content = self.dump()?;
        let args = ["rf", "rebuild", "b.bin", "--mac-lost", "--yes"];
        let trial = Trial::new(&self.name(wire, "rf rebuild"), &self.link(wire), &args, |at| {
            chip(at, &self.link(wire), &content);
            change(at, |chip| {
                chip[self.rf..self.rf + SECTOR].fill(0xFF);
                chip[0x1F_0000] ^= 0xFF;
            });
        });
        let mut wanted = content;
        wanted[0x1F_0000] ^= 0xFF;
        assert!(trial.wanted() == wanted, "{}", trial.name);
        Some(trial)
    }

    /// Two sectors on both sides of a border of groups, write-protected before.
    fn erase(&self, wire: &str) -> Option<Trial> {
        let mut wanted = self.dump()?;
        let args = ["erase", "--start", "0x13F000", "--length", "8K", "--yes"];
        wanted[0x13_F000..0x14_1000].fill(0x3C);
        let trial = Trial::new(&self.name(wire, "erase"), &self.link(wire), &args, |at| {
            chip(at, &self.link(wire), &wanted);
        });
        wanted[0x13_F000..0x14_1000].fill(0xFF);
        assert!(trial.wanted() == wanted, "{}", trial.name);
        Some(trial)
    }
}

/// Unlocked by hand.
fn protect_off(board: &Board, wire: &str) -> Option<Trial> {
    let content = board.dump()?;
    let args = ["protect", "off"];
    Some(Trial::new(&board.name(wire, "protect off"), &board.link(wire), &args, |at| {
        fs::write(at.join("image.bin"), &content).expect("the image");
        let link = format!("{}&image=image.bin&chip=chip.bin", board.link(wire));
        succeed(&bkbench(at, &["--link", &link, "info", "--json"]));
        fs::remove_file(at.join("image.bin")).expect("removed");
    }))
}

/// Factory firmware becomes OpenBeken.
fn whole_image(board: &Board, wire: &str) -> Option<Trial> {
    let (content, image) = (board.dump()?, sample(board.image)?.canonicalize().expect("the image"));
    let bytes = fs::read(&image).expect("the image");
    let args = ["write", &image.display().to_string(), "--yes"].map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let trial = Trial::new(&board.name(wire, "whole image"), &board.link(wire), &args, |at| {
        chip(at, &board.link(wire), &content);
    });
    let from = if wire == "uart" { board.first } else { 0 };
    let mut wanted = content;
    wanted[from..bytes.len()].copy_from_slice(&bytes[from..]);
    assert!(trial.wanted() == wanted, "{}", trial.name);
    Some(trial)
}

/// What was there before the command is there after it, also the protection: over SPI nobody but the program changes it.
fn every_cut(trial: Option<Trial>) {
    let Some(trial) = trial else { return };
    if trial.name.contains("spi") {
        assert_eq!(trial.status_wanted(), trial.status_before(), "{}: the protection", trial.name);
    }
    trial.every_cut();
}

macro_rules! cuts {
    ($($(#[$mark:meta])* $test:ident: $board:ident.$job:ident($wire:literal);)*) => {$(
        #[test]
        $(#[$mark])*
        fn $test() {
            every_cut($board.$job($wire));
        }
    )*};
}

cuts! {
    an_image_with_configuration_on_a_t_over_spi_survives_every_cut: T.small_image("spi");
    an_image_with_configuration_on_a_t_over_uart_survives_every_cut: T.small_image("uart");
    an_image_with_configuration_on_an_n_over_spi_survives_every_cut: N.small_image("spi");
    an_image_with_configuration_on_an_n_over_uart_survives_every_cut: N.small_image("uart");
    a_restore_of_a_t_without_mac_over_spi_survives_every_cut: T.restore("spi");
    a_restore_of_a_t_without_mac_over_uart_survives_every_cut: T.restore("uart");
    a_restore_of_an_n_without_mac_over_spi_survives_every_cut: N.restore("spi");
    a_restore_of_an_n_without_mac_over_uart_survives_every_cut: N.restore("uart");
    an_rf_block_rebuilt_on_a_t_over_spi_survives_every_cut: T.rebuild("spi");
    an_rf_block_rebuilt_on_a_t_over_uart_survives_every_cut: T.rebuild("uart");
    an_rf_block_rebuilt_on_an_n_over_spi_survives_every_cut: N.rebuild("spi");
    an_rf_block_rebuilt_on_an_n_over_uart_survives_every_cut: N.rebuild("uart");
    an_erase_on_a_t_over_spi_survives_every_cut: T.erase("spi");
    an_erase_on_a_t_over_uart_survives_every_cut: T.erase("uart");
    an_erase_on_an_n_over_spi_survives_every_cut: N.erase("spi");
    an_erase_on_an_n_over_uart_survives_every_cut: N.erase("uart");
}

#[test]
fn protect_off_that_is_cut_anywhere_is_put_back_without_a_backup() {
    for (board, wire) in [(&T, "spi"), (&N, "spi"), (&N, "uart")] {
        if let Some(trial) = protect_off(board, wire) {
            trial.every_cut_of_protect_off();
        }
    }
}

/// `BKBENCH_CUT_RECORD=FOLDER BKBENCH_CUT_MINUTES=60 cargo test --release --test it -- --ignored every_cut_of_a_whole_image`.
/// May be stopped at any time: the next run goes on where the records in the folder end.
#[test]
#[ignore = "about 20,000 cuts, which take hours; see the comment for how it is run"]
fn every_cut_of_a_whole_image() {
    let folder = std::env::var_os("BKBENCH_CUT_RECORD").expect("BKBENCH_CUT_RECORD names a folder for the records");
    let minutes = std::env::var("BKBENCH_CUT_MINUTES").map_or(u64::MAX, |text| text.parse().expect("minutes"));
    let until = Instant::now() + Duration::from_secs(minutes.min(100_000) * 60);
    let (mut all, mut wrong) = (0, Vec::new());
    for (board, wire) in [(&T, "spi"), (&T, "uart"), (&N, "spi"), (&N, "uart")] {
        let Some(trial) = whole_image(board, wire) else { continue };
        let record = Path::new(&folder).join(format!("{}-{wire}.txt", board.name));
        let (ran, found) = trial.long_run(&record, until);
        eprintln!("{}: {ran} cuts ran, {} wrong, written down in {}", trial.name, found.len(), record.display());
        all += ran;
        wrong.extend(found);
    }
    assert!(wrong.is_empty(), "{} of {all} cuts: {wrong:#?}", wrong.len());
    assert!(all > 0, "nothing was left to do");
}

/// `BKBENCH_LONG=1` kills 500 times.
#[test]
#[ignore = "a killed command leaves the socket that watchers reach it by: run with --ignored"]
fn killed_commands_and_killed_resumes_are_ended_by_the_next_resume() {
    let trials = [T.small_image("spi"), T.restore("uart"), T.rebuild("spi"), N.small_image("uart"), N.restore("spi")];
    for (place, trial) in trials.into_iter().flatten().enumerate() {
        trial.kills(cases(4, 100), 31 + place as u64);
    }
}
