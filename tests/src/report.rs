//! What tests say of themselves beside passing or failing: a line of JSON each, in the file that xtask names. It stands
//! among their output, too, for whoever runs a test by hand.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Names the file.
pub const VARIABLE: &str = "PSEXEC_TEST_REPORT";

/// What a test has said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The test's file, without its suffix.
    pub file: String,
    /// The test's name.
    pub test: String,
    /// What it has to say.
    pub what: What,
}

/// See [`Statement`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It could not be run here, or not all of it, for this reason.
    NotRun(String),
    /// Something was counted, with the result and its bound in words.
    Counted(String),
}

/// Says that the test that calls this could not be run here, or not all of it.
pub fn not_run(reason: &str) {
    say(What::NotRun(reason.to_owned()));
}

/// Says what the test that calls this has counted.
pub fn counted(result: &str) {
    say(What::Counted(result.to_owned()));
}

/// Reads what tests have said; each line is one statement.
pub fn statements(text: &str) -> Result<Vec<Statement>> {
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no statement: {line}")))
        .collect()
}

fn say(what: What) {
    println!("{what:?}");
    let statement =
        Statement { file: file(), test: thread::current().name().unwrap_or_default().to_owned(), what };
    if let Some(path) = env::var_os(VARIABLE) {
        write(path.into(), &statement).expect("the report can be written");
    }
}

/// Of one write, so that the lines of tests that run side by side do not mix.
fn write(path: PathBuf, statement: &Statement) -> io::Result<()> {
    let line = serde_json::to_string(statement)? + "\n";
    File::options().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

/// Of the program `<file>-<hash>`.
fn file() -> String {
    let program = env::current_exe().unwrap_or_default();
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.rsplit_once('-').map_or(name.clone(), |(file, _)| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_its_test() {
        let path = env::temp_dir().join(format!("psexec-report-{}", std::process::id()));
        let test = thread::current().name().expect("the harness names it").to_owned();
        let statement =
            Statement { file: file(), test: test.clone(), what: What::NotRun("no \"host\"\n".into()) };
        for _ in 0..2 {
            write(path.clone(), &statement).expect("a file");
        }
        let text = std::fs::read_to_string(&path).expect("the file");
        std::fs::remove_file(path).expect("the file");
        assert_eq!(statements(&text).expect("statements"), [statement.clone(), statement.clone()]);
        assert_eq!(
            (statement.file.as_str(), test.rsplit("::").next()),
            ("end_to_end", Some("a_statement_names_its_test"))
        );
    }
}
