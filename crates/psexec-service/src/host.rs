//! The service between its start and its end: one client after another.

use std::io;
use std::os::windows::io::AsHandle;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paexec::{CodePages, Message, PipeNames, PipeSecret, RunName, StartApp};
use windows_sys::Win32::Globalization::{GetACP, GetOEMCP};
use zeroize::Zeroizing;

use crate::conversation::{Conversation, LONGEST_MESSAGE, Request, failed};
use crate::pipe::{Outcome, Pipe};
use crate::run::{End, PATIENCE, Run};
use crate::stream::ClientPipes;
use crate::wait::{Event, Wake};

/// Why the service ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It was told to.
    Stopped,
    /// There is no client any more, so nobody else will remove it.
    Abandoned,
}

/// The pipes of the service.
pub(crate) struct Host {
    main_name: String,
    /// Of all pipes, unless only START_APP will tell them.
    names: Option<PipeNames>,
    client: Client,
    main: Arc<Pipe>,
    /// Made before the client asks for them, so that it can open all pipes at once.
    client_pipes: Option<ClientPipes>,
    stop: Arc<Event>,
}

/// Who the service is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    /// Our own, which knows the pipes' secret.
    Ours,
    /// Our own, which takes the service for another's, as `PSEXEC_SERVICE_EXE` makes it do.
    OursWithoutSecret,
    /// Another, such as pypsexec.
    Another,
}

impl Host {
    /// Makes the pipes, named after the secret that our client has started the service with.
    pub(crate) fn of_secret(secret: &PipeSecret, stop: &Arc<Event>) -> io::Result<Self> {
        let names = secret.pipes();
        Self::new(names.main.clone(), Some(names), Client::Ours, stop)
    }

    /// Makes the pipes, named after the executable's file as PAExec's are; `run_name` is what the file's name says.
    pub(crate) fn of_file(
        file_name: &str,
        run_name: Option<&RunName>,
        stop: &Arc<Event>,
    ) -> io::Result<Self> {
        let is_ours = run_name.is_some_and(RunName::is_ours);
        let client = if is_ours { Client::OursWithoutSecret } else { Client::Another };
        Self::new(file_name.to_owned(), run_name.map(RunName::paexec_pipes), client, stop)
    }

    /// All pipes are new and ours, or there are none. The main one comes last: who finds it finds the others.
    fn new(
        main_name: String,
        names: Option<PipeNames>,
        client: Client,
        stop: &Arc<Event>,
    ) -> io::Result<Self> {
        Ok(Self {
            client_pipes: names.as_ref().map(ClientPipes::create).transpose()?,
            main: Arc::new(Pipe::message_server(&main_name)?),
            main_name,
            names,
            client,
            stop: Arc::clone(stop),
        })
    }

    /// Serves clients until one is lost, or none comes for a while.
    pub(crate) fn serve(mut self) -> io::Result<Reason> {
        let mut patience = PATIENCE;
        loop {
            match self.main.connect(&[self.stop.as_handle()], Some(Instant::now() + patience))? {
                Outcome::Interrupted(Wake::Handle(_)) => return Ok(Reason::Stopped),
                Outcome::Interrupted(Wake::TimedOut) => return Ok(Reason::Abandoned),
                Outcome::Done(_) | Outcome::MoreData(_) => {}
            }
            // pypsexec comes again as soon as it has a result, with the next process, and takes a busy pipe for a
            // failure.
            let next = Pipe::next_message_server(&self.main_name)?;
            match self.attend_to_client() {
                End::Stopped => return Ok(Reason::Stopped),
                End::ClientGone => return Ok(Reason::Abandoned),
                End::Delivered => {}
            }
            patience = self.patience_for_the_next();
            self.main = Arc::new(next);
            drop(self.client_pipes.take());
            self.client_pipes = self.names.as_ref().and_then(|names| ClientPipes::create(names).ok());
        }
    }

    /// Our own client comes once, and if it was lost right behind the result, it comes back to look whether the service
    /// has ended. Others let a service run one process after another.
    fn patience_for_the_next(&self) -> Duration {
        match self.client {
            Client::Ours | Client::OursWithoutSecret => PATIENCE_FOR_OURS,
            Client::Another => PATIENCE_FOR_OTHERS,
        }
    }

