//! What somebody who sits in between would change in messages that he can read.
//!
//! The offsets are those of [MS-SMB2] 2.2.3 to 2.2.6.
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962

use super::frame::*;
use super::tampering::{Action, Sender, Tampering, When};

/// Negotiate contexts, [MS-SMB2] 2.2.3.1.
///
/// [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the document's")]
pub enum NegotiateContext {
    PreauthIntegrityCapabilities = 1,
    EncryptionCapabilities = 2,
    SigningCapabilities = 8,
}

/// In the client's NEGOTIATE: every dialect above this one becomes this one.
pub fn offer_at_most(dialect: u16) -> Tampering {
    client_negotiate(move |frame| {
        for index in 0..usize::from(u16_at(frame, HEADER + 2)) {
            let at = HEADER + 36 + 2 * index;
            if u16_at(frame, at) > dialect {
                put(frame, at, &dialect.to_le_bytes());
            }
        }
    })
}

/// In the client's NEGOTIATE: it demands no signatures.
pub fn offer_no_signing() -> Tampering {
    client_negotiate(|frame| put(frame, HEADER + 4, &[0, 0]))
}

/// In the client's NEGOTIATE: it is capable of nothing, encryption above all.
pub fn offer_no_capabilities() -> Tampering {
    client_negotiate(|frame| put(frame, HEADER + 8, &[0; 4]))
}

/// In the client's NEGOTIATE: it is another client.
pub fn offer_another_guid() -> Tampering {
    client_negotiate(|frame| put(frame, HEADER + 12, &[7; 16]))
}

/// In the client's NEGOTIATE: a context is made one that nobody knows.
pub fn offer_without(context: NegotiateContext) -> Tampering {
    client_negotiate(move |frame| {
        let (offset, count) = (u32_at(frame, HEADER + 28), u16_at(frame, HEADER + 32));
        if let Some(at) = find_context(frame, offset, count, context) {
            put(frame, at, &0x7777_u16.to_le_bytes());
        }
    })
}

/// In the client's NEGOTIATE: every algorithm of a context becomes this one.
pub fn offer_only(context: NegotiateContext, algorithm: u16) -> Tampering {
    client_negotiate(move |frame| {
        let (offset, count) = (u32_at(frame, HEADER + 28), u16_at(frame, HEADER + 32));
        let Some(at) = find_context(frame, offset, count, context) else { return };
        for index in 0..usize::from(u16_at(frame, at + 8)) {
            put(frame, at + 10 + 2 * index, &algorithm.to_le_bytes());
        }
    })
}

/// In the host's NEGOTIATE: it speaks this dialect.
pub fn answer_dialect(dialect: u16) -> Tampering {
    server_negotiate(move |frame| put(frame, HEADER + 4, &dialect.to_le_bytes()))
}

/// In the host's NEGOTIATE: it signs nothing.
pub fn answer_no_signing() -> Tampering {
    server_negotiate(|frame| put(frame, HEADER + 2, &[0, 0]))
}

/// In the host's NEGOTIATE: it is capable of nothing, encryption above all.
pub fn answer_no_capabilities() -> Tampering {
    server_negotiate(|frame| put(frame, HEADER + 24, &[0; 4]))
}

/// In the host's NEGOTIATE: it is another host.
pub fn answer_another_guid() -> Tampering {
    server_negotiate(|frame| put(frame, HEADER + 8, &[7; 16]))
}

/// In the host's NEGOTIATE: it reads and writes nothing, and transacts nothing.
pub fn answer_no_sizes() -> Tampering {
    server_negotiate(|frame| put(frame, HEADER + 28, &[0; 12]))
}

/// In the host's NEGOTIATE: no contexts.
pub fn answer_no_contexts() -> Tampering {
    server_negotiate(|frame| put(frame, HEADER + 6, &[0, 0]))
}

/// In the host's NEGOTIATE: more contexts than there are.
pub fn answer_too_many_contexts() -> Tampering {
    server_negotiate(|frame| put(frame, HEADER + 6, &[0xff, 0xff]))
}

