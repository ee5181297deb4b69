//! `write IMAGE --config FILE` and `configure FILE`: OpenBeken's configuration, so that a module comes up configured. Image
//! and configuration are one plan. Passwords are asked for without echo or come out of files that nobody else may read; no
//! plan, report or event has them.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::Consent;
use super::write::change as carry_out;
use super::{Context, Failure};
use crate::image::Family;
use crate::image::littlefs;
use crate::image::openbeken::Config;
use crate::image::openbeken::provisioning::{Passwords, Provisioning, ProvisioningFile, Wifi, text_of};
use crate::job::{Change, Intent, Ready, check_openbeken};
use crate::problem::{Class, Explain, Problem};
use crate::store;

/// The largest file area that OpenBeken can be set to, in bytes.
const LARGEST_FILES: usize = 0x8_0000;

/// The image that the configuration goes with.
pub(super) struct Image {
    pub name: String,
    pub at: Option<u32>,
    pub image: Arc<[u8]>,
}

/// `write IMAGE --config FILE`
pub(super) fn write(context: &Context, image: Image, file: &Path, consent: &Consent) -> Result<(), Failure> {
    let Image { name, at, image } = image;
    // What is wrong with the files is told before the chip is touched.
    check_openbeken(&name, &image).map_err(|refusal| refusal.explain())?;
    let settings = Some(Arc::new(read_provisioning(file)?));
    carry_out(context, Intent::Image { name, at, image, settings }, consent)
}

/// `configure FILE`
pub(super) fn configure(context: &Context, file: &Path, consent: &Consent) -> Result<(), Failure> {
    carry_out(context, Intent::Configure(Arc::new(read_provisioning(file)?)), consent)
}

/// What the chip will be set to, for JSON; and where that comes from.
pub(super) fn document(ready: &Ready, proven: bool) -> Option<Value> {
    let reasons = ready.configured.as_ref()?;
    let chip = [Family::Bk7231T, Family::Bk7231N].into_iter().find(|chip| {
        let place = chip.config_sector();
        ready.spec.overlays.iter().any(|over| Some(over.span()) == place)
            || (ready.spec.change == Change::Config && ready.spec.at == place.map(|place| place.start))
    })?;
    let place = chip.config_sector()?;
    let sector = ready.plan.wanted.get(place.start as usize..place.end() as usize)?;
    Some(json!({
        "sets": masked(sector, chip),
        "changes": &ready.plan.settings,
        "reasons": reasons,
        "read_back": proven,
    }))
}

/// The configuration of a sector as `inspect` shows it.
fn masked(sector: &[u8], chip: Family) -> Value {
    let offset = chip.config_sector().map_or(0, |span| span.start);
    Config::read(sector, offset as usize).map_or(Value::Null, |config| config.inside(false))
}

/// Reads the file given with `--config`, its template and its password files, and asks for passwords that none of them
/// holds. Touches no chip.
pub(super) fn read_provisioning(file: &Path) -> Result<Provisioning, Problem> {
    let wanted = ProvisioningFile::parse(&store::read_file(file)?).map_err(|error| error.explain())?;
    if wanted.holds_a_password() {
        store::must_be_private(file)?;
    }
    let template = wanted.template.as_ref().map(|path| beside(file, path));
    let template = template.map(|path| store::read_file(&path).map(|text| (path, text))).transpose()?;
    let passwords = Passwords {
        wifi: wanted.wifi.as_ref().map(|wifi| wifi_password(wifi, file)).transpose()?,
        wifi2: wanted.wifi2.as_ref().map(|wifi| wifi_password(wifi, file)).transpose()?,
        mqtt: wanted
            .mqtt
            .as_ref()
            .map(|mqtt| given(mqtt.password.as_ref(), mqtt.password_file.as_ref(), file))
            .transpose()?
            .flatten(),
    };
    let template = template.as_ref().map(|(path, text)| (path.display().to_string(), text));
    let template = template.as_ref().map(|(path, text)| (path.as_str(), text.as_slice()));
    let mut provisioning = wanted.resolve(&passwords, template).map_err(|error| error.explain())?;
    provisioning.files = wanted.files.iter().map(|path| own_file(&beside(file, path))).collect::<Result<_, _>>()?;
    // Names and sizes alone can be wrong already; how much room there is depends on the chip.
    littlefs::image(LARGEST_FILES, &provisioning.files).map_err(|error| error.explain())?;
    // What does not fit is told now, and not after a backup was made.
    provisioning.check().map_err(|error| error.explain())?;
    Ok(provisioning)
}

/// A file for OpenBeken's file area, with the name that it gets there.
fn own_file(path: &Path) -> Result<(String, Vec<u8>), Problem> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((name, store::read_file(path)?))
}

/// A path as a file names it: from the folder that the file is in.
fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

