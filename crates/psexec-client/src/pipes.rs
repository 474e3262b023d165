//! Bytes through the pipes of a run: standard input, output and error, and the messages of the main pipe.
//!
//! Each pipe has one request in flight at a time. Windows may carry out two reads of one pipe in either order
//! ([MS-SMB2] 3.3.5.2 promises an order only within a compound), and pipes have no offsets that would tell them
//! apart: large reads are quick enough, and never mixed up.
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
use std::sync::{Mutex, PoisonError};

use paexec::{Message, MessageBody};
use smb_client::{Pipe, PipeRead};

use crate::error::ErrorKind;

/// Bytes that one read of standard output asks for: what a pipe holds at most, as our service makes it.
const READ_LENGTH: u32 = 512 * 1024;
/// Bytes of standard input that one write carries.
const WRITE_LENGTH: u32 = 256 * 1024;
/// A message of the main pipe; only a long error text comes near.
const MESSAGE_LENGTH: u32 = 64 * 1024;
/// More than that is no message of the service.
const MAX_MESSAGE: usize = 1 << 20;

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
            return Err(ErrorKind::Service("it closed its pipe without an answer".into()));
        };
        bytes.extend_from_slice(&data.bytes);
        if data.is_whole {
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
