//! `test --host`: the end-to-end tests against the Windows host that the environment names.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use anyhow::Result;
use end_to_end::host::{HOST, Host, NOT_RUN, Named, PROBE, ProfilePlan, Visit};
use serde_json::json;

use crate::test::Report;
use crate::{build, packages, step};

/// Files of tests that any host can be the other side of.
const FOR_ANY_HOST: [&str; 4] = ["connection", "process", "many", "accounts"];

/// Those that no other host than the lab can.
const FOR_THE_LAB: [(&str, &str); 11] = [
    ("ansible", "tests Ansible, and its playbooks put the password on command lines"),
    ("cleanup", "breaks connections by the hundred, and changes the host's disk"),
    ("cost", "has bounds that were found with the lab"),
    ("dialects", "changes the settings of the SMB server"),
    ("hostile", "alters what the host says"),
    ("interop", "installs programs of other projects on the host"),
    ("kerberos", "needs a realm of its own"),
    ("lab", "tests the lab"),
    ("long", "passes hundreds of megabytes"),
    ("refusals", "needs accounts that are disabled, expired and locked, and a share that is read-only"),
    ("service", "starts the service by hand, and leaves it alone for minutes"),
];

/// The tests for any host alone.
pub(crate) fn run() -> Result<()> {
    let named = Named::required()?;
    build::run()?;
    let mut report = Report::default();
    check(&mut report, named)?;
    report.conclude()
}

/// Adds them to the report if a host is named; says there that they were not run if not.
pub(crate) fn check_if_named(report: &mut Report) -> Result<()> {
    match Named::from_environment()? {
        Some(named) => check(report, named),
        None => {
            let title = "end-to-end tests against a Windows host, those of accounts, profiles and sessions among them";
            report.left_out(title, &format!("{HOST} names no host"));
            Ok(())
        }
    }
}

fn check(report: &mut Report, named: Named) -> Result<()> {
    packages::for_host()?;
    let address = named.address.clone();
    let visit = step::work(&format!("bring the probe to {address}"), || Visit::begin(&named))?;
    let host = Host::named(named, visit.probe().to_owned())?;
    let windows = version(&host)?;
    let profile = host.plan_for_profile()?;
    let before = host.snapshot()?;

    let title = format!("end-to-end tests against {address}");
    let mut tests = build::cargo();
    tests.args(["test", "--package", "end-to-end", "--no-fail-fast"]);
    tests.args(FOR_ANY_HOST.iter().flat_map(|file| ["--test", file]));
    tests.args(["--", "--include-ignored", "--show-output"]);
    tests.env(PROBE, visit.probe()).env_remove("PSEXEC_TEST_INTEROP");
    let finished = step::attempt(&title, &mut tests)?;

    let verdicts = Verdicts::of(&finished.log);
    report.note(&format!("{title} ({windows})"), &finished, verdicts.counts());
    report.table(format!("{address} says: {windows}\n\n{verdicts}"));
    clean_up_profile(report, &host, profile);
    report.work(&format!("nothing is left on {address}"), || {
        host.assert_clean(&before).map_err(|left| match host.remove_leftovers(&before) {
            Ok(()) => left.context("tests have left something, which was removed now if it was theirs"),
            Err(error) => error.context(format!("cannot remove what tests have left: {left:#}")),
        })
    });
    report.work(&format!("the probe is removed from {address}"), || visit.end());
    Ok(())
}

fn clean_up_profile(report: &mut Report, host: &Host, plan: ProfilePlan) {
    const TITLE: &str = "removal of the second account's new profile";

    match plan {
        ProfilePlan::Keep => report.left_out(TITLE, "it has had one before"),
        ProfilePlan::Unknown => report.left_out(TITLE, "the host does not tell of profiles"),
        ProfilePlan::Remove(sid) => report.work(TITLE, || host.remove_profile(&sid)),
    }
}

/// What the host calls itself.
fn version(host: &Host) -> Result<String> {
    let outcome = host.try_run(&json!({ "executable": "cmd.exe", "arguments": "/c ver" }))?;
    let said = outcome.result.get("stdout").and_then(|text| text.as_str());
    let Some(said) = said else { anyhow::bail!("the host runs no command: {:#?}", outcome.result) };
    Ok(format!("{}{}", said.trim(), if host.is_wine() { ", which is Wine and not Windows" } else { "" }))
}

/// What the test harness says of tests that cargo was not asked to include.
const IGNORED: &str = "ignored";

/// What became of each test, by its file and name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdicts(BTreeMap<(String, String), Verdict>);

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    NotRun(String),
}

