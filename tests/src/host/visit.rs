//! The probe program on the host that the environment names, for as long as tests run there.

use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::process::Child;

use anyhow::{Result, ensure};

use super::named::Named;
use super::share::Share;
use crate::lab::Parts;

/// The variable that tells the tests where the probe is.
pub const PROBE: &str = "PSEXEC_TEST_PROBE";

/// Ends when it is dropped, or when this program ends, whatever ends it: the probe is removed.
pub struct Visit {
    probe: String,
    keeper: Option<Child>,
}

impl Visit {
    /// Brings the probe.
    pub fn begin(named: &Named) -> Result<Self> {
        let program = Parts::build_programs()?.join("probe.exe");
        let share = Share::of(named);
        // Below C:\Windows everybody may run programs; in its folder Temp only administrators may.
        let name = format!("native-windows-probe-{:016x}.exe", RandomState::new().hash_one(0));
        let keeper = Some(share.delete_at_end(&name)?);
        let visit = Self { probe: format!(r"C:\Windows\{name}"), keeper };
        share.put(&program, &name)?;
        Ok(visit)
    }

    /// The probe's path on the host.
    pub fn probe(&self) -> &str {
        &self.probe
    }

    /// Removes the probe; an error if it cannot be.
    pub fn end(mut self) -> Result<()> {
        self.remove_probe()
    }

    fn remove_probe(&mut self) -> Result<()> {
        let Some(mut keeper) = self.keeper.take() else { return Ok(()) };
        drop(keeper.stdin.take());
        let mut said = String::new();
        if let Some(mut stderr) = keeper.stderr.take() {
            stderr.read_to_string(&mut said)?;
        }
        ensure!(keeper.wait()?.success(), "{} cannot be removed: {}", self.probe, said.trim());
        Ok(())
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // Whoever wants to know calls `end`.
        let _ = self.remove_probe();
    }
}
