//! The process's standard streams, carried between its own pipes and the client's.
//!
//! The service stands between the two, so that a client that is gone neither blocks the process nor ends it.

use std::io;
use std::os::windows::io::AsHandle;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use paexec::PipeNames;

use crate::pipe::{Direction, Outcome, Pipe};
use crate::process::StandardStreams;
use crate::wait::{Event, Wake};

/// What may happen while streams are carried.
#[derive(Debug)]
pub(crate) struct Events {
    /// The service is to stop.
    pub(crate) stop: Arc<Event>,
    /// Nobody listens to the run any more.
    pub(crate) client_gone: Event,
    /// The process itself has ended; what it has started may live on and hold its streams.
    pub(crate) process_ended: Event,
}

impl Events {
    pub(crate) fn new(stop: &Arc<Event>) -> io::Result<Self> {
        Ok(Self { stop: Arc::clone(stop), client_gone: Event::new()?, process_ended: Event::new()? })
    }
}

/// The client's three pipes.
pub(crate) struct ClientPipes {
    pub(crate) names: PipeNames,
    stdout: Pipe,
    stderr: Pipe,
    stdin: Pipe,
}

impl ClientPipes {
    pub(crate) fn create(names: &PipeNames) -> io::Result<Self> {
        Ok(Self {
            stdout: Pipe::stream_server(&names.stdout, Direction::Outbound)?,
            stderr: Pipe::stream_server(&names.stderr, Direction::Outbound)?,
            stdin: Pipe::stream_server(&names.stdin, Direction::Inbound)?,
            names: names.clone(),
        })
    }

    /// Waits until the client has opened all three.
    pub(crate) fn connect(&self, events: &Events, deadline: Instant) -> io::Result<Outcome> {
        let interrupts = [events.stop.as_handle(), events.client_gone.as_handle()];
        for pipe in [&self.stdout, &self.stderr, &self.stdin] {
            let outcome = pipe.connect(&interrupts, Some(deadline))?;
            if let Outcome::Interrupted(_) = outcome {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Done(0))
    }

    /// Starts the threads that carry the streams.
    pub(crate) fn carry(self, process: ProcessPipes, events: &Arc<Events>) -> io::Result<Carriers> {
        Ok(Carriers {
            stdout: carry_output(process.stdout, self.stdout, events)?,
            stderr: carry_output(process.stderr, self.stderr, events)?,
            stdin: carry_input(self.stdin, Some(process.stdin), events)?,
        })
    }

    /// For a process that did not start: ends its output, and swallows its input until the client knows.
    pub(crate) fn swallow(self, events: &Arc<Events>) -> io::Result<JoinHandle<()>> {
        carry_input(self.stdin, None, events)
    }
}

/// The service's ends of the process's own pipes.
#[derive(Debug)]
pub(crate) struct ProcessPipes {
    stdout: Pipe,
    stderr: Pipe,
    stdin: Pipe,
}

impl ProcessPipes {
    /// Returns the process's ends as well.
    pub(crate) fn create() -> io::Result<(Self, StandardStreams)> {
        let (stdin, process_stdin) = Pipe::to_process(Direction::Outbound)?;
        let (stdout, process_stdout) = Pipe::to_process(Direction::Inbound)?;
        let (stderr, process_stderr) = Pipe::to_process(Direction::Inbound)?;
        let streams =
            StandardStreams::Pipes { stdin: process_stdin, stdout: process_stdout, stderr: process_stderr };
        Ok((Self { stdout, stderr, stdin }, streams))
    }
}

/// The threads that carry streams.
pub(crate) struct Carriers {
    stdout: JoinHandle<()>,
    stderr: JoinHandle<()>,
    stdin: JoinHandle<()>,
}

impl Carriers {
    /// Waits until all output has been written to the client's pipes, and these have been closed. Returns the thread
    /// that swallows what still comes as input, until the client is gone.
    pub(crate) fn finish_output(self) -> JoinHandle<()> {
        // With panics that abort there is no other end than the orderly one.
        let _ = self.stdout.join();
        let _ = self.stderr.join();
        self.stdin
    }
}

fn carry_output(source: Pipe, sink: Pipe, events: &Arc<Events>) -> io::Result<JoinHandle<()>> {
    let events = Arc::clone(events);
    Builder::new().spawn(move || {
        Output { source, sink: Some(sink), events, tail: None }.carry();
    })
}

/// One output stream: from the process, to the client or, if he is gone, to nowhere.
struct Output {
    source: Pipe,
    sink: Option<Pipe>,
    events: Arc<Events>,
    tail: Option<Tail>,
}

/// What is still to come when the process has ended.
struct Tail {
    /// Bytes that were in the pipe at that moment: all that the process had written is among them.
    present: usize,
    /// Until then, more is taken from what the process has started.
    deadline: Instant,
}

impl Output {
    fn carry(mut self) {
        let mut buffer = vec![0; CHUNK];
        while let Some(count) = self.next_chunk(&mut buffer) {
            self.deliver(buffer.get(..count).unwrap_or_default());
        }
    }

