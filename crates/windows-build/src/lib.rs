//! Builds the project's programs for Windows, on Linux: the service that the module carries, and what the lab runs.
//!
//! The compiler is the first of these that there is:
//! 1. the toolchain in use, where it has the standard library of [`Architecture::target`],
//! 2. Debian's `/usr/bin/rustc` with the standard library's source, which is then built along.
//!
//! The second builds for Windows 7 and later, the first for what Rust's prebuilt standard library needs: Windows 10.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The processors that programs are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// 64 bits, as nearly all hosts have them.
    X86_64,
    /// 32 bits: for 32-bit Windows, and for Windows 10 on ARM, which emulates no others.
    X86,
}

/// Debian's compiler, which builds the standard library along where its source is.
pub const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Where Debian's rust-web-src and rust-src put what `-Zbuild-std` needs.
const DEBIAN_STD_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
const COMPILER_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// Why there are no programs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine cannot build for Windows. Debian's packages that would help are named.
    #[error(
        "building for Windows needs a linker and a standard library for {}: on Debian, install {}; elsewhere, \
         install {} and run `rustup target add {}`",
        .architecture.target(), .packages.join(" "), .architecture.linker(), .architecture.target()
    )]
    Missing {
        /// What cannot be built for.
        architecture: Architecture,
        /// Packages.
        packages: Vec<&'static str>,
    },
    /// Debian's compiler does not know the target for Windows 7. Debian 12 has one that does among its security updates only.
    #[error(
        "{DEBIAN_RUSTC} is too old to build for Windows: it does not know {}. Debian's security updates have a \
         newer one: add them to apt's sources, and run `apt-get update && apt-get install {}`",
        Architecture::X86_64.windows_7_target(), COMPILER_PACKAGES.join(" ")
    )]
    TooOld,
    /// A program that was there a moment ago does not start.
    #[error("cannot run {program}")]
    CannotRun {
        /// Its name.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// The linker comes without Windows's import libraries.
    #[error("{0} has no libkernel32.a")]
    NoImportLibraries(&'static str),
    /// Cargo has failed.
    #[error("{package} does not build for Windows\n{messages}")]
    DoesNotBuild {
        /// The package.
        package: String,
        /// Cargo's and the compiler's messages.
        messages: String,
    },
}

/// Programs to be built, optimised.
#[derive(Clone, Copy, Debug)]
pub struct Programs<'a> {
    /// The top of the workspace.
    pub workspace: &'a Path,
    /// The package whose programs these are.
    pub package: &'a str,
    /// The processors that they are for.
    pub architecture: Architecture,
    /// The folder to build in. Not the one that a surrounding cargo builds in, whose lock that cargo holds.
    pub target_folder: &'a Path,
    /// Whether they are as small as can be, at the price of what a panic would say.
    pub small: bool,
}

impl Programs<'_> {
    /// Builds them, and returns the folder that they are in. The same source gives the same bytes, wherever and
    /// whenever it is built by the same compiler.
    ///
    /// # Errors
    /// [`Error`], each of its kinds.
    pub fn build(&self) -> Result<PathBuf, Error> {
        let compiler = Compiler::find(self.architecture)?;
        let output = run(&mut self.cargo(compiler)?)?;
        if !output.status.success() {
            return Err(Error::DoesNotBuild {
                package: self.package.to_owned(),
                messages: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        Ok(self.target_folder.join(compiler.target(self.architecture)).join("release"))
    }

    fn cargo(&self, compiler: Compiler) -> Result<Command, Error> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        forget_surrounding_build(&mut cargo);
        cargo.current_dir(self.workspace);
        cargo.args(["build", "--release", "--locked", "--package", self.package]);
        cargo.args(["--target", compiler.target(self.architecture), "--target-dir"]).arg(self.target_folder);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.rustc_flags(compiler)?.join("\u{1f}"));
        if self.small {
            // The workspace's release profile is the module's.
            cargo
                .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z")
                .env("CARGO_PROFILE_RELEASE_LTO", "true")
                .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
                .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
                .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
                .env("CARGO_PROFILE_RELEASE_INCREMENTAL", "false");
        }
        if compiler == Compiler::Debian {
            cargo
                .args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"])
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1");
        }
        Ok(cargo)
    }

    /// Paths are not remapped: there is none of the build machine in the file, and flags go into the hashes by which
    /// functions are ordered.
    fn rustc_flags(&self, compiler: Compiler) -> Result<Vec<String>, Error> {
        let mut flags = vec![
            format!("-Clinker={}", self.architecture.linker()),
            "-Clink-arg=-Wl,--no-insert-timestamp".to_owned(),
            // GNU ld orders imports by the paths of their libraries. With this path, which means the same, mingw's
            // come before those in the target folder, wherever that is.
            format!("-Clink-arg=-L/{}", import_libraries(self.architecture)?.display()),
        ];
        if self.small && compiler == Compiler::Debian {
            // Without the texts of panics the service is a fifth smaller.
            flags.extend(
                ["-Zunstable-options", "-Cpanic=immediate-abort", "-Zlocation-detail=none"]
                    .map(str::to_owned),
            );
        }
        Ok(flags)
    }
}

