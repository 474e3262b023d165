//! What ends a module before it has done its work: signals, by which users and Ansible end it, and that nobody listens to it
//! any more.

use std::io;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Waits for SIGTERM, SIGINT or SIGHUP, or until nobody reads the module's standard output any more.
#[derive(Debug)]
pub struct Interruption {
    signals: [(&'static str, Signal); 3],
    listener: oneshot::Receiver<()>,
}

impl Interruption {
    pub(crate) fn listen() -> io::Result<Self> {
        let signals = [
            ("SIGTERM", signal(SignalKind::terminate())?),
            ("SIGINT", signal(SignalKind::interrupt())?),
            ("SIGHUP", signal(SignalKind::hangup())?),
        ];
        let (gone, listener) = oneshot::channel();
        thread::Builder::new().stack_size(STACK).spawn(move || {
            if let Ok(()) = await_end_of_listener() {
                let _ = gone.send(());
            }
        })?;
        Ok(Self { signals, listener })
    }

    /// Name of the first that comes.
    ///
    /// Ansible sends no signal when a task's `timeout` is over: it fails the task, and is gone with its end of the pipe.
    pub async fn arrival(&mut self) -> &'static str {
        let [(terminate_name, terminate), (interrupt_name, interrupt), (hangup_name, hangup)] =
            &mut self.signals;
        tokio::select! {
            _ = terminate.recv() => terminate_name,
            _ = interrupt.recv() => interrupt_name,
            _ = hangup.recv() => hangup_name,
            Ok(()) = &mut self.listener, if !self.listener.is_terminated() => "the end of its reader",
        }
    }
}

/// Returns when the other end of standard output is closed, which a pipe, a socket and a terminal tell. A file, and what
/// else may be read at any time, has no such end. In a thread of its own: tokio watches what it is given for itself alone.
fn await_end_of_listener() -> io::Result<()> {
    let output = io::stdout();
    // Of no event but those that are always told: error and hang-up.
    let mut watched = [PollFd::new(&output, PollFlags::empty())];
    loop {
        match poll(&mut watched, None) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Bytes of the stack of a thread that does nothing but wait.
const STACK: usize = 64 * 1024;
