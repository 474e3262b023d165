use std::sync::Arc;

use bytes::Bytes;

use crate::channel::Channel;
use crate::error::{Error, PeerMisbehaved};
use crate::negotiate::Terms;
use crate::request::{FileHandle, Request, WhenDropped};
use crate::state::MAX_FRAME;
use crate::status::NtStatus;

/// An open file of a share. Dropping it closes it too, and nobody is told how that went.
pub struct File {
    channel: Channel,
    terms: Arc<Terms>,
    handle: FileHandle,
    length: u64,
    is_closed: bool,
}

impl File {
    pub(crate) fn new(channel: Channel, terms: Arc<Terms>, handle: FileHandle, length: u64) -> Self {
        File { channel, terms, handle, length, is_closed: false }
    }

    /// Bytes that it had when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that one request reads or writes at most, so that others have credits left too.
    pub fn max_piece(&self) -> usize {
        let granted = self.terms.max_read.min(self.terms.max_write).min(self.channel.affordable());
        (granted as usize).clamp(1, MAX_FRAME / 2)
    }

    /// Reads `length` bytes at `offset`, fewer only where the file ends before.
    ///
    /// # Errors
    /// The server does not let it be read.
    pub async fn read_at(&self, offset: u64, length: u32) -> Result<Bytes, Error> {
        let response = self.channel.request(Request::read_at(self.handle, offset, length)).await?;
        if response.status() == NtStatus::END_OF_FILE {
            return Ok(Bytes::new());
        }
        let data = response.success()?.read_data()?;
        if data.len() > length as usize {
            return Err(PeerMisbehaved::Malformed.into());
        }
        Ok(data)
    }

    /// Writes at `offset`; at most [`File::max_piece`] bytes at once.
    ///
    /// # Errors
    /// The server has not written all of it.
    pub async fn write_at(&self, offset: u64, bytes: Vec<u8>) -> Result<(), Error> {
        let length = bytes.len();
        let write = Request::write(self.handle, offset, bytes).when_dropped(WhenDropped::Finish);
        let written = self.channel.request(write).await?.success()?.written()?;
        if written as usize != length {
            return Err(PeerMisbehaved::Malformed.into());
        }
        Ok(())
    }

    /// Writes what follows at `offset`, in pieces that travel together.
    pub(crate) async fn write(&self, offset: usize, content: &[u8], limit: usize) -> Result<(), Error> {
        let limit = limit.max(1);
        let pieces = content.chunks(limit).enumerate().map(|(index, piece)| {
            let offset = (offset + index * limit) as u64;
            Request::write(self.handle, offset, piece.to_vec()).when_dropped(WhenDropped::Finish)
        });
        for written in self.channel.requests(pieces.collect()).await? {
            written.success()?;
        }
        Ok(())
    }

    /// Closes it. Until then nobody can run one that was written.
    ///
    /// # Errors
    /// The server could not keep what was written.
    pub async fn close(mut self) -> Result<(), Error> {
        self.is_closed = true;
        self.channel.request(self.close_request()).await?.success()?;
        Ok(())
    }

    fn close_request(&self) -> Request {
        Request::close(self.handle).when_dropped(WhenDropped::Finish)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if !self.is_closed {
            self.channel.post(self.close_request());
        }
    }
}
