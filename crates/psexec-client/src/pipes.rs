//! The pipes of a run: the main one, with its messages, and those of standard input, output and error.
//!
//! Each pipe has one request in flight at a time. Windows may carry out two reads of one pipe in either order
//! ([MS-SMB2] 3.3.5.2 promises an order only within a compound), and pipes have no offsets that would tell them
//! apart: large reads are quick enough, and never mixed up.
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use paexec::{CodePages, Message, MessageBody, PipeNames};
use smb_client::{NtStatus, Pipe, PipeAccess, PipeRead, Repetition, Tree};

use crate::deployment::StartedService;
use crate::error::{At, ErrorKind, Failure, ServiceMisbehaved, Step};
use crate::process::{Mode, Process};
use crate::settings;
use crate::waiting::{Pauses, within};

/// Connections to a service that knows its settings.
pub(crate) struct ServicePipes {
    pub(crate) main: Pipe,
    pub(crate) peer: Peer,
    /// `None` for a process that has none.
    pub(crate) std: Option<StdPipes>,
}

/// Who serves the pipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Our own service, which tells the host's code pages, and ends the output soon after the process in any case.
    Ours(CodePages),
    /// PAExec, which leaves the end of the output to whoever still holds the pipe, or another one.
    Other,
}

/// The pipes of the process's standard streams.
pub(crate) struct StdPipes {
    pub(crate) stdout: StdPipe,
    pub(crate) stderr: StdPipe,
    pub(crate) stdin: StdPipe,
}

/// A pipe of a standard stream. Our service has made it when it has started; PAExec makes it in answer to START_APP.
pub(crate) struct StdPipe {
    name: String,
    access: PipeAccess,
    opened: Option<Pipe>,
}

impl ServicePipes {
    /// Opens the main pipe, together with the settings and their answer, and the std pipes; marks the service for
    /// deletion meanwhile.
    ///
    /// RStartServiceW may return before the service has made its pipes, as that is what the service does first when it
    /// has been told their names: they are asked for again after one millisecond, and then ever more slowly.
    pub(crate) async fn open(service: &mut StartedService<'_>, process: &Process) -> Result<Self, Failure> {
        let ipc = service.ipc().clone();
        let names = service.pipes().clone();
        let settings = settings::encode(service.name(), process).at(Step::StartProcess)?;
        let mut std = matches!(process.mode, Mode::Piped { .. }).then(|| StdPipes::of(&names));
        let started = Instant::now();
        let mut asked = started;
        let mut pauses = Pauses::new();
        loop {
            let (main, opened, marked) = tokio::join!(
                within(OPEN, open_main(&ipc, &names.main, &settings)),
                StdPipes::try_open(&mut std, &ipc),
                service.mark_for_delete(),
            );
            marked.at(Step::StartService)?;
            opened.at(Step::StartProcess)?;
            match main {
                Ok((main, peer)) => return Ok(ServicePipes { main, peer, std }),
                Err(error) if !is_missing(&error) => {
                    return Err(Failure { step: Step::OpenPipe, kind: error });
                }
                Err(_) if started.elapsed() >= OPEN => {
                    return Err(Failure { step: Step::OpenPipe, kind: ErrorKind::NoPipe(OPEN) });
                }
                Err(_) => {}
            }
            if asked.elapsed() >= ASK_SERVICE {
                service.check_running().await.at(Step::OpenPipe)?;
                asked = Instant::now();
            }
            pauses.pause().await;
        }
    }
}

/// Opens the main pipe and exchanges SETTINGS for OK, in one wait for the server.
async fn open_main(ipc: &Tree, name: &str, settings: &[u8]) -> Result<(Pipe, Peer), ErrorKind> {
    // A service that was told twice would answer twice, and the second answer be taken for that to the start.
    let (pipe, answer) = ipc.open_pipe_and_transceive(name, settings, Repetition::Forbidden).await?;
    match decode(&answer.bytes)? {
        MessageBody::Ok(payload) => Ok((pipe, CodePages::decode(&payload).map_or(Peer::Other, Peer::Ours))),
        _ => Err(ServiceMisbehaved::SettingsNotConfirmed.into()),
    }
}

impl StdPipes {
    fn of(names: &PipeNames) -> Self {
        let pipe = |name: &String, access| StdPipe { name: name.clone(), access, opened: None };
        StdPipes {
            stdout: pipe(&names.stdout, PipeAccess::Read),
            stderr: pipe(&names.stderr, PipeAccess::Read),
            stdin: pipe(&names.stdin, PipeAccess::Write),
        }
    }

