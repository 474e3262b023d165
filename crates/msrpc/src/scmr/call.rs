//! What all methods have in common.
//!
//! [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
use alloc::vec::Vec;

use crate::ndr::NdrError;
#[cfg(doc)]
use crate::rpc;

/// A method of MS-SCMR with its parameters. The stubs are those of [`rpc::encode_request`] and
/// [`rpc::encode_response`].
pub trait Call: Sized {
    /// Name of the method.
    const NAME: &str;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Handle(pub [u8; 20]);