/// In the host's NEGOTIATE: contexts behind the end of the message.
pub fn answer_contexts_beyond_the_end() -> Tampering {
    server_negotiate(|frame| put(frame, HEADER + 60, &[0xf0, 0xff, 0xff, 0xff]))
}

/// In the host's NEGOTIATE: a security buffer behind the end of the message.
pub fn answer_token_beyond_the_end() -> Tampering {
    server_negotiate(|frame| put(frame, HEADER + 56, &[0xff; 4]))
}

/// In the host's NEGOTIATE: it offers NTLM alone, and mechanisms that nobody knows in the place of Kerberos's two.
pub fn answer_no_kerberos() -> Tampering {
    const KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];
    const MICROSOFT_KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02];

    server_negotiate(|frame| {
        for at in 0..frame.len() {
            if [KERBEROS, MICROSOFT_KERBEROS].iter().any(|mechanism| frame[at..].starts_with(mechanism)) {
                put(frame, at + KERBEROS.len() - 1, &[0x7f]);
            }
        }
    })
}

/// In the host's NEGOTIATE: a context is made one that nobody knows.
pub fn answer_without(context: NegotiateContext) -> Tampering {
    server_negotiate(move |frame| {
        let (offset, count) = (u32_at(frame, HEADER + 60), u16_at(frame, HEADER + 6));
        if let Some(at) = find_context(frame, offset, count, context) {
            put(frame, at, &0x7777_u16.to_le_bytes());
        }
    })
}

/// In the host's NEGOTIATE: it has chosen this algorithm.
pub fn answer_algorithm(context: NegotiateContext, algorithm: u16) -> Tampering {
    server_negotiate(move |frame| {
        let (offset, count) = (u32_at(frame, HEADER + 60), u16_at(frame, HEADER + 6));
        let Some(at) = find_context(frame, offset, count, context) else { return };
        // Hashes are listed behind the salt's length, ciphers and signing algorithms behind their count alone.
        let list = if context == NegotiateContext::PreauthIntegrityCapabilities { 12 } else { 10 };
        put(frame, at + list, &algorithm.to_le_bytes());
    })
}

/// In the answer that ends the session set-up: these SessionFlags (1: guest, 2: anonymous, 4: encrypt data).
pub fn answer_session_flags(flags: u16) -> Tampering {
    end_of_session_setup(Action::alter(move |frame| put(frame, HEADER + 2, &flags.to_le_bytes())))
}

/// What is done to the answer that ends the session set-up, the second with NTLM.
pub fn end_of_session_setup(action: Action) -> Tampering {
    Tampering { sender: Sender::Server, when: When::Message(Command::SessionSetup, 2), action }
}

/// Takes the signatures away, and the flags that tell of them.
pub fn strip_signatures() -> Action {
    each_message(|message| {
        let flags = u32_at(message, FLAGS.start) & !FLAG_SIGNED;
        put(message, FLAGS.start, &flags.to_le_bytes());
        put(message, SIGNATURE.start, &[0; 16]);
    })
}

/// Makes the signatures zero; the flags still tell of them.
pub fn zero_signatures() -> Action {
    each_message(|message| put(message, SIGNATURE.start, &[0; 16]))
}

/// Gives the messages the signature of something else, and the flag that tells of it.
pub fn stale_signatures() -> Action {
    each_message(|message| {
        let flags = u32_at(message, FLAGS.start) | FLAG_SIGNED;
        put(message, FLAGS.start, &flags.to_le_bytes());
        put(message, SIGNATURE.start, &[0x5a; 16]);
    })
}

/// Changes the messages' ids, and takes the signatures away.
pub fn another_message_id() -> Action {
    unsigned(|message| put(message, MESSAGE_ID.start, &0x4711_u64.to_le_bytes()))
}

/// Makes it a notification that nobody has asked for, and takes the signatures away.
pub fn unsolicited() -> Action {
    unsigned(|message| put(message, MESSAGE_ID.start, &[0xff; 8]))
}

/// Changes the messages' session, and takes the signatures away.
pub fn another_session() -> Action {
    unsigned(|message| put(message, SESSION_ID.start, &0x4711_u64.to_le_bytes()))
}

