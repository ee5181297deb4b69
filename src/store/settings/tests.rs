use super::*;
use crate::problem::Explain;

const EXAMPLE: &str = include_str!("../../../config.example.toml");

fn nothing(_: &str) -> Option<String> {
    None
}

fn load(text: &str) -> Result<Loaded, StoreError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    Settings::load_from(&file, nothing)
}

fn origin_of<'a>(loaded: &'a Loaded, key: &str) -> &'a Origin {
    &loaded.origins.iter().find(|setting| setting.key == key).unwrap().origin
}

#[test]
fn the_example_file_is_exactly_the_defaults() {
    assert_eq!(toml::from_str::<Settings>(EXAMPLE).unwrap(), Settings::default());
}

#[test]
fn the_example_file_has_every_key_with_a_comment_above_it() {
    let written: Table = toml::from_str(EXAMPLE).unwrap();
    for setting in Loaded::defaults().origins {
        assert!(holds(&written, &setting.key), "{} is missing", setting.key);
        let key = setting.key.rsplit('.').next().unwrap();
        let lines: Vec<&str> = EXAMPLE.lines().collect();
        let at = lines.iter().position(|line| line.starts_with(&format!("{key} = "))).unwrap();
        assert!(at > 0 && lines[at - 1].starts_with("# "), "{key} has no comment");
    }
}

#[test]
fn without_a_file_everything_is_a_default() {
    let loaded = Settings::load_from(Path::new("/nowhere/config.toml"), nothing).unwrap();
    assert_eq!(loaded, Loaded::defaults());
    assert!(loaded.origins.iter().all(|setting| setting.origin == Origin::Default));
    assert_eq!(loaded.origins.len(), 10);
}

#[test]
fn each_value_knows_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "theme = \"light\"\nlink = \"spi:0.0\"\n[spi]\nclock_hz = 1000000\n").unwrap();
    let theme = |name: &str| (name == "BKBENCH_THEME").then(|| "mono".to_owned());
    let mut loaded = Settings::load_from(&file, theme).unwrap();
    loaded.set("cen", "17", Origin::Flag("--cen".into())).unwrap();
    assert_eq!((loaded.settings.theme.as_str(), loaded.settings.link.as_str()), ("mono", "spi:0.0"));
    assert_eq!((loaded.settings.cen, loaded.settings.spi.clock_hz), (17, 1_000_000));
    assert_eq!(origin_of(&loaded, "theme"), &Origin::Env("BKBENCH_THEME".into()));
    assert_eq!(origin_of(&loaded, "link"), &Origin::File(file.clone()));
    assert_eq!(origin_of(&loaded, "spi.clock_hz"), &Origin::File(file));
    assert_eq!(origin_of(&loaded, "spi.entry_clock_hz"), &Origin::Default);
    assert_eq!(origin_of(&loaded, "cen"), &Origin::Flag("--cen".into()));
}

#[test]
fn an_empty_variable_overrides_nothing() {
    let loaded = Settings::load_from(Path::new("/nowhere/config.toml"), |_| Some(String::new())).unwrap();
    assert_eq!(loaded, Loaded::defaults());
}

#[test]
fn usable_files_are_taken() {
    for text in
        ["", "# nothing\n", "mouse = false", "[uart]\nbaud = 115200", "[write]\nprotect_after = false", "cen = 0"]
    {
        load(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    }
}

#[test]
fn unusable_files_are_refused_with_a_caret_under_the_place() {
    let refused = [
        ("them = \"dark\"", "unknown field `them`"),
        ("theme = \"\"", "must not be empty"),
        ("theme = 3", "expected a string"),
        ("cen = 28", "28 is outside 0 to 27"),
        ("cen = -1", "-1 is outside 0 to 27"),
        ("cen = \"22\"", "expected i64"),
        ("[spi]\nclock_hz = 5", "5 is neither 0 nor 1000 to 50000000 Hz"),
        ("[spi]\nspeed = 1", "unknown field `speed`"),
        ("[uart]\nbaud = 99999999999", "is outside 0 to 6000000 baud"),
        ("theme = ", "TOML parse error at line 1, column 9"),
        ("mouse = \"yes\"", "expected a boolean"),
    ];
    for (text, expected) in refused {
        let problem = load(text).unwrap_err().explain();
        assert_eq!((problem.code, problem.class.exit_code()), ("E120", 2));
        assert!(problem.what.contains(expected), "{text:?}: {}", problem.what);
        assert!(problem.what.contains('^'), "{text:?} has no caret: {}", problem.what);
    }
}

#[test]
fn overrides_are_checked_like_the_file() {
    let mut loaded = Loaded::defaults();
    for (key, text, expected) in [
        ("cen", "28", "28 is outside 0 to 27"),
        ("cen", "x", "not a number"),
        ("mouse", "maybe", "neither true nor false"),
        ("spi.speed", "1", "there is no setting spi.speed"),
        ("spi", "1", "there is no setting spi"),
        ("theme", "", "must not be empty"),
    ] {
        let error = loaded.set(key, text, Origin::Env("BKBENCH_TEST".into())).unwrap_err();
        assert!(error.to_string().starts_with("BKBENCH_TEST = "), "{error}");
        assert!(error.to_string().contains(expected), "{key} {text}: {error}");
    }
    assert_eq!(loaded, Loaded::defaults());
}

#[test]
fn each_scheme_gets_the_speed_of_its_wire() {
    let settings = Settings::default();
    assert_eq!(settings.speed_for("spi"), None, "it is found");
    assert_eq!(settings.speed_for("rfc2217"), None);
    assert_eq!(settings.speed_for("sim"), None);
}
