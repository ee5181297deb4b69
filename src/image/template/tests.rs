use super::*;
use crate::image::tuya::param;

fn values(template: &Template) -> Vec<(u8, String)> {
    template.lines.iter().map(|line| (line.pin, line.value())).collect()
}

fn made(text: &str, mapping: Mapping) -> Template {
    map(&param::parse(text.as_bytes()), mapping, None)
}

fn pins(text: &str, mapping: Mapping) -> Vec<(u8, String)> {
    values(&made(text, mapping))
}

fn one(pin: u8, value: &str) -> Vec<(u8, String)> {
    vec![(pin, value.to_owned())]
}

#[test]
fn the_recommended_template_honours_active_levels() {
    for (text, value) in [
        ("{rl1_pin:26,rl1_lv:1}", "Rel;1"),
        ("{rl1_pin:26,rl1_lv:0}", "Rel_n;1"),
        ("{bt1_pin:26,bt1_lv:0}", "Btn;1"),
        ("{bt1_pin:26,bt1_lv:1}", "Btn_n;1"),
        ("{netled_pin:26,netled_lv:1}", "WifiLED;0"),
        ("{netled_pin:26,netled_lv:0}", "WifiLED_n;0"),
        ("{netled_pin:26}", "WifiLED_n;0"),
        ("{r_pin:26,r_lv:0}", "PWM_n;1"),
        ("{sel_pin_pin:26,sel_pin_lv:1}", "BL0937SEL;0"),
        ("{ir:26}", "IRRecv;0"),
    ] {
        assert_eq!(pins(text, Mapping::Recommended), one(26, value), "{text}");
    }
    assert_eq!(pins("{rl1_pin:26,rl1_lv:0}", Mapping::Gui), one(26, "Rel;1"));
    assert_eq!(pins("{rl1_pin:26,rl1_lv:0}", Mapping::Web), one(26, "Rel;1"));
}

#[test]
fn importers_count_colours_differently_and_two_outputs_start_at_one() {
    let text = "{c_pin:7,w_pin:6}";
    assert_eq!(pins(text, Mapping::Gui), [(6, "PWM;4".into()), (7, "PWM;3".into())]);
    assert_eq!(pins(text, Mapping::Web), [(6, "PWM;5".into()), (7, "PWM;4".into())]);
    assert_eq!(pins(text, Mapping::Recommended), [(6, "PWM;2".into()), (7, "PWM;1".into())]);
    let five = "{r_pin:1,g_pin:2,b_pin:3,c_pin:4,w_pin:5}";
    assert_eq!(pins(five, Mapping::Recommended), pins(five, Mapping::Web));
}

#[test]
fn latching_relays_are_a_bridge_for_the_web_importer_when_there_is_one() {
    let text = "{rl_on1_pin:1,rl_off1_pin:2,rl_on2_pin:3}";
    assert_eq!(pins(text, Mapping::Web), [(1, "BridgeFWD;1".into()), (2, "BridgeREV;1".into())]);
    assert_eq!(pins(text, Mapping::Gui)[1], (2, "Rel_n;1".into()));
}

#[test]
fn the_later_key_wins_a_pin_in_the_order_of_the_text() {
    assert_eq!(pins("{rl1_pin:6,led1_pin:6}", Mapping::Gui), one(6, "LED;1"));
    assert_eq!(pins("{led1_pin:6,rl1_pin:6}", Mapping::Gui), one(6, "Rel;1"));
    assert_eq!(pins("{led1_pin:6,rl1_pin:6}", Mapping::Web), one(6, "LED;1"));
}

#[test]
fn two_wire_drivers_are_told_by_their_currents() {
    for (mark, clock, data) in [
        ("ehccur", "SM2135CLK;0", "SM2135DAT;0"),
        ("dccur", "BP5758D_CLK;0", "BP5758D_DAT;0"),
        ("cjwcur", "BP1658CJ_CLK;0", "BP1658CJ_DAT;0"),
        ("2235ccur", "SM2235CLK;0", "SM2235DAT;0"),
        ("kp58wcur", "KP18058_CLK;0", "KP18058_DAT;0"),
    ] {
        let text = format!("{{iicscl:8,iicsda:26,{mark}:3}}");
        assert_eq!(pins(&text, Mapping::Gui), [(8, clock.into()), (26, data.into())]);
    }
    assert_eq!(pins("{iicscl:8,iicsda:26,kp58wcur:3}", Mapping::Web), []);
    assert_eq!(pins("{iicscl:8,iicsda:26}", Mapping::Gui), []);
}

