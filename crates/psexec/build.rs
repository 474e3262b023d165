//! Builds the Windows service and hands it to the module, which carries it inside itself.
//!
//! The service comes from the first of these that there is:
//! 1. the file that `PSEXEC_SERVICE_PREBUILT` names,
//! 2. the toolchain in use, where it has the standard library of [`TARGET`],
//! 3. Debian's `/usr/bin/rustc` with the standard library's source, which is then built along.
//!
//! The last one builds for Windows 7 and later, the second for what Rust's prebuilt standard library needs: Windows 10.
//!
//! The result is `PSEXEC_SERVICE_IMAGE` for `include_bytes!`, and `target/service/psexec-service.exe` for everybody
//! else.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "x86_64-pc-windows-gnu";
/// The same for hosts since Windows 7 and Windows Server 2008 R2. Rust has it as a source only.
const WINDOWS_7_TARGET: &str = "x86_64-win7-windows-gnu";
const LINKER: &str = "x86_64-w64-mingw32-gcc";
const IMAGE_NAME: &str = "psexec-service.exe";
const PREBUILT_VARIABLE: &str = "PSEXEC_SERVICE_PREBUILT";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Where Debian's rust-web-src and rust-src put what `-Zbuild-std` needs.
const DEBIAN_STD_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

fn main() -> Result<(), Box<dyn Error>> {
    let workspace = workspace_root()?;
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    declare_inputs(&workspace);

    let built = match env::var_os(PREBUILT_VARIABLE) {
        Some(file) => {
            println!("cargo:rerun-if-changed={}", Path::new(&file).display());
            PathBuf::from(file)
        }
        None => build_service(&workspace)?,
    };
    let image = fs::read(&built).map_err(|error| format!("cannot read {}: {error}", built.display()))?;
    if !image.starts_with(b"MZ") {
        return Err(format!("{} is not a Windows executable", built.display()).into());
    }

    let embedded = out_dir.join(IMAGE_NAME);
    write_whole(&embedded, &image)?;
    write_whole(&workspace.join("target/service").join(IMAGE_NAME), &image)?;
    println!("cargo:rustc-env=PSEXEC_SERVICE_IMAGE={}", embedded.display());
    Ok(())
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
        "crates/psexec-protocol/src",
        "crates/psexec-protocol/Cargo.toml",
    ] {
        println!("cargo:rerun-if-changed={}", workspace.join(path).display());
    }
}

/// Runs cargo once more, for the service alone, and returns the executable's path.
fn build_service(workspace: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let compiler = Compiler::find()?;
    // A folder of its own: the outer cargo holds the lock of the one it builds in.
    let target_dir = workspace.join("target/service-build");
    let mut cargo = Command::new(env::var_os("CARGO").ok_or("CARGO is not set")?);
    clear_inherited_settings(&mut cargo);
    cargo
        .current_dir(workspace)
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "psexec-service",
            "--target",
            compiler.target(),
        ])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", rustc_flags(&compiler)?.join("\u{1f}"))
        // The workspace's release profile is the module's; this is the service's.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z")
        .env("CARGO_PROFILE_RELEASE_LTO", "true")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .env("CARGO_PROFILE_RELEASE_INCREMENTAL", "false");
    if let Compiler::Debian = compiler {
        cargo
            .args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"])
            .env("RUSTC", DEBIAN_RUSTC)
            .env("RUSTC_BOOTSTRAP", "1");
    }
    let status =
        cargo.status().map_err(|error| format!("cannot run cargo for the Windows service: {error}"))?;
    if !status.success() {
        return Err(
            format!("the Windows service did not build ({status}); cargo's messages stand above").into()
        );
    }
    Ok(target_dir.join(compiler.target()).join("release").join(IMAGE_NAME))
}

enum Compiler {
    /// The one this build runs with, which has the target's standard library.
    Current,
    /// Debian's, which has the standard library's source.
    Debian,
}

impl Compiler {
    fn find() -> Result<Self, Box<dyn Error>> {
        let missing = format!(
            "the Windows service needs a linker and a standard library for {TARGET}: install \
             gcc-mingw-w64-x86-64-win32 and either run `rustup target add {TARGET}` or, on Debian, install rustc-web \
             and rust-web-src; or name a finished executable in {PREBUILT_VARIABLE}"
        );
        if !runs(LINKER, "--version") {
            return Err(format!("{LINKER} does not run; {missing}").into());
        }
        if current_compiler_has_target() {
            Ok(Self::Current)
        } else if Path::new(DEBIAN_STD_SOURCE).exists() && runs(DEBIAN_RUSTC, "--version") {
            Ok(Self::Debian)
        } else {
            Err(missing.into())
        }
    }

    fn target(&self) -> &'static str {
        match self {
            Self::Current => TARGET,
            Self::Debian => WINDOWS_7_TARGET,
        }
    }
}

fn runs(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

fn current_compiler_has_target() -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let Ok(output) = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output()
    else {
        return false;
    };
    let folder = String::from_utf8_lossy(&output.stdout);
    fs::read_dir(folder.trim()).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
    })
}

/// What the outer build was told does not hold for the service; where crates come from does.
fn clear_inherited_settings(cargo: &mut Command) {
    const KEPT: [&str; 5] = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let is_setting =
            ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC"].iter().any(|prefix| text.starts_with(prefix));
        if is_setting && !KEPT.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
}

/// Flags that make the same file come out wherever and whenever it is built.
///
/// Paths are not remapped: there is none of the build machine in the file, and flags go into the hashes by which
/// functions are ordered.
fn rustc_flags(compiler: &Compiler) -> Result<Vec<String>, Box<dyn Error>> {
    let mut flags = vec![
        format!("-Clinker={LINKER}"),
        "-Clink-arg=-Wl,--no-insert-timestamp".to_owned(),
        // GNU ld orders imports by the paths of their libraries. With this path, which means the same, mingw's come
        // before those in the target folder, wherever that is.
        format!("-Clink-arg=-L/{}", mingw_library_folder()?.display()),
    ];
    if let Compiler::Debian = compiler {
        // A service has nowhere to print what a panic says: without the texts the file is a fifth smaller.
        flags.extend(
            ["-Zunstable-options", "-Cpanic=immediate-abort", "-Zlocation-detail=none"].map(str::to_owned),
        );
    }
    Ok(flags)
}

fn mingw_library_folder() -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new(LINKER).arg("-print-file-name=libkernel32.a").output()?;
    let library = PathBuf::from(String::from_utf8(output.stdout)?.trim_end());
    match library.parent() {
        Some(folder) if folder.is_absolute() => Ok(folder.to_path_buf()),
        _ => Err(format!("{LINKER} has no libkernel32.a").into()),
    }
}

/// Puts the file in place in one step: builds that run side by side share `target/service`.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
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
