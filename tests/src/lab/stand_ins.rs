//! Stand-ins for what Wine lacks: accounts, whoami.exe, powershell.exe. Results through them show what a service asks
//! Windows for, not what Windows would do. See `tests/interop/host`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::tools::{is_older, run};
use crate::folders;

/// Names and passwords of the accounts that a process can be run as; no client logs on with them.
pub const LOGONS: [(&str, &str); 2] = [("alt", "Alt1"), ("Zoë", "Pässwörd €1")];

/// A prefix of the compiler's name, and the folder of the system's programs for it.
const ARCHITECTURES: [(&str, &str); 2] = [("x86_64", "system32"), ("i686", "syswow64")];

/// Stand-ins that are programs, each built of a source of the same name.
const PROGRAMS: [&str; 2] = ["whoami", "powershell"];

/// What Wine has to be told, so that it takes them for its own.
pub(super) const OVERRIDES: &str = ";whoami.exe,powershell.exe=n;wtsapi32=n,b";

/// Builds what is missing or out of date.
pub(super) fn build() -> Result<()> {
    for (architecture, _) in ARCHITECTURES {
        fs::create_dir_all(built(architecture))?;
        compile(architecture, "accounts", "wtsapi32.dll", &["-shared", "-Wl,--kill-at"])?;
        for program in PROGRAMS {
            compile(architecture, program, &format!("{program}.exe"), &["-municode"])?;
        }
    }
    Ok(())
}

/// Puts them into a Wine prefix, in the place of Wine's own.
pub(super) fn install(prefix: &Path) -> Result<()> {
    let windows = prefix.join("drive_c/windows");
    for (architecture, system) in ARCHITECTURES {
        for program in PROGRAMS {
            let name = format!("{program}.exe");
            replace(&built(architecture).join(&name), &windows.join(system).join(&name))?;
        }
    }
    // Loaded from the services' own folder. A 32-bit service passes over what is there for 64-bit ones.
    replace(&built("x86_64").join("wtsapi32.dll"), &windows.join("wtsapi32.dll"))?;
    replace(&built("i686").join("wtsapi32.dll"), &windows.join("syswow64/wtsapi32.dll"))?;
    let accounts: String = LOGONS.iter().map(|(name, password)| format!("{name}:{password}\n")).collect();
    fs::write(prefix.join("drive_c/lab/accounts.txt"), accounts)?;
    Ok(())
}

fn built(architecture: &str) -> PathBuf {
    folders::labs().join("build/stand-ins").join(architecture)
}

fn compile(architecture: &str, source: &str, name: &str, options: &[&str]) -> Result<()> {
    let source = folders::repository().join("tests/interop/host").join(source).with_extension("c");
    let program = built(architecture).join(name);
    if !is_older(&program, &source) {
        return Ok(());
    }
    let fresh = program.with_extension(std::process::id().to_string());
    let mut gcc = Command::new(format!("{architecture}-w64-mingw32-gcc"));
    gcc.args(["-O2", "-s", "-Wall", "-Wextra", "-Werror"]).args(options).arg("-o").arg(&fresh).arg(&source);
    run(&mut gcc)?;
    fs::rename(fresh, program)?;
    Ok(())
}

/// What is there may be a link that other labs share.
fn replace(with: &Path, place: &Path) -> Result<()> {
    if place.exists() {
        fs::remove_file(place)?;
    }
    fs::copy(with, place).with_context(|| format!("{} is missing", with.display()))?;
    Ok(())
}
