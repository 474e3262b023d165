//! The state of a connection: message ids, credits, outstanding requests, and how far it is protected.
//!
//! Frames go in and out as bytes, and time is passed in: sockets and tasks are the channel's.
//!
//! [MS-SMB2] 3.2.4.1 (sending), 3.2.5.1 (receiving).
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::{Duration, Instant};

use binrw::{BinRead, BinWrite};
use bytes::{Bytes, BytesMut};
use smb_msg::{CancelRequest, Command, EchoRequest, Header, PlainRequest, RequestContent};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::error::{Loss, PeerMisbehaved};
use crate::liveness::{Liveness, Verdict};
use crate::protection::{PreauthHash, Protection, TRANSFORM_HEADER};
use crate::request::{Request, WhenDropped};
use crate::response::{HEADER, Response};
use crate::status::NtStatus;

/// The length in front of a frame, [MS-SMB2] 2.1.
const FRAME_LENGTH: usize = 4;
/// Room for a message without the data that a WRITE carries: few are longer.
const MESSAGE: usize = 1024;

/// Credits we ask the server for: enough for an upload beside a handful of open requests.
const WANTED_CREDITS: u32 = 256;
/// More credits than any server grants.
const MAX_CREDITS: u32 = 8192;
/// What one credit pays for, [MS-SMB2] 3.1.5.2.
const BYTES_PER_CREDIT: u32 = 65536;

/// No answer to what we ask comes near: a host that announces more would have us wait for it.
pub(crate) const MAX_FRAME: usize = 1 << 20;

/// What becomes of a request.
pub(crate) type Received = Result<Response, Loss>;

/// A connection without its socket.
pub(crate) struct State {
    next_message_id: u64,
    credits: u32,
    phase: Phase,
    pending: BTreeMap<u64, Pending>,
    lost: Option<Loss>,
    liveness: Liveness,
}

/// How far the connection has come. It only ever goes forward.
enum Phase {
    /// Before the server has chosen a dialect.
    Negotiating { preauth: PreauthHash },
    /// Between dialect and session; the hash covers all messages so far.
    Authenticating { large_mtu: bool, session_id: u64, preauth: PreauthHash },
    /// Every request is protected, and every response must be.
    Protected { large_mtu: bool, protection: Protection },
}

struct Pending {
    command: Command,
    command_name: &'static str,
    when_dropped: WhenDropped,
    /// The request was encrypted, so its answer has to be.
    is_encrypted: bool,
    /// Known once the server has answered STATUS_PENDING.
    async_id: Option<u64>,
    waiter: oneshot::Sender<Received>,
}

/// A request that was sent.
pub(crate) struct Sent {
    pub(crate) message_id: u64,
    pub(crate) answer: oneshot::Receiver<Received>,
}

impl State {
    pub(crate) fn new(now: Instant) -> Self {
        State {
            next_message_id: 0,
            credits: 1,
            phase: Phase::Negotiating { preauth: PreauthHash::new() },
            pending: BTreeMap::new(),
            lost: None,
            liveness: Liveness::new(now),
        }
    }

    /// The server has chosen a dialect, which has multi-credit requests or not ([MS-SMB2] 3.2.4.1.5).
    pub(crate) fn negotiated(&mut self, large_mtu: bool) {
        if let Phase::Negotiating { preauth } = &self.phase {
            self.phase = Phase::Authenticating { large_mtu, session_id: 0, preauth: preauth.clone() };
        }
    }

    /// The server has begun this session; its id stands in the requests to come.
    pub(crate) fn authenticating(&mut self, id: u64) {
        if let Phase::Authenticating { session_id, .. } = &mut self.phase {
            *session_id = id;
        }
    }

    /// The session is set up.
    pub(crate) fn protected(&mut self, protection: Protection) {
        self.phase = Phase::Protected { large_mtu: self.phase.has_large_mtu(), protection };
    }

    /// The hash over all messages so far, without the one that ends the session set-up ([MS-SMB2] 3.2.5.3.1); `None`
    /// once the session is protected.
    pub(crate) fn preauth_hash(&self) -> Option<&PreauthHash> {
        match &self.phase {
            Phase::Negotiating { preauth } | Phase::Authenticating { preauth, .. } => Some(preauth),
            Phase::Protected { .. } => None,
        }
    }

    /// Encrypts everything from now on. Answers whether the session has the keys for it.
    pub(crate) fn encrypt_everything(&mut self) -> bool {
        self.phase.protection_mut().is_some_and(Protection::encrypt_everything)
    }

