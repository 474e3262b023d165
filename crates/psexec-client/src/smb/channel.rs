//! One connection: frames in and out, message ids, credits, pending answers, liveness.
//!
//! Three tasks share a [`State`]: one reads frames and hands each answer to whoever waits for it, one writes what was
//! queued, one asks the host for a sign of life when it has been quiet for long. Whatever ends one of them ends the
//! connection, and everyone who waits is told why.
//!
//! [MS-SMB2] 3.2.4.1 (sending), 3.2.5.1 (receiving).
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use binrw::{BinRead, BinWrite};
use bytes::{Bytes, BytesMut};
use smb_msg::{CancelRequest, Command, EchoRequest, Header, LogoffRequest, PlainRequest, RequestContent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::protection::{PreauthHash, Protection, TRANSFORM_HEADER};
use super::request::Request;
use crate::error::{Loss, NtStatus, PeerMisbehaved};

/// Size of an SMB2 header.
pub(crate) const HEADER: usize = Header::STRUCT_SIZE;

/// The length in front of a frame, [MS-SMB2] 2.1.
const FRAME_LENGTH: usize = 4;
/// Room for a message without the data that a WRITE carries: few are longer.
const MESSAGE: usize = 1024;

/// Credits we ask the server for: enough for an upload beside a handful of open requests.
const WANTED_CREDITS: u32 = 256;
/// What one credit pays for, [MS-SMB2] 3.1.5.2.
const BYTES_PER_CREDIT: u32 = 65536;
/// A host that has sent nothing for this long while we wait is asked for an ECHO.
const PROBE_AFTER: Duration = Duration::from_secs(10);
/// A host that has sent nothing for this long, in spite of the ECHO, is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);

/// No answer to what we ask comes near: a host that announces more would have us wait for it.
const MAX_FRAME: usize = 1 << 20;
/// Fewer bytes of a frame than this are no sign of life: they may be all of it that ever comes.
const TRICKLE: usize = 4096;

/// A connection to a host. Dropping it closes the socket.
pub(crate) struct Channel {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// A verified answer: its header, and the whole message that it begins.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) header: Header,
    pub(crate) message: Bytes,
}

/// The right to an answer. Dropping it unanswered cancels the request on the server.
pub(crate) struct Receipt {
    message_id: u64,
    answer: oneshot::Receiver<Result<Answer, Loss>>,
    shared: Arc<Shared>,
    answered: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Credits came in, or the connection ended.
    progress: Notify,
    outgoing: mpsc::UnboundedSender<Outgoing>,
}

enum Outgoing {
    Frame(Vec<u8>),
    /// Answered when everything before it is in the hands of the operating system.
    Flush(oneshot::Sender<()>),
}

struct State {
    next_message_id: u64,
    credits: u32,
    /// Multi-credit requests: everything but SMB 2.0.2, [MS-SMB2] 3.2.4.1.5.
    large_mtu: bool,
    session_id: u64,
    /// Grows until the session is protected.
    preauth_hash: PreauthHash,
    protection: Option<Protection>,
    pending: BTreeMap<u64, Pending>,
    lost: Option<Loss>,
    /// Since when we wait for a sign of life.
    quiet_since: Instant,
    probing: bool,
}

struct Pending {
    command: Command,
    /// Known once the server has answered STATUS_PENDING.
    async_id: Option<u64>,
    waiter: oneshot::Sender<Result<Answer, Loss>>,
}

impl Channel {
    /// Takes over a connected socket; must be called in a tokio runtime.
    pub(crate) fn new(stream: TcpStream) -> Self {
        let (outgoing, queue) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(outgoing));
        let (reader, writer) = stream.into_split();
        let tasks = vec![
            tokio::spawn(read_frames(Arc::clone(&shared), reader)),
            tokio::spawn(write_frames(Arc::clone(&shared), writer, queue)),
            tokio::spawn(watch(Arc::clone(&shared))),
        ];
        Channel { shared, tasks }
    }

    /// Sends one request as soon as the server's credits allow.
    pub(crate) async fn send(&self, request: Request) -> Result<Receipt, Loss> {
        let [receipt] = self.send_compound([request]).await?;
        Ok(receipt)
    }

    /// Sends requests as one related compound, [MS-SMB2] 3.2.4.1.4: the server carries them out in order, and each
    /// uses the file that the first one opens. Waits for all answers.
    pub(crate) async fn compound<const N: usize>(&self, requests: [Request; N]) -> Result<[Answer; N], Loss> {
        let mut answers = Vec::with_capacity(N);
        for receipt in self.send_compound(requests).await? {
            answers.push(receipt.answer().await?);
        }
        // As many as there were requests.
        answers.try_into().map_err(|_| Loss::Closed)
    }

    async fn send_compound<const N: usize>(&self, requests: [Request; N]) -> Result<[Receipt; N], Loss> {
        loop {
            let progress = self.shared.progress.notified();
            {
                let mut state = self.shared.lock();
                if let Some(loss) = &state.lost {
                    return Err(loss.clone());
                }
                let charges: u32 = requests.iter().map(|request| state.charge(request)).sum();
                // A request larger than all that the server ever granted must not wait for ever: with nothing
                // outstanding no more credits will come, and the server may judge.
                if charges <= state.credits || state.pending.is_empty() {
                    let receipts = self.shared.dispatch(&mut state, requests.into())?;
                    return receipts.try_into().map_err(|_| Loss::Closed);
                }
            }
            progress.await;
        }
    }

    /// Bytes that one request may move, so that others have credits left too, [MS-SMB2] 3.2.4.1.5. A host that grants
    /// few would never have enough for a large one.
    pub(crate) fn affordable(&self) -> u32 {
        (self.shared.lock().credits / 4).max(1).saturating_mul(BYTES_PER_CREDIT)
    }

    /// Message ids and charges follow the negotiated dialect from now on.
    pub(crate) fn set_large_mtu(&self, large_mtu: bool) {
        self.shared.lock().large_mtu = large_mtu;
    }

    /// SessionId of the requests.
    pub(crate) fn session_id(&self) -> u64 {
        self.shared.lock().session_id
    }

    /// SessionId for the requests to come.
    pub(crate) fn set_session_id(&self, session_id: u64) {
        self.shared.lock().session_id = session_id;
    }

    /// Over all messages so far; without the answer that ends the session set-up, [MS-SMB2] 3.2.5.3.1.
    pub(crate) fn preauth_hash(&self) -> PreauthHash {
        self.shared.lock().preauth_hash.clone()
    }

    /// From now on every request is protected, and every answer must be.
    pub(crate) fn protect(&self, protection: Protection) {
        self.shared.lock().protection = Some(protection);
    }

    /// Encrypts everything from now on. Answers whether the session has the keys for it.
    pub(crate) fn encrypt_everything(&self) -> bool {
        self.shared.lock().protection.as_mut().is_some_and(Protection::encrypt_everything)
    }

    pub(crate) fn is_encrypting(&self) -> bool {
        self.shared.lock().protection.as_ref().is_some_and(Protection::is_encrypting)
    }

    /// Sends SMB2 LOGOFF and closes the connection without waiting for the answer, which could change nothing.
    pub(crate) async fn log_off(self) {
        let Ok(receipt) = self.send(Request::new(0, RequestContent::Logoff(LogoffRequest::default()))).await
        else {
            return;
        };
        receipt.forget();
        let (flushed, done) = oneshot::channel();
        if self.shared.outgoing.send(Outgoing::Flush(flushed)).is_ok() {
            let _ = tokio::time::timeout(Duration::from_secs(2), done).await;
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.shared.fail(Loss::Closed);
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Receipt {
    /// Waits for the answer, as long as the host lives.
    pub(crate) async fn answer(mut self) -> Result<Answer, Loss> {
        let answer = (&mut self.answer).await.unwrap_or(Err(Loss::Closed));
        self.answered = true;
        answer
    }

    /// Lets the answer come or not, without cancelling the request.
    fn forget(mut self) {
        self.answered = true;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.cancel(self.message_id);
        }
    }
}

impl Answer {
    pub(crate) fn status(&self) -> NtStatus {
        NtStatus(self.header.status)
    }

    /// The message's body as `T` lays it out.
    pub(crate) fn body<T: for<'a> BinRead<Args<'a> = ()>>(&self) -> Result<T, Loss> {
        let mut cursor = Cursor::new(&self.message[..]);
        cursor.set_position(HEADER as u64);
        T::read_le(&mut cursor).map_err(|_| Loss::Misbehaved(PeerMisbehaved::Malformed))
    }
}

impl Shared {
    fn new(outgoing: mpsc::UnboundedSender<Outgoing>) -> Self {
        Shared {
            state: Mutex::new(State {
                next_message_id: 0,
                credits: 1,
                large_mtu: false,
                session_id: 0,
                preauth_hash: PreauthHash::new(),
                protection: None,
                pending: BTreeMap::new(),
                lost: None,
                quiet_since: Instant::now(),
                probing: false,
            }),
            progress: Notify::new(),
            outgoing,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers, protects and queues a compound; whoever holds the lock is next on the wire.
    fn dispatch(self: &Arc<Self>, state: &mut State, requests: Vec<Request>) -> Result<Vec<Receipt>, Loss> {
        let size = requests.iter().map(|request| MESSAGE + request.data.len()).sum();
        let mut frame = state.new_frame(size);
        let mut starts = Vec::new();
        let mut receipts = Vec::new();
        let count = requests.len();
        for (index, request) in requests.into_iter().enumerate() {
            let start = frame.len();
            starts.push(start - FRAME_LENGTH);
            let charge = state.charge(&request);
            let message_id = state.next_message_id;
            state.next_message_id += u64::from(charge.max(1));
            state.credits = state.credits.saturating_sub(charge.max(1));

            let command = request.content.associated_cmd();
            let mut plain = PlainRequest::new(request.content);
            plain.header.message_id = message_id;
            plain.header.session_id = state.session_id;
            plain.header.tree_id = Some(request.tree_id);
            plain.header.credit_charge = if state.large_mtu { charge as u16 } else { 0 };
            plain.header.credit_request = (charge + WANTED_CREDITS.saturating_sub(state.credits)) as u16;
            plain.header.flags.set_related_operations(index > 0);
            encode(&plain, &request.data, &mut frame)?;
            if index + 1 < count {
                let next = (frame.len() - start).next_multiple_of(8);
                frame.resize(start + next, 0);
                frame[start + 20..start + 24].copy_from_slice(&(next as u32).to_le_bytes());
            }

            let (waiter, answer) = oneshot::channel();
            if state.pending.is_empty() {
                state.quiet_since = Instant::now();
            }
            state.pending.insert(message_id, Pending { command, async_id: None, waiter });
            receipts.push(Receipt { message_id, answer, shared: Arc::clone(self), answered: false });
        }
        self.queue(state, frame, &starts)?;
        Ok(receipts)
    }

    /// Protects and queues a frame whose messages begin at `starts`, counted behind its length.
    fn queue(&self, state: &mut State, mut frame: Vec<u8>, starts: &[usize]) -> Result<(), Loss> {
        match &mut state.protection {
            // The algorithms were built for these keys: what fails here is our own fault, not the user's.
            Some(protection) => protection
                .protect(&mut frame[FRAME_LENGTH..], starts)
                .map_err(|error| Loss::Io(Arc::new(std::io::Error::other(error))))?,
            None => state.preauth_hash.update(&frame[FRAME_LENGTH..]),
        }
        let length = (frame.len() - FRAME_LENGTH) as u32;
        frame[..FRAME_LENGTH].copy_from_slice(&length.to_be_bytes());
        self.outgoing.send(Outgoing::Frame(frame)).map_err(|_| Loss::Closed)
    }

    fn fail(&self, loss: Loss) {
        let mut state = self.lock();
        let loss = state.lost.get_or_insert(loss).clone();
        for pending in std::mem::take(&mut state.pending).into_values() {
            // Nobody may be waiting any more.
            let _ = pending.waiter.send(Err(loss.clone()));
        }
        drop(state);
        self.progress.notify_waiters();
    }

    /// Asks the server to give up a request, [MS-SMB2] 3.2.4.24. Its answer still comes, and frees its credits.
    fn cancel(&self, message_id: u64) {
        let mut state = self.lock();
        let Some(pending) = state.pending.get(&message_id) else { return };
        let mut cancel = PlainRequest::new(RequestContent::Cancel(CancelRequest::default()));
        cancel.header.message_id = message_id;
        cancel.header.session_id = state.session_id;
        if let Some(async_id) = pending.async_id {
            cancel.header.to_async(async_id);
        }
        let mut frame = state.new_frame(MESSAGE);
        let start = frame.len();
        if encode(&cancel, &[], &mut frame).is_ok() {
            // A connection that is lost needs no cancel.
            let _ = self.queue(&mut state, frame, &[start - FRAME_LENGTH]);
        }
    }

    /// Takes a frame apart and hands its answers out.
    fn accept(&self, mut frame: BytesMut) -> Result<(), PeerMisbehaved> {
        let mut state = self.lock();
        let encrypted = match frame.get(..4) {
            Some(b"\xfeSMB") => false,
            Some(b"\xfdSMB") => {
                state.protection.as_mut().ok_or(PeerMisbehaved::BadDecryption)?.decrypt(&mut frame)?;
                let _ = frame.split_to(TRANSFORM_HEADER);
                true
            }
            Some(b"\xffSMB") => return Err(PeerMisbehaved::Smb1),
            _ => return Err(PeerMisbehaved::NotSmb2),
        };
        if !encrypted && state.protection.as_ref().is_some_and(Protection::is_encrypting) {
            return Err(PeerMisbehaved::Unencrypted);
        }
        let mut rest = frame.freeze();
        while !rest.is_empty() {
            let message = next_message(&mut rest)?;
            state.deliver(message, encrypted)?;
        }
        drop(state);
        self.progress.notify_waiters();
        Ok(())
    }
}

impl State {
    /// A frame for messages of `size` bytes, so far only the room in front of them: they are protected in place.
    fn new_frame(&self, size: usize) -> Vec<u8> {
        let room = FRAME_LENGTH + self.protection.as_ref().map_or(0, Protection::room);
        let mut frame = Vec::with_capacity(room + size);
        frame.resize(room, 0);
        frame
    }

    /// Credits that a request costs, [MS-SMB2] 3.2.4.1.5.
    fn charge(&self, request: &Request) -> u32 {
        if !self.large_mtu {
            return 1;
        }
        request.payload().max(1).div_ceil(BYTES_PER_CREDIT)
    }

    fn deliver(&mut self, message: Bytes, encrypted: bool) -> Result<(), PeerMisbehaved> {
        let head = message.get(..HEADER).ok_or(PeerMisbehaved::Malformed)?;
        let header = Header::read_le(&mut Cursor::new(head)).map_err(|_| PeerMisbehaved::Malformed)?;
        if !header.flags.server_to_redir() {
            return Err(PeerMisbehaved::Malformed);
        }
        let interim = header.status == NtStatus::PENDING.0 && header.flags.async_command();
        if header.message_id == u64::MAX {
            // 3.2.5.19: an oplock break. We hold no oplock: nothing to do, whoever says so.
            return Ok(());
        }
        // Before its signature: the algorithms take the ids of requests alone.
        let pending = self.pending.get_mut(&header.message_id).ok_or(PeerMisbehaved::UnknownMessageId)?;
        if let Some(protection) = &self.protection
            && !encrypted
            // 3.2.5.1.3: an interim answer need not be signed. It carries nothing but an id.
            && (!interim || header.flags.signed())
        {
            protection.verify(&header, &message)?;
        }
        if header.command != pending.command {
            return Err(PeerMisbehaved::WrongCommand);
        }
        let ends_session_setup =
            header.command == Command::SessionSetup && header.status != NtStatus::MORE_PROCESSING_REQUIRED.0;
        if self.protection.is_none() && !ends_session_setup {
            self.preauth_hash.update(&message);
        }
        if self.protection.is_some() && header.session_id != self.session_id {
            return Err(PeerMisbehaved::WrongSession);
        }
        self.credits = self.credits.saturating_add(u32::from(header.credit_request)).min(8192);
        if interim {
            // 3.3.4.2: one is all that a server has to say, another is a replay.
            return match pending.async_id.replace(header.async_id.unwrap_or_default()) {
                None => Ok(()),
                Some(_) => Err(PeerMisbehaved::UnknownMessageId),
            };
        }
        if let Some(pending) = self.pending.remove(&header.message_id) {
            // Who gave up waiting misses nothing.
            let _ = pending.waiter.send(Ok(Answer { header, message }));
        }
        Ok(())
    }
}

/// Splits the first message off a compound, [MS-SMB2] 3.2.5.1.9.
fn next_message(rest: &mut Bytes) -> Result<Bytes, PeerMisbehaved> {
    let next = rest.get(20..24).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    match next.ok_or(PeerMisbehaved::Malformed)? as usize {
        0 => Ok(std::mem::take(rest)),
        next if next >= HEADER && next < rest.len() && next % 8 == 0 => Ok(rest.split_to(next)),
        _ => Err(PeerMisbehaved::Malformed),
    }
}

/// Appends a message to a frame. Offsets inside it count from its own start.
fn encode(request: &PlainRequest, data: &[u8], frame: &mut Vec<u8>) -> Result<(), Loss> {
    let mut cursor = Cursor::new(Vec::with_capacity(MESSAGE));
    request.write_le(&mut cursor).map_err(|error| Loss::Io(Arc::new(std::io::Error::other(error))))?;
    // Wiped after use: settings hold a password.
    frame.extend_from_slice(&Zeroizing::new(cursor.into_inner()));
    frame.extend_from_slice(data);
    Ok(())
}

async fn read_frames(shared: Arc<Shared>, mut reader: OwnedReadHalf) {
    let loss = loop {
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        if let Err(loss) = read_until_lost(&shared, &mut reader, &mut buffer).await {
            break loss;
        }
    };
    shared.fail(loss);
}

/// Reads frames: a zero byte, a length of 24 bits, the messages ([MS-SMB2] 2.1).
async fn read_until_lost(
    shared: &Shared,
    reader: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
) -> Result<(), Loss> {
    let mut trickled = 0;
    loop {
        while let Some(&[zero, a, b, c]) = buffer.first_chunk::<4>() {
            if zero != 0 {
                return Err(Loss::Misbehaved(PeerMisbehaved::NotSmb2));
            }
            let end = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
            if end > MAX_FRAME {
                return Err(Loss::Misbehaved(PeerMisbehaved::Malformed));
            }
            if buffer.len() < end {
                // Grows with what arrives, not with what a header claims.
                buffer.reserve((end - buffer.len()).min(1 << 20));
                break;
            }
            let mut frame = buffer.split_to(end);
            let _ = frame.split_to(4);
            shared.accept(frame).map_err(Loss::Misbehaved)?;
            trickled = TRICKLE;
        }
        if trickled >= TRICKLE {
            trickled = 0;
            let mut state = shared.lock();
            state.quiet_since = Instant::now();
            state.probing = false;
        }
        if buffer.capacity() - buffer.len() < 4096 {
            buffer.reserve(64 * 1024);
        }
        match reader.read_buf(buffer).await {
            Ok(0) => return Err(Loss::Closed),
            Ok(count) => trickled += count,
            Err(error) => return Err(Loss::Io(Arc::new(error))),
        }
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

/// A process may be silent for days; its host may not.
async fn watch(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut state = shared.lock();
        if state.lost.is_some() {
            return;
        }
        if state.pending.is_empty() {
            continue;
        }
        let quiet = state.quiet_since.elapsed();
        if quiet >= GIVE_UP_AFTER {
            drop(state);
            shared.fail(Loss::NotResponding(quiet));
            return;
        }
        if quiet >= PROBE_AFTER && !state.probing && state.protection.is_some() && state.credits > 0 {
            state.probing = true;
            let echo = Request::new(0, RequestContent::Echo(EchoRequest::default()));
            // Its answer counts by its arrival alone.
            shared.dispatch(&mut state, vec![echo]).unwrap_or_default().into_iter().for_each(Receipt::forget);
        }
    }
}

/// Any bytes of a stranger through everything that takes a frame apart: `protected` as after the session set-up.
#[cfg(any(test, fuzzing))]
pub(crate) fn accept_any(bytes: &[u8], protection: Option<Protection>) {
    use super::request::{created_file, ioctl_output, read_data};

    let (outgoing, _queue) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared::new(outgoing));
    let mut receivers = Vec::new();
    {
        let mut state = shared.lock();
        // NEGOTIATE, which has the id 0, is answered before there is a session to protect.
        let first = u64::from(protection.is_some());
        state.protection = protection;
        for message_id in first..20 {
            let (waiter, answer) = oneshot::channel();
            let Ok(command) = Command::read_le(&mut Cursor::new([message_id as u8, 0])) else { continue };
            state.pending.insert(message_id, Pending { command, async_id: None, waiter });
            receivers.push(answer);
        }
    }
    // What is refused is refused; what is not must be fit for use.
    let _ = shared.accept(BytesMut::from(bytes));
    for mut receiver in receivers {
        let Ok(Ok(answer)) = receiver.try_recv() else { continue };
        let _ = created_file(&answer, 0);
        let _ = read_data(&answer);
        let _ = answer.body::<smb_msg::SessionSetupResponse>();
        let _ = ioctl_output(&answer);
        if let Ok(listing) = answer.body::<smb_msg::QueryDirectoryResponse>() {
            let _ = crate::sweep::DirectoryEntries(&listing.output_buffer).count();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use smb_msg::{EncryptionCipher, SigningAlgorithmId};

    use super::super::protection::KeyMaterial;

    const SESSION: u64 = 7;

    fn keys(signing: SigningAlgorithmId, cipher: Option<EncryptionCipher>) -> Protection {
        Protection::derive(&KeyMaterial {
            session_id: SESSION,
            dialect: smb_msg::Dialect::Smb0311,
            signing,
            cipher,
            session_key: &[1; 16],
            preauth_hash: &PreauthHash::new(),
        })
        .unwrap()
    }

    /// A connection that waits for the answer to one ECHO.
    fn waiting(protection: Option<Protection>) -> (Shared, oneshot::Receiver<Result<Answer, Loss>>) {
        let (outgoing, _queue) = mpsc::unbounded_channel();
        let shared = Shared::new(outgoing);
        let (waiter, answer) = oneshot::channel();
        {
            let mut state = shared.lock();
            state.protection = protection;
            state.session_id = SESSION;
            state.pending.insert(5, Pending { command: Command::Echo, async_id: None, waiter });
        }
        (shared, answer)
    }

    /// The answer to the ECHO as a server sends it.
    fn echo_response(change: impl FnOnce(&mut Header)) -> Vec<u8> {
        let mut header = PlainRequest::new(RequestContent::Echo(EchoRequest::default())).header;
        header.message_id = 5;
        header.session_id = SESSION;
        header.credit_request = 3;
        header.flags.set_server_to_redir(true);
        change(&mut header);
        let mut cursor = Cursor::new(Vec::new());
        header.write_le(&mut cursor).unwrap();
        let mut message = cursor.into_inner();
        message.extend_from_slice(&[4, 0, 0, 0]);
        message
    }

    fn protect(protection: &mut Protection, message: &[u8]) -> Vec<u8> {
        let room = protection.room();
        let mut frame = [&vec![0; room], message].concat();
        protection.protect(&mut frame, &[room]).unwrap();
        frame
    }

    fn accept(shared: &Shared, message: &[u8]) -> Result<(), PeerMisbehaved> {
        shared.accept(BytesMut::from(message))
    }

    #[test]
    fn an_answer_reaches_who_waits_and_brings_its_credits() {
        let (shared, mut answer) = waiting(None);
        accept(&shared, &echo_response(|_| ())).unwrap();
        assert_eq!(answer.try_recv().unwrap().unwrap().status(), NtStatus::SUCCESS);
        assert_eq!(shared.lock().credits, 1 + 3);
    }

    #[test]
    fn an_interim_answer_leaves_the_request_pending() {
        let (shared, mut answer) = waiting(None);
        let interim = echo_response(|header| {
            header.status = NtStatus::PENDING.0;
            header.to_async(99);
        });
        accept(&shared, &interim).unwrap();
        assert!(answer.try_recv().is_err());
        assert_eq!(shared.lock().pending.get(&5).and_then(|pending| pending.async_id), Some(99));
        accept(&shared, &echo_response(|header| header.to_async(99))).unwrap();
        assert!(answer.try_recv().unwrap().is_ok());
    }

    #[test]
    fn answers_to_nothing_are_refused() {
        let refused = |change: fn(&mut Header)| accept(&waiting(None).0, &echo_response(change)).unwrap_err();
        assert_eq!(refused(|header| header.message_id = 6), PeerMisbehaved::UnknownMessageId);
        assert_eq!(refused(|header| header.command = Command::Read), PeerMisbehaved::WrongCommand);
        assert_eq!(refused(|header| header.flags.set_server_to_redir(false)), PeerMisbehaved::Malformed);
    }

    #[test]
    fn a_second_answer_is_refused() {
        let (shared, _answer) = waiting(None);
        accept(&shared, &echo_response(|_| ())).unwrap();
        assert_eq!(accept(&shared, &echo_response(|_| ())), Err(PeerMisbehaved::UnknownMessageId));
    }

    #[test]
    fn a_signed_session_believes_only_its_signature() {
        for signing in
            [SigningAlgorithmId::HmacSha256, SigningAlgorithmId::AesCmac, SigningAlgorithmId::AesGmac]
        {
            let signed = protect(&mut keys(signing, None), &echo_response(|_| ()));
            let (shared, mut answer) = waiting(Some(keys(signing, None)));
            accept(&shared, &signed).unwrap();
            assert!(answer.try_recv().unwrap().is_ok());

            for bit in [0, 60 * 8, 66 * 8] {
                let mut altered = signed.clone();
                altered[16 + bit / 8 % (signed.len() - 16)] ^= 0x20;
                let (shared, mut answer) = waiting(Some(keys(signing, None)));
                assert!(accept(&shared, &altered).is_err());
                assert!(answer.try_recv().is_err());
            }
            let unsigned = echo_response(|_| ());
            assert_eq!(
                accept(&waiting(Some(keys(signing, None))).0, &unsigned),
                Err(PeerMisbehaved::Unsigned)
            );
        }
    }

    #[test]
    fn an_encrypted_session_believes_no_plain_answer() {
        let mut protection = keys(SigningAlgorithmId::AesGmac, Some(EncryptionCipher::Aes128Gcm));
        protection.encrypt_everything();
        let signed = protect(&mut keys(SigningAlgorithmId::AesGmac, None), &echo_response(|_| ()));
        let (shared, mut answer) = waiting(Some(protection));
        assert_eq!(accept(&shared, &signed), Err(PeerMisbehaved::Unencrypted));
        assert!(answer.try_recv().is_err());
    }

    #[test]
    fn a_session_key_of_any_length_makes_keys_for_every_cipher() {
        for cipher in [
            EncryptionCipher::Aes128Ccm,
            EncryptionCipher::Aes128Gcm,
            EncryptionCipher::Aes256Ccm,
            EncryptionCipher::Aes256Gcm,
        ] {
            let mut protection = keys(SigningAlgorithmId::AesCmac, Some(cipher));
            assert!(protection.encrypt_everything());
            let [first, second] = [(); 2].map(|()| protect(&mut protection, &[0; 100]));
            // A nonce is never used twice.
            assert_ne!(first[20..36], second[20..36]);
            assert_ne!(first[TRANSFORM_HEADER..], second[TRANSFORM_HEADER..]);
        }
    }

    /// What a server really sends, which gets further into the decoders than bytes by chance.
    fn real_frames() -> Vec<Vec<u8>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frames");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let frames: Vec<_> = files
            .filter(|path| path.extension().is_none_or(|extension| extension != "md"))
            .map(|path| std::fs::read(path).unwrap())
            .collect();
        assert!(frames.len() > 10);
        frames
    }

    #[test]
    fn real_frames_are_taken() {
        for frame in real_frames() {
            let (outgoing, _queue) = mpsc::unbounded_channel();
            let shared = Shared::new(outgoing);
            let mut rest = Bytes::from(frame.clone());
            while !rest.is_empty() {
                let message = next_message(&mut rest).unwrap();
                let header = Header::read_le(&mut Cursor::new(&message[..])).unwrap();
                let (waiter, _answer) = oneshot::channel();
                let pending = Pending { command: header.command, async_id: None, waiter };
                shared.lock().pending.insert(header.message_id, pending);
            }
            accept(&shared, &frame).unwrap();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn real_frames_are_survived_however_they_are_changed(
            which in any::<prop::sample::Index>(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in proptest::option::of(any::<prop::sample::Index>()),
        ) {
            let frames = real_frames();
            let mut frame = which.get(&frames).clone();
            for (place, byte) in changes {
                let place = place.index(frame.len());
                frame[place] = byte;
            }
            frame.truncate(cut.map_or(usize::MAX, |cut| cut.index(frame.len())));
            accept_any(&frame, None);
        }

        #[test]
        fn any_frame_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            accept_any(&bytes, None);
        }

        #[test]
        fn any_message_is_survived(
            command in 0..20u8,
            status in prop_oneof![Just(0), any::<u32>()],
            body in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut message = echo_response(|header| {
                header.status = status;
                header.message_id = u64::from(command);
            });
            message[12] = command;
            message.truncate(HEADER);
            message.extend_from_slice(&body);
            accept_any(&message, None);
        }
    }
}
