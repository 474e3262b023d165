//! The signals by which users and Ansible end a module.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGTERM, SIGINT or SIGHUP.
#[derive(Debug)]
pub struct Interruption([(&'static str, Signal); 3]);

impl Interruption {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self([
            ("SIGTERM", signal(SignalKind::terminate())?),
            ("SIGINT", signal(SignalKind::interrupt())?),
            ("SIGHUP", signal(SignalKind::hangup())?),
        ]))
    }

    /// Name of the first signal that comes.
    pub async fn await_signal(&mut self) -> &'static str {
        let [(terminate_name, terminate), (interrupt_name, interrupt), (hangup_name, hangup)] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => terminate_name,
            _ = interrupt.recv() => interrupt_name,
            _ = hangup.recv() => hangup_name,
        }
    }
}
