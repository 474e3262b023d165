//! A Windows host on loopback, of real parts: Debian's smbd, Wine's service control manager and programs,
//! and a relay that joins smbd's IPC$ to Wine's named pipes.
//!
//! What it cannot show: accounts, tokens, sessions, real consoles, antivirus. See `tests/lab/README.md`.

mod parts;
pub mod powershell;
mod snapshot;
mod stand_ins;
mod system;
mod tools;
mod wine;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::folders;
pub use parts::Parts;
pub use snapshot::Snapshot;
pub use stand_ins::LOGONS;
pub use system::{Making, System, VARIABLE};
pub use wine::Form;

/// An account of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name a client logs on with.
    pub name: &'static str,
    /// Its password.
    pub password: &'static str,
    /// The Unix account that smbd keeps it under.
    unix: &'static str,
    /// What pdbedit does to it.
    pdbedit: &'static [&'static str],
}

/// The built-in administrator.
pub const ADMINISTRATOR: Account =
    Account { name: "Administrator", password: "Passw0rd!", unix: "root", pdbedit: &[] };

/// A second administrator, with a name and a password beyond ASCII.
pub const UNICODE_ADMINISTRATOR: Account =
    Account { name: "Jürgen", password: "Pässwörd €1", unix: "sync", pdbedit: &[] };

/// An account that is no administrator.
pub const ORDINARY_USER: Account =
    Account { name: "ordinary", password: "Ordin4ry!", unix: "daemon", pdbedit: &[] };

/// An administrator's account that is disabled.
pub const DISABLED: Account =
    Account { name: "disabled", password: "D1sabled!", unix: "games", pdbedit: &["-c", "[D]"] };

/// An account that has expired.
pub const EXPIRED: Account =
    Account { name: "expired", password: "Exp1red!", unix: "man", pdbedit: &["--kickoff-time=1"] };

/// An account that is locked out.
pub const LOCKED: Account =
    Account { name: "locked", password: "L0cked!", unix: "news", pdbedit: &["-c", "[L]"] };

/// Every account of the host that a client logs on with.
pub const ACCOUNTS: [Account; 6] =
    [ADMINISTRATOR, UNICODE_ADMINISTRATOR, ORDINARY_USER, DISABLED, EXPIRED, LOCKED];

/// How a lab differs from the usual one.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// The name of its state folder. Labs of different names run side by side.
    pub name: String,
    /// The system that its smbd and its Wine come from.
    pub system: System,
    /// What it has beside them.
    pub form: Form,
    /// Whether the lab runs on when its [`Lab`] is dropped and this program ends.
    pub stays: bool,
    /// Whether its shares refuse to be written.
    pub read_only: bool,
    /// Further lines for the `[global]` section of smb.conf, for example `server max protocol = SMB2_10`.
    pub smb_conf: Vec<String>,
    /// The size in bytes of the socket buffers that stand in for the buffer of a named pipe. It bounds how far a
    /// process runs ahead of a slow reader, and the throughput; 0 leaves the system's own, which hold megabytes.
    pub pipe_buffer: u32,
    /// Calls that are refused.
    pub refusals: Vec<Refusal>,
    /// Calls that take their time.
    pub delays: Vec<Delay>,
    /// Requests that smbd refuses.
    pub refused_requests: RefusedRequests,
}

impl Default for LabOptions {
    fn default() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            name: format!("test-{}-{count}", std::process::id()),
            system: System::chosen(),
            form: Form::Plain,
            stays: false,
            read_only: false,
            smb_conf: Vec::new(),
            pipe_buffer: 4096,
            refusals: Vec::new(),
            delays: Vec::new(),
            refused_requests: RefusedRequests::default(),
        }
    }
}

/// Calls of the service control manager that the lab refuses, in the place of a host in a state that Wine cannot be in.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// The method's number, [MS-SCMR] 3.1.4.
    ///
    /// [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
    pub opnum: u16,
    /// The Win32 error code that it returns. With 0 the call is answered as if it had been carried out, RControlService
    /// as of a service that runs on.
    pub code: u32,
    /// How many calls are refused before one is carried out.
    pub count: u32,
}

/// Calls of the service control manager that take their time, as on a host under load. Those through other pipes
/// overtake them; that the client has gone does not keep them from being carried out.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    /// The method's number, [MS-SCMR] 3.1.4.
    ///
    /// [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
    pub opnum: u16,
    /// From the request until it is carried out, at most a minute.
    pub before: Duration,
    /// From then until the answer is handed back, at most a minute.
    pub after: Duration,
}

