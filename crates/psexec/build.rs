//! Builds the Windows service and hands it to the module, which carries it inside itself.
//!
//! It builds it as `windows-build` does, unless the variable `PSEXEC_SERVICE_PREBUILT` names a finished executable, or a
//! folder with those of an earlier build: programs for several architectures carry the same service. A module that is not built for release has no service, so that checking and testing take no compiler for Windows.
//!
//! The results are `PSEXEC_SERVICE_IMAGE` and `PSEXEC_SERVICE_IMAGE_X86` for `include_bytes!`, and
//! `target/service/psexec-service.exe` and `psexec-service-x86.exe` for everybody else. An executable that was named has no
//! other image beside it.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use windows_build::{Architecture, Programs};

const IMAGE_NAME: &str = "psexec-service.exe";
const IMAGES: [(Architecture, &str, &str); 2] = [
    (Architecture::X86_64, "PSEXEC_SERVICE_IMAGE", IMAGE_NAME),
    (Architecture::X86, "PSEXEC_SERVICE_IMAGE_X86", "psexec-service-x86.exe"),
];
const PREBUILT_VARIABLE: &str = "PSEXEC_SERVICE_PREBUILT";

/// Shows an error's text and causes: as `main` would show it, the compiler's messages would stand in one line.
fn main() -> ExitCode {
    let Err(error) = provide_service() else { return ExitCode::SUCCESS };
    let chain = iter::successors(Some(&*error), |error| (*error).source());
    eprintln!("{}", chain.map(ToString::to_string).collect::<Vec<_>>().join(": "));
    ExitCode::FAILURE
}

fn provide_service() -> Result<(), Box<dyn Error>> {
    let workspace = workspace_root()?;
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    declare_inputs(&workspace);
    for (architecture, variable, name) in IMAGES {
        let embedded = out_dir.join(name);
        println!("cargo:rustc-env={variable}={}", embedded.display());
        let Some(built) = executable(&workspace, architecture, name)? else {
            write_whole(&embedded, &[])?;
            continue;
        };
        let image = fs::read(&built).map_err(|error| format!("cannot read {}: {error}", built.display()))?;
        if !image.starts_with(b"MZ") {
            return Err(format!("{} is not a Windows executable", built.display()).into());
        }
        write_whole(&embedded, &image)?;
        write_whole(&workspace.join("target/service").join(name), &image)?;
    }
    Ok(())
}

/// The finished executable; `None` where the module goes without.
fn executable(
    workspace: &Path,
    architecture: Architecture,
    name: &str,
) -> Result<Option<PathBuf>, Box<dyn Error>> {
    match env::var_os(PREBUILT_VARIABLE).map(PathBuf::from) {
        Some(folder) if folder.is_dir() => {
            let file = folder.join(name);
            println!("cargo:rerun-if-changed={}", file.display());
            Ok(Some(file))
        }
        Some(file) => {
            println!("cargo:rerun-if-changed={}", file.display());
            Ok((architecture == Architecture::X86_64).then_some(file))
        }
        None if env::var_os("PROFILE").is_none_or(|profile| profile != "release") => Ok(None),
        None => build_service(workspace, architecture).map(Some),
    }
}

fn workspace_root() -> Result<PathBuf, Box<dyn Error>> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?);
    Ok(manifest.ancestors().nth(2).ok_or("the crate stands outside of the workspace")?.to_path_buf())
}

fn declare_inputs(workspace: &Path) {
    println!("cargo:rerun-if-env-changed={PREBUILT_VARIABLE}");
    for path in [
        "Cargo.toml",
        "Cargo.lock",
        "crates/psexec/build.rs",
        "crates/psexec-service",
        "crates/paexec/src",
        "crates/paexec/Cargo.toml",
        "crates/wire/src",
        "crates/wire/Cargo.toml",
    ] {
        println!("cargo:rerun-if-changed={}", workspace.join(path).display());
    }
}

/// Runs cargo once more, for the service alone, and returns the executable's path.
fn build_service(workspace: &Path, architecture: Architecture) -> Result<PathBuf, Box<dyn Error>> {
    let service = Programs {
        workspace,
        package: "psexec-service",
        architecture,
        target_folder: &workspace.join("target/service-build"),
        // It has nowhere to print what a panic says.
        small: true,
    };
    let folder = service.build().map_err(|error| match error {
        windows_build::Error::Missing { .. } => {
            format!("{error}; or name a finished executable in {PREBUILT_VARIABLE}").into()
        }
        error => Box::<dyn Error>::from(error),
    })?;
    Ok(folder.join(IMAGE_NAME))
}

/// Puts the file in place in one step: builds that run side by side share `target/service`.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let folder = path.parent().ok_or("a file without a folder")?;
    let mut partial_name = path.file_name().unwrap_or(OsStr::new(IMAGE_NAME)).to_os_string();
    partial_name.push(format!(".{}", std::process::id()));
    let partial = folder.join(partial_name);
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&partial, bytes))
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}