/// Changes the messages' command, and takes the signatures away.
pub fn another_command(command: Command) -> Action {
    unsigned(move |message| put(message, COMMAND.start, &(command as u16).to_le_bytes()))
}

/// Changes the messages' status, and takes the signatures away.
pub fn another_status(status: u32) -> Action {
    unsigned(move |message| put(message, STATUS.start, &status.to_le_bytes()))
}

/// Makes the answer an interim one, which nobody needs to sign.
pub fn pretend_pending() -> Action {
    unsigned(|message| {
        let flags = u32_at(message, FLAGS.start) | FLAG_ASYNC;
        put(message, FLAGS.start, &flags.to_le_bytes());
        put(message, STATUS.start, &STATUS_PENDING.to_le_bytes());
    })
}

/// Makes the answer look like a request.
pub fn pretend_request() -> Action {
    unsigned(|message| {
        let flags = u32_at(message, FLAGS.start) & !FLAG_SERVER_TO_REDIR;
        put(message, FLAGS.start, &flags.to_le_bytes());
    })
}

/// A compound whose next message would begin at this offset.
pub fn next_message_at(offset: u32) -> Action {
    each_message(move |message| put(message, NEXT_COMMAND.start, &offset.to_le_bytes()))
}

/// Replaces whatever the host has sent by an unencrypted answer to a request of this id: refused.
pub fn plain_answer(command: Command, message_id: u64) -> Action {
    Action::alter(move |frame| {
        let session_id: [u8; 8] = frame.get(44..52).and_then(|id| id.try_into().ok()).unwrap_or_default();
        let mut message = vec![0; HEADER + 8];
        put(&mut message, 0, b"\xfeSMB\x40");
        put(&mut message, STATUS.start, &0xC000_0022_u32.to_le_bytes());
        put(&mut message, COMMAND.start, &(command as u16).to_le_bytes());
        put(&mut message, 14, &1_u16.to_le_bytes());
        put(&mut message, FLAGS.start, &FLAG_SERVER_TO_REDIR.to_le_bytes());
        put(&mut message, MESSAGE_ID.start, &message_id.to_le_bytes());
        put(&mut message, SESSION_ID.start, &session_id);
        put(&mut message, HEADER, &[9]);
        *frame = message;
    })
}

/// Makes the frame one of SMB1.
pub fn pretend_smb1() -> Action {
    Action::alter(|frame| put(frame, 0, b"\xffSMB"))
}

/// Changes the nonce of an encrypted frame.
pub fn another_nonce() -> Action {
    Action::FlipBit(20)
}

/// Changes the session of an encrypted frame.
pub fn another_encrypted_session() -> Action {
    Action::FlipBit(44)
}

/// Changes the signature of an encrypted frame.
pub fn another_encrypted_signature() -> Action {
    Action::FlipBit(4)
}

/// Changes the size that an encrypted frame says its messages have.
pub fn another_encrypted_size() -> Action {
    Action::FlipBit(36)
}

fn client_negotiate(change: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> Tampering {
    let when = When::Message(Command::Negotiate, 1);
    Tampering { sender: Sender::Client, when, action: Action::alter(change) }
}

fn server_negotiate(change: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> Tampering {
    let when = When::Message(Command::Negotiate, 1);
    Tampering { sender: Sender::Server, when, action: Action::alter(change) }
}

fn each_message(change: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Action {
    Action::alter(move |frame| {
        for message in messages(frame) {
            change(&mut frame[message]);
        }
    })
}

fn unsigned(change: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Action {
    each_message(move |message| {
        let flags = u32_at(message, FLAGS.start) & !FLAG_SIGNED;
        put(message, FLAGS.start, &flags.to_le_bytes());
        put(message, SIGNATURE.start, &[0; 16]);
        change(message);
    })
}

/// Where a context begins; each does so at a multiple of 8.
fn find_context(frame: &[u8], offset: u32, count: u16, context: NegotiateContext) -> Option<usize> {
    let mut at = offset as usize;
    for _ in 0..count {
        if u16_at(frame, at) == context as u16 {
            return Some(at);
        }
        at += 8 + usize::from(u16_at(frame, at + 2)).next_multiple_of(8);
    }
    None
}
