//! What was checked, with what result: printed at the end, and a line of JSON each in `target/xtask/report.jsonl`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use end_to_end::folders;
use end_to_end::lab::last_lines;
use end_to_end::report::{self, Statement, What};
use serde_json::{Value, json};

use crate::step::{self, Finished};

/// The results so far.
#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<String>,
    failures: Vec<String>,
    tables: Vec<String>,
    entries: Vec<Value>,
}

impl Report {
    /// Runs a command whose success is the result.
    pub(crate) fn check(&mut self, title: &str, command: &mut Command) -> Result<()> {
        let finished = step::attempt(title, command)?;
        self.note(title, &finished, if finished.succeeded { "passed".into() } else { "FAILED".into() });
        Ok(())
    }

    /// Runs tests by cargo.
    pub(crate) fn tests(&mut self, title: &str, command: &mut Command) -> Result<Verdicts> {
        let (finished, verdicts) = run_tests(title, command)?;
        self.note(title, &finished, verdicts.counts());
        self.lines.extend(verdicts.withdrawn().map(|line| format!("  {line}")));
        self.lines.extend(verdicts.counted.iter().map(|line| format!("  {line}")));
        self.entries.extend(verdicts.entries(title));
        Ok(verdicts)
    }

    /// Notes what needs no process of its own.
    pub(crate) fn work(&mut self, title: &str, work: impl FnOnce() -> Result<()>) {
        let failure = step::work(title, work).err();
        self.add(title, if failure.is_some() { "FAILED" } else { "passed" });
        self.failures.extend(failure.map(|error| format!("{error:#}")));
    }

    /// Notes what a command has come to.
    pub(crate) fn note(&mut self, title: &str, finished: &Finished, result: String) {
        self.add(title, &result);
        if !finished.succeeded {
            self.failures.push(failure(title, &finished.log, &finished.path));
        }
    }

    /// Notes what was not done.
    pub(crate) fn left_out(&mut self, title: &str, reason: &str) {
        println!("- {title}: not run, {reason}");
        self.add(title, &format!("not run, {reason}"));
    }

    /// Has a table printed at the end.
    pub(crate) fn table(&mut self, table: String) {
        self.tables.push(table);
    }

    /// Prints everything; fails if anything has failed.
    pub(crate) fn conclude(self) -> Result<()> {
        for failure in &self.failures {
            println!("\n{failure}");
        }
        for table in &self.tables {
            println!("\n{table}");
        }
        println!("\n{}", self.lines.join("\n"));
        let lines: String = self.entries.iter().map(|entry| format!("{entry}\n")).collect();
        fs::write(folder()?.join("report.jsonl"), lines)?;
        if !self.failures.is_empty() {
            bail!("{} of {} checks failed", self.failures.len(), self.lines.len());
        }
        Ok(())
    }

    fn add(&mut self, title: &str, result: &str) {
        self.lines.push(format!("{title}: {result}"));
        self.entries.push(json!({ "check": title, "result": result }));
    }
}

/// Runs tests by cargo, and answers what became of each.
pub(crate) fn run_tests(title: &str, command: &mut Command) -> Result<(Finished, Verdicts)> {
    let statements = folder()?.join("statements.jsonl");
    if statements.exists() {
        fs::remove_file(&statements)?;
    }
    let finished = step::attempt(title, command.env(report::VARIABLE, &statements))?;
    let said = if statements.exists() { fs::read_to_string(statements)? } else { String::new() };
    let verdicts = Verdicts::of(&finished.log, report::statements(&said)?);
    Ok((finished, verdicts))
}

/// Leaves tests out, with the reason of each. One that does not exist is an error: it may have got another name.
pub(crate) fn skip(command: &mut Command, list: &str, tests: &[&str]) -> Result<()> {
    let there: BTreeSet<_> = list.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    for test in tests {
        let known = there.iter().any(|name| name.rsplit("::").next() == Some(test));
        ensure!(known, "the test {test} is to be left out, and does not exist");
        command.args(["--skip", test]);
    }
    Ok(())
}

/// What became of each test, by its program and its name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdicts {
    tests: BTreeMap<(String, String), Verdict>,
    counted: Vec<String>,
}

/// See [`Verdicts`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    NotRun(String),
}

