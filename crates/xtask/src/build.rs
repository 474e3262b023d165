//! `build`: the module as it ships.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use end_to_end::folders;
use sha2::{Digest, Sha256};
use windows_build::{Architecture, is_for_windows_7};

use crate::{packages, python, step};

/// The oldest C library that the module runs with: that of Enterprise Linux 7 and of every later distribution.
const GLIBC: &str = "2.17";

/// A C compiler that links for any version of the C library, and what has cargo use it; from PyPI.
const LINKER: [&str; 2] = ["ziglang==0.17.1", "cargo-zigbuild==0.24.0"];

/// The service's images, as the module's build leaves them.
const SERVICES: [(Architecture, &str); 2] =
    [(Architecture::X86_64, "psexec-service.exe"), (Architecture::X86, "psexec-service-x86.exe")];

/// Builds the module, the service inside it, and returns the module's place in the collection. Where PyPI is out of reach
/// the module is for systems like this one.
pub(crate) fn run() -> Result<PathBuf> {
    packages::for_build()?;
    let (mut cargo, folder, systems) = match cargo_for_older_systems() {
        Ok((cargo, folder)) => (cargo, folder, format!("glibc {GLIBC} and later")),
        Err(error) => {
            println!("- no linker for older systems: {error:#}");
            let mut cargo = cargo();
            cargo.arg("build");
            (cargo, folders::target(), "this machine's glibc and later".to_owned())
        }
    };
    cargo.args(["--release", "--package", "psexec"]);
    step::run("build the module and its Windows service", &mut cargo)?;
    let module = folders::module();
    let fresh = module.with_extension("new");
    fs::copy(folder.join("release/psexec"), &fresh).context("the module is not where it was built")?;
    fs::rename(&fresh, &module)?;
    println!("  {} ({}, for {systems})", module.display(), size(&module)?);
    for (architecture, name) in SERVICES {
        let service = folders::repository().join("target/service").join(name);
        ensure!(service.exists(), "the build has not left {}", service.display());
        let systems = if is_for_windows_7(architecture) { "Windows 7" } else { "Windows 10" };
        // What security software may be told to allow; the module names it where it was not.
        let hash: String =
            Sha256::digest(fs::read(&service)?).iter().map(|byte| format!("{byte:02x}")).collect();
        println!("  {} ({}, for {systems} and later, SHA-256 {hash})", service.display(), size(&service)?);
    }
    Ok(module)
}

/// How long this command takes where nothing is built; what it needs has been downloaded already.
pub(crate) fn from_nothing() -> Result<Duration> {
    let folder = folders::target().join("from-nothing");
    // Left by one that was cut off.
    let _ = fs::remove_dir_all(&folder);
    let mut build = cargo();
    build.args(["xtask", "build"]).env("CARGO_TARGET_DIR", &folder);
    let started = Instant::now();
    step::run("build everything from nothing", &mut build)?;
    let duration = started.elapsed();
    fs::remove_dir_all(&folder)?;
    Ok(duration)
}

/// Cargo, as it builds with the other linker, and the folder that it builds in.
fn cargo_for_older_systems() -> Result<(Command, PathBuf)> {
    let programs = python::environment(&folders::target().join("linker"), &LINKER)?;
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let mut cargo = Command::new(programs.join("cargo-zigbuild"));
    cargo.args(["zigbuild", "--target", &format!("{target}.{GLIBC}")]);
    cargo.env("PATH", path_with(&programs)?);
    Ok((cargo, folders::target().join(target)))
}

/// The search path with these programs before all others.
fn path_with(programs: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths([programs.to_owned()].into_iter().chain(env::split_paths(&path)))?)
}

/// Cargo, as it was called itself.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn size(file: &Path) -> Result<String> {
    Ok(format!("{:.1} KB", file.metadata()?.len() as f64 / 1000.0))
}