#[test]
fn currents_and_colour_order_become_commands() {
    let text = "{iicscl:8,iicsda:26,campere:20,wampere:50,iicr:2,iicg:1,iicb:0,iicc:4,iicw:3}";
    assert_eq!(made(text, Mapping::Gui).command(), "SM2135_Current 20 50 ; LED_Map 2 1 0 4 3");
    assert_eq!(
        made(text, Mapping::Recommended).commands,
        ["startDriver SM2135", "SM2135_Current 2 8", "LED_Map 2 1 0 4 3"]
    );
    assert!(made(text, Mapping::Gui).notes[0].contains("the firmware takes codes"));
    let codes = "{iicscl:8,iicsda:26,iicccur:2,iicwcur:8}";
    assert_eq!(made(codes, Mapping::Recommended).commands, ["startDriver SM2135", "SM2135_Current 2 8"]);
    assert_eq!(made(codes, Mapping::Gui).notes, [] as [String; 0]);
}

#[test]
fn meters_get_their_driver() {
    assert_eq!(made("{ele_pin:7,vi_pin:6}", Mapping::Recommended).command(), "startDriver BL0937");
    assert_eq!(made("{ele_rx:1,ele_tx:0,chip_type:3}", Mapping::Recommended).command(), "startDriver BL0942");
    assert_eq!(made("{ele_rx:10,ele_tx:11,chip_type:2}", Mapping::Recommended).command(), "startDriver CSE7766");
    assert_eq!(made("{ele_rx:10}", Mapping::Web).command(), "startDriver BL0942");
    assert_eq!(made("{rl1_pin:26,chip_type:0}", Mapping::Recommended).command(), "");
    // UART2 takes a flag, also where only a button on UART1 tells.
    for (text, second) in [
        ("{ele_rx:1,ele_tx:0,chip_type:3}", true),
        ("{ele_rx:10,ele_tx:11,chip_type:3}", false),
        ("{bt1_pin:10,chip_type:3}", true),
        ("{rl1_pin:26,chip_type:3}", false),
    ] {
        assert_eq!(made(text, Mapping::Recommended).flags >> 26 & 1 == 1, second, "{text}");
    }
}

#[test]
fn pins_without_a_role_and_pins_that_do_not_exist_are_told() {
    let template = made("{ctrl_pin:14,ctrl_lv:1,rl1_pin:99,bt1_pin:-1}", Mapping::Recommended);
    assert_eq!(template.lines, []);
    assert!(template.notes[0].starts_with("ctrl_pin, pin 14"), "{:?}", template.notes);
    assert!(template.notes[1].contains("rl1_pin"), "{:?}", template.notes);
}

#[test]
fn the_module_decides_the_chip_where_nothing_else_does() {
    for (module, gui, web) in [
        ("WB2S", Some("BK7231T"), Some("BK7231T")),
        ("CB2S", Some("BK7231N"), Some("BK7231N")),
        ("T34", Some("BK7231N"), Some("BK7231N")),
        ("CR3L", None, None),
        ("WR3", None, None),
        ("CMS1", None, Some("BK7231N")),
    ] {
        let text = format!("{{module:{module}}}");
        assert_eq!(made(&text, Mapping::Gui).chip.as_deref(), gui, "{module}");
        assert_eq!(made(&text, Mapping::Web).chip.as_deref(), web, "{module}");
    }
}

#[test]
fn the_database_entry_has_every_required_field() {
    let entry = made("{module:WB2S,rl1_pin:26,rl1_lv:1}", Mapping::Recommended).to_database_entry(Some("plug"));
    let checked = lint::check(&entry.to_string(), None);
    assert_eq!(checked.lints, []);
    assert_eq!(checked.pins[&26], "Rel;1");
}

fn object(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

/// The lines of a file of cases; none, and a word about it, where there is no such file.
fn cases(name: &str) -> Vec<serde_json::Value> {
    let path = crate::image::samples::folder("cases").join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => text.lines().map(object).collect(),
        Err(_) => {
            eprintln!("SKIPPED: no {}; set BKBENCH_SAMPLES", path.display());
            Vec::new()
        }
    }
}

#[test]
fn every_text_that_once_came_out_wrong_gives_the_wanted_value() {
    for case in cases("tuya-texts.jsonl") {
        let (name, text) = (&case["name"], case["text"].as_str().expect("a text"));
        let template = made(text, Mapping::Recommended);
        let (command, notes) = (template.command(), template.notes.join("\n"));
        let list = |field: &str| case[field].as_array().cloned().unwrap_or_default();
        let words =
            |field: &str| list(field).iter().map(|word| word.as_str().expect("a word").to_owned()).collect::<Vec<_>>();
        for wanted in words("want_command") {
            assert!(template.commands.contains(&wanted), "{name}: {wanted} in {command}");
        }
        for (pin, wanted) in case["want_pins"].as_object().into_iter().flatten() {
            assert_eq!(template.pins().get(pin), Some(wanted), "{name}: pin {pin}");
        }
        for pin in words("want_absent") {
            assert_eq!(template.pins().get(&pin), None, "{name}: pin {pin}");
        }
        for key in words("want_note_for") {
            assert!(notes.contains(&key), "{name}: {key} in {notes}");
        }
        if let Some(flag) = case["want_flag"].as_u64() {
            assert_eq!(template.flags >> flag & 1, 1, "{name}: flag {flag}");
        }
        if case["want_note"] == true {
            assert_ne!(notes, "", "{name}");
        }
    }
}

