//! What every lab is made of: built once, copied for each.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use windows_build::{Architecture, Programs};

use super::system::System;
use super::tools::{copy_tree, is_older, make_beside, run};
use super::wine::{Form, wait_for_wineserver, wine};
use super::{ACCOUNTS, Account, powershell, stand_ins};
use crate::folders;

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
        static ALONE: Mutex<()> = Mutex::new(());

        // Tests of one program that start labs at once would make the same thing in the same place.
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Builds the Windows programs alone, once for this program, and returns the folder they are in.
    pub fn build_programs() -> Result<PathBuf> {
        static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);

        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = &*built {
            return Ok(folder.clone());
        }
        let programs = Programs {
            workspace: &folders::repository(),
            package: "lab-windows",
            architecture: Architecture::X86_64,
            target_folder: &folders::labs().join("build/windows"),
            small: false,
        };
        Ok(built.insert(programs.build()?).clone())
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
