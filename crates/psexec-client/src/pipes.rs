//! Bytes through the pipes of a run: standard input, output and error, and the messages of the main pipe.
//!
//! Each pipe has one request in flight at a time. Windows may carry out two reads of one pipe in either order
//! ([MS-SMB2] 3.3.5.2 promises an order only within a compound), and pipes have no offsets that would tell them
//! apart: large reads are quick enough, and never mixed up.
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
use std::sync::{Mutex, PoisonError};

use psexec_protocol::paexec::{Message, MessageBody};

use crate::error::{ErrorKind, NtStatus};
use crate::smb::{Answer, FileHandle, Request, Session, expect, read_data};

/// Bytes that one read of standard output asks for: what a pipe holds at most, as our service makes it.
const READ_LENGTH: u32 = 512 * 1024;
/// Bytes of standard input that one write carries.
const WRITE_LENGTH: u32 = 256 * 1024;
/// A message of the main pipe; only a long error text comes near.
const MESSAGE_LENGTH: u32 = 64 * 1024;
/// More than that is no message of the service.
const MAX_MESSAGE: usize = 1 << 20;

/// Reads a pipe to its end. Bytes arrive in `sink` as they come, so that nothing is lost when this is dropped.
pub(crate) async fn read_to_end(
    session: &Session,
    pipe: FileHandle,
    sink: &Mutex<Vec<u8>>,
) -> Result<(), ErrorKind> {
    loop {
        let length = READ_LENGTH.min(session.negotiated.max_read).min(session.channel.affordable());
        let answer = session.channel.send(Request::read(pipe, length)).await?.answer().await?;
        if has_ended(&answer) {
            return Ok(());
        }
        expect(&answer, "READ from a pipe", &[NtStatus::SUCCESS, NtStatus::BUFFER_OVERFLOW])?;
        let data = read_data(&answer)?;
        sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&data);
    }
}

/// Writes all of `data` and closes the pipe, so that the process sees its end. A process that does not want to read
/// so much is no error.
pub(crate) async fn write_and_close(
    session: &Session,
    pipe: FileHandle,
    data: &[u8],
) -> Result<(), ErrorKind> {
    let length = WRITE_LENGTH.min(session.negotiated.max_write).min(session.channel.affordable());
    for chunk in data.chunks(length as usize) {
        let answer = session.channel.send(Request::write(pipe, 0, chunk.to_vec())).await?.answer().await?;
        if has_ended(&answer) {
            break;
        }
        expect(&answer, "WRITE to standard input", &[NtStatus::SUCCESS])?;
    }
    session.channel.send(Request::close(pipe)).await?.answer().await?;
    Ok(())
}

/// Writes a message to the main pipe.
pub(crate) async fn write_message(
    session: &Session,
    pipe: FileHandle,
    message: Vec<u8>,
) -> Result<(), ErrorKind> {
    let answer = session.channel.send(Request::write(pipe, 0, message)).await?.answer().await?;
    expect(&answer, "WRITE to the service", &[NtStatus::SUCCESS])
}

/// Reads the next message of the main pipe, however long that takes.
pub(crate) async fn read_message(session: &Session, pipe: FileHandle) -> Result<MessageBody, ErrorKind> {
    let mut bytes = Vec::new();
    loop {
        let answer = session.channel.send(Request::read(pipe, MESSAGE_LENGTH)).await?.answer().await?;
        if has_ended(&answer) {
            return Err(ErrorKind::Service("it closed its pipe without an answer".into()));
        }
        expect(&answer, "READ from the service", &[NtStatus::SUCCESS, NtStatus::BUFFER_OVERFLOW])?;
        bytes.extend_from_slice(&read_data(&answer)?);
        if answer.status() == NtStatus::SUCCESS {
            return decode(&bytes);
        }
        if bytes.len() > MAX_MESSAGE {
            return Err(ErrorKind::Service("its message is too long".into()));
        }
    }
}

/// A message of the service; FAILED is an error in its own words.
pub(crate) fn decode(bytes: &[u8]) -> Result<MessageBody, ErrorKind> {
    match Message::decode(bytes) {
        Ok(Message { body: MessageBody::Failed(text), .. }) => {
            Err(ErrorKind::Process(text.trim_end().into()))
        }
        Ok(message) => Ok(message.body),
        Err(error) => Err(ErrorKind::Service(error.to_string())),
    }
}

/// The other end of the pipe is gone: what pipes have instead of an end of file, [MS-ERREF] 2.3.
///
/// [MS-ERREF]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-erref/1bc92ddf-b79e-413c-bbaa-99a5281a6c90
fn has_ended(answer: &Answer) -> bool {
    matches!(
        answer.status(),
        NtStatus::PIPE_BROKEN
            | NtStatus::PIPE_CLOSING
            | NtStatus::PIPE_EMPTY
            | NtStatus::PIPE_DISCONNECTED
            | NtStatus::END_OF_FILE
    )
}
