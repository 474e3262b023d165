//! Ansible, from PyPI, in virtual environments of the project's own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use end_to_end::ansible::Version;
use end_to_end::folders;

use crate::{collection, python, step};

/// Makes the virtual environment of this version if it is not there, and returns the folder of its programs.
pub(crate) fn programs(version: Version) -> Result<PathBuf> {
    python::environment(&version.environment(), &[&format!("ansible-core=={}.*", version.number())])
}

/// Brings every version that the tests run with, and the collection, freshly built.
pub(crate) fn install_collection() -> Result<()> {
    for version in Version::ALL {
        programs(version)?;
    }
    install_collection_for_demo()
}

/// Builds the collection and installs it where [`folders::collections`] says, with the newest version.
pub(crate) fn install_collection_for_demo() -> Result<()> {
    let tarball = collection::run()?;
    let mut galaxy = Command::new(programs(Version::Newest)?.join("ansible-galaxy"));
    galaxy.args(["collection", "install", "--offline", "--force"]).arg(tarball);
    galaxy.arg("--collections-path").arg(folders::collections());
    step::run("install the collection", &mut galaxy)?;
    Ok(())
}
