//! `build`: the module as it ships.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use end_to_end::folders;
use end_to_end::program::{ARCHITECTURES, GLIBC};
use windows_build::{Architecture, is_for_windows_7};

use crate::digest::sha256;
use crate::{packages, python, step};

/// A C compiler that links for any version of the C library, and what has cargo use it; from PyPI.
const LINKER: [&str; 2] = ["ziglang==0.17.1", "cargo-zigbuild==0.24.0"];

/// What cargo calls the module's program.
const PROGRAM: &str = "psexec";

/// Names the folder of the service's images to the module's build, which then builds none.
const PREBUILT_SERVICE: &str = "PSEXEC_SERVICE_PREBUILT";

/// The service's images, as the module's build leaves them.
const SERVICES: [(Architecture, &str); 2] =
    [(Architecture::X86_64, "psexec-service.exe"), (Architecture::X86, "psexec-service-x86.exe")];

/// Builds the module, the service inside it, and returns the module's place in the collection. Where PyPI is out of reach
/// the module is for systems like this one.
pub(crate) fn run() -> Result<PathBuf> {
    packages::for_build()?;
    let (mut cargo, folder, systems) = match cargo_for_older_systems(env::consts::ARCH) {
        Ok((cargo, folder)) => (cargo, folder, format!("glibc {GLIBC} and later")),
        Err(error) => {
            println!("- no linker for older systems: {error:#}");
            let mut cargo = cargo();
            cargo.arg("build");
            (cargo, folders::target().join("release"), "this machine's glibc and later".to_owned())
        }
    };
    cargo.args(["--release", "--package", "psexec"]);
    step::run("build the module and its Windows service", &mut cargo)?;
    let module = folders::module();
    put(&folder.join(PROGRAM), &module)?;
    println!("  {} ({}, for {systems})", module.display(), size(&module)?);
    for (architecture, service) in services() {
        ensure!(service.exists(), "the build has not left {}", service.display());
        let systems = if is_for_windows_7(architecture) { "Windows 7" } else { "Windows 10" };
        // What security software may be told to allow; the module names it where it was not.
        let hash = sha256(&fs::read(&service)?);
        println!("  {} ({}, for {systems} and later, SHA-256 {hash})", service.display(), size(&service)?);
    }
    Ok(module)
}

/// Builds the module for each architecture that the collection is for, with the same service inside.
pub(crate) fn for_all_architectures() -> Result<()> {
    let here = run()?;
    packages::for_other_architectures()?;
    for architecture in ARCHITECTURES {
        let program = folders::program(architecture);
        if architecture == env::consts::ARCH {
            if program != here {
                put(&here, &program)?;
            }
            continue;
        }
        let (mut cargo, folder) = cargo_for_older_systems(architecture)?;
        cargo.args(["--release", "--package", "psexec"]);
        // A service that the user has named is in all of them.
        if env::var_os(PREBUILT_SERVICE).is_none() {
            cargo.env(PREBUILT_SERVICE, folder_of_services());
        }
        step::run(&format!("build the module for {architecture}"), &mut cargo)?;
        put(&folder.join(PROGRAM), &program)?;
        println!("  {} ({}, for glibc {GLIBC} and later)", program.display(), size(&program)?);
    }
    Ok(())
}

/// The service's images, which [`run`] leaves.
pub(crate) fn services() -> [(Architecture, PathBuf); 2] {
    SERVICES.map(|(architecture, name)| (architecture, folder_of_services().join(name)))
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
fn cargo_for_older_systems(architecture: &str) -> Result<(Command, PathBuf)> {
    let programs = python::environment(&folders::target().join("linker"), &LINKER)?;
    let target = format!("{architecture}-unknown-linux-gnu");
    let mut cargo = Command::new(programs.join("cargo-zigbuild"));
    cargo.args(["zigbuild", "--locked", "--target", &format!("{target}.{GLIBC}")]);
    cargo.env("PATH", python::path_with(&programs)?);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", format!("--remap-path-prefix={}=/cargo", cargo_home()?.display()));
    if !windows_build::current_toolchain_has(&target) {
        cargo.arg("-Zbuild-std=std");
        cargo.env("RUSTC", windows_build::DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
    }
    Ok((cargo, folders::target().join(target).join("release")))
}

/// Where the sources of other crates are: panics name their files, and the program is not to depend on whose machine it was
/// built on.
fn cargo_home() -> Result<PathBuf> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).context("neither CARGO_HOME nor HOME is set")
}

/// Puts a program in its place in one step: another one may be starting it.
fn put(built: &Path, place: &Path) -> Result<()> {
    let fresh = place.with_extension("new");
    fs::copy(built, &fresh).with_context(|| format!("{} was not built", built.display()))?;
    fs::rename(&fresh, place)?;
    Ok(())
}

fn folder_of_services() -> PathBuf {
    folders::repository().join("target/service")
}

/// Cargo, as it was called itself.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn size(file: &Path) -> Result<String> {
    Ok(format!("{:.1} KB", file.metadata()?.len() as f64 / 1000.0))
}
