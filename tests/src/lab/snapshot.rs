//! What is on the host, to be compared with what was there before.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Lab;

/// Programs that Wine starts by itself and keeps.
const WINES_OWN: [&str; 9] = [
    "conhost.exe",
    "explorer.exe",
    "plugplay.exe",
    "relay.exe",
    "rpcss.exe",
    "services.exe",
    "start.exe",
    "svchost.exe",
    "winedevice.exe",
];

/// The services, files and processes of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Names of services.
    pub services: BTreeSet<String>,
    /// Files below `C:\windows`, relative to it.
    pub files: BTreeSet<String>,
    /// Processes but Wine's own, as `PID NAME`.
    pub processes: BTreeSet<String>,
}

impl Snapshot {
    /// What is in this snapshot and was not in `before`; empty if nothing is.
    pub fn since(&self, before: &Self) -> Vec<String> {
        let new = |kind: &str, now: &BTreeSet<String>, then: &BTreeSet<String>| {
            now.difference(then).map(|name| format!("{kind} {name}")).collect::<Vec<_>>()
        };
        [
            new("service", &self.services, &before.services),
            new("file", &self.files, &before.files),
            new("process", &self.processes, &before.processes),
        ]
        .concat()
    }
}

impl Lab {
    /// What is on the host now.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        for line in self.inventory()?.lines() {
            if let Some(name) = line.strip_prefix("service ") {
                snapshot.services.insert(name.to_owned());
            } else if let Some(process) = line.strip_prefix("process ")
                && !WINES_OWN.iter().any(|own| process.ends_with(&format!(" {own}")))
            {
                snapshot.processes.insert(process.to_owned());
            }
        }
        let windows = self.drive_c().join("windows");
        collect_files(&windows, &windows, &mut snapshot.files)?;
        Ok(snapshot)
    }
}

fn collect_files(top: &Path, folder: &Path, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect_files(top, &path, found)?;
        } else {
            found.insert(path.strip_prefix(top)?.to_string_lossy().into_owned());
        }
    }
    Ok(())
}
