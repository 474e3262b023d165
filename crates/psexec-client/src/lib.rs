//! Runs processes on a Windows host over SMB alone, and moves files.
//!
//! A [`Host`] does the whole job; what it is told is in [`Connection`] and [`Process`], what it answers is a [`Report`].
#![forbid(unsafe_code)]

mod connect;
mod connection;
mod deployment;
mod error;
mod host;
mod host_name;
mod host_path;
mod link;
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
mod tcp;
mod trace;
mod transfer;
mod waiting;

pub use connection::Connection;
pub use error::{CredentialsError, Error, ErrorKind, ServiceMisbehaved, Step};
pub use host::Host;
pub use host_path::{HostPath, HostPathError};
pub use negotiate_auth::{KerberosError, NotAServicePrincipal, Ntlm, ServicePrincipal};
pub use process::{Account, IntegrityLevel, Mode, Priority, Process};
pub use report::{Outcome, Output, Report, Warning};
pub use service_image::ServiceImage;
pub use smb_client::{DirectoryEntry, Loss, NtStatus, PeerMisbehaved};
pub use trace::TraceEntry;
