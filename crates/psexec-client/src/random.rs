//! Random numbers, and the names that are made of them.
use paexec::{Naming, PipeSecret, RunName};

use crate::error::ErrorKind;

pub(crate) fn random() -> Result<u32, ErrorKind> {
    getrandom::u32().map_err(|error| ErrorKind::Internal(error.to_string()))
}

/// A name for a run from this machine. Ours have the top bit set, see [`RunName::is_ours`].
pub(crate) fn run_name(naming: Naming) -> Result<RunName, ErrorKind> {
    Ok(RunName { naming, number: random()? | 1 << 31, host: local_host_name() })
}

/// What the pipes of a run are named after.
pub(crate) fn pipe_secret() -> Result<PipeSecret, ErrorKind> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| ErrorKind::Internal(error.to_string()))?;
    Ok(PipeSecret::new(bytes))
}

/// This machine's name, of characters that file, service and pipe names can have.
fn local_host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let first_label = name.trim().split('.').next().unwrap_or_default();
    let usable: String = first_label
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .take(32)
        .collect();
    if usable.is_empty() { "controller".into() } else { usable }
}
