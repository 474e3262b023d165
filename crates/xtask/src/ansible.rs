//! Ansible, from PyPI, in a virtual environment of the project's own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use end_to_end::folders;

use crate::{collection, packages, step};

const ANSIBLE: &str = "ansible-core>=2.19,<2.20";

/// Makes the virtual environment if it is not there, and returns the folder of its programs.
pub(crate) fn programs() -> Result<PathBuf> {
    let ansible = folders::ansible();
    let ready = ansible.join("ready");
    if fs::read_to_string(&ready).is_ok_and(|version| version == ANSIBLE) {
        return Ok(ansible.join("bin"));
    }
    packages::for_ansible()?;
    let mut python = Command::new("python3");
    python.args(["-m", "venv", "--clear"]).arg(&ansible);
    step::run("make a virtual environment for Python", &mut python)?;
    let mut pip = Command::new(ansible.join("bin/pip"));
    pip.args(["install", "--disable-pip-version-check", ANSIBLE]);
    step::run("install ansible-core", &mut pip)?;
    fs::write(ready, ANSIBLE)?;
    Ok(ansible.join("bin"))
}

/// Builds the collection and installs it where [`folders::collections`] says.
pub(crate) fn install_collection() -> Result<()> {
    let tarball = collection::run()?;
    let mut galaxy = Command::new(programs()?.join("ansible-galaxy"));
    galaxy.args(["collection", "install", "--offline", "--force"]).arg(tarball);
    galaxy.arg("--collections-path").arg(folders::collections());
    step::run("install the collection", &mut galaxy)?;
    Ok(())
}
