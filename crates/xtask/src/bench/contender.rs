//! Who is measured: upstream's module and ours, with the same tasks.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use end_to_end::lab::ADMINISTRATOR;
use end_to_end::module::Task;
use end_to_end::{callgrind, folders, interop};
use serde_json::{Value, json};

use super::usage::{self, Usage};

/// One of the two modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contender {
    /// community.windows.psexec, with pypsexec and PAExec.exe as they come.
    Upstream,
    /// native.windows.psexec.
    Ours,
}

/// What a module is to do, and what has to come of it.
#[derive(Clone, Debug)]
pub(super) struct Work {
    options: Value,
    exit_code: u32,
    output_bytes: usize,
}

impl Work {
    /// The shortest there is.
    pub(super) fn echo() -> Self {
        let options = json!({ "executable": "cmd.exe", "arguments": "/c echo Hello World" });
        Self { options, exit_code: 0, output_bytes: "Hello World\r\n".len() }
    }

    /// So many bytes of standard output.
    pub(super) fn output(bytes: usize) -> Self {
        let options = json!({ "executable": PROBE, "arguments": format!("emit stdout {bytes}") });
        Self { options, exit_code: 0, output_bytes: bytes }
    }

    /// So many bytes of standard input. As upstream never ends it, the program has to know itself when to stop: the
    /// lab's stand-in for powershell.exe passes over empty lines until it is told to exit.
    pub(super) fn input(bytes: usize) -> Self {
        const LINE: usize = 4000;
        const LAST: &str = "exit 7\n";

        let line = " ".repeat(LINE - 1) + "\n";
        let mut stdin: String = line.chars().cycle().take(bytes - LAST.len() - 1).collect();
        stdin.push('\n');
        stdin.push_str(LAST);
        let options = json!({ "executable": "powershell.exe", "arguments": "-", "stdin": stdin });
        Self { options, exit_code: 7, output_bytes: 0 }
    }

    fn options_for(&self, port: u16) -> Value {
        let mut options = self.options.clone();
        options["hostname"] = json!("127.0.0.1");
        options["port"] = json!(port);
        options["connection_username"] = json!(ADMINISTRATOR.name);
        options["connection_password"] = json!(ADMINISTRATOR.password);
        options
    }
}

const PROBE: &str = r"C:\lab\probe.exe";

impl Contender {
    /// Does the work over this port once; answers how long it took.
    pub(super) fn run(self, work: &Work, port: u16) -> Result<Duration> {
        let task = self.task(work, port)?;
        let mut module = self.command(&task)?;
        let started = Instant::now();
        let output = module.output().context("the module does not start")?;
        let wall = started.elapsed();
        self.check(work, &output)?;
        Ok(wall)
    }

    /// Like [`Self::run`], for work that may never end.
    pub(super) fn run_within(self, patience: Duration, work: &Work, port: u16) -> Result<Duration> {
        let task = self.task(work, port)?;
        let mut timeout = Command::new("timeout");
        timeout.arg("--kill-after=10").arg(patience.as_secs().to_string());
        usage::append(&mut timeout, &self.command(&task)?);
        let started = Instant::now();
        let output = timeout.stdin(Stdio::null()).output().context("timeout does not start")?;
        let wall = started.elapsed();
        self.check(work, &output).with_context(|| format!("{self:?}, {}", output.status))?;
        Ok(wall)
    }

    /// Does the work over this port once; answers what it took.
    pub(super) fn usage(self, work: &Work, port: u16) -> Result<Usage> {
        let task = self.task(work, port)?;
        let (output, usage) = usage::of(&self.command(&task)?)?;
        self.check(work, &output)?;
        Ok(usage)
    }

    fn task(self, work: &Work, port: u16) -> Result<TaskFile> {
        let options = work.options_for(port);
        TaskFile::write(&match self {
            Self::Upstream => json!({ "ANSIBLE_MODULE_ARGS": options }),
            Self::Ours => options,
        })
    }

    fn command(self, task: &TaskFile) -> Result<Command> {
        let mut command = match self {
            Self::Ours => Command::new(folders::module()),
            Self::Upstream => interop::upstream()?,
        };
        command.arg(&task.0).env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }

    /// A run that did not do its work is no measurement.
    fn check(self, work: &Work, output: &Output) -> Result<()> {
        let stdout = String::from_utf8_lossy(&output.stdout);
        let result: Value = serde_json::from_str(stdout.trim()).with_context(|| {
            let stderr = String::from_utf8_lossy(&output.stderr);
            format!("{self:?} answered {}\n{stderr}", stdout.chars().take(500).collect::<String>())
        })?;
        let bytes = result["stdout"].as_str().map(str::len);
        ensure!(
            result["rc"] == json!(work.exit_code) && bytes == Some(work.output_bytes),
            "{self:?} did not do its work: rc {}, {bytes:?} bytes, {}",
            result["rc"],
            result["msg"]
        );
        Ok(())
    }
}

/// How many instructions our module spends on the work.
pub(super) fn instructions(work: &Work, port: u16) -> Result<f64> {
    let (output, count) = callgrind::run(&Task::new(&work.options_for(port))?)?;
    Contender::Ours.check(work, &output)?;
    Ok(count as f64)
}

/// A file with a task, which goes when it is dropped.
struct TaskFile(PathBuf);

impl TaskFile {
    fn write(task: &Value) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let folder = folders::target().join("tasks");
        fs::create_dir_all(&folder)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = folder.join(format!("bench-{}-{count}.json", std::process::id()));
        fs::write(&file, task.to_string())?;
        Ok(Self(file))
    }
}

impl Drop for TaskFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
