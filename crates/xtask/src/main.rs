//! Every chore of the project: `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

mod lab;

use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
cargo xtask COMMAND

  lab up [NAME]      start a Windows host on loopback, and leave it running
  lab down [NAME]    stop it
  lab status         list the labs
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["lab", "up"] => lab::up(lab::NAME),
        ["lab", "up", name] => lab::up(name),
        ["lab", "down"] => lab::down(lab::NAME),
        ["lab", "down", name] => lab::down(name),
        ["lab", "status"] => lab::status(),
        _ => anyhow::bail!("unknown command\n\n{USAGE}"),
    }
}
