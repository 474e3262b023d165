//! Runs the module in the test's constant `PROGRAM` as Ansible does. Other crates with modules include this file.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::PROGRAM;

/// What the module answered.
pub(crate) struct Run {
    /// The JSON object on standard output.
    pub(crate) answer: Value,
    /// Exit code of the module.
    pub(crate) exit_code: i32,
}

/// Runs the module with a file of these contents.
pub(crate) fn run_with(arguments: &[u8]) -> Run {
    let path = arguments_file(arguments);
    let run = answer_of(command().arg(&path).output().expect("the module starts"));
    fs::remove_file(path).expect("the file is there");
    run
}

/// The module's command, without arguments.
pub(crate) fn command() -> Command {
    let mut command = Command::new(PROGRAM);
    // As in conformance/ansible_core.py.
    command.env_clear().envs([("HOME", "/home/tester"), ("HOST", "host")]);
    command
}

/// A new file with these contents.
pub(crate) fn arguments_file(contents: &[u8]) -> PathBuf {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let name = format!("arguments-{}-{number}.json", std::process::id());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, contents).expect("the folder for temporary files can be written to");
    path
}

/// Reads the answer, which must be one JSON object on one line, and nothing on standard error.
pub(crate) fn answer_of(output: Output) -> Run {
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.ends_with('\n') && text.lines().count() == 1, "{text:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert!(answer.is_object(), "{text:?}");
    let exit_code = output.status.code().expect("the module exits by itself");
    assert_eq!(answer.get("failed").is_some(), exit_code == 1, "{text:?}");
    Run { answer, exit_code }
}
