//! What is kept on disk: settings, files read and written whole, proven backups. Nothing here replaces an existing
//! file.

pub mod backup;
pub mod files;
pub mod paths;
pub mod settings;

mod error;

pub use error::StoreError;
pub use settings::{Loaded, Settings};
