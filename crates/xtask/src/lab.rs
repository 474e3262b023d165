//! `lab up | down | status`: a lab to play with.

use std::fs;

use anyhow::Result;
use end_to_end::folders;
use end_to_end::lab::{self, ACCOUNTS, Form, Lab, LabOptions, Parts};

use crate::{packages, step};

/// The lab that is meant if none is named.
pub(crate) const NAME: &str = "default";

/// The lab of this name runs 32-bit programs too, and has stand-ins for accounts.
const INTEROP: &str = "interop";

pub(crate) fn up(name: &str) -> Result<()> {
    let form = if name == INTEROP { Form::Interop } else { Form::Plain };
    let parts = prepare(form)?;
    let options = LabOptions { name: name.into(), form, stays: true, ..LabOptions::default() };
    print(name, &Lab::start_with(&parts, &options)?);
    Ok(())
}

/// Installs and builds what a lab is made of.
pub(crate) fn prepare(form: Form) -> Result<Parts> {
    packages::for_lab(form)?;
    let title = match form {
        Form::Plain => "build the lab's programs and its Wine prefix",
        Form::Interop => "build the lab's programs and its chroot with Wine for 32-bit programs",
    };
    step::work(title, || Parts::prepare(form))
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
