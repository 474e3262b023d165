//! A connection's socket, and the tasks that serve it.
//!
//! Three tasks share a [`State`]: one reads frames and hands each response to whoever waits for it, one writes what was
//! queued, one asks the host for a sign of life when it has been quiet for long. Whatever ends one of them ends the
//! connection, and everyone who waits is told why.
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
use std::array;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use smb_msg::{LogoffRequest, RequestContent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::error::{Error, Loss};
use crate::liveness::Verdict;
use crate::protection::{PreauthHash, Protection};
use crate::request::Request;
use crate::response::Response;
use crate::state::{Received, Sent, State};

/// Owns a connection's tasks. Dropping it closes the socket.
pub(crate) struct Socket {
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 3],
}

/// A way to the host, as long as the [`Socket`] is there.
#[derive(Clone)]
pub(crate) struct Channel(Arc<Shared>);

/// The right to a response. Dropping it unanswered cancels the request on the server, unless it is left to finish.
struct Receipt {
    message_id: u64,
    answer: oneshot::Receiver<Received>,
    shared: Arc<Shared>,
    is_answered: bool,
}

/// Authenticates the session anew, over the channel.
pub(crate) type Renewal =
    Box<dyn Fn(Channel) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send + Sync>;

struct Shared {
    state: Mutex<State>,
    /// What is to be done when the session has outlived its ticket.
    renewal: OnceLock<Renewal>,
    /// How often that was done. Who does it holds the lock.
    renewals: AtomicU64,
    renewing: AsyncMutex<()>,
    /// Credits came in, or the connection ended.
    progress: Notify,
    outgoing: mpsc::UnboundedSender<Outgoing>,
}

enum Outgoing {
    Frame(Vec<u8>),
    /// Answered when everything before it is in the hands of the operating system.
    Flush(oneshot::Sender<()>),
}

impl Socket {
    /// Takes over a connected socket; must be called in a tokio runtime.
    pub(crate) fn open(stream: TcpStream) -> (Self, Channel) {
        let (outgoing, queue) = mpsc::unbounded_channel();
        let state = Mutex::new(State::new(Instant::now()));
        let shared = Arc::new(Shared {
            state,
            renewal: OnceLock::new(),
            renewals: AtomicU64::new(0),
            renewing: AsyncMutex::new(()),
            progress: Notify::new(),
            outgoing,
        });
        let (reader, writer) = stream.into_split();
        let tasks = [
            tokio::spawn(read_frames(Arc::clone(&shared), reader)),
            tokio::spawn(write_frames(Arc::clone(&shared), writer, queue)),
            tokio::spawn(watch(Arc::clone(&shared))),
        ];
        let channel = Channel(Arc::clone(&shared));
        (Socket { shared, tasks }, channel)
    }