    /// Talks to one client. One who leaves without a process counts as served.
    fn attend_to_client(&mut self) -> End {
        let deadline = Instant::now() + PATIENCE;
        let mut conversation = Conversation::default();
        loop {
            let request = match self.read_message(deadline) {
                Received::Message(bytes) => conversation.receive(&bytes, code_pages()),
                Received::TooLong => conversation.refuse("The request is too long.".to_owned()),
                Received::Nothing => return self.end_without_run(),
            };
            match request {
                Request::Answer(message) => {
                    if !self.write(&message) {
                        return self.end_without_run();
                    }
                }
                Request::Refuse(message) => {
                    self.write(&message);
                    self.wait_for_departure();
                    return self.end_without_run();
                }
                Request::Start { unique_id, settings, start } => {
                    let is_ours = matches!(self.client, Client::Ours);
                    let Ok(run) = Run::new(&self.main, &self.stop, unique_id, is_ours) else {
                        self.write(&failed(
                            unique_id,
                            "The host has no resources left for a process.\r\n".to_owned(),
                        ));
                        self.wait_for_departure();
                        return self.end_without_run();
                    };
                    let names = self.names_for(&start);
                    let prepared = self.client_pipes.take();
                    return run.perform(&settings, || client_pipes(prepared, &names));
                }
            }
        }
    }

    /// Our client has none of its own to tell.
    fn names_for(&self, start: &StartApp) -> PipeNames {
        match (&self.names, self.client) {
            (Some(names), Client::Ours) => names.clone(),
            _ => start.run_name().paexec_pipes(),
        }
    }

    fn read_message(&self, deadline: Instant) -> Received {
        let mut chunk = Zeroizing::new(vec![0; CHUNK]);
        let mut message = Zeroizing::new(Vec::with_capacity(CHUNK));
        loop {
            let (count, complete) = match self.main.read(&mut chunk, &[self.stop.as_handle()], Some(deadline))
            {
                Ok(Outcome::Done(count)) => (count, true),
                Ok(Outcome::MoreData(count)) => (count, false),
                Ok(Outcome::Interrupted(_)) | Err(_) => return Received::Nothing,
            };
            message.extend_from_slice(chunk.get(..count).unwrap_or_default());
            if message.len() > LONGEST_MESSAGE {
                return Received::TooLong;
            }
            if complete {
                return Received::Message(message);
            }
        }
    }

    fn write(&self, message: &Message) -> bool {
        let deadline = Some(Instant::now() + PATIENCE);
        let outcome = self.main.write_all(&message.encode(0), &[self.stop.as_handle()], deadline);
        matches!(outcome, Ok(Outcome::Done(_)))
    }

    /// Leaves a client who was refused the time to read why, and swallows what he still sends.
    fn wait_for_departure(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut chunk = vec![0; CHUNK];
        while let Ok(Outcome::Done(_) | Outcome::MoreData(_)) =
            self.main.read(&mut chunk, &[self.stop.as_handle()], Some(deadline))
        {}
    }

    fn end_without_run(&self) -> End {
        if self.stop.is_set() { End::Stopped } else { End::Delivered }
    }
}

/// What came of an attempt to read a message.
enum Received {
    Message(Zeroizing<Vec<u8>>),
    TooLong,
    /// The client has left or is silent, or the service is to stop.
    Nothing,
}

/// Those that are there if they bear the right names, else new ones.
fn client_pipes(prepared: Option<ClientPipes>, names: &PipeNames) -> io::Result<ClientPipes> {
    match prepared {
        Some(pipes) if same_pipes(&pipes.names, names) => Ok(pipes),
        other => {
            drop(other);
            ClientPipes::create(names)
        }
    }
}

/// Windows compares pipe names without regard to case.
fn same_pipes(left: &PipeNames, right: &PipeNames) -> bool {
    let pairs = [(&left.stdin, &right.stdin), (&left.stdout, &right.stdout), (&left.stderr, &right.stderr)];
    pairs.into_iter().all(|(left, right)| left.to_lowercase() == right.to_lowercase())
}

fn code_pages() -> CodePages {
    // SAFETY: both take nothing and cannot fail.
    unsafe { CodePages { oem: GetOEMCP(), ansi: GetACP() } }
}

const CHUNK: usize = 64 * 1024;

/// How long our client may take to come back when it has left.
const PATIENCE_FOR_OURS: Duration = Duration::from_secs(5);
/// How long another client may take to come with the next process.
const PATIENCE_FOR_OTHERS: Duration = Duration::from_secs(600);
