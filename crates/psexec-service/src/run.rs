//! One run: from START_APP to the result.

use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use paexec::{Message, MessageBody, Settings, TIMED_OUT};
use windows_sys::Win32::Foundation::ERROR_TIMEOUT;

use crate::conversation::failed;
use crate::failure::Failure;
use crate::pipe::{Outcome, Pipe};
use crate::process::{Process, StandardStreams};
use crate::stream::{ClientPipes, Events, ProcessPipes};
use crate::wait::{Event, Wake, wait_any};
use crate::wide::{OrFailure, system_error};

/// How long a client may take for his next step.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The client has his result.
    Delivered,
    /// The client was gone before.
    ClientGone,
    /// The service is to stop.
    Stopped,
}

/// A client who has asked for a process.
pub(crate) struct Run {
    main: Arc<Pipe>,
    events: Arc<Events>,
    unique_id: u32,
    is_for_our_client: bool,
    /// Threads that end when the client is gone.
    threads: Vec<JoinHandle<()>>,
}

impl Run {
    /// Watches over the client from now on.
    pub(crate) fn new(
        main: &Arc<Pipe>,
        stop: &Arc<Event>,
        unique_id: u32,
        is_for_our_client: bool,
    ) -> io::Result<Self> {
        let events = Arc::new(Events::new(stop)?);
        let watcher = watch_client(main, &events)?;
        Ok(Self { main: Arc::clone(main), events, unique_id, is_for_our_client, threads: vec![watcher] })
    }

    /// Starts the process, waits for its end and answers. `client_pipes` are not used by a process without streams.
    pub(crate) fn perform(
        mut self,
        settings: &Settings,
        client_pipes: impl FnOnce() -> io::Result<ClientPipes>,
    ) -> End {
        let end = match self.execute(settings, client_pipes) {
            Ok(Execution::Started(process)) => {
                // Whoever has the service stopped before there is an answer does not want the process.
                let end = match self.events.stop.is_set() {
                    true => End::Stopped,
                    false => self.answer(self.result(process.id(), &process)),
                };
                match end {
                    End::Stopped => process.end(ENDED),
                    End::Delivered | End::ClientGone => process.leave_running(),
                }
                end
            }
            Ok(Execution::Ended(process, exit_code)) => {
                let end = self.answer(self.result(exit_code, &process));
                match end {
                    End::Delivered => process.release(),
                    // What it has started and left running.
                    End::ClientGone | End::Stopped => process.end(ENDED),
                }
                end
            }
            Ok(Execution::Abandoned) => self.end(),
            Err(failure) => self.answer(MessageBody::Failed(failure.to_string())),
        };
        if end == End::Delivered {
            // What fails here ends the wait early, no more.
            let _ = wait_any(&self.interrupts(), Some(Instant::now() + PATIENCE));
        }
        self.events.client_gone.set();
        for thread in self.threads {
            // With panics that abort there is no other end than the orderly one.
            let _ = thread.join();
        }
        end
    }

    fn execute(
        &mut self,
        settings: &Settings,
        client_pipes: impl FnOnce() -> io::Result<ClientPipes>,
    ) -> Result<Execution, Failure> {
        if settings.asynchronous {
            let started = self.start(settings, StandardStreams::Console)?;
            return Ok(started.map_or(Execution::Abandoned, Execution::Started));
        }
        if settings.interactive {
            return match self.start(settings, StandardStreams::Console)? {
                Some(process) => self.wait_for_end(process, settings),
                None => Ok(Execution::Abandoned),
            };
        }
        let client_pipes =
            client_pipes().or_failure(|| "Failed to create the pipes of the streams.".to_owned())?;
        let step = || "Failed to connect the pipes of the streams.".to_owned();
        match client_pipes.connect(&self.events, Instant::now() + PATIENCE).or_failure(step)? {
            Outcome::Interrupted(Wake::Handle(_)) => return Ok(Execution::Abandoned),
            Outcome::Interrupted(Wake::TimedOut) => {
                return Err(system_error(ERROR_TIMEOUT)).or_failure(step);
            }
            Outcome::Done(_) | Outcome::MoreData(_) => {}
        }
        self.execute_with_streams(settings, client_pipes)
    }

