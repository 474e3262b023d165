//! `test`: everything that can be checked without a person.

use anyhow::Result;
use end_to_end::host::{self, Named};
use end_to_end::lab::{Form, powershell};
use windows_build::Architecture;

use crate::report::Report;
use crate::{build, check, collection, fuzz, interop, judges, lab, miri, packages, step, tools};

/// How many tests run side by side: most of them wait for the host, and for what never comes.
const AT_ONCE: &str = "--test-threads=4";

pub(crate) fn run() -> Result<()> {
    // What is missing should not be found at the end.
    Named::from_environment()?;
    let powershell = powershell::folder()?;
    packages::for_tests()?;
    let mut report = Report::default();
    check::add(&mut report)?;
    clippy_for_windows(&mut report)?;
    dependencies(&mut report)?;
    miri::check(&mut report)?;
    fuzz::check(&mut report, fuzz::SECONDS)?;
    collection::install_for_tests()?;
    judges::check(&mut report)?;
    lab::prepare(Form::Plain)?;
    if powershell.is_some() {
        lab::prepare(Form::PowerShell)?;
        interop::install_collections()?;
    }
    end_to_end(&mut report)?;
    interop::check(&mut report)?;
    crate::host::check_if_named(&mut report)?;
    report.conclude()
}

fn end_to_end(report: &mut Report) -> Result<()> {
    let mut tests = build::cargo();
    tests.args(["test", "--package", "end-to-end", "--no-fail-fast", "--", AT_ONCE]);
    for name in host::VARIABLES {
        tests.env_remove(name); // these tests are the lab's
    }
    report.tests("end-to-end tests", &mut tests)?;
    Ok(())
}

fn clippy_for_windows(report: &mut Report) -> Result<()> {
    const TITLE: &str = "clippy for Windows";

    if !windows_build::current_toolchain_has_target(Architecture::X86_64) {
        report.left_out(TITLE, "the toolchain lacks rustup's target x86_64-pc-windows-gnu");
        return Ok(());
    }
    let mut clippy = build::cargo();
    clippy.args(["clippy", "--target", Architecture::X86_64.target()]);
    clippy.args(["--package", "psexec-service", "--package", "lab-windows", "--", "-D", "warnings"]);
    report.check(TITLE, &mut clippy)
}

/// Licences, sources and doubles of everything that is built in, by cargo-deny, which is built once if it is missing. Its
/// advisories come from a repository that is not to be had everywhere.
fn dependencies(report: &mut Report) -> Result<()> {
    const VERSION: &str = "0.20.2";

    tools::provide("cargo-deny", VERSION)?;
    let mut deny = build::cargo();
    // Not offline: what other platforms need has not been fetched where nothing is built for them.
    deny.args(["deny", "--locked", "check", "licenses", "bans", "sources"]);
    report.check("licences and sources of dependencies", &mut deny)?;
    let mut fetch = build::cargo();
    fetch.args(["deny", "fetch", "db"]);
    if !step::attempt("fetch the database of advisories", &mut fetch)?.succeeded {
        report.left_out("advisories for dependencies", "their database is out of reach");
        return Ok(());
    }
    let mut advisories = build::cargo();
    advisories.args(["deny", "check", "--disable-fetch", "advisories"]);
    let finished = step::attempt("advisories for dependencies", &mut advisories)?;
    let result = if finished.succeeded { "passed" } else { "FAILED" };
    report.note("advisories for dependencies", &finished, result.to_owned());
    Ok(())
}