/// How many requests smbd refuses on each connection before it carries one out, in the place of what Windows fails because it
/// takes its time.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefusedRequests {
    /// WRITEs to programs, refused with STATUS_INTERNAL_ERROR.
    pub writes: u32,
    /// Deletions of programs, refused with STATUS_INTERNAL_ERROR when they are closed.
    pub deletions: u32,
    /// FSCTL_PIPE_TRANSCEIVEs, refused with this status.
    pub transceives: (u32, u32),
}

/// A running lab host. Unless it was started to stay, dropping it stops it and removes its state, and so does
/// the end of this program, whatever ends it.
#[derive(Debug)]
pub struct Lab {
    system: System,
    form: Form,
    state: PathBuf,
    port: u16,
    relay_port: u16,
    keeper: Option<Child>,
}

impl Lab {
    /// Starts a lab; one of the same name is stopped before. Takes about a second, and the first time as long as
    /// the parts need to be built.
    pub fn start(options: &LabOptions) -> Result<Self> {
        let parts = Parts::prepare(options.system, options.form)?;
        Self::start_with(&parts, options)
    }

    /// Like [`Self::start`], of parts that are already there.
    pub fn start_with(parts: &Parts, options: &LabOptions) -> Result<Self> {
        let state = folders::labs().join(&options.name);
        stop(&options.name)?;
        if state.exists() {
            fs::remove_dir_all(&state).with_context(|| format!("cannot remove {}", state.display()))?;
        }
        fs::create_dir_all(&state)?;
        let (system, form) = (options.system, options.form);
        let mut lab = Self { system, form, keeper: None, port: 0, relay_port: 0, state };
        lab.keeper = Some(lab.keeper()?);
        parts.copy_prefix(&lab.state.join("prefix"))?;
        if form == Form::PowerShell {
            powershell::start_display(system, &lab.state)?;
        }
        lab.relay_port = lab.start_relay(options)?;
        lab.port = lab.start_smbd(parts, options)?;
        let running = format!("{} {} {} {form:?}", lab.port, lab.relay_port, system.name());
        fs::write(lab.state.join("running"), running)?;
        if options.stays {
            lab.let_go();
        }
        Ok(lab)
    }

    /// The lab of this name, if it is running.
    pub fn running(name: &str) -> Option<Self> {
        let state = folders::labs().join(name);
        let running = fs::read_to_string(state.join("running")).ok()?;
        let [port, relay_port, system, form] = running.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let system = system.parse().ok()?;
        let form = Form::ALL.into_iter().find(|known| format!("{known:?}") == form)?;
        let (port, relay_port) = (port.parse().ok()?, relay_port.parse().ok()?);
        let lab = Self { system, form, keeper: None, port, relay_port, state };
        (lab.inventory().is_ok() && answers(lab.port)).then_some(lab)
    }

    /// The host's name or address.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port of its SMB server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder that holds everything this lab writes: `prefix`, `samba`, `relay.log`, `smbd.out`.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The host's drive `C:`.
    pub fn drive_c(&self) -> PathBuf {
        self.state.join("prefix/drive_c")
    }

    /// Runs a Windows program on the host by hand, past SMB and everything else.
    pub fn run_program(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let mut wine = wine::wine(self.system, self.form, &self.state);
        wine.arg(program).args(arguments).stdin(Stdio::null());
        wine.output().context("wine does not start")
    }

    /// A program that sees files as smbd does, still without its arguments: what is mounted by it is mounted for smbd.
    pub fn beside_smbd(&self, program: &str) -> Result<Command> {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--root", "--target", &self.smbd()?, program]);
        Ok(command)
    }

    /// Sends a signal to smbd and all processes that it has made.
    pub fn signal_smbd(&self, signal: &str) -> Result<()> {
        let mut processes = vec![self.smbd()?];
        let mut next = 0;
        while let Some(process) = processes.get(next) {
            let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
            processes.extend(children.unwrap_or_default().split_whitespace().map(str::to_owned));
            next += 1;
        }
        let mut kill = Command::new("kill");
        ensure!(kill.arg(format!("-{signal}")).args(processes).status()?.success(), "smbd takes no {signal}");
        Ok(())
    }

