//! Virtual environments with programs from PyPI.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{packages, step};

/// Makes an environment with these packages if it is not there, and returns the folder of its programs.
pub(crate) fn environment(folder: &Path, wanted: &[&str]) -> Result<PathBuf> {
    environment_of(Path::new("python3"), folder, wanted)
}

/// Like [`environment`], with this Python.
pub(crate) fn environment_of(python: &Path, folder: &Path, wanted: &[&str]) -> Result<PathBuf> {
    let programs = folder.join("bin");
    let ready = folder.join("ready");
    let list = wanted.join(" ");
    if fs::read_to_string(&ready).is_ok_and(|there| there == list) {
        return Ok(programs);
    }
    packages::for_python()?;
    let mut python = Command::new(python);
    python.args(["-m", "venv", "--clear"]).arg(folder);
    step::run(&format!("make a virtual environment for {list}"), &mut python)?;
    let mut pip = Command::new(programs.join("pip"));
    pip.args(["install", "--disable-pip-version-check"]).args(wanted);
    step::run(&format!("install {list}"), &mut pip)?;
    fs::write(ready, list)?;
    Ok(programs)
}

/// The search path with these programs before all others.
pub(crate) fn path_with(programs: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths([programs.to_owned()].into_iter().chain(env::split_paths(&path)))?)
}

/// A Python 3 of at least this minor version: the one that is called so, one with its number in its name, or one of pyenv's,
/// whether that is its present one or not.
pub(crate) fn at_least(minor: u32) -> Option<PathBuf> {
    let named = (minor..minor + 5).map(|minor| PathBuf::from(format!("python3.{minor}")));
    let pyenv = env::var_os("PYENV_ROOT").map(PathBuf::from);
    let pyenv = pyenv.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".pyenv")));
    let folders = pyenv.and_then(|folder| fs::read_dir(folder.join("versions")).ok()).into_iter().flatten();
    let others = folders.flatten().map(|folder| folder.path().join("bin/python3"));
    ["python3".into()].into_iter().chain(named).chain(others).find(|python| is_at_least(python, minor))
}

/// The minor number of this Python 3.
pub(crate) fn minor(python: &Path) -> Result<u32> {
    let output = Command::new(python).args(["-c", "import sys; print(sys.version_info[1])"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("{} tells no version: {text}", python.display()))
}

fn is_at_least(python: &Path, minor: u32) -> bool {
    let check = format!("import sys, venv, ensurepip; sys.exit(sys.version_info < (3, {minor}))");
    let output = Command::new(python).args(["-c", &check]).output();
    output.is_ok_and(|output| output.status.success())
}
