//! What every lab is made of: built once, copied for each.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use windows_build::Programs;

use super::system::{self, System};
use super::{ACCOUNTS, Account, powershell, stand_ins};
use crate::folders;

/// Every process of a lab has this in its environment, with the lab's state folder.
pub(super) const MARK: &str = "PSEXEC_LAB";

/// Debian's packages that a lab needs on this machine, each with a file that it brings.
const PACKAGES: [(&str, &str); 3] =
    [("mmdebstrap", "/usr/bin/mmdebstrap"), ("gcc", "/usr/bin/gcc"), ("libc6-dev", "/usr/include/stdlib.h")];

/// What a lab of the form [`Form::Interop`] needs beside them.
const INTEROP_PACKAGES: [(&str, &str); 2] = [
    ("gcc-mingw-w64-i686-win32", "/usr/bin/i686-w64-mingw32-gcc"),
    ("gcc-mingw-w64-x86-64-win32", "/usr/bin/x86_64-w64-mingw32-gcc"),
];

/// What a lab has beside smbd and Wine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Nothing. Every process is the same user's.
    #[default]
    Plain,
    /// Stand-ins for accounts, whoami.exe and powershell.exe.
    Interop,
    /// The PowerShell that [`powershell::VARIABLE`] names.
    PowerShell,
}

impl Form {
    /// Every form, for whoever has to find one by its name.
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::Interop, Self::PowerShell];

    /// Which of Debian's packages a lab of this form still needs on this machine.
    pub fn debian_packages_missing(self) -> Vec<&'static str> {
        let more: &[_] = match self {
            Self::Plain | Self::PowerShell => &[],
            Self::Interop => &INTEROP_PACKAGES,
        };
        let needed = PACKAGES.iter().chain(more);
        needed.filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package).collect()
    }

    /// Libraries and programs of Wine's that are not to be used. Without mscoree no program of .NET runs.
    fn overrides(self) -> String {
        let none = "mshtml=;winemenubuilder.exe=";
        match self {
            Self::Plain => format!("mscoree=;{none}"),
            Self::Interop => format!("mscoree=;{none}{}", stand_ins::OVERRIDES),
            Self::PowerShell => none.to_owned(),
        }
    }
}

/// Wine, to run a program in the prefix of the lab with this state folder.
pub(super) fn wine(system: System, form: Form, state: &Path) -> Command {
    let mut wine = without_random_addresses(system.command(system::WINE));
    wine.env_clear()
        .env("PATH", "/usr/lib/wine:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", state)
        .env("LANG", "C.UTF-8")
        .env("WINEPREFIX", state.join("prefix"))
        .env("WINEARCH", "win64")
        .env("WINELOADER", system::WINE)
        .env("WINEDEBUG", std::env::var("WINEDEBUG").unwrap_or_else(|_| "-all".into()))
        .env("WINEDLLOVERRIDES", form.overrides())
        .env(MARK, state);
    if let Some(display) = powershell::display(state) {
        wine.env("DISPLAY", display);
    }
    wine
}

/// Waits until the last of Wine's own programs has ended; it writes the registry then.
pub(super) fn wait_for_wineserver(system: System, prefix: &Path) -> Result<()> {
    run(system.command(system::WINESERVER).arg("-w").env("WINEPREFIX", prefix))
}

/// Windows programs have a page at the address 0x7ffe0000, whatever happens. Linux lets a program's heap begin anywhere
/// in the gigabyte behind the program: about once in three thousand times that page is taken, and Wine's program ends
/// before it has begun, which the one that starts it is told as error 1359. Where the system forbids to do without
/// random addresses, labs live with that.
fn without_random_addresses(program: Command) -> Command {
    static ALLOWED: LazyLock<bool> = LazyLock::new(|| {
        let mut tried = Command::new(SETARCH);
        tried.args(["--addr-no-randomize", "true"]).stderr(Stdio::null());
        tried.status().is_ok_and(|status| status.success())
    });

    if !*ALLOWED {
        return program;
    }
    let mut wrapped = Command::new(SETARCH);
    wrapped.arg("--addr-no-randomize").arg(program.get_program()).args(program.get_args());
    wrapped
}

const SETARCH: &str = "/usr/bin/setarch";

/// The parts of a lab, ready for use.
#[derive(Debug)]
pub struct Parts {
    form: Form,
    /// The library that is preloaded into smbd.
    pub(super) shim: PathBuf,
    /// A Wine prefix and smbd's accounts, as a fresh lab has them.
    template: PathBuf,
    /// The Windows programs.
    programs: PathBuf,
}

impl Parts {
    /// Builds what is missing or out of date: some minutes the first time, then nothing.
    pub fn prepare(system: System, form: Form) -> Result<Self> {
        check_machine(form)?;
        let build = folders::labs().join("build");
        fs::create_dir_all(&build)?;
        system.prepare()?;
        let programs = Self::build_programs()?;
        let shim = build_shim(&build)?;
        let plain = build.join(format!("template-{}", system.name()));
        if !plain.exists() {
            make_beside(&plain, |fresh| make_template(system, fresh))?;
        }
        let template = match form {
            Form::Plain => plain,
            Form::Interop => {
                stand_ins::build()?;
                plain
            }
            Form::PowerShell => powershell::template(system, &plain)?,
        };
        Ok(Self { form, shim, template, programs })
    }

