//! `lab up | down | status`: a lab to play with.

use std::fs;

use anyhow::Result;
use end_to_end::folders;
use end_to_end::lab::{self, ACCOUNTS, Lab, LabOptions, Parts};

use crate::{packages, step};

/// The lab that is meant if none is named.
pub(crate) const NAME: &str = "default";

pub(crate) fn up(name: &str) -> Result<()> {
    let parts = prepare()?;
    let options = LabOptions { name: name.into(), stays: true, ..LabOptions::default() };
    print(name, &Lab::start_with(&parts, &options)?);
    Ok(())
}

/// Installs and builds what a lab is made of.
pub(crate) fn prepare() -> Result<Parts> {
    packages::for_lab()?;
    step::work("build the lab's programs and its Wine prefix", Parts::prepare)
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
