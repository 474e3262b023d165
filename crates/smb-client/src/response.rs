//! A verified response, and what is taken from it.
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
use std::io::Cursor;

use binrw::BinRead;
use bytes::Bytes;
use smb_msg::{FileId, Header};
use wire::{u16_at, u32_at, u64_at};

use crate::error::{Error, Loss, PeerMisbehaved};
use crate::status::NtStatus;

/// Size of an SMB2 header.
pub(crate) const HEADER: usize = Header::STRUCT_SIZE;

/// A verified response: its header, and the whole message that it begins.
#[derive(Debug)]
pub(crate) struct Response {
    /// Name of the request's command.
    pub(crate) command: &'static str,
    pub(crate) header: Header,
    pub(crate) message: Bytes,
}

impl Response {
    pub(crate) fn status(&self) -> NtStatus {
        NtStatus(self.header.status)
    }

    /// Whether the server has not even looked at the request, because the session has outlived its ticket.
    pub(crate) fn is_expired(&self) -> bool {
        self.status() == NtStatus::NETWORK_SESSION_EXPIRED
    }

    /// Itself, if the server did what it was asked.
    pub(crate) fn success(self) -> Result<Self, Error> {
        self.accept(&[NtStatus::SUCCESS])
    }

    /// Itself, if its status is one that the caller can go on with.
    pub(crate) fn accept(self, accepted: &[NtStatus]) -> Result<Self, Error> {
        if accepted.contains(&self.status()) {
            return Ok(self);
        }
        Err(Error::Status { command: self.command, status: self.status() })
    }

    /// The message's body as `T` lays it out.
    pub(crate) fn body<T: for<'a> BinRead<Args<'a> = ()>>(&self) -> Result<T, Loss> {
        let mut cursor = Cursor::new(&self.message[..]);
        cursor.set_position(HEADER as u64);
        T::read_le(&mut cursor).map_err(|_| MALFORMED)
    }

    /// ShareFlags of a TREE_CONNECT response, [MS-SMB2] 2.2.10.
    pub(crate) fn share_flags(&self) -> Result<u32, Loss> {
        u32_at(&self.message, HEADER + 4).ok_or(MALFORMED)
    }

    /// The file that a CREATE opened, [MS-SMB2] 2.2.14: the FileId alone, at its fixed place. Create contexts and times
    /// are of no interest here.
    pub(crate) fn file_id(&self) -> Result<FileId, Loss> {
        let id = self.message.get(HEADER + 64..).and_then(|bytes| bytes.first_chunk::<16>());
        Ok((*id.ok_or(MALFORMED)?).into())
    }

    /// Length of the file that a CREATE opened, [MS-SMB2] 2.2.14.
    pub(crate) fn end_of_file(&self) -> Result<u64, Loss> {
        u64_at(&self.message, HEADER + 48).ok_or(MALFORMED)
    }

    /// Bytes that a WRITE has written, [MS-SMB2] 2.2.22.
    pub(crate) fn written(&self) -> Result<u32, Loss> {
        u32_at(&self.message, HEADER + 4).ok_or(MALFORMED)
    }

    /// Data of a READ response, [MS-SMB2] 2.2.20, without a copy; `smb-msg` refuses an empty one.
    pub(crate) fn read_data(&self) -> Result<Bytes, Loss> {
        let offset = self.message.get(HEADER + 2).copied().ok_or(MALFORMED)?;
        self.part(offset.into(), u32_at(&self.message, HEADER + 4).ok_or(MALFORMED)?)
    }

    /// Output of an IOCTL response, [MS-SMB2] 2.2.32, without a copy; `smb-msg` allocates what its length claims.
    pub(crate) fn ioctl_output(&self) -> Result<Bytes, Loss> {
        let word = |at| u32_at(&self.message, HEADER + at).ok_or(MALFORMED);
        self.part(word(32)?, word(36)?)
    }

    /// Output of a QUERY_DIRECTORY response, [MS-SMB2] 2.2.34, without a copy.
    pub(crate) fn directory_output(&self) -> Result<Bytes, Loss> {
        let offset = u16_at(&self.message, HEADER + 2).ok_or(MALFORMED)?;
        self.part(offset.into(), u32_at(&self.message, HEADER + 4).ok_or(MALFORMED)?)
    }

    /// Bytes of the message, `offset` counted from its header.
    fn part(&self, offset: u32, length: u32) -> Result<Bytes, Loss> {
        let (start, length) = (offset as usize, length as usize);
        if length == 0 {
            return Ok(Bytes::new());
        }
        if start < HEADER || self.message.len() < start.saturating_add(length) {
            return Err(MALFORMED);
        }
        Ok(self.message.slice(start..start + length))
    }
}

pub(crate) const MALFORMED: Loss = Loss::Misbehaved(PeerMisbehaved::Malformed);
