//! `test --campaign NAME`: tests that take too long for every change. They are marked as ignored, and their names begin with
//! the campaign's: `campaign_<name>_…`.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use end_to_end::lab::Form;

use crate::report::Report;
use crate::{build, collection, lab, packages};

const TESTS: [&str; 5] = ["test", "--package", "end-to-end", "--no-fail-fast", "--"];

/// Runs a campaign alone.
pub(crate) fn run(name: &str) -> Result<()> {
    packages::for_tests()?;
    let known = names()?;
    let list = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    ensure!(known.contains(name), "there is no campaign {name:?}; there are {list}");
    match name {
        "architectures" => {
            collection::run()?;
            packages::for_emulation()?;
            lab::prepare(Form::Plain)?;
        }
        // Builds in folders of its own.
        "reproducible" => {}
        _ => {
            build::run()?;
            lab::prepare(Form::Plain)?;
        }
    }
    let mut tests = build::cargo();
    tests.args(TESTS).args(["--ignored", &format!("campaign_{name}_")]);
    let mut report = Report::default();
    report.tests(&format!("campaign {name}"), &mut tests)?;
    report.conclude()
}

fn names() -> Result<BTreeSet<String>> {
    let output = build::cargo().args(TESTS).args(["--ignored", "--list"]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list = String::from_utf8_lossy(&output.stdout);
    let campaigns = list.lines().filter_map(|line| line.strip_prefix("campaign_"));
    Ok(campaigns.filter_map(|name| Some(name.split_once('_')?.0.to_owned())).collect())
}
