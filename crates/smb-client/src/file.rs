use crate::channel::Channel;
use crate::error::Error;
use crate::request::{FileHandle, Request, WhenDropped};

/// A new file that is open, with all of its contents. Dropping it closes it too, and nobody is told how that went.
pub struct NewFile {
    channel: Channel,
    handle: FileHandle,
    is_closed: bool,
}

impl NewFile {
    pub(crate) fn new(channel: Channel, handle: FileHandle) -> Self {
        NewFile { channel, handle, is_closed: false }
    }

    /// Writes what follows at `offset`, in pieces of `limit` bytes that travel together.
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

    /// Closes it. Until then nobody can run it.
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

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_closed {
            self.channel.post(self.close_request());
        }
    }
}