    pub(crate) fn is_encrypting(&self) -> bool {
        self.phase.protection().is_some_and(Protection::is_encrypting)
    }

    /// Why the connection has ended, if it has.
    pub(crate) fn loss(&self) -> Option<&Loss> {
        self.lost.as_ref()
    }

    /// Whether the server's credits are enough for these requests together. One larger than all that the server ever
    /// granted must not wait for ever: with nothing outstanding no more credits will come, and the server may judge.
    pub(crate) fn can_send(&self, requests: &[Request]) -> bool {
        self.pending.is_empty()
            || requests.iter().map(|request| self.charge(request)).sum::<u32>() <= self.credits
    }

    /// Bytes that one request may move, so that others have credits left too, [MS-SMB2] 3.2.4.1.5. A host that grants
    /// few would never have enough for a large one.
    pub(crate) fn affordable(&self) -> u32 {
        (self.credits / 4).max(1).saturating_mul(BYTES_PER_CREDIT)
    }

    /// Numbers and protects a compound, and notes who waits for its answers. Answers the frame to send. The requests are
    /// still good to be sent once more.
    pub(crate) fn send(
        &mut self,
        requests: &mut [Request],
        now: Instant,
    ) -> Result<(Vec<u8>, Vec<Sent>), Loss> {
        let size = requests.iter().map(|request| MESSAGE + request.data.len()).sum();
        let mut frame = self.new_frame(size);
        let mut starts = Vec::new();
        let mut sent = Vec::new();
        let count = requests.len();
        let is_encrypted = self.is_encrypting();
        for (index, request) in requests.iter_mut().enumerate() {
            let start = frame.len();
            starts.push(start - FRAME_LENGTH);
            let charge = self.charge(request);
            let message_id = self.next_message_id;
            self.next_message_id += u64::from(charge);
            self.credits = self.credits.saturating_sub(charge);

            let command = request.message.content.associated_cmd();
            let (command_name, when_dropped) = (request.command_name(), request.when_dropped);
            let plain = &mut request.message;
            plain.header.message_id = message_id;
            plain.header.session_id = self.phase.session_id();
            plain.header.tree_id = Some(request.tree_id);
            plain.header.credit_charge = if self.phase.has_large_mtu() { credits_field(charge) } else { 0 };
            plain.header.credit_request = credits_field(charge + WANTED_CREDITS.saturating_sub(self.credits));
            plain.header.flags.set_related_operations(index > 0);
            encode(plain, &request.data, &mut frame)?;
            if index + 1 < count {
                let next = (frame.len() - start).next_multiple_of(8);
                frame.resize(start + next, 0);
                let next = u32::try_from(next).unwrap_or(u32::MAX);
                frame[start + NEXT_COMMAND..][..4].copy_from_slice(&next.to_le_bytes());
            }

            let (waiter, answer) = oneshot::channel();
            if self.pending.is_empty() {
                self.liveness.start_waiting(now);
            }
            let pending =
                Pending { command, command_name, when_dropped, is_encrypted, async_id: None, waiter };
            self.pending.insert(message_id, pending);
            sent.push(Sent { message_id, answer });
        }
        Ok((self.finish(frame, &starts)?, sent))
    }

    /// Nobody waits for this response any more. Answers the frame that asks the server to give the request up,
    /// [MS-SMB2] 3.2.4.24: the response still comes, and frees its credits. `None` for a request that is answered
    /// already, or is left to finish.
    pub(crate) fn drop_request(&mut self, message_id: u64) -> Option<Vec<u8>> {
        let pending = self.pending.get(&message_id)?;
        if pending.when_dropped == WhenDropped::Finish {
            return None;
        }
        let mut cancel = PlainRequest::new(RequestContent::Cancel(CancelRequest::default()));
        cancel.header.message_id = message_id;
        cancel.header.session_id = self.phase.session_id();
        if let Some(async_id) = pending.async_id {
            cancel.header.to_async(async_id);
        }
        let mut frame = self.new_frame(MESSAGE);
        let start = frame.len();
        encode(&cancel, &[], &mut frame).ok()?;
        self.finish(frame, &[start - FRAME_LENGTH]).ok()
    }

    /// Takes the frames off what has arrived, and hands their answers out; bytes of a frame that is not whole stay in
    /// the buffer. `count` bytes are new.
    pub(crate) fn receive(
        &mut self,
        buffer: &mut BytesMut,
        count: usize,
        now: Instant,
    ) -> Result<(), PeerMisbehaved> {
        let mut is_whole = false;
        while let Some(frame) = next_frame(buffer)? {
            self.accept(frame)?;
            is_whole = true;
        }
        self.liveness.arrived(count, is_whole, now);
        Ok(())
    }

