//! What it takes to make the parts of a lab: files, and commands that have to succeed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

pub(super) fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{name} does not start"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", text.trim());
    Ok(())
}

/// Whether what is made of `source` is missing or older than it.
pub(super) fn is_older(made: &Path, source: &Path) -> bool {
    let age = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    age(made) < age(source)
}

/// Made beside its place and renamed, so that two programs that make it at once do no harm.
pub(super) fn make_beside(place: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let fresh = place.with_extension(std::process::id().to_string());
    // Left by one that was cut off and had the same number.
    let _ = fs::remove_dir_all(&fresh);
    let made = make(&fresh);
    if made.is_err() || fs::rename(&fresh, place).is_err() {
        fs::remove_dir_all(&fresh)?;
    }
    made
}

/// Copies a folder. Programs and libraries become hard links: they are hundreds of megabytes, and no test writes
/// to Wine's own.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, from.metadata()?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &copy)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &copy)?;
        } else if !is_binary(&source) || fs::hard_link(&source, &copy).is_err() {
            fs::copy(&source, &copy)?;
        }
    }
    Ok(())
}

fn is_binary(path: &Path) -> bool {
    path.extension().is_some_and(|kind| ["dll", "exe", "drv", "sys", "ocx", "cpl"].iter().any(|k| kind == *k))
}
