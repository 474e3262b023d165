//! What every lab is made of: built once, copied for each.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::{ACCOUNTS, Account};
use crate::{folders, toolchain};

/// Every process of a lab has this in its environment, with the lab's state folder.
pub(super) const MARK: &str = "PSEXEC_LAB";

/// The shim knows the layout of one structure of this version.
const SAMBA: &str = "4.17.";

const WINE: &str = "/usr/lib/wine/wine64";

/// Debian's packages that a lab needs, each with a file that it brings.
const PACKAGES: [(&str, &str); 5] = [
    ("samba", "/usr/sbin/smbd"),
    ("samba-common-bin", "/usr/bin/smbpasswd"),
    ("wine64", WINE),
    ("gcc", "/usr/bin/gcc"),
    ("libc6-dev", "/usr/include/stdlib.h"),
];

/// Which of Debian's packages a lab still needs.
pub fn debian_packages_missing() -> Vec<&'static str> {
    PACKAGES.iter().filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package).collect()
}

/// The parts of a lab, ready for use.
#[derive(Debug)]
pub struct Parts {
    /// The library that is preloaded into smbd.
    pub(super) shim: PathBuf,
    /// A Wine prefix and smbd's accounts, as a fresh lab has them.
    template: PathBuf,
    /// The Windows programs.
    programs: PathBuf,
}

impl Parts {
    /// Builds what is missing or out of date: a minute the first time, then nothing.
    pub fn prepare() -> Result<Self> {
        check_host()?;
        let build = folders::labs().join("build");
        fs::create_dir_all(&build)?;
        let programs = Self::build_programs()?;
        let shim = build_shim(&build)?;
        let template = build.join("template");
        if !template.exists() {
            make_template(&template)?;
        }
        Ok(Self { shim, template, programs })
    }

    /// Builds the Windows programs alone, and returns the folder they are in.
    pub fn build_programs() -> Result<PathBuf> {
        toolchain::build_for_windows("lab-windows", &folders::labs().join("build/windows"))
    }

    pub(super) fn copy_prefix(&self, to: &Path) -> Result<()> {
        copy_tree(&self.template.join("prefix"), to)?;
        let lab = to.join("drive_c/lab");
        fs::create_dir_all(&lab)?;
        for program in ["relay.exe", "probe.exe"] {
            fs::copy(self.programs.join(program), lab.join(program))
                .with_context(|| format!("{program} is missing"))?;
        }
        Ok(())
    }

    pub(super) fn copy_accounts(&self, samba: &Path) -> Result<()> {
        copy_tree(&self.template.join("samba"), samba)
    }
}

/// Wine, to run a program in the prefix of the lab with this state folder.
pub(super) fn wine(state: &Path) -> Command {
    let mut wine = Command::new(WINE);
    wine.env_clear()
        .env("PATH", "/usr/lib/wine:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", state)
        .env("LANG", "C.UTF-8")
        .env("WINEPREFIX", state.join("prefix"))
        .env("WINEARCH", "win64")
        .env("WINELOADER", WINE)
        .env("WINEDEBUG", std::env::var("WINEDEBUG").unwrap_or_else(|_| "-all".into()))
        .env("WINEDLLOVERRIDES", "mscoree=;mshtml=;winemenubuilder.exe=")
        .env(MARK, state)
        .current_dir(state);
    wine
}

fn check_host() -> Result<()> {
    let missing = debian_packages_missing();
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
    let age = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    if age(&shim) < age(&source) {
        let fresh = build.join(format!("smbd_pipes.so.{}", std::process::id()));
        let mut gcc = Command::new("gcc");
        gcc.args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]).arg(&fresh).arg(&source);
        run(&mut gcc)?;
        fs::rename(fresh, &shim)?;
    }
    Ok(shim)
}

/// Made beside its place and renamed, so that two programs that make it at once do no harm.
fn make_template(place: &Path) -> Result<()> {
    let fresh = place.with_extension(std::process::id().to_string());
    let made = make_prefix(&fresh).and_then(|()| make_accounts(&fresh.join("samba")));
    if made.is_err() || fs::rename(&fresh, place).is_err() {
        fs::remove_dir_all(&fresh)?;
    }
    made
}

fn make_prefix(state: &Path) -> Result<()> {
    fs::create_dir_all(state)?;
    run(wine(state).args(["wineboot", "--init"]))?;
    // The registry is written when the last of Wine's own programs has ended.
    let prefix = state.join("prefix");
    run(Command::new("/usr/lib/wine/wineserver").arg("-w").env("WINEPREFIX", prefix))
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

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{name} does not start"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", text.trim());
    Ok(())
}