    /// Whether every request that is left to finish has finished: the host has done then what it will ever do for those
    /// that nobody waits for.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.values().all(|pending| pending.when_dropped == WhenDropped::Cancel)
    }

    /// See [`Liveness::grant`].
    pub(crate) fn grant_silence(&mut self, silence: Duration) {
        self.liveness.grant(silence);
    }

    /// What the host's silence calls for.
    pub(crate) fn verdict(&self, now: Instant) -> Verdict {
        if self.pending.is_empty() {
            return Verdict::Wait;
        }
        match self.liveness.verdict(now) {
            Verdict::Probe if self.phase.protection().is_none() || self.credits == 0 => Verdict::Wait,
            verdict => verdict,
        }
    }

    /// The frame that asks for a sign of life.
    pub(crate) fn probe(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.liveness.probed();
        let echo = Request::treeless(RequestContent::Echo(EchoRequest::default()));
        // Its answer counts by its arrival alone.
        self.send(&mut [echo], now).ok().map(|(frame, _)| frame)
    }

    /// The connection has ended: everyone who waits is told, and everyone who comes.
    pub(crate) fn fail(&mut self, loss: Loss) {
        let loss = self.lost.get_or_insert(loss).clone();
        for pending in std::mem::take(&mut self.pending).into_values() {
            // Nobody may be waiting any more.
            let _ = pending.waiter.send(Err(loss.clone()));
        }
    }

    /// A frame for messages of `size` bytes, so far only the room in front of them: they are protected in place.
    fn new_frame(&self, size: usize) -> Vec<u8> {
        let room = FRAME_LENGTH + self.phase.protection().map_or(0, Protection::room);
        let mut frame = Vec::with_capacity(room + size);
        frame.resize(room, 0);
        frame
    }

    /// Protects a frame whose messages begin at `starts`, counted behind its length.
    fn finish(&mut self, mut frame: Vec<u8>, starts: &[usize]) -> Result<Vec<u8>, Loss> {
        let messages = &mut frame[FRAME_LENGTH..];
        match &mut self.phase {
            Phase::Negotiating { preauth } | Phase::Authenticating { preauth, .. } => {
                preauth.update(messages)
            }
            // The algorithms were built for these keys: what fails here is our own fault, not the user's.
            Phase::Protected { protection, .. } => {
                protection
                    .protect(messages, starts)
                    .map_err(|error| Loss::Internal(error.to_string().into()))?;
            }
        }
        let length = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        frame[..FRAME_LENGTH].copy_from_slice(&length.to_be_bytes());
        Ok(frame)
    }

    /// Credits that a request costs, [MS-SMB2] 3.2.4.1.5.
    fn charge(&self, request: &Request) -> u32 {
        if !self.phase.has_large_mtu() {
            return 1;
        }
        request.payload().max(1).div_ceil(BYTES_PER_CREDIT)
    }

    /// Takes a frame apart and hands its answers out.
    fn accept(&mut self, mut frame: BytesMut) -> Result<(), PeerMisbehaved> {
        let is_encrypted = match frame.get(..4) {
            Some(b"\xfeSMB") => false,
            Some(b"\xfdSMB") => {
                let protection = self.phase.protection_mut().ok_or(PeerMisbehaved::BadDecryption)?;
                protection.decrypt(&mut frame)?;
                let _ = frame.split_to(TRANSFORM_HEADER);
                true
            }
            Some(b"\xffSMB") => return Err(PeerMisbehaved::Smb1),
            _ => return Err(PeerMisbehaved::NotSmb2),
        };
        // What was asked before everything was to be encrypted is answered as it was asked.
        if !is_encrypted && self.is_encrypting() && self.pending.values().all(|pending| pending.is_encrypted)
        {
            return Err(unprotected(&frame, PeerMisbehaved::Unencrypted));
        }
        let mut rest = frame.freeze();
        while !rest.is_empty() {
            let message = next_message(&mut rest)?;
            self.deliver(message, is_encrypted)?;
        }
        Ok(())
    }

    fn deliver(&mut self, message: Bytes, is_encrypted: bool) -> Result<(), PeerMisbehaved> {
        let head = message.get(..HEADER).ok_or(PeerMisbehaved::Malformed)?;
        let header = Header::read_le(&mut Cursor::new(head)).map_err(|_| PeerMisbehaved::Malformed)?;
        if !header.flags.server_to_redir() {
            return Err(PeerMisbehaved::Malformed);
        }
        let is_interim = header.status == NtStatus::PENDING.0 && header.flags.async_command();
        if header.message_id == u64::MAX {
            // 3.2.5.19: an oplock break. We hold no oplock: nothing to do, whoever says so.
            return Ok(());
        }
        // Before its signature: the algorithms take the ids of requests alone.
        let pending = self.pending.get_mut(&header.message_id).ok_or(PeerMisbehaved::UnknownMessageId)?;
        if let Some(protection) = self.phase.protection()
            && !is_encrypted
            // 3.2.5.1.3: an interim answer is not verified. Its signature may be that of the request, or none; all that
            // it says is an id, by which a request is cancelled.
            && !is_interim
        {
            protection.verify(&header, &message).map_err(|error| match error {
                PeerMisbehaved::Unsigned => unprotected(&message, error),
                error => error,
            })?;
        }
        if pending.is_encrypted && !is_encrypted {
            return Err(unprotected(&message, PeerMisbehaved::Unencrypted));
        }
        if header.command != pending.command {
            return Err(PeerMisbehaved::WrongCommand);
        }
        match &mut self.phase {
            Phase::Negotiating { preauth } | Phase::Authenticating { preauth, .. } => {
                let ends_session_setup = header.command == Command::SessionSetup
                    && header.status != NtStatus::MORE_PROCESSING_REQUIRED.0;
                if !ends_session_setup {
                    preauth.update(&message);
                }
            }
            Phase::Protected { protection, .. } => {
                if header.session_id != protection.session_id() {
                    return Err(PeerMisbehaved::WrongSession);
                }
            }
        }
        self.credits = self.credits.saturating_add(u32::from(header.credit_request)).min(MAX_CREDITS);
        if is_interim {
            // 3.3.4.2: one is all that a server has to say, another is a replay.
            return match pending.async_id.replace(header.async_id.unwrap_or_default()) {
                None => Ok(()),
                Some(_) => Err(PeerMisbehaved::UnknownMessageId),
            };
        }
        if let Some(pending) = self.pending.remove(&header.message_id) {
            let response = Response { command: pending.command_name, header, message };
            // A waiter that has given up no longer needs the response.
            let _ = pending.waiter.send(Ok(response));
        }
        Ok(())
    }
}

