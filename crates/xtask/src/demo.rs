//! `demo`: from nothing to a command's output.

use anyhow::{Result, ensure};
use end_to_end::lab::{ADMINISTRATOR, Form, Lab, LabOptions};

use crate::{collection, lab, packages, step};

pub(crate) fn run() -> Result<()> {
    packages::for_demo()?;
    collection::install()?;
    let parts = lab::prepare(Form::Plain)?;
    let lab = step::work("start a Windows host on loopback", || {
        Lab::start_with(&parts, &LabOptions { name: "demo".into(), ..LabOptions::default() })
    })?;
    let options = format!(
        "hostname={} port={} connection_username={} connection_password={} executable=cmd.exe \
         arguments='/c echo Hello World'",
        lab.host(),
        lab.port(),
        ADMINISTRATOR.name,
        ADMINISTRATOR.password
    );
    println!("\n$ ansible localhost -m native.windows.psexec -a \"{options}\"");
    let mut ansible = end_to_end::ansible::command("ansible")?;
    let status = ansible.args(["localhost", "-m", "native.windows.psexec", "-a", &options]).status()?;
    lab.stop()?;
    ensure!(status.success(), "Ansible says that the task failed");
    Ok(())
}
