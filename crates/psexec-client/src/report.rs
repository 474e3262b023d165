use negotiate_auth::KerberosError;
use paexec::CodePages;

use crate::error::{Error, ErrorKind, Step};
use crate::host_path::HostPath;
use crate::trace::TraceEntry;

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// The process's end, or what went wrong.
    pub outcome: Result<Outcome, Error>,
    /// The host was about to be changed: the service was to be created.
    pub changed: bool,
    /// What did not go as it should, but does not make the run a failure.
    pub warnings: Vec<Warning>,
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
    pub code_pages: Option<CodePages>,
}

/// What the user should know beside the outcome.
#[derive(Debug)]
pub enum Warning {
    /// NTLM has taken the place of Kerberos, which the user's name or krb5.conf called for.
    NtlmInsteadOfKerberos {
        /// Why there was no Kerberos to be had.
        error: KerberosError,
    },
    /// The process has ended, but its output was not closed: some of it may be missing.
    OutputNotClosed,
    /// The service could not be removed.
    ServiceNotRemoved {
        /// Name of the service.
        service: String,
        /// What went wrong.
        error: ErrorKind,
    },
    /// Whether the service is removed could not be found out.
    ServiceMayBeLeft {
        /// Name of the service.
        service: String,
        /// What went wrong.
        error: ErrorKind,
    },
    /// The service's file could not be removed from ADMIN$.
    FileNotRemoved {
        /// Name of the file.
        file: String,
        /// What went wrong.
        error: ErrorKind,
    },
    /// A file that was put on the host for a while could not be removed.
    PutFileNotRemoved {
        /// Where it is.
        path: HostPath,
        /// What went wrong.
        error: ErrorKind,
    },
    /// The connection was lost while the process was running, and it runs on: the service removes itself with its end.
    ProcessLeftRunning {
        /// Name of its service.
        service: String,
    },
    /// The connection was lost, and so was the one that was to clean up.
    NotReconnected {
        /// What was being done.
        step: Step,
        /// What went wrong.
        error: ErrorKind,
    },
    /// The removal was given up. The service removes itself when its process has ended; its file goes with the next run
    /// from here, or with the host's next restart.
    RemovalGivenUp {
        /// Name of the service.
        service: String,
    },
}
