//! What can go wrong, at which step, with the codes of the specifications kept.
use std::fmt;
use std::io;
use std::time::Duration;

use msrpc::NdrError;
use msrpc::rpc::RpcError;
use msrpc::scmr::{ERROR_BAD_EXE_FORMAT, ERROR_EXE_MACHINE_TYPE_MISMATCH};
use negotiate_auth::{AuthError, KerberosError};
use paexec::DecodeError;
use smb_client::{Loss, NtStatus, PeerMisbehaved};

/// A run that did not succeed: on which host, at which step, why.
#[derive(Debug, thiserror::Error)]
#[error("{host}: {step}: {kind}")]
pub struct Error {
    /// Host as the user named it.
    pub host: String,
    /// What was being done.
    pub step: Step,
    /// Why it failed.
    #[source]
    pub kind: ErrorKind,
}

/// Step of a run, in the order in which they happen; those with files come before the service's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Reading the service's file on the controller.
    ReadServiceImage,
    /// Looking up the host's addresses.
    Resolve,
    /// The TCP connection.
    Connect,
    /// SMB2 NEGOTIATE.
    Negotiate,
    /// SMB2 SESSION_SETUP.
    Authenticate,
    /// SMB2 TREE_CONNECT of IPC$.
    ConnectIpc,
    /// SMB2 TREE_CONNECT of ADMIN$.
    ConnectAdmin,
    /// SMB2 TREE_CONNECT of a drive's administrative share.
    ConnectDrive,
    /// Writing a file of the caller's.
    Put,
    /// Reading a file.
    Fetch,
    /// Listing a directory.
    List,
    /// Deleting a file of the caller's.
    Delete,
    /// The service's file in ADMIN$.
    Upload,
    /// Opening `svcctl` and ROpenSCManagerW.
    OpenServiceManager,
    /// RCreateServiceW.
    CreateService,
    /// RStartServiceW.
    StartService,
    /// Opening the service's main pipe.
    OpenPipe,
    /// SETTINGS, START_APP and the std pipes.
    StartProcess,
    /// From the start of the process to its end.
    Run,
    /// Stopping and deleting the service, deleting its file.
    Remove,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::ReadServiceImage => "reading the service's file",
            Step::Resolve => "looking up the host name",
            Step::Connect => "connecting",
            Step::Negotiate => "negotiating SMB",
            Step::Authenticate => "authenticating",
            Step::ConnectIpc => "connecting to IPC$",
            Step::ConnectAdmin => "connecting to ADMIN$",
            Step::ConnectDrive => "connecting to the administrative share of the drive",
            Step::Put => "writing the file",
            Step::Fetch => "reading the file",
            Step::List => "listing the directory",
            Step::Delete => "deleting the file",
            Step::Upload => "uploading the service to ADMIN$",
            Step::OpenServiceManager => "opening the service control manager",
            Step::CreateService => "creating the service",
            Step::StartService => "starting the service",
            Step::OpenPipe => "connecting to the service",
            Step::StartProcess => "starting the process",
            Step::Run => "running the process",
            Step::Remove => "removing the service",
        })
    }
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// The host name has no address.
    #[error("the name cannot be resolved: {0}")]
    Resolve(#[source] io::Error),
    /// A socket error before the connection stood, or a file error on the controller.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The host did not answer within this time.
    #[error("no answer within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// The connection ended.
    #[error("the connection was lost: {0}")]
    Lost(#[from] Loss),
    /// The server refused a request.
    #[error("{command} failed: {status}")]
    Status {
        /// SMB2 command, as in \[MS-SMB2\].
        command: &'static str,
        /// Its answer.
        status: NtStatus,
    },
    /// The service control manager refused a call.
    #[error("{call} failed with error {code}")]
    ServiceManager {
        /// Method, as in \[MS-SCMR\].
        call: &'static str,
        /// Win32 error code.
        code: u32,
    },
    /// The service stopped before it served its pipe.
    #[error("the service stopped with exit code {win32_exit_code}")]
    ServiceStopped {
        /// dwWin32ExitCode of its SERVICE_STATUS.
        win32_exit_code: u32,
    },
    /// The service runs, yet its pipe did not appear within this time.
    #[error("the service did not open its pipe within {} seconds", .0.as_secs())]
    NoPipe(Duration),
    /// Encryption was asked for and the host cannot.
    #[error("the host does not support SMB encryption (it speaks {dialect})")]
    EncryptionUnsupported {
        /// What was negotiated, such as "SMB 2.1".
        dialect: &'static str,
    },
    /// The server let us in as guest or anonymously, which proves nothing and may do nothing.
    #[error("the host granted only a guest or anonymous session")]
    GuestSession,
    /// The credentials are not enough for what the host accepts.
    #[error("{0}")]
    Credentials(CredentialsError),
    /// Kerberos does not authenticate us.
    #[error(transparent)]
    Kerberos(#[from] KerberosError),
    /// NTLM is forbidden.
    #[error("NTLM is forbidden")]
    NtlmForbidden {
        /// Why there was no Kerberos to be had; `None` if neither the user's name nor krb5.conf called for it.
        instead_of: Option<KerberosError>,
    },
    /// DCE/RPC went wrong.
    #[error("remote procedure call failed: {0}")]
    Rpc(#[from] RpcError),
    /// An answer of the service control manager cannot be understood.
    #[error("malformed answer of the service control manager: {0}")]
    Ndr(#[from] NdrError),
    /// The service reports that it could not run the process: its own words.
    #[error("{0}")]
    Process(String),
    /// The process and the service came to their ends, and what they had to say got lost on the way.
    #[error("not everything that the service sent has arrived")]
    ResultLost,
    /// The service answered out of turn.
    #[error("unexpected answer of the service: {0}")]
    Service(#[from] ServiceMisbehaved),
    /// The caller cancelled the run.
    #[error("cancelled")]
    Cancelled,
    /// A fault of our own or of this machine: a panic, no random numbers, an algorithm that refuses its keys.
    #[error("{0}")]
    Internal(String),
}

/// What a service does that PAExec's protocol does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ServiceMisbehaved {
    #[error("it answered the settings with another message than OK")]
    SettingsNotConfirmed,
    #[error("it answered the start with another message than OK")]
    StartNotConfirmed,
    #[error("its answer has no result")]
    NoResult,
    #[error("it closed its pipe without an answer")]
    PipeClosed,
    #[error("its message is too long")]
    MessageTooLong,
    #[error("{0}")]
    Undecodable(#[from] DecodeError),
    #[error("it runs on although it was told to stop")]
    RunsOn,
}

/// Why credentials do not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Nobody is named.
    #[error("there is a password, but no user name")]
    NoUsername,
    /// The host asks for an NTLM that gives more away than NTLMv2.
    #[error("the host wants an NTLM that is older than NTLMv2")]
    OldNtlm,
    /// The host goes on with no mechanism that we have.
    #[error("the host does not accept {mechanism}")]
    Rejected {
        /// NTLMv2 or Kerberos.
        mechanism: &'static str,
    },
}

impl ErrorKind {
    /// The host has not started the service, because its program is for other processors.
    pub(crate) fn is_for_another_machine(&self) -> bool {
        matches!(
            self,
            ErrorKind::ServiceManager { code: ERROR_BAD_EXE_FORMAT | ERROR_EXE_MACHINE_TYPE_MISMATCH, .. }
        )
    }

    /// There is another of this name.
    pub(crate) fn is_collision(&self) -> bool {
        matches!(self, ErrorKind::Status { status: NtStatus::OBJECT_NAME_COLLISION, .. })
    }
}

impl From<smb_client::Error> for ErrorKind {
    fn from(error: smb_client::Error) -> Self {
        match error {
            smb_client::Error::Lost(loss) => ErrorKind::Lost(loss),
            smb_client::Error::Status { command, status } => ErrorKind::Status { command, status },
            smb_client::Error::EncryptionUnsupported { dialect } => {
                ErrorKind::EncryptionUnsupported { dialect }
            }
            smb_client::Error::GuestSession => ErrorKind::GuestSession,
            smb_client::Error::Authentication(error) => error.into(),
            smb_client::Error::Internal(text) => ErrorKind::Internal(text),
        }
    }
}

impl From<AuthError> for ErrorKind {
    fn from(error: AuthError) -> Self {
        let misbehaved = |misbehaved| ErrorKind::Lost(Loss::Misbehaved(misbehaved));
        match error {
            AuthError::OldNtlm => ErrorKind::Credentials(CredentialsError::OldNtlm),
            AuthError::Rejected { mechanism } => {
                ErrorKind::Credentials(CredentialsError::Rejected { mechanism })
            }
            AuthError::NotOffered => misbehaved(PeerMisbehaved::NotOffered),
            AuthError::Malformed => misbehaved(PeerMisbehaved::Malformed),
            AuthError::BadMic => misbehaved(PeerMisbehaved::BadSignature),
            AuthError::Kerberos(error) => ErrorKind::Kerberos(error),
            AuthError::NtlmForbidden(instead_of) => ErrorKind::NtlmForbidden { instead_of },
            AuthError::Random(error) => ErrorKind::Internal(error.to_string()),
        }
    }
}

/// An error before it is known which host it belongs to.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) kind: ErrorKind,
}

/// Says at which step a result was wanted.
pub(crate) trait At<T> {
    /// The error with its step.
    fn at(self, step: Step) -> Result<T, Failure>;
}

impl<T, E: Into<ErrorKind>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|error| Failure { step, kind: error.into() })
    }
}
