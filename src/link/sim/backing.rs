//! A flash that outlives the program: a raw image file, and beside it `FILE.state.toml` with the status registers.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk::unseen::Unseen;
use crate::disk::{self, DiskError};
use crate::link::claim;
use crate::link::contract::LinkError;

use super::uid::Uid;

/// The largest file taken for a flash, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;
/// No state is as large as this, in bytes.
const LARGEST_STATE: u64 = 64 * 1024;
/// Every state is written this long, in one piece: a killed program leaves the one before or the one after.
const STATE_LEN: usize = 256;

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

/// The two files. Changes reach them as they happen, so that a killed program leaves what the chip would hold. A lock on
/// the first one keeps every other process away from both.
#[derive(Debug)]
pub(super) struct Backing {
    path: PathBuf,
    image: File,
    state: Option<File>,
}

impl Backing {
    /// Takes the two files for this process alone; `None` when the image does not exist yet.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, LinkError> {
        let image = match disk::change(path) {
            Err(error) if error.is_missing() => return Ok(None),
            opened => opened.map_err(|error| LinkError::of_file(path, &error))?,
        };
        claim::file(&image, path)?;
        Ok(Some(Self { state: open_state(path)?, path: path.to_owned(), image }))
    }

    /// What an earlier run left.
    pub(super) fn load(&self) -> Result<Kept, LinkError> {
        let cells = all_of(&self.image, &self.path, LARGEST)?;
        let state = self.state.as_ref().map(|file| read_state(file, &state_path(&self.path))).transpose()?;
        Ok(Kept { cells, state })
    }

    /// Makes both files. The image appears whole; what has its name stays, and is an error. A state without an image is
    /// that of a chip that was thrown away, and is written anew.
    pub(super) fn create(path: &Path, cells: &[u8], state: &State) -> Result<Self, LinkError> {
        let failed = |error: std::io::Error| failed(path, &error);
        let unseen = Unseen::open(disk::folder_of(path)).map_err(failed)?;
        claim::file(unseen.file(), path)?;
        unseen.file().write_all(cells).map_err(failed)?;
        let old = open_state(path)?;
        old.as_ref().map(|file| read_state(file, &state_path(path))).transpose()?;
        let mut backing = Self { path: path.to_owned(), image: unseen.file().try_clone().map_err(failed)?, state: old };
        backing.put_state(state)?;
        unseen.appear(path).map_err(failed)?;
        Ok(backing)
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
    pub(super) fn put_state(&mut self, state: &State) -> Result<(), LinkError> {
        let path = state_path(&self.path);
        let text = toml::to_string(state)
            .map_err(|error| LinkError::File { name: path.display().to_string(), why: error.to_string() })?;
        let text = format!("{text:\n<STATE_LEN$}");
        let mut file = match self.state.take() {
            Some(file) => file,
            None => disk::create(&path).map_err(|error| failed(&path, &error))?,
        };
        let written = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(text.as_bytes()));
        let written = written.and_then(|()| file.set_len(text.len() as u64));
        self.state = Some(file);
        written.map_err(|error| failed(&path, &error))
    }
}

/// Reads an image given with `image=`.
pub(super) fn read_image(path: &Path, longest: u64) -> Result<Vec<u8>, LinkError> {
    disk::read(path, longest).map_err(|error| match error {
        DiskError::TooLarge(_) => {
            LinkError::File { name: path.display().to_string(), why: format!("larger than {longest} bytes") }
        }
        error => LinkError::of_file(path, &error),
    })
}

fn open_state(path: &Path) -> Result<Option<File>, LinkError> {
    let path = state_path(path);
    match disk::change_own(&path) {
        Err(error) if error.is_missing() => Ok(None),
        opened => opened.map(Some).map_err(|error| LinkError::of_file(&path, &error)),
    }
}

fn read_state(file: &File, path: &Path) -> Result<State, LinkError> {
    let text = all_of(file, path, LARGEST_STATE)?;
    toml::from_str(&String::from_utf8_lossy(&text))
        .map_err(|error| LinkError::File { name: path.display().to_string(), why: error.message().to_owned() })
}

fn all_of(file: &File, path: &Path, largest: u64) -> Result<Vec<u8>, LinkError> {
    disk::all_of(file, largest).map_err(|error| LinkError::of_file(path, &error))
}

fn state_path(path: &Path) -> PathBuf {
    disk::beside(path, ".state.toml")
}

fn failed(path: &Path, error: &std::io::Error) -> LinkError {
    LinkError::File { name: path.display().to_string(), why: error.to_string() }
}
