//! Programs that cargo brings.

use std::env;

use anyhow::Result;

use crate::{build, step};

/// Builds one of the registry's programs, once, if it is missing.
pub(crate) fn provide(name: &str, version: &str) -> Result<()> {
    if is_installed(name) {
        return Ok(());
    }
    let mut install = build::cargo();
    install.args(["install", "--locked", name, "--version", version]);
    // Optimised as their authors ship them they take minutes to build, and run for seconds.
    install.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    install.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    step::run(&format!("build {name}"), &mut install)?;
    Ok(())
}

fn is_installed(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).exists()))
}
