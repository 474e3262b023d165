//! An SMB2/3 connection that can do what this job needs: several requests in flight, compounds, cancel, reads that
//! wait for days, and the refusal of every answer that is not protected as the session demands.
//!
//! The messages themselves are those of the crate `smb-msg`, the algorithms those of `smb::crypto`.
mod channel;
mod protection;
mod request;
mod session;

pub(crate) use channel::{Answer, Channel};
pub(crate) use request::{FileHandle, Request, created_file, read_data};
pub(crate) use session::{Connection, Session, expect};
