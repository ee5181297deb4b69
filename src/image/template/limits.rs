//! What OpenBeken can use on the pins of a BK7231T and BK7231N: which pins, which channels, and where PWM and the
//! analogue inputs are (OpenBeken's `new_pins.h`, `hal_pins_bk7231.c` and `hal_adc_bk7231.c`, release 1.18).

use std::borrow::Cow;

use super::roles;
use crate::image::family::Family;

/// Highest GPIO number.
pub const HIGHEST_PIN: u8 = 28;
/// Highest channel.
pub const HIGHEST_CHANNEL: u8 = 63;

/// GPIO numbers with a PWM timer, on both chips.
const PWM_PINS: [u8; 6] = [6, 7, 8, 9, 24, 26];
/// GPIO numbers with an analogue input on the BK7231T.
const ADC_PINS_T: [u8; 7] = [2, 3, 4, 5, 12, 13, 23];
/// GPIO numbers with an analogue input on the BK7231N.
const ADC_PINS_N: [u8; 7] = [13, 21, 22, 23, 24, 26, 28];

const PWM_ROLES: [&str; 4] = ["PWM", "PWM_n", "PWM_ScriptOnly", "PWM_ScriptOnly_n"];
const ADC_ROLES: [&str; 3] = ["ADC", "BAT_ADC", "ADC_Button"];

/// Why a pin cannot have a role or a channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinMisfit {
    /// The chip has no such pin.
    #[error("P{pin} does not exist: {chip} has P0 to P{HIGHEST_PIN}")]
    NoSuchPin {
        /// GPIO number.
        pin: u8,
        /// The chip.
        chip: Family,
    },
    /// The pin lacks what the role needs.
    #[error("P{pin} cannot be {role}: on {chip} only {} have {what}", pin_names(pins))]
    Lacks {
        /// GPIO number.
        pin: u8,
        /// Name of the role.
        role: Cow<'static, str>,
        /// The chip.
        chip: Family,
        /// What the role needs.
        what: &'static str,
        /// GPIO numbers that have it.
        pins: &'static [u8],
    },
    /// OpenBeken has no such channel.
    #[error("P{pin}: channel {channel} does not exist, channels are 0 to {HIGHEST_CHANNEL}")]
    NoSuchChannel {
        /// GPIO number.
        pin: u8,
        /// The channel.
        channel: u8,
    },
}

fn pin_names(pins: &[u8]) -> String {
    pins.iter().map(|pin| format!("P{pin}")).collect::<Vec<_>>().join(", ")
}

/// Checks one pin: its number, what its role needs of it, and its channels.
///
/// # Errors
/// [`PinMisfit`].
pub fn check(chip: Family, pin: u8, role: u8, channels: [u8; 2]) -> Result<(), PinMisfit> {
    if pin > HIGHEST_PIN {
        return Err(PinMisfit::NoSuchPin { pin, chip });
    }
    if let Some(channel) = channels.into_iter().find(|channel| *channel > HIGHEST_CHANNEL) {
        return Err(PinMisfit::NoSuchChannel { pin, channel });
    }
    let role = roles::name_of(role);
    let adc_pins: &[u8] = if chip == Family::Bk7231N { &ADC_PINS_N } else { &ADC_PINS_T };
    let needs: [(&[&str], &'static str, &'static [u8]); 2] =
        [(&PWM_ROLES, "PWM", &PWM_PINS), (&ADC_ROLES, "an analogue input", adc_pins)];
    match needs.into_iter().find(|(roles, _, pins)| roles.contains(&&*role) && !pins.contains(&pin)) {
        Some((_, what, pins)) => Err(PinMisfit::Lacks { pin, role, chip, what, pins }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(role: &str) -> u8 {
        roles::number_of(role).unwrap()
    }

    #[test]
    fn a_role_goes_only_to_a_pin_that_has_what_it_needs() {
        let (t, n) = (Family::Bk7231T, Family::Bk7231N);
        for (chip, pin, role, fits) in [
            (t, 26, "PWM", true),
            (n, 9, "PWM_n", true),
            (t, 10, "PWM", false),
            (n, 23, "PWM_ScriptOnly", false),
            (n, 20, "PWM_ScriptOnly_n", false),
            (t, 23, "ADC", true),
            (n, 23, "ADC", true),
            (t, 4, "BAT_ADC", true),
            (n, 4, "BAT_ADC", false),
            (t, 26, "ADC_Button", false),
            (n, 26, "ADC_Button", true),
            (t, 28, "Rel", true),
            (t, 29, "Rel", false),
        ] {
            assert_eq!(check(chip, pin, number(role), [1, 0]).is_ok(), fits, "{role} on P{pin} of {chip}");
        }
    }

    #[test]
    fn a_refusal_names_the_pins_that_do_and_channels_end_at_63() {
        let refused = check(Family::Bk7231T, 10, number("PWM"), [1, 0]).unwrap_err();
        assert_eq!(refused.to_string(), "P10 cannot be PWM: on BK7231T only P6, P7, P8, P9, P24, P26 have PWM");
        assert!(check(Family::Bk7231T, 26, 1, [63, 63]).is_ok());
        for channels in [[64, 0], [1, 64], [255, 255]] {
            let refused = check(Family::Bk7231N, 26, 1, channels).unwrap_err();
            assert!(refused.to_string().ends_with("channels are 0 to 63"), "{refused}");
        }
    }
}
