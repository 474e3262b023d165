//! `test`: everything that can be checked without a person.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use end_to_end::callgrind::COUNTED;
use end_to_end::host::{self, Named};
use end_to_end::lab::Form;

use crate::host::Verdicts;
use crate::{ansible, build, fuzz, interop, lab, miri, packages, step};

pub(crate) fn run() -> Result<()> {
    Named::from_environment()?; // what is missing there should not be found at the end
    packages::for_tests()?;
    let mut report = Report::default();
    report.check("formatting", build::cargo().args(["fmt", "--all", "--check"]))?;
    ansible::install_collection()?; // builds the module, which clippy's and the tests' builds reuse
    let mut clippy = build::cargo();
    // The test that is named is none of those that are run by themselves.
    clippy.args(["clippy", "--workspace", "--all-targets", "--test", "interop", "--", "-D", "warnings"]);
    report.check("clippy", &mut clippy)?;
    if windows_build::current_toolchain_has_target() {
        let mut clippy = build::cargo();
        clippy.args(["clippy", "--target", windows_build::TARGET]);
        clippy.args(["--package", "psexec-service", "--package", "lab-windows", "--", "-D", "warnings"]);
        report.check("clippy for Windows", &mut clippy)?;
    } else {
        report.left_out("clippy for Windows", "the toolchain lacks rustup's target x86_64-pc-windows-gnu");
    }
    if is_installed("cargo-deny") {
        report.check(
            "licences",
            build::cargo().args(["deny", "--offline", "check", "licenses", "bans", "sources"]),
        )?;
    } else {
        report.left_out("licences", "cargo-deny is not installed");
    }
    let mut units = build::cargo();
    units.args(["test", "--workspace", "--exclude", "end-to-end", "--no-fail-fast"]);
    report.tests("unit and property tests", &mut units)?;
    miri::check(&mut report)?;
    fuzz::check(&mut report, fuzz::SECONDS)?;
    lab::prepare(Form::Plain)?;
    let mut end_to_end = build::cargo();
    end_to_end.args(["test", "--package", "end-to-end", "--no-fail-fast"]);
    for name in host::VARIABLES {
        end_to_end.env_remove(name); // these tests are the lab's
    }
    end_to_end.args(["--", "--show-output"]); // what was counted, too
    report.tests("end-to-end tests", &mut end_to_end)?;
    interop::check(&mut report)?;
    crate::host::check_if_named(&mut report)?;
    report.conclude()
}

fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).exists()))
}

/// What was checked, with what result.
#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<String>,
    failures: Vec<String>,
    tables: Vec<String>,
}

impl Report {
    fn check(&mut self, title: &str, command: &mut Command) -> Result<()> {
        let finished = step::attempt(title, command)?;
        self.note(title, &finished, if finished.succeeded { "passed".into() } else { "FAILED".into() });
        Ok(())
    }

    pub(crate) fn tests(&mut self, title: &str, command: &mut Command) -> Result<()> {
        let finished = step::attempt(title, command)?;
        let counts = Counts::of(&finished.log);
        let withdrawn = Verdicts::of(&finished.log).withdrawn(); // which the harness takes for passed
        let passed = counts.passed.saturating_sub(withdrawn.len() as u32);
        let not_run = counts.ignored + withdrawn.len() as u32;
        self.note(title, &finished, format!("{passed} passed, {} failed, {not_run} not run", counts.failed));
        self.lines.extend(withdrawn.into_iter().map(|line| format!("  {line}")));
        let counted = finished.log.lines().filter(|line| line.starts_with(COUNTED));
        self.lines.extend(counted.map(|line| format!("  {line}")));
        Ok(())
    }

    /// Notes what needs no process of its own.
    pub(crate) fn work(&mut self, title: &str, work: impl FnOnce() -> Result<()>) {
        match step::work(title, work) {
            Ok(()) => self.lines.push(format!("{title}: passed")),
            Err(error) => {
                self.lines.push(format!("{title}: FAILED"));
                self.failures.push(format!("{error:#}"));
            }
        }
    }

    /// Has a table printed at the end.
    pub(crate) fn table(&mut self, table: String) {
        self.tables.push(table);
    }

    pub(crate) fn note(&mut self, title: &str, finished: &step::Finished, result: String) {
        self.lines.push(format!("{title}: {result}"));
        if !finished.succeeded {
            self.failures.push(failure(title, &finished.log, &finished.path));
        }
    }

    pub(crate) fn left_out(&mut self, title: &str, reason: &str) {
        println!("- {title}: not run, {reason}");
        self.lines.push(format!("{title}: not run, {reason}"));
    }

    pub(crate) fn conclude(self) -> Result<()> {
        for failure in &self.failures {
            println!("\n{failure}");
        }
        for table in &self.tables {
            println!("\n{table}");
        }
        println!("\n{}", self.lines.join("\n"));
        if !self.failures.is_empty() {
            bail!("{} of {} checks failed", self.failures.len(), self.lines.len());
        }
        Ok(())
    }
}

/// The sum of the lines `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Counts {
    fn of(log: &str) -> Self {
        let mut sum = Self::default();
        for line in log.lines().filter_map(|line| line.strip_prefix("test result: ")) {
            let number = |kind: &str| {
                let word = line.split("; ").find_map(|part| part.strip_suffix(kind));
                word.and_then(|text| text.rsplit(' ').next()).and_then(|text| text.parse().ok()).unwrap_or(0)
            };
            sum.passed += number(" passed");
            sum.failed += number(" failed");
            sum.ignored += number(" ignored");
        }
        sum
    }
}

/// The part of a log that says what failed: cargo's own summary of failures, else its end.
fn failure(title: &str, log: &str, path: &Path) -> String {
    let start = log.find("\nfailures:\n").map_or("", |start| &log[start..]);
    let shown = if start.is_empty() { end_to_end::lab::last_lines(log, 40) } else { start.trim().to_owned() };
    format!("{title} ({})\n{shown}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_over_a_log() {
        let log = "running 3 tests\n\
                   test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                   test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(Counts::of(log), Counts { passed: 13, failed: 2, ignored: 1 });
    }
}
