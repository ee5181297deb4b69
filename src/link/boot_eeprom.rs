//! Keeps hands off the Raspberry Pi's own boot EEPROM (product.md rule 11). The decision is made by device-tree path
//! and pins, never by bus number alone, and it cannot be overridden.

use std::path::Path;

use crate::disk;

/// No property of a device tree that is looked at is as large as this, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Whether the SPI bus leads to this computer's boot EEPROM. `root` is `/`, or a recorded file tree in tests.
///
/// A Pi 5 has it on the SoC's own controller `spi@7d004000`; a Pi 4 shares the controller of the header between the
/// header pins and the EEPROM pins 40 to 43, and an overlay chooses.
pub fn is_boot_eeprom(root: &Path, bus: u32, select: u8) -> bool {
    let device = root.join(format!("sys/bus/spi/devices/spi{bus}.{select}"));
    let master = root.join(format!("sys/class/spi_master/spi{bus}"));
    let node = [device.join("of_node"), master.join("of_node"), master.join("device/of_node")]
        .into_iter()
        .find_map(|link| std::fs::canonicalize(link).ok());
    let Some(node) = node else {
        // Bus 10 exists for nothing else on a Pi; without a device tree to tell, the number has to do.
        return bus == 10;
    };
    let path = node.to_string_lossy().into_owned();
    path.contains("spi@7d004000")
        || path.contains("spi@107d004000")
        || (path.contains("spi@7e204000") && eeprom_pins(root))
}

/// Whether the header controller's pins are routed to the EEPROM instead of the header.
fn eeprom_pins(root: &Path) -> bool {
    ["proc/device-tree", "sys/firmware/devicetree/base"].iter().any(|tree| {
        let pins = root.join(tree).join("soc/gpio@7e200000/spi0_pins/brcm,pins");
        disk::read(&pins, LONGEST).is_ok_and(|cells| {
            cells.chunks_exact(4).any(|cell| matches!(cell, [0, 0, 0, pin] if (40..=45).contains(pin)))
        })
    })
}

/// A recorded file tree: the device-tree node of each bus, and the pins of the header controller.
#[cfg(test)]
#[cfg(unix)]
pub(super) fn tree(buses: &[(u32, &str)], pins: &[u8]) -> tempfile::TempDir {
    use std::fs;
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("sys/firmware/devicetree/base");
    for (bus, node) in buses {
        fs::create_dir_all(base.join(node)).unwrap();
        let device = folder.path().join(format!("sys/bus/spi/devices/spi{bus}.0"));
        fs::create_dir_all(&device).unwrap();
        std::os::unix::fs::symlink(base.join(node), device.join("of_node")).unwrap();
    }
    let group = base.join("soc/gpio@7e200000/spi0_pins");
    fs::create_dir_all(&group).unwrap();
    let cells: Vec<u8> = pins.iter().flat_map(|pin| [0, 0, 0, *pin]).collect();
    fs::write(group.join("brcm,pins"), cells).unwrap();
    folder
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn the_header_bus_of_a_pi_4_is_free() {
        let root = tree(&[(0, "soc/spi@7e204000")], &[9, 10, 11]);
        assert!(!is_boot_eeprom(root.path(), 0, 0));
    }

    #[test]
    fn a_pi_4_with_the_recovery_overlay_is_refused() {
        let root = tree(&[(0, "soc/spi@7e204000")], &[40, 41, 42]);
        assert!(is_boot_eeprom(root.path(), 0, 0));
    }

    #[test]
    fn the_eeprom_bus_of_a_pi_5_is_refused_and_its_header_bus_is_free() {
        let buses = [(10, "soc@107c000000/spi@7d004000"), (0, "axi/pcie@1000120000/rp1/spi@50000")];
        let root = tree(&buses, &[]);
        assert!(is_boot_eeprom(root.path(), 10, 0));
        assert!(!is_boot_eeprom(root.path(), 0, 0));
    }

    #[test]
    fn without_a_device_tree_bus_10_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(is_boot_eeprom(folder.path(), 10, 0));
        assert!(!is_boot_eeprom(folder.path(), 0, 0));
    }
}