#[test]
fn the_web_mapping_is_that_of_the_web_importer_for_every_public_pin_map() {
    let all = cases("pinmaps.jsonl");
    for case in &all {
        let template = made(case["text"].as_str().expect("a text"), Mapping::Web);
        assert_eq!(serde_json::Value::Object(template.pins()), case["web"], "{}", case["name"]);
    }
    assert!(all.is_empty() || all.len() == 334, "{}", all.len());
}

/// The recommended template has these pins, lacks those, and its notes hold these words.
fn recommended(text: &str, pins: &[(u8, &str)], notes: &[&str]) -> Template {
    let template = made(text, Mapping::Recommended);
    let expected: Vec<(u8, String)> = pins.iter().map(|(pin, value)| (*pin, (*value).to_owned())).collect();
    assert_eq!(values(&template), expected, "{text}: {:?}", template.notes);
    for words in notes {
        assert!(template.notes.iter().any(|note| note.contains(words)), "{text}: {words} in {:?}", template.notes);
    }
    template
}

#[test]
fn two_keys_on_one_pin_are_decided_and_said() {
    recommended(
        "{rl1_pin:6,led1_pin:6}",
        &[(6, "Rel;1")],
        &["pin 6 is named twice: rl1_pin (Rel;1) stays, led1_pin (LED;1) goes"],
    );
    recommended("{led1_pin:6,rl1_pin:6}", &[(6, "Rel;1")], &["led1_pin (LED;1) goes"]);
    recommended("{rl1_pin:7,rl1_lv:1,rl_on1_pin:7,rl_on1_lv:1}", &[(7, "Rel;1")], &["they say the same"]);
    recommended("{ir:16,irfunc:1,k2pin_pin:16,keyfunc:0}", &[(16, "IRRecv;0")], &["switched off in the pin map"]);
    recommended("{ir:16,irfunc:0,k2pin_pin:16,keyfunc:1}", &[(16, "Btn;2")], &["switched off in the pin map"]);
    recommended("{netled1_pin:9,led1_pin:9}", &[(9, "LED;1")], &["netled1_pin (WifiLED_n;0) goes"]);
}

#[test]
fn a_coil_without_its_other_coil_is_a_relay() {
    recommended("{rl_on1_pin:7,rl_on1_lv:1}", &[(7, "Rel;1")], &[]);
    recommended("{rl_on2_pin:7,rl_on2_lv:0}", &[(7, "Rel_n;2")], &[]);
    recommended("{rl_off1_pin:7,rl_off1_lv:1}", &[(7, "Rel_n;1")], &[]);
    let both = "{rl_on1_pin:24,rl_on1_lv:1,rl_off1_pin:26,rl_off1_lv:1,rl1_drvtime:60}";
    recommended(both, &[(24, "BridgeFWD;1"), (26, "BridgeREV;1")], &["pulse is 60 ms"]);
}

#[test]
fn what_a_device_cannot_have_is_left_out_and_named() {
    recommended(
        "{module:CB2S,rl1_pin:14,rl2_pin:26}",
        &[(26, "Rel;2")],
        &["rl1_pin, pin 14: a CB2S has no pad for it"],
    );
    recommended("{rl1_pin:26,netled1_pin:31,netled1_lv:2}", &[(26, "Rel;1")], &["netled1_pin, pin 31: level 2"]);
    recommended("{rl1_pin:26,led1_pin:8,led1_lv:3}", &[(26, "Rel;1")], &["led1_pin, pin 8: level 3"]);
    recommended("{rl1_pin:29}", &[], &["rl1_pin names pin 29, which does not exist"]);
    recommended("{knum:2,k2pin_pin:7,k3pin_pin:8}", &[(7, "Btn;2")], &["k3pin_pin, pin 8: knum says 2"]);
    recommended("{knum:0,key_pin:7}", &[], &["key_pin, pin 7"]);
    recommended("{pump_pin:7,valve:8,valve_lv:1}", &[], &["pump_pin, pin 7", "valve, pin 8"]);
}

