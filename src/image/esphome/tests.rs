use super::*;
use crate::image::tuya::param;

fn of(text: &str) -> String {
    let param = param::parse(text.as_bytes());
    configuration(&Source { param: Some(&param), ..Source::default() }).expect("a configuration")
}

#[test]
fn a_plug_has_its_relay_button_led_and_meter_with_their_polarity() {
    let text =
        of("{module:CB2S,rl1_pin:26,rl1_lv:0,bt1_pin:11,bt1_lv:0,netled1_pin:8,netled1_lv:0,ele_pin:7,vi_pin:6,\
                   sel_pin_pin:24,sel_pin_lv:1,chip_type:0,resistor:1,crc:9,}");
    for wanted in [
        "board: generic-bk7231n-qfn32-tuya  # BK7231N, module CB2S\n",
        "    pin:\n      number: P26  # rl1_pin, active low\n      inverted: true",
        "      number: P11  # bt1_pin, active low\n      inverted: true  # active low\n      mode: INPUT_PULLUP",
        "      - switch.toggle: relay_1\n",
        "status_led:  # Wi-Fi LED\n  pin:\n    number: P8",
        "    model: BL0937  # chip_type 0\n    cf_pin:\n      number: P7",
        "    sel_pin:\n      number: P24",
        "    current_resistor: 0.001 ohm",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
}

#[test]
fn a_pin_with_two_keys_goes_to_the_first_and_the_other_is_named() {
    let text = of("{module:WB2S,rl1_pin:26,netled1_pin:26,bt1_pin:26,crc:9,}");
    assert_eq!(text.matches("P26  #").count(), 1, "{text}");
    assert!(text.contains("# left out: netled1_pin (P26): rl1_pin has this pin"), "{text}");
    assert!(text.contains("# left out: bt1_pin (P26): rl1_pin has this pin"), "{text}");
}

#[test]
fn what_no_module_has_or_is_not_fitted_is_left_out_with_a_reason() {
    let text = of("{module:WB2S,rl1_pin:30,rl2_pin:24,rl2_lv:2,rl3_pin:26,ctrl_pin:9,crc:9,}");
    for wanted in
        ["rl1_pin (P30): no module has this pin", "rl2_pin (P24): its level 2", "ctrl_pin (P9): enable output"]
    {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
}

#[test]
fn the_driver_of_an_sm2135_gets_milliamperes_in_its_own_steps() {
    let text = of("{module:WB2L,iicscl:24,iicsda:26,iicccur:0,iicwcur:5,iicr:2,iicg:0,iicb:1,iicc:4,iicw:3,crc:45,}");
    for wanted in ["rgb_current: 10mA  # iicccur: 10 mA", "cw_current: 35mA  # iicwcur: 35 mA", "platform: rgbww"] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    let text = of("{module:WB2L,iicscl:24,iicsda:26,campere:57,wampere:33,iicr:2,iicg:0,iicb:1,crc:45,}");
    assert!(text.contains("rgb_current: 45mA  # campere: 57 mA") && text.contains("cw_current: 30mA"), "{text}");
    assert!(text.contains("# campere: 57 mA is not a step of the SM2135; 45 mA is used"), "{text}");
}

#[test]
fn brightness_and_temperature_are_told_from_cold_and_warm() {
    let text = of("{module:WB8P,cwtype:1,r_pin:24,g_pin:9,b_pin:26,c_pin:7,w_pin:8,crc:5,}");
    assert!(text.contains("id: output_brightness\n    pin: P7") && text.contains("platform: rgbct"), "{text}");
}

#[test]
fn hostile_names_and_keys_stay_inside_their_line() {
    let pairs = [("module", param::Value::Text("x\nswitch:".to_owned())), ("rl1_pin", param::Value::Number(26))];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value)).into();
    let param = param::UserParam { pairs, ..param::UserParam::default() };
    let source = Source { param: Some(&param), name: Some("a\"b: #\u{1b}[2J\nc"), ..Source::default() };
    let text = configuration(&source).expect("a configuration");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert_eq!(text.matches("\nswitch").count(), 1, "{text}");
    assert_eq!(host_name(Some("--Kitchen  Plug! 2--")), "kitchen-plug-2");
    assert_eq!(host_name(Some("\u{e4}")), "tuya-device");
}

#[test]
fn a_file_without_pins_has_no_configuration() {
    assert_eq!(configuration(&Source::default()), None);
}
