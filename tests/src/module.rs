//! The module, run as Ansible runs it: one argument, the file with the task's options; one JSON object back.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::folders::{self, Public};

/// A run of the module longer than this is a hang: a host may be silent for two minutes while its process runs.
const PATIENCE: Duration = Duration::from_secs(200);

/// What the module said.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The module's own exit code, which is not that of the process on the host.
    pub exit_code: Option<i32>,
    /// The result.
    pub result: Map<String, Value>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Outcome {
    /// A result's string; the test fails if there is none.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        let value = self.result.get(name).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("no string {name} in {:#?}", self.result))
    }

    /// A result's whole number; the test fails if there is none.
    #[track_caller]
    pub fn number(&self, name: &str) -> u64 {
        let value = self.result.get(name).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("no number {name} in {:#?}", self.result))
    }

    /// Whether the result has this key.
    pub fn has(&self, name: &str) -> bool {
        self.result.contains_key(name)
    }

    /// Fails the test unless the module did its work and the process ended with `rc`.
    #[track_caller]
    pub fn assert_ran(&self, rc: u64) -> &Self {
        assert_eq!(self.exit_code, Some(0), "{:#?}", self.result);
        assert_ne!(self.result.get("failed"), Some(&json!(true)), "{:#?}", self.result);
        assert_eq!(self.result.get("rc"), Some(&json!(rc)), "{:#?}", self.result);
        assert_eq!(self.result.get("changed"), Some(&json!(true)), "{:#?}", self.result);
        self
    }

    /// Fails the test unless the module failed; returns its message.
    #[track_caller]
    pub fn assert_failed(&self) -> &str {
        assert_eq!(self.exit_code, Some(1), "{:#?}", self.result);
        assert_eq!(self.result.get("failed"), Some(&json!(true)), "{:#?}", self.result);
        self.text("msg")
    }
}

/// The module with a task's options, not yet started.
pub struct Task {
    arguments: PathBuf,
}

impl Task {
    /// Writes the file that Ansible would write.
    pub fn new(options: &Value) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let mut arguments = json!({
            "_ansible_check_mode": false,
            "_ansible_debug": false,
            "_ansible_diff": false,
            "_ansible_module_name": "native.windows.psexec",
            "_ansible_no_log": false,
            "_ansible_verbosity": 0,
            "_ansible_version": "2.19.0",
        });
        for (name, value) in options.as_object().context("options are an object")? {
            arguments[name] = value.clone();
        }
        let folder = folders::target().join("tasks");
        fs::create_dir_all(&folder)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = folder.join(format!("{}-{count}.json", std::process::id()));
        // As Ansible does: there is a password in it.
        let mut new = File::options();
        new.write(true).create(true).truncate(true).mode(0o600);
        new.open(&file)?.write_all(arguments.to_string().as_bytes())?;
        Ok(Self { arguments: file })
    }

    /// A command line like [`Self::command`]'s, for another user of this machine, who may not enter our folders: the module
    /// is in `public`, and the file is there for this user alone.
    pub fn command_for(&self, user: u32, public: &Public) -> Result<Command> {
        let arguments = public.copy(&self.arguments)?;
        chown(&arguments, Some(user), None)?;
        let mut command = limited();
        command.args(["setpriv", &format!("--reuid={user}"), "--clear-groups"]);
        command.arg(public.copy(&module()?)?).arg(arguments);
        Ok(command)
    }

    /// The module's command line, with `timeout` around it, which passes signals on.
    pub fn command(&self) -> Result<Command> {
        self.command_under(&[])
    }

    /// Like [`Self::command`], with the module as the last argument of another program, such as a debugger.
    pub fn command_under(&self, program: &[String]) -> Result<Command> {
        let mut command = limited();
        command.args(program).arg(module()?).arg(&self.arguments);
        Ok(command)
    }

    /// Like [`Self::run`], with another program than this machine's, which is the last of `program`.
    pub fn run_by(&self, program: &[String]) -> Result<Outcome> {
        let started = Instant::now();
        let mut command = limited();
        command.args(program).arg(&self.arguments);
        outcome(&command.output().context("the program does not start")?, started.elapsed())
    }

    /// Starts the module, sends it a signal after a while, and waits for its end.
    pub fn interrupt(&self, signal: &str, moment: Duration) -> Result<Interrupted> {
        self.interrupt_after(signal, || {
            thread::sleep(moment);
            Ok(())
        })
    }

    /// Starts the module, sends it a signal when `moment` has come back, and waits for its end.
    pub fn interrupt_after(&self, signal: &str, moment: impl FnOnce() -> Result<()>) -> Result<Interrupted> {
        let module = self.command()?.spawn().context("the module does not start")?;
        // The signal is for the module, which is the one child of `timeout`.
        let children = format!("/proc/{0}/task/{0}/children", module.id());
        let child = loop {
            match fs::read_to_string(&children)?.trim() {
                "" => thread::sleep(Duration::from_millis(1)),
                child => break child.to_owned(),
            }
        };
        moment()?;
        let started = Instant::now();
        let kill =
            Command::new("kill").args([&format!("-{signal}"), &child]).stderr(Stdio::null()).status()?;
        Ok(Interrupted {
            arrived: kill.success(),
            output: module.wait_with_output()?,
            elapsed: started.elapsed(),
        })
    }

    /// Runs the module to its end.
    pub fn run(&self) -> Result<Outcome> {
        let started = Instant::now();
        let output = self.command()?.output().context("the module does not start")?;
        outcome(&output, started.elapsed())
    }
}

/// `timeout`, to which the program that it bounds is still to be given.
fn limited() -> Command {
    let mut command = Command::new("timeout");
    command.arg("--kill-after=10").arg(PATIENCE.as_secs().to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn module() -> Result<PathBuf> {
    let module = folders::module();
    ensure!(module.exists(), "{} is missing: run `cargo xtask build`", module.display());
    Ok(module)
}

impl Drop for Task {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.arguments);
    }
}

/// A module that was sent a signal.
#[derive(Debug)]
pub struct Interrupted {
    /// Whether it had not ended before.
    pub arrived: bool,
    /// What it wrote.
    pub output: Output,
    /// How long it took to end.
    pub elapsed: Duration,
}

/// Takes the module's output for what Ansible would: exactly one JSON object.
pub fn outcome(output: &Output, elapsed: Duration) -> Result<Outcome> {
    const TIMED_OUT: Option<i32> = Some(124);

    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() != TIMED_OUT, "the module hangs; stderr: {stderr}");
    let result = serde_json::from_slice(&output.stdout).with_context(|| {
        let stdout = String::from_utf8_lossy(&output.stdout);
        format!("not one JSON object on stdout ({}): {stdout}\nstderr: {stderr}", output.status)
    })?;
    ensure!(stderr.is_empty(), "the module wrote to stderr: {stderr}");
    Ok(Outcome { exit_code: output.status.code(), result, elapsed })
}
