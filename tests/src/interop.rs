//! What other projects have made, for the other side of ours: pypsexec and the PAExec.exe that it brings, upstream's
//! module, Impacket, Ansible's modules for Windows. `cargo xtask test` gets them from PyPI; nothing of it is kept in the
//! repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use crate::ansible::Version;
use crate::folders;

/// The virtual environment that they are installed in.
pub fn environment() -> PathBuf {
    folder().join("venv")
}

/// Where the collections community.windows, with upstream's module, and ansible.windows are: for tests alone.
pub fn collections() -> PathBuf {
    folder().join("collections")
}

/// PAExec.exe.
pub fn paexec() -> Result<PathBuf> {
    Ok(site_packages(&environment())?.join("pypsexec/paexec.exe"))
}

/// Python of the virtual environment, in which pypsexec brings our service in place of PAExec.exe, and whoever connects
/// to port 445 gets to `port`.
pub fn python(port: u16) -> Result<Command> {
    let mut python = Command::new("timeout");
    python.args(["--kill-after=10", "600"]).arg(environment().join("bin/python"));
    let scripts = folders::repository().join("tests/interop/python");
    let path = std::env::join_paths([scripts, pypsexec_with_our_service()?])?;
    python.env("PYTHONPATH", path).env("LAB_PORT", port.to_string());
    python.env("PYTHONDONTWRITEBYTECODE", "1").env("LC_ALL", "C.UTF-8");
    Ok(python)
}

/// Upstream's module, with pypsexec and PAExec.exe as they come; its one argument is the file of a task, or that comes
/// on its standard input.
pub fn upstream() -> Result<Command> {
    const MODULE: &str = "ansible_collections/community/windows/plugins/modules/psexec.py";

    let mut python = Command::new(environment().join("bin/python"));
    // Ansible's part of it comes from an environment of its own.
    python.env("PYTHONPATH", site_packages(&Version::Usual.environment())?);
    python.env("PYTHONDONTWRITEBYTECODE", "1").env("LC_ALL", "C.UTF-8");
    python.arg(collections().join(MODULE));
    Ok(python)
}

/// A folder for PYTHONPATH: pypsexec with our service in place of PAExec.exe. Made anew, as the service may have been.
pub fn pypsexec_with_our_service() -> Result<PathBuf> {
    static MAKING: Mutex<()> = Mutex::new(());

    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let service = folders::repository().join("target/service/psexec-service.exe");
    let package = folder().join("with-our-service/pypsexec");
    fs::create_dir_all(&package)?;
    for entry in fs::read_dir(site_packages(&environment())?.join("pypsexec"))? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|kind| kind == "py") {
            fs::copy(entry.path(), package.join(entry.file_name()))?;
        }
    }
    fs::copy(&service, package.join("paexec.exe"))
        .with_context(|| format!("{} is missing: run `cargo xtask build`", service.display()))?;
    Ok(folder().join("with-our-service"))
}

fn folder() -> PathBuf {
    folders::target().join("interop")
}

fn site_packages(environment: &Path) -> Result<PathBuf> {
    let library = environment.join("lib");
    ensure!(library.exists(), "{} is missing: run `cargo xtask test --interop`", library.display());
    let found = fs::read_dir(library)?.flatten().map(|entry| entry.path().join("site-packages"));
    found.into_iter().find(|folder| folder.exists()).context("the virtual environment has no site-packages")
}
