//! The Service Control Manager Remote Protocol, [MS-SCMR]: the calls that create, run, observe and remove a service.
//!
//! Each call is a struct with the method's name and [`Call`]; its results are an [`Answer`].
//!
//! [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
mod answers;
mod calls;
mod constants;

use alloc::vec::Vec;

use crate::{cursor::EndOfInput, rpc};
pub use answers::{
    CreateServiceAnswer, EnumServiceStatus, EnumServicesStatusAnswer, HandleAnswer, ReturnCodeAnswer,
    ServiceStatus, ServiceStatusAnswer, ServiceStatusProcess, ServiceStatusProcessAnswer,
};
pub use calls::{
    RChangeServiceConfig2W, RCloseServiceHandle, RControlService, RCreateServiceW, RDeleteService,
    REnumServicesStatusW, ROpenSCManagerW, ROpenServiceW, RQueryServiceStatus, RQueryServiceStatusEx,
    RStartServiceW,
};
pub use constants::*;

/// Named pipe of the service control manager.
pub const PIPE: &str = "svcctl";

/// Interface 367abb81-9844-35f1-ad32-98f038001003, version 2.0.
pub const INTERFACE: rpc::Interface = rpc::Interface {
    uuid: [0x81, 0xbb, 0x7a, 0x36, 0x44, 0x98, 0xf1, 0x35, 0xad, 0x32, 0x98, 0xf0, 0x38, 0x00, 0x10, 0x03],
    major: 2,
    minor: 0,
};

/// A method of MS-SCMR with its parameters. The stubs are those of [`rpc::encode_request`] and
/// [`rpc::encode_response`].
pub trait Call: Sized {
    /// Number of the method.
    const OPNUM: u16;

    /// What it returns.
    type Answer: Answer;

    /// Encodes the parameters.
    fn encode(&self) -> Vec<u8>;

    /// Decodes the parameters.
    ///
    /// # Errors
    ///
    /// [`NdrError`] if the stub is not that of this method.
    fn decode(stub: &[u8]) -> Result<Self, NdrError>;

    /// Encodes the results.
    fn encode_answer(answer: &Self::Answer) -> Vec<u8> {
        answer.encode()
    }

    /// Decodes the results. They may tell of failure: [`Answer::return_code`].
    ///
    /// # Errors
    ///
    /// [`NdrError`] if the stub is not an answer to this method.
    fn decode_answer(stub: &[u8]) -> Result<Self::Answer, NdrError> {
        Self::Answer::decode(stub)
    }
}

/// Results of a [`Call`].
pub trait Answer: Sized {
    /// The method's Win32 error code; 0: success. The other results only count if it is 0.
    fn return_code(&self) -> u32;

    /// See [`Call::encode_answer`].
    fn encode(&self) -> Vec<u8>;

    /// See [`Call::decode_answer`].
    ///
    /// # Errors
    ///
    /// [`NdrError`] if the stub has another form.
    fn decode(stub: &[u8]) -> Result<Self, NdrError>;
}

/// Context handle of the manager or a service: SC_RPC_HANDLE, [MS-SCMR] 2.2.4. All zeros: none.
///
/// [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Handle(pub [u8; 20]);

/// Why a stub cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NdrError {
    /// A parameter, or the count that it claims, lies beyond the end.
    #[error("RPC parameters end early")]
    Truncated,
    /// A string has no terminator, contradicting counts, or is not UTF-16.
    #[error("RPC parameters have an invalid string")]
    InvalidString,
    /// A name within a buffer does not lie in it, or the names add up to more than the buffer holds.
    #[error("RPC buffer has a name at the invalid offset {offset}")]
    InvalidOffset {
        /// Offset from the start of the buffer, in bytes.
        offset: u32,
    },
    /// Information level of a configuration or status that is not supported here.
    #[error("RPC parameters have the unknown information level {level}")]
    UnknownLevel {
        /// The level.
        level: u32,
    },
}

impl From<EndOfInput> for NdrError {
    fn from(_: EndOfInput) -> Self {
        NdrError::Truncated
    }
}
