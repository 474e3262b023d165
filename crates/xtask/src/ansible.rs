//! Ansible, from PyPI, in virtual environments of the project's own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use end_to_end::ansible::Version;
use end_to_end::folders;

use crate::python;

/// Makes the virtual environment of this version if it is not there, and returns the folder of its programs.
pub(crate) fn programs(version: Version) -> Result<PathBuf> {
    programs_with(Path::new("python3"), version)
}

/// Makes the virtual environments of all versions that this machine has a Python for, and notes which it has none for.
pub(crate) fn provide_all() -> Result<()> {
    fs::create_dir_all(folders::ansible())?;
    for version in Version::ALL {
        let minor = version.oldest_python();
        if let Some(python) = python::at_least(minor) {
            programs_with(&python, version)?;
            // Of an earlier time, when there was none.
            let _ = fs::remove_file(version.missing());
        } else {
            println!("- no Python 3.{minor} or later for ansible-core {}", version.number());
            fs::write(version.missing(), format!("there is no Python 3.{minor} or later"))?;
        }
    }
    Ok(())
}

fn programs_with(python: &Path, version: Version) -> Result<PathBuf> {
    let wanted = format!("ansible-core=={}.*", version.number());
    python::environment_of(python, &version.environment(), &[&wanted])
}
