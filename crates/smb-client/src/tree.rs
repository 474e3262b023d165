//! A share, and what is opened in it.
//!
//! [MS-SMB2] 3.2.4.1.4 (compounds), 3.2.5.14 (validation of the negotiation).
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
use std::sync::Arc;

use crate::channel::Channel;
use crate::directory::Directory;
use crate::error::{Error, Loss, PeerMisbehaved};
use crate::file::File;
use crate::negotiate::Terms;
use crate::pipe::{Message, Pipe};
use crate::request::{FileHandle, PipeAccess, Request, WhenDropped};
use crate::status::NtStatus;

/// A connected share.
#[derive(Clone)]
pub struct Tree {
    channel: Channel,
    terms: Arc<Terms>,
    id: u32,
}

impl Tree {
    pub(crate) fn new(channel: Channel, terms: Arc<Terms>, id: u32) -> Self {
        Tree { channel, terms, id }
    }

    /// Opens a named pipe, of IPC$.
    ///
    /// # Errors
    /// There is none of this name, or none of its instances is free.
    pub async fn open_pipe(&self, name: &str, access: PipeAccess) -> Result<Pipe, Error> {
        let request = Request::open_pipe(self.id, name, access);
        let opened = self.channel.request(request).await?.success()?;
        Ok(self.pipe(FileHandle { tree_id: self.id, id: opened.file_id()? }))
    }

    /// Opens a named pipe, writes a message and reads the answer, in one wait for the server. The answer may take its
    /// time: it is the last of its compound, [MS-SMB2] 3.3.5.2.7.2.
    ///
    /// # Errors
    /// As [`Tree::open_pipe`]; the other end does not answer.
    pub async fn open_pipe_and_transceive(
        &self,
        name: &str,
        message: Vec<u8>,
    ) -> Result<(Pipe, Message), Error> {
        let requests = [
            Request::open_pipe(self.id, name, PipeAccess::ReadWrite),
            Request::transceive(FileHandle::just_opened(self.id), message),
        ];
        let [opened, answered] = self.channel.compound(requests).await?;
        let opened = opened.success()?;
        let pipe = self.pipe(FileHandle { tree_id: self.id, id: opened.file_id()? });
        let answered = answered.accept(&[NtStatus::SUCCESS, NtStatus::BUFFER_OVERFLOW])?;
        Ok((pipe, Message::of(&answered, answered.ioctl_output()?)))
    }

    /// Writes a file that must not exist yet: in one wait for the server, or in a few where it takes only small writes.
    /// Requests that were sent are left to finish when this is dropped.
    ///
    /// # Errors
    /// There is one of this name already: [`NtStatus::OBJECT_NAME_COLLISION`], and nothing was written. After any other
    /// error there may be a part of the file.
    pub async fn write_new_file(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        let limit = self.terms.max_write.min(self.channel.affordable()) as usize;
        if content.len() > limit {
            return self.create_file(name).await?.write_and_close(content, limit).await;
        }
        let file = FileHandle::just_opened(self.id);
        let requests = [
            Request::create_file(self.id, name),
            Request::write(file, 0, content.to_vec()),
            Request::close(file),
        ]
        .map(|request| request.when_dropped(WhenDropped::Finish));
        let [created, written, closed] = self.channel.compound(requests).await?;
        created.success()?;
        written.success()?;
        closed.success()?;
        Ok(())
    }

    /// Deletes a file that nobody holds open without sharing its deletion.
    ///
    /// # Errors
    /// It is held, or there is none.
    pub async fn delete_file(&self, name: &str) -> Result<(), Error> {
        let requests =
            [Request::open_to_delete(self.id, name), Request::close(FileHandle::just_opened(self.id))];
        let [opened, closed] = self.channel.compound(requests).await?;
        opened.success()?;
        closed.success()?;
        Ok(())
    }

    /// Waits until every request of the connection that is left to finish has been answered: the host has done then what
    /// it will ever do for those that nobody waits for.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn settled(&self) -> Result<(), Loss> {
        self.channel.settled().await
    }

    /// The share's root.
    pub fn root(&self) -> Directory {
        Directory::root(self.channel.clone(), Arc::clone(&self.terms), self.id)
    }

    /// Asks the server what it believes was negotiated, which tells a downgrade by somebody in between; needless with
    /// 3.1.1, whose keys depend on it. [MS-SMB2] 3.2.5.5.
    ///
    /// # Errors
    /// The server believes otherwise, or ends the connection.
    pub async fn validate_negotiation(&self) -> Result<(), Loss> {
        let Some(info) = self.terms.to_validate() else { return Ok(()) };
        let response = match self.channel.request(Request::validate_negotiate(self.id, info)).await {
            // 3.3.5.15.12: so it does when the client's part does not match.
            Err(Loss::Closed) => return Err(PeerMisbehaved::NegotiationDisowned.into()),
            response => response?,
        };
        let is_confirmed = match response.status() {
            NtStatus::SUCCESS => self.terms.are_confirmed_by(&response.ioctl_output()?),
            // A server of 2.x that does not know the request; that it says so is signed.
            NtStatus::INVALID_DEVICE_REQUEST
            | NtStatus::NOT_SUPPORTED
            | NtStatus::FILE_CLOSED
            | NtStatus::FS_DRIVER_REQUIRED
            | NtStatus::INVALID_PARAMETER => !self.terms.dialect.is_smb3(),
            _ => false,
        };
        if is_confirmed { Ok(()) } else { Err(PeerMisbehaved::Downgraded.into()) }
    }

    async fn create_file(&self, name: &str) -> Result<File, Error> {
        let create = Request::create_file(self.id, name).when_dropped(WhenDropped::Finish);
        let created = self.channel.request(create).await?.success()?;
        Ok(File::new(self.channel.clone(), FileHandle { tree_id: self.id, id: created.file_id()? }))
    }

    fn pipe(&self, handle: FileHandle) -> Pipe {
        Pipe::new(self.channel.clone(), Arc::clone(&self.terms), handle)
    }
}