impl Verdicts {
    /// Of the output of cargo, and of what the tests have said themselves.
    fn of(log: &str, statements: Vec<Statement>) -> Self {
        let mut verdicts = Self::default();
        let mut program = String::new();
        for line in log.lines() {
            let line = line.trim_start();
            if let Some(running) = line.strip_prefix("Running ") {
                // Running tests/process.rs (target/debug/deps/process-0123456789abcdef)
                let file = running.rsplit('/').next().unwrap_or_default();
                program = file.rsplit_once('-').map_or(file, |(name, _)| name).to_owned();
            } else if let Some(documented) = line.strip_prefix("Doc-tests ") {
                program = format!("{documented} (documentation)");
            } else if let Some((test, word)) =
                line.strip_prefix("test ").and_then(|test| test.split_once(" ... "))
            {
                let verdict = match word {
                    "ok" => Verdict::Passed,
                    "FAILED" => Verdict::Failed,
                    other => Verdict::NotRun(other.strip_prefix("ignored, ").unwrap_or(other).to_owned()),
                };
                verdicts.tests.insert((program.clone(), test.to_owned()), verdict);
            }
        }
        for Statement { file, test, what } in statements {
            match what {
                What::Counted(result) => verdicts.counted.push(result),
                // The harness takes it for passed.
                What::NotRun(reason) => {
                    if let Some(verdict @ Verdict::Passed) = verdicts.tests.get_mut(&(file, test)) {
                        *verdict = Verdict::NotRun(reason);
                    }
                }
            }
        }
        verdicts
    }

    /// How many there are of each kind, in words.
    pub(crate) fn counts(&self) -> String {
        let count =
            |wanted: fn(&Verdict) -> bool| self.tests.values().filter(|verdict| wanted(verdict)).count();
        format!(
            "{} passed, {} failed, {} not run",
            count(|verdict| *verdict == Verdict::Passed),
            count(|verdict| *verdict == Verdict::Failed),
            count(|verdict| matches!(verdict, Verdict::NotRun(_)))
        )
    }

    /// The tests by their file and name, in words.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (String, String)> {
        self.tests.iter().map(|((file, test), verdict)| {
            (format!("{file}: {}", test.replace('_', " ")), verdict.to_string())
        })
    }

    /// The tests that were not run, with their reasons, in words.
    fn withdrawn(&self) -> impl Iterator<Item = String> {
        let not_run = self.tests.iter().filter(|(_, verdict)| matches!(verdict, Verdict::NotRun(_)));
        not_run.map(|((file, test), verdict)| format!("{file}: {}: {verdict}", test.replace('_', " ")))
    }

    fn entries(&self, check: &str) -> impl Iterator<Item = Value> {
        self.tests.iter().map(move |((program, test), verdict)| {
            json!({ "check": check, "program": program, "test": test, "result": verdict.to_string() })
        })
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Passed => formatter.write_str("passed"),
            Self::Failed => formatter.write_str("FAILED"),
            Self::NotRun(reason) => write!(formatter, "not run: {reason}"),
        }
    }
}

/// The part of a log that says what failed: cargo's own summary of failures, else its end.
fn failure(title: &str, log: &str, path: &Path) -> String {
    let start = log.find("\nfailures:\n").map_or("", |start| &log[start..]);
    let shown = if start.is_empty() { last_lines(log, 40) } else { start.trim().to_owned() };
    format!("{title} ({})\n{shown}", path.display())
}

fn folder() -> Result<PathBuf> {
    let folder = folders::target().join("xtask");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_those_of_the_log_and_of_the_tests_themselves() {
        let log = "   Compiling end-to-end v0.1.0\n     \
                   Running unittests src/lib.rs (target/debug/deps/end_to_end-1)\n\n\
                   test inner::one ... ok\n     \
                   Running tests/process.rs (target/debug/deps/process-1)\n\n\
                   running 3 tests\ntest one ... ok\ntest two ... ok\ntest three ... FAILED\n     \
                   Running tests/accounts.rs (target/debug/deps/accounts-1)\n\
                   test one ... ignored, needs more\n";
        let said = |test: &str, what: What| Statement { file: "process".into(), test: test.into(), what };
        let verdicts = Verdicts::of(
            log,
            vec![
                said("two", What::NotRun("no session".into())),
                said("three", What::NotRun("half of it".into())),
                said("one", What::Counted("3 of 4".into())),
            ],
        );
        assert_eq!(verdicts.counts(), "2 passed, 1 failed, 2 not run");
        assert_eq!(verdicts.counted, ["3 of 4"]);
        let rows: Vec<_> = verdicts.rows().map(|(test, verdict)| format!("{test}: {verdict}")).collect();
        assert_eq!(
            rows,
            [
                "accounts: one: not run: needs more",
                "end_to_end: inner::one: passed",
                "process: one: passed",
                "process: three: FAILED",
                "process: two: not run: no session",
            ]
        );
        assert_eq!(
            verdicts.withdrawn().collect::<Vec<_>>(),
            ["accounts: one: not run: needs more", "process: two: not run: no session"]
        );
    }

    #[test]
    fn a_test_that_is_left_out_has_to_exist() {
        let list = "inner::one: test\ntwo: test\n\n2 tests, 0 benchmarks\n";
        assert!(skip(&mut Command::new("cargo"), list, &["one", "two"]).is_ok());
        let error = skip(&mut Command::new("cargo"), list, &["three"]).expect_err("there is none");
        assert!(error.to_string().contains("three"), "{error}");
    }
}
