//! Building for Windows: what is needed on Linux to make programs that run on the host.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The platform of every Windows program of the project.
pub const TARGET: &str = "x86_64-pc-windows-gnu";

const LINKER: &str = "x86_64-w64-mingw32-gcc";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Debian's packages, each with a file that it brings.
const LINKER_PACKAGE: (&str, &str) = ("gcc-mingw-w64-x86-64-win32", "/usr/bin/x86_64-w64-mingw32-gcc");
const COMPILER_PACKAGES: [(&str, &str); 2] =
    [("rustc-web", DEBIAN_RUSTC), ("rust-web-src", "/usr/lib/rustlib/src/rust/library/std/Cargo.toml")];

/// Which of Debian's packages are still needed to build for Windows. Its compiler, which brings the source of the
/// standard library, is needed where the current toolchain lacks the target.
pub fn debian_packages_missing() -> Vec<&'static str> {
    let mut needed = vec![LINKER_PACKAGE];
    if !current_toolchain_has_target() {
        needed.extend(COMPILER_PACKAGES);
    }
    needed.iter().filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package).collect()
}

/// Builds a package's programs for Windows, optimised, and returns the folder they are in.
pub fn build_for_windows(package: &str, target_folder: &Path) -> Result<PathBuf> {
    let missing = debian_packages_missing();
    ensure!(missing.is_empty(), "building for {TARGET} needs Debian's packages {}", missing.join(", "));
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_surrounding_build(&mut cargo);
    cargo.current_dir(crate::folders::repository());
    cargo.args(["build", "--release", "--package", package, "--target", TARGET, "--target-dir"]);
    cargo.arg(target_folder);
    cargo.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", LINKER);
    if !current_toolchain_has_target() {
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

/// What a surrounding cargo has told its compilers is not meant for these; where crates come from is.
fn forget_surrounding_build(cargo: &mut Command) {
    const FORGOTTEN: [&str; 3] = ["CARGO", "RUSTC", "RUSTFLAGS"];
    const KEPT: [&str; 5] = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_"];

    for (name, _) in env::vars_os() {
        let begins =
            |prefixes: &[&str]| prefixes.iter().any(|prefix| name.to_string_lossy().starts_with(prefix));
        if begins(&FORGOTTEN) && !begins(&KEPT) {
            cargo.env_remove(&name);
        }
    }
}
