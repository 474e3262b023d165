//! Runs a process on a Windows host over SMB alone.
//!
//! [`run`] does the whole job; what it is told is in [`Connection`] and [`Process`], what it answers is a [`Report`].
#![forbid(unsafe_code)]

mod connect;
mod deployment;
mod error;
mod pipes;
mod run;
mod scm;
mod sweep;
mod trace;
mod waiting;

use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

pub use error::{CredentialsError, Error, ErrorKind, Step};
pub use negotiate_auth::KerberosError;
pub use run::run;
pub use smb_client::{Loss, NtStatus, PeerMisbehaved};
pub use trace::TraceEntry;

/// Where to connect and as whom.
#[derive(Clone)]
pub struct Connection {
    /// Name or address of the host, as the user gave it.
    pub host: String,
    /// TCP port, 445.
    pub port: u16,
    /// `None`: the default principal of the Kerberos credential cache.
    pub username: Option<String>,
    /// `None`: a ticket from the Kerberos credential cache.
    pub password: Option<Zeroizing<String>>,
    /// Refuse a connection that is not encrypted.
    pub encrypt: bool,
    /// Bound of each step until the connection stands.
    pub timeout: Duration,
}

/// What to run.
#[derive(Clone)]
pub struct Process {
    /// Program, quoted by the service.
    pub executable: String,
    /// Appended to the command line as they are.
    pub arguments: Option<String>,
    /// Directory the process starts in.
    pub working_directory: String,
    /// Answer with the process id once it has started.
    pub asynchronous: bool,
    /// Load the user's profile.
    pub load_profile: bool,
    /// Session to show the window in, if interactive.
    pub interactive_session: Option<u32>,
    /// Token of the process.
    pub integrity_level: IntegrityLevel,
    /// Account of the process.
    pub account: Account,
    /// Show the window on the logon screen (only with [`Account::System`]).
    pub show_ui_on_logon_screen: bool,
    /// Priority class.
    pub priority: Priority,
    /// `None`: may run for ever.
    pub timeout: Option<Duration>,
    /// Bytes for standard input, which is closed behind them.
    pub stdin: Vec<u8>,
}

/// Account of the process.
#[derive(Clone)]
pub enum Account {
    /// The connecting user, as the server's network logon.
    Connection,
    /// LocalSystem.
    System,
    /// An interactive logon.
    User {
        /// user, `DOMAIN\user` or `user@domain`
        username: String,
        /// its password
        password: Zeroizing<String>,
    },
}

/// Token of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegrityLevel {
    /// restricted token
    Limited,
    /// as the logon gives it
    Default,
    /// linked token
    Elevated,
}

/// Windows priority classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "Windows's own words")]
pub enum Priority {
    AboveNormal,
    BelowNormal,
    High,
    Idle,
    Normal,
    Realtime,
}

/// The service to upload.
#[derive(Clone)]
pub enum ServiceImage {
    /// Our own, embedded.
    Embedded(&'static [u8]),
    /// Another that speaks the same protocol, such as PAExec.exe.
    File(PathBuf),
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// The process's end, or what went wrong.
    pub outcome: Result<Outcome, Error>,
    /// The host was about to be changed: the service was to be created.
    pub changed: bool,
    /// Clean-up that did not succeed, in sentences for the user.
    pub warnings: Vec<String>,
    /// Steps with their durations, and what was negotiated; no secrets.
    pub trace: Vec<TraceEntry>,
}

/// How the process ended or started.
#[derive(Debug)]
pub enum Outcome {
    /// It ended.
    Finished {
        /// Exit code, unsigned 32 bits.
        exit_code: u32,
        /// `None` for interactive processes.
        output: Option<Output>,
    },
    /// It was started and runs on.
    Started {
        /// Process id on the host.
        process_id: u32,
    },
}

/// Bytes the process wrote.
#[derive(Debug, Default)]
pub struct Output {
    /// standard output
    pub stdout: Vec<u8>,
    /// standard error
    pub stderr: Vec<u8>,
    /// OEM and ANSI code page of the host, where the service told them.
    pub code_pages: Option<paexec::CodePages>,
}
