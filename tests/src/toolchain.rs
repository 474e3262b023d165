//! Building for Windows: what is needed on Linux to make programs that run on the host.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

const TARGET: &str = "x86_64-pc-windows-gnu";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

/// Builds a package's programs for Windows, optimised, and returns the folder they are in.
///
/// The current toolchain does it if it has the target; else Debian's compiler, which brings the source of the
/// standard library, builds that, too.
pub fn build_for_windows(package: &str, target_folder: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(crate::folders::repository());
    for (name, _) in env::vars_os() {
        // What a surrounding cargo tells its own compilers is not meant for these.
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_") && name != "CARGO_HOME" && !name.starts_with("CARGO_HTTP_")
            || name.starts_with("RUSTC")
            || name == "RUSTFLAGS"
        {
            cargo.env_remove(&*name);
        }
    }
    cargo.args(["build", "--release", "--package", package, "--target", TARGET, "--target-dir"]);
    cargo.arg(target_folder);
    if !current_toolchain_has_target() {
        if !Path::new(DEBIAN_SOURCES).exists() {
            bail!(
                "no compiler for {TARGET}: run `rustup target add {TARGET}`, or install the packages \
                 rustc-web, rust-web-src and gcc-mingw-w64-x86-64-win32"
            );
        }
        cargo.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"]);
        cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
    }
    let output = cargo.output().context("cargo does not start")?;
    if !output.status.success() {
        bail!("building {package} for {TARGET} failed\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(target_folder.join(TARGET).join("release"))
}

/// Whether the toolchain in use can build for Windows by itself.
pub fn current_toolchain_has_target() -> bool {
    let library = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    library.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists())
}
