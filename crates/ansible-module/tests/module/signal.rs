//! Signals, for the tests of how modules end. Other crates with modules include this file.

use std::process::Command;

/// Sends a signal, by the shell's own kill: not every system has a program of that name.
pub(crate) fn send(process: u32, signal: &str) {
    let status =
        Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, signal, &process.to_string()]).status();
    assert!(status.expect("sh starts").success());
}