impl Verdicts {
    /// Of the output of cargo, and of the tests with `--show-output`.
    pub(crate) fn of(log: &str) -> Self {
        let mut verdicts = Self::default();
        let (mut file, mut speaker) = (String::new(), String::new());
        for line in log.lines() {
            if let Some(path) = line.trim_start().strip_prefix("Running tests/") {
                file = path.split(".rs").next().unwrap_or_default().to_owned();
            } else if let Some((test, word)) =
                line.strip_prefix("test ").and_then(|test| test.split_once(" ... "))
            {
                let verdict = match word {
                    "ok" => Verdict::Passed,
                    "FAILED" => Verdict::Failed,
                    other => Verdict::NotRun(other.to_owned()),
                };
                verdicts.0.insert((file.clone(), test.to_owned()), verdict);
            } else if let Some(test) = line.strip_prefix("---- ") {
                speaker = test.split(' ').next().unwrap_or_default().to_owned();
            } else if let Some(reason) = line.strip_prefix(NOT_RUN) {
                verdicts.withdraw(&file, &speaker, reason);
            }
        }
        verdicts
    }

    /// A test that says itself that it was not run has not passed.
    fn withdraw(&mut self, file: &str, test: &str, reason: &str) {
        if let Some(verdict) = self.0.get_mut(&(file.to_owned(), test.to_owned())) {
            if *verdict == Verdict::Passed {
                *verdict = Verdict::NotRun(reason.to_owned());
            }
        }
    }

    /// Tests that said themselves that they were not run, with their reasons.
    pub(crate) fn withdrawn(&self) -> Vec<String> {
        let said = self.0.iter().filter_map(|((file, test), verdict)| match verdict {
            Verdict::NotRun(reason) if !reason.starts_with(IGNORED) => {
                Some(format!("{file}: {}: {verdict}", test.replace('_', " ")))
            }
            _ => None,
        });
        said.collect()
    }

    fn counts(&self) -> String {
        let count = |wanted: fn(&Verdict) -> bool| self.0.values().filter(|verdict| wanted(verdict)).count();
        format!(
            "{} passed, {} failed, {} not run",
            count(|verdict| *verdict == Verdict::Passed),
            count(|verdict| *verdict == Verdict::Failed),
            count(|verdict| matches!(verdict, Verdict::NotRun(_)))
        )
    }
}

/// The table, in Markdown as that of `tests/README.md`.
impl fmt::Display for Verdicts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![("behaviour".to_owned(), "this host".to_owned())];
        for ((file, test), verdict) in &self.0 {
            rows.push((format!("{file}: {}", test.replace('_', " ")), verdict.to_string()));
        }
        for (file, reason) in FOR_THE_LAB {
            rows.push((format!("{file}: everything"), format!("{NOT_RUN}the lab's, as it {reason}")));
        }
        let width = rows.iter().map(|(behaviour, _)| behaviour.chars().count()).max().unwrap_or_default();
        let mut table = String::new();
        for (number, (behaviour, verdict)) in rows.iter().enumerate() {
            writeln!(table, "| {behaviour:width$} | {verdict} |")?;
            if number == 0 {
                writeln!(table, "|{:-<1$}|---|", "", width + 2)?;
            }
        }
        formatter.write_str(table.trim_end())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => formatter.write_str("passed"),
            Self::Failed => formatter.write_str("FAILED"),
            Self::NotRun(reason) => write!(formatter, "{NOT_RUN}{reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use end_to_end::folders;

    use super::*;

    #[test]
    fn verdicts_are_read_from_a_log() {
        let log = "   Compiling end-to-end v0.1.0\n     \
                   Running tests/process.rs (target/debug/deps/process-1)\n\n\
                   running 3 tests\ntest one ... ok\ntest two ... ok\ntest three ... FAILED\n\n\
                   successes:\n\n---- two stdout ----\nnot run: no session\n\n\
                   failures:\n\n---- three stdout ----\nnot run: half of it\nleft: 1\n     \
                   Running tests/accounts.rs (target/debug/deps/accounts-1)\n\
                   test one ... ignored, needs more\n";
        let verdicts = Verdicts::of(log);
        assert_eq!(verdicts.counts(), "1 passed, 1 failed, 2 not run");
        assert_eq!(verdicts.withdrawn(), ["process: two: not run: no session"]);
        let table = verdicts.to_string();
        for row in [
            "| process: one         | passed |",
            "| process: two         | not run: no session |",
            "| process: three       | FAILED |",
            "| accounts: one        | not run: ignored, needs more |",
        ] {
            assert!(table.contains(row), "{row} in\n{table}");
        }
    }

    #[test]
    fn every_file_of_tests_is_for_any_host_or_for_the_lab() {
        let mut known: Vec<_> =
            FOR_ANY_HOST.into_iter().chain(FOR_THE_LAB.map(|(file, _)| file)).map(str::to_owned).collect();
        let folder = std::fs::read_dir(folders::repository().join("tests/tests")).expect("the tests");
        let mut files: Vec<_> = folder
            .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
            .collect();
        known.sort_unstable();
        files.sort_unstable();
        assert_eq!(known, files);
    }
}
