//! The Windows host that the tests run against: the lab, or the one that the environment names.
//!
//! | variable | meaning |
//! |---|---|
//! | `PSEXEC_TEST_HOST` | the host's name or address; without it the lab is used |
//! | `PSEXEC_TEST_PORT` | its SMB port, 445 if not given |
//! | `PSEXEC_TEST_USERNAME`, `PSEXEC_TEST_PASSWORD` | an administrator of the host |
//! | `PSEXEC_TEST_INTEROP` | if set, the lab is one that runs 32-bit programs and has stand-ins for accounts |

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::lab::{ADMINISTRATOR, Form, Lab, LabOptions, Parts, Snapshot};
use crate::module::{Outcome, Task};

/// A Windows host, and how to connect to it.
#[derive(Debug)]
pub struct Host {
    address: String,
    port: u16,
    user: String,
    password: String,
    probe: &'static str,
    lab: Option<Lab>,
}

/// Runs a test on the host, alone, and then looks whether the test has left anything there.
#[track_caller]
pub fn on_host(test: impl FnOnce(&Host)) {
    static HOST: OnceLock<Mutex<Host>> = OnceLock::new();

    run_alone(&HOST, Host::from_environment, test);
}

/// Like [`on_host`], on a lab that runs 32-bit programs and has stand-ins for accounts.
#[track_caller]
pub fn on_interop_lab(test: impl FnOnce(&Host)) {
    static HOST: OnceLock<Mutex<Host>> = OnceLock::new();

    run_alone(&HOST, || Host::of_form(Form::Interop), test);
}

#[track_caller]
fn run_alone(host: &OnceLock<Mutex<Host>>, make: impl FnOnce() -> Result<Host>, test: impl FnOnce(&Host)) {
    let host = host.get_or_init(|| Mutex::new(make().expect("a Windows host")));
    let host = host.lock().unwrap_or_else(PoisonError::into_inner);
    let _logs = LogsOfFailure(&host);
    let before = host.snapshot().expect("a look at the host before the test");
    test(&host);
    host.assert_clean(&before).expect("a clean host after the test");
}

/// Keeps the lab's logs if the test fails.
struct LogsOfFailure<'a>(&'a Host);

impl Drop for LogsOfFailure<'_> {
    fn drop(&mut self) {
        if let Some(lab) = self.0.lab().filter(|_| thread::panicking()) {
            lab.keep_logs();
        }
    }
}

impl Host {
    fn from_environment() -> Result<Self> {
        let Ok(address) = env::var("PSEXEC_TEST_HOST") else {
            let interop = env::var_os("PSEXEC_TEST_INTEROP").is_some();
            return Self::of_form(if interop { Form::Interop } else { Form::Plain });
        };
        let variable = |name: &str| env::var(name).with_context(|| format!("{name} is not set"));
        let host = Self {
            address,
            port: env::var("PSEXEC_TEST_PORT").map_or(Ok(445), |port| port.parse())?,
            user: variable("PSEXEC_TEST_USERNAME")?,
            password: variable("PSEXEC_TEST_PASSWORD")?,
            probe: r"C:\Windows\Temp\native-windows-probe.exe",
            lab: None,
        };
        host.bring_probe()?;
        Ok(host)
    }

    fn of_form(form: Form) -> Result<Self> {
        Ok(Self::from(Lab::start(&LabOptions { form, ..LabOptions::default() })?))
    }

    /// The lab, if it is one: for what no other host can be asked to have.
    pub fn lab(&self) -> Option<&Lab> {
        self.lab.as_ref()
    }

