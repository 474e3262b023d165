//! Ansible's programs, with the collection in their path.

use std::path::PathBuf;
use std::process::Command;
use std::thread;

use anyhow::{Result, ensure};

use crate::folders;

/// One of the newest version's programs, for example `ansible-playbook`.
pub fn command(program: &str) -> Result<Command> {
    Version::Newest.command(program)
}

/// Runs a test with each version of Ansible, side by side.
#[track_caller]
pub fn with_every_version(test: impl Fn(Version) + Sync) {
    thread::scope(|scope| {
        for version in Version::ALL {
            let name = format!("ansible-core {}", version.number());
            let test = &test;
            thread::Builder::new().name(name).spawn_scoped(scope, move || test(version)).expect("a thread");
        }
    });
}

/// A version of ansible-core that the collection is tested with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The oldest that `meta/runtime.yml` admits.
    Oldest,
    /// The newest that the module's answers are compared with.
    Newest,
}

impl Version {
    /// Every version that the tests run with.
    pub const ALL: [Self; 2] = [Self::Oldest, Self::Newest];

    /// Its number, without that of the patch.
    pub fn number(self) -> &'static str {
        match self {
            Self::Oldest => "2.16",
            Self::Newest => "2.19",
        }
    }

    /// The virtual environment that it is installed in.
    pub fn environment(self) -> PathBuf {
        folders::ansible().join(self.number())
    }

    /// One of its programs.
    pub fn command(self, program: &str) -> Result<Command> {
        let path = self.environment().join("bin").join(program);
        let module = folders::collections().join("ansible_collections/native/windows/plugins/modules/psexec");
        for needed in [&path, &module] {
            ensure!(needed.exists(), "{} is missing: run `cargo xtask test`", needed.display());
        }
        let mut command = Command::new(path);
        command.env("ANSIBLE_COLLECTIONS_PATH", folders::collections());
        command.env("ANSIBLE_HOME", self.environment().join("home"));
        // `become` has to do its work for root, too, who runs the tests.
        command.env("ANSIBLE_BECOME_ALLOW_SAME_USER", "true");
        command.env("ANSIBLE_ASYNC_DIR", self.environment().join("home/async"));
        command.env("ANSIBLE_LOCALHOST_WARNING", "false").env("ANSIBLE_INVENTORY_UNPARSED_WARNING", "false");
        // Ansible refuses to work in any other encoding.
        command.env("LC_ALL", "C.UTF-8");
        Ok(command)
    }
}
