//! What ansible-core has run on a Windows host for a task: it comes of the version that is installed, and of the
//! collection ansible.windows.

use std::env;
use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::ansible::Version;
use crate::{folders, interop};

/// A process for a task, as a connection is asked for it.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The program's name.
    pub executable: String,
    /// Everything behind it.
    pub arguments: String,
    /// Its standard input.
    pub stdin: String,
}

impl Payload {
    /// That of a module of ansible.windows with these arguments, as they are written in an ad-hoc task.
    ///
    /// # Errors
    /// Ansible or the collection is missing, or the task is not one single process.
    pub fn of(version: Version, module: &str, arguments: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let collection = interop::collections().join("ansible_collections/ansible/windows");
        ensure!(collection.exists(), "{} is missing: run `cargo xtask test`", collection.display());
        let folder = folders::target().join("tasks");
        fs::create_dir_all(&folder)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let recording = folder.join(format!("{}-payload-{count}.json", std::process::id()));

        let mut ansible = version.command("ansible")?;
        ansible.args(["windows", "--inventory", "windows,", "--connection", "recording"]);
        ansible.args(["--module-name", &format!("ansible.windows.{module}"), "--args", arguments]);
        ansible.env("ANSIBLE_CONNECTION_PLUGINS", folders::repository().join("tests/powershell"));
        ansible.env("ANSIBLE_COLLECTIONS_PATH", env::join_paths([interop::collections()])?);
        ansible.env("RECORDING", &recording).env("PYTHONDONTWRITEBYTECODE", "1");
        let output = ansible.stdin(Stdio::null()).output().context("ansible does not start")?;
        let recorded = fs::read_to_string(&recording);
        let _ = fs::remove_file(&recording);
        ensure!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );

        let recorded: Value = serde_json::from_str(&recorded.context("ansible has run nothing")?)?;
        let text = |name: &str| recorded[name].as_str().with_context(|| format!("no {name} was recorded"));
        let (executable, arguments) =
            text("command")?.split_once(' ').context("a program without arguments")?;
        Ok(Self {
            executable: executable.to_owned(),
            arguments: arguments.to_owned(),
            stdin: text("stdin")?.to_owned(),
        })
    }
}
