//! `lab up | down | status`: a lab to play with.

use std::fs;

use anyhow::Result;
use end_to_end::folders;
use end_to_end::lab::{self, ACCOUNTS, Form, Lab, LabOptions, Parts, System};

use crate::{packages, step};

/// The lab that is meant if none is named.
pub(crate) const NAME: &str = "default";

/// The lab of this name has stand-ins for accounts, that of the other a PowerShell.
const INTEROP: &str = "interop";
const POWERSHELL: &str = "powershell";

pub(crate) fn up(name: &str) -> Result<()> {
    let form = match name {
        INTEROP => Form::Interop,
        POWERSHELL => Form::PowerShell,
        _ => Form::Plain,
    };
    let parts = prepare(form)?;
    let options = LabOptions { name: name.into(), form, stays: true, ..LabOptions::default() };
    print(name, &Lab::start_with(&parts, &options)?);
    Ok(())
}

/// Installs and builds what a lab is made of.
pub(crate) fn prepare(form: Form) -> Result<Parts> {
    packages::for_lab(form)?;
    let system = System::chosen();
    if let Some(making) = system.making()? {
        step::run(&format!("make a chroot of {system}"), &mut making.command()?)?;
        making.finish()?;
    }
    let title = match form {
        Form::Plain => "build the lab's programs and its Wine prefix",
        Form::Interop => "build the lab's programs, its Wine prefix and its stand-ins",
        Form::PowerShell => "build the lab's programs and its Wine prefix with PowerShell",
    };
    step::work(title, || Parts::prepare(system, form))
}

pub(crate) fn down(name: &str) -> Result<()> {
    let known = lab::stop(name)?;
    println!("{}", if known { "stopped" } else { "there is no such lab" });
    Ok(())
}

pub(crate) fn status() -> Result<()> {
    let mut found = false;
    if let Ok(entries) = fs::read_dir(folders::labs()) {
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Some(lab) = Lab::running(&name) {
                found = true;
                print(&name, &lab);
            }
        }
    }
    if !found {
        println!("no lab is running");
    }
    Ok(())
}

fn print(name: &str, lab: &Lab) {
    println!("lab      {name}");
    println!("host     {}", lab.host());
    println!("port     {}", lab.port());
    for account in ACCOUNTS {
        println!("account  {} / {}", account.name, account.password);
    }
    println!("state    {}", lab.state().display());
}
