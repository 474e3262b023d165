//! An SMB2/3 client that can do what services on pipes need: several requests in flight, compounds, cancel, reads that
//! wait for days, and the refusal of every response that is not protected as the session demands.
//!
//! [`Negotiated::negotiate`] takes a socket and leads to a [`Session`]; that connects to shares, each a [`Tree`], in
//! which there are a [`Pipe`], a [`Directory`] and a [`File`]. The messages themselves are those of the
//! crate `smb-msg`, the algorithms those of `smb::crypto`.
//!
//! INVARIANT: after the session is set up no response is believed that is not encrypted or signed as the session
//! demands, belongs to a request of ours, and is the first to it.
//!
//! INVARIANT: nothing is waited for longer than the host lives, see [`Loss::NotResponding`].
#![forbid(unsafe_code)]

mod channel;
mod directory;
mod entries;
mod error;
mod file;
mod liveness;
mod negotiate;
mod pipe;
mod protection;
mod request;
mod response;
mod session;
mod state;
mod status;
mod tree;

pub use directory::{Directory, DirectoryEntry};
pub use error::{Error, Loss, PeerMisbehaved};
pub use file::File;
pub use pipe::{Message, Pipe, PipeRead, Written};
pub use request::{PipeAccess, WhenDropped};
pub use session::{Encryption, Negotiated, Session, SessionId};
pub use status::NtStatus;
pub use tree::{Repetition, Tree};

/// What the fuzz targets call: bytes of a stranger through everything that takes them apart.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// A frame, before and after a session is protected.
    pub fn frame(bytes: &[u8]) {
        crate::state::accept_any(bytes, None);
        crate::state::accept_any(bytes, crate::protection::Protection::any());
    }

    /// A NEGOTIATE response.
    pub fn negotiate_response(bytes: &[u8]) {
        let _ = crate::negotiate::parse_negotiate_response(bytes, smb::Guid::ZERO);
    }
}
