//! What every lab is made of: built once, copied for each.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use anyhow::{Context, Result, bail, ensure};
use windows_build::Programs;

use super::{ACCOUNTS, Account, chroot, stand_ins};
use crate::folders;

/// Every process of a lab has this in its environment, with the lab's state folder.
pub(super) const MARK: &str = "PSEXEC_LAB";

/// The shim knows the layout of one structure of this version.
const SAMBA: &str = "4.17.";

const WINE: &str = "/usr/lib/wine/wine64";
/// It starts 64-bit programs by means of the other.
const CHROOTS_WINE: &str = "/usr/lib/wine/wine";
const WINESERVER: &str = "/usr/lib/wine/wineserver";

/// Debian's packages that a lab needs, each with a file that it brings.
const PACKAGES: [(&str, &str); 5] = [
    ("samba", "/usr/sbin/smbd"),
    ("samba-common-bin", "/usr/bin/smbpasswd"),
    ("wine64", WINE),
    ("gcc", "/usr/bin/gcc"),
    ("libc6-dev", "/usr/include/stdlib.h"),
];

/// What a lab of the form [`Form::Interop`] needs beside them.
const INTEROP_PACKAGES: [(&str, &str); 3] = [
    ("debootstrap", "/usr/sbin/debootstrap"),
    ("gcc-mingw-w64-i686-win32", "/usr/bin/i686-w64-mingw32-gcc"),
    ("gcc-mingw-w64-x86-64-win32", "/usr/bin/x86_64-w64-mingw32-gcc"),
];

/// What stands for Windows in a lab.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// This machine's own Wine, for 64-bit programs. Every process is the same user's.
    #[default]
    Plain,
    /// Wine in a chroot, for 32-bit programs as well, with stand-ins for accounts, whoami.exe and powershell.exe.
    Interop,
}

impl Form {
    /// Which of Debian's packages a lab of this form still needs.
    pub fn debian_packages_missing(self) -> Vec<&'static str> {
        let more: &[_] = match self {
            Self::Plain => &[],
            Self::Interop => &INTEROP_PACKAGES,
        };
        let needed = PACKAGES.iter().chain(more);
        needed.filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package).collect()
    }

    /// Wine, to run a program in the prefix of the lab with this state folder.
    pub(super) fn wine(self, state: &Path) -> Command {
        let (wine, loader) = match self {
            Self::Plain => (Command::new(WINE), WINE),
            Self::Interop => (chroot::command(CHROOTS_WINE), CHROOTS_WINE),
        };
        let mut wine = without_random_addresses(wine);
        let mut overrides = "mscoree=;mshtml=;winemenubuilder.exe=".to_owned();
        if self == Self::Interop {
            overrides += stand_ins::OVERRIDES;
        }
        wine.env_clear()
            .env("PATH", "/usr/lib/wine:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", state)
            .env("LANG", "C.UTF-8")
            .env("WINEPREFIX", state.join("prefix"))
            .env("WINEARCH", "win64")
            .env("WINELOADER", loader)
            .env("WINEDEBUG", std::env::var("WINEDEBUG").unwrap_or_else(|_| "-all".into()))
            .env("WINEDLLOVERRIDES", overrides)
            .env(MARK, state)
            .current_dir(state);
        wine
    }

    /// Waits until the last of Wine's own programs has ended; it writes the registry then.
    fn wait_for_wineserver(self, prefix: &Path) -> Result<()> {
        let mut wineserver = match self {
            Self::Plain => Command::new(WINESERVER),
            Self::Interop => chroot::command(WINESERVER),
        };
        run(wineserver.arg("-w").env("WINEPREFIX", prefix))
    }

    fn template(self) -> PathBuf {
        folders::labs().join("build").join(match self {
            Self::Plain => "template",
            Self::Interop => "template-interop",
        })
    }
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
    /// Builds what is missing or out of date: a minute the first time, then nothing.
    pub fn prepare(form: Form) -> Result<Self> {
        check_host(form)?;
        let build = folders::labs().join("build");
        fs::create_dir_all(&build)?;
        let programs = Self::build_programs()?;
        let shim = build_shim(&build)?;
        if form == Form::Interop {
            chroot::prepare()?;
            stand_ins::build()?;
        }
        let template = form.template();
        if !template.exists() {
            make_template(form, &template)?;
        }
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
            Form::Plain => Ok(()),
            Form::Interop => stand_ins::install(to),
        }
    }

    pub(super) fn copy_accounts(&self, samba: &Path) -> Result<()> {
        copy_tree(&self.template.join("samba"), samba)
    }
}

fn check_host(form: Form) -> Result<()> {
    let missing = form.debian_packages_missing();
    ensure!(missing.is_empty(), "the lab needs Debian's packages {}", missing.join(", "));
    let output = Command::new("id").arg("-u").output()?;
    ensure!(output.stdout == b"0\n", "the lab needs root: smbd has to change users");
    let output = Command::new("/usr/sbin/smbd").arg("--version").output()?;
    let version = String::from_utf8_lossy(&output.stdout);
    if !version.starts_with(&format!("Version {SAMBA}")) {
        bail!("the lab needs Samba {SAMBA}x, as Debian 12 has it; here is {}", version.trim());
    }
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
fn make_template(form: Form, place: &Path) -> Result<()> {
    let fresh = place.with_extension(std::process::id().to_string());
    let made = make_prefix(form, &fresh).and_then(|()| make_accounts(&fresh.join("samba")));
    if made.is_err() || fs::rename(&fresh, place).is_err() {
        fs::remove_dir_all(&fresh)?;
    }
    made
}

fn make_prefix(form: Form, state: &Path) -> Result<()> {
    fs::create_dir_all(state)?;
    run(form.wine(state).args(["wineboot", "--init"]))?;
    form.wait_for_wineserver(&state.join("prefix"))
}

fn make_accounts(samba: &Path) -> Result<()> {
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
        add_account(&smb_conf, account)?;
    }
    fs::remove_file(smb_conf)?;
    Ok(())
}

fn add_account(smb_conf: &Path, account: &Account) -> Result<()> {
    let mut add = Command::new("smbpasswd");
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
    run(Command::new("pdbedit").arg("-s").arg(smb_conf).args(["-u", account.unix]).args(account.pdbedit))
}

/// Copies a folder. Programs and libraries become hard links: they are hundreds of megabytes, and no test writes
/// to Wine's own.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
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
