//! `check`: what needs neither root nor a lab.

use std::process::Command;

use anyhow::Result;

use crate::build;
use crate::report::Report;

/// All of it, in a minute or two.
pub(crate) fn run() -> Result<()> {
    let mut report = Report::default();
    add(&mut report)?;
    report.conclude()
}

/// Adds it to a report.
pub(crate) fn add(report: &mut Report) -> Result<()> {
    report.check("formatting", build::cargo().args(["fmt", "--all", "--check"]))?;
    let mut clippy = build::cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    report.check("clippy", &mut clippy)?;
    let mut clippy = build::cargo();
    // It is none of those that are run by themselves, and so none of all.
    clippy.args(["clippy", "--package", "end-to-end", "--test", "interop", "--", "-D", "warnings"]);
    report.check("clippy for the tests with other projects' programs", &mut clippy)?;
    let mut documentation = build::cargo();
    documentation.args(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    report.check("documentation", documentation.env("RUSTDOCFLAGS", "-D warnings"))?;
    report.tests("unit and property tests", &mut unit_tests())?;
    Ok(())
}

/// The end-to-end tests are xtask's to run; what the rest of their crate says of itself is tested here.
fn unit_tests() -> Command {
    let mut tests = build::cargo();
    tests.args(["test", "--workspace", "--exclude", "end-to-end", "--no-fail-fast"]);
    tests
}
