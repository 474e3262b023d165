use crate::channel::Channel;
use crate::error::Error;
use crate::request::{FileHandle, Request, WhenDropped};

/// An open file.
pub(crate) struct File {
    channel: Channel,
    handle: FileHandle,
}

impl File {
    pub(crate) fn new(channel: Channel, handle: FileHandle) -> Self {
        File { channel, handle }
    }

    /// Writes all of it, in pieces of `limit` bytes, and closes the file.
    pub(crate) async fn write_and_close(self, content: &[u8], limit: usize) -> Result<(), Error> {
        let mut offset = 0;
        for piece in content.chunks(limit.max(1)) {
            let write = Request::write(self.handle, offset, piece.to_vec());
            self.channel.request(write.when_dropped(WhenDropped::Finish)).await?.success()?;
            offset += piece.len() as u64;
        }
        let close = Request::close(self.handle).when_dropped(WhenDropped::Finish);
        self.channel.request(close).await?.success()?;
        Ok(())
    }
}
