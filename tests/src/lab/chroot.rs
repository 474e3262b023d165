//! Wine for 32-bit programs as well, in a chroot: Debian's 32-bit libraries have to be of the very versions of the
//! 64-bit ones, which on a machine with other sources of packages cannot be had.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::parts::run;
use crate::folders;

/// Makes the chroot if it is missing: about two minutes and 1.7 GB.
pub(super) fn prepare() -> Result<()> {
    let place = root();
    if place.exists() {
        return Ok(());
    }
    // Made beside its place and renamed: what is there is whole.
    let fresh = place.with_extension(std::process::id().to_string());
    let made = make(&fresh);
    if made.is_err() || fs::rename(&fresh, &place).is_err() {
        fs::remove_dir_all(&fresh)?;
    }
    made
}

/// A program of the chroot, still without its arguments. It sees the labs and `/tmp` where they are outside.
pub(super) fn command(program: &str) -> Command {
    const ENTER: &str = r#"
        root=$1 labs=$2; shift 2
        mount -t proc proc "$root/proc" && mount --bind /dev "$root/dev" && mount --bind /tmp "$root/tmp" &&
        mkdir -p "$root$labs" && mount --bind "$labs" "$root$labs" && exec chroot "$root" "$@""#;

    let mut command = Command::new("unshare");
    // The mounts are this command's own, and end with it.
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-c", ENTER, "chroot"]);
    command.arg(root()).arg(folders::labs()).arg(program);
    command
}

fn root() -> PathBuf {
    folders::labs().join("build/chroot")
}

fn make(root: &Path) -> Result<()> {
    // Of the main archive alone, for the sake of equal versions.
    run(Command::new("debootstrap").args(["--arch=amd64", "--variant=minbase", "bookworm"]).arg(root))?;
    fs::copy("/etc/resolv.conf", root.join("etc/resolv.conf"))?;
    fs::write(root.join("etc/apt/apt.conf.d/90lean"), "APT::Install-Recommends \"false\";\n")?;
    let inside = |arguments: &[&str]| {
        run(Command::new("chroot").arg(root).args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    inside(&["dpkg", "--add-architecture", "i386"])?;
    inside(&["apt-get", "update"])?;
    inside(&["apt-get", "install", "--yes", "wine", "wine64", "wine32:i386"])?;
    inside(&["apt-get", "clean"])
}
