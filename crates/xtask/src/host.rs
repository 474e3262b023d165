//! `test --host`: the end-to-end tests against the Windows host that the environment names.

use anyhow::Result;
use end_to_end::host::{HOST, Host, Named, PROBE, ProfilePlan, Visit};
use serde_json::json;

use crate::report::{Report, Verdicts};
use crate::{build, packages, step};

/// Files of tests that any host can be the other side of.
const FOR_ANY_HOST: [&str; 4] = ["connection", "process", "many", "accounts"];

/// Those that no other host than the lab can.
const FOR_THE_LAB: [(&str, &str); 15] = [
    ("ansible", "tests Ansible, and its playbooks put the password on command lines"),
    ("cleanup", "breaks connections by the hundred, and changes the host's disk"),
    ("collection", "tests how the collection is built, and the program for another processor"),
    ("cost", "has bounds that were found with the lab"),
    ("dialects", "changes the settings of the SMB server"),
    (
        "examples",
        "gives the lab the names and the port of the examples; accounts.rs runs those for a real host",
    ),
    ("hostile", "alters what the host says"),
    ("host", "calls the client and not the module, and looks at the host's drive"),
    ("interop", "installs programs of other projects on the host"),
    ("kerberos", "needs a realm of its own"),
    ("lab", "tests the lab"),
    ("long", "passes hundreds of megabytes"),
    ("powershell", "says what PowerShell 7 does, and Windows has another"),
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
    tests.args(["--", "--include-ignored"]);
    tests.env(PROBE, visit.probe()).env_remove("PSEXEC_TEST_INTEROP");
    let verdicts = report.tests(&format!("{title} ({windows})"), &mut tests)?;
    report.table(format!("{address} says: {windows}\n\n{}", table(&verdicts)));
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

/// The table of every behaviour, in Markdown as that of `tests/README.md`.
fn table(verdicts: &Verdicts) -> String {
    let mut rows = vec![("behaviour".to_owned(), "this host".to_owned())];
    rows.extend(verdicts.rows());
    for (file, reason) in FOR_THE_LAB {
        rows.push((format!("{file}: everything"), format!("not run: the lab's, as it {reason}")));
    }
    let width = rows.iter().map(|(behaviour, _)| behaviour.chars().count()).max().unwrap_or_default();
    let mut lines: Vec<_> =
        rows.iter().map(|(behaviour, verdict)| format!("| {behaviour:width$} | {verdict} |")).collect();
    lines.insert(1, format!("|{:-<1$}|---|", "", width + 2));
    lines.join("\n")
}
#[cfg(test)]
mod tests {
    use end_to_end::folders;

    use super::*;

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
