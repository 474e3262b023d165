//! The Windows host that the tests run against: the lab, or the one that the environment names.
//!
//! | variable | meaning |
//! |---|---|
//! | `PSEXEC_TEST_HOST` | the host's name or address; without it the lab is used |
//! | `PSEXEC_TEST_PORT` | its SMB port, 445 if not given |
//! | `PSEXEC_TEST_USERNAME`, `PSEXEC_TEST_PASSWORD` | an administrator of the host, to connect as |
//! | `PSEXEC_TEST_ALT_USERNAME`, `PSEXEC_TEST_ALT_PASSWORD` | another one, to run processes as |
//! | `PSEXEC_TEST_PROBE` | where the probe is on that host; set by `cargo xtask test --host`, which brings it there |
//! | `PSEXEC_TEST_INTEROP` | if set, it is a lab that runs 32-bit programs and has stand-ins for accounts |

mod named;
mod profile;
mod share;
mod visit;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::lab::{ADMINISTRATOR, Form, Lab, LabOptions, Snapshot, powershell};
use crate::module::{Outcome, Task};
use crate::report::{counted, not_run};
pub use named::{HOST, Logon, Named, VARIABLES};
pub use profile::ProfilePlan;
use share::Share;
pub use visit::{PROBE, Visit};

/// A Windows host, and how to connect to it.
pub struct Host {
    address: String,
    port: u16,
    user: String,
    password: String,
    probe: String,
    kind: Kind,
}

/// How to look at a host past the module.
enum Kind {
    Lab(Lab),
    Named(Elsewhere),
}

/// What a named host has that a lab has not.
pub struct Elsewhere {
    share: Share,
    is_wine: bool,
    alternative: Logon,
}

/// Runs a test on the host, alone, and then looks whether the test has left anything there.
#[track_caller]
pub fn on_host(test: impl FnOnce(&Host)) {
    static THE_HOST: OnceLock<Mutex<Host>> = OnceLock::new();

    run_alone(&THE_HOST, Host::from_environment, test);
}

/// Like [`on_host`], on a host that the environment names; fails if it names none. The test gets the other account.
#[track_caller]
pub fn on_named_host(test: impl FnOnce(&Host, &Logon)) {
    on_host(|host| match &host.kind {
        Kind::Named(named) => test(host, &named.alternative),
        Kind::Lab(_) => panic!("{HOST} names no host"),
    });
}

/// Like [`on_host`], on a lab, whatever host is named.
#[track_caller]
pub fn on_lab(test: impl FnOnce(&Host, &Lab)) {
    static HOST: OnceLock<Mutex<Host>> = OnceLock::new();

    run_alone(&HOST, || Host::of_form(Form::Plain), |host| test(host, host.lab().expect("a lab")));
}

/// Like [`on_lab`], on one that runs 32-bit programs and has stand-ins for accounts.
#[track_caller]
pub fn on_interop_lab(test: impl FnOnce(&Host)) {
    static HOST: OnceLock<Mutex<Host>> = OnceLock::new();

    run_alone(&HOST, || Host::of_form(Form::Interop), test);
}

