//! Runs the module's program for aarch64 on another machine, with QEMU and the C library that Debian has for cross compilers.

use std::path::Path;

/// What Debian has to bring for [`command`] and has not.
pub fn debian_packages_missing() -> Vec<&'static str> {
    let needed = [("qemu-user", QEMU), ("libc6-arm64-cross", LOADER)];
    needed.into_iter().filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| package).collect()
}

/// The command line to which the program is still to be given.
pub fn command() -> Vec<String> {
    vec![QEMU.to_owned(), "-L".into(), LIBRARIES.into()]
}

const QEMU: &str = "/usr/bin/qemu-aarch64";
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";
const LOADER: &str = "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1";
