//! Debian's packages: what is missing gets installed.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use end_to_end::lab::Form;
use end_to_end::program::ARCHITECTURES;
use end_to_end::{callgrind, emulation, kdc};

use crate::step;

/// What the demonstration needs, in one go.
pub(crate) fn for_demo() -> Result<()> {
    install(&[missing_for_lab(Form::Plain), missing_for_python()].concat())
}

/// What the tests need, in one go.
pub(crate) fn for_tests() -> Result<()> {
    let procps = if Path::new("/usr/bin/kill").exists() { Vec::new() } else { vec!["procps"] };
    let others = [kdc::debian_packages_missing(), callgrind::debian_packages_missing(), procps].concat();
    install(&[missing_for_lab(Form::Plain), missing_for_python(), others].concat())
}

/// What the measurements need, in one go.
pub(crate) fn for_bench() -> Result<()> {
    let callgrind = callgrind::debian_packages_missing();
    install(&[missing_for_lab(Form::Interop), missing_for_python(), callgrind].concat())
}

/// What the tests with programs of other projects need, in one go.
pub(crate) fn for_interop() -> Result<()> {
    let tshark = if Path::new("/usr/bin/tshark").exists() { Vec::new() } else { vec!["tshark"] };
    install(&[missing_for_lab(Form::Interop), missing_for_python(), tshark].concat())
}

/// What tests against a host that is no lab need.
pub(crate) fn for_host() -> Result<()> {
    let needed = [("smbclient", "/usr/bin/smbclient"), ("samba-common-bin", "/usr/bin/net")];
    let missing = needed.into_iter().filter(|(_, file)| !Path::new(file).exists());
    let missing: Vec<_> = missing.map(|(package, _)| package).collect();
    install(&[missing, windows_build::debian_packages_missing()].concat())
}

/// What the fuzz targets need: libFuzzer is written in C++.
pub(crate) fn for_fuzzing() -> Result<()> {
    let missing = if Path::new("/usr/bin/c++").exists() { Vec::new() } else { vec!["g++"] };
    install(&missing)
}

/// What a lab of this form needs.
pub(crate) fn for_lab(form: Form) -> Result<()> {
    install(&missing_for_lab(form))
}

/// What the module's build needs.
pub(crate) fn for_build() -> Result<()> {
    install(&[windows_build::debian_packages_missing(), missing_for_python()].concat())
}

/// What the module's build for other architectures than this machine's needs beside that.
pub(crate) fn for_other_architectures() -> Result<()> {
    let others = ARCHITECTURES.into_iter().filter(|architecture| *architecture != env::consts::ARCH);
    let mut targets = others.map(|architecture| format!("{architecture}-unknown-linux-gnu"));
    let all_there = targets.all(|target| windows_build::current_toolchain_has(&target));
    install(&if all_there { Vec::new() } else { windows_build::compiler_packages_missing() })
}

/// What it takes to run the module's program for aarch64.
pub(crate) fn for_emulation() -> Result<()> {
    install(&emulation::debian_packages_missing())
}

/// What virtual environments need.
pub(crate) fn for_python() -> Result<()> {
    install(&missing_for_python())
}

fn missing_for_lab(form: Form) -> Vec<&'static str> {
    [form.debian_packages_missing(), windows_build::debian_packages_missing()].concat()
}

fn missing_for_python() -> Vec<&'static str> {
    let ensurepip = Command::new("python3").args(["-c", "import venv, ensurepip"]).output();
    let there = ensurepip.is_ok_and(|output| output.status.success());
    if there { Vec::new() } else { vec!["python3", "python3-venv"] }
}

fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("these packages are missing, and this is no Debian to install them on: {names}");
    }
    if Command::new("id").arg("-u").output()?.stdout != b"0\n" {
        bail!("these packages are missing; run as root, or install them:\n  apt-get install {names}");
    }
    step::run("update the list of packages", apt_get().arg("update"))?;
    let mut install = apt_get();
    install.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    step::run(&format!("install {names}"), &mut install)?;
    Ok(())
}

fn apt_get() -> Command {
    let mut apt_get = Command::new("apt-get");
    apt_get.env("DEBIAN_FRONTEND", "noninteractive");
    apt_get
}