    /// The number of smbd's first process.
    fn smbd(&self) -> Result<String> {
        let folder = self.state.join("samba/pid");
        let file = fs::read_dir(&folder)?.flatten().map(|entry| entry.path()).find(|path| path.is_file());
        let pid = fs::read_to_string(file.context("smbd has left no file with its number")?)?;
        Ok(pid.trim().to_owned())
    }

    /// Waits until the host has a call of the method with this number that is to take its time, [`LabOptions::delays`].
    pub fn wait_for_call(&self, opnum: u16) -> Result<()> {
        self.wait_for_log(&format!("call {opnum} waits "))
    }

    /// Waits until such a call is carried out.
    pub fn wait_for_execution(&self, opnum: u16) -> Result<()> {
        self.wait_for_log(&format!("call {opnum} has waited"))
    }

    fn wait_for_log(&self, words: &str) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(30);

        let started = Instant::now();
        while !fs::read_to_string(self.state.join("relay.log"))?.contains(words) {
            ensure!(started.elapsed() < PATIENCE, "the relay does not say: {words}");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Stops the lab now; dropping it does the same, but keeps quiet about what goes wrong.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    /// What the relay sees on the host: lines `service NAME` and `process PID NAME`.
    fn inventory(&self) -> Result<String> {
        let mut relay = TcpStream::connect((Ipv4Addr::LOCALHOST, self.relay_port))?;
        relay.set_read_timeout(Some(Duration::from_secs(10)))?;
        relay.write_all(&[b'I', 0, 0, 0, 0, 0, 0])?;
        let mut text = String::new();
        relay.read_to_string(&mut text)?;
        Ok(text)
    }

    /// A process that outlives this program for as long as it takes to stop the lab.
    fn keeper(&self) -> Result<Child> {
        let mut keeper = Command::new("/bin/sh");
        keeper.args(["-c", r#"if ! read -r _; then "$1" "$2"; rm -rf "$2"; fi"#, "lab-keeper"]);
        keeper.arg(stop_script()).arg(&self.state).process_group(0);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        keeper.spawn().context("sh does not start")
    }

    fn start_relay(&self, options: &LabOptions) -> Result<u16> {
        let log = self.state.join("relay.log");
        let mut relay = wine::wine(self.system, self.form, &self.state);
        relay.arg(r"C:\lab\relay.exe").arg(options.pipe_buffer.to_string());
        relay
            .args(options.refusals.iter().map(|call| format!("{}:{}:{}", call.opnum, call.code, call.count)))
            .args(options.delays.iter().map(|call| {
                format!("{}+{}+{}", call.opnum, call.before.as_millis(), call.after.as_millis())
            }));
        let mut relay = start(&mut relay, &log)?;
        wait_until("the relay in Wine", &log, &mut relay, || {
            let text = fs::read_to_string(&log).ok()?;
            text.lines().find_map(|line| line.strip_prefix("relay ready "))?.trim().parse().ok()
        })
    }

    fn start_smbd(&self, parts: &Parts, options: &LabOptions) -> Result<u16> {
        let samba = self.state.join("samba");
        let port = free_port()?;
        let sockets = self.socket_folder()?;
        self.configure(parts, options, port, &sockets)?;
        // The loader takes a space in a path for the end of it, and our own path may have one.
        let shim = sockets.join("smbd_pipes.so");
        fs::copy(&parts.shim, &shim)?;
        let log = self.state.join("smbd.out");
        // The library is for smbd alone, not for what starts it.
        let mut smbd = self.system.command("/usr/bin/env");
        smbd.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8");
        smbd.arg(format!("LD_PRELOAD={}", shim.display())).arg("/usr/sbin/smbd");
        smbd.args(["--foreground", "--no-process-group", "--debug-stdout", "--configfile"]);
        smbd.arg(samba.join("smb.conf"));
        smbd.env(wine::MARK, &self.state);
        smbd.env("LAB_RELAY_PORT", self.relay_port.to_string());
        smbd.env("LAB_PIPE_BUFFER", options.pipe_buffer.to_string());
        let RefusedRequests { writes, deletions, transceives: (transceives, status) } =
            options.refused_requests;
        for (variable, value) in [
            ("LAB_REFUSED_WRITES", writes),
            ("LAB_REFUSED_DELETIONS", deletions),
            ("LAB_REFUSED_TRANSCEIVES", transceives),
            ("LAB_TRANSCEIVE_STATUS", status),
        ] {
            smbd.env(variable, value.to_string());
        }
        let mut smbd = start(&mut smbd, &log)?;
        wait_until("smbd", &log, &mut smbd, || answers(port).then_some(port))
    }

    fn configure(&self, parts: &Parts, options: &LabOptions, port: u16, sockets: &Path) -> Result<()> {
        let samba = self.state.join("samba");
        for folder in ["lock", "state", "cache", "pid"] {
            fs::create_dir_all(samba.join(folder))?;
        }
        parts.copy_accounts(&samba)?;
        let template = fs::read_to_string(folders::repository().join("tests/lab/host/smb.conf"))?;
        let text = template
            .replace("{samba}", &samba.to_string_lossy())
            .replace("{sockets}", &sockets.to_string_lossy())
            .replace("{prefix}", &self.state.join("prefix").to_string_lossy())
            .replace("{port}", &port.to_string())
            .replace("{read only}", if options.read_only { "yes" } else { "no" })
            .replace("{extra}", &options.smb_conf.join("\n"));
        fs::write(samba.join("smb.conf"), text)?;
        Ok(())
    }

    /// Where smbd believes its pipes to be. The name of a Unix socket is 107 bytes long at most, and a pipe's may
    /// take 80 of them: the folder has to have a short name, wherever the state is.
    fn socket_folder(&self) -> Result<PathBuf> {
        let folder = PathBuf::from(format!("/tmp/psexec-lab-{}", self.relay_port));
        if folder.exists() {
            fs::remove_dir_all(&folder)?; // its owner had this port before
        }
        let pipes = folder.join("np");
        fs::create_dir_all(&pipes)?;
        fs::set_permissions(&pipes, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        std::os::unix::fs::symlink(&folder, self.state.join("sockets"))?;
        Ok(folder)
    }

    fn let_go(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            if let Some(mut stdin) = keeper.stdin.take() {
                let _ = stdin.write_all(b"\n");
            }
            let _ = keeper.wait();
        }
    }

    fn end(&mut self) -> Result<()> {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            ensure!(keeper.wait()?.success(), "the lab in {} cannot be removed", self.state.display());
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if thread::panicking() {
            self.keep_logs();
        }
        let _ = self.end();
    }
}

impl Lab {
    /// Copies the logs to `target/lab/logs/<name>`, where the end of the lab leaves them.
    pub fn keep_logs(&self) {
        let Some(name) = self.state.file_name() else { return };
        let logs = folders::labs().join("logs").join(name);
        let _ = fs::create_dir_all(&logs);
        for log in ["relay.log", "smbd.out", "samba/smbd.log"] {
            let from = self.state.join(log);
            if let Some(file) = from.file_name() {
                let _ = fs::copy(&from, logs.join(file));
            }
        }
    }
}

/// Ends every process of the lab of this name, running or left over; says whether its state folder exists.
pub fn stop(name: &str) -> Result<bool> {
    let state = folders::labs().join(name);
    let output = Command::new(stop_script()).arg(&state).output().context("stop.sh does not start")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    let _ = fs::remove_file(state.join("running"));
    Ok(state.exists())
}

fn stop_script() -> PathBuf {
    folders::repository().join("tests/lab/host/stop.sh")
}

/// Starts a server apart from this program's process group: a Ctrl-C is not for it, and an smbd that ends
/// sends SIGTERM to its whole group.
fn start(command: &mut Command, log: &Path) -> Result<Child> {
    let log = File::create(log)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    command.spawn().with_context(|| format!("{} does not start", command.get_program().to_string_lossy()))
}

fn wait_until<T>(
    what: &str,
    log: &Path,
    server: &mut Child,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<T> {
    const PATIENCE: Duration = Duration::from_secs(60);
    const PAUSE: Duration = Duration::from_millis(10);

    let started = Instant::now();
    loop {
        if let Some(value) = ready() {
            return Ok(value);
        }
        let ended = server.try_wait()?;
        if ended.is_some() || started.elapsed() > PATIENCE {
            let text = fs::read_to_string(log).unwrap_or_default();
            let how = ended.map_or("is not ready".to_owned(), |status| format!("ended: {status}"));
            bail!("{what} {how}; the log {} ends\n{}", log.display(), last_lines(&text, 20));
        }
        thread::sleep(PAUSE);
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The end of a log.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
