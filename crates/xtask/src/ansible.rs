//! Ansible, from PyPI, in virtual environments of the project's own.

use std::path::PathBuf;

use anyhow::Result;
use end_to_end::ansible::Version;

use crate::python;

/// Makes the virtual environment of this version if it is not there, and returns the folder of its programs.
pub(crate) fn programs(version: Version) -> Result<PathBuf> {
    python::environment(&version.environment(), &[&format!("ansible-core=={}.*", version.number())])
}