/// The first line of a file that nobody else may read, without byte order mark and line end.
fn secret(path: &Path) -> Result<String, Problem> {
    let bytes = store::read_file(path)?;
    store::must_be_private(path)?;
    let unusable = |why: &str| {
        Problem::new(
            Class::Usage,
            "E773",
            format!("the password file {} is not usable: {why}", path.display()),
            "the password is the first line of the file, as UTF-8 text",
            "write the password into its first line; for an open network write password = \"\" instead of password_file",
        )
    };
    let text = text_of(&bytes).ok_or_else(|| unusable("it is not UTF-8 text"))?;
    let line = text.lines().next().unwrap_or_default().trim_end_matches('\r');
    if line.is_empty() { Err(unusable("its first line is empty")) } else { Ok(line.to_owned()) }
}

/// A password that stands in the file, or in one that it names.
fn given(password: Option<&String>, path: Option<&String>, file: &Path) -> Result<Option<String>, Problem> {
    match (password, path) {
        (Some(password), _) => Ok(Some(password.clone())),
        (None, Some(path)) => secret(&beside(file, path)).map(Some),
        (None, None) => Ok(None),
    }
}

fn wifi_password(wifi: &Wifi, file: &Path) -> Result<String, Problem> {
    if let Some(password) = given(wifi.password.as_ref(), wifi.password_file.as_ref(), file)? {
        return Ok(password);
    }
    let problem = |what: &str, cause: &str| {
        let remedy = "name a file with it: password_file = \"wifi.txt\" under [wifi], readable by you alone (chmod 600); for an open network: password = \"\"";
        Problem::new(Class::Usage, "E771", what, cause, remedy)
    };
    let typed = ask(&wifi.ssid)
        .ok_or_else(|| problem("the Wi-Fi password cannot be asked for", "there is no terminal to ask on"))?;
    // Enter alone would set up an open network that nobody has.
    if typed.is_empty() {
        Err(problem("no Wi-Fi password was typed", "Enter was pressed without one"))
    } else {
        Ok(typed)
    }
}

/// Asks without echo; `None` without a terminal.
fn ask(network: &str) -> Option<String> {
    let question = format!("Password of the Wi-Fi network {network:?}, which is not shown while you type: ");
    std::io::stdin().is_terminal().then(|| rpassword::prompt_password(question).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn private(path: &Path, content: &[u8]) {
        fs::write(path, content).unwrap();
        #[cfg(unix)]
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// The Wi-Fi password that a password file gives, or the error's code and text.
    fn password(content: &[u8]) -> Result<String, (&'static str, String)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plug.toml");
        fs::write(&file, "[wifi]\nssid = \"net\"\npassword_file = \"wifi.txt\"\n").unwrap();
        private(&folder.path().join("wifi.txt"), content);
        match read_provisioning(&file) {
            Ok(provisioning) => Ok(provisioning.settings.texts["wifi_password"].clone()),
            Err(problem) => Err((problem.code, problem.to_string())),
        }
    }

    #[test]
    fn the_first_line_of_a_password_file_is_the_password_byte_for_byte() {
        let longest = "ř".repeat(31) + "x";
        for (content, expected) in [
            ("correct horse", "correct horse"),
            ("correct horse\n", "correct horse"),
            ("correct horse\r\nsecond line\r\n", "correct horse"),
            ("correct horse\r", "correct horse"),
            ("\u{feff}correct horse\r\n", "correct horse"),
            (" correct horse \n", " correct horse "),
            ("\u{feff}heslo příliš 台所🍳\n", "heslo příliš 台所🍳"),
            (&longest, &longest),
        ] {
            assert_eq!(password(content.as_bytes()).as_deref(), Ok(expected), "{content:?}");
        }
    }

    #[test]
    fn a_password_file_that_holds_no_password_is_refused_without_its_content() {
        let utf_16: Vec<u8> = "\u{feff}hunter22".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (content, code) in [
            (&b""[..], "E773"),
            (b"\n", "E773"),
            (b"\r\nhunter22\n", "E773"),
            (b"\xEF\xBB\xBF", "E773"),
            (b"\xEF\xBB\xBF\r\n", "E773"),
            (b"hunter22\xE9", "E773"),
            (&utf_16, "E773"),
            (b"hunter2", "E147"),
            (&[b'h'; 64], "E147"),
            (b"hunter22\x00hunter22", "E147"),
        ] {
            let (found, text) = password(content).unwrap_err();
            assert_eq!(found, code, "{text}");
            assert!(!text.contains("hunter"), "{text}");
        }
    }

    #[test]
    fn an_open_network_is_written_down_and_needs_no_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plug.toml");
        fs::write(&file, "[wifi]\nssid = \"net\"\npassword = \"\"\n").unwrap();
        assert_eq!(read_provisioning(&file).unwrap().settings.texts["wifi_password"], "");
    }
}
