//! What a program takes of the machine.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// The first argument of the process between, see [`of`].
pub(crate) const MEASURE: &str = "measure";

/// What a program took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// Time from its start to its end.
    pub(super) wall: Duration,
    /// Time of the processors, in user and system mode.
    pub(super) cpu: Duration,
    /// The most that was resident at a time, in bytes.
    pub(super) peak_memory: u64,
}

/// Runs the program in a process between, whose only child it is: the system tells only the sum of all children, and
/// the largest.
pub(super) fn of(program: &Command) -> Result<(Output, Usage)> {
    let mut between = Command::new(std::env::current_exe()?);
    append(between.arg("bench").arg(MEASURE), program);
    let mut output = between.stdin(Stdio::null()).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let (rest, line) = stderr.trim_end().rsplit_once('\n').unwrap_or(("", stderr.trim_end()));
    let figures: Vec<u64> = line.split(' ').map_while(|figure| figure.parse().ok()).collect();
    let [wall, cpu, peak_memory] = figures[..] else { bail!("no measurement: {stderr}") };
    output.stderr = rest.into();
    let (wall, cpu) = (Duration::from_micros(wall), Duration::from_micros(cpu));
    Ok((output, Usage { wall, cpu, peak_memory }))
}

/// Appends the program, its arguments and its environment to a command that runs another.
pub(super) fn append(command: &mut Command, program: &Command) {
    command.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

/// The process between: runs the program and says on the last line of standard error what it took, in microseconds and
/// bytes.
pub(crate) fn measure(arguments: &[&str]) -> Result<()> {
    let [program, arguments @ ..] = arguments else { bail!("nothing to measure") };
    let started = Instant::now();
    Command::new(program).args(arguments).status().with_context(|| format!("{program} does not start"))?;
    let wall = started.elapsed().as_micros();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    eprintln!("{wall} {cpu} {}", usage.max_rss() * 1024);
    Ok(())
}
