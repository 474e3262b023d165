//! Runs a process on a Windows host over SMB alone.
//!
//! [`run()`] does the whole job; what it is told is in [`Connection`] and [`Process`], what it answers is a [`Report`].
#![forbid(unsafe_code)]

mod connect;
mod connection;
mod deployment;
mod error;
mod pipes;
mod process;
mod random;
mod report;
mod run;
mod running;
mod scm;
mod service_image;
mod settings;
mod sweep;
mod trace;
mod waiting;

pub use connection::Connection;
pub use error::{CredentialsError, Error, ErrorKind, ServiceMisbehaved, Step};
pub use negotiate_auth::KerberosError;
pub use process::{Account, IntegrityLevel, Mode, Priority, Process};
pub use report::{Outcome, Output, Report, Warning};
pub use run::run;
pub use service_image::ServiceImage;
pub use smb_client::{Loss, NtStatus, PeerMisbehaved};
pub use trace::TraceEntry;