    /// Opens those that are wanted and there, and not open yet.
    async fn try_open(wanted: &mut Option<Self>, ipc: &Tree) -> Result<(), ErrorKind> {
        let Some(StdPipes { stdout, stderr, stdin }) = wanted else { return Ok(()) };
        let (stdout, stderr, stdin) =
            tokio::join!(stdout.try_open(ipc), stderr.try_open(ipc), stdin.try_open(ipc));
        stdout.and(stderr).and(stdin)
    }
}

impl StdPipe {
    /// Opens it if it is there already. One that is open stays so: it has one client in its life.
    async fn try_open(&mut self, ipc: &Tree) -> Result<(), ErrorKind> {
        if self.opened.is_some() {
            return Ok(());
        }
        match within(OPEN, ipc.open_pipe(&self.name, self.access)).await {
            Ok(pipe) => self.opened = Some(pipe),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Opens it, and waits for a service that makes it only now.
    pub(crate) async fn open(mut self, ipc: &Tree) -> Result<Pipe, ErrorKind> {
        let started = Instant::now();
        let mut pauses = Pauses::new();
        loop {
            if let Some(pipe) = self.opened {
                return Ok(pipe);
            }
            self.try_open(ipc).await?;
            if self.opened.is_none() {
                if started.elapsed() >= OPEN {
                    return Err(ErrorKind::NoPipe(OPEN));
                }
                pauses.pause().await;
            }
        }
    }
}

/// Reads a pipe to its end. Bytes arrive in `sink` as they come, so that nothing is lost when this is dropped.
pub(crate) async fn read_to_end(pipe: &Pipe, sink: &Mutex<Vec<u8>>) -> Result<(), ErrorKind> {
    while let PipeRead::Data(data) = pipe.read(READ_LENGTH).await? {
        sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&data.bytes);
    }
    Ok(())
}

/// Writes all of `data` and closes the pipe, so that the process sees its end. A process that does not want to read
/// so much is no error.
pub(crate) async fn write_and_close(pipe: Pipe, data: &[u8]) -> Result<(), ErrorKind> {
    pipe.write_all(data, WRITE_LENGTH).await?;
    Ok(pipe.close().await?)
}

/// Reads the next message of the main pipe, however long that takes.
pub(crate) async fn read_message(pipe: &Pipe) -> Result<MessageBody, ErrorKind> {
    let mut bytes = Vec::new();
    loop {
        let PipeRead::Data(data) = pipe.read(MESSAGE_LENGTH).await? else {
            return Err(ServiceMisbehaved::PipeClosed.into());
        };
        bytes.extend_from_slice(&data.bytes);
        if data.is_whole {
            return decode(&bytes);
        }
        if bytes.len() > MAX_MESSAGE {
            return Err(ServiceMisbehaved::MessageTooLong.into());
        }
    }
}

/// A message of the service; FAILED is an error in its own words.
fn decode(bytes: &[u8]) -> Result<MessageBody, ErrorKind> {
    match Message::decode(bytes) {
        Ok(Message { body: MessageBody::Failed(text), .. }) => {
            Err(ErrorKind::Process(text.trim_end().into()))
        }
        Ok(message) => Ok(message.body),
        Err(error) => Err(ServiceMisbehaved::from(error).into()),
    }
}

fn is_missing(error: &ErrorKind) -> bool {
    matches!(
        error,
        ErrorKind::Status {
            status: NtStatus::OBJECT_NAME_NOT_FOUND
                | NtStatus::PIPE_NOT_AVAILABLE
                | NtStatus::INSTANCE_NOT_AVAILABLE,
            ..
        }
    )
}

/// How long a started service may take to make its pipes.
const OPEN: Duration = Duration::from_secs(30);
/// How often the service manager is asked meanwhile whether the service still runs.
const ASK_SERVICE: Duration = Duration::from_secs(1);
/// Bytes that one read of standard output asks for: what a pipe holds at most, as our service makes it.
const READ_LENGTH: u32 = 512 * 1024;
/// Bytes of standard input that one write carries.
const WRITE_LENGTH: u32 = 256 * 1024;
/// A message of the main pipe; only a long error text comes near.
const MESSAGE_LENGTH: u32 = 64 * 1024;
/// More than that is no message of the service.
const MAX_MESSAGE: usize = 1 << 20;