impl Phase {
    fn has_large_mtu(&self) -> bool {
        match self {
            Phase::Negotiating { .. } => false,
            Phase::Authenticating { large_mtu, .. } | Phase::Protected { large_mtu, .. } => *large_mtu,
        }
    }

    fn session_id(&self) -> u64 {
        match self {
            Phase::Negotiating { .. } => 0,
            Phase::Authenticating { session_id, .. } => *session_id,
            Phase::Protected { protection, .. } => protection.session_id(),
        }
    }

    fn protection(&self) -> Option<&Protection> {
        match self {
            Phase::Protected { protection, .. } => Some(protection),
            Phase::Negotiating { .. } | Phase::Authenticating { .. } => None,
        }
    }

    fn protection_mut(&mut self) -> Option<&mut Protection> {
        match self {
            Phase::Protected { protection, .. } => Some(protection),
            Phase::Negotiating { .. } | Phase::Authenticating { .. } => None,
        }
    }
}

/// Where a message's header has the status.
const STATUS: usize = 8;
/// Where a message's header tells the start of the next one of its compound.
const NEXT_COMMAND: usize = 20;

/// Splits off the first frame, if it is whole: a zero byte, a length of 24 bits, the messages ([MS-SMB2] 2.1).
fn next_frame(buffer: &mut BytesMut) -> Result<Option<BytesMut>, PeerMisbehaved> {
    let Some(&[zero, a, b, c]) = buffer.first_chunk::<FRAME_LENGTH>() else { return Ok(None) };
    if zero != 0 {
        return Err(PeerMisbehaved::NotSmb2);
    }
    let end = FRAME_LENGTH + u32::from_be_bytes([0, a, b, c]) as usize;
    if end > MAX_FRAME {
        return Err(PeerMisbehaved::Malformed);
    }
    if buffer.len() < end {
        buffer.reserve(end - buffer.len());
        return Ok(None);
    }
    let mut frame = buffer.split_to(end);
    let _ = frame.split_to(FRAME_LENGTH);
    Ok(Some(frame))
}

