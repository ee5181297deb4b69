//! What OpenBeken's flags do, by number (order and meaning from OpenBeken's `new_pins.h`, release 1.18).

use std::borrow::Cow;

/// By number; new flags are appended.
const FLAGS: [&str; 52] = [
    "MQTT: send colour and dimmer together",
    "MQTT: send the final colour",
    "MQTT: send the whole state once a minute",
    "light: show the raw PWM channels",
    "light: always show the RGBCW controls",
    "console over TCP",
    "button: act at the touch, not at the release",
    "MQTT: set retain on every value",
    "light: one PWM for temperature, one for brightness",
    "SM2135: separate RGB and CW modes",
    "MQTT: send the whole state on connecting",
    "PWM: 600 Hz",
    "light: remember its state over a restart",
    "web page: show the level of pins without a role",
    "IR: publish what is received",
    "IR: accept unknown protocols",
    "MQTT: send the final colour as RGBCW",
    "light: turn on when it is adjusted in the web page",
    "light: smooth transitions",
    "TuyaMCU: always publish its channels",
    "light: RGB only",
    "MQTT: set retain on power channels",
    "IR: publish what is received as JSON",
    "light: turn on whenever it is adjusted",
    "light: cool white out of RGB",
    "meter: allow negative values",
    "use the second UART",
    "Home Assistant: announce the device by itself",
    "light: RGB white turns white LEDs on",
    "network: short name as host name",
    "MQTT: publish as Tasmota does",
    "console over UART",
    "light: linear brightness",
    "MQTT: publish multiplied values",
    "Home Assistant: relays as lights",
    "Home Assistant: no availability topic",
    "drivers: do not start by themselves",
    "Wi-Fi: fast connect",
    "meter: zero while all relays are open",
    "MQTT: publish every channel",
    "MQTT: energy in kWh",
    "button: ignore all buttons",
    "door sensor: inverted",
    "TuyaMCU: use a queue",
    "web page: no password in safe mode",
    "Home Assistant: do not merge into lights",
    "TuyaMCU: keep raw data",
    "TuyaMCU: keep all data",
    "meter: inverted direction",
    "web page: no on/off words",
    "MQTT: never append /get",
    "Wi-Fi: fast connect with a stored access point",
];

/// What flag `number` does, in words; one that is not known here has none.
pub fn meaning(number: u8) -> Cow<'static, str> {
    FLAGS.get(usize::from(number)).map_or(Cow::Borrowed("not known"), |meaning| Cow::Borrowed(*meaning))
}
