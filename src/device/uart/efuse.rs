//! The code key in the eFuse, where the loader lets it be read (uart-protocol.md §12). Only registers of the eFuse
//! controller are written, and only to ask for a byte.

use super::super::error::DeviceError;
use super::super::watch::Watch;
use super::loader::Loader;
use crate::codec::beken::{Answer, Request};
use crate::image::code::CodeKey;

/// Control and result registers of the eFuse controller.
const CONTROL: u32 = 0x0080_0074;
const RESULT: u32 = 0x0080_0078;
/// Bits of the control register: start, and the byte's number with the direction.
const START: u32 = 1;
const SELECT: u32 = 0x1F02;
/// The bit of the result that tells that its byte is good.
const VALID: u32 = 0x100;
/// Looks at a start bit that does not fall; each is an exchange of a millisecond or more.
const LOOKS: u32 = 20;
/// Chips with this controller, by the id register. The BK7236 and BK7258 have another one.
const CHIPS: [u32; 3] = [0x0007_231C, 0x0000_7238, 0x0007_252A];

/// The four words of the code key; `None` where this chip has no such eFuse, or a byte does not come.
pub(super) fn code_key(
    loader: &mut Loader,
    chip_id: Option<u32>,
    watch: &mut dyn Watch,
) -> Result<Option<CodeKey>, DeviceError> {
    if !chip_id.is_some_and(|id| CHIPS.contains(&id)) {
        return Ok(None);
    }
    let mut bytes = [0_u8; 16];
    for (index, byte) in (0_u32..).zip(bytes.iter_mut()) {
        watch.checkpoint()?;
        match read_byte(loader, index) {
            Ok(Some(value)) => *byte = value,
            // A key that cannot be had is no reason to refuse the chip.
            Ok(None) | Err(DeviceError::NoAnswer { .. } | DeviceError::Status { .. }) => return Ok(None),
            Err(other) => return Err(other),
        }
    }
    let (words, _) = bytes.as_chunks();
    Ok(<[[u8; 4]; 4]>::try_from(words).ok().map(|words| CodeKey(words.map(u32::from_le_bytes))))
}

/// What the key says, in words; an unknown one is a secret and is not shown.
pub(super) fn words(key: CodeKey) -> String {
    let CodeKey([first, ref rest @ ..]) = key;
    if key == CodeKey::NONE {
        "eFuse: the code key is zero, or reading it is disabled".to_owned()
    } else if CodeKey::KNOWN.contains(&key) {
        format!("eFuse: the code key is {}", key.name())
    } else if rest.iter().all(|word| *word == first) {
        "eFuse: four equal words, as on chips with an eFuse of four bytes".to_owned()
    } else {
        "eFuse: the code key is none of the known ones".to_owned()
    }
}

fn read_byte(loader: &mut Loader, index: u32) -> Result<Option<u8>, DeviceError> {
    let control = register(loader, CONTROL)?;
    let request = Request::WriteReg { at: CONTROL, value: control & !SELECT | index << 8 | START };
    loader.ask(&request, CONTROL)?;
    for _ in 0..LOOKS {
        if register(loader, CONTROL)? & START == 0 {
            let result = register(loader, RESULT)?;
            return Ok((result & VALID != 0).then_some(result as u8));
        }
    }
    Ok(None)
}

fn register(loader: &mut Loader, at: u32) -> Result<u32, DeviceError> {
    let request = Request::ReadReg { at };
    let reply = loader.ask(&request, at)?;
    match request.accepts(&reply) {
        Some(Answer::Register(value)) => Ok(value),
        _ => Err(DeviceError::NoAnswer { request: request.name(), at }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_not_shown() {
        let text = words(CodeKey([0x1234_5678, 2, 3, 4]));
        assert!(!text.contains("1234") && text.contains("none of the known"), "{text}");
        assert!(words(CodeKey([7; 4])).contains("four equal words"));
        assert!(words(CodeKey::NONE).contains("zero"));
    }
}
