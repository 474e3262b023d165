//! Why a conversation fails.
use wire::EndOfInput;

use super::limits::MAX_STUB;

/// Why a conversation over DCE/RPC cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// A field lies beyond the end of its fragment.
    #[error("RPC fragment ends early")]
    Truncated,
    /// The fragment's length is less than its header's, or is not that of the bytes at hand.
    #[error("RPC fragment has the wrong length {length}")]
    WrongLength {
        /// The length in its header.
        length: u16,
    },
    /// Not version 5.0 or 5.1 of the protocol.
    #[error("RPC protocol version {major}.{minor} is not supported")]
    UnsupportedVersion {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// Integers are not little-endian or characters not ASCII.
    #[error("RPC data representation {representation:#04x} is not supported")]
    UnsupportedDataRepresentation {
        /// The first byte of the format label.
        representation: u8,
    },
    /// The fragment bears authentication or an object id, which nobody asked for.
    #[error("RPC fragment has an unexpected trailer or object id")]
    UnexpectedField,
    /// The type is none that this conversation has.
    #[error("RPC PDU type {pdu_type} is not supported")]
    UnknownPdu {
        /// The type.
        pdu_type: u8,
    },
    /// The type is not what is due now.
    #[error("RPC PDU type {pdu_type} was not expected")]
    UnexpectedPdu {
        /// The type.
        pdu_type: u8,
    },
    /// The answer belongs to another call.
    #[error("RPC answer to call {actual}, expected {expected}")]
    WrongCallId {
        /// The call that waits.
        expected: u32,
        /// The call that was answered.
        actual: u32,
    },
    /// A first fragment is missing or is repeated, or something follows the last.
    #[error("RPC fragments are out of order")]
    OutOfOrder,
    /// The fragments add up to more than [`MAX_STUB`].
    #[error("RPC stub is longer than {MAX_STUB} bytes")]
    StubTooLong,
    /// The host refuses the bind: bind_nak.
    #[error("RPC bind was rejected, reason {reason}")]
    BindRejected {
        /// provider_reject_reason
        reason: u16,
    },
    /// The host refuses the interface or the transfer syntax.
    #[error("RPC interface was rejected, result {result}, reason {reason}")]
    ContextRejected {
        /// p_cont_def_result_t
        result: u16,
        /// p_provider_reason_t
        reason: u16,
    },
    /// The host answers for another number of contexts than the one offered.
    #[error("RPC bind of one context has {count} results")]
    UnexpectedResults {
        /// Number of results.
        count: usize,
    },
    /// The host accepts a transfer syntax that was not offered.
    #[error("RPC bind accepted another transfer syntax than NDR32")]
    UnexpectedTransferSyntax,
    /// The host takes only fragments that are smaller than the protocol demands.
    #[error("RPC fragment size {size} is too small")]
    FragmentTooSmall {
        /// Its max_recv_frag, in bytes.
        size: u16,
    },
    /// The host could not carry out the call.
    #[error("RPC call failed with fault {status:#010x}")]
    Fault {
        /// nca status or Win32 error code.
        status: u32,
    },
}

impl From<EndOfInput> for RpcError {
    fn from(_: EndOfInput) -> Self {
        RpcError::Truncated
    }
}

/// Fails where an answer belongs to another call.
pub(super) fn check_call_id(expected: u32, actual: u32) -> Result<(), RpcError> {
    if actual == expected { Ok(()) } else { Err(RpcError::WrongCallId { expected, actual }) }
}
