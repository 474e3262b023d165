//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

/// The top of the repository.
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// Cargo's target folder, from which this very program runs: `<target>/<profile>/xtask`, or
/// `<target>/<profile>/deps/<test>`.
pub fn target() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    let folder = program
        .parent()
        .map(|folder| if folder.ends_with("deps") { folder.join("..") } else { folder.into() });
    let target = folder.and_then(|folder| folder.join("..").canonicalize().ok());
    target.unwrap_or_else(|| repository().join("target"))
}

/// Where the labs and what they are made of are kept.
pub fn labs() -> PathBuf {
    target().join("lab")
}

/// The module, as it stands in the collection.
pub fn module() -> PathBuf {
    repository().join("plugins/modules/psexec")
}

/// Where Ansible is installed, each version in a virtual environment of its own.
pub fn ansible() -> PathBuf {
    target().join("ansible")
}

/// Where the collection is installed for the demonstration and the tests.
pub fn collections() -> PathBuf {
    target().join("collections")
}