    /// The SMB port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path of the probe on the host.
    pub fn probe_path(&self) -> &'static str {
        self.probe
    }

    /// The options of a task against this host: those that say where and who, and the given ones over them.
    pub fn options(&self, options: &Value) -> Value {
        let mut all = json!({
            "hostname": self.address,
            "port": self.port,
            "connection_username": self.user,
            "connection_password": self.password,
        });
        for (name, value) in options.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        all
    }

    /// Runs the module; the test fails if it does not answer as a module has to.
    #[track_caller]
    pub fn run(&self, options: &Value) -> Outcome {
        self.try_run(options).expect("the module answers")
    }

    /// Runs the probe with these arguments, and with these options beside.
    #[track_caller]
    pub fn probe(&self, arguments: &str, options: &Value) -> Outcome {
        self.run(&self.probe_options(arguments, options))
    }

    /// The options for [`Self::probe`].
    pub fn probe_options(&self, arguments: &str, options: &Value) -> Value {
        let mut all = json!({ "executable": self.probe, "arguments": arguments });
        for (name, value) in options.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        all
    }

    /// What is on the host now, as far as this project could have left it there.
    pub fn snapshot(&self) -> Result<Snapshot> {
        match &self.lab {
            Some(lab) => lab.snapshot(),
            None => self.remote_snapshot(),
        }
    }

    /// Fails unless everything that was not there `before` goes away within five seconds: a service deletes
    /// itself, and a process ends, a little later than its client hears of it.
    pub fn assert_clean(&self, before: &Snapshot) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(5);
        const PAUSE: Duration = Duration::from_millis(20);

        let started = Instant::now();
        loop {
            let left = self.snapshot()?.since(before);
            if left.is_empty() {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                bail!("left on the host: {}", left.join(", "));
            }
            thread::sleep(PAUSE);
        }
    }

    fn try_run(&self, options: &Value) -> Result<Outcome> {
        Task::new(&self.options(options))?.run()
    }

    /// Whatever looks at the host by a run of its own is seen by itself: what two looks see, stays.
    fn remote_snapshot(&self) -> Result<Snapshot> {
        let (first, second) = (self.remote_look()?, self.remote_look()?);
        let both = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.intersection(b).cloned().collect();
        Ok(Snapshot {
            services: both(&first.services, &second.services),
            files: both(&first.files, &second.files),
            processes: both(&first.processes, &second.processes),
        })
    }

    fn remote_look(&self) -> Result<Snapshot> {
        let look = r"/c sc query type= service state= all & dir /b C:\Windows & tasklist /fo csv /nh";
        let outcome = self.try_run(&json!({ "executable": "cmd.exe", "arguments": look }))?;
        ensure!(outcome.has("stdout"), "cannot look at the host: {:?}", outcome.result);
        let mut snapshot = Snapshot::default();
        for line in outcome.text("stdout").lines() {
            if let Some(service) = line.strip_prefix("SERVICE_NAME: PAExec") {
                snapshot.services.insert(format!("PAExec{service}"));
            } else if line.starts_with("PAExec") {
                snapshot.files.insert(line.to_owned());
            } else if line.contains("native-windows-probe") {
                snapshot.processes.insert(line.to_owned());
            }
        }
        Ok(snapshot)
    }

    /// Puts the probe on the host by means of the module itself.
    fn bring_probe(&self) -> Result<()> {
        let program = fs::read(Parts::build_programs()?.join("probe.exe"))?;
        let script = format!(
            "-NoProfile -Command \"[IO.File]::WriteAllBytes('{}', \
             [Convert]::FromBase64String([Console]::In.ReadToEnd()))\"",
            self.probe
        );
        let options =
            json!({ "executable": "powershell.exe", "arguments": script, "stdin": base64(&program) });
        let outcome = self.try_run(&options)?;
        ensure!(outcome.result.get("rc") == Some(&json!(0)), "cannot bring the probe: {:?}", outcome.result);
        Ok(())
    }
}

impl From<Lab> for Host {
    fn from(lab: Lab) -> Self {
        Self {
            address: lab.host().into(),
            port: lab.port(),
            user: ADMINISTRATOR.name.into(),
            password: ADMINISTRATOR.password.into(),
            probe: r"C:\lab\probe.exe",
            lab: Some(lab),
        }
    }
}

fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    let mut text = String::new();
    for group in data.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | u32::from(group.get(i).copied().unwrap_or(0)));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= group.len() { char::from(DIGITS[value]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_pads_to_whole_groups() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foo"), "Zm9v");
        assert_eq!(base64(b"foob"), "Zm9vYg==");
    }
}
