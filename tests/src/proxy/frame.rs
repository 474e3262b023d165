//! The messages in a frame, as far as they can be read on the way.

use std::ops::Range;

/// Size of an SMB2 header, [MS-SMB2] 2.2.1.
///
/// [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
pub(super) const HEADER: usize = 64;

/// Where the fields of a header are.
pub(super) const STATUS: Range<usize> = 8..12;
pub(super) const COMMAND: Range<usize> = 12..14;
pub(super) const FLAGS: Range<usize> = 16..20;
pub(super) const NEXT_COMMAND: Range<usize> = 20..24;
pub(super) const MESSAGE_ID: Range<usize> = 24..32;
pub(super) const SESSION_ID: Range<usize> = 40..48;
pub(super) const SIGNATURE: Range<usize> = 48..64;

pub(super) const STATUS_PENDING: u32 = 0x103;
pub(super) const FLAG_SERVER_TO_REDIR: u32 = 1;
pub(super) const FLAG_ASYNC: u32 = 2;
pub(super) const FLAG_SIGNED: u32 = 8;

/// SMB2 commands, [MS-SMB2] 2.2.1.2.
///
/// [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the document's")]
pub enum Command {
    Negotiate = 0,
    SessionSetup = 1,
    Logoff = 2,
    TreeConnect = 3,
    TreeDisconnect = 4,
    Create = 5,
    Close = 6,
    Read = 8,
    Write = 9,
    Ioctl = 11,
    Cancel = 12,
    Echo = 13,
}

/// Where each message of an unencrypted frame is; empty for one that is encrypted, or is not SMB2.
pub(super) fn messages(frame: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    while frame.get(start..start + 4) == Some(b"\xfeSMB") && frame.len() >= start + HEADER {
        let next = u32_at(frame, start + NEXT_COMMAND.start) as usize;
        let end = if next < HEADER { frame.len() } else { frame.len().min(start + next) };
        found.push(start..end);
        start = end;
    }
    found
}

/// Whether a message of the frame bears this command, and is not interim.
pub(super) fn contains(frame: &[u8], command: Command) -> bool {
    messages(frame)
        .into_iter()
        .map(|message| &frame[message])
        .any(|message| u16_at(message, COMMAND.start) == command as u16 && !is_interim(message))
}

/// Whether the frame says that an answer will come later, and nothing else.
pub(super) fn is_interim(frame: &[u8]) -> bool {
    let is_pending = |message: &[u8]| {
        u32_at(message, STATUS.start) == STATUS_PENDING && u32_at(message, FLAGS.start) & FLAG_ASYNC != 0
    };
    let messages = messages(frame);
    !messages.is_empty() && messages.into_iter().all(|message| is_pending(&frame[message]))
}

pub(super) fn is_encrypted(frame: &[u8]) -> bool {
    frame.starts_with(b"\xfdSMB")
}

/// A number of a frame; 0 beyond its end.
pub(super) fn u16_at(frame: &[u8], at: usize) -> u16 {
    frame.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes)
}

/// A number of a frame; 0 beyond its end.
pub(super) fn u32_at(frame: &[u8], at: usize) -> u32 {
    frame.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// Overwrites a part of a frame, as far as there is one.
pub(super) fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}