    fn execute_with_streams(
        &mut self,
        settings: &Settings,
        client_pipes: ClientPipes,
    ) -> Result<Execution, Failure> {
        let step = || "Failed to create the streams of the process.".to_owned();
        let (process_pipes, streams) = ProcessPipes::create().or_failure(step)?;
        let process = match self.start(settings, streams) {
            Ok(Some(process)) => process,
            Ok(None) => return Ok(Execution::Abandoned),
            Err(failure) => {
                self.threads.push(client_pipes.swallow(&self.events).or_failure(step)?);
                return Err(failure);
            }
        };
        let carriers = match client_pipes.carry(process_pipes, &self.events).or_failure(step) {
            Ok(carriers) => carriers,
            Err(failure) => {
                process.end(ENDED);
                return Err(failure);
            }
        };
        let execution = self.wait_for_end(process, settings);
        self.threads.push(carriers.finish_output());
        execution
    }

    /// `None` if the service is to stop: START_APP may have been in the pipe before that.
    fn start(&self, settings: &Settings, streams: StandardStreams) -> Result<Option<Process>, Failure> {
        Process::start(settings, &self.main, streams, || !self.events.stop.is_set())
    }

    /// Waits for the end, or brings it about when the time is up or the service is to stop. A client who is gone
    /// changes nothing here: the process may be in the middle of something.
    fn wait_for_end(&self, process: Process, settings: &Settings) -> Result<Execution, Failure> {
        let seconds = u64::from(settings.timeout_seconds);
        let deadline = (seconds != 0).then(|| Instant::now() + Duration::from_secs(seconds));
        let handles = [self.events.stop.as_handle(), process.as_handle()];
        let step = || "Failed to wait for the process.".to_owned();
        let wake = wait_any(&handles, deadline).or_failure(step)?;
        let exit_code = match wake {
            Wake::Handle(0) => {
                process.end(ENDED);
                None
            }
            Wake::Handle(_) => Some(process.exit_code().or_failure(step)?),
            Wake::TimedOut => {
                process.end(TIMED_OUT);
                Some(TIMED_OUT)
            }
        };
        self.events.process_ended.set();
        Ok(match exit_code {
            Some(exit_code) => Execution::Ended(process, exit_code),
            None => Execution::Abandoned,
        })
    }

    /// With a remark for those who expect one.
    fn result(&self, value: u32, process: &Process) -> MessageBody {
        let remark = process.without_profile().filter(|_| self.is_for_our_client);
        MessageBody::from_result(value, &remark.map(ToString::to_string).unwrap_or_default())
    }

    fn answer(&self, body: MessageBody) -> End {
        let message = match body {
            MessageBody::Failed(text) => failed(self.unique_id, text),
            body => Message { unique_id: self.unique_id, body },
        };
        let written =
            self.main.write_all(&message.encode(0), &self.interrupts(), Some(Instant::now() + PATIENCE));
        match written {
            Ok(Outcome::Done(_)) => End::Delivered,
            _ => self.end(),
        }
    }

    /// How a run ends that does not deliver its result.
    fn end(&self) -> End {
        if self.events.stop.is_set() { End::Stopped } else { End::ClientGone }
    }

    fn interrupts(&self) -> [BorrowedHandle<'_>; 2] {
        [self.events.stop.as_handle(), self.events.client_gone.as_handle()]
    }
}

/// A client who writes once more, or closes the pipe, is not listened to any longer.
fn watch_client(main: &Arc<Pipe>, events: &Arc<Events>) -> io::Result<JoinHandle<()>> {
    let (main, events) = (Arc::clone(main), Arc::clone(events));
    Builder::new().spawn(move || {
        let interrupts = [events.stop.as_handle(), events.client_gone.as_handle()];
        let _ = main.read(&mut [0], &interrupts, None);
        events.client_gone.set();
    })
}

/// What became of the process.
enum Execution {
    /// It runs, and nobody waits for it.
    Started(Process),
    /// It has ended with this exit code; what it has started may still run.
    Ended(Process, u32),
    /// It was ended, or not even started, because there is nobody to tell.
    Abandoned,
}

/// Exit code of a process that was ended and has nobody to tell, as that of a program that Task Manager ends.
const ENDED: u32 = 1;