/// Splits the first message off a compound, [MS-SMB2] 3.2.5.1.9.
fn next_message(rest: &mut Bytes) -> Result<Bytes, PeerMisbehaved> {
    let next = wire::u32_at(rest, NEXT_COMMAND).ok_or(PeerMisbehaved::Malformed)?;
    match next as usize {
        0 => Ok(std::mem::take(rest)),
        // Some servers count the last message too, whose end is that of the frame.
        next if next >= HEADER && next == rest.len() => Ok(std::mem::take(rest)),
        next if next >= HEADER && next < rest.len() && next % 8 == 0 => Ok(rest.split_to(next)),
        _ => Err(PeerMisbehaved::Malformed),
    }
}

/// Why an answer that nothing protects is not believed: a host that has lost what an answer would be protected by cannot
/// say so otherwise ([MS-SMB2] 3.3.4.1.1: an answer is signed with the session's key).
fn unprotected(message: &[u8], otherwise: PeerMisbehaved) -> PeerMisbehaved {
    match wire::u32_at(message, STATUS).map(NtStatus) {
        Some(
            status @ (NtStatus::USER_SESSION_DELETED
            | NtStatus::NETWORK_NAME_DELETED
            | NtStatus::FILE_CLOSED
            | NtStatus::INVALID_PARAMETER),
        ) => PeerMisbehaved::SaysUnprotected(status),
        _ => otherwise,
    }
}

/// Appends a message to a frame. Offsets inside it count from its own start.
fn encode(request: &PlainRequest, data: &[u8], frame: &mut Vec<u8>) -> Result<(), Loss> {
    let mut cursor = Cursor::new(Vec::with_capacity(MESSAGE));
    request.write_le(&mut cursor).map_err(|error| Loss::Internal(error.to_string().into()))?;
    // Wiped after use: settings hold a password.
    frame.extend_from_slice(&Zeroizing::new(cursor.into_inner()));
    frame.extend_from_slice(data);
    Ok(())
}

fn credits_field(credits: u32) -> u16 {
    u16::try_from(credits).unwrap_or(u16::MAX)
}

/// Any bytes of a stranger through everything that takes a frame apart: `protected` as after the session set-up.
#[cfg(any(test, fuzzing))]
pub(crate) fn accept_any(bytes: &[u8], protection: Option<Protection>) {
    let mut state = State::new(Instant::now());
    let mut receivers = Vec::new();
    // NEGOTIATE, which has the id 0, is answered before there is a session to protect.
    let first = u64::from(protection.is_some());
    if let Some(protection) = protection {
        state.protected(protection);
    }
    for message_id in first..20 {
        let number = u8::try_from(message_id).unwrap_or_default();
        let Ok(command) = Command::read_le(&mut Cursor::new([number, 0])) else { continue };
        receivers.push(state.wait_for(message_id, command));
    }
    // What is refused is refused; what is not must be fit for use.
    let _ = state.accept(BytesMut::from(bytes));
    for mut receiver in receivers {
        let Ok(Ok(response)) = receiver.try_recv() else { continue };
        let _ = response.file_id();
        let _ = response.read_data();
        let _ = response.body::<smb_msg::SessionSetupResponse>();
        let _ = response.ioctl_output();
        let _ = response.share_flags();
        if let Ok(listing) = response.directory_output() {
            let _ = crate::entries::DirectoryEntries(&listing).count();
        }
    }
}

