//! A flash that outlives the program: a raw image file, and beside it `FILE.state.toml` with the status registers.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::link::contract::LinkError;

use super::uid::Uid;

/// What is kept beside the image: everything a part remembers without power, apart from the cells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// The part's id in hex.
    pub(super) part: String,
    /// The non-volatile copies, register 1 first.
    pub(super) status: [u8; 3],
    /// The unique id; files made before there was one lack it.
    #[serde(default)]
    pub(super) unique_id: Option<Uid>,
}

/// What an earlier run left.
pub(super) struct Kept {
    /// The flash content.
    pub(super) cells: Vec<u8>,
    /// `None` when only the image is there.
    pub(super) state: Option<State>,
}

/// The two files. Changes reach them as they happen, so that a killed program leaves what the chip would hold.
#[derive(Debug)]
pub(super) struct Backing {
    path: PathBuf,
    image: File,
}

impl Backing {
    /// What an earlier run left, or `None` when the image does not exist yet.
    pub(super) fn load(path: &Path) -> Result<Option<Kept>, LinkError> {
        let cells = match std::fs::read(path) {
            Ok(cells) => cells,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(path, &error)),
        };
        let beside = state_path(path);
        let state = match std::fs::read_to_string(&beside) {
            Ok(text) => Some(toml::from_str(&text).map_err(|error| LinkError::File {
                name: beside.display().to_string(),
                why: error.message().to_owned(),
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&beside, &error)),
        };
        Ok(Some(Kept { cells, state }))
    }

    /// Writes both files anew under another name first, so that a half-written image never carries the final one.
    pub(super) fn create(path: &Path, cells: &[u8], state: &State) -> Result<(), LinkError> {
        let part = with_suffix(path, ".part");
        write_private(&part, cells).map_err(|error| failed(&part, &error))?;
        save_state(path, state)?;
        std::fs::rename(&part, path).map_err(|error| failed(path, &error))
    }

    /// Opens the image for writing in place.
    pub(super) fn open(path: &Path) -> Result<Self, LinkError> {
        let image = OpenOptions::new().read(true).write(true).open(path).map_err(|error| failed(path, &error))?;
        Ok(Self { path: path.to_owned(), image })
    }

    /// The image.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes changed cells.
    pub(super) fn put(&mut self, at: u32, cells: &[u8]) -> Result<(), LinkError> {
        let written = self.image.seek(SeekFrom::Start(u64::from(at))).and_then(|_| self.image.write_all(cells));
        written.map_err(|error| failed(&self.path, &error))
    }

    /// Writes changed status registers.
    pub(super) fn put_state(&self, state: &State) -> Result<(), LinkError> {
        save_state(&self.path, state)
    }
}

/// Reads an image given with `image=`.
pub(super) fn read_image(path: &Path, longest: u64) -> Result<Vec<u8>, LinkError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(longest + 1).read_to_end(&mut bytes));
    read.map_err(|error| failed(path, &error))?;
    if bytes.len() as u64 > longest {
        return Err(LinkError::File { name: path.display().to_string(), why: format!("larger than {longest} bytes") });
    }
    Ok(bytes)
}

fn save_state(path: &Path, state: &State) -> Result<(), LinkError> {
    let beside = state_path(path);
    let text = toml::to_string(state)
        .map_err(|error| LinkError::File { name: beside.display().to_string(), why: error.to_string() })?;
    let part = with_suffix(&beside, ".part");
    write_private(&part, text.as_bytes())
        .and_then(|()| std::fs::rename(&part, &beside))
        .map_err(|error| failed(&beside, &error))
}

/// A chip image may hold a Wi-Fi password: only its owner may read it.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

fn state_path(path: &Path) -> PathBuf {
    with_suffix(path, ".state.toml")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn failed(path: &Path, error: &std::io::Error) -> LinkError {
    LinkError::File { name: path.display().to_string(), why: error.to_string() }
}