#[test]
fn a_light_has_the_colours_of_its_kind() {
    let all = "r_pin:9,g_pin:24,b_pin:26,c_pin:7,w_pin:6";
    recommended(&format!("{{cmod:c,{all}}}"), &[(7, "PWM;1")], &["r_pin", "g_pin", "b_pin", "w_pin"]);
    recommended(&format!("{{cmod:cw,{all}}}"), &[(6, "PWM;2"), (7, "PWM;1")], &["b_pin, pin 26"]);
    recommended(&format!("{{cmod:rgb,{all}}}"), &[(9, "PWM;1"), (24, "PWM;2"), (26, "PWM;3")], &["w_pin, pin 6"]);
    let rgbc = [(7, "PWM;4"), (9, "PWM;1"), (24, "PWM;2"), (26, "PWM;3")];
    recommended(&format!("{{cmod:rgbc,{all}}}"), &rgbc, &["w_pin, pin 6"]);
    // Where a colour of the kind is missing, nothing is surely left over.
    recommended("{cmod:c,w_pin:6}", &[(6, "PWM;1")], &[]);
    recommended("{cmod:cw,r_pin:9,c_pin:7}", &[(7, "PWM;4"), (9, "PWM;1")], &[]);
    recommended("{c_pin:10}", &[(10, "PWM;1")], &["P10 cannot be PWM"]);
    recommended(
        "{r_pin:9,key_pin:14,k2pin_pin:1,k2pin_lv:0}",
        &[(1, "Btn_ScriptOnly;2"), (9, "PWM;1"), (14, "Btn_Tgl_All;0")],
        &["k2pin_pin, pin 1"],
    );
}

#[test]
fn temperature_and_brightness_take_the_places_of_flag_8() {
    let five = "{cmod:rgbcw,cwtype:1,r_pin:24,g_pin:9,b_pin:26,c_pin:7,c_lv:1,w_pin:8,w_lv:1}";
    let lamp = [(7, "PWM;5"), (8, "PWM;4"), (9, "PWM;2"), (24, "PWM;1"), (26, "PWM;3")];
    let template = recommended(five, &lamp, &["flag 8"]);
    assert_eq!(template.flags, 1 << 8 | 1 << 10);
    assert!(template.lines[1].reason.contains("colour temperature") && template.lines[1].reason.contains("unsure"));
    assert_eq!(template.to_database_entry(None)["flags"], "1280");
    let two = recommended("{cmod:cw,cwtype:1,c_pin:8,w_pin:6}", &[(6, "PWM;1"), (8, "PWM;2")], &["flag 8"]);
    assert_eq!(two.flags >> 8 & 1, 1);
    assert_eq!(made("{cwtype:1,c_pin:8}", Mapping::Recommended).flags, 0, "one white output has no temperature");
    assert_eq!(made("{cwtype:0,c_pin:8,w_pin:6}", Mapping::Recommended).flags, 0);
}

#[test]
fn a_battery_device_gets_its_limits_and_a_word_about_sleep() {
    let text =
        "{basic_pin_pin:8,basic_pin_lv:1,bt_pin:24,samp_pin:23,samp_sw_pin:14,samp_sw_lv:1,max_V:3000,min_V:2200}";
    let template = made(text, Mapping::Recommended);
    assert_eq!(template.commands, ["startDriver Battery", "Battery_Setup 2200 3000"]);
    assert!(template.notes.iter().any(|note| note.contains("setPinRole 8 DoorSnsrWSleep")), "{:?}", template.notes);
    let odd = made("{samp_pin:23,max_V:2200,min_V:3000}", Mapping::Recommended);
    assert_eq!(odd.commands, ["startDriver Battery"]);
}

#[test]
fn the_two_relays_of_a_curtain_are_locked_against_each_other() {
    let text = "{bt1_pin:24,bt3_pin:26,rl1_pin:9,rl1_lv:1,rl3_pin:17,rl3_lv:1,total_bt_pin:8,percent_ctrl1:2}";
    let template = made(text, Mapping::Recommended);
    assert_eq!(
        template.commands,
        ["addChangeHandler Channel1 == 1 setChannel 3 0", "addChangeHandler Channel3 == 1 setChannel 1 0"]
    );
    assert_eq!(template.pins()["8"], "Btn_ScriptOnly;0", "one button for both would switch both on");
    assert!(template.notes.iter().any(|note| note.contains("P9 and P17 must never be on together")));
    let two = "{rl1_pin:20,rl3_pin:28,rl4_pin:17,rl6_pin:16,percent_ctrl1:2,percent_ctrl2:5}";
    assert_eq!(made(two, Mapping::Recommended).commands.len(), 4);
    assert_eq!(made("{rl1_pin:20,rl2_pin:28}", Mapping::Recommended).commands, [] as [String; 0]);
}

#[test]
fn the_oldest_keys_are_read() {
    let text = "{btpin:26,btlv:0,netledpin:8,netledlv:1,rlypin:6,rlylv:1,rlypin2:7,rlylv2:0,ledpin:24}";
    recommended(text, &[(6, "Rel;1"), (7, "Rel_n;2"), (8, "WifiLED;0"), (26, "Btn;1")], &["ledpin, pin 24"]);
}
