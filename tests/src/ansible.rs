//! Ansible's programs, with the collection in their path.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::folders;

/// One of Ansible's programs, for example `ansible-playbook`.
pub fn command(program: &str) -> Result<Command> {
    let path = folders::ansible().join("bin").join(program);
    let module = folders::collections().join("ansible_collections/native/windows/plugins/modules/psexec");
    for needed in [&path, &module] {
        ensure!(needed.exists(), "{} is missing: run `cargo xtask test`", needed.display());
    }
    let mut command = Command::new(path);
    command.env("ANSIBLE_COLLECTIONS_PATH", folders::collections());
    command.env("ANSIBLE_HOME", folders::target().join("ansible/home"));
    command.env("ANSIBLE_LOCALHOST_WARNING", "false").env("ANSIBLE_INVENTORY_UNPARSED_WARNING", "false");
    // Ansible refuses to work in any other encoding.
    command.env("LC_ALL", "C.UTF-8");
    Ok(command)
}
