//! What a run did and when, for whoever asks with `-vvv`. Never a secret, never a payload.
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A step of the run.
#[derive(Debug, Clone)]
pub struct TraceEntry {
    /// Since the start of the run, or of the first one where a [`Host`](crate::Host) has had several.
    pub at: Duration,
    /// What happened, in a short sentence.
    pub what: String,
}

/// Collects the steps of what is done on one host.
pub(crate) struct Trace {
    start: Instant,
    entries: Mutex<Vec<TraceEntry>>,
}

impl Trace {
    pub(crate) fn start() -> Self {
        Trace { start: Instant::now(), entries: Mutex::new(Vec::new()) }
    }

    pub(crate) fn note(&self, what: impl Into<String>) {
        if let Ok(mut entries) = self.entries.lock() {
            entries.push(TraceEntry { at: self.start.elapsed(), what: what.into() });
        }
    }

    /// What was noted since it was last taken.
    pub(crate) fn take(&self) -> Vec<TraceEntry> {
        self.entries.lock().map(|mut entries| std::mem::take(&mut *entries)).unwrap_or_default()
    }
}