impl Architecture {
    /// All of them, the usual one first.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::X86];

    /// The platform, as a toolchain has to have it.
    pub fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-pc-windows-gnu",
            Self::X86 => "i686-pc-windows-gnu",
        }
    }

    /// The same for hosts since Windows 7 and Windows Server 2008 R2. Rust has it as a source only.
    fn windows_7_target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-win7-windows-gnu",
            Self::X86 => "i686-win7-windows-gnu",
        }
    }

    fn linker(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-w64-mingw32-gcc",
            Self::X86 => "i686-w64-mingw32-gcc",
        }
    }

    fn linker_package(self) -> &'static str {
        match self {
            Self::X86_64 => "gcc-mingw-w64-x86-64-win32",
            Self::X86 => "gcc-mingw-w64-i686-win32",
        }
    }
}

/// Which of Debian's packages are still needed to build for Windows, on each architecture.
pub fn debian_packages_missing() -> Vec<&'static str> {
    let mut missing: Vec<_> = Architecture::ALL.into_iter().flat_map(packages_missing_for).collect();
    missing.dedup();
    missing
}

fn packages_missing_for(architecture: Architecture) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !current_toolchain_has_target(architecture) {
        missing.extend(compiler_packages_missing());
    }
    if !runs(architecture.linker()) {
        missing.push(architecture.linker_package());
    }
    missing
}

/// Whether the programs run on Windows 7 and later: they do where Debian's compiler builds the standard library along.
pub fn is_for_windows_7(architecture: Architecture) -> bool {
    !current_toolchain_has_target(architecture)
}

/// Whether the toolchain in use has the standard library of [`Architecture::target`].
pub fn current_toolchain_has_target(architecture: Architecture) -> bool {
    current_toolchain_has(architecture.target())
}

/// Whether the toolchain in use has the standard library of this target, be it Windows's or not.
pub fn current_toolchain_has(target: &str) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let print = ["--print", "target-libdir", "--target", target];
    let Ok(output) = Command::new(rustc).args(print).output() else {
        return false;
    };
    let folder = String::from_utf8_lossy(&output.stdout);
    fs::read_dir(folder.trim()).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compiler {
    /// The one in use, which has the target's standard library.
    Current,
    /// Debian's, which has the standard library's source.
    Debian,
}

impl Compiler {
    fn find(architecture: Architecture) -> Result<Self, Error> {
        let packages = packages_missing_for(architecture);
        if !packages.is_empty() {
            return Err(Error::Missing { architecture, packages });
        }
        if current_toolchain_has_target(architecture) {
            return Ok(Self::Current);
        }
        let targets = run(Command::new(DEBIAN_RUSTC).args(["--print", "target-list"]))?;
        let known = String::from_utf8_lossy(&targets.stdout)
            .lines()
            .any(|name| name == architecture.windows_7_target());
        if known { Ok(Self::Debian) } else { Err(Error::TooOld) }
    }

    fn target(self, architecture: Architecture) -> &'static str {
        match self {
            Self::Current => architecture.target(),
            Self::Debian => architecture.windows_7_target(),
        }
    }
}

/// Which of Debian's packages are still needed for [`DEBIAN_RUSTC`] to build the standard library along.
pub fn compiler_packages_missing() -> Vec<&'static str> {
    if debian_builds_the_library() { Vec::new() } else { COMPILER_PACKAGES.to_vec() }
}

fn debian_builds_the_library() -> bool {
    Path::new(DEBIAN_STD_SOURCE).exists() && runs(DEBIAN_RUSTC)
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn import_libraries(architecture: Architecture) -> Result<PathBuf, Error> {
    let linker = architecture.linker();
    let output = run(Command::new(linker).arg("-print-file-name=libkernel32.a"))?;
    let library = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end());
    match library.parent() {
        Some(folder) if folder.is_absolute() => Ok(folder.to_path_buf()),
        _ => Err(Error::NoImportLibraries(linker)),
    }
}

/// What a surrounding cargo was told, and tells its compilers, does not hold for these; where crates come from does.
fn forget_surrounding_build(cargo: &mut Command) {
    const FORGOTTEN: [&str; 4] = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC"];
    const KEPT: [&str; 5] = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_"];

    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
        if begins(&FORGOTTEN) && !begins(&KEPT) {
            cargo.env_remove(&name);
        }
    }
}

fn run(command: &mut Command) -> Result<Output, Error> {
    command.output().map_err(|source| Error::CannotRun {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })
}
