//! Virtual environments with programs from PyPI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{packages, step};

/// Makes an environment with these packages if it is not there, and returns the folder of its programs.
pub(crate) fn environment(folder: &Path, wanted: &[&str]) -> Result<PathBuf> {
    let programs = folder.join("bin");
    let ready = folder.join("ready");
    let list = wanted.join(" ");
    if fs::read_to_string(&ready).is_ok_and(|there| there == list) {
        return Ok(programs);
    }
    packages::for_python()?;
    let mut python = Command::new("python3");
    python.args(["-m", "venv", "--clear"]).arg(folder);
    step::run(&format!("make a virtual environment for {list}"), &mut python)?;
    let mut pip = Command::new(programs.join("pip"));
    pip.args(["install", "--disable-pip-version-check"]).args(wanted);
    step::run(&format!("install {list}"), &mut pip)?;
    fs::write(ready, list)?;
    Ok(programs)
}
