//! Named pipes.
//!
//! [MS-FSCC]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-fscc/efbfe127-73ad-4140-9967-ec6500e66d5e
//! [MS-ERREF]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-erref/1bc92ddf-b79e-413c-bbaa-99a5281a6c90
use std::sync::Arc;

use bytes::Bytes;

use crate::channel::Channel;
use crate::error::{Error, Loss};
use crate::negotiate::Terms;
use crate::request::{FileHandle, MAX_TRANSCEIVE, Request, WhenDropped};
use crate::response::Response;
use crate::status::NtStatus;

/// An open named pipe.
///
/// INVARIANT: whoever reads has one read in flight at a time. Windows may carry out two of them in either order, and
/// pipes have no offsets that would tell their bytes apart.
pub struct Pipe {
    channel: Channel,
    terms: Arc<Terms>,
    handle: FileHandle,
    when_dropped: WhenDropped,
    /// The server has refused FSCTL_PIPE_TRANSCEIVE.
    takes_no_transceive: bool,
}

/// What a read brings.
#[derive(Debug)]
pub enum PipeRead {
    /// Bytes, or a message or a part of one.
    Data(Message),
    /// The other end is gone: what pipes have instead of an end of file.
    Ended,
}

/// Bytes of a message pipe.
#[derive(Debug)]
pub struct Message {
    /// The bytes.
    pub bytes: Bytes,
    /// Nothing of the message is left to be read. The bytes of a pipe without messages are always whole.
    pub is_whole: bool,
}

/// How far the other end has taken what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// All of it.
    All,
    /// It went away before.
    ReaderGone,
}

impl Pipe {
    pub(crate) fn new(channel: Channel, terms: Arc<Terms>, handle: FileHandle) -> Self {
        Pipe { channel, terms, handle, when_dropped: WhenDropped::Cancel, takes_no_transceive: false }
    }

    /// What becomes of messages that were written, when nobody waits for their answers any more.
    #[must_use]
    pub fn when_dropped(self, when_dropped: WhenDropped) -> Self {
        Pipe { when_dropped, ..self }
    }

    /// Reads up to `length` bytes, or fewer where the server would not grant so many; waits for them as long as the host
    /// lives.
    ///
    /// # Errors
    /// The server refuses for another reason than the pipe's end.
    pub async fn read(&self, length: u32) -> Result<PipeRead, Error> {
        let length = length.min(self.terms.max_read).min(self.channel.affordable());
        let response = self.channel.request(Request::read(self.handle, length)).await?;
        if has_ended(response.status()) {
            return Ok(PipeRead::Ended);
        }
        let response = response.accept(&[NtStatus::SUCCESS, NtStatus::BUFFER_OVERFLOW])?;
        Ok(PipeRead::Data(Message::of(&response, response.read_data()?)))
    }

    /// Writes a message.
    ///
    /// # Errors
    /// The other end has not taken it.
    pub async fn write(&self, message: Vec<u8>) -> Result<(), Error> {
        let write = Request::write(self.handle, 0, message).when_dropped(self.when_dropped);
        self.channel.request(write).await?.success()?;
        Ok(())
    }

    /// Writes bytes in pieces of up to `length`, or of fewer where the server would not take so many.
    ///
    /// # Errors
    /// The server refuses for another reason than the pipe's end.
    pub async fn write_all(&self, bytes: &[u8], length: u32) -> Result<Written, Error> {
        let length = length.min(self.terms.max_write).min(self.channel.affordable());
        for piece in bytes.chunks(length as usize) {
            let response = self.channel.request(Request::write(self.handle, 0, piece.to_vec())).await?;
            if has_ended(response.status()) {
                return Ok(Written::ReaderGone);
            }
            response.success()?;
        }
        Ok(Written::All)
    }

    /// Writes a message and reads the answer, in one wait for the server; in two where it takes them one by one only.
    ///
    /// # Errors
    /// The other end does not answer.
    pub async fn transceive(&mut self, message: Vec<u8>) -> Result<Message, Error> {
        if self.takes_no_transceive {
            return self.write_and_read(message).await;
        }
        let transceive = Request::transceive(self.handle, message.clone()).when_dropped(self.when_dropped);
        let response = self.channel.request(transceive).await?;
        if Self::takes_no_transceive(response.status()) {
            return self.write_and_read(message).await;
        }
        let response = response.accept(&[NtStatus::SUCCESS, NtStatus::BUFFER_OVERFLOW])?;
        Ok(Message::of(&response, response.ioctl_output()?))
    }

    /// What a transceive does, in two waits for the server.
    pub(crate) async fn write_and_read(&mut self, message: Vec<u8>) -> Result<Message, Error> {
        self.takes_no_transceive = true;
        self.write(message).await?;
        self.read_message().await
    }

    /// Reads what must come.
    pub(crate) async fn read_message(&self) -> Result<Message, Error> {
        match self.read(MAX_TRANSCEIVE).await? {
            PipeRead::Data(message) => Ok(message),
            PipeRead::Ended => Err(Error::Status { command: "READ", status: NtStatus::PIPE_BROKEN }),
        }
    }

    /// Whether a pipe refuses FSCTL_PIPE_TRANSCEIVE for what it is, and not for the message, of which it has taken nothing:
    /// [MS-FSCC] 2.3.48.
    pub(crate) fn takes_no_transceive(status: NtStatus) -> bool {
        matches!(status, NtStatus::INVALID_PIPE_STATE | NtStatus::INVALID_READ_MODE)
    }

    /// Closes it, which the other end sees. What the server says to that can change nothing.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn close(self) -> Result<(), Loss> {
        self.channel.request(Request::close(self.handle)).await.map(drop)
    }
}

impl Message {
    pub(crate) fn of(response: &Response, bytes: Bytes) -> Self {
        Message { bytes, is_whole: response.status() == NtStatus::SUCCESS }
    }
}

/// [MS-ERREF] 2.3.
fn has_ended(status: NtStatus) -> bool {
    matches!(
        status,
        NtStatus::PIPE_BROKEN
            | NtStatus::PIPE_CLOSING
            | NtStatus::PIPE_EMPTY
            | NtStatus::PIPE_DISCONNECTED
            | NtStatus::END_OF_FILE
    )
}
