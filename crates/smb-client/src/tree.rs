//! A share, and what is opened in it.
//!
//! [MS-SMB2] 3.2.4.1.4 (compounds), 3.2.5.14 (validation of the negotiation).
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
use std::sync::Arc;
use std::time::Duration;

use crate::channel::Channel;
use crate::directory::Directory;
use crate::error::{Error, Loss, PeerMisbehaved};
use crate::file::File;
use crate::negotiate::Terms;
use crate::pipe::{Message, Pipe};
use crate::request::{FileHandle, PipeAccess, Request, WhenDropped};
use crate::response::Response;
use crate::status::NtStatus;

/// Bytes that a WRITE within a compound has at most.
const WRITE_IN_COMPOUND: usize = 65536;

/// A connected share.
#[derive(Clone)]
pub struct Tree {
    channel: Channel,
    terms: Arc<Terms>,
    id: u32,
}

/// Whether a message may be written once more when it is not known whether it was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repetition {
    /// It may, through another instance of the pipe.
    Harmless,
    /// It must not: only its answer is asked for once more.
    Forbidden,
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
    /// time: it is the last of its compound, [MS-SMB2] 3.3.5.2.7.2. A server that does not carry the compound out is asked
    /// in single requests, in the bounds of `repetition`.
    ///
    /// # Errors
    /// As [`Tree::open_pipe`]; the other end does not answer.
    pub async fn open_pipe_and_transceive(
        &self,
        name: &str,
        message: &[u8],
        repetition: Repetition,
    ) -> Result<(Pipe, Message), Error> {
        let requests = [
            Request::open_pipe(self.id, name, PipeAccess::ReadWrite),
            Request::transceive(FileHandle::just_opened(self.id), message.to_vec()),
        ];
        let [opened, answered] = self.channel.compound(requests).await?;
        if opened.status() == NtStatus::INTERNAL_ERROR {
            // Where nothing is open nothing was taken in.
            return self.open_pipe_write_and_read(name, message).await;
        }
        let opened = opened.success()?;
        let mut pipe = self.pipe(FileHandle { tree_id: self.id, id: opened.file_id()? });
        match answered.status() {
            status if Pipe::takes_no_transceive(status) => {
                let answer = pipe.write_and_read(message.to_vec()).await?;
                Ok((pipe, answer))
            }
            // It may have been taken in nevertheless.
            NtStatus::INTERNAL_ERROR => match repetition {
                Repetition::Harmless => {
                    pipe.close().await?;
                    self.open_pipe_write_and_read(name, message).await
                }
                Repetition::Forbidden => {
                    let answer = pipe.read_message().await?;
                    Ok((pipe, answer))
                }
            },
            _ => {
                let answered = answered.accept(&[NtStatus::SUCCESS, NtStatus::BUFFER_OVERFLOW])?;
                Ok((pipe, Message::of(&answered, answered.ioctl_output()?)))
            }
        }
    }

    async fn open_pipe_write_and_read(&self, name: &str, message: &[u8]) -> Result<(Pipe, Message), Error> {
        let mut pipe = self.open_pipe(name, PipeAccess::ReadWrite).await?;
        let answer = pipe.write_and_read(message.to_vec()).await?;
        Ok((pipe, answer))
    }

    /// Writes a file that must not exist yet, and leaves it open: in two waits for the server, or in one for a short file.
    /// Requests that were sent are left to finish when this is dropped.
    ///
    /// Windows fails what takes its time within a compound unless it is the last there, and writing may
    /// ([MS-SMB2] 3.3.5.2.7.2): so a compound ends with the WRITE, which has no more bytes than Windows's own clients put
    /// there.
    ///
    /// # Errors
    /// There is one of this name already: [`NtStatus::OBJECT_NAME_COLLISION`], and nothing was written. After any other
    /// error there may be a part of the file.
    pub async fn write_new_file(&self, name: &str, content: &[u8]) -> Result<File, Error> {
        let limit = self.terms.max_write.min(self.channel.affordable()) as usize;
        let (start, rest) = content.split_at(content.len().min(limit).min(WRITE_IN_COMPOUND));
        let requests = [
            Request::create_file(self.id, name),
            Request::write(FileHandle::just_opened(self.id), 0, start.to_vec()),
        ]
        .map(|request| request.when_dropped(WhenDropped::Finish));
        // A task of its own, which goes on when this is dropped: what it has opened it closes.
        let tree = self.clone();
        let creating = tokio::spawn(async move {
            let [created, written] = tree.channel.compound(requests).await?;
            let opened = match created.status() {
                NtStatus::SUCCESS => Some(tree.file(&created)?),
                _ => None,
            };
            Ok::<_, Loss>((created, written, opened))
        });
        let (created, written, opened) =
            creating.await.map_err(|error| Error::Internal(error.to_string()))??;
        if created.status() == NtStatus::INTERNAL_ERROR {
            let file = self.create_file(name).await.map_err(|error| match error {
                // Most probably what the compound has made after all: not another's.
                Error::Status { command, status: NtStatus::OBJECT_NAME_COLLISION } => {
                    Error::Status { command, status: NtStatus::INTERNAL_ERROR }
                }
                error => error,
            })?;
            file.write(0, content, limit).await?;
            return Ok(file);
        }
        created.success()?;
        let Some(file) = opened else { return Err(PeerMisbehaved::Malformed.into()) };
        let is_to_be_repeated = written.status() == NtStatus::INTERNAL_ERROR;
        if is_to_be_repeated {
            file.write(0, content, limit).await?;
        } else {
            written.success()?;
            file.write(start.len(), rest, limit).await?;
        }
        Ok(file)
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    /// There is none of this name, or it may not be read.
    pub async fn open_file(&self, name: &str) -> Result<File, Error> {
        let opened = self.channel.request(Request::open_file(self.id, name)).await?.success()?;
        Ok(self.file(&opened)?)
    }

    /// Deletes a file that nobody holds open without sharing its deletion.
    ///
    /// # Errors
    /// It is held, or there is none. [`NtStatus::INTERNAL_ERROR`] says that it was held for a while, by a program that
    /// looks at what others open.
    pub async fn delete_file(&self, name: &str) -> Result<(), Error> {
        let requests =
            [Request::open_to_delete(self.id, name), Request::close(FileHandle::just_opened(self.id))];
        let [mut opened, mut closed] = self.channel.compound(requests).await?;
        if opened.status() == NtStatus::INTERNAL_ERROR {
            opened = self.channel.request(Request::open_to_delete(self.id, name)).await?;
            closed = self.close(&opened.success()?).await?;
        } else if closed.status() == NtStatus::INTERNAL_ERROR {
            let closed_once_more = self.close(&opened.success()?).await?;
            // Where the compound has closed it after all, that has not deleted it.
            if closed_once_more.status() != NtStatus::FILE_CLOSED {
                closed = closed_once_more;
            }
        } else {
            opened.success()?;
        }
        closed.success()?;
        Ok(())
    }

    async fn close(&self, opened: &Response) -> Result<Response, Error> {
        let handle = FileHandle { tree_id: self.id, id: opened.file_id()? };
        Ok(self.channel.request(Request::close(handle)).await?)
    }

    /// Waits until every request of the connection that is left to finish has been answered: the host has done then what
    /// it will ever do for those that nobody waits for.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn settled(&self) -> Result<(), Loss> {
        self.channel.settled().await
    }

    /// From now on the host counts as gone only when it has been silent for this long, on the whole connection.
    pub fn grant_silence(&self, silence: Duration) {
        self.channel.grant_silence(silence);
    }

    /// A directory by its path from the share's root, which has the empty path.
    pub fn directory(&self, path: &str) -> Directory {
        Directory::new(self.channel.clone(), Arc::clone(&self.terms), self.id, path)
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
        Ok(self.file(&self.channel.request(create).await?.success()?)?)
    }

    fn file(&self, opened: &Response) -> Result<File, Loss> {
        let handle = FileHandle { tree_id: self.id, id: opened.file_id()? };
        let length = opened.end_of_file()?;
        Ok(File::new(self.channel.clone(), Arc::clone(&self.terms), handle, length))
    }

    fn pipe(&self, handle: FileHandle) -> Pipe {
        Pipe::new(self.channel.clone(), Arc::clone(&self.terms), handle)
    }
}