    /// Sends SMB2 LOGOFF and closes the connection without waiting for the answer, which could change nothing.
    pub(crate) async fn log_off(self) {
        let mut logoff = Request::treeless(RequestContent::Logoff(LogoffRequest::default()));
        let Ok([receipt]) = self.shared.send(array::from_mut(&mut logoff)).await else { return };
        receipt.forget();
        let (flushed, done) = oneshot::channel();
        if self.shared.outgoing.send(Outgoing::Flush(flushed)).is_ok() {
            let _ = tokio::time::timeout(LOGOFF, done).await;
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.shared.fail(Loss::Closed);
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Channel {
    /// Sends one request as soon as the server's credits allow, and waits for its response as long as the host lives. Like
    /// the others below it is repeated when the session had to be authenticated anew.
    pub(crate) async fn request(&self, request: Request) -> Result<Response, Loss> {
        let [response] = self.compound([request]).await?;
        Ok(response)
    }

    /// Like [`Self::request`], in a session that may have outlived its ticket: its set-up.
    pub(crate) async fn request_once(&self, mut request: Request) -> Result<Response, Loss> {
        let [receipt] = self.0.send(array::from_mut(&mut request)).await?;
        receipt.answer().await
    }

    /// Sends requests as one related compound, [MS-SMB2] 3.2.4.1.4: the server carries them out in order, and each
    /// uses the file that the first one opens. Waits for all responses.
    pub(crate) async fn compound<const N: usize>(
        &self,
        mut requests: [Request; N],
    ) -> Result<[Response; N], Loss> {
        for _ in 0..MAX_RENEWALS {
            let renewals = self.renewals();
            let responses = self.compound_once(&mut requests).await?;
            // One that has begun before the end is not begun once more.
            if !responses.iter().all(Response::is_expired) || !self.renew(renewals).await? {
                return Ok(responses);
            }
        }
        self.compound_once(&mut requests).await
    }

    async fn compound_once<const N: usize>(
        &self,
        requests: &mut [Request; N],
    ) -> Result<[Response; N], Loss> {
        let mut responses = Vec::with_capacity(N);
        for receipt in self.0.send(requests).await? {
            responses.push(receipt.answer().await?);
        }
        // As many as there were requests.
        responses.try_into().map_err(|_| Loss::Closed)
    }

    /// Sends requests each by itself, as soon as the credits allow, and waits for all responses. The server may carry them
    /// out in any order.
    pub(crate) async fn requests(&self, mut requests: Vec<Request>) -> Result<Vec<Response>, Loss> {
        let renewals = self.renewals();
        let mut receipts = Vec::new();
        for request in &mut requests {
            receipts.extend(self.0.send(array::from_mut(request)).await?);
        }
        let mut responses = Vec::with_capacity(receipts.len());
        for (receipt, request) in receipts.into_iter().zip(requests) {
            let response = receipt.answer().await?;
            responses.push(match response.is_expired() && self.renew(renewals).await? {
                true => self.request(request).await?,
                false => response,
            });
        }
        Ok(responses)
    }

    /// From now on the session is authenticated anew whenever it has outlived its ticket.
    pub(crate) fn renewable(&self, renewal: Renewal) {
        // There is one session to a connection.
        let _ = self.0.renewal.set(renewal);
    }

    /// How often the session was authenticated anew.
    pub(crate) fn renewals(&self) -> u64 {
        self.0.renewals.load(Ordering::Acquire)
    }

    /// Authenticates the session anew, unless that was done since there were so many `renewals`. Answers whether it could
    /// be; a session that cannot go on has ended, [MS-SMB2] 3.2.5.1.6.
    async fn renew(&self, renewals: u64) -> Result<bool, Loss> {
        let Some(renewal) = self.0.renewal.get() else { return Ok(false) };
        let _renewing = self.0.renewing.lock().await;
        if self.renewals() != renewals {
            return Ok(true);
        }
        match renewal(self.clone()).await {
            Ok(()) => {
                self.0.renewals.fetch_add(1, Ordering::AcqRel);
                Ok(true)
            }
            Err(error) => {
                let loss = match error {
                    Error::Lost(loss) => loss,
                    error => Loss::Expired(Arc::new(error)),
                };
                self.0.fail(loss.clone());
                Err(loss)
            }
        }
    }

    /// Sends a request whose response nobody waits for, if the credits allow for it now.
    pub(crate) fn post(&self, mut request: Request) {
        // A connection that is lost needs it no more.
        let Ok(Some(sent)) = self.0.try_queue(array::from_mut(&mut request)) else { return };
        sent.into_iter().for_each(|sent| self.0.receipt(sent).forget());
    }

    /// Waits until every request that is left to finish has been answered.
    pub(crate) async fn settled(&self) -> Result<(), Loss> {
        loop {
            let progress = self.0.progress.notified();
            {
                let state = self.0.lock();
                if let Some(loss) = state.loss() {
                    return Err(loss.clone());
                }
                if state.is_settled() {
                    return Ok(());
                }
            }
            progress.await;
        }
    }

    /// See [`State::grant_silence`].
    pub(crate) fn grant_silence(&self, silence: Duration) {
        self.0.lock().grant_silence(silence);
    }

    /// Bytes that one request may move, so that others have credits left too.
    pub(crate) fn affordable(&self) -> u32 {
        self.0.lock().affordable()
    }

    /// Whether nothing has ended the connection yet.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.lock().loss().is_none()
    }

    /// See [`State::negotiated`].
    pub(crate) fn negotiated(&self, large_mtu: bool) {
        self.0.lock().negotiated(large_mtu);
    }

    /// See [`State::authenticating`].
    pub(crate) fn authenticating(&self, session_id: u64) {
        self.0.lock().authenticating(session_id);
    }

    /// See [`State::protected`].
    pub(crate) fn protected(&self, protection: Protection) {
        self.0.lock().protected(protection);
    }

    /// See [`State::preauth_hash`].
    pub(crate) fn preauth_hash(&self) -> Option<PreauthHash> {
        self.0.lock().preauth_hash().cloned()
    }

    /// See [`State::encrypt_everything`].
    pub(crate) fn encrypt_everything(&self) -> bool {
        self.0.lock().encrypt_everything()
    }

    pub(crate) fn is_encrypting(&self) -> bool {
        self.0.lock().is_encrypting()
    }
}

impl Receipt {
    async fn answer(mut self) -> Result<Response, Loss> {
        let answer = (&mut self.answer).await.unwrap_or(Err(Loss::Closed));
        self.is_answered = true;
        answer
    }

    /// Lets the response come or not, without cancelling the request.
    fn forget(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.is_answered
            && let Some(frame) = self.shared.lock().drop_request(self.message_id)
        {
            // A connection that is lost needs no cancel.
            let _ = self.shared.outgoing.send(Outgoing::Frame(frame));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send<const N: usize>(
        self: &Arc<Self>,
        requests: &mut [Request; N],
    ) -> Result<[Receipt; N], Loss> {
        loop {
            let progress = self.progress.notified();
            if let Some(sent) = self.try_queue(requests)? {
                let receipts: Vec<_> = sent.into_iter().map(|sent| self.receipt(sent)).collect();
                // As many as there are requests.
                return receipts.try_into().map_err(|_| Loss::Closed);
            }
            progress.await;
        }
    }

    /// Numbers and protects requests and hands them to the writer, all under one lock: the order of the numbers is that
    /// of the wire. `None` as long as the credits do not allow for them.
    fn try_queue(&self, requests: &mut [Request]) -> Result<Option<Vec<Sent>>, Loss> {
        let mut state = self.lock();
        if let Some(loss) = state.loss() {
            return Err(loss.clone());
        }
        if !state.can_send(requests) {
            return Ok(None);
        }
        let (frame, sent) = state.send(requests, Instant::now())?;
        self.outgoing.send(Outgoing::Frame(frame)).map_err(|_| Loss::Closed)?;
        Ok(Some(sent))
    }

    fn receipt(self: &Arc<Self>, Sent { message_id, answer }: Sent) -> Receipt {
        Receipt { message_id, answer, shared: Arc::clone(self), is_answered: false }
    }

    fn fail(&self, loss: Loss) {
        self.lock().fail(loss);
        self.progress.notify_waiters();
    }
}

async fn read_frames(shared: Arc<Shared>, mut reader: OwnedReadHalf) {
    let loss = read_until_lost(&shared, &mut reader).await;
    shared.fail(loss);
}

async fn read_until_lost(shared: &Shared, reader: &mut OwnedReadHalf) -> Loss {
    let mut buffer = BytesMut::with_capacity(READ);
    loop {
        if buffer.capacity() - buffer.len() < READ_AT_LEAST {
            buffer.reserve(READ);
        }
        let count = match reader.read_buf(&mut buffer).await {
            Ok(0) => return Loss::Closed,
            Ok(count) => count,
            Err(error) => return Loss::Io(Arc::new(error)),
        };
        if let Err(misbehaved) = shared.lock().receive(&mut buffer, count, Instant::now()) {
            return Loss::Misbehaved(misbehaved);
        }
        shared.progress.notify_waiters();
    }
}

async fn write_frames(
    shared: Arc<Shared>,
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
) {
    while let Some(first) = queue.recv().await {
        let mut frames = Vec::new();
        let mut flushed = None;
        let mut next = Some(first);
        // What was queued together travels together.
        while let Some(outgoing) = next {
            match outgoing {
                Outgoing::Frame(frame) if frames.is_empty() => frames = frame,
                Outgoing::Frame(frame) => frames.extend_from_slice(&frame),
                Outgoing::Flush(done) => flushed = Some(done),
            }
            next = queue.try_recv().ok();
        }
        if let Err(error) = writer.write_all(&frames).await {
            shared.fail(Loss::Io(Arc::new(error)));
            return;
        }
        if let Some(done) = flushed {
            // Whoever asked may have given up.
            let _ = done.send(());
        }
    }
}

/// Looks after the host once a second.
async fn watch(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut state = shared.lock();
        if state.loss().is_some() {
            return;
        }
        let now = Instant::now();
        match state.verdict(now) {
            Verdict::Wait => {}
            Verdict::Probe => {
                if let Some(frame) = state.probe(now) {
                    // The writer tells everybody if it cannot write.
                    let _ = shared.outgoing.send(Outgoing::Frame(frame));
                }
            }
            Verdict::GiveUp(quiet) => {
                drop(state);
                shared.fail(Loss::NotResponding(quiet));
                return;
            }
        }
    }
}

/// How often a request is repeated: once, but for a ticket that has expired before it is used.
const MAX_RENEWALS: u32 = 2;
/// Bytes that the buffer has room for, and the fewest that are read at a time.
const READ: usize = 64 * 1024;
const READ_AT_LEAST: usize = 4096;
/// How long the operating system may take to take LOGOFF in.
const LOGOFF: Duration = Duration::from_secs(2);
