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
        let words = |field: &str| list(field).iter().map(|word| word.as_str().expect("a word").to_owned()).collect::<Vec<_>>();
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
