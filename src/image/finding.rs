//! Something worth telling about a file: what is damaged, missing or contradictory.

use serde::Serialize;

/// How much a [`Finding`] weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; the file is usable.
    Warning,
    /// The file must not be written to a chip as it is (formats.md §6, refusal rule).
    Error,
}

/// One thing found wrong, with a stable code of the E7xx range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code, see the constants of this type.
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What was found, with offsets.
    pub what: String,
}

impl Finding {
    /// Nothing known was recognised in the file.
    pub const UNKNOWN: &'static str = "E700";
    /// The whole file is one value: erased flash or a failed read.
    pub const ONE_VALUE: &'static str = "E701";
    /// Code that the linker wrote, without CRC blocks.
    pub const RAW_CODE: &'static str = "E702";
    /// A code block whose CRC does not match.
    pub const BAD_BLOCK: &'static str = "E703";
    /// An RBL header is missing where one is usual.
    pub const NO_HEADER: &'static str = "E704";
    /// An RBL header whose own CRC does not match.
    pub const BAD_HEADER: &'static str = "E705";
    /// The bytes an RBL header describes do not match its checksums.
    pub const BAD_BODY: &'static str = "E706";
    /// The evidence for the chip contradicts itself.
    pub const CONTRADICTION: &'static str = "E707";
    /// No evidence for any chip.
    pub const NO_EVIDENCE: &'static str = "E708";
    /// Boot loader and application are encrypted with different keys.
    pub const TWO_KEYS: &'static str = "E709";
    /// The application is missing behind the boot loader.
    pub const NO_APPLICATION: &'static str = "E710";
    /// The dump starts at flash 0x11000 and wraps around.
    pub const ROTATED: &'static str = "E711";
    /// The file ends before its headers say.
    pub const CUT_OFF: &'static str = "E712";
    /// The RF calibration block is missing from a dump.
    pub const NO_RF_BLOCK: &'static str = "E713";
    /// An over-the-air package, which cannot be written to flash as it is.
    pub const OTA_ONLY: &'static str = "E714";
    /// The dump starts at flash 0x11000 and does not wrap around.
    pub const FROM_APPLICATION: &'static str = "E715";
    /// The dump holds the flash more than once.
    pub const REPEATED: &'static str = "E716";
    /// A UF2 package, which has to be unpacked before it can be written.
    pub const UF2: &'static str = "E717";
    /// A sector of the Tuya store, a protected block or the index of the file area whose checksum does not match.
    pub const BAD_STORE_BLOCK: &'static str = "E740";
    /// A live value of the Tuya store that is damaged.
    pub const BAD_STORE_VALUE: &'static str = "E741";
    /// A pin map that could be read only in part.
    pub const REPAIRED_PARAM: &'static str = "E742";
    /// A pin map from a place without a checksum.
    pub const UNCHECKED_PARAM: &'static str = "E744";
    /// An OpenBeken configuration whose checksum does not match.
    pub const BAD_CONFIGURATION: &'static str = "E743";

    /// A finding that keeps the file from being written.
    pub fn error(code: &'static str, what: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, what: what.into() }
    }

    /// A finding that is worth knowing only.
    pub fn warning(code: &'static str, what: impl Into<String>) -> Self {
        Self { code, severity: Severity::Warning, what: what.into() }
    }
}