    /// Bytes from the process; `None` at the end.
    fn next_chunk(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if self.tail.is_none() && self.events.process_ended.is_set() {
            let present = self.source.available().unwrap_or(0);
            self.tail = Some(Tail { present, deadline: Instant::now() + PATIENCE_WITH_DESCENDANTS });
        }
        let stop = self.events.stop.as_handle();
        let outcome = match &mut self.tail {
            None => {
                let outcome = self.source.read(buffer, &[stop, self.events.process_ended.as_handle()], None);
                if matches!(outcome, Ok(Outcome::Interrupted(Wake::Handle(1)))) {
                    return Some(0);
                }
                outcome
            }
            Some(tail) if tail.present > 0 => {
                let outcome = self.source.read(buffer, &[stop], None);
                if let Ok(Outcome::Done(count)) = outcome {
                    tail.present = tail.present.saturating_sub(count);
                }
                outcome
            }
            Some(tail) if Instant::now() >= tail.deadline => return None,
            Some(tail) => {
                let interrupts = [stop, self.events.client_gone.as_handle()];
                self.source.read(buffer, &interrupts, Some(tail.deadline))
            }
        };
        match outcome {
            Ok(Outcome::Done(count) | Outcome::MoreData(count)) => Some(count),
            Ok(Outcome::Interrupted(_)) | Err(_) => None,
        }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        let Some(sink) = &self.sink else { return };
        let interrupts = [self.events.stop.as_handle(), self.events.client_gone.as_handle()];
        if !matches!(sink.write_all(bytes, &interrupts, None), Ok(Outcome::Done(_))) {
            self.sink = None;
        }
    }
}

/// The input stream: from the client to the process, until one of them closes it. What comes after the process has
/// closed its end is swallowed: a client that still writes must not fail, but read the result.
fn carry_input(source: Pipe, mut sink: Option<Pipe>, events: &Arc<Events>) -> io::Result<JoinHandle<()>> {
    let events = Arc::clone(events);
    Builder::new().spawn(move || {
        let mut buffer = vec![0; CHUNK];
        let gone = [events.stop.as_handle(), events.client_gone.as_handle()];
        let useless = [events.stop.as_handle(), events.process_ended.as_handle()];
        while let Ok(Outcome::Done(count)) = source.read(&mut buffer, &gone, None) {
            let bytes = buffer.get(..count).unwrap_or_default();
            let taken = sink.as_ref().map(|sink| sink.write_all(bytes, &useless, None));
            if !matches!(taken, Some(Ok(Outcome::Done(_)))) {
                sink = None;
            }
        }
    })
}

/// As much as a pipe holds.
const CHUNK: usize = 64 * 1024;

/// How long a descendant that holds the process's output may go on writing to it after the process has ended.
const PATIENCE_WITH_DESCENDANTS: Duration = Duration::from_secs(2);
