//! What can go wrong, with the codes of the specifications kept.
use std::io;
use std::sync::Arc;
use std::time::Duration;

use negotiate_auth::AuthError;

use crate::status::NtStatus;

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
    /// Encryption was asked for and the host cannot.
    #[error("the host does not support SMB encryption (it speaks {dialect})")]
    EncryptionUnsupported {
        /// What was negotiated, such as "SMB 2.1".
        dialect: &'static str,
    },
    /// The server let us in as guest or anonymously, which proves nothing and may do nothing.
    #[error("the host granted only a guest or anonymous session")]
    GuestSession,
    /// The host did not accept us, or did not prove who it is.
    #[error(transparent)]
    Authentication(#[from] AuthError),
    /// No random numbers, or an algorithm that refuses its keys.
    #[error("{0}")]
    Internal(String),
}

impl From<PeerMisbehaved> for Error {
    fn from(misbehaved: PeerMisbehaved) -> Self {
        Error::Lost(Loss::Misbehaved(misbehaved))
    }
}

impl From<PeerMisbehaved> for Loss {
    fn from(misbehaved: PeerMisbehaved) -> Self {
        Loss::Misbehaved(misbehaved)
    }
}

/// How a connection ended. Clonable: everyone who waits is told.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Loss {
    /// The host closed it.
    #[error("the host closed the connection")]
    Closed,
    /// The operating system reports an error.
    #[error("{0}")]
    Io(Arc<io::Error>),
    /// A message could not be encoded or protected, which is a fault of our own.
    #[error("{0}")]
    Internal(Arc<str>),
    /// The host neither sends nor answers an SMB2 ECHO.
    #[error("the host stopped answering for {} seconds", .0.as_secs())]
    NotResponding(Duration),
    /// The session has outlived its ticket, and there is no other to be had.
    #[error("the session has outlived its Kerberos ticket, and there is no new one: {0}")]
    Expired(Arc<Error>),
    /// The host, or somebody in between, sent what must not be believed.
    #[error("{0}")]
    Misbehaved(PeerMisbehaved),
}

/// An answer that must not be believed; the connection is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
    #[error(
        "the host says, unsigned, {0}: a host that has ended the session, the share or the file can say so in no other \
         way, and anybody in between could say the same"
    )]
    SaysUnprotected(NtStatus),
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