#[cfg(any(test, fuzzing))]
impl State {
    /// As if a request had been sent.
    fn wait_for(&mut self, message_id: u64, command: Command) -> oneshot::Receiver<Received> {
        let (waiter, answer) = oneshot::channel();
        let when_dropped = WhenDropped::Cancel;
        let pending = Pending {
            command,
            command_name: "a request",
            when_dropped,
            is_encrypted: self.is_encrypting(),
            async_id: None,
            waiter,
        };
        self.pending.insert(message_id, pending);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use smb_msg::{EncryptionCipher, SigningAlgorithmId};

    use crate::protection::KeyMaterial;

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
    fn waiting(protection: Option<Protection>) -> (State, oneshot::Receiver<Received>) {
        let mut state = State::new(Instant::now());
        if let Some(protection) = protection {
            state.protected(protection);
        }
        let answer = state.wait_for(5, Command::Echo);
        (state, answer)
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

    fn accept(state: &mut State, message: &[u8]) -> Result<(), PeerMisbehaved> {
        state.accept(BytesMut::from(message))
    }

    #[test]
    fn an_answer_reaches_who_waits_and_brings_its_credits() {
        let (mut state, mut answer) = waiting(None);
        accept(&mut state, &echo_response(|_| ())).unwrap();
        assert_eq!(answer.try_recv().unwrap().unwrap().status(), NtStatus::SUCCESS);
        assert_eq!(state.credits, 1 + 3);
    }

    #[test]
    fn an_interim_answer_leaves_the_request_pending() {
        let (mut state, mut answer) = waiting(None);
        let interim = echo_response(|header| {
            header.status = NtStatus::PENDING.0;
            header.to_async(99);
        });
        accept(&mut state, &interim).unwrap();
        assert!(answer.try_recv().is_err());
        assert_eq!(state.pending.get(&5).and_then(|pending| pending.async_id), Some(99));
        accept(&mut state, &echo_response(|header| header.to_async(99))).unwrap();
        assert!(answer.try_recv().unwrap().is_ok());
    }

    #[test]
    fn a_silent_host_is_probed_once_it_can_be_and_then_given_up() {
        let second = std::time::Duration::from_secs(1);
        let (mut state, _answer) = waiting(None);
        let start = Instant::now();
        assert_eq!(
            state.verdict(start + 11 * second),
            Verdict::Wait,
            "nothing may be asked before the session"
        );
        state.protected(keys(SigningAlgorithmId::AesCmac, None));
        assert_eq!(state.verdict(start + 11 * second), Verdict::Probe);
        assert!(state.probe(start + 11 * second).is_some());
        assert_eq!(state.verdict(start + 12 * second), Verdict::Wait);
        assert!(matches!(state.verdict(start + 31 * second), Verdict::GiveUp(_)));
        assert_eq!(State::new(start).verdict(start + 99 * second), Verdict::Wait, "nothing is waited for");
    }

    /// The headers of a frame that was sent.
    fn headers(frame: &[u8]) -> Vec<Header> {
        let mut buffer = BytesMut::from(frame);
        let mut rest = next_frame(&mut buffer).unwrap().unwrap().freeze();
        let mut headers = Vec::new();
        while !rest.is_empty() {
            let message = next_message(&mut rest).unwrap();
            headers.push(Header::read_le(&mut Cursor::new(&message[..])).unwrap());
        }
        headers
    }

    fn echo() -> Request {
        Request::treeless(RequestContent::Echo(EchoRequest::default()))
    }

    #[test]
    fn a_compound_is_numbered_and_related_and_costs_its_credits() {
        let mut state = State::new(Instant::now());
        state.credits = 3;
        assert!(state.can_send(&[echo(), echo(), echo()]));
        let (frame, sent) = state.send(&mut [echo(), echo()], Instant::now()).unwrap();
        let headers = headers(&frame);
        assert_eq!(headers.iter().map(|header| header.message_id).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(
            headers.iter().map(|header| header.flags.related_operations()).collect::<Vec<_>>(),
            [false, true]
        );
        assert_eq!(sent.iter().map(|sent| sent.message_id).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(state.credits, 1);
        assert!(!state.can_send(&[echo(), echo()]), "two for one credit");
        state.fail(Loss::Closed);
        assert!(state.can_send(&[echo(), echo()]), "nothing is outstanding: the server may judge");
    }

    #[test]
    fn sessions_begin_with_their_id_and_are_signed_once_they_are_protected() {
        let mut state = State::new(Instant::now());
        let sent = |state: &mut State| {
            let (frame, _) = state.send(&mut [echo()], Instant::now()).unwrap();
            let header = headers(&frame).remove(0);
            (header.session_id, header.credit_charge, header.flags.signed())
        };
        assert_eq!(sent(&mut state), (0, 0, false));
        state.authenticating(SESSION);
        assert_eq!(sent(&mut state), (0, 0, false), "there is no session before there is a dialect");
        state.negotiated(true);
        state.authenticating(SESSION);
        assert_eq!(sent(&mut state), (SESSION, 1, false));
        assert!(state.preauth_hash().is_some());
        state.protected(keys(SigningAlgorithmId::AesCmac, None));
        assert_eq!(sent(&mut state), (SESSION, 1, true));
        assert!(state.preauth_hash().is_none() && !state.encrypt_everything());
    }

    #[test]
    fn a_request_is_sent_once_more_under_another_number() {
        let mut state = State::new(Instant::now());
        state.protected(keys(SigningAlgorithmId::AesCmac, None));
        let mut requests = [echo(), Request::connect_tree(r"\\host\IPC$")];
        let frames = [(); 2].map(|()| state.send(&mut requests, Instant::now()).unwrap());
        let numbers: Vec<_> = frames.iter().flat_map(|(_, sent)| sent).map(|sent| sent.message_id).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
        let lengths = frames.each_ref().map(|(frame, _)| frame.len());
        assert_eq!(lengths[0], lengths[1]);
        let id = |frame: &[u8]| wire::u64_at(frame, FRAME_LENGTH + 24);
        assert_eq!(frames.each_ref().map(|(frame, _)| id(frame)), [Some(0), Some(2)]);
    }

    #[test]
    fn a_request_that_nobody_waits_for_is_cancelled_or_finishes() {
        let mut state = State::new(Instant::now());
        let requests = [echo(), echo().when_dropped(WhenDropped::Finish)];
        let [cancelled, lasting] = requests
            .map(|request| state.send(&mut [request], Instant::now()).unwrap().1.remove(0).message_id);
        let cancel = state.drop_request(cancelled).unwrap();
        assert_eq!(headers(&cancel)[0].command, Command::Cancel);
        assert_eq!(headers(&cancel)[0].message_id, cancelled);
        assert_eq!(state.drop_request(lasting), None);
        assert!(!state.is_settled());
        accept(&mut state, &echo_response(|header| header.message_id = lasting)).unwrap();
        assert!(state.is_settled());
        assert_eq!(state.drop_request(lasting), None, "it is answered already");
    }

    #[test]
    fn a_frame_in_pieces_is_taken_when_it_is_whole() {
        let (mut state, mut answer) = waiting(None);
        let message = echo_response(|_| ());
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let mut buffer = BytesMut::new();
        for byte in length.iter().chain(&message) {
            assert!(answer.try_recv().is_err());
            buffer.extend_from_slice(&[*byte]);
            state.receive(&mut buffer, 1, Instant::now()).unwrap();
        }
        assert!(answer.try_recv().unwrap().is_ok());
        buffer.extend_from_slice(&[0, 0x7f, 0, 0]);
        assert_eq!(state.receive(&mut buffer, 4, Instant::now()), Err(PeerMisbehaved::Malformed));
    }

    #[test]
    fn answers_to_nothing_are_refused() {
        let refused =
            |change: fn(&mut Header)| accept(&mut waiting(None).0, &echo_response(change)).unwrap_err();
        assert_eq!(refused(|header| header.message_id = 6), PeerMisbehaved::UnknownMessageId);
        assert_eq!(refused(|header| header.command = Command::Read), PeerMisbehaved::WrongCommand);
        assert_eq!(refused(|header| header.flags.set_server_to_redir(false)), PeerMisbehaved::Malformed);
    }

    #[test]
    fn a_second_answer_is_refused() {
        let (mut state, _answer) = waiting(None);
        accept(&mut state, &echo_response(|_| ())).unwrap();
        assert_eq!(accept(&mut state, &echo_response(|_| ())), Err(PeerMisbehaved::UnknownMessageId));
    }

    #[test]
    fn a_signed_session_believes_only_its_signature() {
        for signing in
            [SigningAlgorithmId::HmacSha256, SigningAlgorithmId::AesCmac, SigningAlgorithmId::AesGmac]
        {
            let signed = protect(&mut keys(signing, None), &echo_response(|_| ()));
            let (mut state, mut answer) = waiting(Some(keys(signing, None)));
            accept(&mut state, &signed).unwrap();
            assert!(answer.try_recv().unwrap().is_ok());

            for bit in [0, 60 * 8, 66 * 8] {
                let mut altered = signed.clone();
                altered[16 + bit / 8 % (signed.len() - 16)] ^= 0x20;
                let (mut state, mut answer) = waiting(Some(keys(signing, None)));
                assert!(accept(&mut state, &altered).is_err());
                assert!(answer.try_recv().is_err());
            }
            let unsigned = echo_response(|_| ());
            assert_eq!(
                accept(&mut waiting(Some(keys(signing, None))).0, &unsigned),
                Err(PeerMisbehaved::Unsigned)
            );
        }
    }

    #[test]
    fn an_encrypted_session_believes_no_plain_answer() {
        let mut protection = keys(SigningAlgorithmId::AesGmac, Some(EncryptionCipher::Aes128Gcm));
        protection.encrypt_everything();
        let signed = protect(&mut keys(SigningAlgorithmId::AesGmac, None), &echo_response(|_| ()));
        let (mut state, mut answer) = waiting(Some(protection));
        assert_eq!(accept(&mut state, &signed), Err(PeerMisbehaved::Unencrypted));
        assert!(answer.try_recv().is_err());
    }

    #[test]
    fn what_was_asked_before_encryption_is_answered_without() {
        let signing = SigningAlgorithmId::AesGmac;
        let signed = protect(&mut keys(signing, None), &echo_response(|_| ()));
        let (mut state, mut answer) = waiting(Some(keys(signing, Some(EncryptionCipher::Aes128Gcm))));
        assert!(state.encrypt_everything());
        let mut later = state.wait_for(6, Command::Echo);
        accept(&mut state, &signed).unwrap();
        assert!(answer.try_recv().unwrap().is_ok());
        let signed = protect(&mut keys(signing, None), &echo_response(|header| header.message_id = 6));
        assert_eq!(accept(&mut state, &signed), Err(PeerMisbehaved::Unencrypted));
        assert!(later.try_recv().is_err());
        // Beside another that may come in the clear it is refused as well.
        let (mut state, _answer) = waiting(Some(keys(signing, Some(EncryptionCipher::Aes128Gcm))));
        state.encrypt_everything();
        let mut later = state.wait_for(6, Command::Echo);
        assert_eq!(accept(&mut state, &signed), Err(PeerMisbehaved::Unencrypted));
        assert!(later.try_recv().is_err());
    }

    #[test]
    fn a_host_that_has_lost_the_session_is_quoted_and_not_believed() {
        let signing = SigningAlgorithmId::AesCmac;
        for (status, is_quoted) in [
            (NtStatus::USER_SESSION_DELETED, true),
            (NtStatus::NETWORK_NAME_DELETED, true),
            (NtStatus::FILE_CLOSED, true),
            (NtStatus::INVALID_PARAMETER, true),
            (NtStatus::ACCESS_DENIED, false),
            (NtStatus::SUCCESS, false),
        ] {
            let says = echo_response(|header| header.status = status.0);
            let expected =
                |otherwise| if is_quoted { PeerMisbehaved::SaysUnprotected(status) } else { otherwise };
            let (mut state, mut answer) = waiting(Some(keys(signing, None)));
            assert_eq!(accept(&mut state, &says), Err(expected(PeerMisbehaved::Unsigned)));
            assert!(answer.try_recv().is_err());

            let mut protection = keys(signing, Some(EncryptionCipher::Aes128Gcm));
            protection.encrypt_everything();
            let (mut state, mut answer) = waiting(Some(protection));
            assert_eq!(accept(&mut state, &says), Err(expected(PeerMisbehaved::Unencrypted)));
            assert!(answer.try_recv().is_err());

            // Whoever can sign it is believed.
            let (mut state, mut answer) = waiting(Some(keys(signing, None)));
            accept(&mut state, &protect(&mut keys(signing, None), &says)).unwrap();
            assert_eq!(answer.try_recv().unwrap().unwrap().status(), status);
        }
    }

    #[test]
    fn an_interim_answer_may_bear_any_signature_and_the_final_one_may_not() {
        let signing = SigningAlgorithmId::AesCmac;
        let stale = |change: fn(&mut Header)| {
            echo_response(|header| {
                header.flags.set_signed(true);
                header.signature = 0x4711;
                header.to_async(99);
                change(header);
            })
        };
        let (mut state, mut answer) = waiting(Some(keys(signing, None)));
        accept(&mut state, &stale(|header| header.status = NtStatus::PENDING.0)).unwrap();
        assert!(answer.try_recv().is_err());
        assert_eq!(accept(&mut state, &stale(|_| ())), Err(PeerMisbehaved::BadSignature));
        assert!(answer.try_recv().is_err());
    }

    #[test]
    fn the_last_message_may_count_itself() {
        let message = echo_response(|_| ());
        for next in [0, 68] {
            let mut counting = message.clone();
            counting[NEXT_COMMAND..][..4].copy_from_slice(&u32::to_le_bytes(next));
            let (mut state, mut answer) = waiting(None);
            accept(&mut state, &counting).unwrap();
            assert!(answer.try_recv().unwrap().is_ok());
        }
        for next in [8, 67, 69, 72] {
            let mut beyond = message.clone();
            beyond[NEXT_COMMAND..][..4].copy_from_slice(&u32::to_le_bytes(next));
            assert_eq!(accept(&mut waiting(None).0, &beyond), Err(PeerMisbehaved::Malformed), "{next}");
        }
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
            let mut state = State::new(Instant::now());
            let mut rest = Bytes::from(frame.clone());
            while !rest.is_empty() {
                let message = next_message(&mut rest).unwrap();
                let header = Header::read_le(&mut Cursor::new(&message[..])).unwrap();
                let _answer = state.wait_for(header.message_id, header.command);
            }
            accept(&mut state, &frame).unwrap();
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
