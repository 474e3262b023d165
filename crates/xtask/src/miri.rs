//! The unit tests of the wire formats, interpreted: Miri notices what a compiled program does not, such as a read of
//! memory that was never written, in the standard library and the dependencies as well.
//!
//! The property tests and those with recorded messages stay out, which take it minutes; fuzzing runs them a million
//! times over.

use std::process::Command;

use anyhow::Result;

use crate::report::{Report, skip};

/// Passes megabytes.
const TOO_LONG: &str = "an_answer_may_be_as_long_as_the_limit_but_not_longer";

/// Adds them to the report.
pub(crate) fn check(report: &mut Report) -> Result<()> {
    const TITLE: &str = "unit tests of the wire formats under Miri";

    let there = nightly().args(["miri", "--version"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        report.left_out(TITLE, "rustup has no nightly toolchain with the components miri and rust-src");
        return Ok(());
    }
    const TESTS: [&str; 10] =
        ["miri", "test", "--package", "wire", "--package", "msrpc", "--package", "paexec", "--lib", "--"];
    let list = nightly().args(TESTS).arg("--list").output()?;
    let mut miri = nightly();
    miri.args(TESTS);
    skip(&mut miri, &String::from_utf8_lossy(&list.stdout), &[TOO_LONG])?;
    report.tests(TITLE, &mut miri)?;
    Ok(())
}

fn nightly() -> Command {
    let mut rustup = Command::new("rustup");
    rustup.args(["run", "nightly", "cargo"]);
    rustup
}
