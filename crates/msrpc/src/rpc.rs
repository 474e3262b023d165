//! DCE/RPC over a named pipe: the connection-oriented PDUs of [C706] chapter 12 as [MS-RPCE] 2.2.2 has them, without
//! authentication (the SMB session has done that), with NDR32 and little-endian integers.
//!
//! A client needs [`encode_bind`], [`decode_bind_answer`], [`encode_request`] and [`ResponseAssembler`]; the other
//! half is for the hosts of tests and fuzzers.
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap12.htm
//! [MS-RPCE]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-rpce/290c38b1-92fe-4229-91e6-4fc376610c15
mod assembler;
mod association;
mod error;
mod limits;
mod pdu;

pub use assembler::{AssembledRequest, RequestAssembler, ResponseAssembler};
pub use association::{
    BoundContext, decode_bind_answer, encode_bind, encode_bind_ack, encode_bind_nak, encode_fault,
    encode_request, encode_response,
};
pub use error::RpcError;
pub use limits::{MAX_FRAGMENT, MAX_STUB, MUST_RECEIVE_FRAGMENT};
pub use pdu::{
    Bind, BindAck, BindNak, Fault, Fragment, Interface, NDR32, Pdu, PresentationContext, PresentationResult,
    Request, Response,
};