/// Like [`on_lab`], on one with a real PowerShell; where nobody has given one, the test is not run.
#[track_caller]
pub fn on_powershell_lab(test: impl FnOnce(&Host, &Lab)) {
    static HOST: OnceLock<Mutex<Host>> = OnceLock::new();

    if powershell::folder().expect("a folder with PowerShell").is_none() {
        return not_run(powershell::MISSING);
    }
    run_alone(&HOST, || Host::of_form(Form::PowerShell), |host| test(host, host.lab().expect("a lab")));
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
        if env::var_os("PSEXEC_TEST_INTEROP").is_some() {
            return Self::of_form(Form::Interop);
        }
        match Named::from_environment()? {
            None => Self::of_form(Form::Plain),
            Some(named) => {
                let probe = env::var(PROBE).context("without `cargo xtask test --host` there is no probe")?;
                Self::named(named, probe)
            }
        }
    }

    /// The host that the environment names, with the probe at this path.
    pub fn named(named: Named, probe: String) -> Result<Self> {
        let share = Share::of(&named);
        let is_wine = share.has(r"System32\winecfg.exe")?;
        Ok(Self {
            address: named.address,
            port: named.port,
            user: named.user.name,
            password: named.user.password,
            probe,
            kind: Kind::Named(Elsewhere { share, is_wine, alternative: named.alternative }),
        })
    }

    fn of_form(form: Form) -> Result<Self> {
        Ok(Self::from(Lab::start(&LabOptions { form, ..LabOptions::default() })?))
    }

    /// A lab for one test, so that others may run beside it; the test fails if it does not start.
    #[track_caller]
    pub fn of_lab(options: &LabOptions) -> Self {
        Self::from(Lab::start(options).expect("a lab"))
    }

    /// The lab, if it is one: for what no other host can be asked to have.
    pub fn lab(&self) -> Option<&Lab> {
        match &self.kind {
            Kind::Lab(lab) => Some(lab),
            Kind::Named(_) => None,
        }
    }

    /// Whether it is Wine that stands for Windows there.
    pub fn is_wine(&self) -> bool {
        match &self.kind {
            Kind::Lab(_) => true,
            Kind::Named(named) => named.is_wine,
        }
    }

    /// The SMB port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path of the probe on the host.
    pub fn probe_path(&self) -> &str {
        &self.probe
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
        match &self.kind {
            Kind::Lab(lab) => lab.snapshot(),
            Kind::Named(named) => Ok(Snapshot {
                services: named.share.services()?,
                files: named.share.files()?,
                processes: self.probes()?,
            }),
        }
    }

    /// Fails unless everything that was not there `before` goes away within five seconds: a service deletes
    /// itself, and a process ends, a little later than its client hears of it.
    pub fn assert_clean(&self, before: &Snapshot) -> Result<()> {
        self.assert_clean_within(before, Duration::from_secs(5))
    }

    /// Like [`Self::assert_clean`], where a test has left the host more to do than that.
    pub fn assert_clean_within(&self, before: &Snapshot, patience: Duration) -> Result<()> {
        const PAUSE: Duration = Duration::from_millis(20);

        // Of our own service nothing is left, ever.
        let mut patient_with_paexec = env::var_os("PSEXEC_SERVICE_EXE").is_some();
        let mut started = Instant::now();
        loop {
            let left = self.snapshot()?.since(before);
            if left.is_empty() {
                return Ok(());
            }
            if started.elapsed() > patience {
                if !patient_with_paexec || !self.end_stuck_paexec(&left)? {
                    bail!("left on the host: {}", left.join(", "));
                }
                (patient_with_paexec, started) = (false, Instant::now());
            }
            thread::sleep(PAUSE);
        }
    }

    /// PAExec.exe in Wine, one time in hundreds, takes its STOP and does not end; that is neither ours nor seen on Windows.
    /// Ends the one process that is left of it, and says so: its service has to go then, as one does that is marked for
    /// deletion. Whether there was nothing else.
    fn end_stuck_paexec(&self, left: &[String]) -> Result<bool> {
        let (Some(lab), [service, process]) = (self.lab(), left) else { return Ok(false) };
        let Some(name) = service.strip_prefix("service PAExec-") else { return Ok(false) };
        let Some((id, program)) =
            process.strip_prefix("process ").and_then(|process| process.split_once(' '))
        else {
            return Ok(false);
        };
        if program != format!("PAExec-{name}.exe") {
            return Ok(false);
        }
        let ended = lab.run_program("taskkill.exe", &["/f", "/pid", id])?;
        ensure!(ended.status.success(), "taskkill: {}", String::from_utf8_lossy(&ended.stdout));
        counted("PAExec.exe did not end when it was told to: 1 time, at most 1 in a test");
        Ok(true)
    }

    /// Takes away what tests that failed have left on a named host since: processes of the probe, and files that bear
    /// this machine's name or the project's. Services remove themselves.
    pub fn remove_leftovers(&self, before: &Snapshot) -> Result<()> {
        let Kind::Named(named) = &self.kind else { return Ok(()) };
        if !self.probes()?.is_empty() {
            let program = self.probe.rsplit('\\').next().unwrap_or_default();
            let options = json!({ "executable": "taskkill.exe", "arguments": format!("/f /im {program}") });
            self.try_run(&options)?;
        }
        let machine = fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_lowercase();
        for file in named.share.files()?.difference(&before.files) {
            if paexec::RunName::parse(file).is_none() || file.to_lowercase().contains(&format!("-{machine}."))
            {
                named.share.delete(file)?;
            }
        }
        Ok(())
    }

    /// Like [`Self::run`], for others than tests.
    pub fn try_run(&self, options: &Value) -> Result<Outcome> {
        Task::new(&self.options(options))?.run()
    }

    /// Processes of the probe. Samba's programs do not see any, so the probe has to look itself.
    fn probes(&self) -> Result<BTreeSet<String>> {
        let outcome = self.try_run(&self.probe_options("siblings", &json!({})))?;
        ensure!(outcome.has("stdout"), "cannot look at the host's processes: {:?}", outcome.result);
        Ok(outcome.text("stdout").split_whitespace().map(str::to_owned).collect())
    }
}

impl From<Lab> for Host {
    fn from(lab: Lab) -> Self {
        Self {
            address: lab.host().into(),
            port: lab.port(),
            user: ADMINISTRATOR.name.into(),
            password: ADMINISTRATOR.password.into(),
            probe: r"C:\lab\probe.exe".into(),
            kind: Kind::Lab(lab),
        }
    }
}