    /// Builds the Windows programs alone, and returns the folder they are in.
    pub fn build_programs() -> Result<PathBuf> {
        let programs = Programs {
            workspace: &folders::repository(),
            package: "lab-windows",
            target_folder: &folders::labs().join("build/windows"),
            small: false,
        };
        Ok(programs.build()?)
    }

    pub(super) fn copy_prefix(&self, to: &Path) -> Result<()> {
        copy_tree(&self.template.join("prefix"), to)?;
        let lab = to.join("drive_c/lab");
        fs::create_dir_all(&lab)?;
        for program in ["relay.exe", "probe.exe"] {
            fs::copy(self.programs.join(program), lab.join(program))
                .with_context(|| format!("{program} is missing"))?;
        }
        match self.form {
            Form::Plain | Form::PowerShell => Ok(()),
            Form::Interop => stand_ins::install(to),
        }
    }

    pub(super) fn copy_accounts(&self, samba: &Path) -> Result<()> {
        copy_tree(&self.template.join("samba"), samba)
    }
}

fn check_machine(form: Form) -> Result<()> {
    let missing = form.debian_packages_missing();
    ensure!(missing.is_empty(), "the lab needs Debian's packages {}", missing.join(", "));
    let output = Command::new("id").arg("-u").output()?;
    ensure!(output.stdout == b"0\n", "the lab needs root: it makes a chroot, and smbd has to change users");
    Ok(())
}

fn build_shim(build: &Path) -> Result<PathBuf> {
    let source = folders::repository().join("tests/lab/host/smbd_pipes.c");
    let shim = build.join("smbd_pipes.so");
    if is_older(&shim, &source) {
        let fresh = build.join(format!("smbd_pipes.so.{}", std::process::id()));
        let mut gcc = Command::new("gcc");
        gcc.args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]).arg(&fresh).arg(&source);
        run(&mut gcc)?;
        fs::rename(fresh, &shim)?;
    }
    Ok(shim)
}

/// Whether what is made of `source` is missing or older than it.
pub(super) fn is_older(made: &Path, source: &Path) -> bool {
    let age = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    age(made) < age(source)
}

/// Made beside its place and renamed, so that two programs that make it at once do no harm.
pub(super) fn make_beside(place: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let fresh = place.with_extension(std::process::id().to_string());
    // Left by one that was cut off and had the same number.
    let _ = fs::remove_dir_all(&fresh);
    let made = make(&fresh);
    if made.is_err() || fs::rename(&fresh, place).is_err() {
        fs::remove_dir_all(&fresh)?;
    }
    made
}

fn make_template(system: System, fresh: &Path) -> Result<()> {
    fs::create_dir_all(fresh)?;
    run(wine(system, Form::Plain, fresh).args(["wineboot", "--init"]))?;
    wait_for_wineserver(system, &fresh.join("prefix"))?;
    make_accounts(system, &fresh.join("samba"))
}

fn make_accounts(system: System, samba: &Path) -> Result<()> {
    fs::create_dir_all(samba.join("private"))?;
    let map: String =
        ACCOUNTS.iter().map(|account| format!("{} = {}\n", account.unix, account.name)).collect();
    fs::write(samba.join("username.map"), map)?;
    let path = samba.to_string_lossy();
    let settings = format!(
        "[global]\npassdb backend = tdbsam:{path}/private/passdb.tdb\nprivate dir = {path}/private\n\
         lock directory = {path}\nstate directory = {path}\ncache directory = {path}\n"
    );
    let smb_conf = samba.join("accounts.conf");
    fs::write(&smb_conf, settings)?;
    for account in &ACCOUNTS {
        add_account(system, &smb_conf, account)?;
    }
    fs::remove_file(smb_conf)?;
    Ok(())
}

fn add_account(system: System, smb_conf: &Path, account: &Account) -> Result<()> {
    let mut add = system.command("/usr/bin/smbpasswd");
    add.arg("-c").arg(smb_conf).args(["-s", "-a", account.unix]).env("LANG", "C.UTF-8");
    add.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut add = add.spawn().context("smbpasswd does not start")?;
    if let Some(mut stdin) = add.stdin.take() {
        write!(stdin, "{0}\n{0}\n", account.password)?;
    }
    ensure!(add.wait()?.success(), "smbpasswd cannot add {}", account.name);
    if account.pdbedit.is_empty() {
        return Ok(());
    }
    run(system
        .command("/usr/bin/pdbedit")
        .arg("-s")
        .arg(smb_conf)
        .args(["-u", account.unix])
        .args(account.pdbedit))
}

/// Copies a folder. Programs and libraries become hard links: they are hundreds of megabytes, and no test writes
/// to Wine's own.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, from.metadata()?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &copy)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &copy)?;
        } else if !is_binary(&source) || fs::hard_link(&source, &copy).is_err() {
            fs::copy(&source, &copy)?;
        }
    }
    Ok(())
}

fn is_binary(path: &Path) -> bool {
    path.extension().is_some_and(|kind| ["dll", "exe", "drv", "sys", "ocx", "cpl"].iter().any(|k| kind == *k))
}

pub(super) fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{name} does not start"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", text.trim());
    Ok(())
}
