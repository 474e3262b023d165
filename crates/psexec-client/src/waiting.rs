//! Bounds of what is waited for, and the pauses between two tries.
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::error::ErrorKind;

/// Bounds a wait.
pub(crate) async fn within<T, E: Into<ErrorKind>>(
    bound: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, ErrorKind> {
    timeout(bound, work).await.map_err(|_| ErrorKind::TimedOut(bound))?.map_err(Into::into)
}

/// Pauses of one millisecond and then ever longer ones: what is about to happen on the host is seen at once, and what
/// takes its time is not asked for too often.
pub(crate) struct Pauses {
    next: Duration,
}

impl Pauses {
    /// The longest pause.
    pub(crate) const LONGEST: Duration = Duration::from_millis(250);

    pub(crate) fn new() -> Self {
        Pauses { next: Duration::from_millis(1) }
    }

    pub(crate) async fn pause(&mut self) {
        sleep(self.next).await;
        self.next = (self.next * 2).min(Self::LONGEST);
    }

    /// Whether the next one is as long as any can be.
    pub(crate) fn are_longest(&self) -> bool {
        self.next == Self::LONGEST
    }
}

/// Bound of an ordinary request: a host under load, or one whose antivirus looks closely.
pub(crate) const REQUEST: Duration = Duration::from_secs(60);
