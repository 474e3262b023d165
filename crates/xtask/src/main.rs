//! Every chore of the project: `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

mod ansible;
mod bench;
mod build;
mod campaign;
mod check;
mod collection;
mod demo;
mod digest;
mod fuzz;
mod host;
mod interop;
mod judges;
mod lab;
mod miri;
mod packages;
mod pictures;
mod python;
mod release;
mod report;
#[cfg(test)]
mod rooms;
mod step;
mod tarball;
mod test;
mod tools;
#[cfg(test)]
mod versions;

use std::env;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use end_to_end::lab::{System, VARIABLE};

const USAGE: &str = "\
cargo xtask COMMAND

  demo               run a command on a Windows host of the project's own, with Ansible
  check              formatting, rooms, lints, documentation, unit and property tests; without root
  test               check and test everything
  test --lab NAME    the same in the lab of another system: debian12
  test --campaign NAME
                     only the long tests of a campaign: architectures, breaks, cancellations, reproducible
  test --interop     only the tests with programs of other projects on the other side
  test --judges      only what Galaxy's importer, ansible-test, ansible-lint and antsibull-docs say of the collection
  test --host        only the end-to-end tests that can run against the Windows host that PSEXEC_TEST_HOST names
  test --fuzz [S]    only the fuzz targets, each for S seconds
  build              plugins/modules/__psexec_linux_<architecture> and target/service/psexec-service.exe
  collection         target/collection/native-windows-<version>.tar.gz, for all architectures
  release --dry-run  target/release-<version>: all that is published of a release, and what it still lacks
  pictures           draw README's pictures of the figures that it shows
  lab up [NAME]      start a Windows host on loopback, and leave it running
  lab down [NAME]    stop it
  lab status         list the labs that are running
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
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
        [command, "--lab", name, rest @ ..] => in_lab(name, &[&[*command], rest].concat()),
        ["demo"] => demo::run(),
        ["check"] => check::run(),
        ["test"] => test::run(),
        ["test", "--campaign", name] => campaign::run(name),
        ["test", "--interop"] => interop::run(),
        ["test", "--judges"] => judges::run(),
        ["test", "--host"] => host::run(),
        ["test", "--fuzz"] => fuzz::run(fuzz::SECONDS),
        ["test", "--fuzz", seconds] => fuzz::run(seconds.parse().context("--fuzz takes whole seconds")?),
        ["build"] => build::run().map(drop),
        ["collection"] => collection::run(),
        ["release", "--dry-run"] => release::dry_run(),
        ["release", ..] => {
            bail!("there is only release --dry-run: to sign and publish is the owner's, see CONTRIBUTING.md")
        }
        ["pictures"] => pictures::run(),
        ["bench", "measure", rest @ ..] => bench::measure(rest),
        ["bench", rest @ ..] => bench::run(rest),
        ["lab", "up"] => lab::up(lab::NAME),
        ["lab", "up", name] => lab::up(name),
        ["lab", "down"] => lab::down(lab::NAME),
        ["lab", "down", name] => lab::down(name),
        ["lab", "status"] => lab::status(),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}{}", bench::USAGE);
            Ok(())
        }
        [] => bail!("no command\n\n{USAGE}"),
        [command, ..] => bail!("unknown command: {command}\n\n{USAGE}"),
    }
}

/// Runs this program once more, with all labs of this system.
fn in_lab(name: &str, arguments: &[&str]) -> Result<()> {
    let system: System = name.parse()?;
    let mut again = Command::new(env::current_exe()?);
    let status = again.args(arguments).env(VARIABLE, name).status().context("xtask does not start")?;
    ensure!(status.success(), "not everything went well in the lab of {system}");
    Ok(())
}
