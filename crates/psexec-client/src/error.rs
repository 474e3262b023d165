//! What can go wrong, at which step, with the codes of the specifications kept.
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use psexec_protocol::rpc::RpcError;
use psexec_protocol::scmr::NdrError;

use crate::auth::KerberosError;

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

/// Step of a run, in the order in which they happen.
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
#[non_exhaustive]
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
    /// The user name cannot be understood, or what the security package says.
    #[error("{0}")]
    Credentials(String),
    /// Kerberos does not authenticate us.
    #[error(transparent)]
    Kerberos(#[from] KerberosError),
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
    Service(String),
    /// The caller cancelled the run.
    #[error("cancelled")]
    Cancelled,
}

/// How a connection ended. Clonable: everyone who waits is told.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// The host closed it.
    #[error("the host closed the connection")]
    Closed,
    /// The operating system reports an error.
    #[error("{0}")]
    Io(Arc<io::Error>),
    /// The host neither sends nor answers an SMB2 ECHO.
    #[error("the host stopped answering for {} seconds", .0.as_secs())]
    NotResponding(Duration),
    /// The host, or somebody in between, sent what must not be believed.
    #[error("{0}")]
    Misbehaved(PeerMisbehaved),
}

/// An answer that must not be believed; the connection is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PeerMisbehaved {
    #[error("the answer is not SMB2")]
    NotSmb2,
    #[error("the host speaks only SMB1, which is not supported")]
    Smb1,
    #[error("an answer is malformed")]
    Malformed,
    #[error(
        "an answer is not signed although the session demands it; somebody may be altering the connection"
    )]
    Unsigned,
    #[error("an answer bears a wrong signature; somebody may be altering the connection")]
    BadSignature,
    #[error(
        "an answer is not encrypted although the session demands it; somebody may be altering the connection"
    )]
    Unencrypted,
    #[error("an answer cannot be decrypted; somebody may be altering the connection")]
    BadDecryption,
    #[error("an answer belongs to another session")]
    WrongSession,
    #[error("an answer belongs to no request; somebody may be replaying the connection")]
    UnknownMessageId,
    #[error("an answer belongs to another kind of request")]
    WrongCommand,
    #[error("the negotiation was altered on the way: it was downgraded")]
    Downgraded,
    #[error(
        "the host ended the connection when asked to confirm the negotiation, as hosts do if it was altered on the way"
    )]
    NegotiationDisowned,
    #[error("the host chose what was not offered")]
    NotOffered,
}

/// An NTSTATUS, \[MS-ERREF\] 2.3.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NtStatus(pub u32);

macro_rules! statuses {
    ($($name:ident = $value:literal,)+) => {
        #[expect(missing_docs, reason = "the names are those of MS-ERREF")]
        impl NtStatus {
            $(pub const $name: NtStatus = NtStatus($value);)+

            /// Its name in \[MS-ERREF\] without `STATUS_`, if it is one that users meet.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)+
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    SUCCESS = 0x0000_0000,
    PENDING = 0x0000_0103,
    BUFFER_OVERFLOW = 0x8000_0005,
    NO_MORE_FILES = 0x8000_0006,
    UNSUCCESSFUL = 0xC000_0001,
    INVALID_PARAMETER = 0xC000_000D,
    NO_SUCH_FILE = 0xC000_000F,
    INVALID_DEVICE_REQUEST = 0xC000_0010,
    END_OF_FILE = 0xC000_0011,
    MORE_PROCESSING_REQUIRED = 0xC000_0016,
    ACCESS_DENIED = 0xC000_0022,
    OBJECT_NAME_INVALID = 0xC000_0033,
    OBJECT_NAME_NOT_FOUND = 0xC000_0034,
    OBJECT_NAME_COLLISION = 0xC000_0035,
    OBJECT_PATH_NOT_FOUND = 0xC000_003A,
    SHARING_VIOLATION = 0xC000_0043,
    DELETE_PENDING = 0xC000_0056,
    PRIVILEGE_NOT_HELD = 0xC000_0061,
    NO_SUCH_USER = 0xC000_0064,
    WRONG_PASSWORD = 0xC000_006A,
    LOGON_FAILURE = 0xC000_006D,
    ACCOUNT_RESTRICTION = 0xC000_006E,
    INVALID_LOGON_HOURS = 0xC000_006F,
    INVALID_WORKSTATION = 0xC000_0070,
    PASSWORD_EXPIRED = 0xC000_0071,
    ACCOUNT_DISABLED = 0xC000_0072,
    DISK_FULL = 0xC000_007F,
    INSUFFICIENT_RESOURCES = 0xC000_009A,
    MEDIA_WRITE_PROTECTED = 0xC000_00A2,
    INSTANCE_NOT_AVAILABLE = 0xC000_00AB,
    PIPE_NOT_AVAILABLE = 0xC000_00AC,
    PIPE_BUSY = 0xC000_00AE,
    PIPE_DISCONNECTED = 0xC000_00B0,
    PIPE_CLOSING = 0xC000_00B1,
    PIPE_CONNECTED = 0xC000_00B2,
    IO_TIMEOUT = 0xC000_00B5,
    NOT_SUPPORTED = 0xC000_00BB,
    NETWORK_NAME_DELETED = 0xC000_00C9,
    NETWORK_ACCESS_DENIED = 0xC000_00CA,
    BAD_NETWORK_NAME = 0xC000_00CC,
    REQUEST_NOT_ACCEPTED = 0xC000_00D0,
    PIPE_EMPTY = 0xC000_00D9,
    INTERNAL_ERROR = 0xC000_00E5,
    CANCELLED = 0xC000_0120,
    CANNOT_DELETE = 0xC000_0121,
    FILE_CLOSED = 0xC000_0128,
    TIME_DIFFERENCE_AT_DC = 0xC000_0133,
    PIPE_BROKEN = 0xC000_014B,
    LOGON_TYPE_NOT_GRANTED = 0xC000_015B,
    TRUSTED_RELATIONSHIP_FAILURE = 0xC000_018D,
    ACCOUNT_EXPIRED = 0xC000_0193,
    FS_DRIVER_REQUIRED = 0xC000_019C,
    USER_SESSION_DELETED = 0xC000_0203,
    PASSWORD_MUST_CHANGE = 0xC000_0224,
    ACCOUNT_LOCKED_OUT = 0xC000_0234,
    LOGON_NOT_GRANTED = 0xC000_0155,
    NETWORK_SESSION_EXPIRED = 0xC000_035C,
    SERVER_UNAVAILABLE = 0xC000_0466,
    VIRUS_INFECTED = 0xC000_0906,
    VIRUS_DELETED = 0xC000_0907,
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "STATUS_{name} (0x{:08x})", self.0),
            None => write!(f, "NTSTATUS 0x{:08x}", self.0),
        }
    }
}

impl fmt::Debug for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An error before it is known which host it belongs to.
pub(crate) type Failure = (Step, ErrorKind);

/// Says at which step a result was wanted.
pub(crate) trait At<T> {
    /// The error with its step.
    fn at(self, step: Step) -> Result<T, Failure>;
}

impl<T, E: Into<ErrorKind>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|error| (step, error.into()))
    }
}
