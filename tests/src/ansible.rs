//! Ansible's programs, with the collection in their path.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use anyhow::{Result, ensure};

use crate::folders;
use crate::report::not_run;

/// One of the usual version's programs, for example `ansible-playbook`.
pub fn command(program: &str) -> Result<Command> {
    Version::Usual.command(program)
}

/// Runs a test with each version of Ansible that this machine has the Python for, side by side, and says which are left out:
/// for what Ansible itself decides, and the action plugin asks of it.
#[track_caller]
pub fn with_every_version(test: impl Fn(Version) + Sync) {
    with_versions(&Version::ALL, test);
}

/// Like [`with_every_version`], but with two of them: for what is the program's, which is started the same way by all.
#[track_caller]
pub fn with_oldest_and_usual_version(test: impl Fn(Version) + Sync) {
    with_versions(&[Version::Oldest, Version::Usual], test);
}

#[track_caller]
fn with_versions(versions: &[Version], test: impl Fn(Version) + Sync) {
    thread::scope(|scope| {
        for &version in versions {
            let name = format!("ansible-core {}", version.number());
            if let Ok(reason) = fs::read_to_string(version.missing()) {
                not_run(&format!("{name}: {reason}"));
                continue;
            }
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
    /// The newest that every supported Debian has the Python for: what is not about versions is done with it.
    Usual,
    /// The one between the last and the next.
    Newer,
    /// The newest that there is.
    Newest,
}

impl Version {
    /// Every version that the tests run with.
    pub const ALL: [Self; 4] = [Self::Oldest, Self::Usual, Self::Newer, Self::Newest];

    /// Its number, without that of the patch.
    pub fn number(self) -> &'static str {
        match self {
            Self::Oldest => "2.16",
            Self::Usual => "2.19",
            Self::Newer => "2.20",
            Self::Newest => "2.21",
        }
    }

    /// The minor number of the oldest Python 3 that it runs with.
    pub fn oldest_python(self) -> u32 {
        match self {
            Self::Oldest => 10,
            Self::Usual => 11,
            Self::Newer | Self::Newest => 12,
        }
    }

    /// The file that says why it is not installed, if it cannot be.
    pub fn missing(self) -> PathBuf {
        folders::ansible().join(format!("{}.missing", self.number()))
    }

    /// The virtual environment that it is installed in.
    pub fn environment(self) -> PathBuf {
        folders::ansible().join(self.number())
    }

    /// One of its programs.
    pub fn command(self, program: &str) -> Result<Command> {
        let path = self.environment().join("bin").join(program);
        let program = folders::collections()
            .join("ansible_collections/native/windows")
            .join(folders::program_in_collection(env::consts::ARCH));
        for needed in [&path, &program] {
            ensure!(needed.exists(), "{} is missing: run `cargo xtask test`", needed.display());
        }
        let mut command = Command::new(path);
        command.env("ANSIBLE_COLLECTIONS_PATH", folders::collections());
        command.env("ANSIBLE_HOME", self.environment().join("home"));
        // `become` has to do its work for root, too, who runs the tests.
        command.env("ANSIBLE_BECOME_ALLOW_SAME_USER", "true");
        command.env("ANSIBLE_ASYNC_DIR", self.environment().join("home/async"));
        command.env("ANSIBLE_LOCALHOST_WARNING", "false").env("ANSIBLE_INVENTORY_UNPARSED_WARNING", "false");
        // Not told of itself from 2.21 on.
        command.env("ANSIBLE_INJECT_INVOCATION", "true");
        // Ansible refuses to work in any other encoding.
        command.env("LC_ALL", "C.UTF-8");
        Ok(command)
    }
}
