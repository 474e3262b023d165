//! An SMB2/3 connection that can do what this job needs: several requests in flight, compounds, cancel, reads that
//! wait for days, and the refusal of every answer that is not protected as the session demands.
//!
//! The messages themselves are those of the crate `smb-msg`, the algorithms those of `smb::crypto`.
mod channel;
mod protection;
mod request;
mod session;

pub(crate) use channel::{Answer, Channel};
pub(crate) use request::{FileHandle, Request, created_file, ioctl_output, read_data};
pub(crate) use session::{Connection, Session, expect};

/// Bytes of a stranger through everything that takes them apart.
#[cfg(fuzzing)]
pub(crate) mod fuzzing {
    /// A frame, before and after a session is protected.
    pub fn frame(bytes: &[u8]) {
        super::channel::accept_any(bytes, None);
        super::channel::accept_any(bytes, super::protection::Protection::any());
    }

    /// A NEGOTIATE response.
    pub fn negotiate_response(bytes: &[u8]) {
        let _ = super::session::parse_negotiate_response(bytes, smb::Guid::ZERO);
    }
}
