//! A process from its start to its end.
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paexec::{Message, MessageBody, StartApp};
use smb_client::{Pipe, Tree};
use tokio::time::sleep;

use crate::deployment::{SILENCE, StartedService};
use crate::error::{At, ErrorKind, Failure, ServiceMisbehaved, Step};
use crate::pipes::{Peer, ServicePipes, StdPipe, StdPipes, read_message, read_to_end, write_and_close};
use crate::process::{Mode, Process};
use crate::report::Output;
use crate::waiting::within;

/// A process that the service is told to start, as soon as this is waited for.
pub(crate) struct RunningProcess<'a> {
    result: Work<'a, (u32, String)>,
    streams: Streams<'a>,
    peer: Peer,
}

/// What came out of a process that has ended.
pub(crate) struct Drained {
    /// `None` where there are no std pipes.
    pub(crate) output: Option<Output>,
    /// The output has come to its end.
    pub(crate) is_closed: bool,
}

/// The standard streams; each is `None` where there is none, or once it has come to its end.
struct Streams<'a> {
    reading: Option<Work<'a, ()>>,
    writing: Option<Work<'a, ()>>,
    /// What has been read so far.
    sinks: Option<Sinks>,
}

#[derive(Clone, Default)]
struct Sinks {
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, ErrorKind>> + Send + 'a>>;

impl<'a> RunningProcess<'a> {
    pub(crate) fn new(service: &'a StartedService<'_>, pipes: ServicePipes, process: &'a Process) -> Self {
        let name = service.name();
        let start = StartApp { process_id: name.number, host: name.host.clone() };
        let start = Message { unique_id: name.unique_id(), body: MessageBody::StartApp(start) }.encode(0);
        let stdin = match &process.mode {
            Mode::Piped { stdin } => stdin.as_slice(),
            Mode::Interactive { .. } | Mode::Detached { .. } => &[],
        };
        RunningProcess {
            result: Box::pin(start_and_wait(pipes.main, start)),
            streams: Streams::of(pipes.std, service.ipc(), stdin),
            peer: pipes.peer,
        }
    }

    /// Tells the service to start the process, and waits for its exit code, or for its id if it is detached, and for what
    /// the service remarks on it. The streams flow meanwhile.
    pub(crate) async fn until_result(&mut self) -> Result<(u32, String), Failure> {
        loop {
            tokio::select! {
                // The start leaves first: a READ of what no process writes stays with the host until the service gives
                // up.
                biased;
                value = &mut self.result => return value.at(Step::StartProcess),
                read = advance(&mut self.streams.reading) => read.at(Step::Run)?,
                written = advance(&mut self.streams.writing) => written.at(Step::Run)?,
            }
        }
    }

    /// Reads what the process has written and nobody has read yet. An end that our own service has promised and that
    /// does not come was lost.
    pub(crate) async fn drain(mut self) -> Result<Drained, Failure> {
        let patience = match self.peer {
            Peer::Ours(_) => PROMISED_END,
            Peer::Other => OUTPUT_PAUSE,
        };
        while self.streams.reading.is_some() {
            let before = self.streams.received();
            tokio::select! {
                read = advance(&mut self.streams.reading) => read.at(Step::Run)?,
                () = sleep(patience) => if self.streams.received() == before {
                    match self.peer {
                        Peer::Ours(_) => return Err(Failure { step: Step::Run, kind: ErrorKind::ResultLost }),
                        Peer::Other => break,
                    }
                }
            }
        }
        let is_closed = self.streams.reading.is_none();
        let code_pages = match self.peer {
            Peer::Ours(code_pages) => Some(code_pages),
            Peer::Other => None,
        };
        let output = self.streams.sinks.map(|Sinks { stdout, stderr }| Output {
            stdout: std::mem::take(&mut *lock(&stdout)),
            stderr: std::mem::take(&mut *lock(&stderr)),
            code_pages,
        });
        Ok(Drained { output, is_closed })
    }
}

impl<'a> Streams<'a> {
    fn of(pipes: Option<StdPipes>, ipc: &'a Tree, stdin: &'a [u8]) -> Self {
        let Some(pipes) = pipes else { return Streams { reading: None, writing: None, sinks: None } };
        let sinks = Sinks::default();
        let Sinks { stdout, stderr } = sinks.clone();
        let reading = async move {
            tokio::try_join!(read(pipes.stdout, ipc, &stdout), read(pipes.stderr, ipc, &stderr)).map(drop)
        };
        let writing = async move { write_and_close(pipes.stdin.open(ipc).await?, stdin).await };
        Streams { reading: Some(Box::pin(reading)), writing: Some(Box::pin(writing)), sinks: Some(sinks) }
    }

    /// Bytes so far.
    fn received(&self) -> usize {
        self.sinks.as_ref().map_or(0, |sinks| lock(&sinks.stdout).len() + lock(&sinks.stderr).len())
    }
}

async fn read(pipe: StdPipe, ipc: &Tree, sink: &Mutex<Vec<u8>>) -> Result<(), ErrorKind> {
    read_to_end(&pipe.open(ipc).await?, sink).await
}

/// START_APP, and the answer to it, which is asked for together with the start: it may come soon.
async fn start_and_wait(main: Pipe, start: Vec<u8>) -> Result<(u32, String), ErrorKind> {
    let ((), answer) = tokio::try_join!(within(HAND_OVER, main.write(start)), read_message(&main))?;
    match answer {
        body @ MessageBody::Ok(_) => Ok(body.result().ok_or(ServiceMisbehaved::NoResult)?),
        _ => Err(ServiceMisbehaved::StartNotConfirmed.into()),
    }
}

/// Goes on with work until it is done, which happens once.
async fn advance(work: &mut Option<Work<'_, ()>>) -> Result<(), ErrorKind> {
    match work {
        None => pending().await,
        Some(unfinished) => {
            let done = unfinished.await;
            *work = None;
            done
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the service may take to take a message in: it takes START_APP at once, but its host may be frozen.
const HAND_OVER: Duration = SILENCE;
/// How long nothing of the output may arrive after the end of the process, although more must come.
const PROMISED_END: Duration = Duration::from_secs(60);
/// How long PAExec's output may pause after the end of the process before it is given up.
const OUTPUT_PAUSE: Duration = Duration::from_secs(5);
